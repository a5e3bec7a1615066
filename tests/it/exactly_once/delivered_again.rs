//! A message that is delivered again, at the same time or after a crash, leads to the copy that exists.

use std::collections::BTreeSet;
use std::time::Duration;

use local::aws::{CopyFailure, Fault, ImageState};

use super::{AMI, DONE, HOUR, announced, message, tokens};
use crate::stage::{Stage, batch, failures};

#[tokio::test]
async fn five_deliveries_of_a_message_and_five_of_it_in_one_batch_make_one_copy() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let body = announced().to_string();
    let five = batch(["m1", "m2", "m3", "m4", "m5"].map(|id| (id, body.clone())));
    for _ in 0..5 {
        let answer = function.invoke(&five).await.unwrap();
        assert_eq!(failures(&answer), DONE);
    }
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_function_killed_between_copy_image_and_its_answer_makes_no_second_copy() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.fault(Fault::on("CopyImage").nth(1).slow_after_effect(Duration::from_secs(20)));
    });
    let function = stage.function().await;
    let killed = async {
        while stage.copies().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        function.kill().await;
    };
    let message = message();
    let (died, ()) = tokio::join!(function.invoke(&message), killed);
    assert!(died.is_err());
    let function = stage.function().await;
    assert_eq!(failures(&function.invoke(&message).await.unwrap()), DONE);
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn two_instances_that_get_the_same_announcement_at_the_same_time_make_the_same_call() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.fault(Fault::on("CopyImage").slow(Duration::from_secs(1)));
    });
    let (one, other) = (stage.function().await, stage.function().await);
    let event = announced();
    let (one, other) = tokio::join!(one.invoke(&event), other.invoke(&event));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(stage.copies().len(), 1);
    assert_eq!(one[0]["ImageId"], other[0]["ImageId"]);
    let tokens = tokens(&stage);
    assert_eq!(tokens.len(), 2, "both called: neither saw the other's copy");
    assert_eq!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn an_answer_that_is_lost_or_an_error_after_the_copy_was_made_leads_to_that_copy() {
    for fault in [
        Fault::on("CopyImage").nth(1).drop_after_effect(),
        Fault::on("CopyImage").nth(1).error_after_effect(500, "InternalError", "An internal error has occurred"),
        Fault::on("CopyImage").first(3).drop_after_effect(),
    ] {
        let stage = Stage::new().await.source(AMI, "golden-1").with(|world| world.fault(fault));
        let function = stage.function().await;
        for _ in 0..2 {
            // The third fault outlasts the SDK's own attempts: SQS brings the message back.
            if failures(&function.invoke(&message()).await.unwrap()).is_empty() {
                break;
            }
        }
        assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE);
        assert_eq!(stage.copies().len(), 1);
        assert_eq!(tokens(&stage).into_iter().collect::<BTreeSet<_>>().len(), 1);
    }
}

#[tokio::test]
async fn two_instances_that_find_the_same_failed_copy_make_one_new_copy() {
    let stage = Stage::new()
        .await
        .source(AMI, "golden-1")
        .with(|world| world.fail_next_copy(AMI, CopyFailure::key_not_accessible()));
    let (one, other) = (stage.function().await, stage.function().await);
    one.invoke(&announced()).await.unwrap();
    stage.aws.world().advance(HOUR);
    let message = message();
    let (one, other) = tokio::join!(one.invoke(&message), other.invoke(&message));
    assert!([one, other].into_iter().all(|answer| failures(&answer.unwrap()).is_empty()));
    let live = stage.copies().into_iter().filter(|copy| copy.state == ImageState::Pending).count();
    assert_eq!(live, 1);
    assert_eq!(stage.dead(), Vec::new());
}
