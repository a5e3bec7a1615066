//! Finish: what is done once a copy is available, so that it is of use to those it is meant for.
//!
//! EC2's own event brings us here; nobody waited. Every step can be repeated. The tag `ami-courier:finished` comes last:
//! it says that all the others hold, so whatever failed before it is done by the next try.

use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{Courier, Occasion, Report, Stop, attempting};
use crate::aws::ec2::Sight;
use courier_core::identity::{AccountId, Identity, ImageId};
use courier_core::image::{Image, State, tag};
use courier_core::outcome::{CallFailed, Error, Outcome, Pace};
use courier_core::settings::{Deprecate, Principal, Protection};

impl Courier {
    /// EC2 says that an AMI of this Region changed state. The event is a hint; the AMI itself says what to do.
    pub(super) async fn copy_changed_state(&self, id: &ImageId, occasion: Occasion) -> Report {
        let here = self.here();
        let nothing = |reason: String| self.ignored(None, format!("{id} in {}: {reason}", here.region));
        let sight = match here.image(id, None).await {
            Ok(sight) => sight,
            Err(failed) => {
                return self
                    .settled(None, Error::from_aws(&format!("describing {id} in {}", here.region), &failed).into());
            }
        };
        match sight {
            Sight::Image(copy) => match copy.courier_source() {
                Some(source) => self.go_on_with(&copy, &source).await,
                None => nothing("not a copy of the courier's".to_owned()),
            },
            Sight::NotFound if !occasion.is_sure() => {
                let words = format!("{id} in {} is not to be seen yet", here.region);
                Report::new(None, Err(Error::retry(Pace::Seconds, "InvalidAMIID.NotFound", words)))
            }
            Sight::NotFound | Sight::Empty | Sight::Unavailable => nothing("the AMI is gone".to_owned()),
        }
    }

    /// The next step for a copy of the courier's, by the state it is in.
    pub(super) async fn go_on_with(&self, copy: &Image, source: &Identity) -> Report {
        let route = self.route(source);
        let nothing = |reason: String| self.ignored(Some(source), format!("the copy {}: {reason}", copy.id));
        match copy.state {
            State::Available => match self.finish(copy, source).await {
                Ok(outcome) => Report::new(Some(route), Ok(outcome)),
                Err(Stop::Ignored(reason)) => nothing(reason),
                Err(Stop::Error(error)) => Report::new(Some(route), Err(error)),
            },
            State::Failed => self.post_mortem(copy, source).await,
            State::Pending => {
                let words = format!("the copy {} of {source} is still pending", copy.id);
                Report::new(Some(route), Err(Error::retry(Pace::Seconds, "IncorrectState", words)))
            }
            State::Disabled => nothing("it is disabled".to_owned()),
            State::Deregistered => nothing("it is deregistered".to_owned()),
        }
    }

    async fn finish(&self, copy: &Image, source: &Identity) -> Result<Outcome, Stop> {
        let now = OffsetDateTime::now_utc();
        let finished = |at: OffsetDateTime, source_image: Option<&Image>| {
            let since = |created: OffsetDateTime| (at - created).whole_seconds().max(0);
            Outcome::Finished {
                image_id: copy.id.clone(),
                name: copy.name.clone(),
                route: self.route(source),
                duration_seconds: copy.created.map(since),
                lag_seconds: source_image.and_then(|source| source.created).map(since),
                size_gib: copy.size_gib(),
            }
        };
        if let Some(before) = copy.tags.get(tag::FINISHED) {
            return Ok(finished(OffsetDateTime::parse(before, &Rfc3339).unwrap_or(now), None));
        }
        let source_image = self.source_of(source).await?;
        let finished = finished(now, source_image.as_ref());
        self.share(copy).await?;
        self.deprecate(copy, source_image.as_ref(), now).await?;
        self.protect(copy).await?;
        self.publish(copy, source, source_image.as_ref()).await?;
        self.announce_finish(&finished, copy).await?;
        let here = self.here();
        let time = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default();
        let tagging = finishing(format!("tagging the copy {} in {} as finished", copy.id, here.region));
        here.tag(&copy.id, tag::FINISHED, &time).await.map_err(tagging)?;
        Ok(finished)
    }

    /// The source AMI, if what finishing needs of it is needed at all and it is still there.
    async fn source_of(&self, source: &Identity) -> Result<Option<Image>, Error> {
        let finishing = &self.settings.finishing;
        if finishing.deprecate != Deprecate::Source && finishing.parameter_name.is_none() {
            return Ok(None);
        }
        let looking = attempting(format!("describing the source AMI {source}"));
        Ok(match self.aws.ec2(&source.region).image(&source.image, None).await.map_err(looking)? {
            Sight::Image(image) => Some(*image),
            Sight::Empty | Sight::Unavailable | Sight::NotFound => None,
        })
    }

