//! Each file in `events/` on the real binary, as it is and in every envelope: what must come of it.
//!
//! In the table: the outcomes as the function answers them (a list in brackets), `Rejected` or `Retry` with the code; of
//! an SQS batch which records failed and with which codes the others went to the dead-letter queue. Then the sources of
//! which there is a copy afterwards. The world has what a file names: available AMIs of this account, not copied before.

use std::collections::BTreeSet;
use std::path::Path;

use ami_courier::announcement::{self, Announcement, ImageState as Told, Pointer};
use ami_courier::identity::Here;
use local::aws::{ACCOUNT, Caller, Image, ImageState, World};
use local::host::{Host, InvokeError};
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, ami, batch, failures};

const OTHERS: &str = "111122223333";

/// By file: the answer, and the sources that have a copy afterwards.
const EXPECTED: &[(&str, &str, &[&str])] = &[
    ("cloudtrail-copy-image", "[Started]", &["ami-07ba6c951c7bad441"]),
    ("cloudtrail-copy-image-into-this-region", "[Ignored]", &[]),
    ("cloudtrail-create-image", "[Started]", &["ami-06e1d6ad10644653c"]),
    ("cloudtrail-create-image-failed", "[Ignored]", &[]),
    ("cloudtrail-register-image", "[Started]", &["ami-0a7dc3e4d720337e0"]),
    ("cloudtrail-run-instances", "[Ignored]", &[]),
    ("copy-image-request", "Started", &["ami-067cc340229463eba"]),
    ("copy-image-request-dry-run", "DryRun", &[]),
    ("copy-image-request-full", "Started", &["ami-014b0d02ee235b8b2"]),
    ("copy-image-request-in-camel-case", "Rejected UnknownParameter", &[]),
    ("copy-image-request-of-china", "Rejected OtherPartition", &[]),
    ("copy-image-request-of-skeleton", "Rejected InvalidParameterValue", &[]),
    ("copy-image-request-with-bad-image-id", "Rejected InvalidAMIID.Malformed", &[]),
    ("copy-image-request-with-bad-name", "Rejected InvalidAMIName.Malformed", &[]),
    ("copy-image-request-with-bad-tags", "Rejected InvalidParameterValue", &[]),
    ("copy-image-request-with-key-without-encrypted", "Rejected InvalidParameterCombination", &[]),
    ("copy-image-request-with-outpost", "Rejected SourceNotAllowed", &[]),
    ("copy-image-request-with-reserved-tag", "Rejected InvalidParameterValue", &[]),
    ("copy-image-request-with-two-destinations", "Rejected InvalidParameterCombination", &[]),
    ("copy-image-request-with-unknown-field", "Rejected UnknownParameter", &[]),
    ("copy-image-request-with-zone", "Started", &["ami-0dc05d6b4dad60828"]),
    ("copy-image-request-with-zone-and-duration", "Rejected InvalidParameterCombination", &[]),
    ("copy-image-request-without-name", "Rejected MissingParameter", &[]),
    ("custom-event-not-understood", "Rejected NotUnderstood", &[]),
    ("custom-event-with-request", "[Started]", &["ami-03226defe51ee801c"]),
    ("deeply-nested", "failed [] dead []", &["ami-07609a663bb49b200"]),
    ("ec2-ami-state-change", "[Started]", &["ami-00a507daa7823f412"]),
    ("ec2-ami-state-change-deregistered", "[Ignored]", &[]),
    ("ec2-ami-state-change-disabled", "[Ignored]", &[]),
    ("ec2-ami-state-change-failed", "[Ignored]", &[]),
    ("ec2-ami-state-change-of-a-failed-copy", "Rejected CopyFailed", &[]),
    ("ec2-ami-state-change-of-another-account", "[Ignored]", &[]),
    ("ec2-ami-state-change-of-govcloud", "Rejected OtherPartition", &[]),
    ("ec2-ami-state-change-of-this-region", "[Finished]", &["ami-0000000000000a001"]),
    ("ec2-ami-state-change-of-wrong-type", "Rejected NotUnderstood", &[]),
    ("ec2-ami-state-change-without-arn", "[Started]", &["ami-011915fbb9a5774fe"]),
    ("event-of-the-courier", "[Ignored]", &[]),
    ("event-with-image-resource", "[Started, Started]", &["ami-0a0041fb5c9554787", "ami-0ed9b95a4ccac2c69"]),
    ("eventbridge-in-sns-in-sqs", "failed [] dead []", &["ami-047a4702e4e31ee8a"]),
    ("fast-launch-state-change", "[Started]", &["ami-00732d0d0492311fd"]),
    ("image-builder-cve-detected", "[Ignored]", &[]),
    ("image-builder-sns", "[Started]", &["ami-0f4176bba17180f40"]),
    ("image-builder-sns-distributed-here", "[Ignored]", &[]),
    ("image-builder-sns-failed", "[Ignored]", &[]),
    ("image-builder-sns-of-container", "[Ignored]", &[]),
    ("image-builder-state-change", "[Started]", &["ami-0000000000000a002"]),
    ("image-builder-state-change-failed", "[Ignored]", &[]),
    ("image-builder-state-change-testing", "[Ignored]", &[]),
    ("nested-too-deep", "Rejected NestedTooDeep", &[]),
    ("not-understood", "Rejected NotUnderstood", &[]),
    ("other-ec2-event", "[Ignored]", &[]),
    ("packer-manifest", "[Started, Started, Ignored]", &["ami-006fc5b75e940115d", "ami-0fa5dc26cabf278b0"]),
    ("packer-manifest-here-already", "[Ignored]", &[]),
    ("packer-manifest-with-bad-artifact", "Rejected NotUnderstood", &[]),
    ("parameter-store-change", "[Started]", &["ami-0000000000000a003"]),
    ("parameter-store-change-deleted", "[Ignored]", &[]),
    ("parameter-store-change-of-plain-string", "[Ignored]", &[]),
    ("parameter-store-change-with-exception", "[Ignored]", &[]),
    ("s3-notification", "[Ignored]", &[]),
    ("s3-test-event", "[Ignored]", &[]),
    ("scheduled-event-of-rule", "[]", &[]),
    ("scheduled-sweep", "[]", &[]),
    ("sns-in-sqs", "failed [] dead []", &["ami-029607494399a1ed6"]),
    ("sns-raw-in-sqs", "failed [] dead []", &["ami-0e15b9bbfaa172b1e"]),
    ("sns-subscription-confirmation", "Rejected SubscriptionConfirmation", &[]),
    ("sns-to-lambda", "[Started]", &["ami-030ecef038c6ac291"]),
    ("sqs-batch", "failed [] dead []", &["ami-0bd32567ed5fdb5e5"]),
    (
        "sqs-batch-of-ten-with-bad-ones",
        "failed [] dead [InvalidAMIName.Malformed, NotUnderstood]",
        &[
            "ami-008b8e4cdafe6d187",
            "ami-0626ce647e8276018",
            "ami-07fcfa4d864bb5e95",
            "ami-0d35f17b0d58c33ae",
            "ami-0d5951ed819f50533",
            "ami-0e27e7bc71c323dfa",
            "ami-0fb196d156342f418",
            "ami-0fdca499a5ab0a7ce",
        ],
    ),
    (
        "sqs-batch-of-three",
        "failed [] dead []",
        &["ami-016adcc911630d0c3", "ami-01d4e151d821aeef1", "ami-0b9be7f833bd120ba"],
    ),
    ("sqs-batch-with-duplicate-ids", "failed [] dead []", &["ami-0b29f5e99f3369ac0", "ami-0f4f5a783c8b5ab54"]),
    ("sqs-batch-with-one-announcement-twice", "failed [] dead []", &["ami-0745142c142d9b7a8"]),
    ("sqs-batch-without-message-id", "failed [] dead [NotUnderstood]", &["ami-01606fc0fe0d9b926"]),
    ("sqs-empty-batch", "failed [] dead []", &[]),
    (
        "sqs-fifo-batch",
        "failed [] dead [NotUnderstood]",
        &["ami-07ba90529b3d72d81", "ami-0ab2212dab9d29995", "ami-0aebf3da81dee6b47"],
    ),
    ("sweep", "[]", &[]),
    ("tag-change", "[Started]", &["ami-0e8ab60d49ca4ce60"]),
    ("tag-change-of-instance", "[Ignored]", &[]),
];

