//! Image usage reports: which other accounts use an AMI. EC2 makes one on request, in an unknown time, and shows in it how
//! things stood a day before at the latest. Pure: the reports that exist decide what to do about them.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/your-ec2-ami-usage.html>

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

/// How old the data of a report may be.
const FRESH: Duration = Duration::days(1);

/// Everything that a report can be about. A report that leaves one out does not show that nobody uses the AMI.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImageUsageReport.html>
pub const RESOURCE_TYPES: [&str; 4] =
    ["ec2:Instance", "ec2:LaunchTemplate", "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"];

/// A report about one AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    pub id: String,
    pub state: ReportState,
    /// Why it is in error, in EC2's words.
    pub state_reason: Option<String>,
    /// When it was ordered.
    pub created: Option<OffsetDateTime>,
    /// The types of resources that it is about.
    pub resource_types: BTreeSet<String>,
    /// Whether the courier ordered it. A report of somebody else's may cover less.
    pub is_own: bool,
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageUsageReport.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportState {
    Pending,
    Available,
    Error,
}

/// What to do about the reports of an AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportNext<'a> {
    /// This one is complete and fresh.
    Read(&'a UsageReport),
    /// This one is not complete yet. EC2 makes one report about an AMI at a time.
    Wait(&'a UsageReport),
    /// EC2 could not make this one, less than a day ago.
    Failed(&'a UsageReport),
    /// Order a report, and delete these outdated ones of the courier's before.
    Order { outdated: Vec<&'a UsageReport> },
}

impl UsageReport {
    /// Those of [`RESOURCE_TYPES`] that it leaves out.
    pub fn left_out(&self) -> Vec<&'static str> {
        RESOURCE_TYPES.into_iter().filter(|kind| !self.resource_types.contains(*kind)).collect()
    }

    fn is_fresh(&self, now: OffsetDateTime) -> bool {
        self.created.is_some_and(|created| now - created <= FRESH)
    }
}

/// What to do about these reports of an AMI. At most one a day is ordered.
pub fn next(reports: &[UsageReport], now: OffsetDateTime) -> ReportNext<'_> {
    let own = || reports.iter().filter(|report| report.is_own);
    let fresh = |state| newest(own().filter(move |report| report.state == state && report.is_fresh(now)));
    if let Some(complete) = fresh(ReportState::Available) {
        return ReportNext::Read(complete);
    }
    if let Some(pending) = reports.iter().find(|report| report.state == ReportState::Pending) {
        return ReportNext::Wait(pending);
    }
    if let Some(failed) = fresh(ReportState::Error) {
        return ReportNext::Failed(failed);
    }
    ReportNext::Order { outdated: own().collect() }
}

/// The newest complete report of the courier's, however old.
pub fn newest_complete(reports: &[UsageReport]) -> Option<&UsageReport> {
    newest(reports.iter().filter(|report| report.is_own && report.state == ReportState::Available))
}

fn newest<'a>(reports: impl Iterator<Item = &'a UsageReport>) -> Option<&'a UsageReport> {
    reports.max_by_key(|report| report.created)
}
