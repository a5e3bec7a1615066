//! Sweep: events make it quick, the sweep makes it sure.
//!
//! EventBridge's AMI events are best effort. So once in a while the sweep looks at what should be, and announces each
//! difference to the courier's own queue: a missed source AMI, a copy that is unfinished or failed, a copy whose source is
//! gone, or back. The queue gives each of them what every announcement has: back-off, limits, parallel work, and the same steps.
//! What each AMI is, [`courier_core::survey`] says.
//!
//! Looking takes at most half of the function's time, all Regions at once, so a Region that does not answer costs the others
//! nothing. Each Region is listed once, a thousand AMIs a call, and what is kept of an AMI is little more than its id. Only the
//! sources of copies that this listing does not show are looked for by their ids.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use courier_core::announcement::OwnMessage;
use courier_core::copy_state::CopyState;
use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{AccountId, Identity, ImageId, Region};
use courier_core::image::{Image, State, tag};
use courier_core::selection;
use courier_core::settings::Owner;
use courier_core::survey::{Copied, Copy, Source, Wanted, one_of_each_build};
use futures_util::future::join_all;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::report::{Report, Tally};
use super::stack::{Courier, Delivery};
use crate::aws::error::When;

/// How many messages the courier's own queue may hold, so that sweeps do not pile up.
const QUEUE_HOLDS: usize = 1000;
/// How many ids EC2 takes for a filter.
const IDS_IN_A_FILTER: usize = 200;

type Created = Option<OffsetDateTime>;

/// One sweep.
pub(super) struct Sweep<'a> {
    pub(super) courier: &'a Courier,
    pub(super) delivery: &'a Delivery<'a>,
}

/// What looking has found so far. When it is cut short, that much is announced.
#[derive(Default)]
struct Findings {
    tally: Tally,
    /// Unfinished and failed copies.
    copies: Vec<(Created, ImageId)>,
    /// The sources of failed copies: their next copy needs the post-mortem first.
    failed_sources: BTreeSet<Identity>,
    /// AMIs that are wanted here.
    wanted: Vec<Source>,
    /// `None` until all copies are listed.
    copied: Option<Copied>,
    /// Copies that stay in service as long as their source does.
    followers: Vec<Follower>,
    /// Copies whose source is not in service, as far as can be seen.
    gone: Vec<(Created, ImageId)>,
    /// Copies whose source is in service, and which are marked as if it was not.
    back: Vec<(Created, ImageId)>,
    /// Why something could not be looked at.
    errors: Vec<Error>,
}

/// A copy that follows its source out of service, and back.
struct Follower {
    created: Created,
    copy: ImageId,
    source: Identity,
    source_owner: Option<AccountId>,
    is_marked: bool,
}

/// The AMIs that are in service in a source Region, as far as its listing has come.
#[derive(Default)]
struct Listed {
    images: RefCell<HashSet<ImageId>>,
    has_ended: Notify,
}

impl Listed {
    /// What it shows in the end, or at half of the time that is left: a listing that takes longer must not keep the sources that
    /// it does not show from being looked for.
    async fn shown(&self, until: Instant) -> HashSet<ImageId> {
        let now = Instant::now();
        let _ = timeout_at(now + until.saturating_duration_since(now) / 2, self.has_ended.notified()).await;
        self.images.take()
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
        let (mut tally, mut errors, mut messages) = self.look(half).await.in_order();
        let room = match depth {
            Ok(depth) => QUEUE_HOLDS.saturating_sub(depth),
            Err(error) => {
                errors.push(error);
                0
            }
        };
        tally.complete = errors.is_empty();
        tally.left += messages.len().saturating_sub(room);
        messages.truncate(room);
        let failures = errors.into_iter().map(Report::rejected);
        std::iter::once(Report::swept(tally, messages)).chain(failures).collect()
    }

