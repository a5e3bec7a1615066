//! What became of an announcement: an outcome, or one of exactly two kinds of error.
//!
//! The difference between *retry* and *rejected* decides whether a message is delivered again or goes to an operator,
//! so every error becomes one of them in a single place: [`Error::from_aws`] for what AWS answers, the constructors for
//! what is found here.

use std::fmt;

use serde::Serialize;

use crate::copy_image::{AmiName, ClientToken};
use crate::identity::{Identity, ImageId, Region};

/// From where to where. In JSON: `SourceImageId`, `SourceRegion`, `Region`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Route {
    pub source_image_id: ImageId,
    pub source_region: Region,
    pub region: Region,
}

impl Route {
    #[must_use]
    pub fn new(source: &Identity, region: &Region) -> Self {
        Self { source_image_id: source.image.clone(), source_region: source.region.clone(), region: region.clone() }
    }
}

/// What became of one AMI, in the field names of the EC2 API.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "Outcome", rename_all_fields = "PascalCase")]
pub enum Outcome {
    /// EC2 accepted the copy; `ImageId` is the copy.
    Started {
        image_id: ImageId,
        name: AmiName,
        #[serde(flatten)]
        route: Route,
        client_token: ClientToken,
    },
    /// A pending, available or disabled copy is there, made by whomever.
    AlreadyCopied {
        image_id: ImageId,
        name: String,
        #[serde(flatten)]
        route: Route,
    },
    /// EC2 answered `DryRunOperation`: the copy would have been allowed.
    DryRun {
        name: AmiName,
        #[serde(flatten)]
        route: Route,
        client_token: ClientToken,
    },
    /// Not wanted here, or nothing to do.
    Ignored {
        reason: String,
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        route: Option<Route>,
    },
    /// The copy is available and every finishing step holds.
    Finished {
        image_id: ImageId,
        name: String,
        #[serde(flatten)]
        route: Route,
        /// From the copy's creation to its finish.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_seconds: Option<i64>,
        /// From the source AMI's creation to its copy's finish, where the source was looked at.
        #[serde(skip_serializing_if = "Option::is_none")]
        lag_seconds: Option<i64>,
        /// The sizes of its snapshots' volumes, added up.
        #[serde(rename = "SizeGiB")]
        size_gib: i64,
    },
    /// The copy is deregistered, or disabled as its source is.
    Retired {
        image_id: ImageId,
        name: String,
        #[serde(flatten)]
        route: Route,
        reason: String,
    },
}

impl Outcome {
    /// The outcome's name, as in its JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "Started",
            Self::AlreadyCopied { .. } => "AlreadyCopied",
            Self::DryRun { .. } => "DryRun",
            Self::Ignored { .. } => "Ignored",
            Self::Finished { .. } => "Finished",
            Self::Retired { .. } => "Retired",
        }
    }

    /// The copy, where there is one.
    #[must_use]
    pub fn copy(&self) -> Option<&ImageId> {
        match self {
            Self::Started { image_id, .. }
            | Self::AlreadyCopied { image_id, .. }
            | Self::Finished { image_id, .. }
            | Self::Retired { image_id, .. } => Some(image_id),
            Self::DryRun { .. } | Self::Ignored { .. } => None,
        }
    }

    /// From where to where, where that is known.
    #[must_use]
    pub fn route(&self) -> Option<&Route> {
        match self {
            Self::Started { route, .. }
            | Self::AlreadyCopied { route, .. }
            | Self::DryRun { route, .. }
            | Self::Finished { route, .. }
            | Self::Retired { route, .. } => Some(route),
            Self::Ignored { route, .. } => route.as_ref(),
        }
    }
}

/// How long a cause that passes by itself usually takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// Throttling, a lost connection, an AWS service that stumbles.
    Seconds,
    /// Too many copies in progress, a source AMI that is still pending.
    Minutes,
}

/// What is tried again: the cause passes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    pub pace: Pace,
    pub code: String,
    pub words: String,
}

/// What an operator has to decide: the same message would fail again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// EC2's code, or one of ours in its style.
    pub code: String,
    /// What happened, to which AMI, in which Region.
    pub words: String,
    /// What to do now.
    pub advice: String,
}

/// Why an announcement has no outcome: two kinds, never a third.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    Retry(Retry),
    Rejected(Rejection),
}

impl Retry {
    /// Whether it is one of EC2's limits: what else is asked for now will meet it, too.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        is_limit(&self.code)
    }
}

