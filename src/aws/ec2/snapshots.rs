//! The snapshots of a copy: what became of them, and who may use them.

use aws_sdk_ec2::types::{
    CreateVolumePermission, CreateVolumePermissionModifications, PermissionGroup, SnapshotAttributeName,
};
use courier_core::settings::Principal;

use super::client::{Ec2, filter};
use crate::aws::error::{CallError, failed};

/// A snapshot of a failed copy, and what EC2 says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotState {
    pub id: String,
    pub state: String,
    pub message: String,
    pub kms_key: Option<String>,
}

fn volume_permissions_for(principals: &[Principal]) -> Option<Vec<CreateVolumePermission>> {
    let permission = |principal: &Principal| {
        let permission = CreateVolumePermission::builder();
        Some(match principal {
            Principal::Everybody => permission.group(PermissionGroup::All).build(),
            Principal::Account(account) => permission.user_id(account.as_str()).build(),
            Principal::Organization(_) | Principal::OrganizationalUnit(_) => return None,
        })
    };
    let permissions: Vec<CreateVolumePermission> = principals.iter().filter_map(permission).collect();
    (!permissions.is_empty()).then_some(permissions)
}

impl Ec2 {
    /// Which accounts may make volumes of a snapshot, or whether everybody may.
    pub async fn volume_permissions(&self, snapshot: &str) -> Result<Vec<Principal>, CallError> {
        let call = self.client.describe_snapshot_attribute().snapshot_id(snapshot);
        let answer = call.attribute(SnapshotAttributeName::CreateVolumePermission).send().await.map_err(failed)?;
        let principal = |permission: &CreateVolumePermission| match permission.group() {
            Some(PermissionGroup::All) => Some(Principal::Everybody),
            _ => permission.user_id().and_then(|account| account.parse().ok()).map(Principal::Account),
        };
        Ok(answer.create_volume_permissions().iter().filter_map(principal).collect())
    }

    /// Lets these make volumes of a snapshot, and those no longer. Organizations cannot be named here.
    pub async fn share_snapshot(
        &self,
        snapshot: &str,
        add: &[Principal],
        remove: &[Principal],
    ) -> Result<(), CallError> {
        let (add, remove) = (volume_permissions_for(add), volume_permissions_for(remove));
        if add.is_none() && remove.is_none() {
            return Ok(());
        }
        let change = CreateVolumePermissionModifications::builder().set_add(add).set_remove(remove).build();
        let call = self
            .client
            .modify_snapshot_attribute()
            .snapshot_id(snapshot)
            .attribute(SnapshotAttributeName::CreateVolumePermission)
            .create_volume_permission(change);
        call.send().await.map(drop).map_err(failed)
    }

    /// The snapshots with these ids, as far as they exist.
    pub async fn snapshots(&self, ids: Vec<String>) -> Result<Vec<SnapshotState>, CallError> {
        let filter = filter("snapshot-id", ids.iter().map(String::as_str));
        let answer = self.client.describe_snapshots().owner_ids("self").filters(filter).send().await.map_err(failed)?;
        Ok(answer
            .snapshots()
            .iter()
            .map(|snapshot| SnapshotState {
                id: snapshot.snapshot_id().unwrap_or_default().to_owned(),
                state: snapshot.state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
                message: snapshot.state_message().unwrap_or_default().to_owned(),
                kms_key: snapshot.kms_key_id().map(str::to_owned),
            })
            .collect())
    }
}
