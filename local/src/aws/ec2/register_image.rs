//! `RegisterImage`: the way in for AMIs over the wire.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html>
//!
//! It is more generous than EC2's, so that boto3 and the AWS CLI can seed a world: without block devices the AMI has
//! one snapshot of 8 GiB, a snapshot that does not exist is made, and `ImageLocation=ami-...` gives the AMI that very
//! id.

use serde_json::json;

use super::id::{check_image_id, check_snapshot_id};
use super::image::{Image, ImageState};
use super::name::check_name;
use super::parameters::Parameters;
use super::snapshot::Snapshot;
use super::store::Store;
use super::tags::{TagSpecifications, Tags};
use crate::aws::digest::ec2_id;
use crate::aws::error::ApiError;
use crate::aws::kms::default_key_arn;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

pub(super) fn register_image(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let name = parameters.required("Name")?;
    check_name(name)?;
    let tags = TagSpecifications::read(parameters)?;
    world.check_name_is_free(caller, name)?;
    let id = match parameters.text("ImageLocation").filter(|location| location.starts_with("ami-")) {
        None => world.new_image_id(&caller.region, &format!("{} {name}", caller.account)),
        Some(id) => {
            check_image_id(id)?;
            if world.image(&caller.region, id).is_some() {
                return Err(ApiError::invalid_value(format!("There is an AMI {id} already")));
            }
            id.to_owned()
        }
    };
    let mut image = Image::new(id.clone(), name).owner(&caller.account).created(world.now());
    image.tags = tags.image;
    image.description = parameters.text("Description").map(str::to_owned);
    if let Some(architecture) = parameters.text("Architecture") {
        architecture.clone_into(&mut image.architecture);
    }
    if let Some(device) = parameters.text("RootDeviceName") {
        device.clone_into(&mut image.root_device_name);
    }
    image.boot_mode = parameters.text("BootMode").map(str::to_owned);
    image.imds_support = parameters.text("ImdsSupport").map(str::to_owned);
    image.tpm_support = parameters.text("TpmSupport").map(str::to_owned);
    let snapshots = snapshots(world, caller, parameters, &id, &tags.snapshot)?;
    if !snapshots.is_empty() {
        image.snapshots = snapshots;
    }
    image.visible_from = world.now() + world.behaviour.invisible_for;
    parameters.stop_if_dry_run()?;

    let taken: Vec<String> = image.snapshots.iter().map(|snapshot| snapshot.id.clone()).collect();
    let store = world.store_mut(&caller.region);
    store.orphans.retain(|orphan| !taken.contains(&orphan.snapshot.id));
    world.add_image(&caller.region, image);
    world.emit_image_state(&caller.region, &caller.account, &id, ImageState::Available, "");
    Ok(json!({ "imageId": id }))
}

/// One for each `BlockDeviceMapping.N.Ebs`: the snapshot that it names, or a new one.
fn snapshots(
    world: &World,
    caller: &Caller,
    parameters: &Parameters<'_>,
    image_id: &str,
    tags: &Tags,
) -> Result<Vec<Snapshot>, ApiError> {
    let mut snapshots = Vec::new();
    for (mapping, number) in parameters.structures("BlockDeviceMapping").iter().zip(1_u32..) {
        let ebs = mapping.below("Ebs");
        let id = match ebs.text("SnapshotId") {
            Some(id) => {
                check_snapshot_id(id)?;
                id.to_owned()
            }
            None => ec2_id("snap", &format!("{image_id} {number}")),
        };
        let known = world
            .store(&caller.region)
            .into_iter()
            .flat_map(Store::snapshots)
            .find(|(owner, snapshot)| *owner == caller.account && snapshot.id == id);
        if let Some((_, snapshot)) = known {
            snapshots.push(snapshot.clone());
            continue;
        }
        let mut snapshot = Snapshot::new(id);
        snapshot.start_time = world.now();
        snapshot.tags = tags.clone();
        if let Some(size) = ebs.integer("VolumeSize")? {
            snapshot.size_gib = u32::try_from(size)
                .map_err(|_| ApiError::invalid_value(format!("Value ({size}) for parameter VolumeSize is invalid.")))?;
        }
        if ebs.flag("Encrypted")? == Some(true) {
            let default = default_key_arn(&caller.region, &caller.account);
            snapshot = snapshot.encrypted_with(ebs.text("KmsKeyId").unwrap_or(&default));
        }
        snapshots.push(snapshot);
    }
    Ok(snapshots)
}
