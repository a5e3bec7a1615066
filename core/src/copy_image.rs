//! The parameters of `CopyImage`, each checked once, by EC2's own rules.
//!
//! Requests, settings and plans are made of these, so a call that EC2 would refuse for its form cannot be written down.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>

use serde::Serialize;

use crate::identity::{Identity, Malformed, Region, checked_text};

checked_text!(
    /// The copy's name, unique in its account and Region.
    AmiName,
    "an AMI name (3 to 128 of letters, digits and `()[] ./-'@_`)",
    |text| (3..=128).contains(&text.len()) && text.chars().all(AmiName::may_contain)
);

impl AmiName {
    #[must_use]
    pub fn may_contain(c: char) -> bool {
        c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c)
    }
}

checked_text!(
    /// The copy's description.
    Description,
    "a description (at most 255 characters)",
    |text| text.chars().count() <= 255
);

checked_text!(
    /// What makes a repeated call the same call. <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
    ClientToken,
    "a client token (1 to 64 ASCII characters)",
    |text| (1..=64).contains(&text.len()) && text.is_ascii()
);

impl ClientToken {
    #[must_use]
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid.hyphenated().to_string())
    }
}

checked_text!(
    /// A KMS key, in one of the four forms that EC2 takes.
    KmsKey,
    "a KMS key (a key id, a key ARN, `alias/NAME` or an alias ARN)",
    |text| {
        let named = match text.strip_prefix("arn:") {
            None => text,
            Some(arn) => match arn.splitn(5, ':').collect::<Vec<_>>().as_slice() {
                [partition, "kms", region, account, resource]
                    if partition.starts_with("aws") && !region.is_empty() && account.len() == 12 =>
                {
                    return resource.strip_prefix("key/").is_some_and(is_key_id)
                        || resource.strip_prefix("alias/").is_some_and(is_alias);
                }
                _ => return false,
            },
        };
        named.strip_prefix("alias/").map_or_else(|| is_key_id(named), is_alias)
    }
);

fn is_key_id(text: &str) -> bool {
    let hexadecimal = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
    match text.strip_prefix("mrk-") {
        Some(multi_region) => multi_region.len() == 32 && hexadecimal(multi_region),
        None => {
            text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(hexadecimal)
        }
    }
}

fn is_alias(text: &str) -> bool {
    (1..=250).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-".contains(&b))
}

impl KmsKey {
    /// Whether it can be a key of this Region; an ARN names the Region.
    #[must_use]
    pub fn can_be_in(&self, region: &Region) -> bool {
        let named = self.0.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        named.is_none_or(|named| named == region.as_str())
    }

    /// The key that AWS manages for EBS: what it encrypts cannot be shared.
    #[must_use]
    pub fn is_aws_managed(&self) -> bool {
        self.0 == "alias/aws/ebs" || self.0.ends_with(":alias/aws/ebs")
    }
}

checked_text!(
    /// An Availability Zone, by name.
    ZoneName,
    "an Availability Zone (such as `us-east-1a`)",
    |text| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && text.contains('-')
);

checked_text!(
    /// An Availability Zone, by id.
    ZoneId,
    "an Availability Zone id (such as `use1-az1`)",
    |text| text.len() <= 64 && text.contains("-az") && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
);

checked_text!(
    /// An Outpost, by ARN.
    OutpostArn,
    "an Outpost ARN (`arn:PARTITION:outposts:REGION:ACCOUNT:outpost/op-…`)",
    |text| text.len() <= 256 && text.starts_with("arn:aws") && text.contains(":outposts:") && text.contains(":outpost/op-")
);

/// How long the snapshot copies may take, in minutes: 15 to 2880, in steps of 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CompletionMinutes(u16);

impl CompletionMinutes {
    pub const RULE: &'static str = "a number of minutes (15 to 2880, in steps of 15)";

    /// `None` for what EC2 would refuse.
    #[must_use]
    pub fn new(minutes: u64) -> Option<Self> {
        u16::try_from(minutes).ok().filter(|m| (15..=2880).contains(m) && m % 15 == 0).map(Self)
    }

    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

/// Whether the copy's snapshots are encrypted, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Encryption {
    /// Nothing is said: encrypted where the source is, or where the account encrypts by default.
    AsSource,
    /// `Encrypted=false`, said outright.
    No,
    /// `Encrypted=true`, with the EBS default key of the Region.
    DefaultKey,
    /// `Encrypted=true`, with this key.
    Key(KmsKey),
}

impl Encryption {
    /// The value of `Encrypted`.
    #[must_use]
    pub fn encrypted(&self) -> Option<bool> {
        match self {
            Self::AsSource => None,
            Self::No => Some(false),
            Self::DefaultKey | Self::Key(_) => Some(true),
        }
    }

    /// The value of `KmsKeyId`.
    #[must_use]
    pub fn key(&self) -> Option<&KmsKey> {
        match self {
            Self::Key(key) => Some(key),
            _ => None,
        }
    }
}

/// Where in the Region the copy goes. Only one into the Region at large can have a completion time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Destination {
    Region { completion: Option<CompletionMinutes> },
    Zone(ZoneName),
    ZoneId(ZoneId),
    Outpost(OutpostArn),
}

/// A tag that EC2 takes. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

impl Tag {
    pub const RULE: &'static str =
        "a tag (key of 1 to 128 characters that does not begin with `aws:`, value of at most 256)";
    /// How many a resource can have.
    pub const MOST: usize = 50;

    /// # Errors
    /// What breaks [`Tag::RULE`].
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Result<Self, Malformed> {
        let tag = Self { key: key.into(), value: value.into() };
        let reserved = tag.key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
        if (1..=128).contains(&tag.key.chars().count()) && tag.value.chars().count() <= 256 && !reserved {
            Ok(tag)
        } else {
            Err(Malformed { value: format!("{}={}", tag.key, tag.value), accepted: Self::RULE })
        }
    }
}

/// Everything a `CopyImage` call says, but for the token and whether it is a dry run.
///
/// Serialized, it is the canonical form from which the token is made: no clock, nothing random, nothing of the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CopyImageCall {
    pub source: Identity,
    pub name: AmiName,
    pub description: Option<Description>,
    pub encryption: Encryption,
    pub destination: Destination,
    /// `CopyImageTags`: let EC2 carry the source's tags over to the copy (not to its snapshots).
    pub copy_image_tags: Option<bool>,
    /// In the order in which they are sent, keys unique.
    pub image_tags: Vec<Tag>,
    pub snapshot_tags: Vec<Tag>,
}