fn files() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut files: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let payload = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), payload)
        })
        .collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

fn is_sqs_batch(payload: &Value) -> bool {
    payload["Records"].as_array().is_some_and(|records| records.iter().all(|record| record["eventSource"] == "aws:sqs"))
}

fn here() -> Here {
    Here { region: HERE.parse().unwrap(), account: ACCOUNT.parse().ok() }
}

/// Puts what a file names into the world. Who owns it, EC2 says and not the message: one file is of another account.
fn seed(world: &mut World, file: &str, payload: &Value) {
    let read = if is_sqs_batch(payload) {
        let records = payload["Records"].as_array().unwrap().iter();
        records.map(|record| announcement::read_text(record["body"].as_str().unwrap(), &here())).collect()
    } else {
        vec![announcement::read(payload, &here())]
    };
    let source = |id: &str| {
        let image = Image::new(id, format!("name of {id}"));
        if file.contains("another-account") { image.owner(OTHERS).shared_with(ACCOUNT) } else { image }
    };
    for announcement in read.into_iter().flatten().flatten() {
        match announcement {
            Announcement::Built { ami: Pointer::Images(images), .. } => {
                for image in images {
                    world.add_image(image.region.as_str(), source(image.image.as_str()));
                }
            }
            Announcement::Built { ami: Pointer::ImageBuilder { region, arn }, .. } => {
                world.add_image(region.as_str(), source(&ami(2)).tag("Ec2ImageBuilderArn", &arn));
            }
            Announcement::Built { ami: Pointer::Parameter { region, name }, .. } => {
                let id = world.add_image(region.as_str(), source(&ami(3)));
                let put = json!({ "Name": name, "Value": id, "Type": "String", "DataType": "aws:ec2:image" });
                world.call(&Caller::in_region(region.as_str()), "ssm", "PutParameter", &put).unwrap();
            }
            Announcement::StateChanged { ami: changed, state, .. } if changed.region.as_str() == HERE => {
                world.add_image(THERE, source(&ami(1)));
                let copy =
                    Image::new(changed.image.as_str(), format!("copy {}", changed.image)).copy_of(&ami(1), THERE);
                let copy = copy.tag("ami-courier:source-image", &ami(1)).tag("ami-courier:source-region", THERE);
                world.add_image(HERE, copy.state(as_in_ec2(state)));
            }
            Announcement::StateChanged { ami, state, .. } => {
                world.add_image(ami.region.as_str(), source(ami.image.as_str()).state(as_in_ec2(state)));
                if state == Told::Deregistered {
                    world.deregister(ami.region.as_str(), ami.image.as_str());
                }
            }
            Announcement::Request(request) => {
                world.add_image(request.source.region.as_str(), source(request.source.image.as_str()));
            }
            Announcement::Sweep | Announcement::Nothing { .. } => {}
        }
    }
}

