//! Sweep: events make it quick, the sweep makes it sure.
//!
//! EventBridge's AMI events are best effort. So once in a while the sweep looks at what should be, and announces each
//! difference to the courier's own queue: a missed source AMI, a copy that is unfinished or failed, a copy whose source is
//! gone, or back. The queue gives each of them what every announcement has: back-off, limits, parallel work, and the same steps.
//!
//! Looking takes at most half of the function's time, all Regions at once, so a Region that does not answer costs the others
//! nothing. Each Region is listed once, a thousand AMIs a call, and what is kept of an AMI is little more than its id. Only the
//! sources of copies that this listing does not show are looked for by their ids. Without a queue of its own, the courier does the
//! work itself in the other half.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashSet};

use courier_core::announcement::{AnnouncedBy, OwnMessage};
use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{AccountId, Identity, ImageId, Region};
use courier_core::image::{Image, State, tag};
use courier_core::origin::Origin;
use courier_core::selection;
use courier_core::settings::Owner;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::report::{Handled, Report, Sweep, Tally};
use super::step::{Courier, DeliveryAttempt};
use crate::aws::error::{attempting, is_limit};

/// How many steps run at once without a queue: as many as a batch of messages has.
const AT_ONCE: usize = 10;
/// How many messages the courier's own queue may hold, so that sweeps do not pile up.
const QUEUE_HOLDS: usize = 1000;
/// How many ids EC2 takes for a filter.
const IDS_IN_A_FILTER: usize = 200;

type Created = Option<OffsetDateTime>;

/// What looking has found so far. When it is cut short, that much is announced.
#[derive(Default)]
struct Found {
    tally: Tally,
    /// Unfinished and failed copies.
    copies: Vec<(Created, ImageId)>,
    /// The sources of failed copies: their next copy needs the post-mortem first.
    failed_sources: BTreeSet<Identity>,
    /// AMIs that are wanted here.
    wanted: Vec<Wanted>,
    /// AMIs that have a live copy here, made by anyone, and the origins of these copies; `None` until all copies are listed.
    copied: Option<HashSet<Identity>>,
    /// Copies that stay in service as long as their source does.
    followers: Vec<Follower>,
    /// Copies whose source is not in service, as far as can be seen.
    gone: Vec<(Created, ImageId)>,
    /// Copies whose source is in service, and which are marked as if it was not.
    back: Vec<(Created, ImageId)>,
    /// Why something could not be looked at.
    errors: Vec<Error>,
}

/// An AMI that is wanted here.
struct Wanted {
    created: Created,
    source: Identity,
    /// What the courier of another account says it was first. Few have one.
    origin: Option<Box<Identity>>,
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

impl Courier {
    pub(super) async fn sweep(&self, attempt: DeliveryAttempt) -> Handled {
        let now = Instant::now();
        let half = now + attempt.deadline.saturating_duration_since(now) / 2;
        // First, so that the age of what is found is counted by AWS's clock.
        let room = self.room_in_queue().await;
        let found = self.look(half).await;
        let (mut tally, mut errors, announcements) = found.in_order();
        tally.complete = errors.is_empty();
        match room {
            Ok(Some(room)) => {
                tally.left += announcements.len().saturating_sub(room);
                let announcements = announcements.into_iter().take(room).collect();
                Handled { reports: failures(errors), sweep: Some(Sweep { tally, announcements }) }
            }
            Ok(None) => {
                let mut reports = failures(errors);
                reports.extend(self.work(&announcements, half, attempt, &mut tally).await);
                Handled { reports, sweep: Some(Sweep { tally, announcements: Vec::new() }) }
            }
            Err(error) => {
                errors.push(error);
                tally.complete = false;
                tally.left += announcements.len();
                Handled { reports: failures(errors), sweep: Some(Sweep { tally, announcements: Vec::new() }) }
            }
        }
    }

