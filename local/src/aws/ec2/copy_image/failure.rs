//! Copies that fail: which ones, and why.

use std::collections::{BTreeMap, VecDeque};

use crate::aws::ec2::image::StateReason;
use crate::aws::world::World;

/// How a copy fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFailure {
    /// The `StateReason` of the AMI; `None`: it fails without one, as some do.
    pub state_reason: Option<StateReason>,
    /// The `StateMessage` of its snapshots, which then end in state `error`.
    pub snapshot_message: Option<String>,
}

impl CopyFailure {
    /// The copy fails with this reason on the AMI, its snapshots in state `error` with this message.
    pub fn new(code: &str, message: &str, snapshot_message: &str) -> Self {
        CopyFailure {
            state_reason: Some(StateReason::new(code, message)),
            snapshot_message: Some(snapshot_message.to_owned()),
        }
    }

    /// The failure of a copy whose KMS key cannot be used.
    pub fn key_not_accessible() -> Self {
        CopyFailure::new(
            "Client.InternalError",
            "Copy image failed with an internal error.",
            "Given key ID is not accessible",
        )
    }
}

/// The failures of the next copies, by source AMI.
#[derive(Default)]
struct NextFailures(BTreeMap<String, VecDeque<CopyFailure>>);

impl World {
    /// Lets the next copy of this source AMI, in any Region, fail like this. Can be repeated for the copies after that.
    pub fn fail_next_copy(&mut self, source_image_id: &str, failure: CopyFailure) {
        self.state_mut::<NextFailures>().0.entry(source_image_id.to_owned()).or_default().push_back(failure);
    }

    pub(super) fn next_failure(&mut self, source_image_id: &str) -> Option<CopyFailure> {
        self.state_mut::<NextFailures>().0.get_mut(source_image_id)?.pop_front()
    }
}
