//! The two kinds of error.
//!
//! *Retry* is temporary: the same message is delivered again. *Rejected* is permanent: an operator decides. The kind decides
//! where a message goes next, so there is no third.

use std::fmt;

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
    pub const LOOKS_SPENT: &str = "LooksSpent";
    pub const MISSING_PARAMETER: &str = "MissingParameter";
    pub const NAME_MALFORMED: &str = "InvalidAMIName.Malformed";
    pub const NAME_TAKEN: &str = "InvalidAMIName.Duplicate";
    pub const NESTED_TOO_DEEP: &str = "NestedTooDeep";
    pub const NO_ANSWER: &str = "NoAnswer";
    pub const NO_CALLER: &str = "NoCaller";
    pub const NO_QUEUE: &str = "NoQueue";
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

/// Why a message has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// AWS's code, or one of [`code`].
    pub code: String,
    /// What happened, to which AMI, in which Region.
    pub message: String,
    pub remedy: Remedy,
    /// What lies behind it, for the log alone.
    pub cause: Option<String>,
}

/// What helps against an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// *Retry*: the same message may succeed later.
    Retry(RetryAfter),
    /// *Rejected*: the same message would fail again. What an operator can do; may be empty.
    Advice(String),
    /// The same, if it stays: the cause may pass, so the message is retried at first.
    AdviceIfItStays(String),
}

impl Error {
    pub fn retry(after: RetryAfter, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), remedy: Remedy::Retry(after), cause: None }
    }

    pub fn rejected(code: impl Into<String>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), remedy: Remedy::Advice(advice.into()), cause: None }
    }

    /// What several failures come to. As long as one of them is temporary, all are tried again.
    pub fn all(errors: Vec<Self>) -> Option<Self> {
        let message = errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ");
        let first = errors.into_iter().max_by_key(Self::retry_after)?;
        Some(Self { message, ..first })
    }

    /// An error that only a mistake in the courier can lead to.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::rejected(code::BUG, format!("internal error: {}", message.into()), "report this as a bug")
    }

    /// Makes a rejection whose cause may pass the temporary error that it is at first. Any other error stays as it is.
    pub fn retry_at_first(&mut self) {
        if matches!(self.remedy, Remedy::AdviceIfItStays(_)) {
            self.remedy = Remedy::Retry(RetryAfter::Minutes);
        }
    }

    /// When to try again. `None` for a permanent error.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        match &self.remedy {
            Remedy::Retry(after) => Some(*after),
            Remedy::Advice(_) | Remedy::AdviceIfItStays(_) => None,
        }
    }

    /// What an operator can do about a permanent error. `None` for a temporary one.
    pub fn advice(&self) -> Option<&str> {
        match &self.remedy {
            Remedy::Retry(_) => None,
            Remedy::Advice(advice) | Remedy::AdviceIfItStays(advice) => Some(advice),
        }
    }

    /// The error's kind, as logs, metrics and `errorType` name it.
    pub fn name(&self) -> &'static str {
        match self.remedy {
            Remedy::Retry(_) => "Retry",
            Remedy::Advice(_) | Remedy::AdviceIfItStays(_) => "Rejected",
        }
    }
}

/// The text with one mark at its end: AWS's own words mostly have theirs.
pub fn sentence(text: &str) -> String {
    let text = text.trim_end_matches([' ', ';', ',']);
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, message, remedy, .. } = self;
        let what = sentence(message);
        match remedy {
            Remedy::Retry(after) => write!(f, "{code}: {what} Temporary: will be retried {after}."),
            Remedy::Advice(advice) | Remedy::AdviceIfItStays(advice) if advice.is_empty() => {
                write!(f, "{code}: {what}")
            }
            Remedy::Advice(advice) | Remedy::AdviceIfItStays(advice) => {
                write!(f, "{code}: {what} What to do: {}", sentence(advice))
            }
        }
    }
}

impl std::error::Error for Error {}
