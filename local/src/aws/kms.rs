//! KMS keys: whether a key that a copy names can be used.

use std::collections::BTreeMap;

use super::account::ACCOUNT;
use super::digest::uuid;
use super::region::partition_of;
use super::world::World;

/// A customer managed key of a Region.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key id, a UUID or `mrk-...`.
    pub id: String,
    /// The account that owns it.
    pub account: String,
    /// Each with its prefix `alias/`.
    pub aliases: Vec<String>,
    /// A copy with a disabled key fails.
    pub enabled: bool,
    /// Whether the key policy lets the caller create the grants that EBS needs.
    pub grants_allowed: bool,
}

impl Key {
    /// An enabled key of the default account that may be used.
    pub fn new(id: impl Into<String>) -> Self {
        Key { id: id.into(), account: ACCOUNT.to_owned(), aliases: Vec::new(), enabled: true, grants_allowed: true }
    }

    /// Adds an alias, with or without its prefix `alias/`.
    pub fn alias(mut self, name: &str) -> Self {
        let name = name.strip_prefix("alias/").unwrap_or(name);
        self.aliases.push(format!("alias/{name}"));
        self
    }

    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    pub fn without_grants(mut self) -> Self {
        self.grants_allowed = false;
        self
    }

    fn arn(&self, region: &str) -> String {
        arn(region, &self.account, &format!("key/{}", self.id))
    }

    /// Whether `reference` (key id, key ARN, alias, alias ARN), used by `account` in `region`, means this key.
    fn is_meant_by(&self, reference: &str, region: &str, account: &str) -> bool {
        let own_names = || std::iter::once(format!("key/{}", self.id)).chain(self.aliases.clone());
        if reference.starts_with("arn:") {
            own_names().any(|name| arn(region, &self.account, &name) == reference)
        } else {
            self.account == account
                && own_names().any(|name| name == reference || name.strip_prefix("key/") == Some(reference))
        }
    }

    fn is_usable(&self) -> bool {
        self.enabled && self.grants_allowed
    }
}

/// The ARN of the AWS-managed key `aws/ebs` of an account in a Region. It exists everywhere and cannot be shared.
pub fn default_key_arn(region: &str, account: &str) -> String {
    let id = uuid(&format!("aws/ebs {region} {account}"));
    arn(region, account, &format!("key/{id}"))
}

/// The keys of each Region.
#[derive(Default)]
struct Keys(BTreeMap<String, Vec<Key>>);

impl World {
    /// Makes a KMS key known in a Region. `alias/aws/ebs` is known everywhere.
    pub fn add_key(&mut self, region: &str, key: Key) {
        self.state_mut::<Keys>().0.entry(region.to_owned()).or_default().push(key);
    }

    fn keys(&self, region: &str) -> &[Key] {
        self.state::<Keys>().and_then(|keys| keys.0.get(region)).map_or(&[], Vec::as_slice)
    }

    /// The ARN of the key that `reference` means for this caller, if that key can be used.
    pub(super) fn usable_key(&self, reference: &str, region: &str, account: &str) -> Option<String> {
        let default = default_key_arn(region, account);
        let default_id = default.rsplit('/').next();
        if reference == "alias/aws/ebs"
            || reference == arn(region, account, "alias/aws/ebs")
            || reference == default
            || Some(reference) == default_id
        {
            return Some(default);
        }
        self.keys(region)
            .iter()
            .find(|key| key.is_meant_by(reference, region, account))
            .filter(|key| key.is_usable())
            .map(|key| key.arn(region))
    }

    /// Whether the key of this ARN is known here and cannot be used.
    pub(super) fn key_is_out_of_order(&self, region: &str, key_arn: &str) -> bool {
        self.keys(region).iter().any(|key| key.arn(region) == key_arn && !key.is_usable())
    }
}

fn arn(region: &str, account: &str, resource: &str) -> String {
    format!("arn:{}:kms:{region}:{account}:{resource}", partition_of(region))
}
