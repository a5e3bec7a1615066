//! What is done to a copy after it is made.

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{
    DeleteSnapshotReturnCode, LaunchPermission, LaunchPermissionModifications, SnapshotReturnCodes, Tag as Ec2Tag,
};
use courier_core::error::code;
use courier_core::identity::ImageId;
use courier_core::settings::Principal;
use time::OffsetDateTime;

use super::client::Ec2;
use crate::aws::error::{CallError, failed};

/// Something that refers to an AMI and needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Such as `ec2:LaunchTemplate`.
    pub kind: String,
    pub arn: String,
}

/// Whether EC2 should have deleted a snapshot and did not. One that another AMI uses is skipped, as it should be.
fn is_left_behind(result: &DeleteSnapshotReturnCode) -> bool {
    !matches!(result.return_code(), Some(SnapshotReturnCodes::Success | SnapshotReturnCodes::WarnSkipped) | None)
}

impl Ec2 {
    /// Deregisters an AMI and deletes its snapshots. Returns the snapshots that EC2 left behind. An AMI that is gone
    /// already counts as deregistered: another delivery may have done it.
    ///
    /// # Errors
    /// Any other failure of the call.
    pub async fn deregister(&self, id: &ImageId) -> Result<Vec<String>, CallError> {
        let call = self.client.deregister_image().image_id(id.as_str()).delete_associated_snapshots(true);
        match call.send().await.map_err(failed) {
            Ok(answer) => {
                let left = answer.delete_snapshot_results().iter().filter(|result| is_left_behind(result));
                Ok(left.filter_map(|result| result.snapshot_id().map(str::to_owned)).collect())
            }
            Err(gone) if gone.is(code::IMAGE_NOT_FOUND) || gone.is(code::IMAGE_UNAVAILABLE) => Ok(Vec::new()),
            Err(failed) => Err(failed),
        }
    }

    /// # Errors
    /// Any failure of the call.
    pub async fn disable(&self, id: &ImageId) -> Result<(), CallError> {
        self.client.disable_image().image_id(id.as_str()).send().await.map(drop).map_err(failed)
    }

    /// Lets others launch the AMI.
    ///
    /// # Errors
    /// Any failure of the call.
    pub async fn share_image(&self, id: &ImageId, with: &[Principal]) -> Result<(), CallError> {
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
        call.send().await.map(drop).map_err(failed)
    }

    /// # Errors
    /// Any failure of the call.
    pub async fn deprecate(&self, id: &ImageId, at: OffsetDateTime) -> Result<(), CallError> {
        let at = DateTime::from_secs(at.unix_timestamp());
        let call = self.client.enable_image_deprecation().image_id(id.as_str()).deprecate_at(at);
        call.send().await.map(drop).map_err(failed)
    }

    /// # Errors
    /// Any failure of the call.
    pub async fn protect(&self, id: &ImageId, with_cooldown: bool) -> Result<(), CallError> {
        let call =
            self.client.enable_image_deregistration_protection().image_id(id.as_str()).with_cooldown(with_cooldown);
        call.send().await.map(drop).map_err(failed)
    }

    /// # Errors
    /// Any failure of the call.
    pub async fn tag(&self, id: &ImageId, key: &str, value: &str) -> Result<(), CallError> {
        let tag = Ec2Tag::builder().key(key).value(value).build();
        self.client.create_tags().resources(id.as_str()).tags(tag).send().await.map(drop).map_err(failed)
    }

    /// What refers to the AMI: instances, launch templates, SSM parameters, Image Builder recipes.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html>
    ///
    /// # Errors
    /// Any failure of the call.
    pub async fn references(&self, id: &ImageId) -> Result<Vec<Reference>, CallError> {
        let call = self.client.describe_image_references().image_ids(id.as_str()).include_all_resource_types(true);
        let mut pages = call.into_paginator().send();
        let mut references = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed)?;
            references.extend(page.image_references().iter().map(|reference| Reference {
                kind: reference.resource_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
                arn: reference.arn().unwrap_or_default().to_owned(),
            }));
        }
        Ok(references)
    }
}