fn as_in_ec2(state: Told) -> ImageState {
    match state {
        Told::Available | Told::Deregistered => ImageState::Available,
        Told::Failed => ImageState::Failed,
        Told::Disabled => ImageState::Disabled,
    }
}

/// The answer to a payload, as the table writes it.
async fn answer(stage: &Stage, function: &Host, payload: &Value) -> String {
    let dead_before = stage.dead().len();
    let name = |outcome: &Value| outcome["Outcome"].as_str().unwrap_or("no outcome").to_owned();
    match function.invoke(payload).await {
        Ok(answer) if answer.get("batchItemFailures").is_some() => {
            let mut dead: Vec<String> =
                stage.dead().into_iter().skip(dead_before).map(|(_, why)| why["Code"].clone()).collect();
            dead.sort();
            format!("failed [{}] dead [{}]", failures(&answer).join(", "), dead.join(", "))
        }
        Ok(Value::Array(outcomes)) => format!("[{}]", outcomes.iter().map(name).collect::<Vec<_>>().join(", ")),
        Ok(outcome) => name(&outcome),
        Err(InvokeError::Function { error_type, message }) => {
            format!("{error_type} {}", message.split(": ").next().unwrap_or_default())
        }
        Err(error) => error.to_string(),
    }
}

/// The sources that have a live copy.
fn copied(stage: &Stage) -> BTreeSet<String> {
    let live = stage.copies().into_iter().filter(|copy| copy.state != ImageState::Failed);
    live.filter_map(|copy| copy.source_image_id).collect()
}

fn expected_of(file: &str) -> (&'static str, BTreeSet<String>) {
    let found = EXPECTED.iter().find(|(name, ..)| *name == file);
    let (_, answer, copied) = found.unwrap_or_else(|| panic!("events/{file}.json has no expectation"));
    (answer, copied.iter().map(|id| (*id).to_owned()).collect())
}

#[test]
fn every_file_has_an_expectation_and_every_expectation_a_file() {
    let files: Vec<String> = files().into_iter().map(|(name, _)| name).collect();
    let mut expected: Vec<&str> = EXPECTED.iter().map(|(name, ..)| *name).collect();
    expected.sort_unstable();
    assert_eq!(files, expected);
}

