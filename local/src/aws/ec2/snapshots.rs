//! `DescribeSnapshots`, `DeleteSnapshot`, `GetEbsEncryptionByDefault`.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html>

use std::borrow::Cow;

use serde_json::{Value, json};

use super::filter::Filter;
use super::page::page;
use super::parameters::{IDS_IN_A_CALL, Parameters};
use super::snapshot::{Snapshot, SnapshotState};
use super::store::Store;
use super::tags;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::timestamp::ec2_time;
use crate::aws::world::World;

pub(super) fn describe_snapshots(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let ids = parameters.ids("SnapshotId", IDS_IN_A_CALL)?;
    for id in &ids {
        world.visible_snapshot(caller, id)?;
    }
    if !ids.is_empty() && parameters.text("MaxResults").is_some() {
        return Err(ApiError::client(
            "InvalidParameterCombination",
            "The parameter snapshotSet cannot be used with the parameter maxResults",
        ));
    }
    let owners = parameters.list("Owner");
    let filters = Filter::read(parameters, &FILTERS)?;
    parameters.stop_if_dry_run()?;
    let has_owner = |owner: &str| {
        owners.is_empty() || owners.contains(&owner) || (owners.contains(&"self") && owner == caller.account)
    };
    let mut found: Vec<(&str, &Snapshot)> = world
        .store(&caller.region)
        .into_iter()
        .flat_map(Store::snapshots)
        .filter(|(owner, snapshot)| {
            snapshot.is_visible_to(owner, &caller.account)
                && (ids.is_empty() || ids.contains(&snapshot.id.as_str()))
                && has_owner(owner)
                && filters.iter().all(|filter| {
                    let is_own = *owner == caller.account;
                    let tags = || if is_own { Cow::Borrowed(&snapshot.tags) } else { Cow::default() };
                    filter.passes(tags, |name| values_of(owner, snapshot, name))
                })
        })
        .collect();
    found.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
    found.dedup_by(|(_, a), (_, b)| a.id == b.id);
    let page_size = if ids.is_empty() { world.behaviour.page_size } else { usize::MAX };
    let (found, next_token) = page(found, |(_, snapshot)| &snapshot.id, parameters, page_size)?;
    let snapshots: Vec<Value> = found.into_iter().map(|(owner, snapshot)| view(caller, owner, snapshot)).collect();
    Ok(json!({ "snapshotSet": snapshots, "nextToken": next_token }))
}

const FILTERS: [&str; 8] =
    ["description", "encrypted", "owner-id", "progress", "snapshot-id", "start-time", "status", "volume-size"];

/// The values that a snapshot has for one of the [`FILTERS`].
fn values_of<'s>(owner: &'s str, snapshot: &'s Snapshot, filter: &str) -> Vec<Cow<'s, str>> {
    vec![match filter {
        "description" => Cow::from(&snapshot.description),
        "encrypted" => snapshot.encrypted.to_string().into(),
        "owner-id" => owner.into(),
        "progress" => progress(snapshot).into(),
        "snapshot-id" => Cow::from(&snapshot.id),
        "start-time" => ec2_time(snapshot.start_time).into(),
        "status" => snapshot.state.as_str().into(),
        "volume-size" => snapshot.size_gib.to_string().into(),
        _ => return Vec::new(),
    }]
}

fn progress(snapshot: &Snapshot) -> &'static str {
    match snapshot.state {
        SnapshotState::Completed => "100%",
        SnapshotState::Pending | SnapshotState::Error => "0%",
    }
}

/// An item of the `snapshotSet`.
fn view(caller: &Caller, owner: &str, snapshot: &Snapshot) -> Value {
    json!({
        "snapshotId": snapshot.id,
        "volumeId": "vol-ffffffff",
        "status": snapshot.state.as_str(),
        "statusMessage": snapshot.state_message,
        "startTime": ec2_time(snapshot.start_time),
        "progress": progress(snapshot),
        "ownerId": owner,
        "volumeSize": snapshot.size_gib,
        "description": snapshot.description,
        "encrypted": snapshot.encrypted,
        "kmsKeyId": snapshot.kms_key,
        "storageTier": "standard",
        "tagSet": if owner == caller.account { tags::view(&snapshot.tags) } else { Value::Null },
    })
}

pub(super) fn delete_snapshot(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let id = parameters.required("SnapshotId")?;
    world.check_owns_snapshot(caller, id)?;
    let store = world.store_mut(&caller.region);
    let user = store.images.values().find(|image| image.snapshots.iter().any(|snapshot| snapshot.id == id));
    if let Some(image) = user {
        return Err(ApiError::client(
            "InvalidSnapshot.InUse",
            format!("The snapshot {id} is currently in use by {}", image.id),
        ));
    }
    parameters.stop_if_dry_run()?;
    store.orphans.retain(|orphan| orphan.snapshot.id != id);
    Ok(json!({ "return": true }))
}

pub(super) fn get_ebs_encryption_by_default(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    parameters.stop_if_dry_run()?;
    let is_on = world.behaviour.encryption_by_default.contains(&caller.region);
    Ok(json!({
        "ebsEncryptionByDefault": is_on,
        "sseType": if is_on { "sse-kms" } else { "none" },
    }))
}
