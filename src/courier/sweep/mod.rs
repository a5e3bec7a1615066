//! Sweep: events make it quick, the sweep makes it sure.
//!
//! EventBridge's AMI events are best effort. So once in a while the sweep looks at what should be, and announces each
//! difference to the courier's own queue: a missed source AMI, a copy that is unfinished, failed or out of step, a copy whose source
//! is gone, or back, and a parameter that may hold the wrong copy. The queue then gives each of them what every announcement has:
//! back-off, limits, parallel work, and the same steps. What each AMI is, [`courier_core::survey`] says; what differs,
//! [`courier_core::in_step`]; what is announced first, [`findings`].
//!
//! Looking takes at most half of the function's time: first the copies of this Region, then all source Regions at once, so one that
//! does not answer costs the others nothing. Each Region is listed once, a thousand AMIs a call, and what is kept of an AMI is little
//! more than its id and hashes of its tags. Only the sources of copies that this listing does not show are looked for by their ids.

mod findings;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use courier_core::election::{Election, Next, Own, Timing};
use courier_core::error::{Error, code};
use courier_core::identity::{AccountId, Identity, ImageId, ParameterName, Region};
use courier_core::image::Image;
use courier_core::selection;
use courier_core::settings::Owner;
use courier_core::survey::{Copied, Copy, Source, Wanted};
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use self::findings::{Findings, Follower, Sight, turned};
use super::publish::as_seen;
use super::report::Report;
use super::stack::{Courier, Delivery};
use crate::aws::ec2::MOST_VALUES;
use crate::aws::error::When;
use crate::aws::parameter_store::NAMES_IN_A_CALL;

/// How many messages the courier's own queue may hold, so that sweeps do not pile up.
const QUEUE_HOLDS: usize = 1000;
/// How many sources of a Region are looked for by their ids in one sweep: ten calls. The others have their turn.
const LOOKED_FOR: usize = 2000;

/// One sweep.
pub(super) struct Sweep<'a> {
    pub(super) courier: &'a Courier,
    pub(super) delivery: &'a Delivery<'a>,
}

/// Copies by their source, as long as no listing has shown that.
#[derive(Default)]
struct Unseen<'a> {
    copies: RefCell<HashMap<ImageId, Vec<&'a Follower>>>,
    /// The listing has ended.
    has_ended: Notify,
}

impl<'a> Unseen<'a> {
    fn take(&self, source: &ImageId) -> Vec<&'a Follower> {
        self.copies.borrow_mut().remove(source).unwrap_or_default()
    }

    /// What the listing has not shown in the end, or at half of the time that is left: a listing that takes longer must not keep the
    /// sources that it does not show from being looked for.
    async fn rest(&self, until: Instant) -> HashMap<ImageId, Vec<&'a Follower>> {
        let now = Instant::now();
        let _ = timeout_at(now + until.saturating_duration_since(now) / 2, self.has_ended.notified()).await;
        self.copies.take()
    }
}

