//! Every AMI is copied exactly once, whatever is delivered, repeated, killed or failed, on the weakest EC2.
//!
//! A module for each rule of the protocol: look for copies, the token, EC2's answer and the second look, the tries, the quiet time.

mod delivered_again;
mod look;
mod names;
mod quiet_time;
mod second_look;
mod token;
mod tries;

use std::time::Duration;

use local::aws::{Caller, Image, Snapshot};
use local::host::InvokeError;
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, batch, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DONE: [&str; 0] = [];

fn announced() -> Value {
    state_change(THERE, AMI, "available")
}

fn message() -> Value {
    batch([("m1", announced().to_string())])
}

fn rejection(answer: Result<Value, InvokeError>) -> String {
    match answer {
        Err(InvokeError::Function { error_type, message }) if error_type == "Rejected" => message,
        other => panic!("not rejected: {other:?}"),
    }
}

fn tokens(stage: &Stage) -> Vec<String> {
    stage.copy_image_calls().iter().map(|call| call["ClientToken"].as_str().unwrap().to_owned()).collect()
}

fn error(answer: Result<Value, InvokeError>) -> (String, String) {
    match answer {
        Err(InvokeError::Function { error_type, message }) => (error_type, message),
        other => panic!("no error of the function's: {other:?}"),
    }
}

/// The courier's messages to itself that are in its queue.
fn own_messages(stage: &Stage) -> Vec<Value> {
    let messages = stage.aws.world().messages(&stage.queue);
    messages.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
}

/// A copy that a person made by hand: another name, none of the courier's tags.
fn copy_by_hand(stage: &Stage, more: Value) -> String {
    let mut parameters = json!({ "SourceImageId": AMI, "SourceRegion": THERE, "Name": "made-by-hand" });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = stage.aws.world().call(&Caller::in_region(HERE), "ec2", "CopyImage", &parameters);
    answer.unwrap()["imageId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_announced_ami_is_copied_with_its_tags_on_ami_and_snapshots_in_five_calls_and_one_that_is_copied_costs_two()
{
    let stage = Stage::new().await.set("EVENT_BUS_NAME", "").with(|world| {
        world.add_image(THERE, Image::new(AMI, "golden-1").tag("team", "platform"));
    });
    let function = stage.function().await;
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    let copies = stage.copies();
    assert_eq!(copies.len(), 1);
    assert_eq!(answer[0]["ImageId"], copies[0].id.as_str());
    assert_eq!(stage.actions().len(), 5, "{:?}", stage.actions());
    for tags in std::iter::once(&copies[0].tags).chain(copies[0].snapshots.iter().map(|snapshot| &snapshot.tags)) {
        assert_eq!(tags["ami-courier:source-image"], AMI);
        assert_eq!(tags["ami-courier:source-region"], THERE);
        assert_eq!(tags["team"], "platform");
    }
    for calls in [7, 9] {
        let answer = function.invoke(&announced()).await.unwrap();
        assert_eq!(answer[0]["Outcome"], "AlreadyCopied", "{answer}");
        assert_eq!(stage.actions().len(), calls, "{:?}", stage.actions());
    }
}

#[tokio::test]
async fn a_source_with_several_snapshots_is_one_copy_with_as_many() {
    let stage = Stage::new().await.with(|world| {
        let volumes = (1..=3).map(|n| Snapshot::new(format!("snap-{n:017x}")));
        world.add_image(THERE, Image::new(AMI, "golden-1").snapshots(volumes));
    });
    let function = stage.function().await;
    for _ in 0..2 {
        function.invoke(&announced()).await.unwrap();
    }
    assert_eq!((stage.copies().len(), stage.aws.world().snapshots(HERE).len()), (1, 3));
}
