//! Image usage reports: `CreateImageUsageReport`, `DescribeImageUsageReports`, `DescribeImageUsageReportEntries`,
//! `DeleteImageUsageReport`.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html>

pub(super) mod report;
mod use_by_others;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Value, json};
use time::OffsetDateTime;

use self::report::{KEPT_FOR, Report, ReportedType, Reports, State};
use self::use_by_others::Entry;
use super::filter::Filter;
use super::page::page;
use super::parameters::Parameters;
use super::tags::{self, Tags};
use super::version_depth::version_depth;
use crate::aws::digest::ec2_id;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::timestamp::ec2_time;
use crate::aws::world::World;

/// What a report can be about (documented).
const RESOURCE_TYPES: [&str; 4] =
    ["ec2:Instance", "ec2:LaunchTemplate", "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"];
/// How many ids of reports, and of AMIs, a request has (API model).
const MOST_IDS: usize = 200;
/// How many versions of each launch template EC2 looks at, unless the caller says otherwise (documented).
const DEFAULT_DEPTH: u32 = 20;

/// The report is pending at first; [`usage_report_duration`](crate::aws::Behaviour::usage_report_duration) later it is
/// available or in error. Documented: one pending report an AMI. Assumed: the code of that error.
pub(super) fn create_image_usage_report(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let image_id = parameters.required("ImageId")?.to_owned();
    let resource_types = resource_types(parameters, &world.behaviour.usage_reports_refuse)?;
    let client_token = parameters.text("ClientToken").map(str::to_owned);
    if client_token.as_ref().is_some_and(|token| token.len() > 128) {
        return Err(ApiError::invalid_value(
            "The value for ClientToken is invalid: it must have at most 128 characters",
        ));
    }
    let tags = report_tags(parameters)?;
    world.own_image(caller, &image_id)?;
    let now = world.now();
    let has_token = |report: &&Report| report.owner == caller.account && report.client_token == client_token;
    if let Some(known) = world.reports(&caller.region).filter(|_| client_token.is_some()).find(has_token) {
        return Ok(json!({ "reportId": known.id }));
    }
    let is_pending = |report: &Report| report.image_id == image_id && report.state(now) == State::Pending;
    if world.reports(&caller.region).any(is_pending) {
        return Err(ApiError::client(
            "ImageUsageReportLimitExceeded",
            format!("An image usage report of '{image_id}' is being created. Wait until it is available."),
        ));
    }
    parameters.stop_if_dry_run()?;
    let entries = world.uses_of(&caller.region, &image_id, now - world.behaviour.usage_reports_lag);
    let is_seen = |entry: &Entry| {
        resource_types.iter().any(|seen| seen.name == entry.resource_type && entry.newer_versions < seen.version_depth)
    };
    let entries = entries.into_iter().filter(is_seen).collect();
    let id = ec2_id("amiur", &world.new_uuid());
    let report = Report {
        id: id.clone(),
        owner: caller.account.clone(),
        image_id,
        resource_types,
        created: now,
        completed_at: now + world.behaviour.usage_report_duration,
        error: world.behaviour.usage_report_error.clone(),
        client_token,
        tags,
        entries,
    };
    world.state_mut::<Reports>().0.insert((caller.region.clone(), id.clone()), report);
    Ok(json!({ "reportId": id }))
}

fn resource_types(parameters: &Parameters<'_>, refused: &BTreeSet<String>) -> Result<Vec<ReportedType>, ApiError> {
    let named = parameters.structures("ResourceType");
    if named.is_empty() {
        return Err(ApiError::client("MissingParameter", "The request must contain the parameter ResourceType"));
    }
    named
        .iter()
        .map(|named| {
            let name = named.required("ResourceType")?;
            if !RESOURCE_TYPES.contains(&name) || refused.contains(name) {
                let message = format!("Value ({name}) for parameter ResourceType is invalid.");
                return Err(ApiError::invalid_value(message));
            }
            Ok(ReportedType { name: name.to_owned(), version_depth: version_depth(named, DEFAULT_DEPTH)? })
        })
        .collect()
}

fn report_tags(parameters: &Parameters<'_>) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for specification in parameters.structures("TagSpecification") {
        let resource_type = specification.required("ResourceType")?;
        if resource_type != "image-usage-report" {
            let message = format!("'{resource_type}' is not a valid taggable resource type for this operation.");
            return Err(ApiError::invalid_value(message));
        }
        tags.extend(tags::read(&specification)?);
    }
    tags::check_limit(&tags)?;
    Ok(tags)
}

