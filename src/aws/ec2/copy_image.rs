//! `CopyImage`, every parameter of it. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>

use aws_sdk_ec2::types::{ResourceType, Tag as Ec2Tag, TagSpecification};
use courier_core::copy_image::{CopyImageCall, Destination, Tag};
use courier_core::identity::ImageId;

use super::client::Ec2;
use crate::aws::error::{CallError, failed};

impl Ec2 {
    /// Starts a copy into this Region, and returns the copy's id. EC2 makes nothing new for a token that it remembers.
    ///
    /// # Errors
    /// `DryRunOperation` where a dry run is asked for and would be allowed, and any failure of the call.
    pub async fn copy_image(&self, call: &CopyImageCall) -> Result<ImageId, CallError> {
        let request = self
            .client
            .copy_image()
            .source_image_id(call.source.image.as_str())
            .source_region(call.source.region.as_str())
            .name(call.name.as_str())
            .set_client_token(call.client_token.as_ref().map(ToString::to_string))
            .set_description(call.description.as_ref().map(ToString::to_string))
            .set_encrypted(call.encryption.encrypted())
            .set_kms_key_id(call.encryption.key().map(ToString::to_string))
            .set_copy_image_tags(call.copy_image_tags)
            .set_dry_run(call.dry_run.then_some(true))
            .set_tag_specifications(tag_specifications(call));
        let request = match &call.destination {
            Destination::Region { completion } => request
                .set_snapshot_copy_completion_duration_minutes(completion.map(|minutes| i64::from(minutes.get()))),
            Destination::Zone(zone) => request.destination_availability_zone(zone.as_str()),
            Destination::ZoneId(id) => request.destination_availability_zone_id(id.as_str()),
            Destination::Outpost(arn) => request.destination_outpost_arn(arn.as_str()),
        };
        let answer = request.send().await.map_err(failed)?;
        let id = answer.image_id().and_then(|id| id.parse().ok());
        id.ok_or_else(|| CallError::new(None, "EC2 answered without an image id"))
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
