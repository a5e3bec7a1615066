//! The life of a copy, as the tests of its second half need it: it is announced, it ends, its end is reported.

use std::collections::BTreeMap;
use std::time::Duration;

use local::aws::{Image, PutEvent, START};
use local::host::Host;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::stage::{HERE, Stage, THERE, batch, failures, state_change};

/// So many minutes before the world began.
pub fn ago(minutes: i64) -> OffsetDateTime {
    START - time::Duration::minutes(minutes)
}

pub async fn stage() -> Stage {
    Stage::new().await
}

/// Lets AWS answer the function, which learns the world's time from it. Calls without an answer teach it nothing.
pub async fn learns_the_time(function: &Host) {
    let unknown = "ami-00000000000000000";
    let answer = function.invoke(&state_change(HERE, unknown, "available")).await.expect("it looks at the AMI");
    assert_eq!(answer[0]["Outcome"], "Ignored", "{answer}");
}

/// An AMI that was built this long ago.
pub fn built(id: &str, name: &str, minutes_ago: i64) -> Image {
    Image::new(id, name).created(ago(minutes_ago))
}

/// Announces the source; the id of the copy that is started.
pub async fn announced(function: &Host, source: &str) -> String {
    let answer = function.invoke(&state_change(THERE, source, "available")).await.expect("the copy starts");
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    answer[0]["ImageId"].as_str().expect("an id").to_owned()
}

/// Announces the source and lets EC2 end the copy: it is available, or it failed. The calls so far are forgotten.
pub async fn ended(stage: &Stage, function: &Host, source: &str) -> String {
    let copy = announced(function, source).await;
    let mut world = stage.aws.world();
    world.advance(Duration::from_secs(20 * 60));
    world.forget_calls();
    copy
}

/// EC2's event about an AMI of this Region, through the queue, for the n-th time.
pub fn told(copy: &str, state: &str, delivery: u32) -> Value {
    let mut payload = batch([("m1", state_change(HERE, copy, state).to_string())]);
    payload["Records"][0]["attributes"]["ApproximateReceiveCount"] = json!(delivery.to_string());
    payload
}

/// Whether the record is done.
pub async fn done(function: &Host, payload: &Value) -> bool {
    failures(&function.invoke(payload).await.expect("an answer to the batch")).is_empty()
}

/// The message that the event of a copy's end makes, delivered until it is done.
pub async fn finished(function: &Host, copy: &str) {
    for delivery in 1..=5 {
        if done(function, &told(copy, "available", delivery)).await {
            return;
        }
    }
    panic!("{copy} is not done: {:#?}", function.logs());
}

/// Takes all messages out of the dead-letter queue: bodies, and attributes as text.
pub fn take_dead(stage: &Stage) -> Vec<(String, BTreeMap<String, String>)> {
    let dead = stage.dead();
    let mut world = stage.aws.world();
    for message in world.receive(&stage.dead_letters, 1000) {
        world.delete(&stage.dead_letters, &message.receipt_handle);
    }
    dead
}

/// The courier's own events with this outcome.
pub fn on_bus(stage: &Stage, outcome: &str) -> Vec<PutEvent> {
    let events = stage.aws.world().put_events();
    events.into_iter().filter(|event| event.detail["Outcome"] == outcome).collect()
}

/// A copy, as it is now.
pub fn image(stage: &Stage, id: &str) -> Image {
    stage.aws.world().image(HERE, id).cloned().expect("the copy is there")
}

pub fn is_finished(stage: &Stage, id: &str) -> bool {
    image(stage, id).tags.contains_key("ami-courier:finished")
}

/// Waits until the world is so, as long as a function may run.
pub async fn until(condition: impl Fn() -> bool) {
    let so = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), so).await.expect("the function makes the call that is waited for");
}
