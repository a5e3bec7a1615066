//! A copy that failed is explained, in plain words with advice, on the bus, in the log and in a dead letter; then it is
//! deregistered. What follows is in `next_try`.

use std::collections::BTreeMap;
use std::time::Duration;

use local::aws::{CopyFailure, Fault, SnapshotDeletion, StateReason};
use local::host::Host;
use serde_json::Value;

use crate::life::{announced, built, done, ended, on_bus, stage, take_dead, told, until};
use crate::stage::{HERE, Stage, THERE, batch, state_change, words};

const AMI: &str = "ami-0abcdef1234567890";
const INTERNAL: &str = "Copy image failed with an internal error.";

/// EC2's message about the AMI and about its snapshot, and what the explanation must say and advise.
struct Kind {
    reason: Option<&'static str>,
    snapshot: Option<&'static str>,
    meaning: &'static str,
    advice: &'static str,
}

const KINDS: [Kind; 16] = [
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some("Given key ID is not accessible"),
        meaning: "the KMS key is not in the copy's Region, or the function's role may not use it",
        advice: "names a key of this Region",
    },
    Kind {
        reason: Some(
            "AMI snapshot copy failed with error: Given key ID is not accessible. You must have DescribeKey permissions on the default CMK",
        ),
        snapshot: None,
        meaning: "the KMS key is not in the copy's Region, or the function's role may not use it",
        advice: "kms:CreateGrant, Decrypt, DescribeKey, GenerateDataKeyWithoutPlaintext, ReEncrypt*",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some("Key 'arn:aws:kms:eu-west-1:123456789012:key/1234' does not exist"),
        meaning: "the KMS key is not in the copy's Region",
        advice: "names a key of this Region",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some("Alias arn:aws:kms:eu-west-1:123456789012:alias/golden is not found."),
        meaning: "the KMS key is not in the copy's Region",
        advice: "KMS_KEY_ID",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some("arn:aws:kms:eu-west-1:123456789012:key/1234 is pending deletion."),
        meaning: "the KMS key is scheduled for deletion",
        advice: "cancel the key's deletion",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some("Given key ID is not accessible: arn:aws:kms:eu-west-1:123456789012:key/1234 is disabled."),
        meaning: "the KMS key is disabled",
        advice: "enable the key",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some(
            "User: arn:aws:sts::123456789012:assumed-role/courier is not authorized to perform: kms:CreateGrant on this resource \
             because no resource-based policy allows the kms:CreateGrant action",
        ),
        meaning: "the key policy lacks kms:CreateGrant",
        advice: "kms:GrantIsForAWSResource",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some("User is not authorized to perform: kms:GenerateDataKeyWithoutPlaintext on this resource"),
        meaning: "the function's role may not use it",
        advice: "GenerateDataKeyWithoutPlaintext",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some("User is not authorized to perform: kms:Decrypt on the source key"),
        meaning: "the key of the source's snapshots may not be used",
        advice: "the owner of the source's key must allow",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some("InvalidKeyUsageException: the key is not a symmetric encryption key"),
        meaning: "of a kind that EBS cannot use",
        advice: "symmetric encryption key",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: Some("You do not have permission to access the source snapshot"),
        meaning: "not shared with this account",
        advice: "create volume permission",
    },
    Kind {
        reason: Some("The snapshot 'snap-0123456789abcdef0' does not exist."),
        snapshot: None,
        meaning: "a snapshot of the source disappeared",
        advice: "still exist",
    },
    Kind {
        reason: Some("Too many snapshot copies in progress"),
        snapshot: None,
        meaning: "a limit of EBS was reached",
        advice: "ask for a higher limit",
    },
    Kind {
        reason: Some(INTERNAL),
        snapshot: None,
        meaning: "EC2 had an internal error",
        advice: "the next announcement or sweep tries again",
    },
    Kind {
        reason: Some("Quantum decoherence"),
        snapshot: None,
        meaning: "EC2 gives no reason that this function knows",
        advice: "read EC2's own message",
    },
    Kind { reason: None, snapshot: None, meaning: "EC2 says nothing", advice: "check the key" },
];

