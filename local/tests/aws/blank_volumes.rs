//! Block devices with a size and no snapshot.

use std::time::Duration;

use local::aws::{BlankVolume, Image, Snapshot, World};
use serde_json::{Value, json};

use super::{REGION, SOURCE, SOURCE_REGION, copy_with, ec2, ids};

const HOUR: Duration = Duration::from_secs(3600);

/// A world whose source AMI has a root snapshot and two blank volumes.
fn world() -> World {
    let mut world = World::default();
    let mut source = Image::new(SOURCE, "golden").snapshots([Snapshot::new("snap-00000000000000001")]).blank_volume(22);
    source.blank_volumes.push(BlankVolume { size_gib: 50, encrypted: Some(false) });
    world.add_image(SOURCE_REGION, source);
    world
}

fn block_devices(world: &mut World, id: &str) -> Value {
    let answer = ec2(world, "DescribeImages", &[("ImageId.1", id)]).expect("the AMI");
    answer["imagesSet"][0]["blockDeviceMapping"].clone()
}

#[test]
fn a_copy_has_the_blank_volumes_of_its_source_without_snapshots_and_as_unencrypted_as_they_were() {
    for encrypted in ["false", "true"] {
        let mut world = world();
        let id = copy_with(&mut world, &[("Encrypted", encrypted)]).expect("a copy");
        world.advance(HOUR);
        let devices = block_devices(&mut world, &id);
        assert!(devices[0]["ebs"]["snapshotId"].is_string());
        assert_eq!(devices[0]["ebs"]["encrypted"].to_string(), encrypted);
        let blank = |at: usize| {
            let ebs = &devices[at]["ebs"];
            json!([devices[at]["deviceName"], ebs["snapshotId"], ebs["volumeSize"], ebs["encrypted"]])
        };
        assert_eq!(blank(1), json!(["/dev/sdb", null, 22, null]));
        assert_eq!(blank(2), json!(["/dev/sdc", null, 50, false]));
        assert_eq!(world.snapshots(REGION).len(), 1, "a blank volume has no snapshot");
    }
}

#[test]
fn filters_see_blank_volumes() {
    let mut world = world();
    let id = copy_with(&mut world, &[]).expect("a copy");
    for (name, value) in [("block-device-mapping.volume-size", "50"), ("block-device-mapping.device-name", "/dev/sdc")]
    {
        let filter = [("Filter.1.Name", name), ("Filter.1.Value.1", value)];
        let answer = ec2(&mut world, "DescribeImages", &filter).expect("an answer");
        assert_eq!(ids(&answer), [id.as_str()], "{name}");
    }
}

#[test]
fn a_mapping_after_the_root_device_that_names_no_snapshot_registers_a_blank_volume() {
    let mut world = World::default();
    let register = [
        ("Name", "golden"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "30"),
        ("BlockDeviceMapping.2.DeviceName", "/dev/sdb"),
        ("BlockDeviceMapping.2.Ebs.VolumeSize", "22"),
    ];
    let id = ec2(&mut world, "RegisterImage", &register).expect("registered")["imageId"].clone();
    let image = world.image(REGION, id.as_str().expect("an id")).expect("the AMI");
    assert_eq!(image.snapshots.iter().map(|snapshot| snapshot.size_gib).collect::<Vec<_>>(), [30]);
    assert_eq!(image.blank_volumes, [BlankVolume { size_gib: 22, encrypted: None }]);
}
