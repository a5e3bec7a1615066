//! The questions, one small function each.
//!
//! A function returns what AWS did and whether we assume it. An error means that the question has no answer. A text is
//! published, so it contains no account and no name; the report removes ids from AWS's words.

pub(crate) mod deregistered;
pub(crate) mod disabled;
pub(crate) mod events;
pub(crate) mod failed_copy;
pub(crate) mod names;
mod other_services;
pub(crate) mod permissions;
pub(crate) mod refusals;
pub(crate) mod snapshots;
pub(crate) mod source;
pub(crate) mod tags;
pub(crate) mod tokens;
pub(crate) mod usage_report;
pub(crate) mod visibility;
