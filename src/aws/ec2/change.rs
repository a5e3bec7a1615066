//! What is done to a copy after it is made.

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{
    AttributeValue, DeleteSnapshotReturnCode, ImageAttributeName, LaunchPermission, LaunchPermissionModifications,
    PermissionGroup, SnapshotReturnCodes, Tag as Ec2Tag,
};
use courier_core::copy_image::{Description, Tag};
use courier_core::error::code;
use courier_core::identity::ImageId;
use courier_core::settings::Principal;
use time::OffsetDateTime;

use super::client::Ec2;
use crate::aws::error::{CallError, failed};

/// Whether EC2 should have deleted a snapshot and did not. One that another AMI uses is skipped, as it should be.
fn is_left_behind(result: &DeleteSnapshotReturnCode) -> bool {
    !matches!(result.return_code(), Some(SnapshotReturnCodes::Success | SnapshotReturnCodes::WarnSkipped) | None)
}

/// What became of an AMI that was to be deregistered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deregistered {
    /// It is deregistered. EC2 left these of its snapshots behind.
    Done { snapshots_left: Vec<String> },
    /// EC2 does not find it: another delivery deregistered it, or it is too young to be visible.
    NotFound,
}

fn launch_permissions_for(principals: &[Principal]) -> Option<Vec<LaunchPermission>> {
    let permissions = principals.iter().map(|principal| {
        let permission = LaunchPermission::builder();
        match principal {
            Principal::Everybody => permission.group(PermissionGroup::All),
            Principal::Account(account) => permission.user_id(account.as_str()),
            Principal::Organization(arn) => permission.organization_arn(arn),
            Principal::OrganizationalUnit(arn) => permission.organizational_unit_arn(arn),
        }
        .build()
    });
    (!principals.is_empty()).then(|| permissions.collect())
}

/// `None` for a kind of principal that the courier does not know.
fn principal(permission: &LaunchPermission) -> Option<Principal> {
    if permission.group() == Some(&PermissionGroup::All) {
        return Some(Principal::Everybody);
    }
    let account = permission.user_id().and_then(|account| account.parse().ok()).map(Principal::Account);
    let organization = || permission.organization_arn().map(|arn| Principal::Organization(arn.to_owned()));
    let unit = || permission.organizational_unit_arn().map(|arn| Principal::OrganizationalUnit(arn.to_owned()));
    account.or_else(organization).or_else(unit)
}

impl Ec2 {
    /// Deregisters an AMI and deletes its snapshots.
    ///
    /// # Errors
    /// Any failure of the call but that EC2 does not find the AMI.
    pub async fn deregister(&self, id: &ImageId) -> Result<Deregistered, CallError> {
        let call = self.client.deregister_image().image_id(id.as_str()).delete_associated_snapshots(true);
        match call.send().await.map_err(failed) {
            Ok(answer) => {
                let left = answer.delete_snapshot_results().iter().filter(|result| is_left_behind(result));
                let snapshots_left = left.filter_map(|result| result.snapshot_id().map(str::to_owned)).collect();
                Ok(Deregistered::Done { snapshots_left })
            }
            Err(gone) if gone.is(code::IMAGE_NOT_FOUND) || gone.is(code::IMAGE_UNAVAILABLE) => {
                Ok(Deregistered::NotFound)
            }
            Err(failed) => Err(failed),
        }
    }

    pub async fn disable(&self, id: &ImageId) -> Result<(), CallError> {
        self.client.disable_image().image_id(id.as_str()).send().await.map(drop).map_err(failed)
    }

    pub async fn enable(&self, id: &ImageId) -> Result<(), CallError> {
        self.client.enable_image().image_id(id.as_str()).send().await.map(drop).map_err(failed)
    }

    /// Who may launch the AMI.
    pub async fn launch_permissions(&self, id: &ImageId) -> Result<Vec<Principal>, CallError> {
        let call = self.client.describe_image_attribute().image_id(id.as_str());
        let answer = call.attribute(ImageAttributeName::LaunchPermission).send().await.map_err(failed)?;
        Ok(answer.launch_permissions().iter().filter_map(principal).collect())
    }

    /// Lets these launch the AMI, and those no longer.
    pub async fn share_image(&self, id: &ImageId, add: &[Principal], remove: &[Principal]) -> Result<(), CallError> {
        let change = LaunchPermissionModifications::builder()
            .set_add(launch_permissions_for(add))
            .set_remove(launch_permissions_for(remove))
            .build();
        let call = self.client.modify_image_attribute().image_id(id.as_str()).launch_permission(change);
        call.send().await.map(drop).map_err(failed)
    }

    pub async fn describe_as(&self, id: &ImageId, description: &Description) -> Result<(), CallError> {
        let value = AttributeValue::builder().value(description.as_str()).build();
        let call = self.client.modify_image_attribute().image_id(id.as_str()).description(value);
        call.send().await.map(drop).map_err(failed)
    }

    /// From now on, instances of the AMI need IMDSv2. EC2 takes it back only with the help of AWS Support.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-IMDS-new-instances.html>
    pub async fn require_imds_v2(&self, id: &ImageId) -> Result<(), CallError> {
        let value = AttributeValue::builder().value("v2.0").build();
        let call = self.client.modify_image_attribute().image_id(id.as_str()).imds_support(value);
        call.send().await.map(drop).map_err(failed)
    }

    pub async fn deprecate(&self, id: &ImageId, at: OffsetDateTime) -> Result<(), CallError> {
        let at = DateTime::from_secs(at.unix_timestamp());
        let call = self.client.enable_image_deprecation().image_id(id.as_str()).deprecate_at(at);
        call.send().await.map(drop).map_err(failed)
    }

    pub async fn protect(&self, id: &ImageId, with_cooldown: bool) -> Result<(), CallError> {
        let call =
            self.client.enable_image_deregistration_protection().image_id(id.as_str()).with_cooldown(with_cooldown);
        call.send().await.map(drop).map_err(failed)
    }

    pub async fn tag(&self, id: &ImageId, key: &str, value: &str) -> Result<(), CallError> {
        self.tag_all(vec![id.to_string()], &[Tag { key: key.to_owned(), value: value.to_owned() }]).await
    }

    /// Puts the same tags on AMIs or snapshots.
    pub async fn tag_all(&self, resources: Vec<String>, tags: &[Tag]) -> Result<(), CallError> {
        let tags = tags.iter().map(|tag| Ec2Tag::builder().key(&tag.key).value(&tag.value).build());
        let call = self.client.create_tags().set_resources(Some(resources)).set_tags(Some(tags.collect()));
        call.send().await.map(drop).map_err(failed)
    }

    /// Removes tags, each only as long as it still has this value: another delivery may have written it since.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html>
    pub async fn untag(&self, id: &ImageId, tags: &[(&str, &str)]) -> Result<(), CallError> {
        let tags = tags.iter().map(|(key, value)| Ec2Tag::builder().key(*key).value(*value).build());
        let call = self.client.delete_tags().resources(id.as_str()).set_tags(Some(tags.collect()));
        call.send().await.map(drop).map_err(failed)
    }
}
