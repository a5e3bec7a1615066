//! What EC2 keeps: AMIs, deregistered AMIs, and the snapshots that those left behind.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::image::{Image, ImageState};
use super::snapshot::Snapshot;
use crate::aws::digest::ec2_id;
use crate::aws::world::World;

/// The store of each Region, by its name.
#[derive(Default)]
struct Stores(BTreeMap<String, Store>);

/// What EC2 keeps in one Region.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) images: BTreeMap<String, Image>,
    pub(super) deregistered: BTreeMap<String, DeregisteredImage>,
    pub(super) orphans: Vec<OrphanedSnapshot>,
}

/// A deregistered AMI, as it was.
#[derive(Clone, Debug)]
pub(super) struct DeregisteredImage {
    pub(super) image: Image,
    pub(super) at: OffsetDateTime,
    /// The state that it had, and the snapshots that it left behind.
    pub(super) state: ImageState,
    pub(super) snapshot_ids: Vec<String>,
}

/// A snapshot that no AMI uses: its AMI was deregistered without it, or there was none yet.
#[derive(Clone, Debug)]
pub(super) struct OrphanedSnapshot {
    pub(super) owner: String,
    pub(super) snapshot: Snapshot,
}

impl Store {
    /// Every snapshot, with the account that owns it.
    pub(super) fn snapshots(&self) -> impl Iterator<Item = (&str, &Snapshot)> {
        let of_images = self
            .images
            .values()
            .flat_map(|image| image.snapshots.iter().map(|snapshot| (image.owner.as_str(), snapshot)));
        let orphans = self.orphans.iter().map(|orphan| (orphan.owner.as_str(), &orphan.snapshot));
        of_images.chain(orphans)
    }

    /// Every snapshot, to change it. A snapshot of two AMIs comes twice.
    fn snapshots_mut(&mut self) -> impl Iterator<Item = &mut Snapshot> {
        let of_images = self.images.values_mut().flat_map(|image| &mut image.snapshots);
        let orphans = self.orphans.iter_mut().map(|orphan| &mut orphan.snapshot);
        of_images.chain(orphans)
    }
}

impl World {
    /// Puts an AMI into a Region as it is, without any check, and sends no event. Returns its id.
    pub fn add_image(&mut self, region: &str, image: Image) -> String {
        let id = image.id.clone();
        self.store_mut(region).images.insert(id.clone(), image);
        id
    }

    /// Every AMI that exists in the Region, of any state and owner; by id.
    pub fn images(&self, region: &str) -> Vec<Image> {
        self.store(region).map_or_else(Vec::new, |store| store.images.values().cloned().collect())
    }

    /// An AMI that exists (was not deregistered).
    pub fn image(&self, region: &str, id: &str) -> Option<&Image> {
        self.store(region)?.images.get(id)
    }

    /// An AMI that exists, to change it directly.
    pub fn image_mut(&mut self, region: &str, id: &str) -> Option<&mut Image> {
        self.store_mut(region).images.get_mut(id)
    }

    /// Removes an AMI and its snapshots without a trace or an event. Returns whether there was one.
    pub fn forget_image(&mut self, region: &str, id: &str) -> bool {
        let store = self.store_mut(region);
        store.images.remove(id).is_some() | store.deregistered.remove(id).is_some()
    }

    /// Puts a snapshot that no AMI uses into a Region.
    pub(in crate::aws) fn add_snapshot(&mut self, region: &str, owner: &str, snapshot: Snapshot) {
        self.store_mut(region).orphans.push(OrphanedSnapshot { owner: owner.to_owned(), snapshot });
    }

    /// The ids of all snapshots of the Region, also of those whose AMI was deregistered.
    pub fn snapshots(&self, region: &str) -> Vec<String> {
        let snapshots = self.store(region).into_iter().flat_map(Store::snapshots);
        snapshots.map(|(_, snapshot)| snapshot.id.clone()).collect()
    }

    pub(super) fn store(&self, region: &str) -> Option<&Store> {
        self.state::<Stores>()?.0.get(region)
    }

    pub(super) fn store_mut(&mut self, region: &str) -> &mut Store {
        self.state_mut::<Stores>().0.entry(region.to_owned()).or_default()
    }

    /// Changes a snapshot of the Region.
    pub(in crate::aws) fn change_snapshot(&mut self, region: &str, id: &str, change: impl Fn(&mut Snapshot)) {
        let snapshots = self.store_mut(region).snapshots_mut();
        snapshots.filter(|snapshot| snapshot.id == id).for_each(change);
    }

    /// A new id, the same for the same seed in the same world, in any order of calls.
    pub(super) fn new_image_id(&self, region: &str, seed: &str) -> String {
        let is_taken = |id: &String| {
            self.store(region).is_some_and(|store| store.images.contains_key(id) || store.deregistered.contains_key(id))
        };
        (0..=u32::MAX)
            .map(|n| ec2_id("ami", &format!("{region} {seed} {n}")))
            .find(|id| !is_taken(id))
            .expect("there are more ids than AMIs")
    }
}
