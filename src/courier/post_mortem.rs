//! Post-mortem: a copy failed, mostly because of a key, long after `CopyImage` said yes. Say why, in plain words.
//!
//! The failed AMI still holds its name and says nothing but a few words; together with its snapshots' words and what was
//! planned they make one explanation with advice. Once that is told, the failed AMI is cleared away, so that the next
//! announcement or sweep can try anew.

use super::{Courier, Report, attempting};
use crate::aws::ec2::SnapshotState;
use crate::identity::Identity;
use crate::image::Image;
use crate::outcome::{Error, Rejection};

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

    /// Clears away a failed copy, once its failure is told. Gone already is as good.
    ///
    /// # Errors
    /// Any failure to do so.
    pub async fn clear_away(&self, failed: &crate::identity::ImageId) -> Result<(), Error> {
        let here = self.here();
        match here.deregister(failed).await {
            Ok(()) => Ok(()),
            Err(gone) if gone.is("InvalidAMIID.NotFound") || gone.is("InvalidAMIID.Unavailable") => Ok(()),
            Err(error) => {
                Err(Error::from_aws(&format!("deregistering the failed copy {failed} in {}", here.region), &error))
            }
        }
    }
}

/// Signs in EC2's words (in lower case), what they mean, and what to do. The first that fits is taken.
const CAUSES: [(&[&str], &str, &str); 10] = [
    (
        &[
            "not accessible",
            "inaccessible",
            "does not exist in this region",
            "not found in region",
            "invalid key",
            "key id is invalid",
        ],
        "the KMS key is not in the copy's Region, or the function's role may not use it",
        "check that KMS_KEY_ID names a key of this Region and that its key policy lets the function's role use it \
         (kms:CreateGrant, Decrypt, DescribeKey, GenerateDataKeyWithoutPlaintext, ReEncrypt*)",
    ),
    (
        &["pending deletion", "pendingdeletion"],
        "the KMS key is scheduled for deletion",
        "cancel the key's deletion or set KMS_KEY_ID to another key",
    ),
    (&["disabled"], "the KMS key is disabled", "enable the key or set KMS_KEY_ID to another one"),
    (
        &["creategrant", "grant"],
        "the key policy lacks kms:CreateGrant for the function's role",
        "allow kms:CreateGrant with the condition kms:GrantIsForAWSResource in the key policy",
    ),
    (
        &["source key", "decrypt"],
        "the key of the source's snapshots may not be used",
        "the owner of the source's key must allow the function's role kms:Decrypt, DescribeKey, CreateGrant and ReEncrypt* on it",
    ),
    (
        &["symmetric", "keyusage", "key usage", "keyspec"],
        "the KMS key is of a kind that EBS cannot use",
        "set KMS_KEY_ID to a symmetric encryption key",
    ),
    (
        &["not shared", "permission", "not authorized", "access denied", "accessdenied", "do not have access"],
        "the source's snapshots or their key are not shared with this account",
        "the source's owner must share the snapshots (create volume permission) and the KMS key with this account",
    ),
    (
        &["snapshot not found", "snapshot does not exist", "source snapshot", "was deleted", "no longer exists"],
        "a snapshot of the source disappeared during the copy",
        "check that the source AMI and its snapshots are still there; announce the AMI again, or a newer one",
    ),
    (
        &["limit", "quota", "too many"],
        "a limit of EBS was reached during the copy",
        "ask for a higher limit of snapshots or snapshot copies in this Region; the next announcement or sweep tries anew",
    ),
    (
        &["internal", "server error", "unexpected", "client error"],
        "EC2 failed inside",
        "nothing is wrong with the settings as far as EC2 tells; the next announcement or sweep tries anew",
    ),
];

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
    let cause =
        words.iter().find_map(|said| CAUSES.iter().find(|(signs, _, _)| signs.iter().any(|sign| said.contains(sign))));
    let (meaning, advice) = cause.map_or(
        ("EC2 gives no reason that is known here", "read the words above; the next announcement or sweep tries anew"),
        |(_, meaning, advice)| (*meaning, *advice),
    );
    let mut keys: Vec<&str> = snapshots.iter().filter_map(|snapshot| snapshot.kms_key.as_deref()).collect();
    keys.dedup();
    let key = if keys.is_empty() { String::new() } else { format!(" (key {})", keys.join(", ")) };
    let heard = if heard.is_empty() { "EC2 says nothing".to_owned() } else { heard.join(", ") };
    Rejection::new(
        "CopyFailed",
        format!("the copy {} of {source} to {region} as `{}` failed: {meaning}{key}: {heard}", failed.id, failed.name),
        advice,
    )
}
