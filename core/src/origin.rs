//! Origin: where an AMI was first, before it went from account to account.
//!
//! Accounts that trust each other would copy each other's copies for ever: none of them sees the other's tags. But every account
//! that an AMI is shared with sees its *shared tags*. So a shared copy has its origin in one, each further copy hands it on, and
//! an AMI that has been here before is not copied again.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>

use std::fmt;
use std::str::FromStr;

use crate::identity::{AccountId, Identity, Malformed};
use crate::image::{Image, tag};

/// The first source AMI, and the account that owns it. As text, in the tag: `123456789012/us-east-1/ami-0abcdef1234567890`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub account: AccountId,
    pub ami: Identity,
}

impl Origin {
    /// The origin of an AMI: what its tag says, else the AMI itself. `None` if its owner is not known.
    pub fn of(image: &Image, identity: &Identity) -> Option<Self> {
        let itself = || Some(Self { account: image.owner.clone()?, ami: identity.clone() });
        Self::handed_on(image).or_else(itself)
    }

    /// What the tag of an AMI says. `None` also for a value that the courier does not write.
    pub fn handed_on(image: &Image) -> Option<Self> {
        image.tags.get(tag::ORIGIN)?.parse().ok()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.ami.region, self.ami.image)
    }
}

impl FromStr for Origin {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || Malformed {
            value: text.to_owned(),
            accepted: "an origin (`123456789012/us-east-1/ami-0abcdef1234567890`)",
        };
        let mut parts = text.split('/');
        let (Some(account), Some(region), Some(image), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        Ok(Self { account: account.parse()?, ami: Identity { region: region.parse()?, image: image.parse()? } })
    }
}
