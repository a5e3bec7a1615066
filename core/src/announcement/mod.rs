//! What one message says, once unwrapped.
//!
//! Each builder announces an image in its own words, in whatever envelopes the message travelled. Here every shape becomes
//! one of a few announcements; no other module knows EventBridge, SNS or Packer.
//!
//! [`read`](mod@read) takes the envelopes off; [`recognise`] tells the shapes apart; then there is one file a sender.

mod announced_by;
mod arn;
mod cloud_trail;
mod document;
mod ec2;
mod event;
mod image_builder;
mod kinds;
mod own;
mod packer;
mod parameter_store;
mod read;
mod recognise;
pub mod request;
mod sweep;
mod tag;

pub use announced_by::AnnouncedBy;
pub use kinds::{Announcement, ImageState, Pointer};
pub use own::{OwnMessage, SecondLook, Why};
pub use read::{read, read_text};
pub use request::CopyRequest;
