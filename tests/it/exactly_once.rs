//! Every AMI is copied exactly once, whatever is delivered, repeated, killed or failed.
//!
//! The five points of the design, one after the other: look for copies, a token of the call itself, nothing of the
//! message in the call, dead answers, names that are taken.

use std::collections::BTreeSet;
use std::time::Duration;

use ami_courier::plan::next_token;
use local::aws::{Caller, CopyFailure, Fault, HiddenAs, Image, ImageState, Snapshot};
use local::host::InvokeError;
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, ami, batch, failures, request, state_change};

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

/// The token that EC2 has answered with this AMI.
fn token_after(token: &str, dead: &str) -> String {
    next_token(&token.parse().unwrap(), &dead.parse().unwrap()).to_string()
}

#[tokio::test]
async fn an_announced_ami_is_copied_with_its_tags_on_ami_and_snapshots_in_four_calls() {
    let stage = Stage::new().await.set("EVENT_BUS_NAME", "").with(|world| {
        world.add_image(THERE, Image::new(AMI, "golden-1").tag("team", "platform"));
    });
    let function = stage.function().await;
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    let copies = stage.copies();
    assert_eq!(copies.len(), 1);
    assert_eq!(answer[0]["ImageId"], copies[0].id.as_str());
    assert_eq!(stage.actions().len(), 4, "{:?}", stage.actions());
    for tags in std::iter::once(&copies[0].tags).chain(copies[0].snapshots.iter().map(|snapshot| &snapshot.tags)) {
        assert_eq!(tags["ami-courier:source-image"], AMI);
        assert_eq!(tags["ami-courier:source-region"], THERE);
        assert_eq!(tags["team"], "platform");
    }
}

// Delivered again.

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

// 1. Copies that are there.

/// A copy that a person made by hand: another name, none of the courier's tags.
fn copy_by_hand(stage: &Stage, more: Value) -> String {
    let mut parameters = json!({ "SourceImageId": AMI, "SourceRegion": THERE, "Name": "made-by-hand" });
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = stage.aws.world().call(&Caller::in_region(HERE), "ec2", "CopyImage", &parameters);
    answer.unwrap()["imageId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_copy_that_somebody_else_made_is_adopted_be_it_pending_available_or_disabled() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({}));
    let function = stage.function().await;
    let states = [ImageState::Pending, ImageState::Available, ImageState::Disabled];
    for state in states {
        stage.aws.world().image_mut(HERE, &by_hand).unwrap().state = state;
        let answer = function.invoke(&announced()).await.unwrap();
        let expected = json!([{
            "Outcome": "AlreadyCopied", "ImageId": by_hand, "Name": "made-by-hand", "SourceImageId": AMI,
            "SourceRegion": THERE, "Region": HERE,
        }]);
        assert_eq!(answer, expected, "{state}");
    }
    assert_eq!(stage.changes(), DONE, "nothing was changed");
}

#[tokio::test]
async fn a_copy_of_the_same_image_id_in_another_region_is_no_copy_of_this_source() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.add_image(HERE, Image::new(ami(1), "elsewhere").copy_of(AMI, "us-west-2"));
        world.add_image(HERE, Image::new(ami(2), "not-mine").owner("111122223333").copy_of(AMI, THERE).public());
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn a_failed_copy_that_somebody_else_made_does_not_count() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({}));
    stage.aws.world().image_mut(HERE, &by_hand).unwrap().state = ImageState::Failed;
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    assert!(stage.aws.world().image(HERE, &by_hand).is_some(), "what is not ours is left alone");
}

#[tokio::test]
async fn of_several_copies_the_available_one_is_the_answer() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        for (n, state) in [ImageState::Failed, ImageState::Disabled, ImageState::Pending, ImageState::Available]
            .into_iter()
            .enumerate()
        {
            world.add_image(HERE, Image::new(ami(n), format!("copy-{n}")).copy_of(AMI, THERE).state(state));
        }
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["ImageId"], ami(3), "{answer}");
}

