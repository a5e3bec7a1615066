//! Which AMI, and where: the identifiers that all other modules use.
//!
//! Each is checked once, where it enters. From there on, nobody can take an image id for a Region, or send EC2 something
//! that is neither.

use std::fmt;

use serde::Serialize;
use tinystr::TinyAsciiStr;

/// A text that does not have the accepted form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub value: String,
    pub accepted: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", shortened(&self.value), self.accepted)
    }
}

impl std::error::Error for Malformed {}

/// A text from outside, cut to a length that fits into a log line or an error.
pub fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}

/// A text that is checked once, where it enters. Its rule is part of the error. A short one can be stored without memory of its own.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $rule:literal, $check:expr) => {
        $crate::identity::checked_text!($(#[$doc])* $name as String, $rule, $check);
    };
    ($(#[$doc:meta])* $name:ident as $stored:ty, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($stored);

        impl $name {
            /// The accepted form, as errors name it.
            pub const RULE: &'static str = $rule;

            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::identity::Malformed;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> bool = $check;
                let stored = Some(text).filter(|text| check(text)).and_then(|text| text.parse().ok());
                stored.map(Self).ok_or_else(|| $crate::identity::Malformed { value: text.to_owned(), accepted: Self::RULE })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

pub(crate) use checked_text;

checked_text!(
    /// An AMI's id: `ami-` and 8 or 17 hexadecimal digits. A sweep keeps a hundred thousand.
    ImageId as TinyAsciiStr<21>,
    "an AMI id (`ami-` and 8 or 17 hexadecimal digits)",
    |text| text.strip_prefix("ami-").is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
);

checked_text!(
    /// An AWS Region's code, such as `us-east-1` or `us-gov-west-1`: at most 32 characters.
    Region as TinyAsciiStr<32>,
    "an AWS Region (such as `us-east-1`)",
    |text| {
        let parts: Vec<&str> = text.split('-').collect();
        matches!(parts.len(), 3..=5)
            && parts.iter().all(|part| !part.is_empty())
            && parts[..parts.len() - 1].iter().all(|part| part.bytes().all(|b| b.is_ascii_lowercase()))
            && parts[parts.len() - 1].bytes().all(|b| b.is_ascii_digit())
    }
);

checked_text!(
    /// An AWS account's id: 12 digits.
    AccountId as TinyAsciiStr<12>,
    "an account id (12 digits)",
    |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
);

checked_text!(
    /// The name of a parameter that the courier writes. Each copy has it in a tag.
    ParameterName,
    "a parameter's name that fits into a tag (1 to 256 letters, digits and `._-/`)",
    |text| (1..=256).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
);

impl Region {
    /// The partition that the Region belongs to. `CopyImage` cannot cross from one to another.
    /// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
    pub fn partition(&self) -> &'static str {
        const BY_PREFIX: [(&str, &str); 7] = [
            ("cn-", "aws-cn"),
            ("us-gov-", "aws-us-gov"),
            ("us-iso-", "aws-iso"),
            ("us-isob-", "aws-iso-b"),
            ("eu-isoe-", "aws-iso-e"),
            ("us-isof-", "aws-iso-f"),
            ("eusc-", "aws-eusc"),
        ];
        BY_PREFIX.iter().find(|(prefix, _)| self.as_str().starts_with(prefix)).map_or("aws", |(_, partition)| partition)
    }
}

/// A source AMI's *identity*: an image id means nothing without its Region.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Identity {
    pub region: Region,
    pub image: ImageId,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.image, self.region)
    }
}

/// The Region and account of this stack: the destination of every copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    pub region: Region,
    /// From the function's own ARN, never from a message. `None` if that ARN has no account id, as in some emulators.
    pub account: Option<AccountId>,
}
