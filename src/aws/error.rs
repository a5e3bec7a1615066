//! What AWS's error codes mean: the one table that sorts them into temporary and permanent.
//!
//! A code that is not in the table is retried: a wrong retry costs calls, a wrong rejection costs a copy.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>

use std::error::Error as StdError;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use courier_core::error::{Cause, Error, RetryAfter, code};

/// A call to AWS that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The service's code; `None` where no answer came: a timeout, a lost connection.
    pub code: Option<String>,
    /// The service's message, or what happened to the connection.
    pub message: String,
    cause: Option<Cause>,
}

impl CallError {
    pub fn new(code: Option<&str>, message: impl Into<String>) -> Self {
        Self { code: code.map(str::to_owned), message: message.into(), cause: None }
    }

    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether EC2 refused the client token: it stands for a call with other parameters, or for an AMI that is gone.
    /// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
    #[must_use]
    pub fn refuses_token(&self) -> bool {
        self.code.as_deref().is_some_and(|code| code.starts_with("Idempotent"))
    }

    /// Whether the service does not find what it was asked to change.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.is(code::IMAGE_NOT_FOUND) || self.is(code::SNAPSHOT_NOT_FOUND)
    }

    /// The same failure as a temporary error.
    #[must_use]
    pub fn retry(self, after: RetryAfter, attempt: &str) -> Error {
        let message = format!("{attempt}: {}", self.message);
        Error::retry(after, self.code.unwrap_or_else(|| code::NO_ANSWER.to_owned()), message).caused_by(self.cause)
    }

    /// The same failure as a permanent error.
    #[must_use]
    pub fn reject(self, attempt: &str, advice: impl Into<String>) -> Error {
        let message = format!("{attempt}: {}", self.message);
        Error::rejected(self.code.unwrap_or_else(|| code::NO_ANSWER.to_owned()), message, advice).caused_by(self.cause)
    }
}

/// Sorts a failed call by its code. `attempt` says what was attempted: the action, the AMI and the Region.
pub fn attempting(attempt: String) -> impl FnOnce(CallError) -> Error {
    move |failed| match failed.code.as_deref() {
        None => failed.retry(RetryAfter::Seconds, &attempt),
        Some(code) if is_limit(code) || TAKES_MINUTES.contains(&code) => failed.retry(RetryAfter::Minutes, &attempt),
        Some(code) => match advice(code) {
            Some(advice) => failed.reject(&attempt, advice),
            None => failed.retry(RetryAfter::Seconds, &attempt),
        },
    }
}

/// As [`attempting`], for an AMI that was visible a moment ago: that it is not found now is temporary. The next delivery looks
/// again.
pub fn attempting_on_visible(attempt: String) -> impl FnOnce(CallError) -> Error {
    move |failed| {
        if failed.is_not_found() { failed.retry(RetryAfter::Seconds, &attempt) } else { attempting(attempt)(failed) }
    }
}

const TAKES_MINUTES: [&str; 2] = [code::IMAGE_UNAVAILABLE, code::INCORRECT_STATE];

/// Whether a code stands for one of EC2's limits: another copy started now would meet it, too.
#[must_use]
pub fn is_limit(code: &str) -> bool {
    const LIMITS: [&str; 6] = [
        "ConcurrentSnapshotLimitExceeded",
        "ImageLimitExceeded",
        "MaxSnapshotCopiesInProgress",
        "PendingSnapshotLimitExceeded",
        "ResourceLimitExceeded",
        "SnapshotLimitExceeded",
    ];
    LIMITS.contains(&code)
}

/// What an operator can do about a permanent error; `None`: the code is not known to be permanent.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            "allow the action in the function's role (`aws sts decode-authorization-message` decodes an encoded message), then \
             send the message again"
        }
        "AuthFailure" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            "check that the AMI, its snapshots and its KMS key are shared with this account and that the Region is enabled"
        }
        "Blocked" => "AWS has blocked this account: contact AWS Support, then send the message again",
        "PendingVerification" => {
            "AWS is still verifying this account for the Region; wait for its e-mail or contact AWS Support, then send the \
             message again"
        }
        "OperationNotPermitted" => {
            "EC2 does not permit this: change what its message names, then send the message again"
        }
        "OptInRequired" => "enable the Region for this account, then send the message again",
        code::IMAGE_NOT_FOUND => {
            "check the image id and its Region, and that its owner shares the AMI with this account"
        }
        code::IMAGE_MALFORMED | code::NAME_MALFORMED | code::MISSING_PARAMETER => {
            "correct the message and send it again"
        }
        "InvalidRequest" => {
            "EC2 does not copy this AMI as requested: check its encryption, and whether its snapshots and key are shared with \
             this account"
        }
        "TagPolicyViolation" => "change EXTRA_TAGS or the source's tags to what the organization's tag policy demands",
        code::TOO_MANY_TAGS => "request fewer tags",
        "SnapshotCopyUnsupported.InterRegion" | "UnsupportedOperation" => {
            "EC2 cannot copy this AMI between these Regions"
        }
        "ParameterNotFound" | "ResourceNotFoundException" => "check the name, and that it is in this Region",
        code::VALIDATION
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

/// What the courier has to know of a failed call.
pub(super) fn failed<E, R>(error: SdkError<E, R>) -> CallError
where
    SdkError<E, R>: ProvideErrorMetadata,
    E: StdError + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let code = error.code().map(str::to_owned);
    let message = match (&code, error.message()) {
        (Some(_), message) => message.unwrap_or("(no message)").to_owned(),
        (None, _) => with_sources(&error),
    };
    CallError { code, message, cause: error.into_source().ok().map(Cause::from) }
}

/// An error that is not AWS's own, down to its origin: "dispatch failure: io error: … connection refused".
fn with_sources(error: &(dyn StdError + 'static)) -> String {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        messages.push(error.to_string());
        source = error.source();
    }
    messages.join(": ")
}
