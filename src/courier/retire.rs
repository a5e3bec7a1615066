//! Retire: a copy follows its source out of service, but only on evidence, and never while it is in use.
//!
//! The event alone is not believed. EC2 in the source Region must no longer have the AMI; a source that is merely out of
//! sight (not shared any more, not allowed, no permission) retires nothing. When in doubt, the copy stays and the outcome says what
//! holds it.

use time::{Duration, OffsetDateTime};

use super::{Courier, Report, Stop, attempting};
use crate::aws::ec2::Sight;
use courier_core::identity::{AccountId, Identity};
use courier_core::image::{Image, State, tag};
use courier_core::outcome::{Error, Outcome};
use courier_core::selection;

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
            Fate::Disabled if copy.state == State::Disabled => {
                Err(stays("it is disabled already, as its source AMI is".to_owned()))
            }
            Fate::Disabled => {
                if let Some(user) = self.who_uses(copy).await? {
                    return Err(stays(user));
                }
                let disabling = attempting(format!("disabling the copy {} in {}", copy.id, here.region));
                here.disable(&copy.id).await.map_err(disabling)?;
                Ok(retired("it is disabled, as its source AMI is"))
            }
            Fate::Deregistered => {
                if copy.protected {
                    return Err(stays("it is protected from deregistration".to_owned()));
                }
                if let Some(user) = self.who_uses(copy).await? {
                    return Err(stays(user));
                }
                match here.deregister(&copy.id).await {
                    Ok(()) => Ok(retired("it is deregistered with its snapshots, as its source AMI is")),
                    // With a cool-down, protection ends a day after it was lifted, which a description does not show.
                    Err(refused) if refused.is("OperationNotPermitted") => {
                        Err(stays(format!("EC2 does not let it be deregistered: {}", refused.words)))
                    }
                    Err(failed) => {
                        let deregistering = format!("deregistering the copy {} in {}", copy.id, here.region);
                        Err(Error::from_aws(&deregistering, &failed).into())
                    }
                }
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
            // EC2 always shows an account its own AMIs; another account's may be shared no more, or not be allowed any more.
            // <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html>
            Sight::Empty | Sight::NotFound | Sight::Unavailable if is_of_own_source(copy) => Fate::Deregistered,
            Sight::Empty | Sight::NotFound | Sight::Unavailable => Fate::OutOfSight,
        })
    }

    /// Who would miss the copy.
    async fn who_uses(&self, copy: &Image) -> Result<Option<String>, Error> {
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

/// Whether the source belonged to the account that its copy belongs to.
fn is_of_own_source(copy: &Image) -> bool {
    let source_owner = copy.tags.get(tag::SOURCE_OWNER).map(String::as_str);
    source_owner.is_some() && source_owner == copy.owner.as_ref().map(AccountId::as_str)
}
