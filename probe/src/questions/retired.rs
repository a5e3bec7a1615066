//! Disabled and deregistered AMIs, and who uses an AMI.

use std::time::Duration;

use aws_sdk_ec2::types::{ImageUsageResourceTypeOptionRequest, ImageUsageResourceTypeRequest, ResourceType};
use courier_core::usage_report::RESOURCE_TYPES;

use super::{Answer, refused};
use crate::aws::{Aws, CallError, answered};
use crate::lab::{Kind, Lab, Look, tagged};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GIVE_UP_REPORT_AFTER: Duration = Duration::from_secs(60 * 60);
const POLL: Duration = Duration::from_secs(15);
pub(super) const INSTANCES: [&str; 1] = ["ec2:Instance"];

pub(crate) async fn is_a_disabled_ami_hidden_unless_asked_for(lab: &Lab) -> Answer {
    let image_id = lab.finished_copy().await?.image_id().unwrap_or_default();
    lab.ec2().disable_image().image_id(image_id).send().await?;
    let (unasked, asked) = (lab.look(image_id).await?, lab.look_in(&lab.plan.region, image_id, true).await?);
    Ok(match unasked {
        Look::Shown(_) => format!("{unasked}; with IncludeDisabled {asked}"),
        hidden => format!("hidden; with IncludeDisabled {asked} (without it {hidden})"),
    })
}

pub(crate) async fn is_an_enabled_ami_available_again(lab: &Lab) -> Answer {
    let image_id = lab.finished_copy().await?.image_id().unwrap_or_default();
    lab.ec2().enable_image().image_id(image_id).send().await?;
    Ok(lab.look(image_id).await?.to_string())
}

pub(crate) async fn are_the_snapshots_deleted_with_their_ami(lab: &Lab) -> Answer {
    let codes = &lab.dead_copy().await?.snapshot_codes;
    let failed = codes.iter().find(|code| *code != "success").or(codes.first());
    Ok(failed.cloned().unwrap_or("no result for any snapshot".to_owned()))
}

pub(crate) async fn how_does_a_deregistered_ami_look_by_id(lab: &Lab) -> Answer {
    let minutes = [(0, "at once"), (10, "10 s"), (60, "1 min"), (120, "2 min"), (300, "5 min")];
    look_at_dead(lab, &minutes).await
}

pub(crate) async fn how_does_a_deregistered_ami_look_a_day_later(lab: &Lab) -> Answer {
    look_at_dead(lab, &[(DAY.as_secs(), "a day")]).await
}

async fn look_at_dead(lab: &Lab, times: &[(u64, &str)]) -> Answer {
    let dead = lab.dead_copy().await?;
    let mut seen = Vec::new();
    let mut last = None;
    for (seconds, when) in times {
        lab.sleep_until(dead.at + Duration::from_secs(*seconds)).await?;
        let look = Some(lab.look(&dead.copy.image_id).await?);
        if let Some(new) = look.as_ref().filter(|_| look != last) {
            seen.push(format!("{new} ({when})"));
        }
        last = look;
    }
    let is_live = last.as_ref().and_then(Look::state).is_some_and(|state| state != "deregistered");
    Ok(format!("{}as a live AMI: {}", if is_live { "" } else { "not " }, seen.join(", then ")))
}

pub(crate) async fn does_a_usage_report_take_the_four_types(lab: &Lab) -> Answer {
    Ok(answered(order_full_report(lab).await)?.map_or_else(refused, |_| "accepted".to_owned()))
}

pub(crate) async fn does_a_usage_report_become_available(lab: &Lab) -> Answer {
    let id = match order_full_report(lab).await {
        Err(CallError::Refused { .. }) => {
            let image_id = lab.finished_copy().await?.image_id().unwrap_or_default();
            order_report(lab, &lab.aws, image_id, "report", &INSTANCES, &lab.tags()).await?
        }
        answer => answer?,
    };
    let begun = lab.aws.elapsed();
    loop {
        let call = lab.ec2().describe_image_usage_reports().report_ids(&id).send();
        let reports = match call.await.map_err(CallError::from) {
            // It may be too young to be visible.
            Err(error) if error.code().is_some_and(|code| code.ends_with(".NotFound")) => Vec::new(),
            answer => answer?.image_usage_reports.unwrap_or_default(),
        };
        let state = reports.first().and_then(|report| report.state()).unwrap_or("not visible");
        let after = lab.aws.elapsed().saturating_sub(begun);
        if !matches!(state, "pending" | "not visible") || after >= GIVE_UP_REPORT_AFTER {
            return Ok(format!("{state} after {} s", after.as_secs()));
        }
        lab.aws.sleep(POLL).await?;
    }
}

/// As the courier orders it. With this token, EC2 makes one report, however often it is ordered.
async fn order_full_report(lab: &Lab) -> Result<String, CallError> {
    let image_id = lab.finished_copy().await?.image_id().unwrap_or_default();
    order_report(lab, &lab.aws, image_id, "full-report", &RESOURCE_TYPES, &lab.tags()).await
}

/// `CreateImageUsageReport`, with all versions of launch templates. Returns the report's id.
pub(super) async fn order_report(
    lab: &Lab,
    aws: &Aws,
    image_id: &str,
    token: &str,
    kinds: &[&str],
    tags: &[(&str, &str)],
) -> Result<String, CallError> {
    let kinds = kinds.iter().map(|kind| {
        let depth = ImageUsageResourceTypeOptionRequest::builder().option_name("version-depth").option_values("10000");
        let all_versions = (*kind == "ec2:LaunchTemplate").then(|| vec![depth.build()]);
        ImageUsageResourceTypeRequest::builder().resource_type(*kind).set_resource_type_options(all_versions).build()
    });
    let call = aws.ec2(&lab.plan.region).create_image_usage_report().image_id(image_id);
    let call = call.set_resource_types(Some(kinds.collect())).client_token(lab.token(token));
    let call = call.tag_specifications(tagged(ResourceType::ImageUsageReport, tags));
    lab.keep(Kind::UsageReport, &lab.plan.region, call.send().await.map(|it| it.report_id))
}