#[tokio::test]
async fn each_kind_of_failed_copy_is_explained_on_bus_log_and_dead_letter_queue_and_none_is_left_behind() {
    let stage = stage().await;
    let sources: Vec<(String, &Kind)> =
        (0..).zip(&KINDS).map(|(n, kind)| (format!("ami-000000000000000{n:02}"), kind)).collect();
    for (source, kind) in &sources {
        let mut world = stage.aws.world();
        world.add_image(THERE, built(source, &format!("golden {source}"), 90));
        let state_reason = kind.reason.map(|message| StateReason::new("Client.InternalError", message));
        world.fail_next_copy(source, CopyFailure { state_reason, snapshot_message: kind.snapshot.map(str::to_owned) });
    }
    let function = stage.function().await;
    let mut copies = BTreeMap::new();
    for (source, _) in &sources {
        copies.insert(source, announced(&function, source).await);
    }
    stage.aws.world().advance(Duration::from_secs(1200));
    let snapshots = stage.aws.world().snapshots(HERE);
    assert_eq!(snapshots.len(), KINDS.len());
    for copy in copies.values() {
        assert!(done(&function, &told(copy, "failed", 1)).await);
    }
    assert_eq!(stage.copies().len(), 0, "no failed AMI is left behind");
    assert_eq!(stage.aws.world().snapshots(HERE), Vec::<String>::new(), "nor a snapshot");
    let dead = take_dead(&stage);
    let events = on_bus(&stage, "Rejected");
    let logs = function.logs();
    assert_eq!((dead.len(), events.len()), (KINDS.len(), KINDS.len()));
    for (source, kind) in &sources {
        let copy = &copies[source];
        let (_, letter) = dead.iter().find(|(_, letter)| letter["SourceImageId"] == *source).expect("a dead letter");
        let event = events.iter().find(|event| event.detail["SourceImageId"] == source.as_str()).expect("an event");
        let line = logs.iter().find(|line| line.contains("rejected") && line.contains(copy.as_str()));
        let [explanation, advice] = ["Explanation", "Advice"].map(|field| event.detail[field].as_str().unwrap());
        let message = format!("{explanation}. {advice}.");
        assert_eq!(format!("{} {}", letter["Explanation"], letter["Advice"]), message);
        for expected in
            [kind.meaning, kind.advice, copy, source, HERE, kind.reason.unwrap_or(""), kind.snapshot.unwrap_or("")]
        {
            assert!(message.contains(expected), "`{expected}` is not in: {message}");
        }
        assert_eq!(event.detail["Code"], "CopyFailed");
        assert_eq!(event.detail["ImageId"], copy.as_str());
        assert_eq!(event.resources, [format!("arn:aws:ec2:{HERE}::image/{copy}")]);
        assert!(line.is_some_and(|line| line.contains(kind.meaning)), "{line:?}");
    }
    let metric = |line: &&String| line.contains("\"Code\":\"CopyFailed\"") && line.contains("\"Rejected\"");
    assert!(logs.iter().any(|line| metric(&line)), "the metric is counted by code");
}

#[tokio::test]
async fn a_key_that_no_setting_names_is_said_to_be_the_default_one() {
    for (setting, is_default) in [("", true), ("alias/golden", false)] {
        let stage = stage().await.set("ENCRYPTED", "true").set("KMS_KEY_ID", setting).with(|world| {
            world.add_image(THERE, built(AMI, "golden-1", 90));
            world.fail_next_copy(AMI, CopyFailure::key_not_accessible());
        });
        let function = stage.function().await;
        let copy = ended(&stage, &function, AMI).await;
        assert!(done(&function, &told(&copy, "failed", 1)).await);
        let (_, letter) = take_dead(&stage).remove(0);
        let said = letter["Explanation"].contains("KMS_KEY_ID is not set: the EBS default key");
        assert_eq!(said, is_default, "{letter:?}");
    }
}

#[tokio::test]
async fn the_key_of_the_failed_copy_is_named() {
    let key = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";
    let stage = stage().await.set("KMS_KEY_ID", key).with(|world| {
        world.add_image(THERE, built(AMI, "golden-1", 90));
    });
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    assert!(done(&function, &told(&copy, "failed", 1)).await);
    let (_, letter) = take_dead(&stage).remove(0);
    assert!(words(&letter).contains(key), "{letter:?}");
}

/// A world in which the next copies of [`AMI`] fail.
pub async fn doomed(times: usize) -> (Stage, Host) {
    let stage = stage().await.with(|world| {
        world.add_image(THERE, built(AMI, "golden-1", 90));
        for _ in 0..times {
            world.fail_next_copy(AMI, CopyFailure::key_not_accessible());
        }
    });
    let function = stage.function().await;
    (stage, function)
}

