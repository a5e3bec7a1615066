//! Each file in `events/` is a sample for people and a case for this test: the real function gets it in a world that has
//! the AMIs that the file names, as it is and in every envelope. `tests/events.json` says what it must answer: a file without an
//! entry fails, and so does an entry without a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use local::aws::ACCOUNT;
use local::cli::plant_for;
use local::host::Host;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, batch};

/// The table of all files: the tests of `courier-core` read the rest of it.
const TABLE: &str = include_str!("../events.json");

/// What a file leads to.
#[derive(Deserialize)]
struct Expected {
    ends: Ends,
}

/// How a message ends.
#[derive(Deserialize)]
enum Ends {
    /// The outcomes of a list, each with a part of its reason where it has one.
    List(Vec<String>),
    /// The one outcome of a direct request.
    Outcome(String),
    /// An error whose message has this part.
    Rejected(String),
    /// The copies that a batch made, and the codes of what went to the dead-letter queue. Nothing failed.
    Batch { copies: usize, dead: Vec<String> },
    /// A batch whose one record went to the dead-letter queue, with this part in its reason.
    DeadLetter(String),
    /// A question of a direct caller: the answer, as text or JSON, has this part.
    Answer(String),
    /// A question that is rejected, with this part in the message.
    AnswerRejected(String),
}

use Ends::{Answer, AnswerRejected, Batch, DeadLetter, List, Outcome, Rejected};

/// Why a question that came as a message is rejected.
const NOBODY_WAITS: &str = "nobody would read the answer";

fn expected() -> BTreeMap<String, Ends> {
    let table: BTreeMap<String, Expected> = serde_json::from_str(TABLE).expect("tests/events.json");
    table.into_iter().map(|(name, Expected { ends })| (name, ends)).collect()
}

#[test]
fn every_event_has_an_expected_outcome_and_every_expectation_an_event() {
    let (files, expected) = (events(), expected());
    assert!(files.keys().eq(expected.keys()), "{:?} and {:?} differ", files.keys(), expected.keys());
}

/// Hands each of these messages over to one function, in this envelope, in a world that has what the message names.
async fn all_end_as_expected(messages: impl IntoIterator<Item = (String, Value, Ends)>, envelope: fn(&Value) -> Value) {
    let stage = Stage::new().await;
    let function = stage.function().await;
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (name, message, ends) in messages {
        stage.start_afresh();
        plant_for(&message, HERE, &mut stage.aws.world());
        tried += 1;
        wrong.extend(outcome_is_wrong(&stage, &function, &name, &envelope(&message), &ends).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 60, "only {tried} cases");
}

/// How the result of an event differs from the expected one.
async fn outcome_is_wrong(stage: &Stage, function: &Host, name: &str, event: &Value, ends: &Ends) -> Option<String> {
    let ids = || -> BTreeSet<String> { stage.copies().into_iter().map(|image| image.id).collect() };
    let before = ids();
    let answer = function.invoke(event).await.map_err(|error| error.to_string());
    let made = ids().difference(&before).count();
    let mut dead: Vec<String> =
        stage.dead().into_iter().map(|(_, why)| format!("{}: {}", why["Code"], why["Explanation"])).collect();
    dead.sort();
    let nothing_failed = |answer: &Value| answer["batchItemFailures"] == json!([]);
    let right = match (ends, &answer) {
        (Answer(part), Ok(answer)) => {
            let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
            text.contains(part) && made == 0 && stage.changes().is_empty()
        }
        (Rejected(part) | AnswerRejected(part), Err(message)) => message.contains(part) && made == 0,
        (Outcome(outcome), Ok(answer)) => answer["Outcome"] == *outcome && made == started([outcome]),
        (List(outcomes), Ok(Value::Array(answers))) => {
            answers.len() == outcomes.len()
                && outcomes.iter().zip(answers).all(|(expected, answer)| is(answer, expected))
                && made == started(outcomes)
        }
        (Batch { copies, dead: codes }, Ok(answer)) => {
            nothing_failed(answer)
                && made == *copies
                && dead.len() == codes.len()
                && dead.iter().zip(codes).all(|(dead, code)| dead.starts_with(&format!("{code}: ")))
        }
        (DeadLetter(part), Ok(answer)) => {
            nothing_failed(answer) && made == 0 && dead.len() == 1 && dead[0].contains(part)
        }
        _ => false,
    };
    (!right).then(|| format!("{name}: {made} copies, dead letters {dead:?}, answer {answer:?}"))
}

fn started<'a>(outcomes: impl IntoIterator<Item = &'a String>) -> usize {
    outcomes.into_iter().filter(|outcome| *outcome == "Started").count()
}

