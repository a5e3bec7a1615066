use local::aws::{ACCOUNT, Image, LaunchPermission, Snapshot, World, default_key_arn};
use serde_json::json;

use super::{REGION, STRANGER, code, copy_with, ec2, world};

const IMAGE: &str = "ami-00000000000000001";
const SNAPSHOT: &str = "snap-00000000000000001";

fn one_image() -> World {
    let mut world = World::default();
    world.add_image(REGION, Image::new(IMAGE, "one").snapshots([Snapshot::new(SNAPSHOT)]));
    world
}

#[test]
fn launch_permissions_are_for_accounts_everyone_organizations_and_units() {
    let mut world = one_image();
    let organization = "arn:aws:organizations::123456789012:organization/o-abcdefghij";
    let unit = "arn:aws:organizations::123456789012:ou/o-abcdefghij/ou-1234-12345678";
    let add = [
        ("ImageId", IMAGE),
        ("LaunchPermission.Add.1.UserId", STRANGER),
        ("LaunchPermission.Add.2.Group", "all"),
        ("LaunchPermission.Add.3.OrganizationArn", organization),
        ("LaunchPermission.Add.4.OrganizationalUnitArn", unit),
    ];
    ec2(&mut world, "ModifyImageAttribute", &add).expect("shared");
    let attribute = [("ImageId", IMAGE), ("Attribute", "launchPermission")];
    let answer = ec2(&mut world, "DescribeImageAttribute", &attribute).expect("the attribute");
    assert_eq!(
        answer["launchPermission"],
        json!([
            { "group": "all" },
            { "userId": STRANGER },
            { "organizationArn": organization },
            { "organizationalUnitArn": unit },
        ])
    );
    let remove = [("ImageId", IMAGE), ("LaunchPermission.Remove.1.Group", "all")];
    ec2(&mut world, "ModifyImageAttribute", &remove).expect("no longer public");
    assert!(!world.image(REGION, IMAGE).expect("the image").is_public());
}

#[test]
fn a_value_that_is_no_account_or_organization_is_refused() {
    for (kind, value) in [("UserId", "1234"), ("Group", "some"), ("OrganizationArn", "o-abcdefghij")] {
        let parameters = [("ImageId", IMAGE), (&*format!("LaunchPermission.Add.1.{kind}"), value)];
        let refused = ec2(&mut one_image(), "ModifyImageAttribute", &parameters);
        assert_eq!(code(refused), "InvalidAMIAttributeItemValue", "{kind}");
    }
}

#[test]
fn a_pending_image_cannot_be_shared() {
    let mut world = world();
    let id = copy_with(&mut world, &[]).expect("a copy");
    let share = [("ImageId", id.as_str()), ("LaunchPermission.Add.1.UserId", STRANGER)];
    assert_eq!(code(ec2(&mut world, "ModifyImageAttribute", &share)), "InvalidAMIID.Unavailable");
}

#[test]
fn nothing_under_the_aws_managed_key_can_be_shared() {
    let mut world = one_image();
    let key = default_key_arn(REGION, ACCOUNT);
    world.image_mut(REGION, IMAGE).expect("the image").snapshots = vec![Snapshot::new(SNAPSHOT).encrypted_with(&key)];
    let image = [("ImageId", IMAGE), ("LaunchPermission.Add.1.UserId", STRANGER)];
    assert_eq!(code(ec2(&mut world, "ModifyImageAttribute", &image)), "InvalidParameter");
    let snapshot = [("SnapshotId", SNAPSHOT), ("CreateVolumePermission.Add.1.UserId", STRANGER)];
    assert_eq!(code(ec2(&mut world, "ModifySnapshotAttribute", &snapshot)), "OperationNotPermitted");
}

#[test]
fn snapshots_under_a_customers_key_can_be_shared_but_not_with_everyone() {
    let mut world = one_image();
    let key = "arn:aws:kms:eu-west-1:123456789012:key/mine";
    world.image_mut(REGION, IMAGE).expect("the image").snapshots = vec![Snapshot::new(SNAPSHOT).encrypted_with(key)];
    let share = [("ImageId", IMAGE), ("LaunchPermission.Add.1.UserId", STRANGER)];
    ec2(&mut world, "ModifyImageAttribute", &share).expect("shared");
    let publish = [("ImageId", IMAGE), ("LaunchPermission.Add.1.Group", "all")];
    assert_eq!(code(ec2(&mut world, "ModifyImageAttribute", &publish)), "InvalidParameter");
}

#[test]
fn with_block_public_access_nothing_is_made_public_and_accounts_are_still_shared_with() {
    let mut world = one_image();
    world.behaviour.public_access_blocked.insert(REGION.to_owned());
    let image = |with: (&'static str, &'static str)| [("ImageId", IMAGE), with];
    let snapshot = |with: (&'static str, &'static str)| [("SnapshotId", SNAPSHOT), with];
    let everybody = image(("LaunchPermission.Add.1.Group", "all"));
    assert_eq!(code(ec2(&mut world, "ModifyImageAttribute", &everybody)), "OperationNotPermitted");
    ec2(&mut world, "ModifyImageAttribute", &image(("LaunchPermission.Add.1.UserId", STRANGER))).expect("shared");
    let everybody = snapshot(("CreateVolumePermission.Add.1.Group", "all"));
    assert_eq!(code(ec2(&mut world, "ModifySnapshotAttribute", &everybody)), "OperationNotPermitted");
    world.behaviour.public_access_blocked.clear();
    ec2(&mut world, "ModifySnapshotAttribute", &everybody).expect("public");
}

