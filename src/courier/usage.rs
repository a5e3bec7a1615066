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

use super::stack::Courier;
use crate::aws::ec2::UseByAccount;
use crate::aws::error::When;

/// An AMI that was launched within this time counts as in use, even when nothing refers to it.
const LATELY: Duration = Duration::days(30);
/// How many references or accounts are named.
const NAMED: usize = 5;

/// Who needs one copy.
#[derive(Clone, Copy)]
pub(super) struct Users<'a> {
    pub(super) courier: &'a Courier,
    pub(super) copy: &'a Image,
}

impl Users<'_> {
    /// Who or what uses the copy. Orders an image usage report if that is needed to know it.
    pub(super) async fn usage(self) -> Result<Usage, Error> {
        let now = self.courier.aws.now();
        if let Some(launched) = self.copy.last_launched.filter(|launched| now - *launched < LATELY) {
            return Ok(Usage::InUse(format!("it was launched on {}", launched.date())));
        }
        if let Some(references) = self.references().await? {
            return Ok(Usage::InUse(format!("{references} refer to it")));
        }
        if self.others_may_launch().await? { self.by_others().await } else { Ok(Usage::Unused) }
    }

    /// Orders the first image usage report of a copy, if others may launch it. It is the early warning while the copy waits.
    pub(super) async fn order_first_report(self) -> Result<(), Error> {
        if self.others_may_launch().await? {
            let reports = self.reports().await?;
            if let ReportNext::Order { outdated } = usage_report::next(&reports, self.courier.aws.now()) {
                self.order_report(&outdated).await?;
            }
        }
        Ok(())
    }

    /// The other accounts that use the copy, as far as an earlier report shows them.
    pub(super) async fn known(self) -> Result<Option<String>, Error> {
        if !self.others_may_launch().await? {
            return Ok(None);
        }
        let reports = self.reports().await?;
        let Some(report) = usage_report::newest_complete(&reports) else { return Ok(None) };
        let uses = self.read_report(report).await?;
        Ok((!uses.is_empty()).then(|| describe_use(report, &uses)))
    }

    async fn references(self) -> Result<Option<String>, Error> {
        let (copy, ec2) = (&self.copy.id, self.courier.local_ec2());
        let references = ec2.references(copy).await;
        let references =
            references.when_seen(format_args!("looking for what refers to the copy {copy} in {}", ec2.region))?;
        let named = references.iter().map(|reference| format!("{} {}", reference.kind, reference.arn)).collect();
        Ok((!references.is_empty()).then(|| enumerated(named)))
    }

    /// Nobody else can launch an AMI that is disabled or pending.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/disable-an-ami.html>
    async fn others_may_launch(self) -> Result<bool, Error> {
        if self.copy.state != State::Available {
            return Ok(false);
        }
        if !self.courier.settings.finishing.share_with.is_empty() {
            return Ok(true);
        }
        let (copy, ec2) = (&self.copy.id, self.courier.local_ec2());
        let shared_with = ec2.launch_permissions(copy).await;
        let shared_with =
            shared_with.when_seen(format_args!("looking who may launch the copy {copy} in {}", ec2.region))?;
        Ok(!shared_with.is_empty())
    }

    async fn by_others(self) -> Result<Usage, Error> {
        const NOT_KNOWN: &str = "it is not known whether other accounts use it:";
        let reports = self.reports().await?;
        Ok(Usage::InUse(match usage_report::next(&reports, self.courier.aws.now()) {
            ReportNext::Read(report) => {
                let uses = self.read_report(report).await?;
                let left_out = report.left_out();
                if uses.is_empty() && !left_out.is_empty() {
                    return Ok(Usage::InUse(format!(
                        "{NOT_KNOWN} the image usage report of {} is not about {}; if EC2 in {} refuses to report on that, \
                         deregister the copy yourself once no other account uses it",
                        since(report),
                        left_out.join(" and "),
                        self.courier.settings.stack_region
                    )));
                }
                if uses.is_empty() {
                    let own: Vec<&UsageReport> = reports.iter().filter(|report| report.is_own).collect();
                    self.delete_reports(&own).await?;
                    return Ok(Usage::Unused);
                }
                describe_use(report, &uses)
            }
            ReportNext::Wait(report) => {
                format!("{NOT_KNOWN} the image usage report {} has been pending since {}", report.id, since(report))
            }
            ReportNext::Failed(report) => {
                let reason = report.state_reason.as_deref().unwrap_or("it does not say why");
                let since = since(report);
                format!("{NOT_KNOWN} EC2 could not create the image usage report {} on {since}: {reason}", report.id)
            }
            ReportNext::Order { outdated } => {
                self.order_report(&outdated).await?;
                format!("{NOT_KNOWN} an image usage report is ordered")
            }
        }))
    }

    async fn reports(self) -> Result<Vec<UsageReport>, Error> {
        let (copy, ec2) = (&self.copy.id, self.courier.local_ec2());
        let reports = ec2.usage_reports(copy).await;
        reports.when_seen(format_args!("looking for image usage reports of the copy {copy} in {}", ec2.region))
    }

    async fn read_report(self, report: &UsageReport) -> Result<Vec<UseByAccount>, Error> {
        let uses = self.courier.local_ec2().use_by_accounts(report).await;
        uses.when_seen(format_args!("reading the image usage report {} of the copy {}", report.id, self.copy.id))
    }

    async fn order_report(self, outdated: &[&UsageReport]) -> Result<(), Error> {
        self.delete_reports(outdated).await?;
        let (copy, ec2) = (&self.copy.id, self.courier.local_ec2());
        let ordered = ec2.order_usage_report(copy).await;
        ordered.when_seen(format_args!("ordering an image usage report of the copy {copy} in {}", ec2.region))
    }

    async fn delete_reports(self, reports: &[&UsageReport]) -> Result<(), Error> {
        for report in reports {
            let deleted = self.courier.local_ec2().delete_usage_report(report).await;
            deleted.when_seen(format_args!(
                "deleting the image usage report {} of the copy {}",
                report.id, self.copy.id
            ))?;
        }
        Ok(())
    }
}

/// The accounts in a report, and when EC2 was asked for it.
fn describe_use(report: &UsageReport, uses: &[UseByAccount]) -> String {
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
