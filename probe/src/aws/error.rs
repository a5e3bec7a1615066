//! Why a call has no answer.

use std::fmt;

/// An error in AWS's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Such as `InvalidAMIID.NotFound`.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

/// A call without an answer, or with an error as its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// AWS answered with an error: nothing was done.
    Refused(Refusal),
    /// No answer, or one that cannot be read. Whether the call had an effect is unknown.
    Lost(String),
    /// The run was stopped before the call.
    Stopped,
}

impl CallError {
    /// The code of AWS's error, if AWS answered.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            CallError::Refused(refusal) => Some(&refusal.code),
            CallError::Lost(_) | CallError::Stopped => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Refused(Refusal { code, message, .. }) => write!(f, "{code}: {message}"),
            CallError::Lost(reason) => write!(f, "no answer: {reason}"),
            CallError::Stopped => f.write_str("the run was stopped"),
        }
    }
}

impl std::error::Error for CallError {}

/// An error with its causes: the outermost alone says little.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
