//! `DeregisterImage`, and what is left of an AMI then.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html>

use serde_json::{Value, json};

use super::image::{Gone, Image, ImageState, Protection};
use super::parameters::Parameters;
use super::snapshot::{Orphan, Snapshot, SnapshotState};
use super::stop_if_dry_run;
use crate::aws::call::Caller;
use crate::aws::error::ApiError;
use crate::aws::region::Region;
use crate::aws::wire::Answer;
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
    stop_if_dry_run(parameters)?;

    let snapshot_ids: Vec<String> = image.snapshots.iter().map(|snapshot| snapshot.id.clone()).collect();
    world.deregister(&caller.region, id);
    if !deletes_snapshots {
        return Ok(json!({ "return": true }));
    }
    let region = world.region_mut(&caller.region);
    let results: Vec<Value> = snapshot_ids
        .iter()
        .map(|id| json!({ "snapshotId": id, "returnCode": delete_unless_in_use(region, id) }))
        .collect();
    Ok(json!({ "return": true, "deleteSnapshotResultSet": results }))
}

fn delete_unless_in_use(region: &mut Region, snapshot_id: &str) -> &'static str {
    region.orphans.retain(|orphan| orphan.snapshot.id != snapshot_id);
    let in_use = region.snapshots().any(|(_, snapshot)| snapshot.id == snapshot_id);
    if in_use { "skipped" } else { "success" }
}

impl World {
    /// Deregisters an AMI as its owner would, protected or not. Its snapshots stay; a pending copy is cancelled.
    /// Whether there was one.
    pub fn deregister(&mut self, region: &str, id: &str) -> bool {
        let now = self.now();
        let Some(mut image) = self.region_mut(region).images.remove(id) else {
            return false;
        };
        let was_pending = image.state == ImageState::Pending;
        let orphans = std::mem::take(&mut image.snapshots).into_iter().map(|snapshot| Orphan {
            owner: image.owner.clone(),
            snapshot: if was_pending { cancelled(snapshot) } else { snapshot },
        });
        self.region_mut(region).orphans.extend(orphans);
        self.emit_image_state(region, &image.owner, id, ImageState::Deregistered.as_str(), "");
        let image = Image { state: ImageState::Deregistered, ..image };
        self.region_mut(region).gone.insert(id.to_owned(), Gone { image, at: now });
        true
    }

    /// Removes an AMI with its snapshots without a trace or an event, as if it had never been. Whether there was one.
    pub fn forget_image(&mut self, region: &str, id: &str) -> bool {
        let region = self.region_mut(region);
        region.images.remove(id).is_some() | region.gone.remove(id).is_some()
    }
}

fn cancelled(snapshot: Snapshot) -> Snapshot {
    Snapshot { state: SnapshotState::Error, state_message: Some("The copy was cancelled".to_owned()), ..snapshot }
}
