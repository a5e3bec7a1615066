use std::time::Duration;

use local::aws::{Image, ImageState, Protection, Reference, Snapshot, SnapshotDeletion, World};
use serde_json::json;

use super::{REGION, SOURCE, SOURCE_REGION, code, copy_with, ec2, ec2_as, stranger, world};

const IMAGE: &str = "ami-00000000000000001";
const SNAPSHOT: &str = "snap-00000000000000001";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn one_image() -> World {
    let mut world = World::default();
    world.add_image(REGION, Image::new(IMAGE, "one").snapshots([Snapshot::new(SNAPSHOT)]));
    world
}

fn deregister(world: &mut World) -> Result<serde_json::Value, local::aws::ApiError> {
    ec2(world, "DeregisterImage", &[("ImageId", IMAGE)])
}

#[test]
fn snapshots_stay_unless_their_deletion_is_asked_for() {
    let mut world = one_image();
    deregister(&mut world).expect("deregistered");
    assert_eq!(world.snapshots(REGION), [SNAPSHOT]);
    ec2(&mut world, "DeleteSnapshot", &[("SnapshotId", SNAPSHOT)]).expect("nobody needs it");
    assert!(world.snapshots(REGION).is_empty());

    let mut world = one_image();
    let both = [("ImageId", IMAGE), ("DeleteAssociatedSnapshots", "true")];
    let answer = ec2(&mut world, "DeregisterImage", &both).expect("deregistered");
    assert_eq!(answer["deleteSnapshotResultSet"], json!([{ "snapshotId": SNAPSHOT, "returnCode": "success" }]));
    assert!(world.snapshots(REGION).is_empty());
}

#[test]
fn a_snapshot_that_backs_another_image_is_skipped() {
    let mut world = one_image();
    world.add_image(REGION, Image::new("ami-00000000000000002", "two").snapshots([Snapshot::new(SNAPSHOT)]));
    let both = [("ImageId", IMAGE), ("DeleteAssociatedSnapshots", "true")];
    let answer = ec2(&mut world, "DeregisterImage", &both).expect("deregistered");
    assert_eq!(answer["deleteSnapshotResultSet"][0]["returnCode"], "skipped");
    assert_eq!(world.snapshots(REGION), [SNAPSHOT]);
}

#[test]
fn a_snapshot_whose_deletion_fails_is_left_behind_with_its_code() {
    for (deletion, code) in [
        (SnapshotDeletion::MissingPermissions, "missing-permissions"),
        (SnapshotDeletion::InternalError, "internal-error"),
        (SnapshotDeletion::ClientError, "client-error"),
    ] {
        let mut world = one_image();
        world.behaviour.snapshot_deletion = deletion;
        let both = [("ImageId", IMAGE), ("DeleteAssociatedSnapshots", "true")];
        let answer = ec2(&mut world, "DeregisterImage", &both).expect("the AMI is deregistered nevertheless");
        assert_eq!(answer["deleteSnapshotResultSet"], json!([{ "snapshotId": SNAPSHOT, "returnCode": code }]));
        assert!(world.image(REGION, IMAGE).is_none());
        assert_eq!(world.snapshots(REGION), [SNAPSHOT]);
    }
}

#[test]
fn a_deregistered_image_comes_back_from_the_recycle_bin_as_it_was_and_without_an_event() {
    let mut world = one_image();
    world.add_image(REGION, Image::new(IMAGE, "one").tag("a", "1").snapshots([Snapshot::new(SNAPSHOT)]));
    ec2(&mut world, "DisableImage", &[("ImageId", IMAGE)]).expect("disabled");
    deregister(&mut world).expect("deregistered");
    world.advance(DAY);
    world.take_events();
    assert!(world.restore_image(REGION, IMAGE));
    let image = world.image(REGION, IMAGE).expect("it is back");
    assert_eq!((image.state, image.tags["a"].as_str()), (ImageState::Disabled, "1"));
    assert_eq!((image.snapshots.len(), world.snapshots(REGION)), (1, vec![SNAPSHOT.to_owned()]));
    assert!(world.take_events().is_empty());
    assert!(!world.restore_image(REGION, IMAGE), "it is not in the Recycle Bin any more");
    ec2(&mut world, "EnableImage", &[("ImageId", IMAGE)]).expect("enabled");
}

