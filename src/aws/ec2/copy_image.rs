//! `CopyImage`, every parameter of it. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>

use aws_sdk_ec2::types::{ResourceType, Tag as Ec2Tag, TagSpecification};
use courier_core::copy_image::{CopyImageCall, Destination, Tag};
use courier_core::error::code;
use courier_core::identity::ImageId;
use courier_core::plan::Attempt;

use super::client::Ec2;
use crate::aws::error::{CallError, failed};

/// Why a `CopyImage` call made no new AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyImageError {
    /// `DryRunOperation`: it would have been allowed.
    DryRun,
    /// `InvalidAMIName.Duplicate`. EC2 does not document it for copies: look again, then decide.
    NameTaken(CallError),
    /// EC2 refuses the client token: it stands for other parameters, or for an AMI that is gone.
    TokenRefused(CallError),
    /// Everything else.
    Failed(CallError),
}

impl Ec2 {
    /// Starts a copy into this Region, and returns the copy's id. EC2 makes nothing new for a token that it remembers.
    ///
    /// # Errors
    /// See [`CopyImageError`].
    pub async fn copy_image(&self, attempt: &Attempt) -> Result<ImageId, CopyImageError> {
        let Attempt { call, token, dry_run } = attempt;
        let request = self
            .client
            .copy_image()
            .source_image_id(call.source.image.as_str())
            .source_region(call.source.region.as_str())
            .name(call.name.as_str())
            .set_client_token(token.as_ref().map(ToString::to_string))
            .set_description(call.description.as_ref().map(ToString::to_string))
            .set_encrypted(call.encryption.encrypted())
            .set_kms_key_id(call.encryption.key().map(ToString::to_string))
            .set_copy_image_tags(call.copy_image_tags)
            .set_dry_run(dry_run.then_some(true))
            .set_tag_specifications(tag_specifications(call));
        let request = match &call.destination {
            Destination::Region { completion } => request
                .set_snapshot_copy_completion_duration_minutes(completion.map(|minutes| i64::from(minutes.get()))),
            Destination::Zone(zone) => request.destination_availability_zone(zone.as_str()),
            Destination::ZoneId(id) => request.destination_availability_zone_id(id.as_str()),
            Destination::Outpost(arn) => request.destination_outpost_arn(arn.as_str()),
        };
        match request.send().await {
            Ok(answer) => answer
                .image_id()
                .and_then(|id| id.parse().ok())
                .ok_or_else(|| CopyImageError::Failed(CallError::new(None, "EC2 answered without an image id"))),
            Err(error) => Err(match failed(error) {
                failed if failed.is("DryRunOperation") => CopyImageError::DryRun,
                failed if failed.is(code::NAME_TAKEN) => CopyImageError::NameTaken(failed),
                failed if failed.refuses_token() => CopyImageError::TokenRefused(failed),
                failed => CopyImageError::Failed(failed),
            }),
        }
    }
}

fn tag_specifications(call: &CopyImageCall) -> Option<Vec<TagSpecification>> {
    let specifications: Vec<_> =
        [(ResourceType::Image, &call.image_tags), (ResourceType::Snapshot, &call.snapshot_tags)]
            .into_iter()
            .filter(|(_, tags)| !tags.is_empty())
            .map(|(kind, tags)| {
                TagSpecification::builder().resource_type(kind).set_tags(Some(tags.iter().map(tag).collect())).build()
            })
            .collect();
    (!specifications.is_empty()).then_some(specifications)
}

fn tag(tag: &Tag) -> Ec2Tag {
    Ec2Tag::builder().key(&tag.key).value(&tag.value).build()
}
