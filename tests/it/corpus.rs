//! Each file in `events/` is a sample for people and a case for this test: what the real function answers when AWS has
//! what the file names, as it is and in every envelope. A file without an expectation fails, and so does an expectation
//! without a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use local::aws::ACCOUNT;
use local::cli::plant_for;
use local::host::Host;
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, batch};

/// What comes of a file.
#[derive(Clone, Copy)]
enum Expected {
    /// The outcomes of a list, each with a part of its reason where it has one.
    List(&'static [&'static str]),
    /// The one outcome of a direct request.
    Outcome(&'static str),
    /// An error whose message has these words.
    Rejected(&'static str),
    /// The copies that a batch made, and the codes of what went to the dead-letter queue. Nothing failed.
    Batch { copies: usize, dead: &'static [&'static str] },
    /// A batch whose one record went to the dead-letter queue, with these words.
    DeadLetter(&'static str),
}

use Expected::{Batch, DeadLetter, List, Outcome, Rejected};

const EXPECTED: &[(&str, Expected)] = &[
    ("cloudtrail-copy-image-into-this-region", List(&["Ignored: is itself a copy into this Region"])),
    ("cloudtrail-copy-image", List(&["Started"])),
    ("cloudtrail-create-image-failed", List(&["Ignored: Client.InvalidAMIName.Duplicate"])),
    ("cloudtrail-create-image", List(&["Started"])),
    ("cloudtrail-register-image", List(&["Started"])),
    ("cloudtrail-run-instances", List(&["Ignored: RunInstances"])),
    ("copy-image-request-dry-run", Outcome("DryRun")),
    ("copy-image-request-full", Outcome("Started")),
    ("copy-image-request-in-camel-case", Rejected("UnknownParameter")),
    ("copy-image-request-of-china", Rejected("OtherPartition")),
    ("copy-image-request-of-skeleton", Rejected("`TagSpecifications[0].ResourceType`")),
    ("copy-image-request-with-bad-image-id", Rejected("InvalidAMIID.Malformed")),
    ("copy-image-request-with-bad-name", Rejected("InvalidAMIName.Malformed: `Name` is `golden:latest`")),
    ("copy-image-request-with-bad-tags", Rejected("`TagSpecifications[0].Tags")),
    ("copy-image-request-with-key-without-encrypted", Rejected("InvalidParameterCombination: `KmsKeyId`")),
    ("copy-image-request-with-outpost", Rejected("SourceNotAllowed")),
    ("copy-image-request-with-reserved-tag", Rejected("`aws:`")),
    ("copy-image-request-with-two-destinations", Rejected("InvalidParameterCombination")),
    ("copy-image-request-with-unknown-field", Rejected("did you mean `SourceImageId`?")),
    ("copy-image-request-with-zone-and-duration", Rejected("InvalidParameterCombination")),
    ("copy-image-request-with-zone", Outcome("Started")),
    ("copy-image-request-without-name", Rejected("MissingParameter: the request has no `Name`")),
    ("copy-image-request", Outcome("Started")),
    ("custom-event-not-understood", Rejected("NotUnderstood")),
    ("custom-event-with-request", List(&["Started"])),
    ("deeply-nested", Batch { copies: 1, dead: &[] }),
    ("ec2-ami-state-change-deregistered", List(&["Ignored: its copies stay"])),
    ("ec2-ami-state-change-disabled", List(&["Ignored: its copies stay"])),
    ("ec2-ami-state-change-failed", List(&["Ignored: the source AMI failed"])),
    ("ec2-ami-state-change-of-a-failed-copy", Rejected("CopyFailed")),
    // It is that account's, and not shared.
    ("ec2-ami-state-change-of-another-account", Rejected("InvalidAMIID.NotFound")),
    ("ec2-ami-state-change-of-govcloud", Rejected("OtherPartition")),
    ("ec2-ami-state-change-of-this-region", List(&["Finished"])),
    ("ec2-ami-state-change-of-wrong-type", Rejected("`detail.State`")),
    ("ec2-ami-state-change-without-arn", List(&["Started"])),
    ("ec2-ami-state-change", List(&["Started"])),
    ("event-of-the-courier", List(&["Ignored: the courier's own"])),
    ("event-with-image-resource", List(&["Started", "Started"])),
    ("eventbridge-in-sns-in-sqs", Batch { copies: 1, dead: &[] }),
    ("fast-launch-state-change", List(&["Started"])),
    ("image-builder-cve-detected", List(&["Ignored: tells of no new AMI"])),
    ("image-builder-sns-distributed-here", List(&["Ignored: put it here itself"])),
    ("image-builder-sns-failed", List(&["Ignored: FAILED"])),
    ("image-builder-sns-of-container", List(&["Ignored: DOCKER"])),
    ("image-builder-sns", List(&["Started"])),
    ("image-builder-state-change-failed", List(&["Ignored: FAILED"])),
    ("image-builder-state-change-testing", List(&["Ignored: TESTING"])),
    ("image-builder-state-change", List(&["Started"])),
    ("nested-too-deep", Rejected("NestedTooDeep")),
    ("not-understood", Rejected("NotUnderstood")),
    ("other-ec2-event", List(&["Ignored: tells of no new AMI"])),
    ("packer-manifest-here-already", List(&["Ignored: put it here itself"])),
    ("packer-manifest-with-bad-artifact", Rejected("`builds[1].artifact_id`")),
    ("packer-manifest", List(&["Started", "Started", "Ignored: virtualbox-iso"])),
    ("parameter-store-change-deleted", List(&["Ignored: Delete"])),
    ("parameter-store-change-of-plain-string", List(&["Ignored: text"])),
    ("parameter-store-change-with-exception", List(&["Ignored: "])),
    ("parameter-store-change", List(&["Started"])),
    ("s3-notification", List(&["Ignored: S3"])),
    ("s3-test-event", List(&["Ignored: S3"])),
    ("scheduled-event-of-rule", List(&[])),
    ("scheduled-sweep", List(&[])),
    ("sns-in-sqs", Batch { copies: 1, dead: &[] }),
    ("sns-raw-in-sqs", Batch { copies: 1, dead: &[] }),
    ("sns-subscription-confirmation", Rejected("SubscriptionConfirmation")),
    ("sns-to-lambda", List(&["Started"])),
    ("sqs-batch-of-ten-with-bad-ones", Batch { copies: 8, dead: &["InvalidAMIName.Malformed", "NotUnderstood"] }),
    ("sqs-batch-of-three", Batch { copies: 3, dead: &[] }),
    ("sqs-batch-with-duplicate-ids", Batch { copies: 2, dead: &[] }),
    ("sqs-batch-with-one-announcement-twice", Batch { copies: 1, dead: &[] }),
    ("sqs-batch-without-message-id", Batch { copies: 1, dead: &["NotUnderstood"] }),
    ("sqs-batch", Batch { copies: 1, dead: &[] }),
    ("sqs-empty-batch", Batch { copies: 0, dead: &[] }),
    ("sqs-fifo-batch", Batch { copies: 3, dead: &["NotUnderstood"] }),
    ("sweep", List(&[])),
    ("tag-change-of-instance", List(&["Ignored: instance"])),
    ("tag-change", List(&["Started"])),
];

#[test]
fn every_event_has_an_expected_outcome_and_every_expectation_an_event() {
    let files: BTreeSet<String> = events().into_keys().collect();
    let expected: BTreeSet<String> = EXPECTED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, expected);
    assert_eq!(expected.len(), EXPECTED.len(), "an expectation stands there twice");
}