#[tokio::test]
async fn a_crash_between_the_report_and_the_deregistration_repeats_the_report_and_loses_nothing() {
    let (stage, function) = doomed(1).await;
    let copy = ended(&stage, &function, AMI).await;
    stage.aws.world().fault(Fault::on("DeregisterImage").nth(1).slow(Duration::from_secs(60)));
    let message = told(&copy, "failed", 1);
    let killed = async {
        until(|| stage.actions().contains(&"DeregisterImage".to_owned())).await;
        function.kill().await;
    };
    let (died, ()) = tokio::join!(function.invoke(&message), killed);
    assert!(died.is_err());
    assert_eq!((on_bus(&stage, "Rejected").len(), stage.dead().len()), (1, 1));
    assert_eq!(stage.copies().len(), 1);
    assert!(done(&function, &told(&copy, "failed", 2)).await);
    assert_eq!((on_bus(&stage, "Rejected").len(), stage.dead().len()), (2, 2));
    assert_eq!(stage.copies().len(), 0);
}

#[tokio::test]
async fn a_failed_copy_is_kept_until_its_failure_is_reported() {
    for (action, code) in [("PutEvents", "InternalException"), ("SendMessage", "InternalError")] {
        let (stage, function) = doomed(1).await;
        let copy = ended(&stage, &function, AMI).await;
        stage.aws.world().fault(Fault::on(action).error(500, code, "not now"));
        assert!(!done(&function, &told(&copy, "failed", 1)).await, "{action}");
        assert_eq!(stage.copies().len(), 1, "{action}");
        stage.aws.world().clear_faults();
        assert!(done(&function, &told(&copy, "failed", 2)).await, "{action}");
        assert_eq!((stage.copies().len(), stage.dead().len()), (0, 1), "{action}");
        assert!(!on_bus(&stage, "Rejected").is_empty());
    }
}

#[tokio::test]
async fn a_failed_copy_is_kept_for_an_hour_while_the_bus_refuses_its_event_without_a_reason() {
    let (stage, function) = doomed(1).await;
    let copy = ended(&stage, &function, AMI).await;
    stage.aws.world().fault(Fault::on("PutEvents").error(400, "InvalidRequest", "Words that nobody has seen yet"));
    assert!(!done(&function, &told(&copy, "failed", 1)).await);
    assert_eq!((stage.copies().len(), stage.dead().len()), (1, 0));
    stage.aws.world().advance(Duration::from_secs(40 * 60));
    assert!(done(&function, &told(&copy, "failed", 2)).await);
    assert_eq!((stage.copies().len(), stage.dead().len()), (0, 1));
}

#[tokio::test]
async fn a_bus_that_does_not_exist_keeps_no_failed_copy() {
    let (stage, function) = doomed(1).await;
    let copy = ended(&stage, &function, AMI).await;
    stage.aws.world().fault(Fault::on("PutEvents").error(
        400,
        "ResourceNotFoundException",
        "Event bus x does not exist.",
    ));
    assert!(done(&function, &told(&copy, "failed", 1)).await);
    assert_eq!((stage.copies().len(), stage.dead().len()), (0, 1));
}

#[tokio::test]
async fn without_a_dead_letter_queue_bus_and_log_have_the_reason_and_the_copy_is_deregistered() {
    let stage = stage().await.set("DEAD_LETTER_QUEUE_URL", "").source(AMI, "golden-1");
    stage.aws.world().fail_next_copy(AMI, CopyFailure::key_not_accessible());
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    assert!(done(&function, &told(&copy, "failed", 1)).await);
    assert_eq!(stage.copies().len(), 0);
    assert_eq!(on_bus(&stage, "Rejected").len(), 1);
    assert!(function.logs().iter().any(|line| line.contains("rejected") && line.contains("KMS key")));
    // The same through EventBridge alone: there the caller gets the error, too.
    stage.aws.world().fail_next_copy(AMI, CopyFailure::key_not_accessible());
    let copy = ended(&stage, &function, AMI).await;
    let error = function.invoke(&state_change(HERE, &copy, "failed")).await.unwrap_err().to_string();
    assert!(error.contains("KMS key"), "{error}");
    assert_eq!(stage.copies().len(), 0);
}

