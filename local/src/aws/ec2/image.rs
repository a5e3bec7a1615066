//! AMIs: what EC2 keeps of one, and who may see it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use time::OffsetDateTime;

use super::snapshot::Snapshot;
use super::visibility::Visibility;
use crate::aws::account::ACCOUNT;
use crate::aws::clock::START;
use crate::aws::digest::ec2_id;

/// An AMI. Tests set its fields as they like.
#[derive(Clone, Debug)]
pub struct Image {
    /// `ami-` and 8 or 17 hexadecimal digits: EC2 refuses other ids as malformed.
    pub id: String,
    pub name: String,
    pub owner: String,
    /// Such as `amazon`.
    pub owner_alias: Option<String>,
    pub state: ImageState,
    pub state_reason: Option<StateReason>,
    pub description: Option<String>,
    /// Visible to the owner only, but for shared tags: see [`Behaviour::shared_tags_visible`](crate::aws::Behaviour).
    pub tags: BTreeMap<String, String>,
    /// In the order of the block devices; the first is the root device's.
    pub snapshots: Vec<Snapshot>,
    /// The block devices after those of the snapshots.
    pub blank_volumes: Vec<BlankVolume>,
    pub creation_date: OffsetDateTime,
    pub launch_permissions: BTreeSet<LaunchPermission>,
    pub deprecation_time: Option<OffsetDateTime>,
    pub deregistration_protection: Protection,
    pub source_image_id: Option<String>,
    pub source_image_region: Option<String>,
    /// Set by `CreateImage` only, which sets the two above as well. Visible to the owner only.
    pub source_instance_id: Option<String>,
    /// The keys of its watermarks, `account:name`. Everyone who sees the AMI sees them.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageWatermark.html>
    pub watermarks: BTreeSet<String>,
    pub last_launched_time: Option<OffsetDateTime>,
    pub(super) launches: Vec<Launch>,
    /// What `DescribeImageReferences` finds, besides the SSM parameters of this world.
    pub referenced_by: Vec<Reference>,
    pub architecture: String,
    pub platform_details: String,
    pub root_device_name: String,
    /// Whether it is an instance store-backed AMI, whose root volume is in Amazon S3.
    pub s3_backed: bool,
    /// What `CopyImage` answers instead of a copy.
    pub(super) copies_refused: Option<CopyRefusal>,
    pub boot_mode: Option<String>,
    pub imds_support: Option<String>,
    pub tpm_support: Option<String>,
    pub(super) visibility: Visibility,
    /// How it was before its last changes, oldest first.
    pub(super) earlier: Vec<Earlier>,
    /// The end of the cooldown after protection was disabled.
    pub(super) protected_until: Option<OffsetDateTime>,
}

/// What calls change of an AMI besides its state, as it was until a time. See `earlier`.
#[derive(Clone, Debug)]
pub(super) struct Earlier {
    pub(super) until: OffsetDateTime,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) description: Option<String>,
    pub(super) imds_support: Option<String>,
    pub(super) deprecation_time: Option<OffsetDateTime>,
    pub(super) deregistration_protection: Protection,
    pub(super) launch_permissions: BTreeSet<LaunchPermission>,
}

/// What `CopyImage` answers instead of a copy, for good or until a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CopyRefusal {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) until: Option<OffsetDateTime>,
}