pub(super) fn describe_image_usage_reports(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let (image_ids, ids) = (parameters.ids("ImageId", MOST_IDS)?, parameters.ids("ReportId", MOST_IDS)?);
    let filters = Filter::read(parameters, &["creation-time", "state"])?;
    check_report_ids(world, caller, &ids)?;
    parameters.stop_if_dry_run()?;
    let now = world.now();
    let values_of = |report: &Report, name: &str| {
        vec![match name {
            "state" => Cow::from(report.state(now).as_str()),
            _ => ec2_time(report.created).into(),
        }]
    };
    let found: Vec<&Report> = world
        .reports(&caller.region)
        .filter(|report| report.owner == caller.account)
        .filter(|report| image_ids.is_empty() || image_ids.contains(&report.image_id.as_str()))
        .filter(|report| ids.is_empty() || ids.contains(&report.id.as_str()))
        .filter(|report| {
            filters.iter().all(|it| it.passes(|| Cow::Borrowed(&report.tags), |name| values_of(report, name)))
        })
        .collect();
    let (found, next_token) = page(found, |report| &report.id, parameters, world.behaviour.page_size)?;
    let reports: Vec<Value> = found.into_iter().map(|report| view(report, now)).collect();
    Ok(json!({ "imageUsageReportSet": reports, "nextToken": next_token }))
}

fn view(report: &Report, now: OffsetDateTime) -> Value {
    let state = report.state(now);
    let resource_types: Vec<Value> =
        report.resource_types.iter().map(|reported| json!({ "resourceType": reported.name })).collect();
    json!({
        "imageId": report.image_id,
        "reportId": report.id,
        "resourceTypeSet": resource_types,
        "state": state.as_str(),
        "stateReason": report.error.as_ref().filter(|_| state == State::Error),
        "creationTime": ec2_time(report.created),
        "expirationTime": ec2_time(report.created + KEPT_FOR),
        "tagSet": tags::view(&report.tags),
    })
}

/// A report that is not available has no entries.
pub(super) fn describe_image_usage_report_entries(
    world: &mut World,
    caller: &Caller,
    parameters: &Parameters<'_>,
) -> Answer {
    let (image_ids, ids) = (parameters.ids("ImageId", MOST_IDS)?, parameters.ids("ReportId", MOST_IDS)?);
    let filters = Filter::read(parameters, &["account-id", "creation-time", "resource-type"])?;
    check_report_ids(world, caller, &ids)?;
    parameters.stop_if_dry_run()?;
    let now = world.now();
    let values_of = |report: &Report, entry: &Entry, name: &str| {
        vec![match name {
            "account-id" => Cow::from(entry.account.clone()),
            "resource-type" => entry.resource_type.clone().into(),
            _ => ec2_time(report.created).into(),
        }]
    };
    let found: Vec<(String, &Report, &Entry)> = world
        .reports(&caller.region)
        .filter(|report| report.owner == caller.account && report.state(now) == State::Available)
        .filter(|report| image_ids.is_empty() || image_ids.contains(&report.image_id.as_str()))
        .filter(|report| ids.is_empty() || ids.contains(&report.id.as_str()))
        .flat_map(|report| report.entries.iter().enumerate().map(move |(n, entry)| (n, report, entry)))
        .filter(|(_, report, entry)| {
            filters.iter().all(|it| it.passes(Cow::default, |name| values_of(report, entry, name)))
        })
        .map(|(n, report, entry)| (format!("{} {n:05}", report.id), report, entry))
        .collect();
    let (found, next_token) = page(found, |(key, ..)| key, parameters, world.behaviour.page_size)?;
    let entries: Vec<Value> = found
        .into_iter()
        .map(|(_, report, entry)| {
            json!({
                "resourceType": entry.resource_type,
                "reportId": report.id,
                "usageCount": entry.count,
                "accountId": entry.account,
                "imageId": report.image_id,
                "reportCreationTime": ec2_time(report.created),
            })
        })
        .collect();
    Ok(json!({ "imageUsageReportEntrySet": entries, "nextToken": next_token }))
}

pub(super) fn delete_image_usage_report(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let id = parameters.required("ReportId")?;
    check_report_ids(world, caller, &[id])?;
    parameters.stop_if_dry_run()?;
    world.state_mut::<Reports>().0.remove(&(caller.region.clone(), id.to_owned()));
    Ok(json!({ "return": true }))
}

/// # Errors
/// `InvalidImageUsageReportId.NotFound` (assumed), for one that the caller does not own.
fn check_report_ids(world: &World, caller: &Caller, ids: &[&str]) -> Result<(), ApiError> {
    let is_own = |id: &str| world.reports(&caller.region).any(|it| it.id == id && it.owner == caller.account);
    match ids.iter().find(|id| !is_own(id)) {
        Some(unknown) => Err(ApiError::client(
            "InvalidImageUsageReportId.NotFound",
            format!("The image usage report '{unknown}' does not exist"),
        )),
        None => Ok(()),
    }
}
