//! Copies that fail: which, and with which reason.

use std::collections::{BTreeMap, VecDeque};

use crate::aws::ec2::image::StateReason;
use crate::aws::world::World;

/// How a copy fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The `StateReason` of the AMI; `None`: it fails without one, as happens.
    pub state_reason: Option<StateReason>,
    /// The `StateMessage` of its snapshots, which then end in state `error`.
    pub snapshot_message: Option<String>,
}

impl Fate {
    /// The copy fails with this reason on the AMI, its snapshots in state `error` with this message.
    #[must_use]
    pub fn new(code: &str, message: &str, snapshot_message: &str) -> Self {
        Fate {
            state_reason: Some(StateReason::new(code, message)),
            snapshot_message: Some(snapshot_message.to_owned()),
        }
    }

    /// How a copy fails whose KMS key cannot be used.
    #[must_use]
    pub fn key_not_accessible() -> Self {
        Fate::new("Client.InternalError", "Copy image failed with an internal error.", "Given key ID is not accessible")
    }
}

/// The fates of the next copies, by source AMI.
#[derive(Default)]
struct Dooms(BTreeMap<String, VecDeque<Fate>>);

impl World {
    /// The next copy of this source AMI, in any Region, ends `failed` like this.
    pub fn doom(&mut self, source_image_id: &str, fate: Fate) {
        self.state_mut::<Dooms>().0.entry(source_image_id.to_owned()).or_default().push_back(fate);
    }

    pub(super) fn next_fate(&mut self, source_image_id: &str) -> Option<Fate> {
        self.state_mut::<Dooms>().0.get_mut(source_image_id)?.pop_front()
    }
}
