//! Every AMI is copied exactly once, whatever is delivered, repeated, killed or failed, on the weakest EC2.
//!
//! The rules of the protocol, one after the other: look for copies, the token, EC2's answer, the second look, the tries.

use std::collections::BTreeSet;
use std::time::Duration;

use local::aws::{Behaviour, Caller, CopyFailure, Fault, HiddenAs, Image, ImageState, Snapshot, TokenOfDeadImage};
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
async fn a_copy_that_somebody_else_made_is_the_answer_when_it_is_available_or_disabled() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({}));
    let function = stage.function().await;
    for state in [ImageState::Available, ImageState::Disabled] {
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
async fn a_request_that_asks_for_encryption_is_not_answered_by_an_available_unencrypted_copy_of_its_name() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({ "Name": "golden-1" }));
    stage.aws.world().advance(HOUR);
    let function = stage.function().await;
    let mut encrypted = request(AMI, "golden-1");
    encrypted["Encrypted"] = json!(true);
    let words = rejection(function.invoke(&encrypted).await);
    assert!(words.contains(&by_hand) && words.contains("not encrypted") && words.contains("`golden-1`"), "{words}");
    assert!(words.contains("deregister that copy, or request another name"), "{words}");
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

// 2. The token, and nothing of the message in the call.

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
    assert!(words.contains("`release-1`") && words.contains(AMI) && words.contains("without"), "{words}");
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_requests_own_token_that_stands_for_a_dead_copy_is_rejected_and_has_no_next_try() {
    for token_of_dead_image in [TokenOfDeadImage::ImageId, TokenOfDeadImage::Error] {
        let stage = Stage::new().await.source(AMI, "golden-1");
        stage.aws.world().behaviour.token_of_dead_image = token_of_dead_image;
        let function = stage.function().await;
        let mut request = request(AMI, "golden-1");
        request["ClientToken"] = json!("release-1");
        let first = function.invoke(&request).await.unwrap();
        stage.aws.world().deregister(HERE, first["ImageId"].as_str().unwrap());
        let words = rejection(function.invoke(&request).await);
        assert!(words.contains("`release-1`") && words.contains("new ClientToken"), "{words}");
        assert_eq!(stage.copies().len(), 0);
    }
}

#[tokio::test]
async fn settings_that_changed_do_not_change_the_token_of_an_announcement() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| world.behaviour = Behaviour::weakest());
    stage.function().await.invoke(&message()).await.unwrap();
    let stage = stage.set("EXTRA_TAGS", "team=platform").set("ENCRYPTED", "true").set("COPY_NAME", "{name}-{region}");
    let answer = stage.function().await.invoke(&message()).await.unwrap();
    assert_eq!(failures(&answer), DONE);
    let tokens = tokens(&stage);
    assert_eq!((tokens.len(), &tokens[0]), (2, &tokens[1]));
    assert_eq!(stage.copies().len(), 1, "EC2 refuses the second call: the token stands for other parameters");
    assert_eq!(own_messages(&stage).len(), 2, "each looks again once the copy is certainly visible");
}

#[tokio::test]
async fn a_dry_run_carries_no_token_of_the_couriers_and_changes_nothing() {
    let stage = Stage::new().await.source(AMI, "golden-1").set("DRY_RUN", "true");
    let function = stage.function().await;
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ClientToken"]), (&json!("DryRun"), &Value::Null), "{answer}");
    let stage = stage.set("DRY_RUN", "");
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    let tokens = tokens(&stage);
    assert_ne!(tokens[0], tokens[1]);
}

// 3. Only an AMI that is seen dead is dead.

/// The courier's messages to itself that are in its queue.
fn own_messages(stage: &Stage) -> Vec<Value> {
    let messages = stage.aws.world().messages(&stage.queue);
    messages.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
}

