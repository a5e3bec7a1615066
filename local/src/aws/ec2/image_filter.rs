//! The filters of `DescribeImages`.

use std::borrow::Cow;

use super::block_device::{BlockDevice, block_devices};
use super::image::Image;
use crate::aws::timestamp::ec2_time;

/// Their names.
pub(super) const IMAGE_FILTERS: [&str; 25] = [
    "architecture",
    "block-device-mapping.delete-on-termination",
    "block-device-mapping.device-name",
    "block-device-mapping.encrypted",
    "block-device-mapping.snapshot-id",
    "block-device-mapping.volume-size",
    "creation-date",
    "description",
    "image-id",
    "image-type",
    "image-watermark.watermark-key",
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "root-device-name",
    "root-device-type",
    "source-image-id",
    "source-image-region",
    "source-instance-id",
    "state",
    "state-reason-code",
    "state-reason-message",
    "virtualization-type",
    "hypervisor",
];

/// The values that an AMI has for one of the [`IMAGE_FILTERS`].
pub(super) fn values_of<'i>(image: &'i Image, filter: &str) -> Vec<Cow<'i, str>> {
    let reason = image.state_reason.as_ref();
    let one = |value: &'i str| vec![Cow::from(value)];
    let made = |value: String| vec![Cow::from(value)];
    let optional = |value: Option<&'i String>| value.map(Cow::from).into_iter().collect();
    let of_devices = |value: fn(BlockDevice<'i>) -> Option<Cow<'i, str>>| -> Vec<Cow<'i, str>> {
        block_devices(image).into_iter().filter_map(value).collect()
    };
    match filter {
        "architecture" => one(&image.architecture),
        "block-device-mapping.delete-on-termination" => one("true"),
        "block-device-mapping.device-name" => of_devices(|device| Some(device.name.into())),
        "block-device-mapping.encrypted" => of_devices(|device| Some(device.encrypted?.to_string().into())),
        "block-device-mapping.snapshot-id" => of_devices(|device| Some(Cow::from(&device.snapshot?.id))),
        "block-device-mapping.volume-size" => of_devices(|device| Some(device.size_gib.to_string().into())),
        "creation-date" => made(ec2_time(image.creation_date)),
        "description" => optional(image.description.as_ref()),
        "image-id" => one(&image.id),
        "image-type" => one("machine"),
        "image-watermark.watermark-key" => image.watermarks.iter().map(Cow::from).collect(),
        "is-public" => made(image.is_public().to_string()),
        "name" => one(&image.name),
        "owner-alias" => optional(image.owner_alias.as_ref()),
        "owner-id" => one(&image.owner),
        "root-device-name" => one(&image.root_device_name),
        "root-device-type" => one("ebs"),
        "source-image-id" => optional(image.source_image_id.as_ref()),
        "source-image-region" => optional(image.source_image_region.as_ref()),
        "source-instance-id" => optional(image.source_instance_id.as_ref()),
        "state" => one(image.state.as_str()),
        "state-reason-code" => optional(reason.map(|reason| &reason.code)),
        "state-reason-message" => optional(reason.map(|reason| &reason.message)),
        "virtualization-type" => one("hvm"),
        "hypervisor" => one("xen"),
        _ => Vec::new(),
    }
}
