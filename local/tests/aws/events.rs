use std::time::Duration;

use local::aws::{CopyFailure, World};
use serde_json::{Value, json};

use super::{REGION, SOURCE, caller, code, copy_with, ec2, world};

#[test]
fn the_end_of_a_copy_is_an_event_in_ec2s_form() {
    let mut world = world();
    let id = copy_with(&mut world, &[]).expect("a copy");
    world.advance(Duration::from_secs(3600));
    let mut events = world.take_events();
    assert_eq!(events.len(), 1);
    let event = &mut events[0];
    assert!(event["id"].take().is_string());
    assert!(event["detail"]["RequestId"].take().is_string());
    assert_eq!(
        *event,
        json!({
            "version": "0",
            "id": null,
            "detail-type": "EC2 AMI State Change",
            "source": "aws.ec2",
            "account": "123456789012",
            "time": "2026-01-01T00:20:00Z",
            "region": REGION,
            "resources": [format!("arn:aws:ec2:{REGION}::image/{id}")],
            "detail": { "RequestId": null, "ImageId": id, "State": "available", "ErrorMessage": "" },
        })
    );
    assert!(world.take_events().is_empty(), "each is taken once");
}

#[test]
fn a_failed_copy_says_why_and_a_world_can_be_silent() {
    let mut world = world();
    world.fail_next_copy(SOURCE, CopyFailure::new("Client.InternalError", "Something broke", ""));
    copy_with(&mut world, &[]).expect("a copy");
    world.advance(Duration::from_secs(3600));
    let event = &world.take_events()[0];
    assert_eq!(event["detail"]["State"], "failed");
    assert_eq!(event["detail"]["ErrorMessage"], "Something broke");

    world.behaviour.events = false;
    copy_with(&mut world, &[("Name", "other")]).expect("a copy");
    world.advance(Duration::from_secs(3600));
    assert!(world.take_events().is_empty());
}

#[test]
fn arns_have_the_partition_of_their_region() {
    for (region, partition) in [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("eu-west-1", "aws")] {
        let mut world = World::default();
        let caller = local::aws::Caller::in_region(region);
        world.call(&caller, "ec2", "RegisterImage", &json!({ "Name": "golden" })).expect("registered");
        let resource = world.take_events()[0]["resources"][0].clone();
        assert!(resource.as_str().expect("an ARN").starts_with(&format!("arn:{partition}:ec2:{region}::image/")));
    }
}

fn put(world: &mut World, entries: &Value) -> Result<Value, local::aws::ApiError> {
    world.call(&caller(), "events", "PutEvents", &json!({ "Entries": entries }))
}

#[test]
fn put_events_accepts_the_valid_entries_and_refuses_each_of_the_others() {
    let mut world = World::default();
    let entry = |source: &str, detail: &str| json!({ "Source": source, "DetailType": "Test", "Detail": detail });
    let answer = put(
        &mut world,
        &json!([entry("ami-courier", "{\"a\":1}"), entry("aws.ec2", "{}"), entry("x", "oops"), entry("", "{}")]),
    )
    .expect("HTTP 200 nevertheless");
    assert_eq!(answer["FailedEntryCount"], 3);
    let codes: Vec<_> = (1..4).map(|at| answer["Entries"][at]["ErrorCode"].clone()).collect();
    assert_eq!(codes, ["NotAuthorizedForSourceException", "MalformedDetail", "InvalidArgument"]);
    let kept = world.put_events();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].bus.as_str(), kept[0].detail["a"].clone()), ("default", json!(1)));
    assert_eq!(code(put(&mut world, &json!([]))), "ValidationException");
}

#[test]
fn registering_is_announced_and_seeding_is_not() {
    let mut world = world();
    assert!(world.take_events().is_empty());
    ec2(&mut world, "RegisterImage", &[("Name", "golden")]).expect("registered");
    assert_eq!(world.take_events()[0]["detail"]["State"], "available");
}
