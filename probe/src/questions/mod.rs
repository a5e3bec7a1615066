//! The questions, one small function each.
//!
//! A function returns what AWS did; [`Assumption::expects`](crate::assumption::Assumption::expects) says whether we assume it. An error
//! means that the question has no answer. A text is published, so it contains no account and no name; the report removes ids from AWS's
//! words.

pub(crate) mod copies;
pub(crate) mod failed_copy;
pub(crate) mod parameters;
pub(crate) mod permissions;
pub(crate) mod retired;
pub(crate) mod tokens;

use crate::aws::CallError;

/// What AWS did, or why nobody knows.
pub type Answer = Result<String, CallError>;

fn refused(code: impl std::fmt::Display) -> String {
    format!("refused: {code}")
}
