//! `DescribeImages`.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>

use std::borrow::Cow;

use serde_json::{Value, json};

use super::filter::Filter;
use super::id::check_image_id;
use super::image::{Image, ImageState, LaunchPermission};
use super::lookup::Phase;
use super::page::page;
use super::parameters::Parameters;
use super::snapshot::Snapshot;
use super::tags;
use crate::aws::behaviour::SnapshotIdsAt;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::timestamp::ec2_time;
use crate::aws::world::World;

pub(super) fn describe_images(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let ids = parameters.list("ImageId");
    for id in &ids {
        check_image_id(id)?;
    }
    if !ids.is_empty() && parameters.text("MaxResults").is_some() {
        return Err(ApiError::client(
            "InvalidParameterCombination",
            "The parameter imageIds cannot be used with the parameter maxResults",
        ));
    }
    let wanted = Wanted {
        caller,
        owners: parameters.list("Owner"),
        executable_by: parameters.list("ExecutableBy"),
        filters: Filter::read(parameters, &FILTERS)?,
        // Who asks for a deprecated AMI by id, or owns it, gets it all the same.
        deprecated: !ids.is_empty() || parameters.flag("IncludeDeprecated")? == Some(true),
        disabled: parameters.flag("IncludeDisabled")? == Some(true),
    };
    parameters.stop_if_dry_run()?;

    let world = &*world;
    let found = if ids.is_empty() { all(world, caller) } else { by_ids(world, caller, &ids)? };
    let mut matching: Vec<&Image> = found.into_iter().filter(|image| wanted.has(world, image)).collect();
    matching.sort_by(|a, b| a.id.cmp(&b.id));
    matching.dedup_by(|a, b| a.id == b.id);
    let page_size = if ids.is_empty() { world.behaviour.page_size } else { usize::MAX };
    let (images, next_token) = page(matching, |image| &image.id, parameters, page_size)?;
    let images: Vec<Value> = images.iter().map(|image| view(world, caller, image)).collect();
    Ok(json!({ "imagesSet": images, "nextToken": next_token }))
}

/// The AMIs of the Region, those included that were deregistered a moment ago.
fn all<'w>(world: &'w World, caller: &Caller) -> Vec<&'w Image> {
    let Some(store) = world.store(&caller.region) else {
        return Vec::new();
    };
    let fading =
        store.deregistered.values().filter(|gone| world.phase_of(gone) == Phase::StillReturned).map(|gone| &gone.image);
    store.images.values().chain(fading).collect()
}

/// Exactly these, or an error; but a deregistered AMI may be neither.
fn by_ids<'w>(world: &'w World, caller: &Caller, ids: &[&str]) -> Result<Vec<&'w Image>, ApiError> {
    let mut images = Vec::new();
    for id in ids {
        match world.gone_image(&caller.region, &caller.account, id) {
            None => images.push(world.visible_image(&caller.region, &caller.account, id)?),
            Some((Phase::StillReturned, image)) => images.push(image),
            Some((Phase::Empty, _)) => {}
            Some((Phase::Forgotten, _)) => return Err(world.forgotten(id)),
        }
    }
    Ok(images)
}

/// What a request asks for, besides ids.
struct Wanted<'a> {
    caller: &'a Caller,
    owners: Vec<&'a str>,
    executable_by: Vec<&'a str>,
    filters: Vec<Filter<'a>>,
    deprecated: bool,
    disabled: bool,
}

impl Wanted<'_> {
    /// Filters come first: they sort out the most.
    fn has(&self, world: &World, image: &Image) -> bool {
        let is_own = image.owner == self.caller.account;
        let tags = is_own.then_some(&image.tags);
        let is_deprecated = || image.deprecation_time.is_some_and(|at| at <= world.now());
        self.filters.iter().all(|filter| filter.passes(tags, |name| values_of(image, name)))
            && (self.disabled || image.state != ImageState::Disabled)
            && (self.deprecated || is_own || !is_deprecated())
            && self.has_owner(image)
            && self.has_executor(image)
            && image.is_visible_to(&self.caller.account)
            && image.visible_from <= world.now()
    }

    fn has_owner(&self, image: &Image) -> bool {
        self.owners.is_empty()
            || self.owners.iter().any(|owner| {
                let account = if *owner == "self" { &self.caller.account } else { *owner };
                image.owner == account || image.owner_alias.as_deref() == Some(owner)
            })
    }

    fn has_executor(&self, image: &Image) -> bool {
        self.executable_by.is_empty()
            || self.executable_by.iter().any(|who| {
                let permission = match *who {
                    "all" => LaunchPermission::Everyone,
                    "self" => LaunchPermission::UserId(self.caller.account.clone()),
                    account => LaunchPermission::UserId(account.to_owned()),
                };
                image.launch_permissions.contains(&permission)
            })
    }
}

