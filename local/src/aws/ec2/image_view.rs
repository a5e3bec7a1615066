//! An AMI as `DescribeImages` shows it.

use serde_json::{Value, json};

use super::block_device::{BlockDevice, block_devices};
use super::image::{Image, ImageState};
use super::tags;
use crate::aws::behaviour::SnapshotIdsAt;
use crate::aws::request::Caller;
use crate::aws::timestamp::ec2_time;
use crate::aws::world::World;

/// An item of the `imagesSet`.
pub(super) fn view(world: &World, caller: &Caller, image: &Image) -> Value {
    let is_own = image.owner == caller.account;
    let shows_source = is_own || world.behaviour.source_fields_visible;
    json!({
        "imageId": image.id,
        "imageLocation": format!("{}/{}", image.owner, image.name),
        "imageState": image.state.as_str(),
        "imageOwnerId": image.owner,
        "imageOwnerAlias": image.owner_alias,
        "creationDate": ec2_time(image.creation_date),
        "isPublic": image.is_public(),
        "architecture": image.architecture,
        "imageType": "machine",
        "platformDetails": image.platform_details,
        "usageOperation": "RunInstances",
        "name": image.name,
        "description": image.description,
        "stateReason": image.state_reason.as_ref().map(|reason| json!({
            "code": reason.code,
            "message": reason.message,
        })),
        "rootDeviceType": if image.s3_backed { "instance-store" } else { "ebs" },
        "rootDeviceName": image.root_device_name,
        "blockDeviceMapping": block_devices(image).iter().map(|device| device_view(world, image, device)).collect::<Vec<_>>(),
        "virtualizationType": "hvm",
        "hypervisor": "xen",
        "enaSupport": true,
        "sriovNetSupport": "simple",
        "bootMode": image.boot_mode,
        "imdsSupport": image.imds_support,
        "tpmSupport": image.tpm_support,
        "tagSet": tags::view(&tags::seen_by(world, caller, image)),
        "imageWatermarkSet": watermarks(image),
        "deprecationTime": image.deprecation_time.map(ec2_time),
        "deregistrationProtection": is_own.then(|| image.deregistration_protection.as_str()),
        "lastLaunchedTime": image.shown_last_launched_time(world.now()).filter(|_| is_own).map(ec2_time),
        "sourceImageId": image.source_image_id.as_ref().filter(|_| shows_source),
        "sourceImageRegion": image.source_image_region.as_ref().filter(|_| shows_source),
        "sourceInstanceId": image.source_instance_id.as_ref().filter(|_| is_own),
    })
}

/// Without watermarks there is no such element.
fn watermarks(image: &Image) -> Value {
    if image.watermarks.is_empty() {
        return Value::Null;
    }
    image.watermarks.iter().map(|key| json!({ "watermarkKey": key })).collect()
}

fn device_view(world: &World, image: &Image, device: &BlockDevice<'_>) -> Value {
    let shows_snapshot_ids = match world.behaviour.snapshot_ids_at {
        SnapshotIdsAt::Start => true,
        SnapshotIdsAt::End => image.state != ImageState::Pending,
        SnapshotIdsAt::Never => image.source_image_id.is_none(),
    };
    json!({
        "deviceName": device.name,
        "ebs": {
            "snapshotId": device.snapshot.filter(|_| shows_snapshot_ids).map(|snapshot| &snapshot.id),
            "volumeSize": device.size_gib,
            "deleteOnTermination": true,
            "volumeType": "gp3",
            "encrypted": device.encrypted,
        },
    })
}
