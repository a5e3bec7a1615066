//! Disabled and deregistered AMIs, and who uses an AMI.

use std::time::Duration;

use aws_sdk_ec2::types::{ImageUsageResourceTypeRequest, ResourceType};

use super::Answer;
use crate::aws::{Aws, CallError};
use crate::lab::{Kind, Lab, Look, tagged};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GIVE_UP_REPORT_AFTER: Duration = Duration::from_secs(60 * 60);
const POLL: Duration = Duration::from_secs(15);

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

pub(crate) async fn does_a_usage_report_become_available(lab: &Lab) -> Answer {
    let image_id = lab.finished_copy().await?.image_id().unwrap_or_default();
    let id = order_report(lab, &lab.aws, image_id, "report", &lab.tags()).await?;
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

/// `CreateImageUsageReport`, of instances. Returns the report's id.
pub(super) async fn order_report(
    lab: &Lab,
    aws: &Aws,
    image_id: &str,
    token: &str,
    tags: &[(&str, &str)],
) -> Result<String, CallError> {
    let instances = ImageUsageResourceTypeRequest::builder().resource_type("ec2:Instance").build();
    let call = aws.ec2(&lab.plan.region).create_image_usage_report().image_id(image_id).resource_types(instances);
    let call = call.client_token(lab.token(token)).tag_specifications(tagged(ResourceType::ImageUsageReport, tags));
    lab.keep(Kind::UsageReport, &lab.plan.region, call.send().await.map(|it| it.report_id))
}
