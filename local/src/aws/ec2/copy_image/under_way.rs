//! The copies under way, and their limits.

use std::collections::BTreeSet;

use crate::aws::ec2::image::{Image, ImageState};
use crate::aws::error::ApiError;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// The copies that have not ended, by Region and id. A deregistered one stays until it would have ended.
#[derive(Default)]
struct UnderWay(BTreeSet<(String, String)>);

impl World {
    pub(super) fn copy_begins(&mut self, region: &str, image_id: &str) {
        self.state_mut::<UnderWay>().0.insert((region.to_owned(), image_id.to_owned()));
    }

    pub(super) fn copy_ends(&mut self, region: &str, image_id: &str) {
        self.state_mut::<UnderWay>().0.remove(&(region.to_owned(), image_id.to_owned()));
    }

    /// # Errors
    /// `ResourceLimitExceeded`, if the limit of copies under way is reached.
    pub(super) fn check_limits(&self, caller: &Caller, more_snapshots: usize) -> Result<(), ApiError> {
        let copies: Vec<&Image> = self
            .state::<UnderWay>()
            .into_iter()
            .flat_map(|under_way| &under_way.0)
            .filter(|(region, _)| *region == caller.region)
            .filter_map(|(region, image_id)| self.image(region, image_id))
            .filter(|image| image.state == ImageState::Pending && image.owner == caller.account)
            .collect();
        let snapshots: usize = copies.iter().map(|image| image.snapshots.len()).sum();
        let exceeded = |what: &str, limit: usize| {
            Err(ApiError::client(
                "ResourceLimitExceeded",
                format!("Too many {what} copies in progress. The limit is {limit} for this destination region."),
            ))
        };
        if copies.len() >= self.behaviour.copies_in_progress_limit {
            return exceeded("AMI", self.behaviour.copies_in_progress_limit);
        }
        if snapshots + more_snapshots > self.behaviour.snapshot_copies_limit {
            return exceeded("snapshot", self.behaviour.snapshot_copies_limit);
        }
        Ok(())
    }
}
