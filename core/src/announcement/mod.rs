//! What one message says, once unwrapped.
//!
//! Each builder announces an image in a shape of its own, in any number of envelopes. Here each shape becomes one of a few
//! announcements; no other module knows EventBridge, SNS or Packer.
//!
//! `read` removes the envelopes, `recognise` finds the shape, and each sender has a file that reads it.

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
mod question;
mod read;
mod recognise;
pub mod request;
mod sweep;
mod tag;

pub use announced_by::AnnouncedBy;
pub use kinds::{Announcement, ImageState, Pointer};
pub use own::{OwnMessage, SecondLook, Why};
pub(crate) use question::{asks_for_documentation, is_question};
pub use read::{read, read_text};
pub use request::CopyRequest;
