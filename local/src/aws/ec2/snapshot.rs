//! EBS snapshots: what EC2 keeps of one, and who may use it.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use crate::aws::clock::START;
use crate::aws::kms::default_key_arn;

/// An EBS snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// `snap-` and 8 or 17 hexadecimal digits.
    pub id: String,
    pub size_gib: u32,
    pub encrypted: bool,
    /// The ARN of the key of an encrypted snapshot; see [`default_key_arn`] for `aws/ebs`.
    pub kms_key: Option<String>,
    pub state: SnapshotState,
    pub state_message: Option<String>,
    pub description: String,
    pub tags: BTreeMap<String, String>,
    /// Accounts that may create volumes from it and copy it; `all` is everyone.
    pub shared_with: BTreeSet<String>,
    pub start_time: OffsetDateTime,
}

impl Snapshot {
    /// A completed, unencrypted snapshot of 8 GiB.
    pub fn new(id: impl Into<String>) -> Self {
        Snapshot {
            id: id.into(),
            size_gib: 8,
            encrypted: false,
            kms_key: None,
            state: SnapshotState::Completed,
            state_message: None,
            description: String::new(),
            tags: BTreeMap::new(),
            shared_with: BTreeSet::new(),
            start_time: START,
        }
    }

    /// Encrypts it with the key of this ARN.
    pub fn encrypted_with(mut self, key_arn: &str) -> Self {
        self.encrypted = true;
        self.kms_key = Some(key_arn.to_owned());
        self
    }

    pub fn size_gib(mut self, size: u32) -> Self {
        self.size_gib = size;
        self
    }

    pub fn shared_with(mut self, account: &str) -> Self {
        self.shared_with.insert(account.to_owned());
        self
    }

    pub(super) fn is_visible_to(&self, owner: &str, account: &str) -> bool {
        owner == account || self.is_shared_with(account)
    }

    /// Whether it is under the AWS-managed key, which no other account can use.
    pub(super) fn has_default_key(&self, region: &str, owner: &str) -> bool {
        self.encrypted && self.kms_key.as_ref().is_none_or(|key| *key == default_key_arn(region, owner))
    }

    pub(super) fn is_shared_with(&self, account: &str) -> bool {
        self.shared_with.contains(account) || self.shared_with.contains("all")
    }
}

/// The states of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotState {
    Pending,
    Completed,
    Error,
}

impl SnapshotState {
    /// As EC2 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            SnapshotState::Pending => "pending",
            SnapshotState::Completed => "completed",
            SnapshotState::Error => "error",
        }
    }
}
