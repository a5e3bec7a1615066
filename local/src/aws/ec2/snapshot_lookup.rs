//! Finding a snapshot as EC2 does: by id, for an account.

use super::id::check_snapshot_id;
use super::snapshot::Snapshot;
use super::store::Store;
use crate::aws::error::ApiError;
use crate::aws::request::Caller;
use crate::aws::world::World;

fn snapshot_not_found(id: &str) -> ApiError {
    ApiError::client("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."))
}

impl World {
    /// A snapshot that the caller owns or that is shared with it, and its owner.
    pub(super) fn visible_snapshot(&self, caller: &Caller, id: &str) -> Result<(&str, &Snapshot), ApiError> {
        check_snapshot_id(id)?;
        self.store(&caller.region)
            .into_iter()
            .flat_map(Store::snapshots)
            .find(|(owner, snapshot)| snapshot.id == id && snapshot.is_visible_to(owner, &caller.account))
            .ok_or_else(|| snapshot_not_found(id))
    }

    /// # Errors
    /// If the caller cannot see the snapshot, or does not own it.
    pub(in crate::aws) fn check_owns_snapshot(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let (owner, _) = self.visible_snapshot(caller, id)?;
        if owner == caller.account {
            return Ok(());
        }
        Err(ApiError::client("OperationNotPermitted", format!("You do not own the snapshot '{id}'.")))
    }
}