impl Image {
    /// An available AMI of the default account, created when the world began, with one unencrypted snapshot of 8 GiB
    /// and nothing else.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        let id = id.into();
        let snapshot = Snapshot::new(ec2_id("snap", &id));
        Image {
            id,
            name: name.into(),
            owner: ACCOUNT.to_owned(),
            owner_alias: None,
            state: ImageState::Available,
            state_reason: None,
            description: None,
            tags: BTreeMap::new(),
            snapshots: vec![snapshot],
            blank_volumes: Vec::new(),
            creation_date: START,
            launch_permissions: BTreeSet::new(),
            deprecation_time: None,
            deregistration_protection: Protection::Disabled,
            source_image_id: None,
            source_image_region: None,
            source_instance_id: None,
            watermarks: BTreeSet::new(),
            last_launched_time: None,
            launches: Vec::new(),
            referenced_by: Vec::new(),
            architecture: "x86_64".to_owned(),
            platform_details: "Linux/UNIX".to_owned(),
            root_device_name: "/dev/xvda".to_owned(),
            s3_backed: false,
            copies_refused: None,
            boot_mode: None,
            imds_support: None,
            tpm_support: None,
            visibility: Visibility::since_start(),
            earlier: Vec::new(),
            protected_until: None,
        }
    }

    pub fn owner(mut self, account: &str) -> Self {
        account.clone_into(&mut self.owner);
        self
    }

    pub fn state(mut self, state: ImageState) -> Self {
        self.state = state;
        self
    }

    pub fn description(mut self, text: &str) -> Self {
        self.description = Some(text.to_owned());
        self
    }

    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn s3_backed(mut self) -> Self {
        self.s3_backed = true;
        self
    }

    /// `CopyImage` refuses it with this code and message, for good or until a time. Seen in public, with `InvalidRequest`: "Images
    /// from AWS Marketplace cannot be copied to another AWS account", or of a young AMI "The storage for the ami is not available in
    /// the source Region." A policy that denies the call answers `UnauthorizedOperation` (documented).
    pub fn copies_refused(mut self, code: &str, message: &str, until: Option<OffsetDateTime>) -> Self {
        self.copies_refused = Some(CopyRefusal { code: code.to_owned(), message: message.to_owned(), until });
        self
    }

    pub fn created(mut self, at: OffsetDateTime) -> Self {
        self.creation_date = at;
        self
    }

    /// Replaces all snapshots.
    pub fn snapshots(mut self, snapshots: impl IntoIterator<Item = Snapshot>) -> Self {
        self.snapshots = snapshots.into_iter().collect();
        self
    }

    /// Adds a block device with a size and no snapshot. `DescribeImages` says nothing about its encryption.
    pub fn blank_volume(mut self, size_gib: u32) -> Self {
        self.blank_volumes.push(BlankVolume { size_gib, encrypted: None });
        self
    }

    /// Makes it a copy of that AMI.
    pub fn copy_of(mut self, source_image_id: &str, source_region: &str) -> Self {
        self.source_image_id = Some(source_image_id.to_owned());
        self.source_image_region = Some(source_region.to_owned());
        self
    }

    /// Makes it an AMI that `CreateImage` made from an instance, which was launched from that AMI in the same Region.
    pub fn made_from_instance_of(mut self, source_image_id: &str, region: &str) -> Self {
        self.source_instance_id = Some(ec2_id("i", &self.id));
        self.copy_of(source_image_id, region)
    }

    /// Attaches a watermark, `account:name`.
    pub fn watermark(mut self, key: &str) -> Self {
        self.watermarks.insert(key.to_owned());
        self
    }

    /// Shares the AMI and its snapshots with an account.
    pub fn shared_with(mut self, account: &str) -> Self {
        self.launch_permissions.insert(LaunchPermission::UserId(account.to_owned()));
        for snapshot in &mut self.snapshots {
            snapshot.shared_with.insert(account.to_owned());
        }
        self
    }

    /// Makes the AMI public, but not its snapshots, as is common.
    pub fn public(mut self) -> Self {
        self.launch_permissions.insert(LaunchPermission::Everyone);
        self
    }

    pub fn is_public(&self) -> bool {
        self.launch_permissions.contains(&LaunchPermission::Everyone)
    }

    /// `LastLaunchedTime` as it is shown at this time.
    pub(super) fn shown_last_launched_time(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let shown = self.launches.iter().filter(|launch| launch.shown_from <= now).map(|launch| launch.at);
        self.last_launched_time.into_iter().chain(shown).max()
    }

    /// Whether an account may see and launch it. Sharing with an organization has no effect here: the world knows no
    /// organizations.
    pub(super) fn is_visible_to(&self, account: &str) -> bool {
        self.owner == account
            || self.is_public()
            || self.launch_permissions.contains(&LaunchPermission::UserId(account.to_owned()))
    }
}

/// A launch of an AMI by its owner, and from when on `LastLaunchedTime` shows it.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) at: OffsetDateTime,
    pub(super) shown_from: OffsetDateTime,
}

/// A block device with a size and no snapshot: instances get an empty volume. It is legal and common (documented: both
/// `SnapshotId` and `VolumeSize` of a mapping are optional; reported: the ECS AMI has one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlankVolume {
    pub size_gib: u32,
    /// The `Encrypted` flag that `DescribeImages` shows; `None`: it shows none. Assumed, both ways.
    pub encrypted: Option<bool>,
}

/// The states of an AMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageState {
    Pending,
    Available,
    Failed,
    Disabled,
    Deregistered,
    Invalid,
    Transient,
    Error,
}

impl ImageState {
    /// As EC2 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ImageState::Pending => "pending",
            ImageState::Available => "available",
            ImageState::Failed => "failed",
            ImageState::Disabled => "disabled",
            ImageState::Deregistered => "deregistered",
            ImageState::Invalid => "invalid",
            ImageState::Transient => "transient",
            ImageState::Error => "error",
        }
    }
}

impl fmt::Display for ImageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an AMI is in its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateReason {
    pub code: String,
    pub message: String,
}

impl StateReason {
    pub fn new(code: &str, message: &str) -> Self {
        StateReason { code: code.to_owned(), message: message.to_owned() }
    }
}

/// Who else may launch an AMI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LaunchPermission {
    /// `Group=all`: the AMI is public.
    Everyone,
    /// An account.
    UserId(String),
    OrganizationArn(String),
    OrganizationalUnitArn(String),
}

/// Deregistration protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    Disabled,
    Enabled,
    /// Deregistration is also refused for 24 hours after protection was disabled.
    EnabledWithCooldown,
}

impl Protection {
    /// As EC2 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protection::Disabled => "disabled",
            Protection::Enabled => "enabled-without-cooldown",
            Protection::EnabledWithCooldown => "enabled-with-cooldown",
        }
    }
}

/// A resource that uses an AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `ec2:Instance`, `ec2:LaunchTemplate`, `ssm:Parameter`, `imagebuilder:ImageRecipe` or `imagebuilder:ContainerRecipe`.
    pub resource_type: String,
    pub arn: String,
    /// How many newer versions the launch template has than the one that uses the AMI.
    pub newer_versions: u32,
}
