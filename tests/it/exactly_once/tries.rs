//! The fourth rule: the next try follows a dead copy, five times in an epoch.

use std::collections::BTreeSet;
use std::time::Duration;

use local::aws::{Behaviour, CopyFailure, HiddenAs, TokenOfDeadImage};
use local::host::Host;
use serde_json::Value;

use super::{AMI, DONE, HOUR, MINUTE, announced, message, own_messages, rejection, tokens};
use crate::stage::{HERE, Stage, batch, failures};

/// How a dead copy looks when EC2 is asked for it by id, and whether that proves its death.
async fn next_try_after(dead: &str, behaviour: impl FnOnce(&mut Behaviour), is_proof: bool) {
    let stage = Stage::new().await.source(AMI, "golden-1");
    behaviour(&mut stage.aws.world().behaviour);
    let function = stage.function().await;
    let first = function.invoke(&announced()).await.unwrap();
    stage.aws.world().deregister(HERE, first[0]["ImageId"].as_str().unwrap());
    let answer = function.invoke(&announced()).await.unwrap();
    let tokens = tokens(&stage);
    if is_proof {
        assert_eq!(answer[0]["Outcome"], "Started", "{dead}: {answer}");
        assert_eq!((tokens.len(), stage.copies().len()), (3, 1), "{dead}: the next try follows at once");
    } else {
        assert_eq!(stage.copies().len(), 0, "{dead}: it could be seconds old");
        let second_look = own_messages(&stage).pop().unwrap().to_string();
        stage.aws.world().advance(15 * MINUTE);
        assert_eq!(failures(&function.invoke(&batch([("m2", second_look)])).await.unwrap()), DONE, "{dead}");
        assert_eq!((stage.copies().len(), stage.copy_image_calls().len()), (1, 3), "{dead}: the second look makes it");
    }
    let copy = &stage.copies()[0];
    assert_eq!(copy.tags["ami-courier:try"], "0.1", "{dead}");
    assert!(copy.snapshots.iter().all(|snapshot| snapshot.tags["ami-courier:try"] == "0.1"), "{dead}");
}

#[tokio::test]
async fn a_dead_copy_that_ec2_still_returns_is_followed_by_the_next_try() {
    next_try_after("returned", |behaviour| behaviour.deregistered_returned_for = HOUR, true).await;
}

#[tokio::test]
async fn a_dead_copy_that_ec2_does_not_return_is_followed_by_the_next_try_after_a_second_look() {
    next_try_after(
        "empty",
        |behaviour| {
            behaviour.deregistered_returned_for = Duration::ZERO;
            behaviour.deregistered_empty_for = HOUR;
        },
        false,
    )
    .await;
    for hidden_as in [HiddenAs::NotFound, HiddenAs::Empty, HiddenAs::Unavailable] {
        next_try_after(
            &format!("{hidden_as:?}"),
            |behaviour| {
                behaviour.deregistered_returned_for = Duration::ZERO;
                behaviour.deregistered_empty_for = Duration::ZERO;
                behaviour.forgotten_as = hidden_as;
            },
            false,
        )
        .await;
    }
}

#[tokio::test]
async fn a_token_that_ec2_answers_with_an_error_is_followed_by_the_next_try_after_a_second_look() {
    next_try_after("error", |behaviour| behaviour.token_of_dead_image = TokenOfDeadImage::Error, false).await;
}

/// Announces the AMI, whose copy then fails for the n-th reason and stays where it is.
async fn fail_once_more(stage: &Stage, function: &Host, n: usize) -> Value {
    stage.aws.world().fail_next_copy(AMI, CopyFailure::new("Client.InternalError", &format!("reason {n}"), "snapshot"));
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "try {n}: {answer}");
    stage.aws.world().advance(HOUR);
    answer[0].clone()
}

#[tokio::test]
async fn after_five_failed_tries_the_ami_is_rejected_with_the_last_failures_reason_until_the_next_epoch() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    for n in 1..=5 {
        fail_once_more(&stage, &function, n).await;
    }
    for _ in 0..2 {
        let message = rejection(function.invoke(&announced()).await);
        assert!(message.starts_with("TriesSpent: ") && message.contains("5 copies failed"), "{message}");
        assert!(message.contains("reason 5") && message.contains(AMI) && message.contains("golden-1"), "{message}");
    }
    assert_eq!(stage.copies().len(), 5);
    stage.aws.world().advance(19 * HOUR);
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    let tries: BTreeSet<String> =
        stage.copies().iter().map(|copy| copy.tags.get("ami-courier:try").cloned().unwrap_or_default()).collect();
    assert_eq!(tries.into_iter().collect::<Vec<_>>(), ["", "0.1", "0.2", "0.3", "0.4", "1.0"]);
}

#[tokio::test]
async fn the_dead_letter_of_spent_tries_allows_one_more_when_it_is_sent_back() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    for n in 1..=5 {
        fail_once_more(&stage, &function, n).await;
    }
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE);
    let [(body, why)] = stage.dead().try_into().unwrap();
    assert_eq!((why["Code"].as_str(), why["SourceImageId"].as_str()), ("TriesSpent", AMI));
    assert_eq!(failures(&function.invoke(&batch([("m2", body)])).await.unwrap()), DONE);
    assert_eq!(stage.copies().len(), 6);
    assert!(stage.copies().iter().any(|copy| copy.tags.get("ami-courier:try").is_some_and(|at| at == "0.5")));
}
