//! Regions and partitions, and what the world keeps per Region.

use std::collections::BTreeMap;

use super::ec2::image::{Gone, Image};
use super::ec2::snapshot::{Orphan, Snapshot};
use super::kms::Key;
use super::sqs::StoredQueue;
use super::ssm::StoredParameter;

/// All state of one Region, of every account.
#[derive(Debug, Default)]
pub(super) struct Region {
    pub(super) images: BTreeMap<String, Image>,
    /// Deregistered AMIs, by id.
    pub(super) gone: BTreeMap<String, Gone>,
    /// Snapshots whose AMI was deregistered.
    pub(super) orphans: Vec<Orphan>,
    pub(super) keys: Vec<Key>,
    /// By account and name.
    pub(super) parameters: BTreeMap<(String, String), StoredParameter>,
    /// By account and name.
    pub(super) queues: BTreeMap<(String, String), StoredQueue>,
}

impl Region {
    /// Every snapshot, with the account that owns it.
    pub(super) fn snapshots(&self) -> impl Iterator<Item = (&str, &Snapshot)> {
        let of_images = self
            .images
            .values()
            .flat_map(|image| image.snapshots.iter().map(|snapshot| (image.owner.as_str(), snapshot)));
        let of_nobody = self.orphans.iter().map(|orphan| (orphan.owner.as_str(), &orphan.snapshot));
        of_images.chain(of_nobody)
    }

    /// Every snapshot, to change it. One that backs two AMIs comes twice.
    pub(super) fn snapshots_mut(&mut self) -> impl Iterator<Item = &mut Snapshot> {
        let of_images = self.images.values_mut().flat_map(|image| &mut image.snapshots);
        let of_nobody = self.orphans.iter_mut().map(|orphan| &mut orphan.snapshot);
        of_images.chain(of_nobody)
    }
}

/// The partition of a Region: `aws`, `aws-cn`, `aws-us-gov`, ...
pub(super) fn partition_of(region: &str) -> &'static str {
    const BY_PREFIX: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-iso-", "aws-iso"),
        ("eusc-", "aws-eusc"),
    ];
    BY_PREFIX.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// Whether AWS has a Region of this name (Regions in use in 2026).
pub(super) fn exists(region: &str) -> bool {
    REGIONS.contains(&region)
}

const REGIONS: [&str; 46] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-isoe-west-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isob-west-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "us-west-1",
    "us-west-2",
];
