//! The two kinds of error.
//!
//! *Retry* is temporary: the same message is delivered again. *Rejected* is permanent: an operator decides. The kind decides
//! where a message goes next, so there is no third.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

/// The codes of errors that the courier itself finds: its own, in the style of EC2's, and EC2's where one fits.
pub mod code {
    pub const BUG: &str = "InternalError";
    pub const COPY_FAILED: &str = "CopyFailed";
    pub const IMAGE_MALFORMED: &str = "InvalidAMIID.Malformed";
    pub const IMAGE_NOT_FOUND: &str = "InvalidAMIID.NotFound";
    pub const IMAGE_UNAVAILABLE: &str = "InvalidAMIID.Unavailable";
    pub const INCORRECT_STATE: &str = "IncorrectState";
    pub const INVALID_COMBINATION: &str = "InvalidParameterCombination";
    pub const INVALID_VALUE: &str = "InvalidParameterValue";
    pub const MISSING_PARAMETER: &str = "MissingParameter";
    pub const NAME_MALFORMED: &str = "InvalidAMIName.Malformed";
    pub const NAME_TAKEN: &str = "InvalidAMIName.Duplicate";
    pub const NESTED_TOO_DEEP: &str = "NestedTooDeep";
    pub const NO_ANSWER: &str = "NoAnswer";
    pub const NO_CALLER: &str = "NoCaller";
    pub const NO_SUCH_REGION: &str = "NoSuchRegion";
    pub const NOT_UNDERSTOOD: &str = "NotUnderstood";
    pub const NOT_VISIBLE_YET: &str = "NotVisibleYet";
    pub const OTHER_PARTITION: &str = "OtherPartition";
    pub const OUT_OF_TIME: &str = "OutOfTime";
    pub const PANIC: &str = "Panic";
    pub const PARAMETER_NOT_TAKEN: &str = "ParameterNotTaken";
    pub const QUIET_TIME: &str = "QuietTime";
    pub const SNAPSHOT_NOT_FOUND: &str = "InvalidSnapshot.NotFound";
    pub const SOURCE_NOT_ALLOWED: &str = "SourceNotAllowed";
    pub const TOO_MANY_TAGS: &str = "TagLimitExceeded";
    pub const TRIES_SPENT: &str = "TriesSpent";
    pub const UNKNOWN_PARAMETER: &str = "UnknownParameter";
    pub const VALIDATION: &str = "ValidationException";
}

/// The error behind an error, for the log. Two causes are equal only if they are the same occurrence.
#[derive(Clone, Debug)]
pub struct Cause(Arc<dyn StdError + Send + Sync>);

impl Cause {
    pub fn new(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self(Arc::new(cause))
    }
}

impl From<Box<dyn StdError + Send + Sync>> for Cause {
    fn from(cause: Box<dyn StdError + Send + Sync>) -> Self {
        Self(cause.into())
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Cause {}

/// When to try again after a temporary error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetryAfter {
    /// After throttling, a lost connection, or an error inside an AWS service.
    Seconds,
    /// If too many copies are in progress, or the source AMI is still pending.
    Minutes,
    /// Not before this time.
    Until(OffsetDateTime),
}

/// A temporary error: the same message may succeed later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    pub after: RetryAfter,
    /// AWS's code, or one of [`code`].
    pub code: String,
    pub message: String,
    pub cause: Option<Cause>,
}

/// A permanent error: the same message would fail again, so an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// AWS's code, or one of [`code`].
    pub code: String,
    /// What happened, to which AMI, in which Region.
    pub message: String,
    /// What to do now. May be empty.
    pub advice: String,
    pub cause: Option<Cause>,
}

/// Why an announcement has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    Retry(Retry),
    Rejected(Rejection),
}

impl Rejection {
    pub fn new(code: impl Into<String>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), advice: advice.into(), cause: None }
    }
}

impl Error {
    pub fn retry(after: RetryAfter, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Retry(Retry { after, code: code.into(), message: message.into(), cause: None })
    }

    pub fn rejected(code: impl Into<String>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Rejected(Rejection::new(code, message, advice))
    }

    /// The same error with its cause.
    #[must_use]
    pub fn caused_by(mut self, because: Option<Cause>) -> Self {
        match &mut self {
            Self::Retry(Retry { cause, .. }) | Self::Rejected(Rejection { cause, .. }) => *cause = because,
        }
        self
    }

    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Retry(retry) => &retry.code,
            Self::Rejected(rejection) => &rejection.code,
        }
    }

    /// When to try again. `None` for a permanent error.
    #[must_use]
    pub fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Retry(retry) => Some(retry.after),
            Self::Rejected(_) => None,
        }
    }

    /// The error's kind, as logs, metrics and `errorType` name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retry(_) => "Retry",
            Self::Rejected(_) => "Rejected",
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds => f.write_str("in seconds"),
            Self::Minutes => f.write_str("in minutes"),
            Self::Until(time) => write!(f, "at {}", minute(*time)),
        }
    }
}

/// `2026-01-31 09:30 UTC`: the first full minute that is not before `time`.
pub(crate) fn minute(time: OffsetDateTime) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let next = time.to_offset(time::UtcOffset::UTC) + Duration::seconds(59);
    // Formatting numbers into a string cannot fail.
    next.format(format).unwrap_or_default()
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, message, advice, .. } = self;
        if advice.is_empty() { write!(f, "{code}: {message}") } else { write!(f, "{code}: {message}; {advice}") }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(Retry { code, message, after, .. }) => {
                write!(f, "{code}: {message}; temporary, will be retried {after}")
            }
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

fn source(cause: Option<&Cause>) -> Option<&(dyn StdError + 'static)> {
    let Cause(cause) = cause?;
    Some(cause.as_ref())
}

impl StdError for Rejection {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        source(self.cause.as_ref())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Retry(retry) => source(retry.cause.as_ref()),
            Self::Rejected(rejection) => source(rejection.cause.as_ref()),
        }
    }
}
