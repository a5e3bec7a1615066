//! Each file in `events/` is a sample for people and a case for this test: what the real function answers when AWS has
//! what the file names. A file without an expectation fails, and so does an expectation without a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use local::cli::plant_for;
use serde_json::Value;

use crate::stage::{HERE, Stage};

/// What comes of a file.
enum Expected {
    /// The outcomes of a list, each with a part of its reason where it has one.
    List(&'static [&'static str]),
    /// The one outcome of a direct request.
    Outcome(&'static str),
    /// An error whose message has these words.
    Rejected(&'static str),
    /// The copies that a batch made, and the codes of what went to the dead-letter queue. Nothing failed.
    Batch { copies: usize, dead: &'static [&'static str] },
}

use Expected::{Batch, List, Outcome, Rejected};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_has_its_expected_outcome_on_the_real_function() {
    let events = events();
    let wrong: Vec<String> = futures_util::future::join_all(
        EXPECTED.iter().map(|(name, expected)| outcome_is_wrong(name, &events[*name], expected)),
    )
    .await
    .into_iter()
    .flatten()
    .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with what comes of an event.
async fn outcome_is_wrong(name: &str, event: &Value, expected: &Expected) -> Option<String> {
    let stage = Stage::new().await;
    plant_for(event, HERE, &mut stage.aws.world());
    let before: BTreeSet<String> = stage.copies().into_iter().map(|image| image.id).collect();
    let function = stage.function().await;
    let answer = function.invoke(event).await.map_err(|error| error.to_string());
    let copies = stage.copies().iter().filter(|image| !before.contains(&image.id)).count();
    let mut dead: Vec<String> = stage.dead().into_iter().map(|(_, attributes)| attributes["Code"].clone()).collect();
    dead.sort();
    let right = match (expected, &answer) {
        (Rejected(words), Err(message)) => message.contains(words),
        (Outcome(outcome), Ok(answer)) => answer["Outcome"] == *outcome,
        (List(outcomes), Ok(Value::Array(answers))) => {
            answers.len() == outcomes.len()
                && outcomes.iter().zip(answers).all(|(expected, answer)| is(answer, expected))
        }
        (Batch { copies: made, dead: codes }, Ok(answer)) => {
            answer["batchItemFailures"] == serde_json::json!([]) && copies == *made && dead == *codes
        }
        _ => false,
    };
    (!right).then(|| format!("{name}: {copies} copies, dead letters {dead:?}, answer {answer:?}"))
}

/// `Ignored: words`: the outcome, and words of its reason.
fn is(answer: &Value, expected: &str) -> bool {
    let (outcome, words) = expected.split_once(": ").unwrap_or((expected, ""));
    answer["Outcome"] == outcome && answer["Reason"].as_str().unwrap_or_default().contains(words)
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