#[tokio::test]
async fn a_request_is_answered_only_by_a_copy_of_its_own_name() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({}));
    let function = stage.function().await;
    let same = function.invoke(&request(AMI, "made-by-hand")).await.unwrap();
    assert_eq!((&same["Outcome"], &same["ImageId"]), (&json!("AlreadyCopied"), &json!(by_hand)));
    let other = function.invoke(&request(AMI, "golden-1")).await.unwrap();
    assert_eq!(other["Outcome"], "Started");
    let again = function.invoke(&request(AMI, "golden-1")).await.unwrap();
    assert_eq!((&again["Outcome"], &again["ImageId"]), (&json!("AlreadyCopied"), &other["ImageId"]));
    assert_eq!(stage.copies().len(), 2);
}

#[tokio::test]
async fn a_request_that_asks_for_encryption_is_not_answered_by_an_unencrypted_copy_of_its_name() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({ "Name": "golden-1" }));
    let function = stage.function().await;
    let mut encrypted = request(AMI, "golden-1");
    encrypted["Encrypted"] = json!(true);
    let words = rejection(function.invoke(&encrypted).await);
    assert!(words.contains(&by_hand) && words.contains("not encrypted") && words.contains("`golden-1`"), "{words}");
    assert!(words.contains("deregister that copy, or ask for another name"), "{words}");
    for encryption in [Value::Null, json!(false)] {
        let mut request = request(AMI, "golden-1");
        request["Encrypted"] = encryption;
        assert_eq!(function.invoke(&request).await.unwrap()["Outcome"], "AlreadyCopied");
    }
    assert_eq!(stage.changes().iter().filter(|action| *action == "CopyImage").count(), 0);
    stage.aws.world().forget_image(HERE, &by_hand);
    let by_hand = copy_by_hand(&stage, json!({ "Name": "golden-1", "Encrypted": "true" }));
    let answer = function.invoke(&encrypted).await.unwrap();
    assert_eq!((&answer["Outcome"], &answer["ImageId"]), (&json!("AlreadyCopied"), &json!(by_hand)));
}

// 2 and 3. The token is of the call, and nothing of the message is in the call.

#[tokio::test]
async fn whoever_announces_an_ami_however_wrapped_and_whenever_makes_the_same_call() {
    let arn = format!("arn:aws:ec2:{THERE}::image/{AMI}");
    let mut later = announced();
    later["id"] = json!("another");
    later["time"] = json!("2031-12-31T23:59:59Z");
    later["detail"]["RequestId"] = json!("another");
    let announcements = [
        announced(),
        later,
        batch([("m9", announced().to_string())]),
        json!({ "source": "aws.tag", "detail-type": "Tag Change on Resource", "region": THERE, "resources": [arn],
                "detail": { "changed-tag-keys": ["a"], "service": "ec2", "resource-type": "image", "tags": {} } }),
        json!({ "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "region": THERE, "detail": {
                "eventName": "CreateImage", "awsRegion": THERE, "responseElements": { "imageId": AMI } } }),
        json!({ "source": "my.pipeline", "detail-type": "Built", "resources": [arn], "detail": { "build": 17 } }),
    ];
    let mut calls = BTreeSet::new();
    for announcement in announcements {
        let stage = Stage::new().await.source(AMI, "golden-1");
        stage.aws.world().advance(Duration::from_secs(u64::try_from(calls.len()).unwrap() * 1000));
        stage.function().await.invoke(&announcement).await.unwrap();
        let made = stage.copy_image_calls();
        assert_eq!(made.len(), 1, "{announcement}");
        calls.insert(made[0].to_string());
    }
    assert_eq!(calls.len(), 1, "{calls:#?}");
}

