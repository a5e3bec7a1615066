//! Who announces a new AMI. `IMAGE_BUILDER=Tested` depends on it.

use serde::{Deserialize, Serialize};

use super::document::Document;
use crate::error::Error;
use crate::identity::Stack;

/// Who announces a new AMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AnnouncedBy {
    /// EC2, CloudTrail or a tag: the AMI exists, but its tests may not have passed.
    Ec2,
    /// The same, by the EC2, the CloudTrail or the tags of an account that is not the stack's: the AMI may be meant for nobody else.
    Ec2OfAnotherAccount,
    /// EC2 Image Builder, after its tests passed.
    ImageBuilder,
    /// A pipeline, Packer, a parameter or an operator: somebody decided to publish this AMI.
    Publisher,
    /// The courier's own sweep, which sees what EC2 shows: its tests may not have passed.
    Sweep,
}

impl AnnouncedBy {
    /// Who announces by an event of AWS: the account that it comes from is the AMI's owner, or the one that tagged it.
    pub(super) fn event(event: &Document<'_>, stack: &Stack) -> Result<Self, Error> {
        let accounts = event.text("account")?.zip(stack.account.as_ref());
        let is_of_another = accounts.is_some_and(|(account, own)| account != own.as_str());
        Ok(if is_of_another { Self::Ec2OfAnotherAccount } else { Self::Ec2 })
    }
}
