//! Post-mortem: a copy failed, mostly because of a key, long after `CopyImage` said yes. Say why, in plain words.
//!
//! The failed AMI still holds its name and says nothing but a few words; together with its snapshots' words and what was
//! planned they make one explanation with advice. Once that is told, the failed AMI is cleared away, so that the next
//! announcement or sweep can try anew.

use std::collections::BTreeSet;

use tracing::warn;

use super::{Courier, Report, attempting};
use crate::aws::ec2::SnapshotState;
use courier_core::identity::{Identity, ImageId};
use courier_core::image::Image;
use courier_core::outcome::{Error, Rejection};

impl Courier {
    pub(super) async fn post_mortem(&self, failed: &Image, source: &Identity) -> Report {
        let route = Some(self.route(source));
        let here = self.here();
        let snapshots = match failed.snapshots() {
            none if none.is_empty() => Vec::new(),
            ids => {
                let looking =
                    attempting(format!("describing the snapshots of the failed copy {} in {}", failed.id, here.region));
                match here.snapshots(ids).await.map_err(looking) {
                    Ok(snapshots) => snapshots,
                    Err(error) => return Report::new(route, Err(error)),
                }
            }
        };
        let rejection = explain(failed, source, &snapshots, &here.region.to_string());
        Report { route, result: Err(Error::Rejected(rejection)), remains: Some(failed.id.clone()) }
    }

    /// Clears away a failed copy, once its failure is told.
    ///
    /// # Errors
    /// Any failure to do so.
    pub async fn clear_away(&self, failed: &ImageId) -> Result<(), Error> {
        let here = self.here();
        let clearing = attempting(format!("deregistering the failed copy {failed} in {}", here.region));
        here.deregister(failed).await.map_err(clearing)
    }

    /// Explains and clears away a failed copy that holds the name which the next try needs, and answers why it failed.
    /// Its own event then finds nothing any more, so it is told here; the bus may not stop the next try.
    pub(super) async fn make_way(&self, failed: &Image, of: &Identity) -> Result<String, Error> {
        let source = failed.courier_source();
        let report = self.post_mortem(failed, source.as_ref().unwrap_or(of)).await;
        let why = match &report.result {
            Err(Error::Rejected(rejection)) => rejection,
            Err(error) => return Err(error.clone()),
            Ok(outcome) => return Ok(outcome.name().to_owned()),
        };
        warn!(failed = %failed.id, explanation = why.words, advice = why.advice, "a failed copy makes way for the next try");
        if let Err(error) = self.tell(&report).await {
            warn!(failed = %failed.id, %error, "the event bus was not told");
        }
        self.clear_away(&failed.id).await?;
        Ok(why.words.clone())
    }
}

/// Signs in EC2's words (in lower case; all parts of `one+other` must be there), what they mean, and what to do. The first
/// that fits is taken, so the more precise come first.
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
        "check that KMS_KEY_ID names a key of this Region and that its key policy lets the function's role use it \
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
        "check that the source AMI and its snapshots are still there; announce the AMI again, or a newer one",
    ),
    (
        &["limit", "quota", "too many"],
        "a limit of EBS was reached during the copy",
        "ask for a higher limit of snapshots or snapshot copies in this Region; the next announcement or sweep tries anew",
    ),
    (
        &["cancel"],
        "the copy was cancelled",
        "find out who deregistered it or deleted its snapshots while it was made; the next announcement or sweep tries anew",
    ),
    (
        &["internal", "server error", "unexpected", "client error"],
        "EC2 failed inside",
        "nothing is wrong with the settings as far as EC2 tells; the next announcement or sweep tries anew",
    ),
];

/// The first cause that one of these words is a sign of; the words that come first are looked at first.
fn cause_in(words: &[String]) -> Option<(&'static str, &'static str)> {
    let tells = |said: &str, sign: &str| sign.split('+').all(|part| said.contains(part));
    words.iter().find_map(|said| {
        let (_, meaning, advice) = CAUSES.iter().find(|(signs, ..)| signs.iter().any(|sign| tells(said, sign)))?;
        Some((*meaning, *advice))
    })
}

fn explain(failed: &Image, source: &Identity, snapshots: &[SnapshotState], region: &str) -> Rejection {
    let mut heard: Vec<String> = failed.state_reason.iter().map(|words| format!("the AMI says `{words}`")).collect();
    heard.extend(
        snapshots
            .iter()
            .filter(|snapshot| !snapshot.message.is_empty())
            .map(|snapshot| format!("the snapshot {} says `{}`", snapshot.id, snapshot.message)),
    );
    // The snapshots' words are the precise ones, so they are read first.
    let words: Vec<String> = snapshots
        .iter()
        .map(|snapshot| snapshot.message.as_str())
        .chain(failed.state_reason.as_deref())
        .map(str::to_ascii_lowercase)
        .collect();
    let (meaning, advice) = cause_in(&words).unwrap_or((
        "EC2 gives no reason that is known here",
        "read EC2's own words, look at the key and at the source's snapshots; the next announcement or sweep tries anew",
    ));
    let keys: BTreeSet<&str> = snapshots.iter().filter_map(|snapshot| snapshot.kms_key.as_deref()).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let key = if keys.is_empty() { String::new() } else { format!(" (key {})", keys.join(", ")) };
    let heard = if heard.is_empty() { "EC2 says nothing".to_owned() } else { heard.join(", ") };
    Rejection::new(
        "CopyFailed",
        format!("the copy {} of {source} to {region} as `{}` failed: {meaning}{key}: {heard}", failed.id, failed.name),
        advice,
    )
}