#[tokio::test]
async fn the_same_ami_has_another_token_in_another_region() {
    let mut seen = BTreeSet::new();
    for here in [HERE, "ap-northeast-1"] {
        let stage = Stage::new().await.source(AMI, "golden-1");
        let function = stage.function_in(here).start().await.unwrap();
        let answer = function.invoke(&announced()).await.unwrap();
        seen.insert(answer[0]["ClientToken"].to_string());
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_requests_own_token_wins_and_one_that_stands_for_another_call_is_rejected() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let mut first = request(AMI, "golden-1");
    first["ClientToken"] = json!("release-1");
    let started = function.invoke(&first).await.unwrap();
    assert_eq!((&started["Outcome"], &started["ClientToken"]), (&json!("Started"), &json!("release-1")));
    let mut second = request(AMI, "golden-2");
    second["ClientToken"] = json!("release-1");
    let words = rejection(function.invoke(&second).await);
    assert!(words.starts_with("IdempotentParameterMismatch: "), "{words}");
    assert!(words.contains("token `release-1`") && words.contains(AMI) && words.contains("without"), "{words}");
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_requests_own_token_that_leads_to_a_dead_copy_is_followed_like_any_other() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let mut request = request(AMI, "golden-1");
    request["ClientToken"] = json!("release-1");
    let first = function.invoke(&request).await.unwrap();
    let dead = first["ImageId"].as_str().unwrap();
    stage.aws.world().deregister(HERE, dead);
    let second = function.invoke(&request).await.unwrap();
    assert_eq!(second["Outcome"], "Started", "{second}");
    assert_eq!(second["ClientToken"], token_after("release-1", dead));
    assert_eq!(stage.copies().len(), 1);
}

// 4. What EC2 answers is looked at.

#[tokio::test]
async fn a_failed_copy_is_cleared_away_and_tried_again_with_the_next_token() {
    let stage = Stage::new()
        .await
        .source(AMI, "golden-1")
        .with(|world| world.fail_next_copy(AMI, CopyFailure::key_not_accessible()));
    let function = stage.function().await;
    let first = function.invoke(&announced()).await.unwrap();
    stage.aws.world().advance(HOUR);
    let failed = stage.copies()[0].clone();
    assert_eq!(failed.state, ImageState::Failed);
    let second = function.invoke(&announced()).await.unwrap();
    assert_eq!(second[0]["Outcome"], "Started", "{second}");
    assert_ne!(second[0]["ImageId"], first[0]["ImageId"]);
    assert_eq!(second[0]["ClientToken"], token_after(first[0]["ClientToken"].as_str().unwrap(), &failed.id));
    assert!(stage.aws.world().image(HERE, &failed.id).is_none(), "the failed copy held the name");
    assert_eq!(stage.aws.world().snapshots(HERE).len(), 1, "its snapshots went with it");
}

/// How a deregistered AMI looks when EC2 is asked for it by id.
#[derive(Clone, Copy, Debug)]
enum Deregistered {
    StillReturned,
    EmptyAnswer,
    NotFound,
    Unavailable,
}

/// One copy that failed and was then deregistered, and what a second announcement leads to.
async fn tried_again_after(look: Deregistered) {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.fail_next_copy(AMI, CopyFailure::key_not_accessible());
        if let Deregistered::Unavailable = look {
            world.behaviour.forgotten_as = HiddenAs::Unavailable;
        }
    });
    let function = stage.function().await;
    let first = function.invoke(&announced()).await.unwrap();
    let dead = first[0]["ImageId"].as_str().unwrap();
    {
        let mut world = stage.aws.world();
        world.advance(HOUR);
        assert!(world.deregister(HERE, dead));
        world.advance(match look {
            Deregistered::StillReturned => Duration::ZERO,
            Deregistered::EmptyAnswer => 2 * MINUTE,
            Deregistered::NotFound | Deregistered::Unavailable => 2 * HOUR,
        });
        world.forget_calls();
    }
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE, "{look:?}");
    let first_token = first[0]["ClientToken"].as_str().unwrap().to_owned();
    let next = token_after(&first_token, dead);
    assert_eq!(tokens(&stage), [first_token, next], "{look:?}: EC2 still knows the first token");
    let copies = stage.copies();
    assert_eq!((copies.len(), copies[0].state), (1, ImageState::Pending), "{look:?}");
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE);
    assert_eq!(stage.copies().len(), 1, "{look:?}");
}

