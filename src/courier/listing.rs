//! Listing a Region: page by page, a thousand AMIs a call, at a pace that leaves EC2's limits to others. The sweep and the status
//! list alike.

use std::collections::HashSet;

use courier_core::error::Error;
use courier_core::family;
use courier_core::identity::{ImageId, Region};
use courier_core::image::Image;
use courier_core::selection;
use courier_core::settings::Sources;
use time::Duration;
use tokio::time::{Instant, Interval, interval_at};

use super::stack::{Courier, Delivery};
use crate::aws::ec2::{MOST_VALUES, Page};
use crate::aws::error::When;

/// How long a page of a listing takes at least, on average: five a second. EC2 gives an account 20 calls of an action a second, in
/// each Region, and others need them too. <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
const TIME_OF_A_PAGE: std::time::Duration = std::time::Duration::from_millis(200);
/// So many pages come at once before that holds.
const PAGES_AT_ONCE: u32 = 10;

impl Courier {
    /// Hands over each AMI of this Region that was made from another one.
    pub(super) async fn list_copies(&self, mut hand_over: impl FnMut(Image)) -> Result<(), Error> {
        let ec2 = self.local_ec2();
        let mut pace = pace();
        let mut next = Some(Page::of_copies());
        while let Some(page) = next {
            let copies;
            pace.tick().await;
            (copies, next) = ec2.page(page).await.when(format_args!("looking at the copies in {}", ec2.region))?;
            copies.into_iter().for_each(&mut hand_over);
        }
        Ok(())
    }

    /// Hands over each AMI of a source Region that `sources` could want, that comes from elsewhere and that is no older than `days`.
    /// Selection decides.
    pub(super) async fn list_sources(
        &self,
        region: &Region,
        sources: &Sources,
        days: u16,
        delivery: &Delivery<'_>,
        mut hand_over: impl FnMut(Image),
    ) -> Result<(), Error> {
        let ec2 = self.aws.ec2(region);
        let now = self.aws.now();
        let since = now - Duration::days(days.into());
        let mut pace = pace();
        let stack = delivery.stack;
        let mut next = Some(Page::of_sources(sources, &sources.owners_in(region, &stack.region), since, now));
        while let Some(page) = next {
            let images;
            pace.tick().await;
            (images, next) = ec2.page(page).await.when(format_args!("looking at the AMIs of {region}"))?;
            let from_here = self.origins_here(&images, region, delivery).await?;
            let young = |image: &Image| image.created.is_none_or(|created| created >= since);
            let from_elsewhere = |image: &Image| {
                let is_copy_of_ours = image.source.as_ref().is_some_and(|origin| from_here.contains(&origin.image));
                !is_copy_of_ours && selection::comes_from_elsewhere(image, region, stack).is_ok()
            };
            images.into_iter().filter(young).filter(from_elsewhere).for_each(&mut hand_over);
        }
        Ok(())
    }
}

impl Courier {
    /// The AMIs of this Region that these AMIs of `region` were copied from, and that are this account's, or gone.
    async fn origins_here(
        &self,
        images: &[Image],
        region: &Region,
        delivery: &Delivery<'_>,
    ) -> Result<HashSet<ImageId>, Error> {
        let (stack, ec2) = (delivery.stack, self.local_ec2());
        let origin = |image: &Image| {
            let recorded = family::recorded_origin(image, region, stack.account.as_ref())?;
            (recorded.region == stack.region).then(|| recorded.image.clone())
        };
        let mut origins: HashSet<ImageId> = images.iter().filter_map(origin).collect();
        let ids: Vec<ImageId> = origins.iter().cloned().collect();
        for some in ids.chunks(MOST_VALUES) {
            let some: Vec<&ImageId> = some.iter().collect();
            let visible = ec2.visible(&some).await;
            let visible =
                visible.when(format_args!("looking in {} for what AMIs of {region} are copies of", ec2.region))?;
            for theirs in visible.iter().filter(|image| delivery.is_of_another_account(image)) {
                origins.remove(&theirs.id);
            }
        }
        Ok(origins)
    }
}

/// Ticks whenever the next page may be asked for.
fn pace() -> Interval {
    let now = Instant::now();
    // It begins in the past, and catches up at once.
    interval_at(now.checked_sub(TIME_OF_A_PAGE * (PAGES_AT_ONCE - 1)).unwrap_or(now), TIME_OF_A_PAGE)
}
