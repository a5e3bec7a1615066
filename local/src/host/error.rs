//! Why a function did not start, and why an invocation has no answer.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Its exit status or signal; `None` if the system does not say.
    pub status: Option<ExitStatus>,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("status unknown"),
        }
    }
}

/// Why a function did not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitError {
    /// What the function reported, `Runtime.ExitError` if it just ended, `Sandbox.Timedout` if it stalled, or
    /// `Host.Error` if it could not even be started.
    pub error_type: String,
    /// The reason, as the function reported it if it did.
    pub message: String,
    /// Everything that it wrote to stdout and stderr.
    pub logs: Vec<String>,
}

impl InitError {
    pub(super) fn host(what: &str, error: &io::Error) -> Self {
        Self { error_type: "Host.Error".to_owned(), message: format!("{what}: {error}"), logs: Vec::new() }
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the function did not start: {}: {}", self.error_type, self.message)
    }
}

impl std::error::Error for InitError {}

/// Why an invocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvokeError {
    /// The function answered with an error; its process continues.
    Function {
        /// `errorType` of the report.
        error_type: String,
        /// `errorMessage` of the report.
        message: String,
    },
    /// It took longer than this and was killed.
    TimedOut(Duration),
    /// Lambda takes the messages for the next round of a loop, and does not invoke the function.
    RecursiveLoop,
    /// Its process ended before it had answered. [`Host::kill`](super::Host::kill) ends it, too.
    Died(Ending),
    /// The process that should replace an ended one did not start.
    Init(InitError),
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { error_type, message } => write!(f, "{error_type}: {message}"),
            Self::TimedOut(after) => {
                write!(
                    f,
                    "Sandbox.Timedout: the function took more than {:.2} seconds and was killed",
                    after.as_secs_f64()
                )
            }
            Self::Died(ending) => write!(f, "Runtime.ExitError: the function ended before it had answered: {ending}"),
            Self::RecursiveLoop => f.write_str("RecursiveInvocationException: Lambda detected a recursive loop"),
            Self::Init(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InvokeError {}
