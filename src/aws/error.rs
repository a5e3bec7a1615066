//! What AWS's error codes mean: the one table that sorts them into temporary and permanent.
//!
//! A code that is not in the table is retried: a wrong retry costs calls, a wrong rejection costs a copy.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use courier_core::error::{Error, Remedy, RetryAfter, code};
use courier_core::refusal::{self, Meaning};

/// A call to AWS that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The service's code; `None` where no answer came: a timeout, a lost connection.
    pub code: Option<String>,
    /// The service's message, or what happened to the connection.
    pub message: String,
    /// For the log: what AWS Support asks for.
    cause: Option<String>,
}

impl CallError {
    pub fn new(code: Option<&str>, message: impl Into<String>) -> Self {
        Self { code: code.map(str::to_owned), message: message.into(), cause: None }
    }

    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether EC2 refused the client token: it stands for a call with other parameters, or for an AMI that is gone.
    /// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
    pub fn refuses_token(&self) -> bool {
        self.code.as_deref().is_some_and(|code| code.starts_with("Idempotent"))
    }

    /// Whether the service does not find what it was asked to change.
    pub fn is_not_found(&self) -> bool {
        self.is(code::IMAGE_NOT_FOUND) || self.is(code::SNAPSHOT_NOT_FOUND)
    }

    /// The same failure as a temporary error. `doing` says what was done: the action, the AMI and the Region.
    pub fn retry(self, after: RetryAfter, doing: impl fmt::Display) -> Error {
        let (code, message, cause) = self.parts(doing);
        Error { cause, ..Error::retry(after, code, message) }
    }

    /// The same failure as a permanent error.
    pub fn reject(self, doing: impl fmt::Display, advice: impl Into<String>) -> Error {
        let (code, message, cause) = self.parts(doing);
        Error { cause, ..Error::rejected(code, message, advice) }
    }

    /// The same failure as an error that is permanent only if it stays.
    pub fn reject_if_it_stays(self, doing: impl fmt::Display, advice: impl Into<String>) -> Error {
        Error { remedy: Remedy::AdviceIfItStays(advice.into()), ..self.reject(doing, "") }
    }

    /// The same failure as the kind of error that its code stands for.
    pub fn sorted(self, doing: impl fmt::Display) -> Error {
        match self.code.as_deref() {
            None => self.retry(RetryAfter::Seconds, doing),
            Some(code) if is_limit(code) || TAKES_MINUTES.contains(&code) => self.retry(RetryAfter::Minutes, doing),
            Some(refusal::CATCH_ALL) => match refusal::meaning(&self.message) {
                Meaning { may_pass: true, advice } => self.reject_if_it_stays(doing, advice),
                Meaning { may_pass: false, advice } => self.reject(doing, advice),
            },
            Some("UnauthorizedOperation") => {
                let advice = refusal::denied(&self.message);
                self.reject(doing, advice)
            }
            Some(code) => match advice(code) {
                Some(advice) => self.reject(doing, advice),
                None => self.retry(RetryAfter::Seconds, doing),
            },
        }
    }

    fn parts(self, doing: impl fmt::Display) -> (String, String, Option<String>) {
        let code = self.code.unwrap_or_else(|| code::NO_ANSWER.to_owned());
        (code, format!("{doing}: {}", self.message), self.cause)
    }
}

/// What was done when a call failed. In one line with the call: `ec2.image(id).await.when(format_args!("describing {id}"))?`.
pub trait When<T> {
    /// The failure, sorted by its code.
    fn when(self, doing: fmt::Arguments<'_>) -> Result<T, Error>;

    /// The same, for an AMI that was seen a moment ago: that it is not found now is temporary. The next delivery looks again.
    fn when_seen(self, doing: fmt::Arguments<'_>) -> Result<T, Error>;
}

impl<T> When<T> for Result<T, CallError> {
    fn when(self, doing: fmt::Arguments<'_>) -> Result<T, Error> {
        self.map_err(|failed| failed.sorted(doing))
    }

    fn when_seen(self, doing: fmt::Arguments<'_>) -> Result<T, Error> {
        self.map_err(|failed| {
            if failed.is_not_found() { failed.retry(RetryAfter::Seconds, doing) } else { failed.sorted(doing) }
        })
    }
}

const TAKES_MINUTES: [&str; 2] = [code::IMAGE_UNAVAILABLE, code::INCORRECT_STATE];

/// Whether a code stands for one of EC2's limits: another copy started now would meet it, too.
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
        "AccessDenied" | "AccessDeniedException" => {
            "check what the function's role allows, and the policies around it (service control policy, permissions boundary, VPC \
             endpoint), then send the message again"
        }
        "AuthFailure" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            "check that the Region is enabled for this account, and that the AMI, its snapshots and its KMS key are shared with it"
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
#[expect(clippy::needless_pass_by_value, reason = "so it stands in map_err")]
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
    // The SDK's own text about the error is Rust; of what it has beyond the message, the id of the request is of use.
    let request_id = error.meta().extra("aws_request_id");
    CallError { cause: request_id.map(|id| format!("AWS request {id}")), code, message }
}

/// An error that is not AWS's own, down to its origin: "dispatch failure: io error: … connection refused".
pub(super) fn with_sources(error: &(dyn StdError + 'static)) -> String {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        messages.push(error.to_string());
        source = error.source();
    }
    messages.join(": ")
}