#[tokio::test]
async fn a_copy_that_ec2_does_not_show_is_started_once_and_looked_at_again_after_fifteen_minutes() {
    for invisible_as in [HiddenAs::NotFound, HiddenAs::Empty, HiddenAs::Unavailable] {
        let stage = Stage::new().await.source(AMI, "golden-1");
        stage.aws.world().behaviour.hide_new_images_for(15 * MINUTE);
        stage.aws.world().behaviour.invisible_as = invisible_as;
        let function = stage.function().await;
        for _ in 0..3 {
            assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE, "{invisible_as:?}");
        }
        let copies = stage.copies();
        assert_eq!(copies.len(), 1, "{invisible_as:?}");
        let expected = json!({ "AmiCourier": { "SecondLook": {
            "SourceImageId": AMI, "SourceRegion": THERE, "Epoch": 0, "Try": 1, "AcceptedImageId": copies[0].id,
            "AnnouncedBy": "Ec2",
        } } });
        assert_eq!(own_messages(&stage), vec![expected.clone(); 3]);
        let sends = stage.aws.world().calls().into_iter().filter(|call| call.action == "SendMessageBatch");
        let delays: Vec<Value> = sends.map(|call| call.parameters["Entries"][0]["DelaySeconds"].clone()).collect();
        assert_eq!(delays, [900, 900, 900]);
        stage.aws.world().advance(15 * MINUTE);
        let second_look = batch([("m2", expected.to_string())]);
        assert_eq!(failures(&function.invoke(&second_look).await.unwrap()), DONE);
        assert_eq!((stage.copies().len(), stage.copy_image_calls().len()), (1, 3), "the second look sees the copy");
    }
}

#[tokio::test]
async fn a_direct_request_on_an_ec2_that_shows_nothing_makes_one_copy_too() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| world.behaviour = Behaviour::weakest());
    let function = stage.function().await;
    for _ in 0..5 {
        let answer = function.invoke(&request(AMI, "golden-1")).await.unwrap();
        assert_eq!((&answer["Outcome"], &answer["ImageId"]), (&json!("Started"), &json!(stage.copies()[0].id)));
    }
    assert_eq!(stage.copies().len(), 1);
    let message = &own_messages(&stage)[0]["AmiCourier"]["SecondLook"];
    assert_eq!(message["Request"], request(AMI, "golden-1"), "the second look knows the request");
}

#[tokio::test]
async fn a_second_look_that_could_not_be_sent_brings_the_message_back() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.behaviour = Behaviour::weakest();
        world.fault(Fault::on("SendMessageBatch").first(3).error(
            500,
            "InternalError",
            "An internal error has occurred",
        ));
    });
    let function = stage.function().await;
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), ["m1"]);
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE);
    assert_eq!((stage.copies().len(), own_messages(&stage).len()), (1, 1));
}

#[tokio::test]
async fn without_a_queue_of_its_own_a_copy_that_is_not_visible_is_retried_and_never_made_twice() {
    let stage = Stage::new().await.source(AMI, "golden-1").set("QUEUE_URL", "");
    stage.aws.world().behaviour.hide_new_images_for(10 * MINUTE);
    let function = stage.function().await;
    for _ in 0..2 {
        assert_eq!(failures(&function.invoke(&message()).await.unwrap()), ["m1"]);
        assert_eq!(stage.copies().len(), 1);
    }
    stage.aws.world().advance(11 * MINUTE);
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE);
    assert_eq!((stage.copies().len(), stage.dead().len()), (1, 0));
}

#[tokio::test]
async fn a_pending_copy_of_somebody_else_is_looked_at_again_since_it_may_fail() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({}));
    let function = stage.function().await;
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &json!(by_hand)));
    let second_look = own_messages(&stage)[0].to_string();
    stage.aws.world().image_mut(HERE, &by_hand).unwrap().state = ImageState::Failed;
    function.invoke(&batch([("m2", second_look)])).await.unwrap();
    let copies = stage.copies();
    assert_eq!(copies.iter().filter(|copy| copy.state == ImageState::Pending).count(), 1, "now it is copied");
    assert!(!copies.iter().any(|copy| copy.tags.contains_key("ami-courier:try")), "by the very first try");
}

