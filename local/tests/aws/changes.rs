//! Changes of an AMI: their events, and when they are visible.

use std::time::Duration;

use local::aws::{Image, World};
use serde_json::{Value, json};

use super::{REGION, caller, code, ec2, ids};

const COPY: &str = "ami-0c0ffee0000000001";
const MINUTE: Duration = Duration::from_secs(60);

fn with_a_copy() -> World {
    let mut world = World::default();
    world.add_image(REGION, Image::new(COPY, "golden").tag("Channel", "beta"));
    world
}

fn tag(world: &mut World, key: &str, value: &str) {
    ec2(world, "CreateTags", &[("ResourceId.1", COPY), ("Tag.1.Key", key), ("Tag.1.Value", value)]).expect("tagged");
}

#[test]
fn a_change_of_tags_is_an_event_with_the_changed_keys_and_all_tags() {
    let mut world = with_a_copy();
    tag(&mut world, "Channel", "prod");
    let mut events = world.take_events();
    assert_eq!(events.len(), 1);
    assert!(events[0]["id"].take().is_string());
    assert_eq!(
        events[0],
        json!({
            "version": "0", "id": null, "detail-type": "Tag Change on Resource", "source": "aws.tag", "account": "123456789012",
            "time": "2026-01-01T00:00:00Z", "region": REGION,
            "resources": [format!("arn:aws:ec2:{REGION}:123456789012:image/{COPY}")],
            "detail": {
                "changed-tag-keys": ["Channel"], "service": "ec2", "resource-type": "image", "version": 1,
                "tags": { "Channel": "prod" },
            },
        })
    );
    ec2(&mut world, "DeleteTags", &[("ResourceId.1", COPY), ("Tag.1.Key", "Channel")]).expect("deleted");
    let detail = &world.take_events()[0]["detail"];
    assert_eq!(
        (&detail["version"], &detail["changed-tag-keys"], &detail["tags"]),
        (&json!(2), &json!(["Channel"]), &json!({}))
    );
}

#[test]
fn tags_that_are_there_already_change_nothing_and_send_no_event() {
    let mut world = with_a_copy();
    tag(&mut world, "Channel", "beta");
    assert_eq!(world.take_events(), Vec::<Value>::new());
}

#[test]
fn snapshots_have_such_events_too() {
    let mut world = with_a_copy();
    let snapshot = world.snapshots(REGION).remove(0);
    ec2(&mut world, "CreateTags", &[("ResourceId.1", &snapshot), ("Tag.1.Key", "a"), ("Tag.1.Value", "b")])
        .expect("tagged");
    let event = &world.take_events()[0];
    assert_eq!(event["detail"]["resource-type"], "snapshot");
    assert_eq!(event["resources"][0], format!("arn:aws:ec2:{REGION}:123456789012:snapshot/{snapshot}"));
}

#[test]
fn the_event_of_a_change_of_tags_can_be_lost_and_can_come_twice() {
    for times in [0, 1, 2] {
        let mut world = with_a_copy();
        world.behaviour.tag_events = times;
        tag(&mut world, "Channel", "prod");
        assert_eq!(world.take_events().len(), usize::try_from(times).expect("a small number"));
    }
}

/// The tag `Channel` of the copy, as a look by id and one by filter show it.
fn shown(world: &mut World) -> [Value; 2] {
    [("ImageId.1", COPY), ("Owner.1", "self")].map(|look| {
        let answer = ec2(world, "DescribeImages", &[look]).expect("an answer");
        answer["imagesSet"][0]["tagSet"][0]["value"].clone()
    })
}

#[test]
fn a_change_is_visible_after_the_delay_of_each_kind_of_look() {
    let mut world = with_a_copy();
    world.behaviour.changes_invisible_by_id_for = 2 * MINUTE;
    world.behaviour.changes_invisible_by_filter_for = 5 * MINUTE;
    tag(&mut world, "Channel", "test");
    world.advance(MINUTE);
    tag(&mut world, "Channel", "prod");
    assert_eq!(shown(&mut world), ["beta", "beta"]);
    world.advance(MINUTE);
    assert_eq!(shown(&mut world), ["test", "beta"]);
    world.advance(MINUTE);
    assert_eq!(shown(&mut world), ["prod", "beta"]);
    world.advance(2 * MINUTE);
    assert_eq!(shown(&mut world), ["prod", "test"]);
    world.advance(MINUTE);
    assert_eq!(shown(&mut world), ["prod", "prod"]);
    assert_eq!(world.image(REGION, COPY).expect("the copy").tags["Channel"], "prod");
}

#[test]
fn a_filter_looks_at_what_it_shows() {
    let mut world = with_a_copy();
    world.behaviour.hide_changes_for(MINUTE);
    tag(&mut world, "Channel", "prod");
    for (value, is_found) in [("beta", true), ("prod", false)] {
        let filter = [("Filter.1.Name", "tag:Channel"), ("Filter.1.Value.1", value)];
        let answer = ec2(&mut world, "DescribeImages", &filter).expect("an answer");
        assert_eq!(ids(&answer).len(), usize::from(is_found), "{value}");
    }
}

