//! What lies on the bench: AMIs, the source, copies, events, a role.

use std::fmt;
use std::time::Duration;

use crate::aws::{CallError, Connection, Element};

/// The source AMI.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) image_id: String,
    pub(crate) snapshot_id: String,
    /// EC2's answer when the AMI was tagged with the shared tag.
    pub(crate) shared_tag: Result<(), CallError>,
}

/// One of the equal copies.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) image_id: String,
    pub(crate) name: String,
    pub(crate) token: String,
    /// When EC2 had accepted it.
    pub(crate) accepted_at: Duration,
    pub(crate) by_id: Sighting,
    pub(crate) by_source: Sighting,
    pub(crate) by_name: Sighting,
    /// The copy as it was shown for the first time while it was pending.
    pub(crate) pending: Option<Image>,
}

/// When a kind of look showed a copy for the first time, counted from when EC2 had accepted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) last_hidden: Option<Duration>,
    pub(crate) first_shown: Option<Duration>,
}

impl Sighting {
    pub(super) fn note(&mut self, is_shown: bool, after: Duration) {
        if self.first_shown.is_some() {
            return;
        }
        *(if is_shown { &mut self.first_shown } else { &mut self.last_hidden }) = Some(after);
    }
}

impl Copy {
    /// A copy that EC2 has just accepted.
    pub(super) fn accepted(image_id: String, name: String, token: String, accepted_at: Duration) -> Self {
        Copy {
            image_id,
            name,
            token,
            accepted_at,
            by_id: Sighting::default(),
            by_source: Sighting::default(),
            by_name: Sighting::default(),
            pending: None,
        }
    }
}

/// The equal copies, with why a way to look for them does not work.
#[derive(Clone, Debug)]
pub(crate) struct Copies {
    pub(crate) all: Vec<Copy>,
    pub(crate) by_source: Result<(), CallError>,
    pub(crate) by_name: Result<(), CallError>,
}

impl Copies {
    /// Whether each way to look that works has shown each copy.
    pub(super) fn are_all_seen(&self) -> bool {
        self.all.iter().all(|copy| {
            copy.by_id.first_shown.is_some()
                && (self.by_source.is_err() || copy.by_source.first_shown.is_some())
                && (self.by_name.is_err() || copy.by_name.first_shown.is_some())
        })
    }
}

/// A copy that was deregistered with its snapshots.
#[derive(Clone, Debug)]
pub(crate) struct DeadCopy {
    pub(crate) copy: Copy,
    pub(crate) at: Duration,
    /// EC2's `returnCode` for each snapshot.
    pub(crate) snapshot_codes: Vec<String>,
}

/// EC2's event about the end of a copy.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) state: String,
    /// Empty if there is none.
    pub(crate) error_message: String,
    /// How long after `DescribeImages` showed the end; `None`: before.
    pub(crate) after: Option<Duration>,
}

/// The event of each of two copies: none if none came, an error if EC2 refused the copy.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    pub(crate) available: Result<Option<Event>, CallError>,
    pub(crate) failed: Result<Option<Event>, CallError>,
}

/// A copy whose end is awaited.
#[derive(Clone, Debug)]
pub(super) struct EndOfCopy {
    pub(super) image_id: Result<String, CallError>,
    /// When `DescribeImages` showed it in another state than pending.
    pub(super) ended_at: Option<Duration>,
    pub(super) event: Option<Event>,
}

/// AWS under a role with the template's policy.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) aws: Connection,
    pub(crate) account: String,
    /// The URL of the queue that the courier would have.
    pub(crate) queue: String,
    /// The URL of its dead-letter queue.
    pub(crate) dead_letters: String,
}

/// An AMI as `DescribeImages` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image(pub(super) Element);

impl Image {
    pub(crate) fn id(&self) -> &str {
        self.0.text_of("imageId").unwrap_or_default()
    }

    pub(crate) fn state(&self) -> &str {
        self.0.text_of("imageState").unwrap_or_default()
    }

    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.0.text_of(name)
    }

    pub(crate) fn state_reason(&self) -> Option<&str> {
        self.0.child("stateReason")?.text_of("message").filter(|message| !message.is_empty())
    }

    /// The `ebs` part of each block device that has one.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &Element> {
        self.0.items("blockDeviceMapping").filter_map(|device| device.child("ebs"))
    }

    pub(crate) fn snapshot_ids(&self) -> impl Iterator<Item = &str> {
        self.volumes().filter_map(|ebs| ebs.text_of("snapshotId")).filter(|id| !id.is_empty())
    }

    pub(crate) fn has_tag(&self, key: &str) -> bool {
        self.0.items("tagSet").any(|tag| tag.text_of("key") == Some(key))
    }
}

/// The answer to a look by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Shown(Image),
    /// No error, and no AMI.
    Empty,
    /// An error about the id.
    Refused(String),
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Look::Shown(image) => write!(f, "state {}", image.state()),
            Look::Empty => f.write_str("an empty answer"),
            Look::Refused(code) => f.write_str(code),
        }
    }
}
