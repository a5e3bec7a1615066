//! A copy stays in step with its source and the settings, for as long as it lives: by an event, by a sweep alone, and whatever call
//! the function is killed at.

mod many;
mod parameter;
mod parts;
mod shown;
mod whose;

use std::time::Duration;

use local::aws::{Caller, Image, Snapshot};
use local::host::Host;
use serde_json::{Value, json};

use crate::life::{built, ended, finished, image};
use crate::stage::{Stage, THERE};

const AMI: &str = "ami-0abcdef1234567890";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Older than a sweep lists.
const OLD: i64 = 30 * 24 * 60;

fn source() -> Image {
    built(AMI, "golden-1", OLD).tag("Channel", "beta").snapshots([Snapshot::new("snap-0aaaaaaaaaaaaaaa1")])
}

/// A stack that has finished a copy of [`source`], or of `built`.
async fn copied(stage: Stage, built: Image) -> (Stage, Host, String) {
    let stage = stage.set("SOURCE_REGIONS", THERE).with(|world| {
        world.add_image(THERE, built);
    });
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    finished(&function, &copy).await;
    stage.aws.world().forget_calls();
    stage.aws.world().take_events();
    (stage, function, copy)
}

/// Calls EC2 as somebody of this account would.
fn ec2(stage: &Stage, region: &str, action: &str, parameters: Value) {
    let answer = stage.aws.world().call(&Caller::in_region(region), "ec2", action, &parameters);
    assert!(answer.is_ok(), "{action} {parameters}: {answer:?}");
}

fn tag(stage: &Stage, region: &str, id: &str, key: &str, value: &str) {
    let parameters = json!({ "ResourceId.1": id, "Tag.1.Key": key, "Tag.1.Value": value });
    ec2(stage, region, "CreateTags", parameters);
}

fn untag(stage: &Stage, region: &str, id: &str, key: &str) {
    ec2(stage, region, "DeleteTags", json!({ "ResourceId.1": id, "Tag.1.Key": key }));
}

/// Delivers all events of EC2 to the function, and those that follow from them: all outcomes but `Ignored`.
async fn events(stage: &Stage, function: &Host) -> Vec<Value> {
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        let events = stage.aws.world().take_events();
        for event in events {
            if let Ok(answer) = function.invoke(&event).await {
                outcomes.extend(answer.as_array().expect("a list").clone());
            }
        }
    }
    outcomes.retain(|outcome| outcome["Outcome"] != "Ignored");
    outcomes
}

/// The courier's own message about a copy that may be out of step.
fn unfinished(copy: &str) -> Value {
    json!({ "AmiCourier": { "Unfinished": { "ImageId": copy } } })
}

/// Why nothing is done for a message of the courier's own.
async fn why_ignored(function: &Host, message: &Value) -> String {
    let answer = function.invoke(message).await.expect("an outcome");
    answer[0]["Reason"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A sweep with all that it announces, also what it delays: all outcomes but `Ignored`.
async fn swept(stage: &Stage, function: &Host) -> Vec<Value> {
    let mut outcomes = stage.sweep(function).await.unwrap_or_else(|error| panic!("{error}: {:#?}", function.logs()));
    stage.aws.world().advance(16 * MINUTE);
    outcomes.extend(stage.deliver(function).await.expect("elections"));
    outcomes.retain(|outcome| outcome["Outcome"] != "Ignored");
    outcomes
}

/// How many messages a sweep sends.
async fn announced_by_sweep(stage: &Stage, function: &Host) -> usize {
    function.invoke(&json!({ "Sweep": {} })).await.expect("a sweep");
    let messages = stage.aws.world().messages(&stage.queue);
    let mut world = stage.aws.world();
    world.advance(16 * MINUTE);
    for message in world.receive(&stage.queue, 1000) {
        world.delete(&stage.queue, &message.receipt_handle);
    }
    messages.len()
}

/// The same stack with other settings.
async fn with(stage: &Stage, settings: &[(&str, &str)]) -> Host {
    stage.deploy(settings);
    stage.function().await
}

fn copy_of(stage: &Stage, id: &str) -> Image {
    image(stage, id)
}