#[test]
fn with_a_seed_looks_differ_until_the_change_is_certain() {
    let mut world = with_a_copy();
    world.behaviour.hide_changes_for(MINUTE);
    world.behaviour.flicker_seed = Some(7);
    tag(&mut world, "Channel", "prod");
    let seen: Vec<Value> = (0..20).map(|_| shown(&mut world)[1].clone()).collect();
    assert!(seen.contains(&json!("beta")) && seen.contains(&json!("prod")), "{seen:?}");
    world.advance(MINUTE);
    assert!((0..20).all(|_| shown(&mut world) == ["prod", "prod"]));
}

#[test]
fn attributes_are_shown_late_as_well_and_the_state_is_not() {
    let mut world = with_a_copy();
    world.behaviour.hide_changes_for(MINUTE);
    ec2(&mut world, "ModifyImageAttribute", &[("ImageId", COPY), ("ImdsSupport.Value", "v2.0")]).expect("changed");
    ec2(&mut world, "ModifyImageAttribute", &[("ImageId", COPY), ("Description.Value", "new")]).expect("changed");
    let at = [("ImageId", COPY), ("DeprecateAt", "2027-01-01T00:00:00Z")];
    ec2(&mut world, "EnableImageDeprecation", &at).expect("changed");
    ec2(&mut world, "DisableImage", &[("ImageId", COPY)]).expect("disabled");
    let mut look = || {
        let parameters = [("ImageId.1", COPY), ("IncludeDisabled", "true")];
        ec2(&mut world, "DescribeImages", &parameters).expect("an answer")["imagesSet"][0].clone()
    };
    let early = look();
    assert_eq!(early["imageState"], "disabled");
    for attribute in ["imdsSupport", "description", "deprecationTime"] {
        assert_eq!(early[attribute], Value::Null, "{attribute}");
    }
    world.advance(MINUTE);
    let parameters = [("ImageId.1", COPY), ("IncludeDisabled", "true")];
    let late = ec2(&mut world, "DescribeImages", &parameters).expect("an answer")["imagesSet"][0].clone();
    assert_eq!((&late["imdsSupport"], &late["description"]), (&json!("v2.0"), &json!("new")));
    assert_eq!(late["deprecationTime"], "2027-01-01T00:00:00.000Z");
}

#[test]
fn one_attribute_is_modified_at_a_time_and_imds_support_is_never_taken_back() {
    let mut world = with_a_copy();
    let mut modify = |parameters: &[(&str, &str)]| {
        let all: Vec<_> = [("ImageId", COPY)].iter().chain(parameters).copied().collect();
        ec2(&mut world, "ModifyImageAttribute", &all)
    };
    modify(&[("Attribute", "imdsSupport"), ("Value", "v2.0")]).expect("the older form");
    modify(&[("ImdsSupport.Value", "v2.0")]).expect("twice is no error");
    let both = [("ImdsSupport.Value", "v2.0"), ("Description.Value", "x")];
    assert_eq!(code(modify(&both)), "InvalidParameterCombination");
    assert_eq!(code(modify(&[("ImdsSupport.Value", "v1.0")])), "InvalidParameterValue");
    modify(&[("Description.Value", &"x".repeat(255))]).expect("as long as it may be");
    assert_eq!(code(modify(&[("Description.Value", &"x".repeat(256))])), "InvalidParameterValue");
}

#[test]
fn a_request_has_at_most_200_values_of_filters_and_50_filters() {
    let mut world = with_a_copy();
    let values: Vec<(String, String)> = (1..=201).map(|n| (format!("Filter.1.Value.{n}"), format!("v{n}"))).collect();
    let mut ask = |count: usize| {
        let mut parameters = vec![("Filter.1.Name", "tag:a")];
        parameters.extend(values[..count].iter().map(|(name, value)| (name.as_str(), value.as_str())));
        ec2(&mut world, "DescribeImages", &parameters)
    };
    ask(200).expect("an answer");
    assert_eq!(code(ask(201)), "FilterLimitExceeded");
}

#[test]
fn a_copy_has_no_earlier_versions_of_its_source() {
    let mut world = World::default();
    let source = "ami-0123456789abcdef0";
    world.add_image(REGION, Image::new(source, "golden"));
    world.behaviour.hide_changes_for(MINUTE);
    let tags = json!({ "ResourceId.1": source, "Tag.1.Key": "a", "Tag.1.Value": "b" });
    world.call(&caller(), "ec2", "CreateTags", &tags).expect("tagged");
    let copy = json!({ "SourceImageId": source, "SourceRegion": REGION, "Name": "copy", "CopyImageTags": "true" });
    let id = world.call(&caller(), "ec2", "CopyImage", &copy).expect("a copy")["imageId"].clone();
    let id = id.as_str().expect("an id");
    let answer = ec2(&mut world, "DescribeImages", &[("ImageId.1", id)]).expect("an answer");
    assert_eq!(answer["imagesSet"][0]["tagSet"], json!([{ "key": "a", "value": "b" }]));
}
