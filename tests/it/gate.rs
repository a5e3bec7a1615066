//! Requests pass the gate: what the selection does not want, a request cannot have shared or published.

use std::time::Duration;

use local::aws::{Image, ImageState, LaunchPermission, START};
use local::host::{Host, InvokeError};
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, ami, batch, failures, request, state_change, words};

const AMI: &str = "ami-0abcdef1234567890";
const PARTNER: &str = "111122223333";
const PARAMETER: &str = "/golden/latest";
const MINUTE: Duration = Duration::from_secs(60);

/// A stack that wants `golden-*` only, shares and publishes, and an AMI with another name.
async fn stage(requests: &str) -> Stage {
    let stage = Stage::new().await.set("NAME_PATTERNS", "golden-*,!*-debug").set("REQUESTS", requests);
    stage.set("SHARE_WITH", PARTNER).set("PARAMETER_NAME", PARAMETER).with(|world| {
        world.add_image(THERE, Image::new(AMI, "scratch-1").created(START - 90 * MINUTE));
    })
}

fn rejection(answer: Result<Value, InvokeError>) -> String {
    match answer {
        Err(InvokeError::Function { error_type, message }) if error_type == "Rejected" => message,
        other => panic!("not rejected: {other:?}"),
    }
}

/// Lets the copy end, and hands over EC2's event about it.
async fn finish(stage: &Stage, function: &Host, copy: &Value) -> Value {
    stage.aws.world().advance(20 * MINUTE);
    let available = state_change(HERE, copy["ImageId"].as_str().expect("a copy"), "available");
    function.invoke(&available).await.expect("an outcome")[0].clone()
}

fn copy(stage: &Stage, answer: &Value) -> Image {
    let id = answer["ImageId"].as_str().expect("a copy");
    stage.copies().into_iter().find(|image| image.id == id).expect("it exists")
}

fn published(stage: &Stage) -> Option<String> {
    stage.aws.world().parameter(HERE, PARAMETER).map(|parameter| parameter.value)
}

