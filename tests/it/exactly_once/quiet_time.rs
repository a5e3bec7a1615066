//! The quiet time: at the beginning of each epoch but the first, no copy is started.

use std::time::Duration;

use local::aws::Behaviour;
use serde_json::json;

use super::{AMI, HOUR, MINUTE, announced, error, message};
use crate::stage::{Stage, batch, failures};

#[tokio::test]
async fn in_the_first_half_hour_of_every_epoch_but_the_first_no_copy_is_started() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    stage.aws.world().advance(23 * HOUR);
    for wait in [Duration::ZERO, 29 * MINUTE] {
        stage.aws.world().advance(wait);
        let (kind, message) = error(function.invoke(&announced()).await);
        assert_eq!(kind, "Retry", "{message}");
        assert!(message.starts_with("QuietTime: ") && message.contains("2026-01-01 23:30 UTC"), "{message}");
    }
    stage.aws.world().advance(MINUTE);
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn a_message_that_comes_in_the_quiet_time_is_hidden_until_its_end() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let body = announced().to_string();
    stage.aws.world().advance(23 * HOUR + 10 * MINUTE);
    let answer = stage.function().await.invoke(&batch([("m1", body)])).await.unwrap();
    assert_eq!(failures(&answer), ["m1"]);
    let calls = stage.aws.world().calls();
    let hidden = calls.iter().find(|call| call.action == "ChangeMessageVisibility").unwrap();
    let seconds = hidden.parameters["VisibilityTimeout"].as_u64().unwrap();
    assert!((20 * 60..=21 * 60).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_live_copy_is_the_answer_in_the_quiet_time_too() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let first = function.invoke(&announced()).await.unwrap();
    stage.aws.world().advance(23 * HOUR);
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &first[0]["ImageId"]));
}

#[tokio::test]
async fn a_token_that_ec2_has_forgotten_after_a_day_makes_no_second_copy() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.behaviour = Behaviour::weakest();
        world.behaviour.tokens_remembered_for = Some(24 * HOUR);
    });
    let function = stage.function().await;
    stage.aws.world().advance((23 * HOUR).saturating_sub(MINUTE));
    function.invoke(&message()).await.unwrap();
    for _ in 0..4 {
        stage.aws.world().advance(6 * HOUR);
        function.invoke(&message()).await.unwrap();
    }
    assert_eq!(stage.copies().len(), 1);
}
