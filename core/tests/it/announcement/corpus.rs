//! What must come of each file in `events/`: the table that the tests hold the reading to.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Announcement, Pointer};
use courier_core::identity::{Stack, Identity};
use courier_core::error::Rejection;

/// The stack that the files are meant for.
pub(super) fn stack() -> Stack {
    Stack { region: "eu-west-1".parse().unwrap(), account: "123456789012".parse().ok() }
}

/// The files, by name.
pub(super) fn files() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), file(&name(path)))).collect()
}

/// One of them.
pub(super) fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(name).with_extension("json");
    let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// An answer, in a line for each announcement.
pub(super) fn told(answer: &Result<Vec<Announcement>, Rejection>) -> Vec<String> {
    let identities = |amis: &[Identity]| amis.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let line = |announcement: &Announcement| match announcement {
        Announcement::Built { ami: Pointer::Images(amis), announced_by } => format!("{announced_by:?}: {}", identities(amis)),
        Announcement::Built { ami: Pointer::ImageBuilder { region, arn }, announced_by } => {
            format!("{announced_by:?}: tagged {arn} in {region}")
        }
        Announcement::Built { ami: Pointer::Parameter { region, name }, announced_by } => {
            format!("{announced_by:?}: in parameter {name} in {region}")
        }
        Announcement::StateChanged { ami, state, error_message } => {
            format!("{state:?} {ami} {error_message}").trim_end().to_owned()
        }
        Announcement::Request(request) => format!("Request {} as {}", request.source, request.name),
        Announcement::Sweep => "Sweep".to_owned(),
        Announcement::Nothing { ami: None, reason } => format!("Nothing: {reason}"),
        Announcement::Nothing { ami: Some(ami), reason } => format!("Nothing of {ami}: {reason}"),
    };
    match answer {
        Ok(announcements) => announcements.iter().map(line).collect(),
        Err(Rejection { code, words, .. }) => vec![format!("{code}: {words}")],
    }
}

