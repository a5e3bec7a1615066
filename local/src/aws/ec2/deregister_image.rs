//! `DeregisterImage`, and what remains of an AMI.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html>

use serde_json::{Value, json};

use super::image::{Image, ImageState, Protection};
use super::parameters::Parameters;
use super::snapshot::{Snapshot, SnapshotState};
use super::store::{DeregisteredImage, OrphanedSnapshot, Store};
use crate::aws::behaviour::SnapshotDeletion;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

pub(super) fn deregister_image(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let id = parameters.required("ImageId")?;
    let deletes_snapshots = parameters.flag("DeleteAssociatedSnapshots")?.unwrap_or(false);
    let now = world.now();
    let image = world.own_image(caller, id)?;
    let is_protected = image.deregistration_protection != Protection::Disabled
        || image.protected_until.is_some_and(|until| until > now);
    if is_protected {
        return Err(ApiError::client(
            "OperationNotPermitted",
            format!("The image '{id}' is protected from deregistration, or was until less than 24 hours ago."),
        ));
    }
    parameters.stop_if_dry_run()?;

    let snapshot_ids: Vec<String> = image.snapshots.iter().map(|snapshot| snapshot.id.clone()).collect();
    world.deregister(&caller.region, id);
    if !deletes_snapshots {
        return Ok(json!({ "return": true }));
    }
    let deletion = world.behaviour.snapshot_deletion;
    let store = world.store_mut(&caller.region);
    let results: Vec<Value> = snapshot_ids
        .iter()
        .map(|id| json!({ "snapshotId": id, "returnCode": delete_unless_in_use(store, id, deletion) }))
        .collect();
    Ok(json!({ "return": true, "deleteSnapshotResultSet": results }))
}

/// The `returnCode` of a snapshot. One that another AMI uses, or whose deletion fails, stays.
fn delete_unless_in_use(store: &mut Store, snapshot_id: &str, deletion: SnapshotDeletion) -> &'static str {
    let is_in_use = store.images.values().flat_map(|image| &image.snapshots).any(|snapshot| snapshot.id == snapshot_id);
    if is_in_use || deletion == SnapshotDeletion::Success {
        store.orphans.retain(|orphan| orphan.snapshot.id != snapshot_id);
    }
    match deletion {
        _ if is_in_use => "skipped",
        SnapshotDeletion::Success => "success",
        SnapshotDeletion::MissingPermissions => "missing-permissions",
        SnapshotDeletion::InternalError => "internal-error",
        SnapshotDeletion::ClientError => "client-error",
    }
}

impl World {
    /// Deregisters an AMI as its owner would, protected or not. Its snapshots stay; a pending copy is cancelled.
    /// Returns whether there was one.
    pub fn deregister(&mut self, region: &str, id: &str) -> bool {
        let now = self.now();
        let Some(mut image) = self.store_mut(region).images.remove(id) else {
            return false;
        };
        let state = image.state;
        let was_pending = state == ImageState::Pending;
        let snapshot_ids = image.snapshots.iter().map(|snapshot| snapshot.id.clone()).collect();
        let orphans = std::mem::take(&mut image.snapshots).into_iter().map(|snapshot| OrphanedSnapshot {
            owner: image.owner.clone(),
            snapshot: if was_pending { cancelled(snapshot) } else { snapshot },
        });
        self.store_mut(region).orphans.extend(orphans);
        self.emit_image_state(region, &image.owner, id, ImageState::Deregistered, "");
        let image = Image { state: ImageState::Deregistered, ..image };
        self.store_mut(region)
            .deregistered
            .insert(id.to_owned(), DeregisteredImage { image, at: now, state, snapshot_ids });
        true
    }
}

fn cancelled(snapshot: Snapshot) -> Snapshot {
    Snapshot { state: SnapshotState::Error, state_message: Some("The copy was cancelled".to_owned()), ..snapshot }
}
