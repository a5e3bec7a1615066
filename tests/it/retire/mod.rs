//! A copy follows its source out of service, and back; and nothing that anyone needs is retired.
//!
//! A module for each of its sides: the wait between two looks, whose source it is, who uses the copy, and disabled sources.

mod disabled;
mod source;
mod usage;
mod wait;

use std::time::Duration;

use local::aws::{ACCOUNT, Image, ImageState, Reference};
use local::host::Host;
use serde_json::{Value, json};

use crate::life::{built, ended, finished, image, on_bus};
use crate::stage::{HERE, Stage, THERE, state_change};

const AMI: &str = "ami-0abcdef1234567890";
/// Owns sources.
const PARTNER: &str = "111122223333";
/// Is allowed to launch copies.
const FRIEND: &str = "444455556666";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const GONE: &str = "ami-courier:source-gone-since";
const DISABLED: &str = "ami-courier:disabled-with-source";
const FINISHED: &str = "ami-courier:finished";

/// A stack that retires copies.
async fn stage() -> Stage {
    Stage::new().await.set("RETIRE_WITH_SOURCE", "true").set("SOURCE_OWNERS", "self,111122223333")
}

/// A finished copy, on this stage, of an AMI of this owner.
async fn copied(stage: Stage, owner: &str) -> (Stage, Host, String) {
    let stage = stage.with(|world| {
        world.add_image(THERE, built(AMI, "golden-1", 90).owner(owner).shared_with(ACCOUNT));
    });
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    finished(&function, &copy).await;
    stage.aws.world().forget_calls();
    (stage, function, copy)
}

/// A finished copy of an AMI of this account.
async fn our_own() -> (Stage, Host, String) {
    copied(stage().await, ACCOUNT).await
}

/// The one outcome of an event of the source.
async fn event(function: &Host, state: &str) -> Value {
    let answer = function.invoke(&state_change(THERE, AMI, state)).await.expect("outcomes");
    assert_eq!(answer.as_array().map(Vec::len), Some(1), "{answer}");
    answer[0].clone()
}

/// The outcomes of a sweep and of what it announced.
async fn sweep(stage: &Stage, function: &Host) -> Vec<Value> {
    stage.sweep(function).await.expect("outcomes")
}

/// Two sweeps at the same time. One may find that the other was first: that is temporary, and no other error is fine.
async fn two_sweeps(stage: &Stage, function: &Host, other: &Host) {
    let (one, two) = tokio::join!(stage.sweep(function), stage.sweep(other));
    for error in [one, two].into_iter().filter_map(Result::err) {
        assert!(error.to_string().contains("will be retried"), "{error}");
    }
}

/// The one outcome of a sweep.
async fn swept(stage: &Stage, function: &Host) -> Value {
    let [outcome] = <[Value; 1]>::try_from(sweep(stage, function).await).expect("one outcome");
    outcome
}

/// The one outcome of a sweep, so long after now.
async fn swept_after(stage: &Stage, function: &Host, time: Duration) -> Value {
    stage.aws.world().advance(time);
    swept(stage, function).await
}

/// The source is deregistered, and its event has marked the copy.
async fn gone(stage: &Stage, function: &Host, copy: &str) {
    stage.aws.world().deregister(THERE, AMI);
    event(function, "deregistered").await;
    assert!(mark(stage, copy, GONE).is_some());
    stage.aws.world().forget_calls();
}

/// What was changed, but for the sweeps' own messages.
fn changes(stage: &Stage) -> Vec<String> {
    stage.changes().into_iter().filter(|action| action != "SendMessageBatch").collect()
}

fn mark(stage: &Stage, copy: &str, key: &str) -> Option<String> {
    image(stage, copy).tags.get(key).cloned()
}

#[track_caller]
fn assert_says(outcome: &Value, why: &str) {
    let reason = outcome["Reason"].as_str().expect("a reason");
    assert!(outcome["Outcome"] == "Ignored" && reason.contains(why), "`{why}` is not in {outcome}");
}

#[track_caller]
fn assert_stays(stage: &Stage, copy: &str, outcome: &Value, why: &str) {
    assert_says(outcome, why);
    assert_says(outcome, copy);
    assert_eq!(image(stage, copy).state, ImageState::Available);
    assert!(on_bus(stage, "Retired").is_empty());
}

#[track_caller]
fn assert_retired(stage: &Stage, copy: &str, outcome: &Value) {
    assert_eq!((&outcome["Outcome"], &outcome["ImageId"]), (&json!("Retired"), &json!(copy)), "{outcome}");
    let world = stage.aws.world();
    assert!(world.image(HERE, copy).is_none());
    assert_eq!(world.snapshots(HERE), Vec::<String>::new());
}

fn reference(kind: &str, resource: &str) -> Reference {
    Reference {
        resource_type: kind.to_owned(),
        arn: format!("arn:aws:ec2:eu-west-1:123456789012:{resource}"),
        newer_versions: 0,
    }
}

/// Changes the copy as its owner could.
fn change(stage: &Stage, copy: &str, change: impl FnOnce(&mut Image)) {
    change(stage.aws.world().image_mut(HERE, copy).expect("the copy"));
}

/// Calls EC2 as somebody of this account would.
fn ec2(stage: &Stage, region: &str, action: &str, image_id: &str) {
    let caller = local::aws::Caller::in_region(region);
    let answer = stage.aws.world().call(&caller, "ec2", action, &json!({ "ImageId": image_id }));
    assert!(answer.is_ok(), "{action}: {answer:?}");
}