#[test]
fn an_image_whose_snapshots_are_gone_or_that_was_never_complete_does_not_come_back() {
    let mut gone = one_image();
    ec2(&mut gone, "DeregisterImage", &[("ImageId", IMAGE), ("DeleteAssociatedSnapshots", "true")]).expect("gone");
    assert!(!gone.restore_image(REGION, IMAGE));
    let mut world = world();
    let pending = copy_with(&mut world, &[]).expect("a copy");
    world.deregister(REGION, &pending);
    assert!(!world.restore_image(REGION, &pending));
    assert!(!world.restore_image(REGION, "ami-00000000000000009"));
}

#[test]
fn a_snapshot_in_use_cannot_be_deleted() {
    let error = ec2(&mut one_image(), "DeleteSnapshot", &[("SnapshotId", SNAPSHOT)]).expect_err("it is in use");
    assert_eq!(error.code, "InvalidSnapshot.InUse");
    assert!(error.message.contains(IMAGE));
}

#[test]
fn a_protected_image_cannot_be_deregistered() {
    let mut world = one_image();
    ec2(&mut world, "EnableImageDeregistrationProtection", &[("ImageId", IMAGE)]).expect("protected");
    assert_eq!(code(deregister(&mut world)), "OperationNotPermitted");
    ec2(&mut world, "DisableImageDeregistrationProtection", &[("ImageId", IMAGE)]).expect("lifted");
    deregister(&mut world).expect("deregistered");
}

#[test]
fn with_a_cooldown_protection_outlasts_its_lifting_by_a_day() {
    let mut world = one_image();
    let with_cooldown = [("ImageId", IMAGE), ("WithCooldown", "true")];
    ec2(&mut world, "EnableImageDeregistrationProtection", &with_cooldown).expect("protected");
    let protection = world.image(REGION, IMAGE).expect("the image").deregistration_protection;
    assert_eq!(protection, Protection::EnabledWithCooldown);
    ec2(&mut world, "DisableImageDeregistrationProtection", &[("ImageId", IMAGE)]).expect("lifted");
    assert_eq!(code(deregister(&mut world)), "OperationNotPermitted");
    world.advance(DAY);
    deregister(&mut world).expect("deregistered");
}

#[test]
fn deregistering_a_pending_copy_cancels_it() {
    let mut world = world();
    let id = copy_with(&mut world, &[]).expect("a copy");
    ec2(&mut world, "DeregisterImage", &[("ImageId", &id)]).expect("cancelled");
    world.advance(DAY);
    assert!(world.images(REGION).is_empty());
    let states: Vec<_> = world.take_events().iter().map(|event| event["detail"]["State"].clone()).collect();
    assert_eq!(states, ["deregistered"]);
}

#[test]
fn only_the_owner_deregisters_and_only_once() {
    let mut world = one_image();
    let parameters = [("ImageId", IMAGE)];
    let hidden = ec2_as(&stranger(), &mut world, "DeregisterImage", &parameters);
    assert_eq!(code(hidden), "InvalidAMIID.NotFound");
    world
        .image_mut(REGION, IMAGE)
        .expect("the image")
        .launch_permissions
        .insert(local::aws::LaunchPermission::Everyone);
    assert_eq!(code(ec2_as(&stranger(), &mut world, "DeregisterImage", &parameters)), "AuthFailure");
    deregister(&mut world).expect("deregistered");
    assert_eq!(code(deregister(&mut world)), "InvalidAMIID.Unavailable");
}

#[test]
fn a_disabled_image_is_no_longer_shared_and_can_be_enabled_again() {
    let mut world = one_image();
    world
        .image_mut(REGION, IMAGE)
        .expect("the image")
        .launch_permissions
        .insert(local::aws::LaunchPermission::Everyone);
    ec2(&mut world, "DisableImage", &[("ImageId", IMAGE)]).expect("disabled");
    ec2(&mut world, "DisableImage", &[("ImageId", IMAGE)]).expect("twice is no error");
    let image = world.image(REGION, IMAGE).expect("the image");
    assert_eq!(image.state, ImageState::Disabled);
    assert!(image.launch_permissions.is_empty());
    ec2(&mut world, "EnableImage", &[("ImageId", IMAGE)]).expect("enabled");
    let states: Vec<_> = world.take_events().iter().map(|event| event["detail"]["State"].clone()).collect();
    assert_eq!(states, ["disabled", "available"]);
}

#[test]
fn a_pending_copy_cannot_be_disabled() {
    let mut world = world();
    let id = copy_with(&mut world, &[]).expect("a copy");
    assert_eq!(code(ec2(&mut world, "DisableImage", &[("ImageId", &id)])), "InvalidAMIID.Unavailable");
}

