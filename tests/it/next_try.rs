//! The try after a failed copy: its dead letter names it, and sent back it makes it; five tries an epoch, then an operator
//! looks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use local::aws::{Behaviour, Image, ImageState};
use serde_json::{Value, json};

use crate::life::{announced, done, on_bus, take_dead, told};
use crate::poller::Poller;
use crate::post_mortem::doomed;
use crate::stage::{HERE, Stage, THERE, batch, failures, request, state_change, words};

const AMI: &str = "ami-0abcdef1234567890";
const HOUR: Duration = Duration::from_secs(3600);

fn next_try(epoch: u32, number: u32) -> Value {
    let next = json!({ "SourceImageId": AMI, "SourceRegion": THERE, "Epoch": epoch, "Try": number });
    json!({ "AmiCourier": { "NextTry": next } })
}

/// The tag of each copy that names its try; empty for the very first one.
fn tries(stage: &Stage) -> Vec<String> {
    let mark = |copy: &Image| copy.tags.get("ami-courier:try").cloned().unwrap_or_default();
    stage.copies().iter().map(mark).collect()
}

/// The bodies of the dead letters, which are taken out of their queue.
fn take_letters(stage: &Stage) -> Vec<Value> {
    take_dead(stage).iter().map(|(body, _)| serde_json::from_str(body).expect("a letter is JSON")).collect()
}

/// Lets the copy fail and reports it; its dead letter.
async fn letter_of(stage: &Stage, function: &local::host::Host, copy: &str) -> Value {
    stage.aws.world().advance(Duration::from_secs(20 * 60));
    assert!(done(function, &told(copy, "failed", 1)).await);
    let [letter] = take_letters(stage).try_into().expect("one dead letter");
    letter
}

#[tokio::test]
async fn the_dead_letter_of_a_failed_copy_names_epoch_and_try_and_sent_back_makes_that_try_at_once() {
    for behaviour in [Behaviour::default(), Behaviour::weakest()] {
        let (stage, function) = doomed(2).await;
        stage.aws.world().behaviour = behaviour;
        let mut failed = announced(&function, AMI).await;
        for number in 1..=2 {
            let letter = letter_of(&stage, &function, &failed).await;
            assert_eq!(letter, next_try(0, number));
            stage.aws.world().forget_calls();
            assert!(done(&function, &batch([("m2", letter.to_string())])).await);
            assert_eq!((tries(&stage), stage.copy_image_calls().len()), (vec![format!("0.{number}")], 1));
            failed = stage.copies().remove(0).id;
        }
        assert_eq!(stage.copies()[0].name, "golden-1");
    }
}

#[tokio::test]
async fn a_dead_letter_counts_within_its_epoch_only() {
    let (stage, function) = doomed(1).await;
    // The AMI is an hour and a half old at first; an epoch has 23 hours.
    stage.aws.world().advance(24 * HOUR);
    let failed = announced(&function, AMI).await;
    let letter = letter_of(&stage, &function, &failed).await;
    assert_eq!(letter, next_try(1, 1));
    stage.aws.world().advance(22 * HOUR);
    assert!(done(&function, &batch([("m2", letter.to_string())])).await);
    assert_eq!(tries(&stage), ["2.0"]);
}

#[tokio::test]
async fn the_dead_letter_of_a_requests_copy_announces_the_source_and_sent_back_makes_a_copy_at_once() {
    let mut with_token = request(AMI, "of-a-request");
    with_token["ClientToken"] = json!("release-1");
    for request in [request(AMI, "of-a-request"), with_token] {
        let (stage, function) = doomed(1).await;
        let answer = function.invoke(&request).await.expect("the copy starts");
        let letter = letter_of(&stage, &function, answer["ImageId"].as_str().expect("an id")).await;
        let expected = json!({
            "detail-type": "AMI Copy Request", "source": "ami-courier.dead-letter", "region": THERE,
            "resources": [format!("arn:aws:ec2:{THERE}::image/{AMI}")], "detail": {},
        });
        assert_eq!(letter, expected);
        stage.aws.world().forget_calls();
        assert!(done(&function, &batch([("m2", letter.to_string())])).await);
        assert_eq!((tries(&stage), stage.copy_image_calls().len()), (vec![String::new()], 1));
        assert_eq!(stage.copies()[0].name, "golden-1", "by the settings, as the request is not known any more");
    }
}

#[tokio::test]
async fn the_dead_letter_of_a_request_whose_tries_are_spent_makes_one_more_try_of_that_request() {
    let (stage, function) = doomed(5).await;
    let request = request(AMI, "of-a-request");
    for number in 0..5 {
        let answer = function.invoke(&request).await.expect("the copy starts");
        assert_eq!(answer["Outcome"], "Started", "{answer}");
        assert!(tries(&stage).contains(&format!("request 0.{number}")), "{:?}", tries(&stage));
        stage.aws.world().advance(HOUR);
    }
    assert_eq!(failures(&function.invoke(&batch([("m1", request.to_string())])).await.unwrap()), Vec::<String>::new());
    assert_eq!(stage.dead()[0].1["Code"], "TriesSpent");
    let [letter] = take_letters(&stage).try_into().expect("one dead letter");
    let next = &letter["AmiCourier"]["NextTry"];
    assert_eq!((&next["Try"], &next["Request"]), (&json!(5), &request));
    assert!(done(&function, &batch([("m2", letter.to_string())])).await);
    assert!(tries(&stage).contains(&"request 0.5".to_owned()), "{:?}", tries(&stage));
}