#[tokio::test]
async fn each_file_ends_as_the_table_says() {
    for (file, payload) in files() {
        let stage = Stage::new().await.with(|world| seed(world, &file, &payload));
        let function = stage.function().await;
        let (expected, copies) = expected_of(&file);
        assert_eq!(answer(&stage, &function, &payload).await, expected, "{file}");
        assert_eq!(copied(&stage), copies, "{file}");
    }
}

#[tokio::test]
async fn each_file_delivered_again_makes_no_second_copy() {
    let stage = Stage::new().await.with(|world| files().iter().for_each(|(file, payload)| seed(world, file, payload)));
    let function = stage.function().await;
    let mut after_first = None;
    for _ in 0..2 {
        for (_, payload) in files() {
            let _ = function.invoke(&payload).await;
        }
        let copies: Vec<String> = stage.copies().into_iter().map(|copy| copy.id).collect();
        assert_eq!(&copies, after_first.get_or_insert_with(|| copies.clone()));
    }
    assert_eq!(copied(&stage).len(), EXPECTED.iter().map(|(_, _, copied)| copied.len()).sum::<usize>());
}

fn in_sns(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "n1", "TopicArn": "arn:aws:sns:us-east-1:123456789012:images", "Subject": null,
        "Message": message.to_string(), "Timestamp": "2026-11-20T14:03:27.123Z", "SignatureVersion": "1", "Signature": "s",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/s.pem", "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/",
    })
}

fn in_sqs(message: &Value) -> Value {
    batch([("m1", message.to_string())])
}

fn to_lambda_by_sns(message: &Value) -> Value {
    json!({ "Records": [{ "EventVersion": "1.0", "EventSource": "aws:sns", "EventSubscriptionArn": "arn", "Sns": in_sns(message) }] })
}

/// Of an event, the envelope is SNS: EventBridge's own is there. Anything else is put on the bus by its sender.
fn by_event_bridge_in_sns_in_sqs(message: &Value) -> Value {
    let event = if message.get("detail-type").is_some() {
        message.clone()
    } else {
        json!({ "version": "0", "id": "e", "detail-type": "Built", "source": "my.pipeline", "account": ACCOUNT,
                "time": "2026-11-20T14:03:27Z", "region": THERE, "resources": [], "detail": message })
    };
    in_sqs(&in_sns(&event))
}

/// What the table says of a message, for the same message in an envelope.
fn enveloped(direct: &str, in_a_queue: bool) -> String {
    match (direct.split_once(' '), in_a_queue) {
        (Some(("Rejected", code)), true) => format!("failed [] dead [{code}]"),
        (_, true) => "failed [] dead []".to_owned(),
        (None, false) if !direct.starts_with('[') => format!("[{direct}]"),
        (_, false) => direct.to_owned(),
    }
}

/// All messages of the corpus, one after the other in the same world, each in this envelope.
async fn each_message_says_the_same(envelope: fn(&Value) -> Value, in_a_queue: bool) {
    let messages: Vec<_> = files().into_iter().filter(|(_, payload)| !is_sqs_batch(payload)).collect();
    let stage = Stage::new().await.with(|world| messages.iter().for_each(|(file, message)| seed(world, file, message)));
    let function = stage.function().await;
    let mut copies = BTreeSet::new();
    for (file, message) in &messages {
        let (direct, sources) = expected_of(file);
        assert_eq!(answer(&stage, &function, &envelope(message)).await, enveloped(direct, in_a_queue), "{file}");
        copies.extend(sources);
    }
    assert!(messages.len() > 60);
    assert_eq!(copied(&stage), copies);
}

#[tokio::test]
async fn each_message_says_the_same_in_the_body_of_an_sqs_message() {
    each_message_says_the_same(in_sqs, true).await;
}

#[tokio::test]
async fn each_message_says_the_same_when_sns_hands_it_to_lambda() {
    each_message_says_the_same(to_lambda_by_sns, false).await;
}

#[tokio::test]
async fn each_message_says_the_same_in_sns_in_sqs() {
    each_message_says_the_same(|message| in_sqs(&in_sns(message)), true).await;
}

#[tokio::test]
async fn each_message_says_the_same_through_event_bridge_in_sns_in_sqs() {
    each_message_says_the_same(by_event_bridge_in_sns_in_sqs, true).await;
}
