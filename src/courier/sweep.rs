//! Sweep: events make it quick, the sweep makes it sure.
//!
//! EventBridge's AMI events are best effort, so now and then somebody must look at what should be and mend the difference:
//! copy what was missed, finish what was left, explain what failed, retire what is gone. These are the very steps that
//! events call, so a sweep is safe beside events and beside another sweep.
//!
//! It is sure to end in time: a third of it is for looking, a third for beginning steps, oldest first, and a third for
//! ending them and telling what became of them. What is left is for the next one. All that is looked at is looked at at
//! once, so a Region that does not answer costs the others nothing.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use time::{Duration, OffsetDateTime};
use tokio::time::{Instant, timeout_at};

use super::{Courier, Occasion, Report, Wish, attempting};
use courier_core::announcement::AnnouncedBy;
use crate::aws::ec2::{Page, Sight};
use courier_core::identity::{Identity, ImageId, Region};
use courier_core::image::{Image, State, tag};
use courier_core::outcome::{Error, Pace};
use crate::{selection, telemetry};

/// How many steps run at once: as many as a batch of messages has.
const AT_ONCE: usize = 10;
/// How many missed AMIs of a Region one sweep bears in mind; the oldest. What is beyond is for the next one.
const MOST_MISSED: usize = 1000;
/// How many ids EC2 takes for a filter.
const IDS_IN_A_FILTER: usize = 200;

/// What a sweep found: the gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Copies that are pending, and since when the oldest of them is.
    pub in_progress: usize,
    pub oldest_in_progress_seconds: i64,
    /// Source AMIs that no event had told of, or whose copying was left.
    pub missed: usize,
    /// Available copies whose finish was left.
    pub unfinished: usize,
    pub failed: usize,
    /// Missed AMIs that cannot be copied as things are. Every sweep finds them again, so they are no dead letters but a gauge.
    pub rejected: usize,
    /// Steps for which there was no time, or which EC2's limits do not allow now.
    pub left: usize,
    /// Whether everything was looked at.
    pub complete: bool,
}

/// One thing to mend.
enum Step {
    /// Finish or post-mortem: whatever the copy's state asks for.
    GoOn(Box<Image>, Identity),
    /// The source of the copy with this id is not to be seen in service.
    Retire(ImageId, Identity),
    Copy(Identity),
}

/// What looking has found so far: when it is cut short, that much is mended.
#[derive(Default)]
struct Found {
    tally: Tally,
    /// With the time by which they are ordered.
    steps: Vec<(Option<OffsetDateTime>, Step)>,
    /// Wanted AMIs without a copy; of too many, the newest are left.
    missed: BinaryHeap<(Option<OffsetDateTime>, Identity)>,
    /// Copies that nothing is left to be done for, as long as their source is in service.
    in_service: Vec<InService>,
    /// Why something could not be looked at.
    errors: Vec<Error>,
}

#[derive(Clone)]
struct InService {
    created: Option<OffsetDateTime>,
    copy: ImageId,
    source: Identity,
}

impl Courier {
    pub(super) async fn sweep(&self, occasion: Occasion) -> Vec<Report> {
        let now = Instant::now();
        let third = occasion.deadline.saturating_duration_since(now) / 3;
        let Found { mut tally, steps, missed, errors, .. } = self.look(now + third).await;
        tally.complete = errors.is_empty();
        let steps = in_order(steps, missed);
        let mut reports: Vec<Report> = errors.into_iter().map(|error| Report::new(None, Err(error))).collect();
        reports.extend(self.mend(&steps, now + 2 * third, occasion, &mut tally).await);
        telemetry::swept(&self.settings.here, &tally);
        reports
    }

    /// Looks at this Region and at each source Region, at the same time.
    async fn look(&self, until: Instant) -> Found {
        let here = async {
            let mut found = Found::default();
            let looking = timeout_at(until, self.look_at_copies(&mut found)).await;
            found.note(looking, "the copies of this Region");
            let of_sources = self.by_source_region(std::mem::take(&mut found.in_service));
            let gone = join_all(of_sources.iter().map(async |(region, copies)| {
                let mut found = Found::default();
                let looking = timeout_at(until, self.look_for_sources(region, copies, &mut found)).await;
                found.note(looking, &format!("the sources of copies in {region}"));
                found
            }));
            gone.await.into_iter().fold(found, Found::and)
        };
        let there = join_all(self.settings.sources.regions.iter().map(async |region| {
            let mut found = Found::default();
            let looking = timeout_at(until, self.look_for_missed(region, &mut found)).await;
            found.note(looking, &format!("the AMIs of {region}"));
            found
        }));
        let (here, there) = tokio::join!(here, there);
        there.into_iter().fold(here, Found::and)
    }