#[tokio::test]
async fn the_dead_letter_of_an_ami_of_image_builder_sent_back_needs_no_other_test() {
    let (stage, function) = doomed(1).await;
    let arn = "arn:aws:imagebuilder:us-east-1:123456789012:image/golden/1.0.0/1";
    stage.aws.world().image_mut(THERE, AMI).unwrap().tags.insert("Ec2ImageBuilderArn".to_owned(), arn.to_owned());
    let tested = json!({
        "source": "com.example.pipeline", "detail-type": "AMI Copy Request", "region": THERE,
        "resources": [format!("arn:aws:ec2:{THERE}::image/{AMI}")], "detail": {},
    });
    let answer = function.invoke(&tested).await.unwrap();
    let letter = letter_of(&stage, &function, answer[0]["ImageId"].as_str().unwrap()).await;
    assert_eq!(stage.copies().len(), 0);
    assert!(done(&function, &batch([("m2", letter.to_string())])).await);
    assert_eq!(stage.copies().len(), 1);
}

/// A queue with the courier behind it, and a source AMI whose next five copies fail.
async fn spent() -> (Stage, Poller) {
    let (stage, function) = doomed(5).await;
    let poller = Poller::new(&stage.aws, &stage.queue, vec![Arc::new(function)], 1);
    (stage, poller)
}

/// Sends a message, and runs until the queue is empty and no copy is in progress.
async fn send(poller: &mut Poller, message: &Value) {
    poller.send(&message.to_string());
    poller.run_to_rest(12 * HOUR).await.unwrap();
}

/// Announces the AMI five times; each time, its copy fails. The dead letters.
async fn fail_five_times(stage: &Stage, poller: &mut Poller) -> Vec<Value> {
    for number in 1..=5 {
        send(poller, &state_change(THERE, AMI, "available")).await;
        assert_eq!((stage.copies().len(), stage.dead().len()), (0, number));
    }
    take_letters(stage)
}

fn assert_one_finished_copy(stage: &Stage) {
    let [copy] = stage.copies().try_into().expect("exactly one copy");
    assert_eq!(copy.state, ImageState::Available);
    assert!(copy.tags.contains_key("ami-courier:finished"), "{:?}", copy.tags);
    assert_eq!(copy.tags["ami-courier:try"], "0.5");
}

#[tokio::test]
async fn five_tries_fail_the_next_announcement_is_rejected_and_its_dead_letter_allows_one_more_try() {
    let (stage, mut poller) = spent().await;
    let letters = fail_five_times(&stage, &mut poller).await;
    assert_eq!(letters, [1, 2, 3, 4, 5].map(|number| next_try(0, number)));
    let tokens = || stage.copy_image_calls().iter().map(|call| call["ClientToken"].to_string()).collect::<Vec<_>>();
    // The n-th announcement goes through the tries before it: their AMIs are dead, which only a second look shows.
    assert_eq!(tokens().len(), 1 + 2 + 3 + 4 + 5);
    send(&mut poller, &state_change(THERE, AMI, "available")).await;
    assert_eq!(tokens().len(), 1 + 2 + 3 + 4 + 5 + 5);
    assert_eq!(tokens().into_iter().collect::<BTreeSet<_>>().len(), 5);
    let [(letter, why)] = take_dead(&stage).try_into().unwrap();
    assert_eq!(why["Code"], "TriesSpent");
    for part in ["5 copies failed", "dead-letter queue", "send the dead letter back for one more try", AMI, HERE] {
        assert!(words(&why).contains(part), "`{part}` is not in: {why:?}");
    }
    let letter: Value = serde_json::from_str(&letter).unwrap();
    assert_eq!(letter, next_try(0, 5));
    assert!(on_bus(&stage, "Rejected").iter().any(|event| event.detail["Code"] == "TriesSpent"));
    send(&mut poller, &letter).await;
    assert_one_finished_copy(&stage);
    assert_eq!(stage.dead(), []);
}

#[tokio::test]
async fn after_five_failures_and_a_removed_cause_each_of_the_dead_letters_leads_to_the_copy() {
    for number in 0..5 {
        let (stage, mut poller) = spent().await;
        let letter = fail_five_times(&stage, &mut poller).await.remove(number);
        send(&mut poller, &letter).await;
        // An old letter repeats tries that failed, and ends with a letter that names the next one.
        for letter in take_letters(&stage) {
            assert_eq!((letter.clone(), number < 4), (next_try(0, 5), true));
            send(&mut poller, &letter).await;
        }
        assert_one_finished_copy(&stage);
        assert_eq!(stage.dead(), []);
    }
}

#[tokio::test]
async fn all_dead_letters_sent_back_together_make_one_copy() {
    let (stage, mut poller) = spent().await;
    for letter in fail_five_times(&stage, &mut poller).await {
        poller.send(&letter.to_string());
    }
    poller.run_to_rest(12 * HOUR).await.unwrap();
    assert_one_finished_copy(&stage);
    // One that came before the last letter, and saw that its try was dead, is a letter for the same try.
    for letter in take_letters(&stage) {
        assert_eq!(letter, next_try(0, 5));
        send(&mut poller, &letter).await;
    }
    assert_one_finished_copy(&stage);
    assert_eq!(stage.dead(), []);
}
