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

impl Ec2 {
    /// Lets accounts, or everybody, make volumes of a snapshot. Organizations cannot be named here.
    pub async fn share_snapshot(&self, snapshot: &str, with: &[Principal]) -> Result<(), CallError> {
        let permission = |principal: &Principal| {
            let permission = CreateVolumePermission::builder();
            Some(match principal {
                Principal::Everybody => permission.group(PermissionGroup::All).build(),
                Principal::Account(account) => permission.user_id(account.as_str()).build(),
                Principal::Organization(_) | Principal::OrganizationalUnit(_) => return None,
            })
        };
        let permissions: Vec<CreateVolumePermission> = with.iter().filter_map(permission).collect();
        if permissions.is_empty() {
            return Ok(());
        }
        let add = CreateVolumePermissionModifications::builder().set_add(Some(permissions)).build();
        let call = self
            .client
            .modify_snapshot_attribute()
            .snapshot_id(snapshot)
            .attribute(SnapshotAttributeName::CreateVolumePermission)
            .create_volume_permission(add);
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
