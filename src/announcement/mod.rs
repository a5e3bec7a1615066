//! What one message says, once unwrapped.
//!
//! Whoever built the image tells of it in words of their own, wrapped however the message travelled. Here every shape
//! becomes one of a few announcements; nothing past this module knows EventBridge, SNS or Packer. Pure: no clock, no
//! settings, no AWS.

use crate::identity::{Identity, Region};

pub mod request;

pub use request::CopyRequest;

/// One thing to do, or to be told about.
#[derive(Clone, Debug, PartialEq)]
pub enum Announcement {
    /// An AMI was built: copy it, if it is wanted here.
    Built { ami: Pointer, teller: Teller },
    /// EC2 tells that an AMI changed state, in whichever Region.
    StateChanged { ami: Identity, state: ImageState, error_message: String },
    /// Copy this, in so many words.
    Request(Box<CopyRequest>),
    /// Look at the whole and mend the difference.
    Sweep,
    /// Understood, and nothing to copy; `reason` says why.
    Nothing { ami: Option<Identity>, reason: String },
}

/// How a message points at the AMI it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// One build, by image id; in several Regions where the builder put it there itself. Never empty.
    Images(Vec<Identity>),
    /// The AMI in `region` that EC2 Image Builder tagged with its own resource ARN.
    ImageBuilder { region: Region, arn: String },
    /// The AMI that this SSM parameter in `region` holds.
    Parameter { region: Region, name: String },
}

/// Who tells of a new AMI: with `IMAGE_BUILDER=Tested` it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// EC2, CloudTrail, a tag: they know that the AMI is there, not that its tests passed.
    Ec2,
    /// EC2 Image Builder, after its tests passed.
    ImageBuilder,
    /// A pipeline, Packer, a parameter: somebody who decided to announce this one.
    Publisher,
}

/// The states in an `EC2 AMI State Change`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageState {
    Available,
    Failed,
    Deregistered,
    Disabled,
}
