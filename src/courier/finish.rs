//! Finish: what is done once a copy is available, so that the accounts it is meant for can use it.
//!
//! EC2's own event starts this step; nothing waited for it. Every part can be repeated. The courier's event and the tag
//! `ami-courier:finished` come last, in this order: the tag says that everything else holds.

use courier_core::announcement::AnnouncedBy;
use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{AccountId, Identity, ImageId};
use courier_core::image::{Image, State, tag};
use courier_core::outcome::Outcome;
use courier_core::protocol::Resume;
use courier_core::settings::{Deprecate, Principal, Protection};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tracing::{Instrument, info_span};

use super::copy::{CopyOrder, CopyReason};
use super::report::{LastStep, Report};
use super::step::{Courier, DeliveryAttempt, StepEnd};
use crate::aws::ec2::ImageLookup;
use crate::aws::error::{CallError, attempting, attempting_on_visible};

impl Courier {
    /// An AMI of this Region changed state, says EC2 or a sweep. That is a hint; the AMI itself decides what to do.
    pub(super) async fn changed_here(&self, id: &ImageId, attempt: DeliveryAttempt) -> Vec<Report> {
        let ec2 = self.local_ec2();
        let nothing = |reason: String| self.ignored(None, format!("{id} in {}: {reason}", ec2.region));
        let describing = attempting(format!("describing {id} in {}", ec2.region));
        let report = match ec2.image(id, None).await.map_err(describing) {
            Err(error) => self.ended(None, error.into()),
            Ok(ImageLookup::Image(image)) if self.copies_within_region() && self.is_of_another_account(&image) => {
                let source = image.identity(&ec2.region);
                let order = CopyOrder::new(&source, CopyReason::Announced(AnnouncedBy::Ec2), Resume::FromStart);
                return self.copy_traced(order, attempt).await;
            }
            Ok(ImageLookup::Image(copy)) => match copy.courier_source() {
                Some(source) => {
                    let span = info_span!("source", image = %source.image, region = %source.region);
                    self.advance(&copy, &source).instrument(span).await
                }
                None => nothing("not a copy of the courier's".to_owned()),
            },
            // A failed copy may become visible later than its event.
            Ok(_) if attempt.may_wait(self.aws.now()) => {
                let message = format!("{id} in {} is not visible yet", ec2.region);
                Report::new(None, Err(Error::retry(RetryAfter::Seconds, code::IMAGE_NOT_FOUND, message)))
            }
            Ok(_) => nothing("the AMI is gone, or not visible".to_owned()),
        };
        vec![report]
    }

    /// Whether AMIs of other accounts in this stack's own Region are copied.
    pub(super) fn copies_within_region(&self) -> bool {
        self.settings.sources.regions.contains(&self.settings.stack_region)
    }

    /// The next step for a copy of the courier's, by the state it is in.
    async fn advance(&self, copy: &Image, source: &Identity) -> Report {
        let nothing = |reason: &str| self.ignored(Some(source), format!("the copy {}: {reason}", copy.id));
        match copy.state {
            State::Available => match self.finish(copy, source).await {
                Ok(report) => report,
                Err(StepEnd::Ignored(reason)) => nothing(&reason),
                Err(end) => self.ended(Some(source), end),
            },
            State::Failed => self.post_mortem(copy, source).await,
            State::Pending => {
                let message = format!("the copy {} of {source} is still pending", copy.id);
                let error = Error::retry(RetryAfter::Seconds, code::INCORRECT_STATE, message);
                Report::new(Some(self.route(source)), Err(error))
            }
            State::Disabled => nothing("it is disabled"),
            State::Deregistered => nothing("it is deregistered"),
        }
    }

    async fn finish(&self, copy: &Image, source: &Identity) -> Result<Report, StepEnd> {
        let now = self.aws.now();
        if let Some(before) = copy.tags.get(tag::FINISHED) {
            let at = OffsetDateTime::parse(before, &Rfc3339).unwrap_or(now);
            return Ok(Report::new(Some(self.route(source)), Ok(self.finished(copy, source, None, at))));
        }
        let source_image = self.source_of(source).await?;
        self.share(copy).await?;
        self.deprecate(copy, source_image.as_ref(), now).await?;
        self.protect(copy).await?;
        self.publish(copy, source, source_image.as_ref()).await?;
        let finished = self.finished(copy, source, source_image.as_ref(), now);
        let mark = LastStep::MarkFinished { copy: copy.id.clone(), at: now };
        Ok(Report::new(Some(self.route(source)), Ok(finished)).then(mark))
    }