    /// How many messages the courier's own queue still takes from a sweep; `None` without one.
    async fn room_in_queue(&self) -> Result<Option<usize>, Error> {
        let Some(url) = &self.settings.queue_url else { return Ok(None) };
        let counting = attempting("counting the messages in the courier's queue".to_owned());
        let depth = self.aws.queue(url).depth().await.map_err(counting)?;
        Ok(Some(QUEUE_HOLDS.saturating_sub(depth)))
    }

    /// Looks at this Region and at each source Region, at the same time.
    async fn look(&self, until: Instant) -> Found {
        let listed: BTreeMap<&Region, Listed> =
            self.settings.sources.regions.iter().map(|region| (region, Listed::default())).collect();
        let local = async {
            let mut found = Found::default();
            let looking = timeout_at(until, self.look_at_copies(&mut found)).await;
            found.note(looking, "the copies of this Region");
            let by_region = self.by_source_region(std::mem::take(&mut found.followers));
            let gone = join_all(by_region.into_iter().map(async |(region, copies)| {
                let mut found = Found::default();
                let in_service = match listed.get(&region) {
                    Some(listed) => listed.shown(until).await,
                    None => HashSet::new(),
                };
                let copies = found.without_sources_in_service(&copies, &in_service);
                let looking = timeout_at(until, self.look_for_sources(&region, &copies, &mut found)).await;
                found.note(looking, &format!("the sources of copies in {region}"));
                found
            }));
            gone.await.into_iter().fold(found, Found::and)
        };
        let remote = join_all(listed.iter().map(async |(region, listed)| {
            let mut found = Found::default();
            let looking = timeout_at(until, self.look_for_wanted(region, listed, &mut found)).await;
            listed.has_ended.notify_one();
            found.note(looking, &format!("the AMIs of {region}"));
            found
        }));
        let (local, remote) = tokio::join!(local, remote);
        remote.into_iter().fold(local, Found::and)
    }

    /// Page by page, the copies of this Region: of which AMIs they are, which are unfinished, failed, or in progress, and which
    /// follow a source.
    async fn look_at_copies(&self, found: &mut Found) -> Result<(), Error> {
        let now = self.aws.now();
        let mut copied = HashSet::new();
        self.list_copies(|copy| {
            if copy.state.is_live() {
                copied.extend(copy.source.clone());
                copied.extend(Origin::handed_on(&copy).map(|origin| origin.ami));
            }
            if let Some(source) = copy.courier_source() {
                found.sort_in(copy, source, now);
            }
        })
        .await?;
        found.copied = Some(copied);
        Ok(())
    }

    /// The copies that have to follow their sources out of service, by the Region to look for those in.
    fn by_source_region(&self, copies: Vec<Follower>) -> BTreeMap<Region, Vec<Follower>> {
        let mut by_region: BTreeMap<Region, Vec<Follower>> = BTreeMap::new();
        if self.settings.retire_with_source {
            for copy in copies {
                if selection::region_is_allowed(&copy.source.region, &self.settings).is_ok() {
                    by_region.entry(copy.source.region.clone()).or_default().push(copy);
                }
            }
        }
        by_region
    }

    /// Copies whose source is not in service, or is back. What that means for the copy is for the retirement to decide.
    async fn look_for_sources(&self, region: &Region, copies: &[&Follower], found: &mut Found) -> Result<(), Error> {
        let ec2 = self.aws.ec2(region);
        for some in copies.chunks(IDS_IN_A_FILTER) {
            let ids: Vec<&ImageId> = some.iter().map(|copy| &copy.source.image).collect();
            let looking = attempting(format!("looking for the sources of copies in {region}"));
            let in_service: HashSet<ImageId> =
                ec2.in_service(&ids, &owners(some)).await.map_err(looking)?.into_iter().collect();
            let gone = found.without_sources_in_service(some.iter().copied(), &in_service);
            found.gone.extend(gone.into_iter().map(|copy| (copy.created, copy.copy.clone())));
        }
        Ok(())
    }

