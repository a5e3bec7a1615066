//! `RegisterImage`: how a client puts an AMI into the world.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html>
//!
//! It is more generous than EC2's, so that boto3 and the AWS CLI can seed a world: without block devices the AMI has
//! one snapshot of 8 GiB, the root device gets a snapshot if it names none, a snapshot that does not exist is made, and
//! `ImageLocation=ami-...` gives the AMI that id. Other devices without a snapshot are blank volumes, as on EC2.

use serde_json::json;

use super::id::{check_image_id, check_snapshot_id};
use super::image::{BlankVolume, Image, ImageState};
use super::name::check_name;
use super::parameters::Parameters;
use super::snapshot::Snapshot;
use super::tags::{TagSpecifications, Tags};
use super::visibility::Visibility;
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
    let devices = BlockDevices::read(world, caller, parameters, &id, &tags.snapshot)?;
    if !devices.snapshots.is_empty() {
        image.snapshots = devices.snapshots;
    }
    image.blank_volumes = devices.blank_volumes;
    image.visibility = Visibility::of_new_image(world.now(), &world.behaviour);
    parameters.stop_if_dry_run()?;

    let taken: Vec<String> = image.snapshots.iter().map(|snapshot| snapshot.id.clone()).collect();
    let store = world.store_mut(&caller.region);
    store.orphans.retain(|orphan| !taken.contains(&orphan.snapshot.id));
    world.add_image(&caller.region, image);
    world.emit_image_state(&caller.region, &caller.account, &id, ImageState::Available, "");
    Ok(json!({ "imageId": id }))
}

/// The `BlockDeviceMapping`s of the request.
#[derive(Default)]
struct BlockDevices {
    snapshots: Vec<Snapshot>,
    blank_volumes: Vec<BlankVolume>,
}

impl BlockDevices {
    fn read(
        world: &World,
        caller: &Caller,
        parameters: &Parameters<'_>,
        image_id: &str,
        tags: &Tags,
    ) -> Result<Self, ApiError> {
        let mut devices = BlockDevices::default();
        for (mapping, number) in parameters.structures("BlockDeviceMapping").iter().zip(1_u32..) {
            let ebs = mapping.below("Ebs");
            let size_gib = size_gib(&ebs)?;
            match (ebs.text("SnapshotId"), number) {
                (Some(id), _) => {
                    check_snapshot_id(id)?;
                    devices.snapshots.push(match existing_snapshot(world, caller, id) {
                        Some(snapshot) => snapshot.clone(),
                        None => new_snapshot(world, caller, &ebs, id.to_owned(), size_gib, tags)?,
                    });
                }
                (None, 1) => {
                    let id = ec2_id("snap", &format!("{image_id} {number}"));
                    devices.snapshots.push(new_snapshot(world, caller, &ebs, id, size_gib, tags)?);
                }
                (None, _) => devices
                    .blank_volumes
                    .push(BlankVolume { size_gib: size_gib.unwrap_or(8), encrypted: ebs.flag("Encrypted")? }),
            }
        }
        Ok(devices)
    }
}

fn size_gib(ebs: &Parameters<'_>) -> Result<Option<u32>, ApiError> {
    let out_of_range =
        |size: i64| ApiError::invalid_value(format!("Value ({size}) for parameter VolumeSize is invalid."));
    ebs.integer("VolumeSize")?.map(|size| u32::try_from(size).map_err(|_| out_of_range(size))).transpose()
}

fn existing_snapshot<'w>(world: &'w World, caller: &Caller, id: &str) -> Option<&'w Snapshot> {
    let mut snapshots = world.store(&caller.region)?.snapshots();
    let (_, snapshot) = snapshots.find(|(owner, snapshot)| *owner == caller.account && snapshot.id == id)?;
    Some(snapshot)
}

fn new_snapshot(
    world: &World,
    caller: &Caller,
    ebs: &Parameters<'_>,
    id: String,
    size_gib: Option<u32>,
    tags: &Tags,
) -> Result<Snapshot, ApiError> {
    let mut snapshot = Snapshot::new(id);
    snapshot.start_time = world.now();
    snapshot.tags = tags.clone();
    snapshot.size_gib = size_gib.unwrap_or(snapshot.size_gib);
    if ebs.flag("Encrypted")? == Some(true) {
        let default = default_key_arn(&caller.region, &caller.account);
        snapshot = snapshot.encrypted_with(ebs.text("KmsKeyId").unwrap_or(&default));
    }
    Ok(snapshot)
}