fn is_limit(code: &str) -> bool {
    matches!(
        code,
        "ResourceLimitExceeded"
            | "PendingSnapshotLimitExceeded"
            | "SnapshotLimitExceeded"
            | "ImageLimitExceeded"
            | "ConcurrentSnapshotLimitExceeded"
            | "MaxSnapshotCopiesInProgress"
    )
}

impl Rejection {
    pub fn new(code: impl Into<String>, words: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: code.into(), words: words.into(), advice: advice.into() }
    }
}

impl Error {
    pub fn retry(pace: Pace, code: impl Into<String>, words: impl Into<String>) -> Self {
        Self::Retry(Retry { pace, code: code.into(), words: words.into() })
    }

    pub fn rejected(code: impl Into<String>, words: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Rejected(Rejection::new(code, words, advice))
    }

    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Retry(retry) => &retry.code,
            Self::Rejected(rejection) => &rejection.code,
        }
    }

    /// At what pace it is to be tried again, if it is.
    #[must_use]
    pub fn retry_pace(&self) -> Option<Pace> {
        match self {
            Self::Retry(retry) => Some(retry.pace),
            Self::Rejected(_) => None,
        }
    }

    /// The error's kind, as logs and metrics name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retry(_) => "Retry",
            Self::Rejected(_) => "Rejected",
        }
    }
}

/// An AWS call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailed {
    /// The service's code; `None` where no answer came: a time-out, a lost connection.
    pub code: Option<String>,
    /// The service's words, or what happened to the connection.
    pub words: String,
}

impl CallFailed {
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

impl Error {
    /// Sorts what AWS answered to `attempt` (the action, the AMI and the Region, in words) by its code.
    ///
    /// A code that is not in the table is retried: a wrong retry costs calls, a wrong rejection costs a copy.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
    #[must_use]
    pub fn from_aws(attempt: &str, failed: &CallFailed) -> Self {
        let words = format!("{attempt}: {}", failed.words);
        let Some(code) = failed.code.as_deref() else { return Self::retry(Pace::Seconds, "NoAnswer", words) };
        match code {
            limit if is_limit(limit) => Self::retry(Pace::Minutes, code, words),
            "InvalidAMIID.Unavailable" | "IncorrectState" => Self::retry(Pace::Minutes, code, words),
            _ => match advice(code) {
                Some(advice) => Self::rejected(code, words, advice),
                None => Self::retry(Pace::Seconds, code, words),
            },
        }
    }
}

/// What an operator can do about a permanent error; `None`: it is not known to be permanent.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            "allow the action in the function's role (an encoded message is read with `aws sts decode-authorization-message`), \
             then send the message again"
        }
        "AuthFailure" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            "check that the AMI, its snapshots and its KMS key are shared with this account and that the Region is enabled"
        }
        "OperationNotPermitted" => "EC2 does not permit this: change what its words name, then send the message again",
        "OptInRequired" => "enable the Region for this account, then send the message again",
        "InvalidAMIID.NotFound" => {
            "check the image id and its Region, and that its owner shares the AMI with this account"
        }
        "InvalidAMIID.Malformed" | "InvalidAMIName.Malformed" | "MissingParameter" => {
            "correct the message and send it again"
        }
        "InvalidRequest" => {
            "EC2 does not copy this AMI as asked: look at its encryption, and whether its snapshots and key are shared with this account"
        }
        "TagPolicyViolation" => "change EXTRA_TAGS or the source's tags to what the organization's tag policy demands",
        "TagLimitExceeded" => "ask for fewer tags",
        "SnapshotCopyUnsupported.InterRegion" | "UnsupportedOperation" => {
            "EC2 cannot copy this AMI between these Regions"
        }
        "ParameterNotFound" | "ResourceNotFoundException" => "check the name, and that it is in this Region",
        "ValidationException"
        | "ParameterPatternMismatchException"
        | "HierarchyLevelLimitExceededException"
        | "HierarchyTypeMismatchException"
        | "UnsupportedParameterType"
        | "InvalidAMIAttributeItemValue"
        | "InvalidUserID.Malformed" => "correct the setting or the message",
        _ if code.starts_with("InvalidParameter") => "correct the setting or the message, then send it again",
        _ => return None,
    })
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, words, advice } = self;
        if advice.is_empty() { write!(f, "{code}: {words}") } else { write!(f, "{code}: {words}; {advice}") }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(Retry { code, words, pace }) => {
                let soon = match pace {
                    Pace::Seconds => "seconds",
                    Pace::Minutes => "minutes",
                };
                write!(f, "{code}: {words}; it passes by itself and is tried again in {soon}")
            }
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
