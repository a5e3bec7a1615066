//! KMS keys, as far as copying needs them: whether a key that a copy names can be used.

use super::region::partition_of;

/// A customer managed key of a Region.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key id, a UUID or `mrk-...`.
    pub id: String,
    /// The account that owns it.
    pub account: String,
    /// Each with its prefix `alias/`.
    pub aliases: Vec<String>,
    /// A disabled key fails the copy.
    pub enabled: bool,
    /// Whether the key policy lets the caller create the grants that EBS needs.
    pub grants_allowed: bool,
}

impl Key {
    /// An enabled key of the default account that may be used.
    pub fn new(id: impl Into<String>) -> Self {
        Key {
            id: id.into(),
            account: super::ACCOUNT.to_owned(),
            aliases: Vec::new(),
            enabled: true,
            grants_allowed: true,
        }
    }

    /// Adds an alias, with or without its prefix `alias/`.
    #[must_use]
    pub fn alias(mut self, name: &str) -> Self {
        let name = name.strip_prefix("alias/").unwrap_or(name);
        self.aliases.push(format!("alias/{name}"));
        self
    }

    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    #[must_use]
    pub fn without_grants(mut self) -> Self {
        self.grants_allowed = false;
        self
    }

    pub(super) fn arn(&self, region: &str) -> String {
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

    pub(super) fn is_usable(&self) -> bool {
        self.enabled && self.grants_allowed
    }
}

/// The ARN of the AWS-managed key `aws/ebs` of an account in a Region. It exists everywhere and cannot be shared.
#[must_use]
pub fn default_key_arn(region: &str, account: &str) -> String {
    let id = super::digest::uuid(&format!("aws/ebs {region} {account}"));
    arn(region, account, &format!("key/{id}"))
}

/// The ARN of the key that `reference` means for this caller, if that key can be used.
pub(super) fn resolve(keys: &[Key], reference: &str, region: &str, account: &str) -> Option<String> {
    let default = default_key_arn(region, account);
    let default_id = default.rsplit('/').next();
    if reference == "alias/aws/ebs"
        || reference == arn(region, account, "alias/aws/ebs")
        || reference == default
        || Some(reference) == default_id
    {
        return Some(default);
    }
    keys.iter()
        .find(|key| key.is_meant_by(reference, region, account))
        .filter(|key| key.is_usable())
        .map(|key| key.arn(region))
}

fn arn(region: &str, account: &str, resource: &str) -> String {
    format!("arn:{}:kms:{region}:{account}:{resource}", partition_of(region))
}
