//! What one message says, once unwrapped.
//!
//! Each builder announces an image in a shape of its own, in any number of envelopes. Here each shape becomes one of a few
//! announcements; no other module knows EventBridge, SNS or Packer.
//!
//! `read` removes the envelopes, `recognise` finds the shape, and each sender has a file that reads it. A new kind of message is
//! recognised there, and gets a file here.

mod announced_by;
mod arn;
mod cloud_trail;
mod document;
mod ec2;
mod event;
mod image_builder;
mod meaning;
mod own;
mod packer;
mod parameter_store;
mod question;
mod read;
mod recognise;
pub mod request;
mod status_request;
mod sweep;
mod tag;
mod widget_request;

pub use announced_by::AnnouncedBy;
pub use meaning::{Announcement, Pointer, TagChange};
pub use own::{OwnMessage, Why};
pub use question::Question;
pub use read::{read, read_text};
pub use request::CopyRequest;
pub use status_request::{Position, StatusRequest, pattern};
pub(crate) use widget_request::FILTER;
pub use widget_request::WidgetRequest;
