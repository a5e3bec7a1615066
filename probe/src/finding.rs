//! The answer to one question.

use std::time::Duration;

use crate::aws::CallError;

/// What AWS did, and whether that is what we assume.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What AWS did, without ids, account and names.
    pub seen: String,
    /// Whether we assume it.
    pub is_expected: bool,
    /// The time of each of several equal trials; empty for other questions.
    pub times: Vec<Duration>,
}

impl Finding {
    /// AWS does what we assume.
    pub(crate) fn expected(seen: impl Into<String>) -> Self {
        Finding { seen: seen.into(), is_expected: true, times: Vec::new() }
    }

    /// AWS does something else.
    pub(crate) fn different(seen: impl Into<String>) -> Self {
        Finding { is_expected: false, ..Finding::expected(seen) }
    }

    /// One or the other.
    pub(crate) fn of(is_expected: bool, seen: impl Into<String>) -> Self {
        Finding { is_expected, ..Finding::expected(seen) }
    }
}

/// A finding, or why there is none.
pub type Answer = Result<Finding, CallError>;
