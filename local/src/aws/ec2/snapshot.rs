//! EBS snapshots. Each belongs to its AMI, until the AMI is deregistered without it.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::image::is_well_formed;
use crate::aws::call::Caller;
use crate::aws::clock::START;
use crate::aws::error::ApiError;
use crate::aws::kms::default_key_arn;
use crate::aws::region::Region;
use crate::aws::world::World;

/// An EBS snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// `snap-` and 8 or 17 hexadecimal digits.
    pub id: String,
    pub size_gib: u32,
    pub encrypted: bool,
    /// The ARN of the key of an encrypted snapshot; see [`default_key_arn`](crate::aws::default_key_arn) for `aws/ebs`.
    pub kms_key: Option<String>,
    pub state: SnapshotState,
    pub state_message: Option<String>,
    pub description: String,
    pub tags: BTreeMap<String, String>,
    /// Accounts that may create volumes from it and copy it; `all` is everybody.
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
    #[must_use]
    pub fn encrypted_with(mut self, key_arn: &str) -> Self {
        self.encrypted = true;
        self.kms_key = Some(key_arn.to_owned());
        self
    }

    #[must_use]
    pub fn size_gib(mut self, size: u32) -> Self {
        self.size_gib = size;
        self
    }

    #[must_use]
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
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SnapshotState::Pending => "pending",
            SnapshotState::Completed => "completed",
            SnapshotState::Error => "error",
        }
    }
}

/// A snapshot whose AMI was deregistered without it.
#[derive(Clone, Debug)]
pub(in crate::aws) struct Orphan {
    pub(in crate::aws) owner: String,
    pub(in crate::aws) snapshot: Snapshot,
}

/// # Errors
/// `InvalidSnapshotID.Malformed`
pub(super) fn check_snapshot_id(id: &str) -> Result<(), ApiError> {
    if is_well_formed(id, "snap") {
        return Ok(());
    }
    Err(ApiError::client(
        "InvalidSnapshotID.Malformed",
        format!("Value ({id}) for parameter snapshotId is invalid. Expected: 'snap-...'."),
    ))
}

pub(super) fn snapshot_not_found(id: &str) -> ApiError {
    ApiError::client("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."))
}

impl World {
    /// A snapshot that the caller owns or that is shared with it, and its owner.
    pub(super) fn visible_snapshot(&self, caller: &Caller, id: &str) -> Result<(&str, &Snapshot), ApiError> {
        check_snapshot_id(id)?;
        self.region(&caller.region)
            .into_iter()
            .flat_map(Region::snapshots)
            .find(|(owner, snapshot)| snapshot.id == id && snapshot.is_visible_to(owner, &caller.account))
            .ok_or_else(|| snapshot_not_found(id))
    }

    /// # Errors
    /// If the caller cannot see the snapshot, or does not own it.
    pub(super) fn check_owns_snapshot(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let (owner, _) = self.visible_snapshot(caller, id)?;
        if owner == caller.account {
            return Ok(());
        }
        Err(ApiError::client("OperationNotPermitted", format!("You do not own the snapshot '{id}'.")))
    }

    /// Changes a snapshot of the Region.
    pub(super) fn change_snapshot(&mut self, region: &str, id: &str, change: impl Fn(&mut Snapshot)) {
        let snapshots = self.region_mut(region).snapshots_mut();
        snapshots.filter(|snapshot| snapshot.id == id).for_each(change);
    }
}