    /// Looks at this Region and at each source Region, at the same time.
    async fn look(&self, until: Instant) -> Findings {
        let regions = &self.courier.settings.sources.regions;
        let listed: BTreeMap<&Region, Listed> = regions.iter().map(|region| (region, Listed::default())).collect();
        let local = async {
            let mut found = Findings::default();
            let looking = timeout_at(until, self.look_at_copies(&mut found)).await;
            found.note(looking, "the copies of this Region");
            let by_region = self.by_source_region(std::mem::take(&mut found.followers));
            let gone = join_all(by_region.into_iter().map(async |(region, copies)| {
                let mut found = Findings::default();
                let in_service = match listed.get(&region) {
                    Some(listed) => listed.shown(until).await,
                    None => HashSet::new(),
                };
                let copies = found.without_sources_in_service(&copies, &in_service);
                let looking = timeout_at(until, self.look_for_sources(&region, &copies, &mut found)).await;
                found.note(looking, &format!("the sources of copies in {region}"));
                found
            }));
            gone.await.into_iter().fold(found, Findings::and)
        };
        let remote = join_all(listed.iter().map(async |(region, listed)| {
            let mut found = Findings::default();
            let looking = timeout_at(until, self.look_for_wanted(region, listed, &mut found)).await;
            listed.has_ended.notify_one();
            found.note(looking, &format!("the AMIs of {region}"));
            found
        }));
        let (local, remote) = tokio::join!(local, remote);
        remote.into_iter().fold(local, Findings::and)
    }

    /// Page by page, the copies of this Region: of which AMIs they are, which are unfinished, failed, or in progress, and which
    /// follow a source.
    async fn look_at_copies(&self, found: &mut Findings) -> Result<(), Error> {
        let now = self.courier.aws.now();
        let mut copied = Copied::default();
        let listing = self.courier.list_copies(|image| {
            copied.add(&image);
            if let Some(copy) = Copy::of(&image).filter(|copy| copy.is_own) {
                found.sort_in(image, copy, now);
            }
        });
        listing.await?;
        found.copied = Some(copied);
        Ok(())
    }

    /// The copies that have to follow their sources out of service, by the Region to look for those in.
    fn by_source_region(&self, copies: Vec<Follower>) -> BTreeMap<Region, Vec<Follower>> {
        let settings = &self.courier.settings;
        let mut by_region: BTreeMap<Region, Vec<Follower>> = BTreeMap::new();
        if settings.retire_with_source {
            for copy in copies {
                if selection::region_is_allowed(&copy.source.region, settings).is_ok() {
                    by_region.entry(copy.source.region.clone()).or_default().push(copy);
                }
            }
        }
        by_region
    }

    /// Copies whose source is not in service, or is back. What that means for the copy is for the retirement to decide.
    async fn look_for_sources(&self, region: &Region, copies: &[&Follower], found: &mut Findings) -> Result<(), Error> {
        let ec2 = self.courier.aws.ec2(region);
        for some in copies.chunks(IDS_IN_A_FILTER) {
            let ids: Vec<&ImageId> = some.iter().map(|copy| &copy.source.image).collect();
            let in_service = ec2.in_service(&ids, &owners(some)).await;
            let in_service = in_service.when(format_args!("looking for the sources of copies in {region}"))?;
            let in_service = in_service.into_iter().collect();
            let gone = found.without_sources_in_service(some.iter().copied(), &in_service);
            found.gone.extend(gone.into_iter().map(|copy| (copy.created, copy.copy.clone())));
        }
        Ok(())
    }

    /// Page by page, the AMIs of a source Region that are wanted here.
    async fn look_for_wanted(&self, region: &Region, listed: &Listed, found: &mut Findings) -> Result<(), Error> {
        let settings = &self.courier.settings;
        let look_at = |image: Image| {
            if settings.retire_with_source && image.state == State::Available {
                listed.images.borrow_mut().insert(image.id.clone());
            }
            if Wanted::of(&image, region, &settings.sources) == Some(Wanted::Now) {
                found.wanted.push(Source::new(&image, region, self.delivery.stack, &settings.copying.name));
            }
        };
        let (sources, days) = (&settings.sources, settings.backfill_days);
        self.courier.list_sources(region, sources, days, self.delivery, look_at).await
    }
}

/// The owners of the sources, as the copies' tags have them: with owners, EC2 need not search all public AMIs.
fn owners(copies: &[&Follower]) -> Vec<Owner> {
    let accounts: BTreeSet<&AccountId> = copies.iter().filter_map(|copy| copy.source_owner.as_ref()).collect();
    std::iter::once(Owner::Myself).chain(accounts.into_iter().cloned().map(Owner::Account)).collect()
}