#[test]
fn deprecation_is_in_the_future_at_most_ten_years_and_in_whole_minutes() {
    let mut world = one_image();
    let mut deprecate =
        |at: &str| ec2(&mut world, "EnableImageDeprecation", &[("ImageId", IMAGE), ("DeprecateAt", at)]);
    for refused in ["2025-12-31T23:59:00Z", "2026-01-01T00:00:00Z", "2036-01-01T00:01:00Z", "tomorrow"] {
        assert_eq!(code(deprecate(refused)), "InvalidParameterValue", "{refused}");
    }
    deprecate("2036-01-01T00:00:00Z").expect("ten years");
    deprecate("2026-06-01T12:00:30Z").expect("rounded");
    let at = world.image(REGION, IMAGE).expect("the image").deprecation_time.expect("deprecated");
    assert_eq!(at, time::macros::datetime!(2026-06-01 12:01 UTC));
    ec2(&mut world, "DisableImageDeprecation", &[("ImageId", IMAGE)]).expect("undone");
    assert!(world.image(REGION, IMAGE).expect("the image").deprecation_time.is_none());
}

#[test]
fn a_public_image_is_deprecated_within_two_years() {
    let mut world = one_image();
    world
        .image_mut(REGION, IMAGE)
        .expect("the image")
        .launch_permissions
        .insert(local::aws::LaunchPermission::Everyone);
    let later = [("ImageId", IMAGE), ("DeprecateAt", "2028-02-01T00:00:00Z")];
    assert_eq!(code(ec2(&mut world, "EnableImageDeprecation", &later)), "InvalidParameterValue");
}

#[test]
fn references_are_those_of_the_image_and_the_parameters_that_hold_it() {
    let mut world = one_image();
    let template = "arn:aws:ec2:eu-west-1:123456789012:launch-template/lt-1";
    world.image_mut(REGION, IMAGE).expect("the image").referenced_by =
        vec![Reference { resource_type: "ec2:LaunchTemplate".to_owned(), arn: template.to_owned(), newer_versions: 0 }];
    world.set_parameter(REGION, "/golden", IMAGE, "aws:ec2:image");
    world.set_parameter(REGION, "text", IMAGE, "text");

    let all = [("ImageId.1", IMAGE), ("IncludeAllResourceTypes", "true")];
    let answer = ec2(&mut world, "DescribeImageReferences", &all).expect("references");
    assert_eq!(
        answer["imageReferenceSet"],
        json!([
            { "imageId": IMAGE, "resourceType": "ec2:LaunchTemplate", "arn": template },
            { "imageId": IMAGE, "resourceType": "ssm:Parameter", "arn": "arn:aws:ssm:eu-west-1:123456789012:parameter/golden" },
        ])
    );
    let one = [("ImageId.1", IMAGE), ("ResourceType.1.ResourceType", "ec2:Instance")];
    let answer = ec2(&mut world, "DescribeImageReferences", &one).expect("references");
    assert_eq!(answer["imageReferenceSet"], json!([]));
    assert_eq!(code(ec2(&mut world, "DescribeImageReferences", &[("ImageId.1", IMAGE)])), "MissingParameter");
}

#[test]
fn references_are_looked_for_in_the_newest_ten_versions_of_a_launch_template_or_as_many_as_the_caller_says() {
    let mut world = one_image();
    let arn = "arn:aws:ec2:eu-west-1:123456789012:launch-template/lt-1".to_owned();
    world.image_mut(REGION, IMAGE).expect("the image").referenced_by =
        vec![Reference { resource_type: "ec2:LaunchTemplate".to_owned(), arn, newer_versions: 10 }];
    let named = vec![("ImageId.1", IMAGE), ("ResourceType.1.ResourceType", "ec2:LaunchTemplate")];
    let depth = |depth| {
        let option = [
            ("ResourceType.1.ResourceTypeOption.1.OptionName", "version-depth"),
            ("ResourceType.1.ResourceTypeOption.1.OptionValue.1", depth),
        ];
        named.iter().copied().chain(option).collect()
    };
    for (parameters, found) in [(named.clone(), 0), (depth("10"), 0), (depth("11"), 1), (depth("10000"), 1)] {
        let answer = ec2(&mut world, "DescribeImageReferences", &parameters).expect("references");
        assert_eq!(answer["imageReferenceSet"].as_array().map(Vec::len), Some(found), "{parameters:?}");
    }
}

#[test]
fn a_source_that_is_deregistered_cannot_be_copied() {
    let mut world = world();
    world.deregister(SOURCE_REGION, SOURCE);
    assert_eq!(code(copy_with(&mut world, &[])), "InvalidAMIID.Unavailable");
    world.advance(DAY);
    assert_eq!(code(copy_with(&mut world, &[])), "InvalidAMIID.NotFound");
}
