//! What is done to a copy after it is made.

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{
    CreateVolumePermission, CreateVolumePermissionModifications, DeleteSnapshotReturnCode, LaunchPermission,
    LaunchPermissionModifications, SnapshotAttributeName, SnapshotReturnCodes, Tag as Ec2Tag,
};
use time::OffsetDateTime;
use tracing::warn;

use super::Ec2;
use crate::aws::failed;
use courier_core::identity::{AccountId, ImageId};
use courier_core::outcome::CallFailed;
use courier_core::settings::Principal;

/// Something that refers to an AMI and would miss it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Such as `ec2:LaunchTemplate`.
    pub kind: String,
    pub arn: String,
}

/// A snapshot of a failed copy, and what EC2 says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotState {
    pub id: String,
    pub state: String,
    pub message: String,
    pub kms_key: Option<String>,
}

/// Whether a snapshot is deleted, or rightly stays: another AMI is made of it, too.
fn is_right(result: &DeleteSnapshotReturnCode) -> bool {
    matches!(result.return_code(), Some(SnapshotReturnCodes::Success | SnapshotReturnCodes::WarnSkipped) | None)
}

impl Ec2 {
    /// Deregisters an AMI and deletes its snapshots. One that is gone already is as good: somebody else, or an answer
    /// that was lost, may have been quicker.
    ///
    /// # Errors
    /// Any other failure of the call.
    pub async fn deregister(&self, id: &ImageId) -> Result<(), CallFailed> {
        let call = self.client.deregister_image().image_id(id.as_str()).delete_associated_snapshots(true);
        match call.send().await.map_err(|error| failed(&error)) {
            Ok(answer) => {
                let left = answer.delete_snapshot_results().iter().filter(|result| !is_right(result));
                for (snapshot, code) in left.map(|result| (result.snapshot_id(), result.return_code())) {
                    warn!(image = %id, ?snapshot, ?code, "the AMI is deregistered, but EC2 did not delete its snapshot");
                }
                Ok(())
            }
            Err(gone) if gone.is("InvalidAMIID.NotFound") || gone.is("InvalidAMIID.Unavailable") => Ok(()),
            Err(failed) => Err(failed),
        }
    }

    /// # Errors
    /// Any failure of the call.
    pub async fn disable(&self, id: &ImageId) -> Result<(), CallFailed> {
        self.client.disable_image().image_id(id.as_str()).send().await.map(drop).map_err(|error| failed(&error))
    }

    /// Lets others launch the AMI.
    ///
    /// # Errors
    /// Any failure of the call.
    pub async fn share_image(&self, id: &ImageId, with: &[Principal]) -> Result<(), CallFailed> {
        let permissions = with.iter().map(|principal| {
            let permission = LaunchPermission::builder();
            match principal {
                Principal::Account(account) => permission.user_id(account.as_str()),
                Principal::Organization(arn) => permission.organization_arn(arn),
                Principal::OrganizationalUnit(arn) => permission.organizational_unit_arn(arn),
            }
            .build()
        });
        let add = LaunchPermissionModifications::builder().set_add(Some(permissions.collect())).build();
        let call = self.client.modify_image_attribute().image_id(id.as_str()).launch_permission(add);
        call.send().await.map(drop).map_err(|error| failed(&error))
    }

    /// Lets other accounts make volumes of a snapshot. Organizations cannot be named here.
    ///
    /// # Errors
    /// Any failure of the call.
    pub async fn share_snapshot(&self, snapshot: &str, with: &[&AccountId]) -> Result<(), CallFailed> {
        let permissions =
            with.iter().map(|account| CreateVolumePermission::builder().user_id(account.as_str()).build());
        let add = CreateVolumePermissionModifications::builder().set_add(Some(permissions.collect())).build();
        let call = self
            .client
            .modify_snapshot_attribute()
            .snapshot_id(snapshot)
            .attribute(SnapshotAttributeName::CreateVolumePermission)
            .create_volume_permission(add);
        call.send().await.map(drop).map_err(|error| failed(&error))
    }

    /// # Errors
    /// Any failure of the call.
    pub async fn deprecate(&self, id: &ImageId, at: OffsetDateTime) -> Result<(), CallFailed> {
        let at = DateTime::from_secs(at.unix_timestamp());
        let call = self.client.enable_image_deprecation().image_id(id.as_str()).deprecate_at(at);
        call.send().await.map(drop).map_err(|error| failed(&error))
    }

    /// # Errors
    /// Any failure of the call.
    pub async fn protect(&self, id: &ImageId, with_cooldown: bool) -> Result<(), CallFailed> {
        let call =
            self.client.enable_image_deregistration_protection().image_id(id.as_str()).with_cooldown(with_cooldown);
        call.send().await.map(drop).map_err(|error| failed(&error))
    }

    /// # Errors
    /// Any failure of the call.
    pub async fn tag(&self, id: &ImageId, key: &str, value: &str) -> Result<(), CallFailed> {
        let tag = Ec2Tag::builder().key(key).value(value).build();
        self.client
            .create_tags()
            .resources(id.as_str())
            .tags(tag)
            .send()
            .await
            .map(drop)
            .map_err(|error| failed(&error))
    }

    /// The snapshots with these ids, as far as they are there.
    ///
    /// # Errors
    /// Any failure of the call.
    pub async fn snapshots(&self, ids: Vec<String>) -> Result<Vec<SnapshotState>, CallFailed> {
        let filter = super::filter("snapshot-id", ids.iter().map(String::as_str));
        let answer = self
            .client
            .describe_snapshots()
            .owner_ids("self")
            .filters(filter)
            .send()
            .await
            .map_err(|error| failed(&error))?;
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

    /// What refers to the AMI: instances, launch templates, SSM parameters, Image Builder recipes.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html>
    ///
    /// # Errors
    /// Any failure of the call.
    pub async fn references(&self, id: &ImageId) -> Result<Vec<Reference>, CallFailed> {
        let call = self.client.describe_image_references().image_ids(id.as_str()).include_all_resource_types(true);
        let mut pages = call.into_paginator().send();
        let mut references = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(&error))?;
            references.extend(page.image_references().iter().map(|reference| Reference {
                kind: reference.resource_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
                arn: reference.arn().unwrap_or_default().to_owned(),
            }));
        }
        Ok(references)
    }
}