impl Findings {
    /// Sorts in a copy of the courier's by its state.
    fn sort_in(&mut self, image: Image, copy: Copy, now: OffsetDateTime) {
        let (tally, created) = (&mut self.tally, image.created);
        match copy.state {
            CopyState::Pending => {
                tally.in_progress += 1;
                let age = created.map_or(0, |created| (now - created).whole_seconds());
                tally.oldest_in_progress_seconds = tally.oldest_in_progress_seconds.max(age);
            }
            CopyState::Failed => {
                tally.failed += 1;
                self.failed_sources.insert(copy.source.clone());
                self.copies.push((created, image.id.clone()));
            }
            CopyState::Unfinished => {
                tally.unfinished += 1;
                self.copies.push((created, image.id.clone()));
            }
            _ => {}
        }
        if matches!(image.state, State::Available | State::Disabled) {
            let source_owner = image.tags.get(tag::SOURCE_OWNER).and_then(|owner| owner.parse().ok());
            let is_marked = image.is_marked();
            self.followers.push(Follower { created, copy: image.id, source: copy.source, source_owner, is_marked });
        }
    }

    /// Sorts in the copies whose source is in service: of these, the marked ones are back. Returns the others.
    fn without_sources_in_service<'a>(
        &mut self,
        copies: impl IntoIterator<Item = &'a Follower>,
        in_service: &HashSet<ImageId>,
    ) -> Vec<&'a Follower> {
        let is_in_service = |copy: &&Follower| in_service.contains(&copy.source.image);
        let (followed, others): (Vec<_>, Vec<_>) = copies.into_iter().partition(is_in_service);
        let back = followed.into_iter().filter(|copy| copy.is_marked);
        self.back.extend(back.map(|copy| (copy.created, copy.copy.clone())));
        others
    }

    /// Missed and unfinished first, retirement last, so that nothing waits behind retirements; each oldest first.
    fn in_order(mut self) -> (Tally, Vec<Error>, Vec<OwnMessage>) {
        let failed_sources = self.failed_sources;
        // As long as not all copies are known, an AMI may have one that was not seen.
        let mut missed = self.copied.map_or_else(Vec::new, |copied| {
            self.wanted.retain(|source| copied.of_build(source).is_none());
            one_of_each_build(self.wanted)
        });
        self.tally.missed = missed.len();
        missed.retain(|source| !failed_sources.contains(&source.ami));
        let missed = missed.into_iter().map(|it| (it.created, OwnMessage::Missed { source: it.ami }));
        let copies = self.copies.into_iter().map(|(created, copy)| (created, OwnMessage::Unfinished { copy }));
        let back = self.back.into_iter().map(|(created, copy)| (created, OwnMessage::SourceBack { copy }));
        let mut first: Vec<(Created, OwnMessage)> = missed.chain(copies).chain(back).collect();
        first.sort_by_key(|(created, _)| *created);
        let mut last = self.gone;
        last.sort();
        let last = last.into_iter().map(|(_, copy)| OwnMessage::SourceGone { copy });
        let announcements = first.into_iter().map(|(_, message)| message).chain(last).collect();
        (self.tally, self.errors, announcements)
    }

    fn and(mut self, other: Self) -> Self {
        let Tally { in_progress, oldest_in_progress_seconds, missed: _, unfinished, failed, left, complete: _ } =
            other.tally;
        self.tally.in_progress += in_progress;
        self.tally.oldest_in_progress_seconds = self.tally.oldest_in_progress_seconds.max(oldest_in_progress_seconds);
        self.tally.unfinished += unfinished;
        self.tally.failed += failed;
        self.tally.left += left;
        self.copies.extend(other.copies);
        self.failed_sources.extend(other.failed_sources);
        self.wanted.extend(other.wanted);
        self.copied = self.copied.or(other.copied);
        self.followers.extend(other.followers);
        self.gone.extend(other.gone);
        self.back.extend(other.back);
        self.errors.extend(other.errors);
        self
    }

    /// Notes how a look ended.
    fn note(&mut self, looking: Result<Result<(), Error>, tokio::time::error::Elapsed>, at: &str) {
        match looking {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.errors.push(error),
            Err(_) => {
                let message = format!("looking at {at} takes longer than half of the function's timeout");
                self.errors.push(Error::retry(RetryAfter::Minutes, code::OUT_OF_TIME, message));
            }
        }
    }
}
