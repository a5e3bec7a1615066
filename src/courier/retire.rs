//! Retire: a copy follows its source out of service, but only on evidence, and never while it is in use.
//!
//! The event alone is not believed. EC2 in the source Region must no longer have the AMI; a source that is merely out of
//! sight (not shared any more, no permission) retires nothing. When in doubt, the copy stays and the outcome says what
//! holds it.

use time::{Duration, OffsetDateTime};

use super::{Courier, Report, Stop, attempting};
use crate::aws::ec2::Sight;
use crate::identity::Identity;
use crate::image::{Image, State, tag};
use crate::outcome::{Error, Outcome};
use crate::selection;

/// An AMI that was launched within this time is taken to be in use, even when nothing refers to it.
const LATELY: Duration = Duration::days(30);

/// What EC2 in the source Region says of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    InService,
    Disabled,
    Deregistered,
    /// Not to be seen: that proves nothing.
    OutOfSight,
}

impl Courier {
    /// Retires the courier's copies of a source, if the settings say so and the source is gone.
    pub(super) async fn retire_copies_of(&self, source: &Identity) -> Vec<Report> {
        let nothing = |reason: &str| vec![self.ignored(Some(source), reason.to_owned())];
        if !self.settings.retire_with_source {
            return nothing("the source AMI is out of service; its copies stay (RETIRE_WITH_SOURCE is not set)");
        }
        if let Err(reason) = selection::region_is_allowed(&source.region, &self.settings) {
            return nothing(&reason);
        }
        let here = self.here();
        let looking = attempting(format!("looking for copies of {source} in {}", here.region));
        let copies: Vec<Image> = match here.copies_of(source).await.map_err(looking) {
            Ok(copies) => copies
                .into_iter()
                .filter(|copy| copy.state.is_live() && copy.courier_source().as_ref() == Some(source))
                .collect(),
            Err(error) => return vec![self.settled(Some(source), error.into())],
        };
        if copies.is_empty() {
            return nothing("the source AMI is out of service; there is no copy of the courier's here");
        }
        let mut reports = Vec::new();
        for copy in &copies {
            reports.push(self.retire(copy, source).await);
        }
        reports
    }

    /// Retires one copy, if its source is really gone and nothing holds the copy.
    pub(super) async fn retire(&self, copy: &Image, source: &Identity) -> Report {
        match self.retire_on_evidence(copy, source).await {
            Ok(outcome) => Report::new(Some(self.route(source)), Ok(outcome)),
            Err(stop) => self.settled(Some(source), stop),
        }
    }

    async fn retire_on_evidence(&self, copy: &Image, source: &Identity) -> Result<Outcome, Stop> {
        let here = self.here();
        let stays = |why: String| Stop::Ignored(format!("the copy {} stays: {why}", copy.id));
        let retired = |reason: &str| Outcome::Retired {
            image_id: copy.id.clone(),
            name: copy.name.clone(),
            route: self.route(source),
            reason: reason.to_owned(),
        };
        match self.fate_of(source, copy).await? {
            Fate::InService => Err(stays("EC2 still has its source AMI".to_owned())),
            Fate::OutOfSight => {
                Err(stays("its source AMI is out of sight, which does not prove that it is deregistered".to_owned()))
            }
            Fate::Disabled if copy.state == State::Disabled => Ok(retired("it is disabled, as its source AMI is")),
            Fate::Disabled => {
                let disabling = attempting(format!("disabling the copy {} in {}", copy.id, here.region));
                here.disable(&copy.id).await.map_err(disabling)?;
                Ok(retired("it is disabled, as its source AMI is"))
            }
            Fate::Deregistered => {
                if let Some(holder) = self.what_holds(copy).await? {
                    return Err(stays(holder));
                }
                let deregistering = attempting(format!("deregistering the copy {} in {}", copy.id, here.region));
                here.deregister(&copy.id).await.map_err(deregistering)?;
                Ok(retired("it is deregistered with its snapshots, as its source AMI is"))
            }
        }
    }

    async fn fate_of(&self, source: &Identity, copy: &Image) -> Result<Fate, Error> {
        let looking = attempting(format!("describing the source AMI {source}"));
        let sight = self.aws.ec2(&source.region).image(&source.image, None).await.map_err(looking)?;
        Ok(match sight {
            Sight::Image(image) => match image.state {
                State::Deregistered => Fate::Deregistered,
                State::Disabled => Fate::Disabled,
                _ => Fate::InService,
            },
            Sight::Empty => Fate::Deregistered,
            // Of another account's AMI this may only mean that it is not shared any more; of our own it means that it is gone.
            Sight::NotFound if self.is_our_own(copy) => Fate::Deregistered,
            Sight::NotFound | Sight::Unavailable => Fate::OutOfSight,
        })
    }

    /// Whether the source belongs to the account that its copy belongs to.
    fn is_our_own(&self, copy: &Image) -> bool {
        let source_owner = copy.tags.get(tag::SOURCE_OWNER);
        source_owner.is_some()
            && source_owner.map(String::as_str) == copy.owner.as_ref().map(crate::identity::AccountId::as_str)
    }

    /// What would miss the copy.
    async fn what_holds(&self, copy: &Image) -> Result<Option<String>, Error> {
        if copy.protected {
            return Ok(Some("it is protected from deregistration".to_owned()));
        }
        if let Some(launched) = copy.last_launched.filter(|launched| OffsetDateTime::now_utc() - *launched < LATELY) {
            return Ok(Some(format!("it was launched on {}", launched.date())));
        }
        let here = self.here();
        let looking = attempting(format!("looking for what refers to the copy {} in {}", copy.id, here.region));
        let references = here.references(&copy.id).await.map_err(looking)?;
        if references.is_empty() {
            return Ok(None);
        }
        let shown: Vec<String> =
            references.iter().take(5).map(|reference| format!("{} {}", reference.kind, reference.arn)).collect();
        let more = references.len().saturating_sub(shown.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        Ok(Some(format!("it is referred to by {}{more}", shown.join(", "))))
    }
}
