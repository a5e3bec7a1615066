//! Retire: a copy follows its source out of service, and back. The rules are in [`courier_core::retirement`]; here they are
//! carried out.
//!
//! An event only says where to look: it marks copies, or disables and enables them. Deregistering is for the sweep. A source
//! that is only not visible (no longer shared, not allowed, no permission) retires nothing.

use courier_core::election::LeavesService;
use courier_core::error::{Error, RetryAfter, code};
use courier_core::family;
use courier_core::identity::{AccountId, Identity, ImageId, Region};
use courier_core::image::{Image, State, tag};
use courier_core::outcome::Outcome;
use courier_core::retirement::{self, Evidence, Reason, SourceState, Trigger, Usage, Verdict};
use courier_core::selection;
use courier_core::settings::Owner;
use futures_util::future::try_join_all;
use tracing::{Instrument, info, info_span};

use super::membership::Membership;
use super::report::Report;
use super::stack::Courier;
use super::usage::Users;
use crate::aws::ec2::Deregistered;
use crate::aws::error::When;

/// The retirement of one copy.
struct Retirement<'a> {
    courier: &'a Courier,
    /// As it is now, with what was done to it.
    copy: Image,
    source: &'a Identity,
    trigger: Trigger,
}

/// Looks at the courier's copies of a source that is out of service, as EC2 reports.
pub(super) async fn copies_of(courier: &Courier, source: &Identity) -> Vec<Report> {
    let nothing = |reason: &str| vec![courier.ignored(Some(source), reason.to_owned())];
    if !courier.settings.retire_with_source {
        return nothing("the source AMI is out of service; its copies stay (RETIRE_WITH_SOURCE is not set)");
    }
    if let Err(reason) = selection::region_is_allowed(&source.region, &courier.settings) {
        return nothing(&reason);
    }
    let ec2 = courier.local_ec2();
    let copies = ec2.copies_of(source).await;
    let copies: Vec<Image> = match copies.when(format_args!("looking for copies of {source} in {}", ec2.region)) {
        Ok(copies) => copies.into_iter().filter(|copy| courier.is_own_copy(copy, source)).collect(),
        Err(error) => return vec![courier.failed(Some(source), error)],
    };
    if copies.is_empty() {
        return nothing("the source AMI is out of service; there is no copy of the courier's here");
    }
    let mut reports = Vec::new();
    for copy in copies {
        reports.push(Retirement { courier, copy, source, trigger: Trigger::Event }.run().await);
    }
    reports
}

/// Looks at the copy with this id, whose source a sweep found out of service, or back.
pub(super) async fn copy(courier: &Courier, id: &ImageId) -> Report {
    let ec2 = courier.local_ec2();
    let copy = match ec2.image(id, None).await.when(format_args!("describing the copy {id} in {}", ec2.region)) {
        Ok(Some(copy)) if copy.state.is_live() => copy,
        Ok(_) => return courier.ignored(None, format!("the copy {id} is gone")),
        Err(error) => return courier.failed(None, error),
    };
    let Some(source) = copy.courier_source().filter(|source| courier.is_own_copy(&copy, source)) else {
        return courier.ignored(None, format!("{id} is not retired: it is not a copy of this stack's"));
    };
    let span = info_span!("source", image = %source.image, region = %source.region);
    let retirement = Retirement { courier, copy, source: &source, trigger: Trigger::Sweep };
    retirement.run().instrument(span).await
}

/// The source is in service: what was done to its copies because it was not is undone.
pub(super) async fn source_is_back(courier: &Courier, source: &Identity, copies: &[Image]) -> Result<(), Error> {
    if !courier.settings.brings_back() {
        return Ok(());
    }
    for copy in copies.iter().filter(|copy| copy.is_marked() && courier.is_own_copy(copy, source)) {
        let retirement = Retirement { courier, copy: copy.clone(), source, trigger: Trigger::Event };
        let report = retirement.follow(SourceState::InService, None).await?;
        if let Ok(Some(Outcome::Ignored { reason, .. })) = &report.result {
            info!("{reason}");
        }
    }
    Ok(())
}