#[tokio::test]
async fn a_dead_copy_that_ec2_still_returns_is_followed_by_the_next_try() {
    tried_again_after(Deregistered::StillReturned).await;
}

#[tokio::test]
async fn a_dead_copy_of_which_ec2_answers_nothing_is_followed_by_the_next_try() {
    tried_again_after(Deregistered::EmptyAnswer).await;
}

#[tokio::test]
async fn a_dead_copy_that_ec2_does_not_find_for_some_seconds_is_followed_by_the_next_try() {
    tried_again_after(Deregistered::NotFound).await;
}

#[tokio::test]
async fn a_dead_copy_that_ec2_calls_unavailable_is_followed_by_the_next_try() {
    tried_again_after(Deregistered::Unavailable).await;
}

/// Announces the AMI, whose copy then fails for the n-th reason.
async fn fail_once_more(stage: &Stage, function: &local::host::Host, n: usize) -> Value {
    // To be told that it does not find an AMI, EC2 has to be asked for some seconds: that is another test's matter.
    stage.aws.world().behaviour.deregistered_empty_for = 100 * HOUR;
    stage.aws.world().fail_next_copy(AMI, CopyFailure::new("Client.InternalError", &format!("reason {n}"), "snapshot"));
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "try {n}: {answer}");
    stage.aws.world().advance(HOUR);
    answer[0].clone()
}

#[tokio::test]
async fn after_five_dead_tries_the_ami_is_rejected_with_the_last_failures_reason() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let mut chain = Vec::new();
    for n in 1..=5 {
        chain.push(fail_once_more(&stage, &function, n).await);
    }
    for pair in chain.windows(2) {
        let follows = token_after(pair[0]["ClientToken"].as_str().unwrap(), pair[0]["ImageId"].as_str().unwrap());
        assert_eq!(pair[1]["ClientToken"], follows);
    }
    stage.aws.world().forget_calls();
    for _ in 0..2 {
        let words = rejection(function.invoke(&announced()).await);
        assert!(words.starts_with("CopyFailed: ") && words.contains("5 copies failed"), "{words}");
        assert!(words.contains("reason 5") && words.contains(chain[4]["ImageId"].as_str().unwrap()), "{words}");
        assert!(words.contains(AMI) && words.contains(HERE) && words.contains("golden-1"), "{words}");
    }
    let walked: Vec<String> = chain.iter().map(|outcome| outcome["ClientToken"].as_str().unwrap().to_owned()).collect();
    assert_eq!(tokens(&stage), [walked.clone(), walked].concat(), "the chain is walked to its end, no further");
    assert_eq!(stage.copies().len(), 1);
    assert_eq!(stage.changes().iter().filter(|action| *action == "DeregisterImage").count(), 0);

    // "A new call has new tries."
    stage.aws.world().image_mut(THERE, AMI).unwrap().tags.insert("fixed".to_owned(), "yes".to_owned());
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn an_ami_rejected_for_its_dead_tries_goes_to_the_dead_letter_queue_once() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    for n in 1..=5 {
        fail_once_more(&stage, &function, n).await;
    }
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE);
    let [(body, why)] = stage.dead().try_into().unwrap();
    assert_eq!(body, announced().to_string());
    assert_eq!(why["Code"], "CopyFailed");
    assert_eq!((why["SourceImageId"].as_str(), why["SourceRegion"].as_str()), (AMI, THERE));
}