    /// Page by page, the AMIs of a source Region that are wanted here.
    async fn look_for_wanted(&self, region: &Region, listed: &Listed, found: &mut Found) -> Result<(), Error> {
        let sources = &self.settings.sources;
        self.list_sources(region, sources, self.settings.backfill_days, |image| {
            if self.settings.retire_with_source && image.state == State::Available {
                listed.images.borrow_mut().insert(image.id.clone());
            }
            if selection::is_wanted(&image, region, AnnouncedBy::Sweep, sources).is_ok() {
                let origin = Origin::handed_on(&image).map(|origin| Box::new(origin.ami));
                found.wanted.push(Wanted { created: image.created, source: image.identity(region), origin });
            }
        })
        .await
    }

    /// Without a queue of its own: does what a queue would deliver, until time is up.
    async fn work(
        &self,
        announcements: &[OwnMessage],
        begin: Instant,
        attempt: DeliveryAttempt,
        tally: &mut Tally,
    ) -> Vec<Report> {
        let last_start = begin + attempt.deadline.saturating_duration_since(begin) / 2;
        let limit_is_reached = Cell::new(false);
        let worked: Vec<Option<Vec<Report>>> = stream::iter(announcements.iter().map(async |message| {
            let is_copy = matches!(message, OwnMessage::Missed { .. });
            if Instant::now() >= last_start || (is_copy && limit_is_reached.get()) {
                return None;
            }
            let reports = timeout_at(attempt.deadline, self.own(message, attempt)).await.ok()?;
            let meets_limit = |report: &Report| report.result.as_ref().is_err_and(|error| is_limit(error.code()));
            if reports.iter().any(meets_limit) {
                limit_is_reached.set(true);
            }
            Some(reports)
        }))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
        tally.left += worked.iter().filter(|reports| reports.is_none()).count();
        worked.into_iter().flatten().flatten().collect()
    }
}

fn failures(errors: Vec<Error>) -> Vec<Report> {
    errors.into_iter().map(Report::rejected).collect()
}

/// The owners of the sources, as the copies' tags have them: with owners, EC2 need not search all public AMIs.
fn owners(copies: &[&Follower]) -> Vec<Owner> {
    let accounts: BTreeSet<&AccountId> = copies.iter().filter_map(|copy| copy.source_owner.as_ref()).collect();
    std::iter::once(Owner::Myself).chain(accounts.into_iter().cloned().map(Owner::Account)).collect()
}

impl Found {
    /// Sorts in a copy of the courier's by its state.
    fn sort_in(&mut self, copy: Image, source: Identity, now: OffsetDateTime) {
        let (tally, created) = (&mut self.tally, copy.created);
        match copy.state {
            State::Pending => {
                tally.in_progress += 1;
                let age = created.map_or(0, |created| (now - created).whole_seconds());
                tally.oldest_in_progress_seconds = tally.oldest_in_progress_seconds.max(age);
            }
            State::Failed => {
                tally.failed += 1;
                self.failed_sources.insert(source);
                self.copies.push((created, copy.id));
            }
            State::Available | State::Disabled => {
                if copy.state == State::Available && !copy.tags.contains_key(tag::FINISHED) {
                    tally.unfinished += 1;
                    self.copies.push((created, copy.id.clone()));
                }
                let source_owner = copy.tags.get(tag::SOURCE_OWNER).and_then(|owner| owner.parse().ok());
                let is_marked = copy.is_marked();
                self.followers.push(Follower { created, copy: copy.id, source, source_owner, is_marked });
            }
            State::Deregistered => {}
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
            let is_copied = |identity: &Identity| copied.contains(identity);
            self.wanted.retain(|wanted| !is_copied(&wanted.source) && !wanted.origin.as_deref().is_some_and(is_copied));
            self.wanted
        });
        self.tally.missed = missed.len();
        missed.retain(|wanted| !failed_sources.contains(&wanted.source));
        let missed = missed.into_iter().map(|it| (it.created, OwnMessage::Missed { source: it.source }));
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
