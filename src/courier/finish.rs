//! Finish: what is done once a copy is available, so that the accounts it is meant for can use it.
//!
//! EC2's own event starts this step; nothing waited for it. Every part can be repeated. The courier's event and the tag
//! `ami-courier:finished` come last, in this order: the tag says that everything else holds. A new part of the finish goes into
//! [`Finish::step`].

use courier_core::error::{Error, Remedy};
use courier_core::identity::{AccountId, Identity};
use courier_core::image::{Image, tag};
use courier_core::outcome::Outcome;
use courier_core::settings::{Deprecate, Principal, Protection};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::publish::Publish;
use super::report::{LastStep, Report};
use super::stack::{Courier, Stop};
use crate::aws::error::{CallError, When};

/// The finish of one available copy.
pub(super) struct Finish<'a> {
    pub(super) courier: &'a Courier,
    pub(super) copy: &'a Image,
    pub(super) source: &'a Identity,
}

impl Finish<'_> {
    pub(super) async fn run(&self) -> Report {
        self.step().await.unwrap_or_else(|stop| match stop {
            Stop::Ignored(reason) => {
                self.courier.ignored(Some(self.source), format!("the copy {}: {reason}", self.copy.id))
            }
            stop => self.courier.stopped(Some(self.source), stop),
        })
    }

    async fn step(&self) -> Result<Report, Stop> {
        let (copy, now) = (self.copy, self.courier.aws.now());
        let route = Some(self.courier.route(self.source));
        if let Some(before) = copy.tags.get(tag::FINISHED) {
            let at = OffsetDateTime::parse(before, &Rfc3339).unwrap_or(now);
            return Ok(Report::new(route, Ok(self.finished(None, at))));
        }
        let source_image = self.source_image().await?;
        self.share().await?;
        self.deprecate(source_image.as_ref(), now).await?;
        self.protect().await?;
        if let Some(template) = &self.courier.settings.finishing.parameter_name {
            let source_image = source_image.as_ref();
            Publish { courier: self.courier, copy, source: self.source, source_image }.run(template).await?;
        }
        let mark = LastStep::MarkFinished { copy: copy.id.clone(), at: now };
        Ok(Report::new(route, Ok(self.finished(source_image.as_ref(), now))).then(mark))
    }

    fn finished(&self, source_image: Option<&Image>, at: OffsetDateTime) -> Outcome {
        let since = |created: OffsetDateTime| (at - created).whole_seconds().max(0);
        Outcome::Finished {
            image_id: self.copy.id.clone(),
            name: self.copy.name.clone(),
            route: self.courier.route(self.source),
            duration_seconds: self.copy.created.map(since),
            lag_seconds: source_image.and_then(|source| source.created).map(since),
            size_gib: self.copy.size_gib(),
        }
    }

    /// The source AMI, if a part of the finish needs it and it still exists.
    async fn source_image(&self) -> Result<Option<Image>, Error> {
        let finishing = &self.courier.settings.finishing;
        if finishing.deprecate != Deprecate::Source && finishing.parameter_name.is_none() {
            return Ok(None);
        }
        let found = self.courier.aws.ec2(&self.source.region).image(&self.source.image, None).await;
        found.when(format_args!("describing the source AMI {}", self.source))
    }

    /// Snapshots first, so that an account that can launch the AMI can copy it as well. A blank volume has no snapshot.
    async fn share(&self) -> Result<(), Error> {
        let with = self.courier.settings.finishing.share_with.as_slice();
        if with.is_empty() {
            return Ok(());
        }
        let (copy, ec2) = (self.copy, self.courier.local_ec2());
        let accounts: Vec<&AccountId> = with
            .iter()
            .filter_map(|principal| match principal {
                Principal::Account(account) => Some(account),
                _ => None,
            })
            .collect();
        if !accounts.is_empty() {
            for snapshot in copy.snapshots() {
                let shared = ec2.share_snapshot(&snapshot, &accounts).await;
                let doing = format_args!("sharing the snapshot {snapshot} of the copy {} in {}", copy.id, ec2.region);
                explained(shared, doing)?;
            }
        }
        let shared = ec2.share_image(&copy.id, with).await;
        explained(shared, format_args!("sharing the copy {} in {}", copy.id, ec2.region))
    }

    async fn deprecate(&self, source: Option<&Image>, now: OffsetDateTime) -> Result<(), Error> {
        let copy = self.copy;
        let wanted = match self.courier.settings.finishing.deprecate {
            Deprecate::Never => None,
            Deprecate::Source => source.and_then(|source| source.deprecated_from),
            Deprecate::Days(days) => Some(copy.created.unwrap_or(now) + Duration::days(days.into())),
        };
        let Some(at) = wanted.map(|wanted| nearest_deprecation(wanted, now)) else { return Ok(()) };
        let ec2 = self.courier.local_ec2();
        let deprecated = ec2.deprecate(&copy.id, at).await;
        deprecated
            .when_seen(format_args!("setting the deprecation time of the copy {} in {} to {at}", copy.id, ec2.region))
    }

    async fn protect(&self) -> Result<(), Error> {
        let with_cooldown = match self.courier.settings.finishing.protection {
            Protection::Off => return Ok(()),
            Protection::On => false,
            Protection::WithCooldown => true,
        };
        let (copy, ec2) = (self.copy, self.courier.local_ec2());
        if copy.protected {
            return Ok(());
        }
        let protected = ec2.protect(&copy.id, with_cooldown).await;
        protected.when_seen(format_args!("protecting the copy {} in {} from deregistration", copy.id, ec2.region))
    }
}

/// EC2 refuses a time in the past and one more than ten years ahead, and counts in minutes.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html>
fn nearest_deprecation(wanted: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    wanted.clamp(now + Duration::minutes(2), now + Duration::days(3650))
}

/// EC2's message about a copy under `aws/ebs` does not say what to do.
fn explained(shared: Result<(), CallError>, doing: std::fmt::Arguments<'_>) -> Result<(), Error> {
    let is_aws_managed = shared.as_ref().is_err_and(|failed| {
        let message = failed.message.to_ascii_lowercase();
        ["default key", "aws managed"].iter().any(|sign| message.contains(sign))
    });
    shared.when_seen(doing).map_err(|error| {
        if error.retry_after().is_some() || !is_aws_managed {
            return error;
        }
        let advice = "a copy that is encrypted under the AWS managed key `aws/ebs` cannot be shared: set KMS_KEY_ID to a customer managed \
                      key that those accounts may use, deregister this copy and announce the AMI again";
        Error { remedy: Remedy::Advice(advice.to_owned()), ..error }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deprecation_time_in_the_past_or_too_far_ahead_becomes_the_nearest_that_ec2_takes() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let soon = now + Duration::days(30);
        assert_eq!(nearest_deprecation(soon, now), soon);
        assert_eq!(nearest_deprecation(now - Duration::days(1), now), now + Duration::minutes(2));
        assert_eq!(nearest_deprecation(now + Duration::days(9000), now), now + Duration::days(3650));
    }
}
