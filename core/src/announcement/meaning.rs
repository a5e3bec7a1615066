//! What a message can mean: each shape becomes one of a few announcements.

use super::announced_by::AnnouncedBy;
use super::own::OwnMessage;
use super::question::Question;
use super::request::CopyRequest;
use crate::identity::{Identity, Region};
use crate::image::{Image, State};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Announcement {
    /// An AMI was built: copy it, if it is wanted here.
    Built { ami: Pointer, announced_by: AnnouncedBy },
    /// EC2 reports that an AMI changed state, in any Region.
    StateChanged { ami: Identity, state: State, error_message: String, announced_by: AnnouncedBy },
    /// The tags of an AMI changed: its copies follow, and one that has none is copied if the change can make it wanted.
    TagsChanged { ami: Identity, changed: Vec<TagChange>, announced_by: AnnouncedBy },
    /// Make exactly this copy.
    Request(Box<CopyRequest>),
    /// A message of the courier to itself; how many of them led here, one after the other, itself included.
    Own { message: Box<OwnMessage>, hops: u32 },
    /// Sweep: look for AMIs that no event announced.
    Sweep,
    /// A caller asks what is where, and waits for the answer. Nothing changes.
    Question(Question),
    /// Understood, and no action needed; `reason` says why.
    Nothing { ami: Option<Identity>, reason: String },
}

/// A tag that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagChange {
    pub key: String,
    /// Its value after the change; `None`: it was removed.
    pub value: Option<String>,
}

impl TagChange {
    /// Whether an AMI looks as it did after the change.
    pub fn is_visible(&self, image: &Image) -> bool {
        image.tags.get(&self.key) == self.value.as_ref()
    }
}

/// How a message points at the AMI it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// One build, by image id: one AMI, or one in each Region that the builder itself put it in. Never empty.
    Images(Vec<Identity>),
    /// The AMI in `region` that EC2 Image Builder tagged with its own resource ARN.
    ImageBuilder { region: Region, arn: String },
    /// The AMI that this SSM parameter in `region` holds. A parameter of another account is named by its ARN, which
    /// `GetParameter` takes as a name.
    Parameter { region: Region, name: String },
}

impl Announcement {
    /// A message that is understood and announces no new AMI.
    pub(super) fn nothing(reason: impl Into<String>) -> Self {
        Self::Nothing { ami: None, reason: reason.into() }
    }

    /// Whether only a sweep stands behind it. The next sweep finds it again, so a rejection needs no dead letter.
    pub fn is_from_sweep(&self) -> bool {
        matches!(self, Self::Sweep) || matches!(self, Self::Own { message, .. } if message.is_from_sweep())
    }

    /// How many of the courier's own messages led here, one after the other.
    pub fn hops(&self) -> u32 {
        match self {
            Self::Own { hops, .. } => *hops,
            _ => 0,
        }
    }

    /// The Regions of the AMIs that it is about.
    pub(super) fn regions(&self) -> Vec<&Region> {
        match self {
            Self::Built { ami: Pointer::Images(images), .. } => images.iter().map(|ami| &ami.region).collect(),
            Self::Built { ami: Pointer::ImageBuilder { region, .. } | Pointer::Parameter { region, .. }, .. } => {
                vec![region]
            }
            Self::StateChanged { ami, .. } | Self::TagsChanged { ami, .. } => vec![&ami.region],
            Self::Request(request) => vec![&request.source.region],
            Self::Own { message, .. } => message.source().map(|source| &source.region).into_iter().collect(),
            Self::Sweep | Self::Question(_) | Self::Nothing { .. } => Vec::new(),
        }
    }
}