impl Retirement<'_> {
    async fn run(self) -> Report {
        let (courier, source) = (self.courier, self.source);
        if courier.settings.copying.dry_run {
            return courier
                .ignored(Some(source), format!("DRY_RUN is on, so the copy {} stays as it is", self.copy.id));
        }
        let followed = match self.source_state().await {
            // What was done because the source was out of service is undone whatever the setting is by now.
            Ok(_) if !courier.settings.brings_back() => {
                let reason = format!("the copy {} stays (RETIRE_WITH_SOURCE and RECONCILE are off)", self.copy.id);
                Ok(courier.ignored(Some(source), reason))
            }
            Ok((state, _)) if !courier.settings.retire_with_source && !state.is_in_service() => {
                let reason = format!("the copy {} stays (RETIRE_WITH_SOURCE is not set)", self.copy.id);
                Ok(courier.ignored(Some(source), reason))
            }
            Ok((state, image)) => self.follow(state, image.as_ref()).await,
            Err(error) => Err(error),
        };
        followed.unwrap_or_else(|error| courier.failed(Some(source), error))
    }

    /// Does what the rules say, until the copy is kept or is out of service.
    async fn follow(mut self, state: SourceState, source_image: Option<&Image>) -> Result<Report, Error> {
        let mut usage = Usage::NotLookedFor;
        let mut done = KEPT;
        loop {
            let evidence = Evidence {
                source: state,
                copy: &self.copy,
                usage: &usage,
                trigger: self.trigger,
                retire_after_days: self.courier.settings.retire_after_days,
                now: self.courier.aws.now(),
            };
            match retirement::decide(&evidence) {
                Verdict::Stay(reason) => return self.report_stay(done, reason).await,
                Verdict::LookForUsage => {
                    usage = match self.leave_parameter(source_image).await? {
                        Some(holder) => Usage::InUse(holder),
                        None => self.users().usage().await?,
                    }
                }
                Verdict::Mark => {
                    // The report first: without the permission to order it, the copy is not even marked.
                    self.users().order_first_report().await?;
                    self.mark(tag::SOURCE_GONE_SINCE).await?;
                    done = "is kept, and now marked";
                }
                Verdict::Unmark(keys) => {
                    self.unmark(keys).await?;
                    if done == KEPT {
                        done = "is kept, and no longer marked";
                    }
                }
                Verdict::Enable => {
                    self.enable().await?;
                    done = "is enabled again, and finished again by EC2's event or the next sweep";
                }
                Verdict::Disable => {
                    self.disable().await?;
                    return Ok(self.retired("it is disabled, as its source AMI is".to_owned()));
                }
                Verdict::Deregister => match self.courier.local_ec2().deregister(&self.copy.id).await {
                    // With a cool-down, EC2 refuses for a day after protection was disabled, which a description does not show.
                    Err(refused) if refused.is("OperationNotPermitted") => {
                        usage = Usage::InUse(format!("EC2 does not let it be deregistered: {}", refused.message));
                    }
                    answer => {
                        let region = &self.courier.settings.stack_region;
                        let done = answer.when(format_args!("deregistering the copy {} in {region}", self.copy.id))?;
                        return Ok(self.retired(how(done)));
                    }
                },
            }
        }
    }

    /// Withdraws the copy and lets another one take its place in its parameter. Returns what still holds it there.
    async fn leave_parameter(&mut self, source_image: Option<&Image>) -> Result<Option<String>, Error> {
        let mut member = Membership { courier: self.courier, copy: self.copy.clone() };
        if let Some(steps) = member.steps(self.source, source_image, true) {
            for step in &steps.steps {
                member.follow(step).await?;
            }
        }
        let leaves = member.leaves_service().await?;
        self.copy = member.copy;
        match leaves {
            LeavesService::Now => Ok(None),
            LeavesService::HeldBy(name) => {
                Ok(Some(format!("the courier's own parameter `{name}` holds it, and no other copy can take its place")))
            }
            LeavesService::NotBefore(at) => {
                let message = format!(
                    "the copy {} in {} has just left its parameter, so it stays a while longer",
                    self.copy.id, self.courier.settings.stack_region
                );
                Err(Error::retry(RetryAfter::Until(at), code::INCORRECT_STATE, message))
            }
        }
    }

    fn users(&self) -> Users<'_> {
        Users { courier: self.courier, copy: &self.copy }
    }

    /// The copy is kept, for this reason.
    async fn report_stay(&self, done: &str, reason: Reason) -> Result<Report, Error> {
        let mut text = format!("the copy {} {done}: {reason}", self.copy.id);
        if let (Reason::Waiting { .. }, Trigger::Sweep, KEPT) = (&reason, self.trigger, done)
            && let Some(users) = self.users().known().await?
        {
            text = format!("{text}; {users}");
        }
        let report = self.courier.ignored(Some(self.source), text);
        Ok(match reason {
            Reason::Held(hold) => report.held(hold.days(self.courier.aws.now())),
            _ => report,
        })
    }

    fn retired(&self, reason: String) -> Report {
        let route = self.courier.route(self.source);
        let (image_id, name) = (self.copy.id.clone(), self.copy.name.clone());
        Report::new(Some(route.clone()), Ok(Outcome::Retired { image_id, name, route, reason }))
    }

    /// Puts the time on the copy.
    async fn mark(&mut self, key: &'static str) -> Result<(), Error> {
        let (copy, ec2) = (&mut self.copy, self.courier.local_ec2());
        let time = tag::time(self.courier.aws.now());
        let marked = ec2.tag(&copy.id, key, &time).await;
        marked.when_seen(format_args!("putting the tag {key} on the copy {} in {}", copy.id, ec2.region))?;
        copy.tags.insert(key.to_owned(), time);
        Ok(())
    }

    /// Removes tags from the copy, if they still have the values that were seen.
    async fn unmark(&mut self, keys: &[&str]) -> Result<(), Error> {
        let (copy, ec2) = (&mut self.copy, self.courier.local_ec2());
        let seen = copy.tags.iter().filter(|(key, _)| keys.contains(&key.as_str()));
        let seen: Vec<(&str, &str)> = seen.map(|(key, value)| (key.as_str(), value.as_str())).collect();
        if seen.is_empty() {
            return Ok(());
        }
        let removed = ec2.untag(&copy.id, &seen).await;
        removed.when_seen(format_args!("removing tags from the copy {} in {}", copy.id, ec2.region))?;
        copy.tags.retain(|key, _| !keys.contains(&key.as_str()));
        Ok(())
    }

    /// Marked first: a copy that is disabled without the mark would stay disabled for ever.
    async fn disable(&mut self) -> Result<(), Error> {
        self.mark(tag::DISABLED_WITH_SOURCE).await?;
        let (copy, ec2) = (&self.copy.id, self.courier.local_ec2());
        ec2.disable(copy).await.when_seen(format_args!("disabling the copy {copy} in {}", ec2.region))
    }

    /// No longer finished first: a copy that is enabled and looks finished would never be shared again.
    async fn enable(&mut self) -> Result<(), Error> {
        self.unmark(&[tag::FINISHED]).await?;
        let (copy, ec2) = (&mut self.copy, self.courier.local_ec2());
        let enabled = ec2.enable(&copy.id).await;
        enabled.when_seen(format_args!("enabling the copy {} in {}", copy.id, ec2.region))?;
        copy.state = State::Available;
        Ok(())
    }

    async fn source_state(&self) -> Result<(SourceState, Option<Image>), Error> {
        let source = self.source;
        let found = self.courier.aws.ec2(&source.region).image(&source.image, None).await;
        let found = found.when(format_args!("describing the source AMI {source}"))?;
        let state = match found.as_ref().map(|image| image.state) {
            Some(State::Deregistered) => SourceState::Deregistered,
            Some(State::Disabled) => SourceState::Disabled,
            Some(_) => SourceState::InService,
            // EC2 always shows an account its own AMIs; another account's may be shared no more, or not be allowed any more.
            // <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-allowed-amis.html>
            None if is_of_own_source(&self.copy) => SourceState::Deregistered,
            None => SourceState::NotVisible,
        };
        let is_gone = matches!(state, SourceState::Deregistered);
        let has_sibling = is_gone && self.sibling_in_service(found.clone()).await?;
        Ok((if has_sibling { SourceState::SiblingInService } else { state }, found))
    }

    /// Whether another AMI of the same build as the source, which is gone, is in service in a source Region.
    async fn sibling_in_service(&self, source_image: Option<Image>) -> Result<bool, Error> {
        let (courier, copy) = (self.courier, &self.copy);
        let Some(origin) = family::origin_of_copy(copy).filter(|_| is_of_own_source(copy)) else { return Ok(false) };
        let settings = &courier.settings;
        let looking = format!("looking for AMIs of the same build as the copy {}", copy.id);
        let origin_image = if origin == *self.source {
            source_image
        } else if selection::region_is_allowed(&origin.region, settings).is_ok() {
            let found = courier.aws.ec2(&origin.region).image(&origin.image, Some(&[Owner::Myself])).await;
            found.when(format_args!("{looking}"))?
        } else {
            None
        };
        let keeps = |member: &Image, region: &Region| {
            family::keeps(member, region, copy, origin_image.as_ref(), &settings.copying.name)
        };
        if origin_image.as_ref().is_some_and(|origin_image| keeps(origin_image, &origin.region)) {
            return Ok(true);
        }
        let own = [&settings.stack_region, &origin.region];
        let regions = settings.sources.regions.iter().filter(|region| !own.contains(region));
        let found = try_join_all(regions.map(async |region| {
            let siblings = courier.aws.ec2(region).copies_of(&origin).await;
            let siblings = siblings.when(format_args!("{looking} in {region}"))?;
            Ok::<bool, Error>(siblings.iter().any(|sibling| keeps(sibling, region)))
        }));
        Ok(found.await?.contains(&true))
    }
}

/// Nothing was done to the copy.
const KEPT: &str = "is kept";

fn how(done: Deregistered) -> String {
    match done {
        Deregistered::Done { snapshots_left } if !snapshots_left.is_empty() => format!(
            "it is deregistered, as its source AMI is, but EC2 left its snapshots {} behind: delete them by hand",
            snapshots_left.join(", ")
        ),
        // Another delivery may have deregistered it a moment ago.
        Deregistered::Done { .. } | Deregistered::NotFound => {
            "it is deregistered with its snapshots, as its source AMI is".to_owned()
        }
    }
}

impl Courier {
    /// Whether this is a live copy of `source` that the courier made, and not one of another stack.
    fn is_own_copy(&self, copy: &Image, source: &Identity) -> bool {
        let is_of_another_stack = copy.other_stack(&self.settings.copying.stack_name).is_some();
        copy.state.is_live() && copy.courier_source().as_ref() == Some(source) && !is_of_another_stack
    }
}

/// Whether the source belonged to the account that its copy belongs to.
fn is_of_own_source(copy: &Image) -> bool {
    let source_owner = copy.tags.get(tag::SOURCE_OWNER).map(String::as_str);
    source_owner.is_some() && source_owner == copy.owner.as_ref().map(AccountId::as_str)
}
