//! An error, before a protocol writes it in its own form.

use std::fmt;

/// An error as an AWS service answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Such as `InvalidAMIID.NotFound`.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

impl ApiError {
    /// An error with any status.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        ApiError { status, code: code.into(), message: message.into() }
    }

    /// An error of the caller: HTTP 400.
    pub(super) fn client(code: impl Into<String>, message: impl Into<String>) -> Self {
        ApiError::new(400, code, message)
    }

    pub(super) fn invalid_value(message: impl Into<String>) -> Self {
        ApiError::client("InvalidParameterValue", message)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (HTTP {})", self.code, self.message, self.status)
    }
}

impl std::error::Error for ApiError {}
