//! The AMIs and keys that an event needs, without duplicates.

use std::collections::BTreeMap;

use crate::aws::ImageState;

/// What AWS has when the function gets the event.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Seeding {
    /// The account that the function runs in: the queue's or subscription's, else the event's.
    pub(in crate::cli) account: String,
    pub(in crate::cli) images: Vec<Seed>,
    /// KMS keys of the function's Region, as the event and the settings refer to them.
    pub(in crate::cli) keys: Vec<String>,
}

/// One AMI.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Seed {
    pub(in crate::cli) region: String,
    pub(in crate::cli) image_id: String,
    /// `None`: a name that `plant` makes.
    pub(in crate::cli) name: Option<String>,
    /// `None`: the account that the function runs in.
    pub(in crate::cli) owner: Option<String>,
    pub(in crate::cli) state: ImageState,
    /// Besides those that every seeded AMI has.
    pub(in crate::cli) tags: BTreeMap<String, String>,
    /// The source AMI, as (Region, id), if this is a copy that ami-courier made.
    pub(in crate::cli) copy_of: Option<(String, String)>,
    /// The SSM parameter that holds its id.
    pub(in crate::cli) parameter: Option<String>,
}

impl Seed {
    /// An available AMI of the function's account.
    pub(in crate::cli) fn new(region: &str, image_id: &str) -> Self {
        Self {
            region: region.to_owned(),
            image_id: image_id.to_owned(),
            name: None,
            owner: None,
            state: ImageState::Available,
            tags: BTreeMap::new(),
            copy_of: None,
            parameter: None,
        }
    }
}

impl Seeding {
    /// Nothing, for a function in this account.
    pub(in crate::cli) fn in_account(account: &str) -> Self {
        Self { account: account.to_owned(), images: Vec::new(), keys: Vec::new() }
    }

    /// The Regions that have an AMI.
    pub(in crate::cli) fn regions(&self) -> impl Iterator<Item = &str> {
        self.images.iter().map(|seed| seed.region.as_str())
    }

    /// Adds an AMI, or new facts about a known one.
    pub(in crate::cli) fn add(&mut self, seed: Seed) {
        let known = self.images.iter_mut().find(|known| known.region == seed.region && known.image_id == seed.image_id);
        let Some(known) = known else {
            self.images.push(seed);
            return;
        };
        known.name = known.name.take().or(seed.name);
        known.owner = known.owner.take().or(seed.owner);
        known.copy_of = known.copy_of.take().or(seed.copy_of);
        known.parameter = known.parameter.take().or(seed.parameter);
        known.tags.extend(seed.tags);
        if known.state == ImageState::Available {
            known.state = seed.state;
        }
    }

    /// An id for an AMI that the event does not name by id.
    pub(super) fn invented_id(&self) -> String {
        format!("ami-0f00d{:012x}", self.images.len() + 1)
    }

    pub(super) fn has_tag(&self, key: &str, value: &str) -> bool {
        self.images.iter().any(|seed| seed.tags.get(key).is_some_and(|found| found == value))
    }
}
