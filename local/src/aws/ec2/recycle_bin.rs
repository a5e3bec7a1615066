//! The Recycle Bin: a deregistered AMI comes back. <https://docs.aws.amazon.com/ebs/latest/userguide/recycle-bin.html>

use super::image::{Image, ImageState};
use super::snapshot::Snapshot;
use super::store::DeregisteredImage;
use crate::aws::world::World;

impl World {
    /// Restores a deregistered AMI as its owner would: as it was, with its snapshots, and without an event (none is
    /// documented). Returns whether that was possible: not for one that was pending, or whose snapshots are gone.
    pub fn restore_image(&mut self, region: &str, id: &str) -> bool {
        let store = self.store_mut(region);
        let Some(DeregisteredImage { image, state, snapshot_ids, .. }) = store.deregistered.get(id).cloned() else {
            return false;
        };
        let snapshot = |id: &String| {
            let mut orphans = store.orphans.iter().filter(|orphan| orphan.snapshot.id == *id);
            orphans.next().map(|orphan| orphan.snapshot.clone())
        };
        let snapshots: Option<Vec<Snapshot>> = snapshot_ids.iter().map(snapshot).collect();
        let Some(snapshots) = snapshots.filter(|_| state != ImageState::Pending) else { return false };
        store.orphans.retain(|orphan| !snapshot_ids.contains(&orphan.snapshot.id));
        store.deregistered.remove(id);
        store.images.insert(id.to_owned(), Image { state, snapshots, ..image });
        true
    }
}