#[tokio::test]
async fn a_request_past_the_selection_is_rejected_with_the_rule_by_call_and_by_queue() {
    for (name, rule) in [
        ("scratch-1", "name `scratch-1` matches none of `golden-*`"),
        ("golden-1-debug", "name `golden-1-debug` matches `*-debug`, which NAME_PATTERNS excludes"),
    ] {
        let stage = stage("Selected").await.source(AMI, name);
        let function = stage.function().await;
        let message = rejection(function.invoke(&request(AMI, "golden-1")).await);
        assert!(message.starts_with("SourceNotAllowed") && message.contains(rule), "{message}");
        assert!(message.contains("REQUESTS=Selected"), "{message}");
        let answer = function.invoke(&batch([("m1", request(AMI, "golden-1").to_string())])).await.unwrap();
        assert_eq!(failures(&answer), Vec::<String>::new());
        assert!(words(&stage.dead()[0].1).contains(rule), "{:?}", stage.dead());
        assert_eq!(stage.copy_image_calls(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn off_rejects_every_request_and_announcements_are_copied() {
    let stage = stage("Off").await.source(AMI, "golden-1");
    let function = stage.function().await;
    let message = rejection(function.invoke(&request(AMI, "golden-1")).await);
    assert!(message.contains("REQUESTS=Off"), "{message}");
    let mut dry_run = request(AMI, "golden-1");
    dry_run["DryRun"] = json!(true);
    assert!(rejection(function.invoke(&dry_run).await).contains("REQUESTS=Off"));
    let answer = function.invoke(&state_change(THERE, AMI, "available")).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn a_selected_request_does_not_wait_for_image_builders_tests_and_is_shared_and_published() {
    let build = "arn:aws:imagebuilder:us-east-1:123456789012:image/golden/1.0.0/1";
    let stage = stage("Selected").await.with(|world| {
        world.add_image(THERE, Image::new(AMI, "golden-1").tag("Ec2ImageBuilderArn", build));
    });
    let function = stage.function().await;
    let started = function.invoke(&request(AMI, "golden-1")).await.expect("started");
    assert_eq!(finish(&stage, &function, &started).await["Outcome"], "Finished");
    let copy = copy(&stage, &started);
    assert_eq!(copy.tags["ami-courier:try"], "request 0.0");
    assert_eq!(copy.launch_permissions, [LaunchPermission::UserId(PARTNER.to_owned())].into());
    assert_eq!(published(&stage), Some(copy.id));
}

#[tokio::test]
async fn any_carries_out_a_request_past_the_selection_and_never_shares_nor_publishes_it() {
    let stage = stage("Any").await;
    let function = stage.function().await;
    let started = function.invoke(&request(AMI, "golden-1")).await.expect("started");
    // What the source and the settings are by then changes nothing.
    stage.aws.world().image_mut(THERE, AMI).expect("the source").name = "golden-1".to_owned();
    let finished = finish(&stage, &function, &started).await;
    assert_eq!(finished["Outcome"], "Finished", "{finished}");
    assert!(finished["NotShared"].as_str().unwrap().contains("past the selection"), "{finished}");
    let copy = copy(&stage, &started);
    assert_eq!(copy.tags["ami-courier:try"], "request 0.0 unselected");
    assert!(
        copy.launch_permissions.is_empty() && copy.snapshots.iter().all(|snapshot| snapshot.shared_with.is_empty())
    );
    assert_eq!(published(&stage), None);
}

#[tokio::test]
async fn a_stack_without_requests_says_what_copies_an_ami_instead() {
    let stage = stage("Off").await.source(AMI, "golden-1");
    let message = rejection(stage.function().await.invoke(&request(AMI, "golden-1")).await);
    assert!(message.starts_with("SourceNotAllowed"), "{message}");
    assert!(
        message.contains("REQUESTS=Off") && message.contains("leave this AMI to the events and the sweep"),
        "{message}"
    );
    assert!(!message.contains("request another AMI"), "{message}");
    assert!(stage.copies().is_empty());
}

#[tokio::test]
async fn what_ec2_has_accepted_is_answered_whatever_the_setting_says_by_then() {
    let stage = stage("Any").await;
    let started = stage.function().await.invoke(&request(AMI, "golden-1")).await.expect("started");
    let stage = stage.set("REQUESTS", "Off");
    let function = stage.function().await;
    let again = function.invoke(&request(AMI, "golden-1")).await.expect("the copy is there");
    assert_eq!((&again["Outcome"], &again["ImageId"]), (&json!("AlreadyCopied"), &started["ImageId"]));
    let mut look = json!({ "SourceImageId": AMI, "SourceRegion": THERE, "Epoch": 0, "Try": 1 });
    look["Request"] = request(AMI, "golden-1");
    let envelope = |kind: &str, fields: &Value| json!({ "AmiCourier": { kind: fields } });
    for kind in ["SecondLook", "NextTry"] {
        let answer = function.invoke(&envelope(kind, &look)).await.expect("the copy is there");
        assert_eq!(answer[0]["Outcome"], "AlreadyCopied", "{kind}: {answer}");
    }
    // It failed: the next try goes on, and is marked.
    stage.aws.world().image_mut(HERE, started["ImageId"].as_str().unwrap()).expect("it").state = ImageState::Failed;
    let answer = function.invoke(&envelope("NextTry", &look)).await.expect("the next try");
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    assert_eq!(copy(&stage, &answer[0]).tags["ami-courier:try"], "request 0.1 unselected");
}

#[tokio::test]
async fn a_letter_with_a_number_that_no_try_can_have_starts_no_copy() {
    let stage = stage("Selected").await.source(AMI, "golden-1");
    let function = stage.function().await;
    for number in [100, 4_294_967_295_u64] {
        let next = json!({ "SourceImageId": AMI, "SourceRegion": THERE, "Epoch": 0, "Try": number });
        let message = rejection(function.invoke(&json!({ "AmiCourier": { "NextTry": next } })).await);
        assert!(message.starts_with("TriesSpent"), "{message}");
    }
    assert_eq!(stage.copy_image_calls(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_requests_copy_is_published_only_where_its_source_has_no_announced_one() {
    let stage = stage("Selected").await.source(AMI, "golden-1");
    let function = stage.function().await;
    let announced = function.invoke(&state_change(THERE, AMI, "available")).await.unwrap()[0].clone();
    let requested = function.invoke(&request(AMI, "golden-by-hand")).await.expect("another name is another copy");
    assert_eq!(finish(&stage, &function, &requested).await["Outcome"], "Finished");
    assert_eq!(published(&stage), None);
    assert_eq!(finish(&stage, &function, &announced).await["Outcome"], "Finished");
    assert_eq!(published(&stage).as_deref(), announced["ImageId"].as_str());
}

#[tokio::test]
async fn a_copy_in_a_local_zone_is_never_published() {
    let stage = stage("Selected").await.with(|world| {
        world.add_image(HERE, Image::new(ami(1), "golden-1"));
    });
    let function = stage.function().await;
    let into_zone = json!({ "Name": "golden-1-zone", "SourceImageId": ami(1), "SourceRegion": HERE,
                            "DestinationAvailabilityZone": "eu-west-1-lhr-1a" });
    let started = function.invoke(&into_zone).await.expect("started");
    assert_eq!(finish(&stage, &function, &started).await["Outcome"], "Finished");
    assert_eq!(copy(&stage, &started).tags["ami-courier:try"], "request 0.0 zone");
    assert_eq!(published(&stage), None);
}
