//! Sweep: events make it quick, the sweep makes it sure.
//!
//! EventBridge's AMI events are best effort, so now and then somebody must look at what should be and mend the difference:
//! copy what was missed, finish what was left, explain what failed, retire what is gone. These are the very steps that
//! events call, so a sweep is safe beside events and beside another sweep. It works oldest first and stops in time; the
//! next one goes on.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use futures_util::stream::{self, StreamExt};
use time::{Duration, OffsetDateTime};
use tokio::time::{Instant, timeout_at};

use super::{Courier, Occasion, Report, Wish, attempting};
use crate::announcement::Teller;
use crate::aws::ec2::Page;
use crate::identity::{Identity, ImageId, Region};
use crate::image::{Image, State, tag};
use crate::outcome::{Error, Pace};
use crate::{selection, telemetry};

/// How many steps run at once: as many as a batch of messages has.
const AT_ONCE: usize = 10;
/// How many missed AMIs one sweep bears in mind; the oldest. What is beyond is for the next one.
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
    /// Steps for which there was no time.
    pub left: usize,
    /// Whether everything was looked at.
    pub complete: bool,
}

/// One thing to mend.
enum Step {
    /// Finish or post-mortem: whatever the copy's state asks for.
    GoOn(Box<Image>, Identity),
    Retire(Box<Image>, Identity),
    Copy(Identity),
}

impl Courier {
    pub(super) async fn sweep(&self, occasion: Occasion) -> Vec<Report> {
        // The last steps get the time that a step takes, and what they did must still be told; none is begun that cannot end.
        let last_start = occasion.deadline.checked_sub(std::time::Duration::from_secs(10)).unwrap_or(occasion.deadline);
        let mut tally = Tally { complete: true, ..Tally::default() };
        let mut reports = Vec::new();
        let mut steps: Vec<(Option<OffsetDateTime>, Step)> = Vec::new();
        match timeout_at(last_start, self.look_at_copies(&mut tally, &mut steps)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => reports.push(incomplete(&mut tally, error)),
            Err(_) => reports.push(incomplete(&mut tally, out_of_time("looking at the copies of this Region"))),
        }
        for region in self.settings.sources.regions.clone() {
            match timeout_at(last_start, self.look_for_missed(&region, &mut tally, &mut steps)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => reports.push(incomplete(&mut tally, error)),
                Err(_) => {
                    reports.push(incomplete(&mut tally, out_of_time(&format!("looking at the AMIs of {region}"))))
                }
            }
        }
        steps.sort_by_key(|(created, _)| *created);
        reports.extend(self.mend(steps, last_start, occasion, &mut tally).await);
        telemetry::swept(&self.settings.here, &tally);
        reports
    }

    async fn mend(
        &self,
        steps: Vec<(Option<OffsetDateTime>, Step)>,
        last_start: Instant,
        occasion: Occasion,
        tally: &mut Tally,
    ) -> Vec<Report> {
        let limit_reached = std::cell::Cell::new(false);
        let mended: Vec<Option<Report>> = stream::iter(steps.iter().map(|(_, step)| async {
            // EC2 takes no more copies for some minutes: what is left is for the next sweep.
            if Instant::now() >= last_start || (limit_reached.get() && matches!(step, Step::Copy(_))) {
                return None;
            }
            let report = timeout_at(occasion.deadline, self.take(step, occasion)).await.ok()?;
            if matches!(&report.result, Err(Error::Retry(retry)) if retry.pace == Pace::Minutes) {
                limit_reached.set(true);
            }
            Some(report)
        }))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
        tally.left += mended.iter().filter(|report| report.is_none()).count();
        mended.into_iter().flatten().collect()
    }

    async fn take(&self, step: &Step, occasion: Occasion) -> Report {
        match step {
            Step::GoOn(copy, source) => self.go_on_with(copy, source).await,
            Step::Retire(copy, source) => self.retire(copy, source).await,
            Step::Copy(source) => self.copy(source, Wish::Announced(Teller::Ec2), occasion).await,
        }
    }