#[test]
fn an_image_with_watermarks_cannot_be_made_public() {
    let mut world = one_image();
    world.add_image(REGION, Image::new(IMAGE, "one").watermark("123456789012:scanned"));
    let everybody = [("ImageId", IMAGE), ("LaunchPermission.Add.1.Group", "all")];
    assert_eq!(code(ec2(&mut world, "ModifyImageAttribute", &everybody)), "OperationNotPermitted");
}

#[test]
fn volume_permissions_are_added_and_removed() {
    let mut world = one_image();
    let add = [("SnapshotId", SNAPSHOT), ("CreateVolumePermission.Add.1.UserId", STRANGER)];
    ec2(&mut world, "ModifySnapshotAttribute", &add).expect("shared");
    let attribute = [("SnapshotId", SNAPSHOT), ("Attribute", "createVolumePermission")];
    let answer = ec2(&mut world, "DescribeSnapshotAttribute", &attribute).expect("the attribute");
    assert_eq!(answer["createVolumePermission"], json!([{ "userId": STRANGER }]));
    let remove = [
        ("SnapshotId", SNAPSHOT),
        ("Attribute", "createVolumePermission"),
        ("OperationType", "remove"),
        ("UserId.1", STRANGER),
    ];
    ec2(&mut world, "ModifySnapshotAttribute", &remove).expect("the older way");
    assert!(world.image(REGION, IMAGE).expect("the image").snapshots[0].shared_with.is_empty());
}

#[test]
fn the_description_and_the_time_of_the_last_launch_are_attributes() {
    let mut world = one_image();
    ec2(&mut world, "ModifyImageAttribute", &[("ImageId", IMAGE), ("Description.Value", "new")]).expect("changed");
    let now = world.now();
    let image = world.image_mut(REGION, IMAGE).expect("the image");
    assert_eq!(image.description.as_deref(), Some("new"));
    image.last_launched_time = Some(now);
    let attribute = [("ImageId", IMAGE), ("Attribute", "lastLaunchedTime")];
    let answer = ec2(&mut world, "DescribeImageAttribute", &attribute).expect("the attribute");
    assert_eq!(answer["lastLaunchedTime"]["value"], "2026-01-01T00:00:00.000Z");
}

#[test]
fn tags_are_put_on_images_and_snapshots_together_or_not_at_all() {
    let mut world = one_image();
    let tag = ("Tag.1.Key", "finished");
    ec2(&mut world, "CreateTags", &[("ResourceId.1", IMAGE), ("ResourceId.2", SNAPSHOT), tag, ("Tag.1.Value", "now")])
        .expect("tagged");
    let image = world.image(REGION, IMAGE).expect("the image");
    assert_eq!(image.tags["finished"], "now");
    assert_eq!(image.snapshots[0].tags["finished"], "now");

    let unknown = [("ResourceId.1", IMAGE), ("ResourceId.2", "snap-00000000"), ("Tag.1.Key", "other")];
    assert_eq!(code(ec2(&mut world, "CreateTags", &unknown)), "InvalidSnapshot.NotFound");
    assert!(!world.image(REGION, IMAGE).expect("the image").tags.contains_key("other"));
    let vpc = [("ResourceId.1", "vpc-1"), tag];
    assert_eq!(code(ec2(&mut world, "CreateTags", &vpc)), "InvalidID");
}

#[test]
fn a_tag_is_deleted_by_key_or_only_with_its_value() {
    let mut world = one_image();
    world.add_image(REGION, Image::new(IMAGE, "one").tag("a", "1").tag("b", "2").tag("aws:x", "3"));
    let delete = |world: &mut World, tag: &[(&str, &str)]| {
        let mut parameters = vec![("ResourceId.1", IMAGE)];
        parameters.extend(tag);
        ec2(world, "DeleteTags", &parameters).expect("no error");
        world.image(REGION, IMAGE).expect("the image").tags.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(delete(&mut world, &[("Tag.1.Key", "a"), ("Tag.1.Value", "other")]), ["a", "aws:x", "b"]);
    assert_eq!(delete(&mut world, &[("Tag.1.Key", "a")]), ["aws:x", "b"]);
    assert_eq!(delete(&mut world, &[]), ["aws:x"]);
}

#[test]
fn permission_to_launch_is_kept_for_the_accounts_that_the_test_names() {
    let image = Image::new(IMAGE, "one").shared_with(STRANGER);
    assert!(image.launch_permissions.contains(&LaunchPermission::UserId(STRANGER.to_owned())));
    assert!(image.snapshots[0].shared_with.contains(STRANGER));
}
