//! Post-mortem: a copy failed, mostly because of a key, long after EC2 accepted it. Say why, in plain words.
//!
//! The failed AMI itself says little. Together with the messages of its snapshots it gives one explanation with advice. Once
//! that is reported, the failed AMI is deregistered. The dead letter carries the next try, for when the cause is removed.

use std::collections::BTreeSet;

use courier_core::announcement::OwnMessage;
use courier_core::error::{Error, code};
use courier_core::identity::Identity;
use courier_core::image::{Image, MadeFor};
use serde_json::json;

use super::report::{LastStep, Report};
use super::stack::Courier;
use crate::aws::ec2::SnapshotState;
use crate::aws::error::When;

pub(super) async fn post_mortem(courier: &Courier, failed: &Image, source: &Identity) -> Report {
    let snapshots = match snapshots_of(courier, failed).await {
        Ok(snapshots) => snapshots,
        Err(error) => return courier.failed(Some(source), error),
    };
    let has_key = courier.settings.copying.encryption.key().is_some();
    let rejection = explain(failed, source, &snapshots, courier.settings.stack_region.as_str(), has_key);
    courier
        .failed(Some(source), rejection)
        .with_letter(letter(failed, source))
        .then(LastStep::RemoveFailedCopy(failed.id.clone()))
}

async fn snapshots_of(courier: &Courier, failed: &Image) -> Result<Vec<SnapshotState>, Error> {
    let ids = failed.snapshots();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ec2 = courier.local_ec2();
    let found = ec2.snapshots(ids).await;
    found.when(format_args!("describing the snapshots of the failed copy {} in {}", failed.id, ec2.region))
}

/// What an operator sends back once the cause is removed. A copy made for an announcement names its next try. A request is
/// not known any more, and its tries mean nothing for an announcement: the letter only announces the source.
fn letter(failed: &Image, source: &Identity) -> String {
    if let Some(MadeFor::Announcement(at)) = failed.made_for() {
        return OwnMessage::NextTry { source: source.clone(), next: at.next(), request: None }.body(0);
    }
    let Identity { region, image } = source;
    json!({
        "detail-type": "AMI Copy Request",
        "source": "ami-courier.dead-letter",
        "region": region,
        "resources": [format!("arn:{}:ec2:{region}::image/{image}", region.partition())],
        "detail": {},
    })
    .to_string()
}

/// Signs in EC2's messages (in lower case; all parts of `one+other` must occur), what they mean, and what to do. The first
/// match counts, so the more precise come first.
const CAUSES: [(&[&str], &str, &str); 11] = [
    (
        &["pending deletion", "pendingdeletion"],
        "the KMS key is scheduled for deletion",
        "cancel the key's deletion or set KMS_KEY_ID to another key",
    ),
    (&["disabled"], "the KMS key is disabled", "enable the key or set KMS_KEY_ID to another one"),
    (
        &["creategrant", "grant+key"],
        "the key policy lacks kms:CreateGrant for the function's role",
        "allow kms:CreateGrant with the condition kms:GrantIsForAWSResource in the key policy",
    ),
    (
        &["source key", "kms:decrypt", "reencryptfrom"],
        "the key of the source's snapshots may not be used",
        "the owner of the source's key must allow the function's role kms:Decrypt, DescribeKey, CreateGrant and ReEncrypt* on it",
    ),
    (
        &["symmetric", "keyusage", "key usage", "keyspec", "key spec"],
        "the KMS key is of a kind that EBS cannot use",
        "set KMS_KEY_ID to a symmetric encryption key",
    ),
    (
        &[
            "not accessible",
            "inaccessible",
            "generatedatakey",
            "describekey",
            "reencryptto",
            "invalid key",
            "key id is invalid",
            "key+does not exist",
            "key+not found",
            "alias+not found",
        ],
        "the KMS key is not in the copy's Region, or the function's role may not use it",
        "check that KMS_KEY_ID (or the request's KmsKeyId) names a key of this Region and that its key policy lets the function's role use it \
         (kms:CreateGrant, Decrypt, DescribeKey, GenerateDataKeyWithoutPlaintext, ReEncrypt*)",
    ),
    (
        &["not shared", "permission", "not authorized", "access denied", "accessdenied", "do not have access"],
        "the source's snapshots or their key are not shared with this account",
        "the source's owner must share the snapshots (create volume permission) and the KMS key with this account",
    ),
    (
        &["snapshot+not found", "snapshot+does not exist", "was deleted", "no longer exists"],
        "a snapshot of the source disappeared during the copy",
        "check that the source AMI and its snapshots still exist; announce the AMI again, or a newer one",
    ),
    (
        &["limit", "quota", "too many"],
        "a limit of EBS was reached during the copy",
        "ask for a higher limit of snapshots or snapshot copies in this Region; the next announcement or sweep tries again",
    ),
    (
        &["cancel"],
        "the copy was cancelled",
        "find out who deregistered it or deleted its snapshots while it was pending; the next announcement or sweep tries again",
    ),
    (
        &["internal", "server error", "unexpected", "client error"],
        "EC2 had an internal error",
        "no setting needs a change, as far as EC2 says; the next announcement or sweep tries again",
    ),
];

/// The cause that the first telling message is a sign of.
fn cause_in(messages: &[String]) -> Option<(&'static str, &'static str)> {
    let tells = |message: &str, sign: &str| sign.split('+').all(|part| message.contains(part));
    messages.iter().find_map(|message| {
        let (_, meaning, advice) = CAUSES.iter().find(|(signs, ..)| signs.iter().any(|sign| tells(message, sign)))?;
        Some((*meaning, *advice))
    })
}

fn explain(failed: &Image, source: &Identity, snapshots: &[SnapshotState], region: &str, has_key: bool) -> Error {
    let mut said: Vec<String> = failed.state_reason.iter().map(|message| format!("the AMI says `{message}`")).collect();
    said.extend(
        snapshots
            .iter()
            .filter(|snapshot| !snapshot.message.is_empty())
            .map(|snapshot| format!("the snapshot {} says `{}`", snapshot.id, snapshot.message)),
    );
    // The snapshots' messages are the precise ones, so they come first.
    let messages: Vec<String> = snapshots
        .iter()
        .map(|snapshot| snapshot.message.as_str())
        .chain(failed.state_reason.as_deref())
        .map(str::to_ascii_lowercase)
        .collect();
    let (meaning, advice) = cause_in(&messages).unwrap_or((
        "EC2 gives no reason that this function knows",
        "read EC2's own message, check the key and the source's snapshots; the next announcement or sweep tries again",
    ));
    let keys: BTreeSet<&str> = snapshots.iter().filter_map(|snapshot| snapshot.kms_key.as_deref()).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let key = if keys.is_empty() { String::new() } else { format!(" (key {})", keys.join(", ")) };
    // A request may have named a key of its own.
    let is_default = !has_key && matches!(failed.made_for(), Some(MadeFor::Announcement(_)));
    let key = if is_default && advice.contains("KMS_KEY_ID") {
        format!("{key} (KMS_KEY_ID is not set: the EBS default key)")
    } else {
        key
    };
    let said = if said.is_empty() { "EC2 says nothing".to_owned() } else { said.join(", ") };
    Error::rejected(
        code::COPY_FAILED,
        format!("the copy {} of {source} to {region} as `{}` failed: {meaning}{key}: {said}", failed.id, failed.name),
        advice,
    )
}