impl Sweep<'_> {
    pub(super) async fn run(&self) -> Vec<Report> {
        let Some(url) = &self.courier.settings.queue_url else {
            return vec![Report::rejected(Error::rejected(
                code::NO_QUEUE,
                "a sweep announces what it finds to the courier's own queue, and QUEUE_URL is not set",
                "set QUEUE_URL to the queue that invokes this function, then sweep again",
            ))];
        };
        let now = Instant::now();
        let half = now + self.delivery.deadline.saturating_duration_since(now) / 2;
        // First, so that the age of what is found is counted by AWS's clock.
        let depth = self.courier.aws.queue(url).depth().await;
        let depth = depth.when(format_args!("counting the messages in the courier's queue"));
        let mut found = self.look(half).await;
        let room = match depth {
            Ok(depth) => QUEUE_HOLDS.saturating_sub(depth),
            Err(error) => {
                found.errors.push(error);
                0
            }
        };
        let (tally, errors, messages) = found.in_order(room, self.turn());
        let failures = errors.into_iter().map(Report::rejected);
        std::iter::once(Report::swept(tally, messages)).chain(failures).collect()
    }

    /// A number that goes on from sweep to sweep: where what does not fit into one sweep begins. It stands still for an hour each day,
    /// because with one sweep a day, a step of 24 would begin at the same place again and again.
    fn turn(&self) -> usize {
        let hours = self.courier.aws.now().unix_timestamp() / 3600;
        usize::try_from(hours - hours / 24).unwrap_or_default()
    }

    async fn look(&self, until: Instant) -> Findings<'_> {
        let settings = &self.courier.settings;
        let mut found = Findings::new(settings, self.courier.aws.now());
        let listing = timeout_at(until, self.look_at_copies(&mut found)).await;
        found.note(listing, "the copies of this Region");
        let followers = std::mem::take(&mut found.followers);
        let mut by_region: BTreeMap<&Region, Unseen<'_>> =
            settings.sources.regions.iter().map(|region| (region, Unseen::default())).collect();
        for copy in &followers {
            let Identity { region, image } = &copy.source;
            if selection::region_is_allowed(region, settings).is_ok() {
                let unseen = by_region.entry(region).or_default().copies.get_mut();
                unseen.entry(image.clone()).or_default().push(copy);
            } else {
                found.compare(copy, Sight::NotLooked);
            }
        }
        let found = RefCell::new(found);
        join_all(by_region.iter().map(async |(region, unseen)| {
            let listing = async {
                if settings.sources.regions.contains(region) {
                    let listing = timeout_at(until, self.look_for_wanted(region, unseen, &found)).await;
                    found.borrow_mut().note(listing, &format!("the AMIs of {region}"));
                }
                unseen.has_ended.notify_one();
            };
            let looking = async {
                let rest = unseen.rest(until).await;
                let looking = timeout_at(until, self.look_for_sources(region, rest, &found)).await;
                found.borrow_mut().note(looking, &format!("the sources of copies in {region}"));
            };
            tokio::join!(listing, looking);
        }))
        .await;
        let mut found = found.into_inner();
        let looking = timeout_at(until, self.look_at_parameters(&mut found)).await;
        found.note(looking, "the parameters");
        found
    }

    /// Page by page, the copies of this Region: of which AMIs they are, which are unfinished, failed, or in progress, which
    /// follow a source, and which a parameter may hold.
    async fn look_at_copies(&self, found: &mut Findings<'_>) -> Result<(), Error> {
        let mut copied = Copied::default();
        let listing = self.courier.list_copies(|image| {
            copied.add(&image);
            found.members.add(&image);
            if let Some(copy) = Copy::of(&image).filter(|copy| copy.is_own) {
                found.sort_in(&image, copy);
            }
        });
        listing.await?;
        found.copied = Some(copied);
        Ok(())
    }

    /// Page by page, the AMIs of a source Region that are wanted here, and those that have copies.
    async fn look_for_wanted(
        &self,
        region: &Region,
        unseen: &Unseen<'_>,
        found: &RefCell<Findings<'_>>,
    ) -> Result<(), Error> {
        let settings = &self.courier.settings;
        let look_at = |image: Image| {
            let mut found = found.borrow_mut();
            for copy in unseen.take(&image.id) {
                found.compare(copy, Sight::Shown(&image));
            }
            if Wanted::of(&image, region, &settings.sources) == Some(Wanted::Now) {
                found.wanted.push(Source::new(&image, region, self.delivery.stack, &settings.copying.name));
            }
        };
        let (sources, days) = (&settings.sources, settings.backfill_days);
        self.courier.list_sources(region, sources, days, self.delivery, look_at).await
    }

    /// Looks for the sources that no listing has shown: those of copies that are marked first, then so many of the others.
    async fn look_for_sources(
        &self,
        region: &Region,
        rest: HashMap<ImageId, Vec<&Follower>>,
        found: &RefCell<Findings<'_>>,
    ) -> Result<(), Error> {
        let settings = &self.courier.settings;
        let mut rest: Vec<(ImageId, Vec<&Follower>)> = rest.into_iter().collect();
        rest.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (mut asked, mut others): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|(_, copies)| settings.brings_back() && copies.iter().any(|copy| copy.is_marked));
        if settings.brings_back() {
            let room = LOOKED_FOR.saturating_sub(asked.len());
            turned(&mut others, self.turn().wrapping_mul(room));
            let left = others.split_off(others.len().min(room));
            asked.extend(std::mem::replace(&mut others, left));
        }
        for copy in others.into_iter().flat_map(|(_, copies)| copies) {
            found.borrow_mut().compare(copy, Sight::NotLooked);
        }
        let ec2 = self.courier.aws.ec2(region);
        for some in asked.chunks(MOST_VALUES) {
            let ids: Vec<&ImageId> = some.iter().map(|(source, _)| source).collect();
            let seen = ec2.of_owners(&ids, &owners(some.iter().flat_map(|(_, copies)| copies))).await;
            let seen = seen.when(format_args!("looking for the sources of copies in {region}"))?;
            for (source, copies) in some {
                let image = seen.iter().find(|image| image.id == *source);
                for copy in copies {
                    found.borrow_mut().compare(copy, image.map_or(Sight::Absent, Sight::Shown));
                }
            }
        }
        Ok(())
    }

    /// The parameters that do not hold the newest member of their name, as far as a look without their holders tells.
    async fn look_at_parameters(&self, found: &mut Findings<'_>) -> Result<(), Error> {
        let settings = &self.courier.settings;
        let (Some(template), true) = (&settings.finishing.parameter_name, found.copied.is_some()) else {
            return Ok(());
        };
        let store = self.courier.aws.parameter_store(&settings.stack_region);
        let names = found.members.names().filter(|name| template.can_make(name.as_str())).cloned();
        let names: Vec<ParameterName> = names.collect();
        for some in names.chunks(NAMES_IN_A_CALL) {
            let parameters = store.get_all(&some.iter().collect::<Vec<_>>()).await;
            let parameters = parameters.when(format_args!("reading parameters in {}", store.region))?;
            for name in some {
                let parameter = parameters.get(name).map(as_seen);
                let election = Election {
                    name,
                    stack: &settings.copying.stack_name,
                    own: Own::Nobody,
                    parameter: parameter.as_ref(),
                    holder: None,
                    members: Some(&found.members),
                    now: self.courier.aws.now(),
                };
                if !matches!(election.next(&Timing::EC2), Next::End(_)) {
                    found.names.insert(name.clone());
                }
            }
        }
        Ok(())
    }
}

/// The owners of the sources, as the copies' tags have them: with owners, EC2 need not search all public AMIs.
fn owners<'a>(copies: impl Iterator<Item = &'a &'a Follower>) -> Vec<Owner> {
    let accounts: BTreeSet<&AccountId> = copies.filter_map(|copy| copy.source_owner.as_ref()).collect();
    std::iter::once(Owner::Myself).chain(accounts.into_iter().cloned().map(Owner::Account)).collect()
}