/// `Ignored: PART`: the outcome, and a part of its reason.
fn is(answer: &Value, expected: &str) -> bool {
    let (outcome, part) = expected.split_once(": ").unwrap_or((expected, ""));
    answer["Outcome"] == outcome && answer["Reason"].as_str().unwrap_or_default().contains(part)
}

#[tokio::test]
async fn every_event_has_its_expected_outcome_on_the_real_function() {
    all_end_as_expected(messages(), Value::clone).await;
}

/// Each file, by name, and what it leads to.
fn messages() -> impl Iterator<Item = (String, Value, Ends)> {
    let mut events = events();
    expected().into_iter().map(move |(name, ends)| {
        let message = events.remove(&name).unwrap_or_else(|| panic!("no file {name}"));
        (name, message, ends)
    })
}

/// Each message of the corpus, in an envelope. SQS batches are in theirs already.
async fn each_message_says_the_same(envelope: fn(&Value) -> Value, enveloped: fn(Ends) -> Ends) {
    let messages = messages().filter(|(_, _, ends)| !matches!(ends, Batch { .. }));
    all_end_as_expected(messages.map(|(name, message, ends)| (name, message, enveloped(ends))), envelope).await;
}

fn in_a_queue(ends: Ends) -> Ends {
    match ends {
        List(outcomes) => Batch { copies: started(&outcomes), dead: Vec::new() },
        Outcome(outcome) => Batch { copies: started([&outcome]), dead: Vec::new() },
        Rejected(part) => DeadLetter(part),
        Answer(_) | AnswerRejected(_) => DeadLetter(NOBODY_WAITS.to_owned()),
        batch => batch,
    }
}

/// Only a direct request is answered with one outcome.
fn in_a_list(ends: Ends) -> Ends {
    match ends {
        Outcome(outcome) => List(vec![outcome]),
        Answer(_) | AnswerRejected(_) => Rejected(NOBODY_WAITS.to_owned()),
        other => other,
    }
}

/// Sent long before the present of the world, so that an AMI that is not visible is missing, not late.
fn in_sqs(message: &Value) -> Value {
    batch([("m1", message.to_string())])
}

fn in_sns(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "n1", "TopicArn": "arn:aws:sns:us-east-1:123456789012:images", "Subject": null,
        "Message": message.to_string(), "Timestamp": "2026-11-20T14:03:27.123Z", "SignatureVersion": "1", "Signature": "s",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/s.pem", "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/",
    })
}

fn in_sns_to_lambda(message: &Value) -> Value {
    json!({ "Records": [{ "EventVersion": "1.0", "EventSource": "aws:sns", "EventSubscriptionArn": "arn", "Sns": in_sns(message) }] })
}

/// An event is in the envelope of EventBridge already; anything else its sender puts on the bus.
fn in_event_bridge(message: &Value) -> Value {
    if message.get("detail-type").is_some() {
        return message.clone();
    }
    json!({ "version": "0", "id": "e", "detail-type": "Built", "source": "my.pipeline", "account": ACCOUNT,
            "time": "2026-11-20T14:03:27Z", "region": THERE, "resources": [], "detail": message })
}

#[tokio::test]
async fn each_message_says_the_same_in_the_body_of_an_sqs_message() {
    each_message_says_the_same(in_sqs, in_a_queue).await;
}

#[tokio::test]
async fn each_message_says_the_same_when_sns_hands_it_to_lambda() {
    each_message_says_the_same(in_sns_to_lambda, in_a_list).await;
}

#[tokio::test]
async fn each_message_says_the_same_in_sns_in_sqs() {
    each_message_says_the_same(|message| in_sqs(&in_sns(message)), in_a_queue).await;
}

#[tokio::test]
async fn each_message_says_the_same_through_event_bridge() {
    each_message_says_the_same(in_event_bridge, in_a_list).await;
}

#[tokio::test]
async fn each_message_says_the_same_through_event_bridge_in_sns_in_sqs() {
    each_message_says_the_same(|message| in_sqs(&in_sns(&in_event_bridge(message))), in_a_queue).await;
}

fn events() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let files = fs::read_dir(folder).expect("events/").map(|file| file.expect("a file").path());
    files
        .map(|path| {
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            let text = fs::read_to_string(&path).expect("text");
            (name, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect()
}