    async fn mend(&self, steps: &[Step], last_start: Instant, occasion: Occasion, tally: &mut Tally) -> Vec<Report> {
        let limit_reached = Cell::new(false);
        let rejected = Cell::new(0);
        let mended: Vec<Option<Report>> = stream::iter(steps.iter().map(|step| async {
            // EC2 takes no more copies for some minutes: what is left is for the next sweep.
            if Instant::now() >= last_start || (limit_reached.get() && matches!(step, Step::Copy(_))) {
                return None;
            }
            let report = timeout_at(occasion.deadline, self.take(step, occasion)).await.ok()?;
            match &report.result {
                Err(Error::Retry(retry)) if retry.is_limit() => limit_reached.set(true),
                Err(Error::Rejected(_)) if matches!(step, Step::Copy(_)) => rejected.set(rejected.get() + 1),
                _ => {}
            }
            Some(report)
        }))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
        tally.left += mended.iter().filter(|report| report.is_none()).count();
        tally.rejected += rejected.get();
        mended.into_iter().flatten().collect()
    }

    async fn take(&self, step: &Step, occasion: Occasion) -> Report {
        match step {
            Step::GoOn(copy, source) => self.go_on_with(copy, source).await,
            Step::Retire(copy, source) => {
                let here = self.here();
                let looking = attempting(format!("describing the copy {copy} in {}", here.region));
                match here.image(copy, None).await.map_err(looking) {
                    Ok(Sight::Image(copy)) if copy.state.is_live() => self.retire(&copy, source).await,
                    Ok(_) => self.ignored(Some(source), format!("the copy {copy} is gone")),
                    Err(error) => self.settled(Some(source), error.into()),
                }
            }
            Step::Copy(source) => self.copy(source, Wish::Announced(AnnouncedBy::Ec2), occasion).await,
        }
    }

    /// Page by page, the copies of this Region: which are unfinished, failed, in progress, or in service.
    async fn look_at_copies(&self, found: &mut Found) -> Result<(), Error> {
        let here = self.here();
        let now = OffsetDateTime::now_utc();
        let mut next = Some(Page::of_copies());
        while let Some(page) = next {
            let copies;
            (copies, next) =
                here.page(page).await.map_err(attempting(format!("looking at the copies in {}", here.region)))?;
            for copy in copies {
                let Some(source) = copy.courier_source() else { continue };
                let (tally, created) = (&mut found.tally, copy.created);
                match copy.state {
                    State::Pending => {
                        tally.in_progress += 1;
                        let age = created.map_or(0, |created| (now - created).whole_seconds());
                        tally.oldest_in_progress_seconds = tally.oldest_in_progress_seconds.max(age);
                    }
                    State::Failed => {
                        tally.failed += 1;
                        found.steps.push((created, Step::GoOn(Box::new(copy), source)));
                    }
                    State::Available if !copy.tags.contains_key(tag::FINISHED) => {
                        tally.unfinished += 1;
                        found.steps.push((created, Step::GoOn(Box::new(copy), source)));
                    }
                    State::Available | State::Disabled => {
                        found.in_service.push(InService { created, copy: copy.id, source });
                    }
                    State::Deregistered => {}
                }
            }
        }
        Ok(())
    }

    /// The copies that have to follow their sources out of service, by the Region to look for those in.
    fn by_source_region(&self, copies: Vec<InService>) -> BTreeMap<Region, Vec<InService>> {
        let mut by_region: BTreeMap<Region, Vec<InService>> = BTreeMap::new();
        if self.settings.retire_with_source {
            for copy in copies {
                if selection::region_is_allowed(&copy.source.region, &self.settings).is_ok() {
                    by_region.entry(copy.source.region.clone()).or_default().push(copy);
                }
            }
        }
        by_region
    }

