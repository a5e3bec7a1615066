//! The image usage reports that EC2 keeps.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::use_by_others::Entry;
use crate::aws::world::World;

/// Documented: EC2 deletes a report 30 days after it was created.
pub(super) const KEPT_FOR: Duration = Duration::days(30);
/// What the ids of reports begin with.
pub(in crate::aws::ec2) const PREFIX: &str = "amiur-";

/// Every report, by Region and id.
#[derive(Default)]
pub(super) struct Reports(pub(super) BTreeMap<(String, String), Report>);

#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) image_id: String,
    pub(super) resource_types: Vec<ReportedType>,
    pub(super) created: OffsetDateTime,
    pub(super) completed_at: OffsetDateTime,
    /// Why it ends in error, if it does.
    pub(super) error: Option<String>,
    pub(super) client_token: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) entries: Vec<Entry>,
}

/// A type of resource that a report is about.
#[derive(Clone, Debug)]
pub(super) struct ReportedType {
    pub(super) name: String,
    /// How many versions of a launch template it looks at.
    pub(super) version_depth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Available,
    Error,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Available => "available",
            State::Error => "error",
        }
    }
}

impl Report {
    pub(super) fn state(&self, now: OffsetDateTime) -> State {
        match self.error {
            _ if now < self.completed_at => State::Pending,
            Some(_) => State::Error,
            None => State::Available,
        }
    }
}

impl World {
    /// The ids of the image usage reports of a Region.
    pub fn usage_reports(&self, region: &str) -> Vec<String> {
        self.reports(region).map(|report| report.id.clone()).collect()
    }

    /// The ids of all image usage reports of the Region.
    pub fn usage_report_ids(&self, region: &str) -> Vec<String> {
        self.reports(region).map(|report| report.id.clone()).collect()
    }

    pub(super) fn reports(&self, region: &str) -> impl Iterator<Item = &Report> {
        let now = self.now();
        let reports = self.state::<Reports>().into_iter().flat_map(|reports| &reports.0);
        reports
            .filter(move |((of_region, _), report)| of_region == region && now < report.created + KEPT_FOR)
            .map(|(_, report)| report)
    }
}

pub(in crate::aws::ec2) fn tags_of<'w>(
    world: &'w World,
    region: &str,
    id: &str,
) -> Option<&'w BTreeMap<String, String>> {
    world.reports(region).find(|report| report.id == id).map(|report| &report.tags)
}
