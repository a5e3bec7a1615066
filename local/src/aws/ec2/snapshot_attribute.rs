//! `ModifySnapshotAttribute` and `DescribeSnapshotAttribute`: who may create volumes from a snapshot.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::image_attribute::check_account;
use super::parameters::Parameters;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

const ATTRIBUTE: &str = "createVolumePermission";

pub(super) fn modify_snapshot_attribute(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let id = parameters.required("SnapshotId")?;
    world.check_owns_snapshot(caller, id)?;
    let (mut added, mut removed) = changes(parameters)?;
    if added.is_empty() && removed.is_empty() {
        return Err(ApiError::client(
            "MissingParameter",
            "The request must contain the parameter createVolumePermission",
        ));
    }
    let (owner, snapshot) = world.visible_snapshot(caller, id)?;
    if !added.is_empty() && snapshot.has_default_key(&caller.region, owner) {
        return Err(ApiError::client(
            "OperationNotPermitted",
            "Encrypted snapshots with EBS default key cannot be shared",
        ));
    }
    if added.contains("all") && snapshot.encrypted {
        return Err(ApiError::client("OperationNotPermitted", "Encrypted snapshots cannot be shared publicly"));
    }
    if added.contains("all") && world.behaviour.public_access_blocked.contains(&caller.region) {
        return Err(ApiError::client(
            "OperationNotPermitted",
            "You can't publicly share this snapshot because block public access for snapshots is enabled for this Region.",
        ));
    }
    parameters.stop_if_dry_run()?;
    added.remove(&caller.account);
    removed.remove(&caller.account);
    world.change_snapshot(&caller.region, id, |snapshot| {
        snapshot.shared_with.extend(added.clone());
        snapshot.shared_with.retain(|who| !removed.contains(who));
    });
    Ok(json!({ "return": true }))
}

/// Who is added and who removed: `CreateVolumePermission.Add.N`, or the older `OperationType` with its lists.
fn changes(parameters: &Parameters<'_>) -> Result<(BTreeSet<String>, BTreeSet<String>), ApiError> {
    let permission = parameters.below("CreateVolumePermission");
    let mut added = who(&permission.structures("Add"))?;
    let mut removed = who(&permission.structures("Remove"))?;
    let mut listed: BTreeSet<String> = BTreeSet::new();
    for account in parameters.list("UserId") {
        check_account(account)?;
        listed.insert(account.to_owned());
    }
    listed.extend(parameters.list("UserGroup").into_iter().map(str::to_owned));
    match parameters.text("OperationType") {
        Some("add") => added.extend(listed),
        Some("remove") => removed.extend(listed),
        _ => {}
    }
    Ok((added, removed))
}

fn who(items: &[Parameters<'_>]) -> Result<BTreeSet<String>, ApiError> {
    items
        .iter()
        .map(|item| match (item.text("UserId"), item.text("Group")) {
            (Some(account), None) => check_account(account).map(|()| account.to_owned()),
            (None, Some("all")) => Ok("all".to_owned()),
            _ => Err(ApiError::invalid_value("A createVolumePermission has either a UserId or the Group 'all'")),
        })
        .collect()
}

pub(super) fn describe_snapshot_attribute(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let id = parameters.required("SnapshotId")?;
    let attribute = parameters.required("Attribute")?;
    world.check_owns_snapshot(caller, id)?;
    let (_, snapshot) = world.visible_snapshot(caller, id)?;
    parameters.stop_if_dry_run()?;
    let permissions: Vec<Value> = match attribute {
        ATTRIBUTE => snapshot
            .shared_with
            .iter()
            .map(|who| if who == "all" { json!({ "group": who }) } else { json!({ "userId": who }) })
            .collect(),
        "productCodes" => Vec::new(),
        other => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter attribute is invalid.")));
        }
    };
    let name = if attribute == ATTRIBUTE { ATTRIBUTE } else { "productCodes" };
    Ok(json!({ "snapshotId": id, name: permissions }))
}