/// Hands each of these messages over to one function, in this envelope, in a world that has what the message names.
async fn all_end_as_expected<'a>(
    messages: impl IntoIterator<Item = (&'a str, &'a Value, Expected)>,
    envelope: fn(&Value) -> Value,
) {
    let stage = Stage::new().await;
    let function = stage.function().await;
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (name, message, expected) in messages {
        stage.start_afresh();
        plant_for(message, HERE, &mut stage.aws.world());
        tried += 1;
        wrong.extend(outcome_is_wrong(&stage, &function, name, &envelope(message), expected).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 60, "only {tried} cases");
}

/// What is wrong with what comes of an event.
async fn outcome_is_wrong(
    stage: &Stage,
    function: &Host,
    name: &str,
    event: &Value,
    expected: Expected,
) -> Option<String> {
    let ids = || -> BTreeSet<String> { stage.copies().into_iter().map(|image| image.id).collect() };
    let before = ids();
    let answer = function.invoke(event).await.map_err(|error| error.to_string());
    let made = ids().difference(&before).count();
    let mut dead: Vec<String> =
        stage.dead().into_iter().map(|(_, why)| format!("{}: {}", why["Code"], why["Explanation"])).collect();
    dead.sort();
    let nothing_failed = |answer: &Value| answer["batchItemFailures"] == json!([]);
    let right = match (expected, &answer) {
        (Rejected(words), Err(message)) => message.contains(words) && made == 0,
        (Outcome(outcome), Ok(answer)) => answer["Outcome"] == *outcome && made == started(&[outcome]),
        (List(outcomes), Ok(Value::Array(answers))) => {
            answers.len() == outcomes.len()
                && outcomes.iter().zip(answers).all(|(expected, answer)| is(answer, expected))
                && made == started(outcomes)
        }
        (Batch { copies, dead: codes }, Ok(answer)) => {
            nothing_failed(answer)
                && made == copies
                && dead.len() == codes.len()
                && dead.iter().zip(codes).all(|(dead, code)| dead.starts_with(&format!("{code}: ")))
        }
        (DeadLetter(words), Ok(answer)) => {
            nothing_failed(answer) && made == 0 && dead.len() == 1 && dead[0].contains(words)
        }
        _ => false,
    };
    (!right).then(|| format!("{name}: {made} copies, dead letters {dead:?}, answer {answer:?}"))
}

fn started(outcomes: &[&str]) -> usize {
    outcomes.iter().filter(|outcome| **outcome == "Started").count()
}

/// `Ignored: words`: the outcome, and words of its reason.
fn is(answer: &Value, expected: &str) -> bool {
    let (outcome, words) = expected.split_once(": ").unwrap_or((expected, ""));
    answer["Outcome"] == outcome && answer["Reason"].as_str().unwrap_or_default().contains(words)
}

#[tokio::test]
async fn every_event_has_its_expected_outcome_on_the_real_function() {
    let events = events();
    let files = EXPECTED.iter().map(|(name, expected)| (*name, &events[*name], *expected));
    all_end_as_expected(files, Value::clone).await;
}

/// Each message of the corpus, in an envelope. SQS batches are in theirs already.
async fn each_message_says_the_same(envelope: fn(&Value) -> Value, enveloped: fn(Expected) -> Expected) {
    let events = events();
    let messages = EXPECTED.iter().filter(|(_, expected)| !matches!(expected, Batch { .. }));
    let messages = messages.map(|(name, expected)| (*name, &events[*name], enveloped(*expected)));
    all_end_as_expected(messages, envelope).await;
}

fn in_a_queue(expected: Expected) -> Expected {
    match expected {
        List(outcomes) => Batch { copies: started(outcomes), dead: &[] },
        Outcome(outcome) => Batch { copies: started(&[outcome]), dead: &[] },
        Rejected(words) => DeadLetter(words),
        batch => batch,
    }
}

/// Who does not ask directly gets a list.
fn in_a_list(expected: Expected) -> Expected {
    match expected {
        Outcome("Started") => List(&["Started"]),
        Outcome("DryRun") => List(&["DryRun"]),
        other => other,
    }
}

/// Delivered often enough that what is not to be seen is not merely late.
fn in_sqs(message: &Value) -> Value {
    let mut records = batch([("m1", message.to_string())]);
    records["Records"][0]["attributes"]["ApproximateReceiveCount"] = json!("3");
    records
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

/// An event is in EventBridge's envelope already; anything else is put on the bus by its sender.
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