// 4. Dead copies, and the tries that follow.

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
async fn fail_once_more(stage: &Stage, function: &local::host::Host, n: usize) -> Value {
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
        let words = rejection(function.invoke(&announced()).await);
        assert!(words.starts_with("TriesSpent: ") && words.contains("5 copies failed"), "{words}");
        assert!(words.contains("reason 5") && words.contains(AMI) && words.contains("golden-1"), "{words}");
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

// The quiet time.

#[tokio::test]
async fn in_the_first_half_hour_of_every_epoch_but_the_first_no_copy_is_started() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    stage.aws.world().advance(23 * HOUR);
    for wait in [Duration::ZERO, 29 * MINUTE] {
        stage.aws.world().advance(wait);
        let ((), kind, words) = error(function.invoke(&announced()).await);
        assert_eq!(kind, "Retry", "{words}");
        assert!(words.starts_with("QuietTime: ") && words.contains("2026-01-01 23:30 UTC"), "{words}");
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
    stage.aws.world().advance(23 * HOUR - MINUTE);
    function.invoke(&message()).await.unwrap();
    for _ in 0..4 {
        stage.aws.world().advance(6 * HOUR);
        function.invoke(&message()).await.unwrap();
    }
    assert_eq!(stage.copies().len(), 1);
}

// Names. EC2 does not document that CopyImage refuses one that is taken; should it do so, nothing is lost.

fn error(answer: Result<Value, InvokeError>) -> ((), String, String) {
    match answer {
        Err(InvokeError::Function { error_type, message }) => ((), error_type, message),
        other => panic!("no error of the function's: {other:?}"),
    }
}

async fn where_names_are_unique() -> Stage {
    let stage = Stage::new().await.source(AMI, "golden-1");
    stage.aws.world().behaviour.copy_image_refuses_taken_names = true;
    stage
}

#[tokio::test]
async fn where_names_are_not_unique_an_ami_of_the_same_name_is_no_obstacle() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.add_image(HERE, Image::new(ami(1), "golden-1"));
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn a_live_copy_with_only_the_couriers_tags_is_found_through_its_name() {
    let stage = where_names_are_unique().await.with(|world| {
        // Made before EC2 recorded the source of a copy.
        let copy = Image::new(ami(1), "golden-1").tag("ami-courier:source-image", AMI);
        world.add_image(HERE, copy.tag("ami-courier:source-region", THERE));
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &json!(ami(1))));
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_name_taken_by_an_ami_that_is_no_live_copy_of_the_source_is_rejected_with_its_id() {
    for holder in [
        Image::new(ami(1), "golden-1"),
        Image::new(ami(1), "golden-1").copy_of(&ami(2), THERE),
        Image::new(ami(1), "golden-1").copy_of(AMI, THERE).state(ImageState::Failed),
    ] {
        let stage = where_names_are_unique().await.with(|world| {
            world.add_image(HERE, holder);
        });
        let function = stage.function().await;
        for message in [announced(), request(AMI, "golden-1")] {
            let words = rejection(function.invoke(&message).await);
            assert!(words.starts_with("InvalidAMIName.Duplicate: "), "{words}");
            assert!(words.contains(&ami(1)) && words.contains("COPY_NAME"), "{words}");
        }
        assert_eq!(stage.copies().len(), 1);
    }
}

#[tokio::test]
async fn a_name_taken_by_an_ami_that_is_not_visible_is_retried() {
    let stage = where_names_are_unique().await.with(|world| {
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
async fn a_name_taken_by_a_failed_copy_of_the_couriers_is_explained_and_freed_for_the_next_delivery() {
    let stage = where_names_are_unique().await;
    stage.aws.world().fail_next_copy(AMI, CopyFailure::key_not_accessible());
    let function = stage.function().await;
    function.invoke(&message()).await.unwrap();
    stage.aws.world().advance(HOUR);
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), ["m1"]);
    assert_eq!((stage.copies().len(), stage.dead().len()), (0, 1));
    let mut deliveries = 0;
    while stage.copies().is_empty() {
        stage.aws.world().advance(15 * MINUTE);
        let next = own_messages(&stage).pop().map_or_else(message, |own| batch([("m2", own.to_string())]));
        function.invoke(&next).await.unwrap();
        deliveries += 1;
        assert!(deliveries < 3);
    }
    assert_eq!(stage.copies()[0].tags["ami-courier:try"], "0.1");
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
