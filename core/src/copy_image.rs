//! The parameters of `CopyImage`, each checked once by EC2's own rule.
//!
//! Requests, settings and plans consist of these types, so no call with a malformed parameter can exist.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>

use serde::Serialize;

use crate::identity::{AccountId, Identity, Malformed, Region, checked_text};

checked_text!(
    /// The name of a copy. Nothing relies on unique names: EC2 may accept a name that is in use.
    AmiName,
    "an AMI name (3 to 128 of letters, digits and `()[] ./-'@_`)",
    |text| (3..=128).contains(&text.len()) && text.chars().all(AmiName::may_contain)
);

impl AmiName {
    pub fn may_contain(c: char) -> bool {
        c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c)
    }
}

checked_text!(
    /// The description of a copy.
    Description,
    "a description (at most 255 characters)",
    |text| text.chars().count() <= 255
);

checked_text!(
    /// With the same token, EC2 treats a repeated call as the same call. <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
    ClientToken,
    "a client token (1 to 128 ASCII characters)",
    |text| (1..=128).contains(&text.len()) && text.is_ascii()
);

impl ClientToken {
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
    /// The Region that it is in, if that is another one than `region`. Only an ARN names it.
    pub fn region_if_not(&self, region: &Region) -> Option<&str> {
        let named = self.0.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        named.filter(|named| *named != region.as_str())
    }

    /// Whether it is the AWS managed key for EBS. Snapshots under that key cannot be shared.
    pub fn is_aws_managed(&self) -> bool {
        self.0 == "alias/aws/ebs" || self.0.ends_with(":alias/aws/ebs")
    }
}

checked_text!(
    /// A Local Zone, by name. The API model has no rule for it, nor for its id.
    ZoneName,
    "a Local Zone (such as `us-west-2-lax-1a`)",
    |text| text.contains('-') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
);

checked_text!(
    /// A Local Zone, by id.
    ZoneId,
    "a Local Zone id (such as `usw2-lax1-az1`)",
    |text| text.contains("-az") && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
);

checked_text!(
    /// An Outpost, by ARN. <https://docs.aws.amazon.com/outposts/latest/APIReference/API_Outpost.html>
    OutpostArn,
    "an Outpost ARN (`arn:PARTITION:outposts:REGION:ACCOUNT:outpost/op-` and 17 hexadecimal digits)",
    |text| {
        let ["arn", partition, "outposts", region, account, resource] = text.split(':').collect::<Vec<_>>()[..] else {
            return false;
        };
        partition.starts_with("aws")
            && region.parse::<Region>().is_ok()
            && account.parse::<AccountId>().is_ok()
            && resource.strip_prefix("outpost/op-").is_some_and(|digits| {
                digits.len() == 17 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
    }
);

/// The completion time of the snapshot copies, in minutes: 15 to 2880, in steps of 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CompletionMinutes(u16);

impl CompletionMinutes {
    pub const RULE: &'static str = "a number of minutes (15 to 2880, in steps of 15)";

    /// `None` for a number that EC2 does not accept.
    pub fn new(minutes: u64) -> Option<Self> {
        u16::try_from(minutes).ok().filter(|m| (15..=2880).contains(m) && m % 15 == 0).map(Self)
    }

    pub fn get(self) -> u16 {
        self.0
    }
}

/// Whether the snapshots of a copy are encrypted, and with which key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Encryption {
    /// `Encrypted` is absent: encrypted if the source is, or if the account encrypts by default.
    AsSource,
    /// `Encrypted=false`.
    No,
    /// `Encrypted=true`, with the EBS default key of the Region.
    DefaultKey,
    /// `Encrypted=true`, with this key.
    Key(KmsKey),
}

impl Encryption {
    /// The value of `Encrypted`.
    pub fn encrypted(&self) -> Option<bool> {
        match self {
            Self::AsSource => None,
            Self::No => Some(false),
            Self::DefaultKey | Self::Key(_) => Some(true),
        }
    }

    /// The value of `KmsKeyId`.
    pub fn key(&self) -> Option<&KmsKey> {
        match self {
            Self::Key(key) => Some(key),
            _ => None,
        }
    }
}

/// Where in the Region the copy goes. Only a copy into the Region itself can have a completion time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Destination {
    Region { completion: Option<CompletionMinutes> },
    Zone(ZoneName),
    ZoneId(ZoneId),
    Outpost(OutpostArn),
}

/// A tag that EC2 accepts. The API reference has 127 characters for a key, the User Guide 128: EC2 decides about the last one.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

impl Tag {
    pub const RULE: &'static str =
        "a tag (key of 1 to 128 characters that does not begin with `aws:`, value of at most 256)";
    /// How many tags a resource can have.
    pub const MOST: usize = 50;
    /// How many of a copy's tags are those of users: twelve places are the courier's, whether it has all of these tags yet or not.
    pub const MOST_OF_USERS: usize = Self::MOST - 12;

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

/// All parameters of a `CopyImage` call. It has no time, no random number and nothing of the message's envelope: the same try is
/// always the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyImageCall {
    pub source: Identity,
    pub name: AmiName,
    pub description: Option<Description>,
    pub encryption: Encryption,
    pub destination: Destination,
    /// `CopyImageTags`: whether EC2 copies the source's tags to the image. It never copies them to snapshots.
    pub copy_image_tags: Option<bool>,
    /// In the order in which they are sent; each key once.
    pub image_tags: Vec<Tag>,
    pub snapshot_tags: Vec<Tag>,
    pub client_token: Option<ClientToken>,
    pub dry_run: bool,
}