    /// Copies whose source is not to be seen in service: whether it is gone for good is for `retire` to find out.
    async fn look_for_sources(&self, region: &Region, copies: &[InService], found: &mut Found) -> Result<(), Error> {
        let ec2 = self.aws.ec2(region);
        for some in copies.chunks(IDS_IN_A_FILTER) {
            let ids: Vec<&ImageId> = some.iter().map(|copy| &copy.source.image).collect();
            let looking = attempting(format!("looking for the sources of copies in {region}"));
            let in_service: BTreeSet<ImageId> = ec2.in_service(&ids).await.map_err(looking)?.into_iter().collect();
            let unseen = some.iter().filter(|copy| !in_service.contains(&copy.source.image)).cloned();
            found.steps.extend(unseen.map(|InService { created, copy, source }| (created, Step::Retire(copy, source))));
        }
        Ok(())
    }

    /// Page by page, the AMIs of a source Region that are wanted here and have no copy.
    async fn look_for_missed(&self, region: &Region, found: &mut Found) -> Result<(), Error> {
        let ec2 = self.aws.ec2(region);
        let here = self.here();
        let now = OffsetDateTime::now_utc();
        let since = now - Duration::days(self.settings.backfill_days.into());
        let mut next = Some(Page::of_sources(&self.settings.sources, since, now));
        while let Some(page) = next {
            let images;
            (images, next) = ec2.page(page).await.map_err(attempting(format!("looking at the AMIs of {region}")))?;
            let wanted: Vec<&Image> = images
                .iter()
                .filter(|image| image.created.is_none_or(|created| created >= since))
                .filter(|image| selection::is_wanted(image, AnnouncedBy::Ec2, &self.settings.sources).is_ok())
                .collect();
            for some in wanted.chunks(IDS_IN_A_FILTER) {
                let ids: Vec<&ImageId> = some.iter().map(|image| &image.id).collect();
                let looking = attempting(format!("looking in {} for copies of AMIs of {region}", here.region));
                let copied: BTreeSet<ImageId> = here
                    .copied_of(region, &ids)
                    .await
                    .map_err(looking)?
                    .into_iter()
                    .map(|source| source.image)
                    .collect();
                for image in some.iter().filter(|image| !copied.contains(&image.id)) {
                    found.tally.missed += 1;
                    found.missed.push((image.created, image.identity(region)));
                    if found.missed.len() > MOST_MISSED {
                        found.missed.pop();
                        found.tally.left += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Oldest first. A source whose failed copy is explained now is copied anew by the next sweep: an explanation needs what
/// is left of the failed copy.
fn in_order(
    mut steps: Vec<(Option<OffsetDateTime>, Step)>,
    missed: BinaryHeap<(Option<OffsetDateTime>, Identity)>,
) -> Vec<Step> {
    let explained: BTreeSet<Identity> = steps
        .iter()
        .filter_map(|(_, step)| match step {
            Step::GoOn(copy, source) if copy.state == State::Failed => Some(source.clone()),
            _ => None,
        })
        .collect();
    steps.extend(
        missed
            .into_iter()
            .filter(|(_, source)| !explained.contains(source))
            .map(|(created, source)| (created, Step::Copy(source))),
    );
    steps.sort_by_key(|(created, _)| *created);
    steps.into_iter().map(|(_, step)| step).collect()
}

impl Found {
    fn and(mut self, other: Self) -> Self {
        let Tally { in_progress, oldest_in_progress_seconds, missed, unfinished, failed, rejected, left, complete: _ } =
            other.tally;
        self.tally.in_progress += in_progress;
        self.tally.oldest_in_progress_seconds = self.tally.oldest_in_progress_seconds.max(oldest_in_progress_seconds);
        self.tally.missed += missed;
        self.tally.unfinished += unfinished;
        self.tally.failed += failed;
        self.tally.rejected += rejected;
        self.tally.left += left;
        self.steps.extend(other.steps);
        self.missed.extend(other.missed);
        self.in_service.extend(other.in_service);
        self.errors.extend(other.errors);
        self
    }

    /// Notes how a look ended.
    fn note(&mut self, looking: Result<Result<(), Error>, tokio::time::error::Elapsed>, at: &str) {
        match looking {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.errors.push(error),
            Err(_) => {
                let words = format!("looking at {at} takes longer than a third of the function's time-out");
                self.errors.push(Error::retry(Pace::Minutes, "OutOfTime", words));
            }
        }
    }
}
