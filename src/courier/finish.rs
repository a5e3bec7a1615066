//! Finish: what is done once a copy is available, so that the accounts it is meant for can use it.
//!
//! EC2's own event starts this step; nothing waited for it. Every part can be repeated. The courier's event and the tag
//! `ami-courier:finished` come last, in this order: the tag says that everything else holds. A new part of the finish goes into
//! [`Finish::step`].

use courier_core::error::{Error, Remedy};
use courier_core::finish::{self, Share};
use courier_core::identity::Identity;
use courier_core::image::{Image, MadeFor, tag};
use courier_core::outcome::Outcome;
use courier_core::settings::{Deprecate, Protection};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::info;

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
            return Ok(Report::new(route, Ok(self.finished(None, None, at))));
        }
        let source_image = self.source_image().await?;
        let not_shared = self.share().await?;
        self.deprecate(source_image.as_ref(), now).await?;
        self.protect().await?;
        if let Some(template) = &self.courier.settings.finishing.parameter_name
            && self.may_be_published().await?
        {
            let source_image = source_image.as_ref();
            Publish { courier: self.courier, copy, source: self.source, source_image }.run(template).await?;
        }
        let mark = LastStep::MarkFinished { copy: copy.id.clone(), at: now };
        Ok(Report::new(route, Ok(self.finished(source_image.as_ref(), not_shared, now))).then(mark))
    }

    fn finished(&self, source_image: Option<&Image>, not_shared: Option<String>, at: OffsetDateTime) -> Outcome {
        let since = |created: OffsetDateTime| (at - created).whole_seconds().max(0);
        Outcome::Finished {
            image_id: self.copy.id.clone(),
            name: self.copy.name.clone(),
            route: self.courier.route(self.source),
            duration_seconds: self.copy.created.map(since),
            lag_seconds: source_image.and_then(|source| source.created).map(since),
            size_gib: self.copy.size_gib(),
            not_shared,
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

    /// Snapshots first, so that an account that can launch the AMI can copy it as well. A blank volume has no snapshot. Returns why the
    /// copy is not shared, if it can never be.
    async fn share(&self) -> Result<Option<String>, Error> {
        let (copy, ec2) = (self.copy, self.courier.local_ec2());
        let with = match finish::share(copy, &self.courier.settings.finishing) {
            Share::With([]) => return Ok(None),
            Share::With(with) => with,
            Share::Not(reason) => {
                info!(copy = %copy.id, reason, "the copy is not shared");
                return Ok(Some(reason));
            }
        };
        for snapshot in copy.snapshots() {
            let shared = ec2.share_snapshot(&snapshot, with).await;
            let doing = format_args!("sharing the snapshot {snapshot} of the copy {} in {}", copy.id, ec2.region);
            explained(shared, doing)?;
        }
        let shared = ec2.share_image(&copy.id, with).await;
        explained(shared, format_args!("sharing the copy {} in {}", copy.id, ec2.region))?;
        Ok(None)
    }

    /// The copy of a request is published only where its source has no copy for an announcement.
    async fn may_be_published(&self) -> Result<bool, Error> {
        let copy = self.copy;
        if let Some(reason) = finish::never_published(copy) {
            info!(copy = %copy.id, reason, "the copy is not published");
            return Ok(false);
        }
        if !matches!(copy.made_for(), Some(MadeFor::Request(..))) {
            return Ok(true);
        }
        let ec2 = self.courier.local_ec2();
        let copies = ec2.copies_of(self.source).await;
        let copies = copies.when(format_args!("looking for copies of {} in {}", self.source, ec2.region))?;
        let is_announced = |other: &&Image| {
            let is_own = other.courier_source().is_some() && matches!(other.made_for(), Some(MadeFor::Announcement(_)));
            other.state.is_live() && is_own
        };
        Ok(match copies.iter().find(is_announced) {
            Some(announced) => {
                info!(copy = %copy.id, announced = %announced.id, "the copy is not published: its source has an announced one");
                false
            }
            None => true,
        })
    }

    async fn deprecate(&self, source: Option<&Image>, now: OffsetDateTime) -> Result<(), Error> {
        let (copy, finishing) = (self.copy, &self.courier.settings.finishing);
        let Some(at) = finish::deprecation(copy, source, finishing, now) else { return Ok(()) };
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

/// EC2's message about a copy under `aws/ebs` does not say what to do, nor does the one about block public access.
fn explained(shared: Result<(), CallError>, doing: std::fmt::Arguments<'_>) -> Result<(), Error> {
    const ADVICE: [(&str, &str); 3] = [
        ("default key", AWS_MANAGED_KEY),
        ("aws managed", AWS_MANAGED_KEY),
        (
            "block public access",
            "SHARE_WITH=all makes copies and their snapshots public: turn off block public access for both in this Region (`aws ec2 \
             disable-image-block-public-access`, `aws ec2 disable-snapshot-block-public-access`), or change SHARE_WITH; then send the \
             message again",
        ),
    ];
    const AWS_MANAGED_KEY: &str = "a copy that is encrypted under the AWS managed key `aws/ebs` cannot be shared: set KMS_KEY_ID to a customer managed \
                                   key that those accounts may use, deregister this copy and announce the AMI again";
    let message = shared.as_ref().err().map(|failed| failed.message.to_ascii_lowercase()).unwrap_or_default();
    let advice = ADVICE.iter().find(|(sign, _)| message.contains(sign));
    shared.when_seen(doing).map_err(|error| match advice {
        Some((_, advice)) if error.retry_after().is_none() => {
            Error { remedy: Remedy::Advice((*advice).to_owned()), ..error }
        }
        _ => error,
    })
}