    /// Page by page, the copies of this Region: which are unfinished, failed, in progress, or without their source.
    async fn look_at_copies(
        &self,
        tally: &mut Tally,
        steps: &mut Vec<(Option<OffsetDateTime>, Step)>,
    ) -> Result<(), Error> {
        let here = self.here();
        let now = OffsetDateTime::now_utc();
        let mut next = Some(Page::of_copies());
        while let Some(page) = next {
            let copies;
            (copies, next) =
                here.page(page).await.map_err(attempting(format!("looking at the copies in {}", here.region)))?;
            let mut in_service = Vec::new();
            for copy in copies {
                let Some(source) = copy.courier_source() else { continue };
                match copy.state {
                    State::Pending => {
                        tally.in_progress += 1;
                        let age = copy.created.map_or(0, |created| (now - created).whole_seconds());
                        tally.oldest_in_progress_seconds = tally.oldest_in_progress_seconds.max(age);
                    }
                    State::Failed => {
                        tally.failed += 1;
                        steps.push((copy.created, Step::GoOn(Box::new(copy), source)));
                    }
                    State::Available if !copy.tags.contains_key(tag::FINISHED) => {
                        tally.unfinished += 1;
                        steps.push((copy.created, Step::GoOn(Box::new(copy), source)));
                    }
                    State::Available | State::Disabled => in_service.push((copy, source)),
                    State::Deregistered => {}
                }
            }
            if self.settings.retire_with_source {
                self.look_for_orphans(in_service, steps).await?;
            }
        }
        Ok(())
    }

    /// Copies whose source is not to be seen in service: whether it is gone for good is for `retire` to find out.
    async fn look_for_orphans(
        &self,
        copies: Vec<(Image, Identity)>,
        steps: &mut Vec<(Option<OffsetDateTime>, Step)>,
    ) -> Result<(), Error> {
        let mut by_region: BTreeMap<Region, Vec<(Image, ImageId)>> = BTreeMap::new();
        for (copy, source) in copies {
            if selection::region_is_allowed(&source.region, &self.settings).is_ok() {
                by_region.entry(source.region).or_default().push((copy, source.image));
            }
        }
        for (region, copies) in by_region {
            for some in copies.chunks(IDS_IN_A_FILTER) {
                let ids: Vec<&ImageId> = some.iter().map(|(_, source)| source).collect();
                let looking = attempting(format!("looking for the sources of copies in {region}"));
                let in_service: BTreeSet<ImageId> =
                    self.aws.ec2(&region).in_service(&ids).await.map_err(looking)?.into_iter().collect();
                for (copy, source) in some.iter().filter(|(_, source)| !in_service.contains(source)) {
                    let source = Identity { region: region.clone(), image: source.clone() };
                    steps.push((copy.created, Step::Retire(Box::new(copy.clone()), source)));
                }
            }
        }
        Ok(())
    }

    /// Page by page, the AMIs of a source Region that are wanted here and have no copy.
    async fn look_for_missed(
        &self,
        region: &Region,
        tally: &mut Tally,
        steps: &mut Vec<(Option<OffsetDateTime>, Step)>,
    ) -> Result<(), Error> {
        let ec2 = self.aws.ec2(region);
        let here = self.here();
        let now = OffsetDateTime::now_utc();
        let since = now - Duration::days(self.settings.backfill_days.into());
        let mut oldest: BinaryHeap<(Option<OffsetDateTime>, ImageId)> = BinaryHeap::new();
        let mut next = Some(Page::of_sources(&self.settings.sources, since, now));
        while let Some(page) = next {
            let images;
            (images, next) = ec2.page(page).await.map_err(attempting(format!("looking at the AMIs of {region}")))?;
            let wanted: Vec<&Image> = images
                .iter()
                .filter(|image| image.created.is_none_or(|created| created >= since))
                .filter(|image| selection::is_wanted(image, Teller::Ec2, &self.settings.sources).is_ok())
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
                    tally.missed += 1;
                    oldest.push((image.created, image.id.clone()));
                    if oldest.len() > MOST_MISSED {
                        oldest.pop();
                        tally.left += 1;
                    }
                }
            }
        }
        steps.extend(
            oldest
                .into_iter()
                .map(|(created, image)| (created, Step::Copy(Identity { region: region.clone(), image }))),
        );
        Ok(())
    }
}

fn incomplete(tally: &mut Tally, error: Error) -> Report {
    tally.complete = false;
    Report::new(None, Err(error))
}

fn out_of_time(doing: &str) -> Error {
    Error::retry(Pace::Minutes, "OutOfTime", format!("{doing} took longer than the function may run"))
}