#[tokio::test]
async fn a_failed_copy_is_deregistered_even_if_another_ami_of_the_message_must_wait() {
    let (stage, function) = doomed(1).await;
    let failed = ended(&stage, &function, AMI).await;
    let other = "ami-00000000000000011";
    stage.aws.world().add_image(THERE, built(other, "golden-2", 90));
    let pending = announced(&function, other).await;
    let mut event: Value = state_change(HERE, &failed, "failed");
    let arns = [&failed, &pending].map(|id| format!("arn:aws:ec2:{HERE}::image/{id}"));
    event["resources"] = arns.to_vec().into();
    assert!(!done(&function, &batch([("m1", event.to_string())])).await);
    assert_eq!(stage.dead().len(), 1);
    assert!(stage.aws.world().image(HERE, &failed).is_none());
}

#[tokio::test]
async fn a_failed_copy_that_is_gone_already_or_whose_deregistration_is_throttled_is_done() {
    for fault in
        [Fault::on("DeregisterImage").nth(1).drop_after_effect(), Fault::on("DeregisterImage").nth(1).throttle()]
    {
        let (stage, function) = doomed(1).await;
        let copy = ended(&stage, &function, AMI).await;
        stage.aws.world().fault(fault);
        assert!(done(&function, &told(&copy, "failed", 1)).await);
        assert_eq!((stage.copies().len(), stage.dead().len()), (0, 1));
    }
}

/// `DeregisterImage` may not find a young AMI that a look by id has shown.
#[tokio::test]
async fn a_failed_copy_that_ec2_does_not_find_yet_is_removed_by_the_next_delivery_and_one_of_an_old_message_is_gone() {
    for (age, is_done) in [(Duration::ZERO, false), (Duration::from_secs(16 * 60), true)] {
        let (stage, function) = doomed(1).await;
        let copy = ended(&stage, &function, AMI).await;
        let sent_at = stage.aws.world().now() - age;
        let mut message = told(&copy, "failed", 1);
        message["Records"][0]["attributes"]["SentTimestamp"] = (sent_at.unix_timestamp() * 1000).to_string().into();
        let not_found = Fault::on("DeregisterImage").nth(1);
        stage.aws.world().fault(not_found.error(400, "InvalidAMIID.NotFound", "The image id does not exist"));
        assert_eq!(done(&function, &message).await, is_done, "{age:?}");
        assert_eq!(stage.copies().len(), 1);
        assert!(done(&function, &told(&copy, "failed", 2)).await);
        assert_eq!(stage.copies().len(), 0);
    }
}

#[tokio::test]
async fn a_deregistration_that_leaves_snapshots_behind_names_them_in_the_log() {
    for deletion in
        [SnapshotDeletion::MissingPermissions, SnapshotDeletion::InternalError, SnapshotDeletion::ClientError]
    {
        let (stage, function) = doomed(1).await;
        let copy = ended(&stage, &function, AMI).await;
        stage.aws.world().behaviour.snapshot_deletion = deletion;
        assert!(done(&function, &told(&copy, "failed", 1)).await);
        assert_eq!((stage.copies().len(), stage.dead().len()), (0, 1));
        let [left] = stage.aws.world().snapshots(HERE).try_into().expect("one snapshot");
        let names_it = |line: &String| line.contains("delete them by hand") && line.contains(&left);
        assert!(function.logs().iter().any(names_it), "{deletion:?}: {:#?}", function.logs());
    }
}

/// EC2 does not document that `CopyImage` refuses a name that another AMI has. If it does, a failed copy frees its name.
#[tokio::test]
async fn a_failed_copy_whose_name_the_next_try_needs_is_reported_before_it_is_deregistered() {
    let (stage, function) = doomed(1).await;
    stage.aws.world().behaviour.copy_image_refuses_taken_names = true;
    let failed = ended(&stage, &function, AMI).await;
    // The source is announced again before the event of the failure has come.
    let again = batch([("m1", state_change(THERE, AMI, "available").to_string())]);
    stage.aws.world().fault(Fault::on("DeregisterImage").nth(1).error(500, "Unavailable", "not now"));
    assert!(!done(&function, &again).await);
    let events = on_bus(&stage, "Rejected");
    assert_eq!((events.len(), stage.dead().len()), (1, 1));
    assert_eq!(events[0].detail["ImageId"], failed.as_str());
    assert!(events[0].detail["Explanation"].as_str().unwrap().contains("KMS key"));
    assert!(done(&function, &again).await);
    let [next] = stage.copies().try_into().expect("the next copy alone");
    assert!(next.id != failed && next.name == "golden-1", "{next:?}");
    assert!(done(&function, &told(&failed, "failed", 1)).await);
    assert_eq!(stage.dead().len(), 1);
}