#[tokio::test]
async fn a_new_ami_that_ec2_shows_after_a_second_is_waited_for() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.behaviour.hide_new_images_for(Duration::from_secs(1));
        world.set_rate(1.0);
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    assert_eq!(stage.copy_image_calls().len(), 1);
    assert!(stage.actions().iter().filter(|action| *action == "DescribeImages").count() > 3, "{:?}", stage.actions());
}

#[tokio::test]
async fn a_new_ami_that_ec2_shows_only_after_minutes_is_retried_and_never_copied_twice() {
    let stage =
        Stage::new().await.source(AMI, "golden-1").with(|world| world.behaviour.hide_new_images_for(10 * MINUTE));
    let function = stage.function().await;
    for _ in 0..2 {
        assert_eq!(failures(&function.invoke(&message()).await.unwrap()), ["m1"]);
        assert_eq!(stage.copies().len(), 1);
    }
    stage.aws.world().advance(11 * MINUTE);
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE);
    assert_eq!((stage.copies().len(), stage.dead().len()), (1, 0));
}

// 5. Names.

#[tokio::test]
async fn settings_that_changed_while_ec2_did_not_show_the_copy_yet_make_no_second_copy() {
    let stage =
        Stage::new().await.source(AMI, "golden-1").with(|world| world.behaviour.hide_new_images_for(10 * MINUTE));
    let before = stage.function().await;
    assert_eq!(failures(&before.invoke(&message()).await.unwrap()), ["m1"]);
    let stage = stage.set("EXTRA_TAGS", "team=platform");
    let after = stage.function().await;
    let ((), kind, words) = error(after.invoke(&announced()).await);
    assert_eq!(kind, "Retry", "{words}");
    assert!(words.starts_with("InvalidAMIName.Duplicate: "), "{words}");
    stage.aws.world().advance(11 * MINUTE);
    let answer = after.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &json!(stage.copies()[0].id)));
    assert_eq!(stage.copies().len(), 1);
}

fn error(answer: Result<Value, InvokeError>) -> ((), String, String) {
    match answer {
        Err(InvokeError::Function { error_type, message }) => ((), error_type, message),
        other => panic!("no error of the function's: {other:?}"),
    }
}

#[tokio::test]
async fn settings_that_changed_after_a_failed_try_make_a_new_call_that_clears_the_name() {
    let stage = Stage::new()
        .await
        .source(AMI, "golden-1")
        .with(|world| world.fail_next_copy(AMI, CopyFailure::key_not_accessible()));
    let first = stage.function().await.invoke(&announced()).await.unwrap();
    stage.aws.world().advance(HOUR);
    let stage = stage.set("ENCRYPTED", "true");
    let second = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(second[0]["Outcome"], "Started", "{second}");
    assert_ne!(second[0]["ClientToken"], first[0]["ClientToken"]);
    let copies = stage.copies();
    assert_eq!(copies.len(), 1);
    assert!(copies[0].snapshots[0].encrypted);
}

#[tokio::test]
async fn a_live_copy_that_only_the_couriers_tags_tell_of_is_adopted_through_its_name() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        // Made before EC2 kept the source of a copy.
        let copy = Image::new(ami(1), "golden-1").tag("ami-courier:source-image", AMI);
        world.add_image(HERE, copy.tag("ami-courier:source-region", THERE));
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &json!(ami(1))));
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_name_taken_by_an_ami_that_is_no_copy_is_rejected_with_its_id() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.add_image(HERE, Image::new(ami(1), "golden-1"));
    });
    let function = stage.function().await;
    for message in [announced(), request(AMI, "golden-1")] {
        let words = rejection(function.invoke(&message).await);
        assert!(words.starts_with("InvalidAMIName.Duplicate: "), "{words}");
        assert!(words.contains(&ami(1)) && words.contains("no copy of") && words.contains("COPY_NAME"), "{words}");
    }
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_name_taken_by_a_copy_of_another_source_is_rejected_with_its_id() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.add_image(HERE, Image::new(ami(1), "golden-1").copy_of(&ami(2), THERE));
    });
    let words = rejection(stage.function().await.invoke(&announced()).await);
    assert!(words.contains(&ami(1)), "{words}");
}