    fn finished(&self, copy: &Image, source: &Identity, source_image: Option<&Image>, at: OffsetDateTime) -> Outcome {
        let since = |created: OffsetDateTime| (at - created).whole_seconds().max(0);
        Outcome::Finished {
            image_id: copy.id.clone(),
            name: copy.name.clone(),
            route: self.route(source),
            duration_seconds: copy.created.map(since),
            lag_seconds: source_image.and_then(|source| source.created).map(since),
            size_gib: copy.size_gib(),
        }
    }

    /// The source AMI, if a part of the finish needs it and it still exists.
    async fn source_of(&self, source: &Identity) -> Result<Option<Image>, Error> {
        let finishing = &self.settings.finishing;
        if finishing.deprecate != Deprecate::Source && finishing.parameter_name.is_none() {
            return Ok(None);
        }
        let looking = attempting(format!("describing the source AMI {source}"));
        Ok(match self.aws.ec2(&source.region).image(&source.image, None).await.map_err(looking)? {
            ImageLookup::Image(image) => Some(*image),
            ImageLookup::Empty | ImageLookup::Unavailable | ImageLookup::NotFound => None,
        })
    }

    /// Snapshots first, so that an account that can launch the AMI can copy it as well. A blank volume has no snapshot.
    async fn share(&self, copy: &Image) -> Result<(), StepEnd> {
        let with = self.settings.finishing.share_with.as_slice();
        if with.is_empty() {
            return Ok(());
        }
        let ec2 = self.local_ec2();
        let accounts: Vec<&AccountId> = with
            .iter()
            .filter_map(|principal| match principal {
                Principal::Account(account) => Some(account),
                _ => None,
            })
            .collect();
        if !accounts.is_empty() {
            for snapshot in copy.snapshots() {
                let attempt = format!("sharing the snapshot {snapshot} of the copy {} in {}", copy.id, ec2.region);
                ec2.share_snapshot(&snapshot, &accounts).await.map_err(sharing(attempt))?;
            }
        }
        let attempt = format!("sharing the copy {} in {}", copy.id, ec2.region);
        Ok(ec2.share_image(&copy.id, with).await.map_err(sharing(attempt))?)
    }

    async fn deprecate(&self, copy: &Image, source: Option<&Image>, now: OffsetDateTime) -> Result<(), StepEnd> {
        let wanted = match self.settings.finishing.deprecate {
            Deprecate::Never => None,
            Deprecate::Source => source.and_then(|source| source.deprecated_from),
            Deprecate::Days(days) => Some(copy.created.unwrap_or(now) + Duration::days(days.into())),
        };
        let Some(at) = wanted.map(|wanted| nearest_deprecation(wanted, now)) else { return Ok(()) };
        let ec2 = self.local_ec2();
        let deprecating = attempting_on_visible(format!(
            "setting the deprecation time of the copy {} in {} to {at}",
            copy.id, ec2.region
        ));
        Ok(ec2.deprecate(&copy.id, at).await.map_err(deprecating)?)
    }

    async fn protect(&self, copy: &Image) -> Result<(), StepEnd> {
        let with_cooldown = match self.settings.finishing.protection {
            Protection::Off => return Ok(()),
            Protection::On => false,
            Protection::WithCooldown => true,
        };
        if copy.protected {
            return Ok(());
        }
        let ec2 = self.local_ec2();
        let protecting =
            attempting_on_visible(format!("protecting the copy {} in {} from deregistration", copy.id, ec2.region));
        Ok(ec2.protect(&copy.id, with_cooldown).await.map_err(protecting)?)
    }
}

/// EC2 refuses a time in the past and one more than ten years ahead, and counts in minutes.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html>
fn nearest_deprecation(wanted: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    wanted.clamp(now + Duration::minutes(2), now + Duration::days(3650))
}

/// As [`attempting_on_visible`]. EC2's message about a copy under `aws/ebs` does not say what to do.
fn sharing(attempt: String) -> impl FnOnce(CallError) -> Error {
    move |failed| {
        let message = failed.message.to_ascii_lowercase();
        let is_aws_managed = ["default key", "aws managed"].iter().any(|sign| message.contains(sign));
        match attempting_on_visible(attempt)(failed) {
            Error::Rejected(mut rejection) if is_aws_managed => {
                "a copy that is encrypted under the AWS managed key `aws/ebs` cannot be shared: set KMS_KEY_ID to a customer managed \
                 key that those accounts may use, deregister this copy and announce the AMI again"
                    .clone_into(&mut rejection.advice);
                Error::Rejected(rejection)
            }
            error => error,
        }
    }
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
