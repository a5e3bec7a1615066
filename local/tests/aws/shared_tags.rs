//! What other accounts see of an AMI: shared tags and watermarks, but no other tags.

use local::aws::{ACCOUNT, Caller, Image, World};
use serde_json::{Value, json};

use super::{REGION, SOURCE, SOURCE_REGION, STRANGER, code, copy_with, ec2_as, ids, stranger, world};

const IMAGE: &str = "ami-00000000000000001";
const SHARED: &str = "ec2:SharedTag/approved";

/// A world with one AMI of the default account, shared with the stranger.
fn shared_image() -> World {
    let mut world = World::default();
    let image =
        Image::new(IMAGE, "one").made_from_instance_of("ami-00000009", REGION).watermark("111122223333:scanned");
    world.add_image(REGION, image.tag("team", "infra").tag(SHARED, "true").shared_with(STRANGER));
    world
}

fn described(world: &mut World, caller: &Caller) -> Value {
    let answer = ec2_as(caller, world, "DescribeImages", &[("ImageId", IMAGE)]).expect("an answer");
    answer["imagesSet"][0].clone()
}

fn finds(world: &mut World, filter: &str, value: &str) -> bool {
    let parameters = [("Filter.1.Name", filter), ("Filter.1.Value.1", value)];
    let answer = ec2_as(&stranger(), world, "DescribeImages", &parameters).expect("an answer");
    ids(&answer) == [IMAGE]
}

#[test]
fn another_account_sees_shared_tags_and_watermarks_and_finds_by_them() {
    let mut world = shared_image();
    let seen = described(&mut world, &stranger());
    assert_eq!(seen["tagSet"], json!([{ "key": SHARED, "value": "true" }]));
    assert_eq!(seen["imageWatermarkSet"], json!([{ "watermarkKey": "111122223333:scanned" }]));
    assert_eq!((&seen["sourceImageId"], &seen["sourceInstanceId"]), (&json!("ami-00000009"), &Value::Null));
    for (filter, value, expected) in [
        ("tag-key", SHARED, true),
        ("tag:ec2:SharedTag/approved", "true", true),
        ("tag:ec2:SharedTag/approved", "no", false),
        ("tag-key", "team", false),
        ("tag:team", "infra", false),
        ("image-watermark.watermark-key", "111122223333:scanned", true),
        ("image-watermark.watermark-key", "111122223333:other", false),
    ] {
        assert_eq!(finds(&mut world, filter, value), expected, "{filter} {value}");
    }
}

#[test]
fn the_owner_sees_all_of_it() {
    let seen = described(&mut shared_image(), &super::caller());
    assert_eq!(seen["tagSet"].as_array().map(Vec::len), Some(2));
    assert!(seen["sourceInstanceId"].as_str().is_some_and(|id| id.starts_with("i-")));
}

#[test]
fn a_dial_hides_shared_tags_from_other_accounts_and_another_the_source() {
    let mut world = shared_image();
    world.behaviour.shared_tags_visible = false;
    world.behaviour.source_fields_visible = false;
    let seen = described(&mut world, &stranger());
    assert_eq!((&seen["tagSet"], &seen["sourceImageId"]), (&Value::Null, &Value::Null));
    assert!(!finds(&mut world, "tag-key", SHARED));
    assert_eq!(described(&mut world, &super::caller())["sourceImageId"], "ami-00000009");
}

#[test]
fn a_shared_tag_on_a_snapshot_is_refused_in_every_way() {
    let mut world = world();
    let specified = [("TagSpecification.1.ResourceType", "snapshot"), ("TagSpecification.1.Tag.1.Key", SHARED)];
    assert_eq!(code(copy_with(&mut world, &specified)), "InvalidParameterValue");
    let snapshot = world.image(SOURCE_REGION, SOURCE).expect("the source").snapshots[0].id.clone();
    let there = Caller { account: ACCOUNT.to_owned(), ..Caller::in_region(SOURCE_REGION) };
    for (resource, is_taken) in [(SOURCE, true), (snapshot.as_str(), false)] {
        let tag = [("ResourceId.1", resource), ("Tag.1.Key", SHARED), ("Tag.1.Value", "true")];
        assert_eq!(ec2_as(&there, &mut world, "CreateTags", &tag).is_ok(), is_taken, "{resource}");
    }
}

#[test]
fn a_dial_says_whether_a_copy_has_shared_tags_that_nobody_asked_for() {
    for (carried, expected) in [(false, vec![]), (true, vec![SHARED])] {
        let mut world = world();
        world.behaviour.copies_have_shared_tags = carried;
        let source = world.image_mut(SOURCE_REGION, SOURCE).expect("the source");
        source.tags = [("team".to_owned(), "infra".to_owned()), (SHARED.to_owned(), "true".to_owned())].into();
        let id = copy_with(&mut world, &[]).expect("a copy");
        let copy = world.image(REGION, &id).expect("the copy");
        assert_eq!(copy.tags.keys().collect::<Vec<_>>(), expected);
        assert!(copy.snapshots.iter().all(|snapshot| snapshot.tags.is_empty()));
    }
}
