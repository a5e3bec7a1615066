//! Image usage reports: `CreateImageUsageReport`, `DescribeImageUsageReports`, `DescribeImageUsageReportEntries`,
//! `DeleteImageUsageReport`; and the use of AMIs, which they show.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html>

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::filter::Filter;
use super::image::Launch;
use super::page::page;
use super::parameters::Parameters;
use super::tags::{self, Tags};
use crate::aws::digest::ec2_id;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::timestamp::ec2_time;
use crate::aws::world::World;

/// Documented: EC2 deletes a report 30 days after it was created.
const KEPT_FOR: Duration = Duration::days(30);
/// What a report can be about.
const RESOURCE_TYPES: [&str; 2] = ["ec2:Instance", "ec2:LaunchTemplate"];
/// What the ids of reports begin with.
pub(super) const PREFIX: &str = "amiur-";

/// Every report, by Region and id.
#[derive(Default)]
struct Reports(BTreeMap<(String, String), Report>);

#[derive(Clone, Debug)]
struct Report {
    id: String,
    owner: String,
    image_id: String,
    resource_types: Vec<String>,
    created: OffsetDateTime,
    completed_at: OffsetDateTime,
    /// Why it ends in error, if it does.
    error: Option<String>,
    client_token: Option<String>,
    tags: Tags,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Available,
    Error,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Available => "available",
            State::Error => "error",
        }
    }
}

impl Report {
    fn state(&self, now: OffsetDateTime) -> State {
        match self.error {
            _ if now < self.completed_at => State::Pending,
            Some(_) => State::Error,
            None => State::Available,
        }
    }
}

/// How many resources of one account use the AMI.
#[derive(Clone, Debug)]
struct Entry {
    account: String,
    resource_type: String,
    count: u32,
}

/// What other accounts do with the AMIs of this world.
#[derive(Default)]
struct Uses(Vec<Use>);

/// A use of an AMI by another account.
#[derive(Clone, Debug)]
struct Use {
    region: String,
    image_id: String,
    entry: Entry,
    since: OffsetDateTime,
    /// When it ended.
    until: Option<OffsetDateTime>,
}

impl Use {
    fn is_of(&self, region: &str, image_id: &str) -> bool {
        self.region == region && self.image_id == image_id
    }

    fn is_at(&self, time: OffsetDateTime) -> bool {
        self.since <= time && self.until.is_none_or(|until| until > time)
    }
}

/// The use of AMIs.
impl World {
    /// So many resources of another account (`ec2:Instance` or `ec2:LaunchTemplate`) use an AMI from now on. A usage report
    /// shows it after [`usage_reports_lag`](crate::aws::Behaviour::usage_reports_lag).
    pub fn use_image(&mut self, region: &str, image_id: &str, account: &str, resource_type: &str, count: u32) {
        let since = self.now();
        let entry = Entry { account: account.to_owned(), resource_type: resource_type.to_owned(), count };
        let (region, image_id) = (region.to_owned(), image_id.to_owned());
        self.state_mut::<Uses>().0.push(Use { region, image_id, entry, since, until: None });
    }

    /// Another account uses an AMI no longer.
    pub fn stop_using_image(&mut self, region: &str, image_id: &str, account: &str) {
        let now = self.now();
        let uses = self.state_mut::<Uses>().0.iter_mut();
        for of_account in uses.filter(|it| it.is_of(region, image_id) && it.entry.account == account) {
            of_account.until.get_or_insert(now);
        }
    }

    /// The other accounts that use an AMI now.
    #[must_use]
    pub fn users_of_image(&self, region: &str, image_id: &str) -> Vec<String> {
        let used = self.uses_of(region, image_id, self.now());
        used.into_iter().map(|entry| entry.account).collect()
    }

    /// The account that owns an AMI launches an instance of it, and terminates the instance at once: nothing refers to the AMI.
    /// `LastLaunchedTime` shows it after [`last_launched_time_lag`](crate::aws::Behaviour::last_launched_time_lag).
    pub fn launch(&mut self, region: &str, image_id: &str) {
        let at = self.now();
        let shown_from = at + self.behaviour.last_launched_time_lag;
        if let Some(image) = self.image_mut(region, image_id) {
            image.launches.push(Launch { at, shown_from });
        }
    }

    /// The ids of the image usage reports of a Region.
    #[must_use]
    pub fn usage_reports(&self, region: &str) -> Vec<String> {
        self.reports(region).map(|report| report.id.clone()).collect()
    }

    fn uses_of(&self, region: &str, image_id: &str, time: OffsetDateTime) -> Vec<Entry> {
        let uses = self.state::<Uses>().into_iter().flat_map(|uses| &uses.0);
        uses.filter(|it| it.is_of(region, image_id) && it.is_at(time)).map(|it| it.entry.clone()).collect()
    }

    fn reports(&self, region: &str) -> impl Iterator<Item = &Report> {
        let now = self.now();
        let reports = self.state::<Reports>().into_iter().flat_map(|reports| &reports.0);
        reports
            .filter(move |((of_region, _), report)| of_region == region && now < report.created + KEPT_FOR)
            .map(|(_, report)| report)
    }
}

pub(super) fn tags_of<'w>(world: &'w World, region: &str, id: &str) -> Option<&'w Tags> {
    world.reports(region).find(|report| report.id == id).map(|report| &report.tags)
}

/// The report is pending at first; [`usage_report_duration`](crate::aws::Behaviour::usage_report_duration) later it is
/// available or in error. Documented: one pending report an AMI. Assumed: the code of that error.
pub(super) fn create_image_usage_report(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let image_id = parameters.required("ImageId")?.to_owned();
    let resource_types = resource_types(parameters)?;
    let client_token = parameters.text("ClientToken").map(str::to_owned);
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
    let entries = entries.into_iter().filter(|entry| resource_types.contains(&entry.resource_type)).collect();
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

fn resource_types(parameters: &Parameters<'_>) -> Result<Vec<String>, ApiError> {
    let named = parameters.structures("ResourceType");
    if named.is_empty() {
        return Err(ApiError::client("MissingParameter", "The request must contain the parameter ResourceType"));
    }
    named
        .iter()
        .map(|named| {
            let name = named.required("ResourceType")?;
            if !RESOURCE_TYPES.contains(&name) {
                let message = format!("Value ({name}) for parameter ResourceType is invalid.");
                return Err(ApiError::invalid_value(message));
            }
            Ok(name.to_owned())
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
    let (image_ids, ids) = (parameters.list("ImageId"), parameters.list("ReportId"));
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
        .filter(|report| filters.iter().all(|it| it.passes(Some(&report.tags), |name| values_of(report, name))))
        .collect();
    let (found, next_token) = page(found, |report| &report.id, parameters, world.behaviour.page_size)?;
    let reports: Vec<Value> = found.into_iter().map(|report| view(report, now)).collect();
    Ok(json!({ "imageUsageReportSet": reports, "nextToken": next_token }))
}

fn view(report: &Report, now: OffsetDateTime) -> Value {
    let state = report.state(now);
    let resource_types: Vec<Value> =
        report.resource_types.iter().map(|resource_type| json!({ "resourceType": resource_type })).collect();
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
    let (image_ids, ids) = (parameters.list("ImageId"), parameters.list("ReportId"));
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
        .filter(|(_, report, entry)| filters.iter().all(|it| it.passes(None, |name| values_of(report, entry, name))))
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
