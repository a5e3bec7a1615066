//! Retire: a copy follows its source out of service, but only on evidence, and never while it is in use.
//!
//! The event alone proves nothing: EC2 in the source Region must no longer have the AMI. A source that is only not visible
//! (no longer shared, not allowed, no permission) retires nothing. In doubt, the copy stays and the outcome says what holds it.

use courier_core::error::Error;
use courier_core::identity::{AccountId, Identity, ImageId};
use courier_core::image::{Image, State, tag};
use courier_core::outcome::Outcome;
use courier_core::selection;
use time::Duration;
use tracing::{Instrument, info_span};

use super::report::Report;
use super::step::{Courier, StepEnd};
use crate::aws::ec2::ImageLookup;
use crate::aws::error::attempting;

/// An AMI that was launched within this time counts as in use, even when nothing refers to it.
const LATELY: Duration = Duration::days(30);

/// What EC2 in the source Region says about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourceState {
    InService,
    Disabled,
    Deregistered,
    /// Not visible, which proves nothing.
    NotVisible,
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
        let ec2 = self.local_ec2();
        let looking = attempting(format!("looking for copies of {source} in {}", ec2.region));
        let copies: Vec<Image> = match ec2.copies_of(source).await.map_err(looking) {
            Ok(copies) => copies
                .into_iter()
                .filter(|copy| copy.state.is_live() && copy.courier_source().as_ref() == Some(source))
                .collect(),
            Err(error) => return vec![self.ended(Some(source), error.into())],
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

    /// Retires the copy with this id, whose source a sweep did not find in service.
    pub(super) async fn retire_copy(&self, id: &ImageId) -> Report {
        let ec2 = self.local_ec2();
        let describing = attempting(format!("describing the copy {id} in {}", ec2.region));
        let copy = match ec2.image(id, None).await.map_err(describing) {
            Ok(ImageLookup::Image(copy)) if copy.state.is_live() => copy,
            Ok(_) => return self.ignored(None, format!("the copy {id} is gone")),
            Err(error) => return self.ended(None, error.into()),
        };
        let Some(source) = copy.courier_source().filter(|_| self.settings.retire_with_source) else {
            return self.ignored(
                None,
                format!("{id} is not retired: not a copy of the courier's, or RETIRE_WITH_SOURCE is off"),
            );
        };
        let span = info_span!("source", image = %source.image, region = %source.region);
        self.retire(&copy, &source).instrument(span).await
    }

    /// Retires one copy, if its source is really gone and nothing holds the copy.
    async fn retire(&self, copy: &Image, source: &Identity) -> Report {
        match self.retire_on_evidence(copy, source).await {
            Ok(outcome) => Report::new(Some(self.route(source)), Ok(outcome)),
            Err(end) => self.ended(Some(source), end),
        }
    }

    async fn retire_on_evidence(&self, copy: &Image, source: &Identity) -> Result<Outcome, StepEnd> {
        let ec2 = self.local_ec2();
        let held = |why: String| StepEnd::Ignored(format!("the copy {} stays: {why}", copy.id));
        let retired = |reason: &str| Outcome::Retired {
            image_id: copy.id.clone(),
            name: copy.name.clone(),
            route: self.route(source),
            reason: reason.to_owned(),
        };
        match self.source_state(source, copy).await? {
            SourceState::InService => Err(held("EC2 still has its source AMI".to_owned())),
            SourceState::NotVisible => {
                Err(held("its source AMI is not visible, which does not prove that it is deregistered".to_owned()))
            }
            SourceState::Disabled if copy.state == State::Disabled => {
                Err(held("it is disabled already, as its source AMI is".to_owned()))
            }
            SourceState::Disabled => {
                if let Some(user) = self.who_uses(copy).await? {
                    return Err(held(user));
                }
                let disabling = attempting(format!("disabling the copy {} in {}", copy.id, ec2.region));
                ec2.disable(&copy.id).await.map_err(disabling)?;
                Ok(retired("it is disabled, as its source AMI is"))
            }
            SourceState::Deregistered => {
                if copy.protected {
                    return Err(held("it is protected from deregistration".to_owned()));
                }
                if let Some(user) = self.who_uses(copy).await? {
                    return Err(held(user));
                }
                match ec2.deregister(&copy.id).await {
                    Ok(left) if left.is_empty() => {
                        Ok(retired("it is deregistered with its snapshots, as its source AMI is"))
                    }
                    Ok(left) => Ok(retired(&format!(
                        "it is deregistered, as its source AMI is, but EC2 left its snapshots {} behind: delete them by hand",
                        left.join(", ")
                    ))),
                    // With a cool-down, EC2 refuses for a day after protection was disabled, which a description does not show.
                    Err(refused) if refused.is("OperationNotPermitted") => {
                        Err(held(format!("EC2 does not let it be deregistered: {}", refused.message)))
                    }
                    Err(failed) => {
                        let deregistering = format!("deregistering the copy {} in {}", copy.id, ec2.region);
                        Err(attempting(deregistering)(failed).into())
                    }
                }
            }
        }
    }

    async fn source_state(&self, source: &Identity, copy: &Image) -> Result<SourceState, Error> {
        let looking = attempting(format!("describing the source AMI {source}"));
        let sight = self.aws.ec2(&source.region).image(&source.image, None).await.map_err(looking)?;
        Ok(match sight {
            ImageLookup::Image(image) => match image.state {
                State::Deregistered => SourceState::Deregistered,
                State::Disabled => SourceState::Disabled,
                _ => SourceState::InService,
            },
            // EC2 always shows an account its own AMIs; another account's may be shared no more, or not be allowed any more.
            // <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html>
            ImageLookup::Empty | ImageLookup::NotFound | ImageLookup::Unavailable if is_of_own_source(copy) => {
                SourceState::Deregistered
            }
            ImageLookup::Empty | ImageLookup::NotFound | ImageLookup::Unavailable => SourceState::NotVisible,
        })
    }

    /// What still uses the copy.
    async fn who_uses(&self, copy: &Image) -> Result<Option<String>, Error> {
        if let Some(launched) = copy.last_launched.filter(|launched| self.aws.now() - *launched < LATELY) {
            return Ok(Some(format!("it was launched on {}", launched.date())));
        }
        let ec2 = self.local_ec2();
        let looking = attempting(format!("looking for what refers to the copy {} in {}", copy.id, ec2.region));
        let references = ec2.references(&copy.id).await.map_err(looking)?;
        if references.is_empty() {
            return Ok(None);
        }
        let shown: Vec<String> =
            references.iter().take(5).map(|reference| format!("{} {}", reference.kind, reference.arn)).collect();
        let more = references.len().saturating_sub(shown.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        Ok(Some(format!("{}{more} refer to it", shown.join(", "))))
    }
}

/// Whether the source belonged to the account that its copy belongs to.
fn is_of_own_source(copy: &Image) -> bool {
    let source_owner = copy.tags.get(tag::SOURCE_OWNER).map(String::as_str);
    source_owner.is_some() && source_owner == copy.owner.as_ref().map(AccountId::as_str)
}