    /// Snapshots first: an account that can launch the AMI but not copy it would be half served.
    async fn share(&self, copy: &Image) -> Result<(), Stop> {
        let with = self.settings.finishing.share_with.as_slice();
        if with.is_empty() {
            return Ok(());
        }
        let here = self.here();
        let accounts: Vec<&AccountId> = with
            .iter()
            .filter_map(|principal| match principal {
                Principal::Account(account) => Some(account),
                _ => None,
            })
            .collect();
        if copy.volumes.iter().any(|volume| volume.snapshot.is_none()) {
            let words = format!("the copy {} in {} does not show its snapshots yet", copy.id, here.region);
            return Err(Error::retry(Pace::Seconds, "InvalidSnapshot.NotFound", words).into());
        }
        if !accounts.is_empty() {
            for snapshot in copy.snapshots() {
                let attempt = format!("sharing the snapshot {snapshot} of the copy {} in {}", copy.id, here.region);
                here.share_snapshot(&snapshot, &accounts).await.map_err(sharing(attempt))?;
            }
        }
        let attempt = format!("sharing the copy {} in {}", copy.id, here.region);
        Ok(here.share_image(&copy.id, with).await.map_err(sharing(attempt))?)
    }

    async fn deprecate(&self, copy: &Image, source: Option<&Image>, now: OffsetDateTime) -> Result<(), Stop> {
        let wanted = match self.settings.finishing.deprecate {
            Deprecate::Never => None,
            Deprecate::Source => source.and_then(|source| source.deprecated_from),
            Deprecate::Days(days) => Some(copy.created.unwrap_or(now) + Duration::days(days.into())),
        };
        let Some(at) = wanted.map(|wanted| nearest_deprecation(wanted, now)) else { return Ok(()) };
        let here = self.here();
        let deprecating =
            finishing(format!("setting the deprecation time of the copy {} in {} to {at}", copy.id, here.region));
        Ok(here.deprecate(&copy.id, at).await.map_err(deprecating)?)
    }

    async fn protect(&self, copy: &Image) -> Result<(), Stop> {
        let with_cooldown = match self.settings.finishing.protection {
            Protection::Off => return Ok(()),
            Protection::On => false,
            Protection::WithCooldown => true,
        };
        if copy.protected {
            return Ok(());
        }
        let here = self.here();
        let protecting = finishing(format!("protecting the copy {} in {} from deregistration", copy.id, here.region));
        Ok(here.protect(&copy.id, with_cooldown).await.map_err(protecting)?)
    }

    /// Part of the finish, so it is repeated until the bus has taken it.
    async fn announce_finish(&self, finished: &Outcome, copy: &Image) -> Result<(), Stop> {
        let Some(bus) = &self.settings.finishing.event_bus else { return Ok(()) };
        let telling = attempting(format!("telling the event bus `{bus}` that the copy {} is finished", copy.id));
        let event = self.aws.event_bus(bus).put(&json!(finished), vec![self.arn(&copy.id)]).await;
        Ok(event.map_err(telling)?)
    }

    /// An AMI's ARN: there is no account in it.
    #[must_use]
    pub fn arn(&self, id: &ImageId) -> String {
        let here = &self.settings.here;
        format!("arn:{}:ec2:{here}::image/{id}", here.partition())
    }
}

/// EC2 refuses a time in the past and one more than ten years ahead, and counts in minutes.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html>
fn nearest_deprecation(wanted: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    wanted.clamp(now + Duration::minutes(2), now + Duration::days(3650))
}

/// A failed step of the finish. The copy was seen a moment ago: what EC2 does not find now, the next try looks for again.
fn finishing(attempt: String) -> impl FnOnce(CallFailed) -> Error {
    move |failed| match failed.code.as_deref() {
        Some(code @ ("InvalidAMIID.NotFound" | "InvalidSnapshot.NotFound")) => {
            Error::retry(Pace::Seconds, code, format!("{attempt}: {}", failed.words))
        }
        _ => Error::from_aws(&attempt, &failed),
    }
}

/// As [`finishing`]. EC2's words for what is under `aws/ebs` do not say what to do.
fn sharing(attempt: String) -> impl FnOnce(CallFailed) -> Error {
    move |failed| {
        let said = failed.words.to_ascii_lowercase();
        let is_aws_managed = ["default key", "aws managed"].iter().any(|sign| said.contains(sign));
        match finishing(attempt)(failed) {
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