/// By file: what it tells, of an SQS batch for one record after the other.
pub(super) const EXPECTED: &[(&str, &[&str])] = &[
    ("cloudtrail-copy-image-into-this-region", &["Nothing: ami-08714156a8f9470b9 is itself a copy into this Region"]),
    ("cloudtrail-copy-image", &["Ec2: ami-07ba6c951c7bad441 in us-east-1"]),
    (
        "cloudtrail-create-image-failed",
        &[
            "Nothing: the call of CreateImage in us-east-1 made no AMI: Client.InvalidAMIName.Duplicate AMI name golden-2026-11-20 is already in use by AMI ami-065efd3c49be72211",
        ],
    ),
    ("cloudtrail-create-image", &["Ec2: ami-06e1d6ad10644653c in us-east-1"]),
    ("cloudtrail-register-image", &["Ec2: ami-0a7dc3e4d720337e0 in us-east-1"]),
    ("cloudtrail-run-instances", &["Nothing: the call of RunInstances makes no AMI"]),
    ("copy-image-request-dry-run", &["Request ami-0323b30e06f8e15cc in us-east-1 as golden-dry-run"]),
    ("copy-image-request-full", &["Request ami-014b0d02ee235b8b2 in us-east-1 as golden-2026-11-20-encrypted"]),
    (
        "copy-image-request-in-camel-case",
        &["UnknownParameter: a CopyImage request has no field `name`: did you mean `Name`?"],
    ),
    (
        "copy-image-request-of-china",
        &[
            "OtherPartition: `cn-north-1` is in the partition `aws-cn`, and this stack is in `aws` (eu-west-1): CopyImage cannot cross",
        ],
    ),
    (
        "copy-image-request-of-skeleton",
        &[
            "InvalidParameterValue: `TagSpecifications[0].ResourceType` is `capacity-reservation-fleet`; it must be `image` or `snapshot`",
        ],
    ),
    (
        "copy-image-request-with-bad-image-id",
        &[
            "InvalidAMIID.Malformed: `SourceImageId` is `ami-0123`; it must be an AMI id (`ami-` and 8 or 17 hexadecimal digits)",
        ],
    ),
    (
        "copy-image-request-with-bad-name",
        &[
            "InvalidAMIName.Malformed: `Name` is `golden:latest`; it must be an AMI name (3 to 128 of letters, digits and `()[] ./-'@_`)",
        ],
    ),
    (
        "copy-image-request-with-bad-tags",
        &["InvalidParameterValue: `TagSpecifications[0].Tags` is an object with `release`; it must be a list"],
    ),
    (
        "copy-image-request-with-key-without-encrypted",
        &[
            "InvalidParameterCombination: `KmsKeyId` is `alias/golden` but `Encrypted` is absent; a key needs `Encrypted` to be `true`",
        ],
    ),
    ("copy-image-request-with-outpost", &["Request ami-0fe6295c6679e2a37 in eu-west-1 as golden-outpost"]),
    (
        "copy-image-request-with-reserved-tag",
        &[
            "InvalidParameterValue: `TagSpecifications[0].Tags[0]` is `aws:release=1`; it must be a tag (key of 1 to 128 characters that does not begin with `aws:`, value of at most 256)",
        ],
    ),
    (
        "copy-image-request-with-two-destinations",
        &[
            "InvalidParameterCombination: the request names more than one of `DestinationAvailabilityZone`, `DestinationAvailabilityZoneId` and `DestinationOutpostArn`; CopyImage takes one at most",
        ],
    ),
    (
        "copy-image-request-with-unknown-field",
        &["UnknownParameter: a CopyImage request has no field `SourceImageID`: did you mean `SourceImageId`?"],
    ),
    (
        "copy-image-request-with-zone-and-duration",
        &[
            "InvalidParameterCombination: `SnapshotCopyCompletionDurationMinutes` is `30` and a zone or Outpost is named; CopyImage takes a completion time only for a copy into the Region",
        ],
    ),
    ("copy-image-request-with-zone", &["Request ami-0dc05d6b4dad60828 in us-east-1 as golden-zone"]),
    ("copy-image-request-without-name", &["MissingParameter: the request has no `Name`, which CopyImage requires"]),
    ("copy-image-request", &["Request ami-067cc340229463eba in us-east-1 as golden-2026-11-20"]),
    ("custom-event-not-understood", &["NotUnderstood: the message is an object with `build`, `image`"]),
    ("custom-event-with-request", &["Request ami-03226defe51ee801c in us-east-1 as golden-from-pipeline-118"]),
    ("deeply-nested", &["Request ami-07609a663bb49b200 in us-east-1 as golden-deeply-wrapped"]),
    ("ec2-ami-state-change-deregistered", &["Deregistered ami-0bfc8897622696985 in us-east-1"]),
    ("ec2-ami-state-change-disabled", &["Disabled ami-0816585d3ca157e21 in us-east-1"]),
    (
        "ec2-ami-state-change-failed",
        &["Failed ami-06fab7e7a62af4add in us-east-1 Client.InternalError: Client error on launch"],
    ),
    (
        "ec2-ami-state-change-of-a-failed-copy",
        &["Failed ami-0547da7b7397d218a in eu-west-1 Given key ID is not accessible"],
    ),
    ("ec2-ami-state-change-of-another-account", &["Available ami-0443f2c74f23c43c1 in us-west-2"]),
    (
        "ec2-ami-state-change-of-govcloud",
        &[
            "OtherPartition: `arn:aws-us-gov:ec2:us-gov-west-1::image/ami-01dec8e989f0b5424` is in the partition `aws-us-gov`, and this stack is in `aws` (eu-west-1): CopyImage cannot cross",
        ],
    ),
    ("ec2-ami-state-change-of-this-region", &["Available ami-06edea8ffa1433bd2 in eu-west-1"]),
    (
        "ec2-ami-state-change-of-wrong-type",
        &["NotUnderstood: `detail.State` of an EC2 AMI State Change is `16`; it must be a string"],
    ),
    ("ec2-ami-state-change-without-arn", &["Available ami-011915fbb9a5774fe in us-east-1"]),
    ("ec2-ami-state-change", &["Available ami-00a507daa7823f412 in us-east-1"]),
    ("event-of-the-courier", &["Nothing: this is an event of the courier's own"]),
    (
        "event-with-image-resource",
        &["Publisher: ami-0a0041fb5c9554787 in us-east-1", "Publisher: ami-0ed9b95a4ccac2c69 in us-west-2"],
    ),
    ("eventbridge-in-sns-in-sqs", &["Available ami-047a4702e4e31ee8a in us-east-1"]),
    ("fast-launch-state-change", &["Ec2: ami-00732d0d0492311fd in us-east-1"]),
    (
        "image-builder-cve-detected",
        &["Nothing: the event `EC2 Image Builder CVE Detected` of `aws.imagebuilder` tells of no new AMI"],
    ),
    (
        "image-builder-sns-distributed-here",
        &[
            "Nothing of ami-08df4d3e26ab806a6 in us-east-1: Image Builder has put it here itself, as ami-0621e44eecd02293f",
        ],
    ),
    (
        "image-builder-sns-failed",
        &[
            "Nothing: the Image Builder image arn:aws:imagebuilder:us-east-1:123456789012:image/golden-linux/1.4.0/3 is `FAILED`: Document 'arn:aws:imagebuilder:us-east-1:123456789012:component/reboot-test-linux/1.0.1/1' failed!",
        ],
    ),
    (
        "image-builder-sns-of-container",
        &[
            "Nothing: the Image Builder image arn:aws:imagebuilder:us-east-1:123456789012:image/golden-linux/1.4.0/3 is of type `DOCKER`, which is no AMI",
        ],
    ),
    (
        "image-builder-sns",
        &[
            "ImageBuilder: ami-0f4176bba17180f40 in us-east-1, ami-0301ee1ff2763485c in us-west-2, ami-0d5492147c80fedc2 in us-west-2",
        ],
    ),
    (
        "image-builder-state-change-failed",
        &[
            "Nothing: the Image Builder image arn:aws:imagebuilder:us-east-1:123456789012:image/golden-linux/1.4.0/3 is `FAILED`: Document 'arn:aws:imagebuilder:us-east-1:123456789012:component/reboot-test-linux/1.0.1/1' failed!",
        ],
    ),
    (
        "image-builder-state-change-testing",
        &[
            "Nothing: the Image Builder image arn:aws:imagebuilder:us-east-1:123456789012:image/golden-linux/1.4.0/3 is `TESTING`, and is copied once it is `AVAILABLE`",
        ],
    ),
    (
        "image-builder-state-change",
        &["ImageBuilder: tagged arn:aws:imagebuilder:us-east-1:123456789012:image/golden-linux/1.4.0/3 in us-east-1"],
    ),
    ("nested-too-deep", &["NestedTooDeep: the message is wrapped in more than 32 envelopes and JSON strings"]),
    ("not-understood", &["NotUnderstood: the message is an object with `message`, `image`, `region`"]),
    (
        "other-ec2-event",
        &["Nothing: the event `EC2 Instance State-change Notification` of `aws.ec2` tells of no new AMI"],
    ),
    (
        "packer-manifest-here-already",
        &["Nothing of ami-0be5cbe5df04e420a in us-east-1: Packer has put it here itself, as ami-0e2d3078a474905dc"],
    ),
    (
        "packer-manifest-with-bad-artifact",
        &[
            "NotUnderstood: `builds[1].artifact_id` of Packer's manifest is `us-east-1`; it must be a list of `REGION:AMI`, with commas between",
        ],
    ),
    (
        "packer-manifest",
        &[
            "Publisher: ami-0fa5dc26cabf278b0 in us-east-1, ami-03146f3b045e32bb6 in us-west-2",
            "Publisher: ami-006fc5b75e940115d in us-east-1",
            "Nothing: Packer's builder `virtualbox-iso` made `VM`, which is no AMI",
        ],
    ),
    (
        "parameter-store-change-deleted",
        &["Nothing: the parameter golden-ami: the operation was `Delete`, which puts no AMI in it"],
    ),
    (
        "parameter-store-change-of-plain-string",
        &["Nothing: the parameter /app/version: its data type is `text`, not `aws:ec2:image`"],
    ),
    (
        "parameter-store-change-with-exception",
        &[
            "Nothing: the parameter golden-ami: Systems Manager refused its value: The image id '[ami-047930e7d6aa12e7e]' does not exist",
        ],
    ),
    ("parameter-store-change", &["Publisher: in parameter /golden/linux/latest in us-east-1"]),
    ("s3-notification", &["Nothing: a notification of Amazon S3 tells of objects, of no AMI"]),
    ("s3-test-event", &["Nothing: Amazon S3 tests its connection to this queue: that tells of no AMI"]),
    ("scheduled-event-of-rule", &["Sweep"]),
    ("scheduled-sweep", &["Sweep"]),
    ("sns-in-sqs", &["ImageBuilder: ami-029607494399a1ed6 in us-east-1"]),
    ("sns-raw-in-sqs", &["ImageBuilder: ami-0e15b9bbfaa172b1e in us-east-1"]),
    (
        "sns-subscription-confirmation",
        &[
            "SubscriptionConfirmation: SNS asks whether the subscription to arn:aws:sns:us-east-1:123456789012:golden-images is wanted, and sends nothing until it is confirmed",
        ],
    ),
    ("sns-to-lambda", &["ImageBuilder: ami-030ecef038c6ac291 in us-east-1"]),
    (
        "sqs-batch-of-ten-with-bad-ones",
        &[
            "Available ami-0fdca499a5ab0a7ce in us-east-1",
            "Available ami-0e27e7bc71c323dfa in us-east-1",
            "Available ami-07fcfa4d864bb5e95 in us-east-1",
            "NotUnderstood: the message is no JSON (expected value at line 1 column 1): `image ami-03abd7fa210a8210f is ready`",
            "Available ami-0d5951ed819f50533 in us-east-1",
            "Available ami-008b8e4cdafe6d187 in us-east-1",
            "Available ami-0626ce647e8276018 in us-east-1",
            "InvalidAMIName.Malformed: `Name` is `no`; it must be an AMI name (3 to 128 of letters, digits and `()[] ./-'@_`)",
            "Available ami-0fb196d156342f418 in us-east-1",
            "Available ami-0d35f17b0d58c33ae in us-east-1",
        ],
    ),
    (
        "sqs-batch-of-three",
        &[
            "Available ami-016adcc911630d0c3 in us-east-1",
            "Available ami-0b9be7f833bd120ba in us-east-1",
            "Available ami-01d4e151d821aeef1 in us-east-1",
        ],
    ),
    (
        "sqs-batch-with-duplicate-ids",
        &["Available ami-0f4f5a783c8b5ab54 in us-east-1", "Available ami-0b29f5e99f3369ac0 in us-east-1"],
    ),
    (
        "sqs-batch-with-one-announcement-twice",
        &["Available ami-0745142c142d9b7a8 in us-east-1", "Available ami-0745142c142d9b7a8 in us-east-1"],
    ),
    (
        "sqs-batch-without-message-id",
        &[
            "Available ami-01606fc0fe0d9b926 in us-east-1",
            "NotUnderstood: the message is no JSON (expected ident at line 1 column 2): `not JSON at all`",
        ],
    ),
    ("sqs-batch", &["Available ami-0bd32567ed5fdb5e5 in us-east-1"]),
    ("sqs-empty-batch", &["Nothing: the batch is empty"]),
    (
        "sqs-fifo-batch",
        &[
            "Available ami-07ba90529b3d72d81 in us-east-1",
            "NotUnderstood: the message is no JSON (expected ident at line 1 column 2): `not JSON at all`",
            "Available ami-0aebf3da81dee6b47 in us-east-1",
            "Available ami-0ab2212dab9d29995 in us-east-1",
        ],
    ),
    ("sweep", &["Sweep"]),
    ("tag-change-of-instance", &["Nothing: the tags of a resource `instance` of `ec2` changed, not those of an AMI"]),
    ("tag-change", &["Ec2: ami-0e8ab60d49ca4ce60 in us-east-1"]),
];
