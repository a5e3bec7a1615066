//! The copy: how it is made, what it is encrypted with, how it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use time::OffsetDateTime;

use super::failure::CopyFailure;
use super::request::CopyImage;
use crate::aws::digest::ec2_id;
use crate::aws::ec2::image::{Image, ImageState, Protection};
use crate::aws::ec2::snapshot::{Snapshot, SnapshotState};
use crate::aws::ec2::tags::Tags;
use crate::aws::ec2::visibility::Visibility;
use crate::aws::kms::default_key_arn;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// Makes the copy, in state pending, and returns its id. Blank volumes are copied as they are, even if
/// the copy is encrypted (assumed: a volume without a snapshot has nothing to encrypt yet).
pub(super) fn start(world: &mut World, caller: &Caller, request: &CopyImage<'_>, source: &Image, tags: Tags) -> String {
    let now = world.now();
    let seed = format!("{} {} {} {}", caller.account, request.source_region, source.id, request.name);
    let image_id = world.new_image_id(&caller.region, &seed);
    let key = destination_key(world, caller, request);
    let mut failure = world.next_failure(&source.id);
    let snapshots: Vec<Snapshot> = source
        .snapshots
        .iter()
        .zip(1_u32..)
        .map(|(snapshot, number)| {
            let encryption = (snapshot.encrypted || key.forced).then(|| key.arn.clone());
            let key_fails = encryption.as_ref().is_some_and(Option::is_none)
                || !source_key_is_usable(world, caller, request, source, snapshot);
            if key_fails && failure.is_none() {
                failure = Some(CopyFailure::key_not_accessible());
            }
            let reference = encryption.map(|arn| arn.unwrap_or_else(|| key.reference.clone()));
            let id = ec2_id("snap", &format!("{image_id} {number}"));
            copied_snapshot(id, snapshot, reference, &image_id, &source.id, now, &request.tags.snapshot)
        })
        .collect();
    let copy = Image {
        id: image_id.clone(),
        name: request.name.to_owned(),
        owner: caller.account.clone(),
        owner_alias: None,
        state: ImageState::Pending,
        state_reason: None,
        description: request.description.map(str::to_owned),
        tags,
        snapshots,
        creation_date: now,
        launch_permissions: BTreeSet::new(),
        deprecation_time: None,
        deregistration_protection: Protection::Disabled,
        source_image_id: Some(source.id.clone()),
        source_image_region: Some(request.source_region.to_owned()),
        source_instance_id: None,
        last_launched_time: None,
        referenced_by: Vec::new(),
        visibility: Visibility::of_new_image(now, &world.behaviour),
        earlier: Vec::new(),
        protected_until: None,
        ..source.clone()
    };
    let longest = request.completion_duration.unwrap_or(Duration::MAX);
    let ends_at = now + world.behaviour.copy_duration.min(longest);
    let region = caller.region.clone();
    world.copy_begins(&region, &image_id);
    world.schedule(ends_at, move |world| end(world, &region, &image_id, failure));
    world.add_image(&caller.region, copy)
}

/// The key for the copy's encrypted snapshots.
struct DestinationKey {
    /// As the request names it.
    reference: String,
    /// `None` if there is no such key, or it cannot be used: EC2 notices only when it copies.
    arn: Option<String>,
    /// Whether snapshots are encrypted even if their source is not.
    forced: bool,
}

fn destination_key(world: &World, caller: &Caller, request: &CopyImage<'_>) -> DestinationKey {
    let reference = request.kms_key.unwrap_or("alias/aws/ebs");
    DestinationKey {
        reference: reference.to_owned(),
        arn: world.usable_key(reference, &caller.region, &caller.account),
        forced: request.encrypted == Some(true) || world.behaviour.encryption_by_default.contains(&caller.region),
    }
}

/// A source snapshot can be read unless its key cannot be used, or is another account's `aws/ebs`.
fn source_key_is_usable(
    world: &World,
    caller: &Caller,
    request: &CopyImage<'_>,
    source: &Image,
    snapshot: &Snapshot,
) -> bool {
    let Some(key_arn) = &snapshot.kms_key else {
        return true;
    };
    if source.owner != caller.account && *key_arn == default_key_arn(request.source_region, &source.owner) {
        return false;
    }
    !world.key_is_out_of_order(request.source_region, key_arn)
}

fn copied_snapshot(
    id: String,
    source: &Snapshot,
    kms_key: Option<String>,
    image_id: &str,
    source_image_id: &str,
    now: OffsetDateTime,
    tags: &Tags,
) -> Snapshot {
    Snapshot {
        id,
        size_gib: source.size_gib,
        encrypted: kms_key.is_some(),
        kms_key,
        state: SnapshotState::Pending,
        state_message: None,
        description: format!(
            "Copied for DestinationAmi {image_id} from SourceAmi {source_image_id} for SourceSnapshot {}. \
             Task created on {}.",
            source.id,
            now.unix_timestamp() * 1000
        ),
        tags: tags.clone(),
        shared_with: BTreeSet::new(),
        start_time: now,
    }
}

/// The end of a copy: it becomes available, or failed.
fn end(world: &mut World, region: &str, image_id: &str, failure: Option<CopyFailure>) {
    world.copy_ends(region, image_id);
    let Some(image) = world.image_mut(region, image_id) else {
        return;
    };
    if image.state != ImageState::Pending {
        return;
    }
    let (state, snapshot_state) = match failure {
        None => (ImageState::Available, SnapshotState::Completed),
        Some(_) => (ImageState::Failed, SnapshotState::Error),
    };
    let CopyFailure { state_reason, snapshot_message } =
        failure.unwrap_or(CopyFailure { state_reason: None, snapshot_message: None });
    image.state = state;
    for snapshot in &mut image.snapshots {
        snapshot.state = snapshot_state;
        snapshot.state_message.clone_from(&snapshot_message);
    }
    let reason = state_reason.as_ref().map_or(String::new(), |reason| reason.message.clone());
    image.state_reason = state_reason;
    let owner = image.owner.clone();
    let error_message = if world.behaviour.events_name_the_reason { reason } else { String::new() };
    world.emit_image_state(region, &owner, image_id, state, &error_message);
}
