//! The pure part of ami-courier: no AWS SDK, no async runtime, no clock, no environment.
//!
//! ```text
//! message ─► announcement ─► selection ─► plan ─► protocol ─► outcome
//! ```
//!
//! - [`announcement`]: what one message says, from any sender and in any envelopes.
//! - [`selection`]: whether an AMI is wanted here, and if not, which rule says so.
//! - [`family`]: the AMIs of one build, of which one is copied. [`list`]: which AMI of a list is taken.
//! - [`plan`]: the exact `CopyImage` call, and the client token of each try.
//! - [`protocol`]: what to do next, so that there is exactly one copy. A model checker explores this code.
//! - [`in_step`]: what differs between a copy and what its source and the settings say, for as long as the copy lives.
//! - [`election`]: which copy a parameter holds. The model checker explores this code too.
//! - [`finish`]: who may use a copy, and what is never published.
//! - [`retirement`]: when a copy follows its source out of service, by what [`usage_report`]s and EC2 say.
//! - [`survey`]: what each listed AMI is to this stack, for the sweep and the status.
//! - [`status`] says which AMIs are wanted here and what became of their copies; [`widget`] shows that in a CloudWatch dashboard.
//! - [`outcome`] and [`error`]: what became of an announcement, and the two kinds of error.
//!
//! They share a few types: [`identity`] (which AMI, where), [`image`] (an AMI as EC2 describes it), [`copy_image`] (the
//! checked parameters of `CopyImage`), [`naming`] (name templates), [`region`] (which Regions exist) and [`settings`]
//! (every environment variable).

#![deny(clippy::unwrap_used, clippy::expect_used)]

pub mod announcement;
pub mod copy_image;
pub mod copy_state;
pub mod election;
pub mod error;
pub mod family;
pub mod finish;
pub mod identity;
pub mod image;
pub mod in_step;
pub mod list;
pub mod naming;
pub mod origin;
pub mod outcome;
pub mod plan;
pub mod protocol;
pub mod refusal;
pub mod region;
pub mod retirement;
pub mod selection;
pub mod settings;
pub mod status;
pub mod survey;
pub mod usage_report;
pub mod widget;
