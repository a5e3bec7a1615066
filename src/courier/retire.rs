//! Retire: a copy follows its source out of service, and back. The rules are in [`courier_core::retirement`]; here they are
//! carried out.
//!
//! An event only says where to look: it marks copies, or disables and enables them. Deregistering is for the sweep. A source
//! that is only not visible (no longer shared, not allowed, no permission) retires nothing.

use courier_core::error::Error;
use courier_core::identity::{AccountId, Identity, ImageId};
use courier_core::image::{Image, State, tag};
use courier_core::outcome::Outcome;
use courier_core::retirement::{self, Look, Next, Reason, SourceState, Trigger, Usage};
use courier_core::selection;
use tracing::{Instrument, info, info_span};

use super::report::Report;
use super::step::Courier;
use crate::aws::ec2::{Deregistered, ImageLookup};
use crate::aws::error::{attempting, attempting_on_visible};

impl Courier {
    /// Looks at the courier's copies of a source that is out of service, says EC2.
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
            Ok(copies) => copies.into_iter().filter(|copy| is_own_copy(copy, source)).collect(),
            Err(error) => return vec![self.ended(Some(source), error.into())],
        };
        if copies.is_empty() {
            return nothing("the source AMI is out of service; there is no copy of the courier's here");
        }
        let mut reports = Vec::new();
        for copy in &copies {
            reports.push(self.retire(copy, source, Trigger::Event).await);
        }
        reports
    }

    /// Looks at the copy with this id, whose source a sweep found out of service, or back.
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
        self.retire(&copy, &source, Trigger::Sweep).instrument(span).await
    }

    /// The source is in service: what was done to its copies because it was not is undone.
    pub(super) async fn source_is_back(&self, source: &Identity, copies: &[Image]) -> Result<(), Error> {
        if !self.settings.retire_with_source {
            return Ok(());
        }
        for copy in copies.iter().filter(|copy| copy.is_marked() && is_own_copy(copy, source)) {
            let report = self.follow(copy, source, SourceState::InService, Trigger::Event).await?;
            if let Ok(Outcome::Ignored { reason, .. }) = &report.result {
                info!("{reason}");
            }
        }
        Ok(())
    }

    async fn retire(&self, copy: &Image, source: &Identity, trigger: Trigger) -> Report {
        let state = match self.source_state(source, copy).await {
            Ok(state) => state,
            Err(error) => return self.ended(Some(source), error.into()),
        };
        let followed = self.follow(copy, source, state, trigger).await;
        followed.unwrap_or_else(|error| self.ended(Some(source), error.into()))
    }

    /// Does what the rules say, until the copy stays or is out of service.
    async fn follow(
        &self,
        copy: &Image,
        source: &Identity,
        state: SourceState,
        trigger: Trigger,
    ) -> Result<Report, Error> {
        let mut copy = copy.clone();
        let mut usage = Usage::NotLookedFor;
        let mut done = "stays";
        loop {
            let retire_after_days = self.settings.retire_after_days;
            let now = self.aws.now();
            let look = Look { source: state, copy: &copy, usage: &usage, trigger, retire_after_days, now };
            match retirement::next(&look) {
                Next::Stay(reason) => return self.report_stay(&copy, source, done, reason, trigger).await,
                Next::LookForUsage => usage = self.usage_of(&copy).await?,
                Next::Mark => {
                    // The report first: without the permission to order it, the copy is not even marked.
                    self.order_first_report(&copy).await?;
                    self.mark(&mut copy, tag::SOURCE_GONE_SINCE).await?;
                    done = "stays, marked now";
                }
                Next::Unmark(keys) => {
                    self.unmark(&mut copy, keys).await?;
                    if done == "stays" {
                        done = "stays, no longer marked";
                    }
                }
                Next::Enable => {
                    self.enable(&mut copy).await?;
                    done = "is enabled again, and finished again by EC2's event or the next sweep";
                }
                Next::Disable => {
                    self.disable(&mut copy).await?;
                    return Ok(self.retired(&copy, source, "it is disabled, as its source AMI is".to_owned()));
                }
                Next::Deregister => match self.deregister(&copy).await? {
                    Deregistration::Done(how) => return Ok(self.retired(&copy, source, how)),
                    Deregistration::Refused(why) => usage = Usage::InUse(why),
                },
            }
        }
    }

    /// The copy stays, for this reason.
    async fn report_stay(
        &self,
        copy: &Image,
        source: &Identity,
        done: &str,
        reason: Reason,
        trigger: Trigger,
    ) -> Result<Report, Error> {
        let mut text = format!("the copy {} {done}: {reason}", copy.id);
        if let (Reason::Waiting { .. }, Trigger::Sweep, "stays") = (&reason, trigger, done)
            && let Some(users) = self.known_users_of(copy).await?
        {
            text = format!("{text}; {users}");
        }
        let report = self.ignored(Some(source), text);
        Ok(match reason {
            Reason::Held(hold) => report.held(hold.days(self.aws.now())),
            _ => report,
        })
    }

    fn retired(&self, copy: &Image, source: &Identity, reason: String) -> Report {
        let route = self.route(source);
        let (image_id, name) = (copy.id.clone(), copy.name.clone());
        Report::new(Some(route.clone()), Ok(Outcome::Retired { image_id, name, route, reason }))
    }

    /// Puts the time on the copy.
    async fn mark(&self, copy: &mut Image, key: &'static str) -> Result<(), Error> {
        let ec2 = self.local_ec2();
        let time = tag::time(self.aws.now());
        let marking = attempting_on_visible(format!("putting the tag {key} on the copy {} in {}", copy.id, ec2.region));
        ec2.tag(&copy.id, key, &time).await.map_err(marking)?;
        copy.tags.insert(key.to_owned(), time);
        Ok(())
    }

    /// Removes tags from the copy, if they still have the values that were seen.
    async fn unmark(&self, copy: &mut Image, keys: &[&str]) -> Result<(), Error> {
        let seen = copy.tags.iter().filter(|(key, _)| keys.contains(&key.as_str()));
        let seen: Vec<(&str, &str)> = seen.map(|(key, value)| (key.as_str(), value.as_str())).collect();
        if seen.is_empty() {
            return Ok(());
        }
        let ec2 = self.local_ec2();
        let unmarking = attempting_on_visible(format!("removing tags from the copy {} in {}", copy.id, ec2.region));
        ec2.untag(&copy.id, &seen).await.map_err(unmarking)?;
        copy.tags.retain(|key, _| !keys.contains(&key.as_str()));
        Ok(())
    }

    /// Marked first: a copy that is disabled without the mark would stay disabled for ever.
    async fn disable(&self, copy: &mut Image) -> Result<(), Error> {
        self.mark(copy, tag::DISABLED_WITH_SOURCE).await?;
        let ec2 = self.local_ec2();
        let disabling = attempting_on_visible(format!("disabling the copy {} in {}", copy.id, ec2.region));
        ec2.disable(&copy.id).await.map_err(disabling)
    }

    /// No longer finished first: a copy that is enabled and looks finished would never be shared again.
    async fn enable(&self, copy: &mut Image) -> Result<(), Error> {
        self.unmark(copy, &[tag::FINISHED]).await?;
        let ec2 = self.local_ec2();
        let enabling = attempting_on_visible(format!("enabling the copy {} in {}", copy.id, ec2.region));
        ec2.enable(&copy.id).await.map_err(enabling)?;
        copy.state = State::Available;
        Ok(())
    }

    async fn deregister(&self, copy: &Image) -> Result<Deregistration, Error> {
        let ec2 = self.local_ec2();
        match ec2.deregister(&copy.id).await {
            Ok(Deregistered::Done { snapshots_left }) if !snapshots_left.is_empty() => {
                Ok(Deregistration::Done(format!(
                    "it is deregistered, as its source AMI is, but EC2 left its snapshots {} behind: delete them by hand",
                    snapshots_left.join(", ")
                )))
            }
            // Another delivery may have deregistered it a moment ago.
            Ok(Deregistered::Done { .. } | Deregistered::NotFound) => {
                Ok(Deregistration::Done("it is deregistered with its snapshots, as its source AMI is".to_owned()))
            }
            // With a cool-down, EC2 refuses for a day after protection was disabled, which a description does not show.
            Err(refused) if refused.is("OperationNotPermitted") => {
                Ok(Deregistration::Refused(format!("EC2 does not let it be deregistered: {}", refused.message)))
            }
            Err(failed) => Err(attempting(format!("deregistering the copy {} in {}", copy.id, ec2.region))(failed)),
        }
    }

    async fn source_state(&self, source: &Identity, copy: &Image) -> Result<SourceState, Error> {
        let looking = attempting(format!("describing the source AMI {source}"));
        let lookup = self.aws.ec2(&source.region).image(&source.image, None).await.map_err(looking)?;
        Ok(match lookup {
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
}

/// What EC2 answered.
enum Deregistration {
    /// With what was done.
    Done(String),
    Refused(String),
}

/// Whether this is a live copy of `source` that the courier made.
fn is_own_copy(copy: &Image, source: &Identity) -> bool {
    copy.state.is_live() && copy.courier_source().as_ref() == Some(source)
}

/// Whether the source belonged to the account that its copy belongs to.
fn is_of_own_source(copy: &Image) -> bool {
    let source_owner = copy.tags.get(tag::SOURCE_OWNER).map(String::as_str);
    source_owner.is_some() && source_owner == copy.owner.as_ref().map(AccountId::as_str)
}
