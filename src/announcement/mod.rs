//! What one message says, once unwrapped.
//!
//! Whoever built the image tells of it in words of their own, wrapped however the message travelled. Here every shape
//! becomes one of a few announcements; nothing past this module knows EventBridge, SNS or Packer. Pure: no clock, no
//! settings, no AWS.
//!
//! [`envelope`] takes the wrapping off; [`event`] tells EventBridge's events apart; then there is one file a source.

use serde_json::{Map, Value};

use crate::identity::{Here, Identity, Region, shortened};
use crate::outcome::Rejection;

mod arn;
mod cloud_trail;
#[cfg(test)]
mod corpus;
mod document;
mod ec2;
mod envelope;
mod event;
#[cfg(test)]
mod hostile;
mod image_builder;
mod packer;
mod parameter_store;
pub mod request;
mod sweep;
mod tag;
#[cfg(test)]
mod tests;

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
    /// The AMI that this SSM parameter in `region` holds. A parameter of another account is named by its ARN, which
    /// `GetParameter` takes as a name.
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

/// Reads one message, however it is wrapped. The list is never empty, and in the message's order.
///
/// # Errors
/// A message that nobody can read is rejected as a whole, and so is one that tells of an AMI in another partition.
pub fn read(payload: &Value, here: &Here) -> Result<Vec<Announcement>, Rejection> {
    within_reach(envelope::open(payload, &|message| read_message(message, here))?, here)
}

/// Reads the body of an SQS message.
///
/// # Errors
/// As [`read`].
pub fn read_text(body: &str, here: &Here) -> Result<Vec<Announcement>, Rejection> {
    within_reach(envelope::open_text(body, &|message| read_message(message, here))?, here)
}

fn read_message(message: &Map<String, Value>, here: &Here) -> Result<Vec<Announcement>, Rejection> {
    if event::is_one(message) {
        event::read(message, here)
    } else if sweep::is_one(message) {
        sweep::read(message)
    } else if packer::is_manifest(message) {
        packer::read(message, here)
    } else if image_builder::is_notification(message) {
        image_builder::read_notification(message, here)
    } else if request::looks_like_one(message) {
        Ok(vec![Announcement::Request(Box::new(request::read(message)?))])
    } else if let Some(reason) = of_amazon_s3(message) {
        Ok(vec![nothing(reason)])
    } else {
        Err(document::not_understood(&document::fields_of(message)))
    }
}

/// S3 shares queues with other senders: it tests them when it is connected, and tells of objects.
fn of_amazon_s3(message: &Map<String, Value>) -> Option<&'static str> {
    let sent_by_s3 =
        |record: &Value| record.get("eventSource").and_then(Value::as_str).is_some_and(|source| source == "aws:s3");
    if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        Some("Amazon S3 tests its connection to this queue: that tells of no AMI")
    } else if message.get("Records").and_then(Value::as_array).is_some_and(|records| records.iter().any(sent_by_s3)) {
        Some("a notification of Amazon S3 tells of objects, of no AMI")
    } else {
        None
    }
}

fn nothing(reason: impl Into<String>) -> Announcement {
    Announcement::Nothing { ami: None, reason: reason.into() }
}

/// `CopyImage` cannot cross from one partition to another, so an AMI there is nothing to try again.
fn within_reach(announcements: Vec<Announcement>, here: &Here) -> Result<Vec<Announcement>, Rejection> {
    let partition = here.region.partition();
    let regions = announcements.iter().flat_map(Announcement::regions);
    match regions.into_iter().find(|region| region.partition() != partition) {
        None => Ok(announcements),
        Some(other) => Err(other_partition(other.as_str(), other.partition(), here)),
    }
}

fn other_partition(what: &str, partition: &str, here: &Here) -> Rejection {
    Rejection::new(
        "OtherPartition",
        format!(
            "`{}` is in the partition `{}`, and this stack is in `{}` ({}): CopyImage cannot cross",
            shortened(what),
            shortened(partition),
            here.region.partition(),
            here.region
        ),
        "build the AMI in this partition too, or carry it over with CreateStoreImageTask and CreateRestoreImageTask",
    )
}

impl Announcement {
    /// The Regions of the AMIs that it tells of.
    fn regions(&self) -> Vec<&Region> {
        match self {
            Self::Built { ami: Pointer::Images(images), .. } => images.iter().map(|ami| &ami.region).collect(),
            Self::Built { ami: Pointer::ImageBuilder { region, .. } | Pointer::Parameter { region, .. }, .. } => {
                vec![region]
            }
            Self::StateChanged { ami, .. } => vec![&ami.region],
            Self::Request(request) => vec![&request.source.region],
            Self::Sweep | Self::Nothing { .. } => Vec::new(),
        }
    }
}