#[tokio::test]
async fn a_name_taken_by_a_failed_copy_that_somebody_else_made_is_rejected_and_says_so() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        let failed = Image::new(ami(1), "golden-1").copy_of(AMI, THERE).state(ImageState::Failed);
        world.add_image(HERE, failed);
    });
    let words = rejection(stage.function().await.invoke(&announced()).await);
    assert!(words.contains(&ami(1)) && words.contains("failed") && !words.contains("no copy of"), "{words}");
    assert!(stage.aws.world().image(HERE, &ami(1)).is_some());
}

#[tokio::test]
async fn a_name_that_nobody_is_seen_to_have_is_retried() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.behaviour.name_lingers_for = HOUR;
        world.add_image(HERE, Image::new(ami(1), "golden-1"));
        world.deregister(HERE, &ami(1));
    });
    let function = stage.function().await;
    for wait in [Duration::ZERO, 30 * MINUTE] {
        stage.aws.world().advance(wait);
        let ((), kind, words) = error(function.invoke(&announced()).await);
        assert_eq!(kind, "Retry", "{words}");
        assert!(words.starts_with("InvalidAMIName.Duplicate: ") && words.contains("in seconds"), "{words}");
    }
    stage.aws.world().advance(HOUR);
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn a_failed_copy_that_another_instance_clears_away_at_the_same_moment_is_cleared_all_the_same() {
    let stage = Stage::new()
        .await
        .source(AMI, "golden-1")
        .with(|world| world.fail_next_copy(AMI, CopyFailure::key_not_accessible()));
    let function = stage.function().await;
    function.invoke(&announced()).await.unwrap();
    stage.aws.world().advance(HOUR);
    // Ours comes second: the AMI is gone, and EC2 says so.
    for (code, words) in [("InvalidAMIID.NotFound", "does not exist"), ("InvalidAMIID.Unavailable", "not available")] {
        stage.aws.world().clear_faults();
        stage.aws.world().fault(Fault::on("DeregisterImage").error_after_effect(400, code, words));
        let answer = function.invoke(&announced()).await.unwrap();
        assert_eq!(answer[0]["Outcome"], "Started", "{code}: {answer}");
        let mut world = stage.aws.world();
        let copy = answer[0]["ImageId"].as_str().unwrap();
        world.image_mut(HERE, copy).unwrap().state = ImageState::Failed;
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
    for _ in 0..3 {
        let (one, other) = tokio::join!(one.invoke(&message), other.invoke(&message));
        if [one, other].into_iter().all(|answer| failures(&answer.unwrap()).is_empty()) {
            break;
        }
    }
    let copies = stage.copies();
    assert_eq!((copies.len(), copies[0].state), (1, ImageState::Pending));
    assert_eq!(stage.dead(), Vec::new());
}

#[tokio::test]
async fn a_dry_run_changes_nothing_not_even_a_failed_copy_that_holds_the_name() {
    let stage = Stage::new()
        .await
        .source(AMI, "golden-1")
        .with(|world| world.fail_next_copy(AMI, CopyFailure::key_not_accessible()));
    stage.function().await.invoke(&announced()).await.unwrap();
    stage.aws.world().advance(HOUR);
    let failed = stage.copies()[0].id.clone();
    stage.aws.world().forget_calls();
    let stage = stage.set("DRY_RUN", "true").set("ENCRYPTED", "true");
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "DryRun", "{answer}");
    assert!(stage.aws.world().image(HERE, &failed).is_some());
    assert_eq!(stage.changes(), ["CopyImage"]);
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
