//! Usage: who needs a copy. EC2 answers in three places, and each shows only a part.
//!
//! - The time of the last launch: a day late, and without launch templates.
//! - The references in this account.
//! - For a copy that others may launch, an image usage report: the other accounts. EC2 makes it in an unknown time, so one
//!   sweep orders it and a later one reads it. Nothing waits for it.
//!
//! As long as one of them is not known, the copy counts as in use.

use courier_core::error::Error;
use courier_core::image::{Image, State};
use courier_core::retirement::Usage;
use courier_core::usage_report::{self, ReportNext, UsageReport};
use time::{Date, Duration, OffsetDateTime};

use super::step::Courier;
use crate::aws::ec2::UseByAccount;
use crate::aws::error::attempting_on_visible;

/// An AMI that was launched within this time counts as in use, even when nothing refers to it.
const LATELY: Duration = Duration::days(30);
/// How many references or accounts are named.
const NAMED: usize = 5;

impl Courier {
    /// Who or what uses the copy. Orders an image usage report if that is needed to know it.
    pub(super) async fn usage_of(&self, copy: &Image) -> Result<Usage, Error> {
        if let Some(launched) = copy.last_launched.filter(|launched| self.aws.now() - *launched < LATELY) {
            return Ok(Usage::InUse(format!("it was launched on {}", launched.date())));
        }
        if let Some(references) = self.references_to(copy).await? {
            return Ok(Usage::InUse(format!("{references} refer to it")));
        }
        if self.others_may_launch(copy).await? { self.use_by_others(copy).await } else { Ok(Usage::Unused) }
    }

    /// Orders the first image usage report of a copy, if others may launch it. It is the early warning while the copy waits.
    pub(super) async fn order_first_report(&self, copy: &Image) -> Result<(), Error> {
        if self.others_may_launch(copy).await? {
            let reports = self.usage_reports_of(copy).await?;
            if let ReportNext::Order { outdated } = usage_report::next(&reports, self.aws.now()) {
                self.order_report(copy, &outdated).await?;
            }
        }
        Ok(())
    }

    /// The other accounts that use the copy, as far as an earlier report shows them.
    pub(super) async fn known_users_of(&self, copy: &Image) -> Result<Option<String>, Error> {
        if !self.others_may_launch(copy).await? {
            return Ok(None);
        }
        let reports = self.usage_reports_of(copy).await?;
        let Some(report) = usage_report::newest_complete(&reports) else { return Ok(None) };
        let uses = self.read_report(copy, report).await?;
        Ok((!uses.is_empty()).then(|| told(report, &uses)))
    }

    async fn references_to(&self, copy: &Image) -> Result<Option<String>, Error> {
        let ec2 = self.local_ec2();
        let looking =
            attempting_on_visible(format!("looking for what refers to the copy {} in {}", copy.id, ec2.region));
        let references = ec2.references(&copy.id).await.map_err(looking)?;
        let named = references.iter().map(|reference| format!("{} {}", reference.kind, reference.arn)).collect();
        Ok((!references.is_empty()).then(|| enumerated(named)))
    }

    /// Nobody else can launch an AMI that is disabled or pending.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/disable-an-ami.html>
    async fn others_may_launch(&self, copy: &Image) -> Result<bool, Error> {
        if copy.state != State::Available {
            return Ok(false);
        }
        if !self.settings.finishing.share_with.is_empty() {
            return Ok(true);
        }
        let ec2 = self.local_ec2();
        let looking = attempting_on_visible(format!("looking who may launch the copy {} in {}", copy.id, ec2.region));
        ec2.is_shared(&copy.id).await.map_err(looking)
    }

    async fn use_by_others(&self, copy: &Image) -> Result<Usage, Error> {
        const NOT_KNOWN: &str = "it is not known whether other accounts use it:";
        let reports = self.usage_reports_of(copy).await?;
        Ok(Usage::InUse(match usage_report::next(&reports, self.aws.now()) {
            ReportNext::Read(report) => {
                let uses = self.read_report(copy, report).await?;
                if uses.is_empty() {
                    let own: Vec<&UsageReport> = reports.iter().filter(|report| report.is_own).collect();
                    self.delete_reports(copy, &own).await?;
                    return Ok(Usage::Unused);
                }
                told(report, &uses)
            }
            ReportNext::Wait(report) => {
                format!("{NOT_KNOWN} the image usage report {} is pending since {}", report.id, since(report))
            }
            ReportNext::Failed(report) => {
                let reason = report.state_reason.as_deref().unwrap_or("it does not say why");
                let since = since(report);
                format!("{NOT_KNOWN} EC2 could not create the image usage report {} on {since}: {reason}", report.id)
            }
            ReportNext::Order { outdated } => {
                self.order_report(copy, &outdated).await?;
                format!("{NOT_KNOWN} an image usage report is ordered")
            }
        }))
    }

    async fn usage_reports_of(&self, copy: &Image) -> Result<Vec<UsageReport>, Error> {
        let ec2 = self.local_ec2();
        let looking =
            attempting_on_visible(format!("looking for image usage reports of the copy {} in {}", copy.id, ec2.region));
        ec2.usage_reports(&copy.id).await.map_err(looking)
    }

    async fn read_report(&self, copy: &Image, report: &UsageReport) -> Result<Vec<UseByAccount>, Error> {
        let reading =
            attempting_on_visible(format!("reading the image usage report {} of the copy {}", report.id, copy.id));
        self.local_ec2().use_by_accounts(report).await.map_err(reading)
    }

    async fn order_report(&self, copy: &Image, outdated: &[&UsageReport]) -> Result<(), Error> {
        self.delete_reports(copy, outdated).await?;
        let ec2 = self.local_ec2();
        let ordering =
            attempting_on_visible(format!("ordering an image usage report of the copy {} in {}", copy.id, ec2.region));
        ec2.order_usage_report(&copy.id).await.map_err(ordering)
    }

    async fn delete_reports(&self, copy: &Image, reports: &[&UsageReport]) -> Result<(), Error> {
        for report in reports {
            let deleting =
                attempting_on_visible(format!("deleting the image usage report {} of the copy {}", report.id, copy.id));
            self.local_ec2().delete_usage_report(report).await.map_err(deleting)?;
        }
        Ok(())
    }
}

/// The accounts in a report, and when EC2 was asked for it.
fn told(report: &UsageReport, uses: &[UseByAccount]) -> String {
    let named = uses.iter().map(|it| format!("account {} ({} {})", it.account, it.count, it.kind)).collect();
    format!("other accounts use it, by the image usage report of {}: {}", since(report), enumerated(named))
}

fn since(report: &UsageReport) -> Date {
    report.created.unwrap_or(OffsetDateTime::UNIX_EPOCH).date()
}

/// The first few by name, the others by number.
fn enumerated(mut named: Vec<String>) -> String {
    let more = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", named.join(", "))
}