const FILTERS: [&str; 23] = [
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
    "is-public",
    "name",
    "owner-alias",
    "owner-id",
    "root-device-name",
    "root-device-type",
    "source-image-id",
    "source-image-region",
    "state",
    "state-reason-code",
    "state-reason-message",
    "virtualization-type",
    "hypervisor",
];

/// The values that an AMI has for one of the [`FILTERS`].
fn values_of<'i>(image: &'i Image, filter: &str) -> Vec<Cow<'i, str>> {
    let reason = image.state_reason.as_ref();
    let one = |value: &'i str| vec![Cow::from(value)];
    let made = |value: String| vec![Cow::from(value)];
    let optional = |value: Option<&'i String>| value.map(Cow::from).into_iter().collect();
    let of_snapshots = |value: fn(&'i Snapshot) -> Cow<'i, str>| image.snapshots.iter().map(value).collect::<Vec<_>>();
    match filter {
        "architecture" => one(&image.architecture),
        "block-device-mapping.delete-on-termination" => one("true"),
        "block-device-mapping.device-name" => {
            (0..image.snapshots.len()).map(|at| device_name(image, at).into()).collect()
        }
        "block-device-mapping.encrypted" => of_snapshots(|snapshot| snapshot.encrypted.to_string().into()),
        "block-device-mapping.snapshot-id" => of_snapshots(|snapshot| Cow::from(&snapshot.id)),
        "block-device-mapping.volume-size" => of_snapshots(|snapshot| snapshot.size_gib.to_string().into()),
        "creation-date" => made(ec2_time(image.creation_date)),
        "description" => optional(image.description.as_ref()),
        "image-id" => one(&image.id),
        "image-type" => one("machine"),
        "is-public" => made(image.is_public().to_string()),
        "name" => one(&image.name),
        "owner-alias" => optional(image.owner_alias.as_ref()),
        "owner-id" => one(&image.owner),
        "root-device-name" => one(&image.root_device_name),
        "root-device-type" => one("ebs"),
        "source-image-id" => optional(image.source_image_id.as_ref()),
        "source-image-region" => optional(image.source_image_region.as_ref()),
        "state" => one(image.state.as_str()),
        "state-reason-code" => optional(reason.map(|reason| &reason.code)),
        "state-reason-message" => optional(reason.map(|reason| &reason.message)),
        "virtualization-type" => one("hvm"),
        "hypervisor" => one("xen"),
        _ => Vec::new(),
    }
}

/// The root device first, then `/dev/sdb`, `/dev/sdc`, ...
fn device_name(image: &Image, at: usize) -> String {
    match u8::try_from(at) {
        Ok(0) => image.root_device_name.clone(),
        Ok(at @ 1..=25) => format!("/dev/sd{}", char::from(b'a' + at)),
        _ => format!("/dev/sd{at}"),
    }
}

/// An item of the `imagesSet`.
fn view(world: &World, caller: &Caller, image: &Image) -> Value {
    let is_own = image.owner == caller.account;
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
        "rootDeviceType": "ebs",
        "rootDeviceName": image.root_device_name,
        "blockDeviceMapping": block_devices(world, image),
        "virtualizationType": "hvm",
        "hypervisor": "xen",
        "enaSupport": true,
        "sriovNetSupport": "simple",
        "bootMode": image.boot_mode,
        "imdsSupport": image.imds_support,
        "tpmSupport": image.tpm_support,
        "tagSet": if is_own { tags::view(&image.tags) } else { Value::Null },
        "deprecationTime": image.deprecation_time.map(ec2_time),
        "deregistrationProtection": is_own.then(|| image.deregistration_protection.as_str()),
        "lastLaunchedTime": image.last_launched_time.filter(|_| is_own).map(ec2_time),
        "sourceImageId": image.source_image_id,
        "sourceImageRegion": image.source_image_region,
    })
}

fn block_devices(world: &World, image: &Image) -> Vec<Value> {
    let ids_known = match world.behaviour.snapshot_ids_at {
        SnapshotIdsAt::Start => true,
        SnapshotIdsAt::End => image.state != ImageState::Pending,
        SnapshotIdsAt::Never => image.source_image_id.is_none(),
    };
    let device = |(at, snapshot): (usize, &Snapshot)| {
        json!({
            "deviceName": device_name(image, at),
            "ebs": {
                "snapshotId": ids_known.then_some(&snapshot.id),
                "volumeSize": snapshot.size_gib,
                "deleteOnTermination": true,
                "volumeType": "gp3",
                "encrypted": snapshot.encrypted,
            },
        })
    };
    image.snapshots.iter().enumerate().map(device).collect()
}
