//! The AWS that is asked, through its SDK.
//!
//! No call is repeated behind a question's back: the SDK retries nothing, and each call with a client token is given one.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ami_courier::aws::clock::Clock as AwsTime;
use ami_courier::aws::https;
use aws_config::profile::{ProfileFileCredentialsProvider, load};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_types::config_bag::ConfigBag;
use tokio::sync::watch;

/// AWS answers most calls within a second.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A future on the heap, for calls through a table or a trait.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The time that passes in the AWS that is asked.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time since the clock was made.
    fn elapsed(&self) -> Duration;

    /// Waits until this much time has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// Real time. `rate` is how many seconds pass in the AWS that is asked for each real second: 1 for AWS itself.
#[derive(Debug)]
pub struct RealTime {
    pub since: Instant,
    pub rate: f64,
}

impl Clock for RealTime {
    fn elapsed(&self) -> Duration {
        self.since.elapsed().mul_f64(self.rate)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration.div_f64(self.rate)))
    }
}

/// Why a call has no answer, or an error as its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// AWS answered with an error: nothing was done.
    Refused { code: String, message: String },
    /// No answer, or one that cannot be read. Whether the call had an effect is unknown.
    Lost(String),
    /// There are no credentials: nothing was sent.
    NoCredentials(String),
    /// The run was stopped before the call.
    Stopped,
}

impl CallError {
    /// The code of AWS's error, if AWS answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            CallError::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// A call that cannot be made as it is written.
    pub(crate) fn invalid(error: impl Error) -> Self {
        CallError::Lost(error.to_string())
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Refused { code, message } => write!(f, "{code}: {message}"),
            CallError::Lost(reason) => write!(f, "no answer: {reason}"),
            CallError::NoCredentials(reason) => write!(f, "no credentials: {reason}"),
            CallError::Stopped => f.write_str("the run was stopped"),
        }
    }
}

impl Error for CallError {}

impl<E: ProvideErrorMetadata + Error + 'static> From<SdkError<E>> for CallError {
    fn from(error: SdkError<E>) -> Self {
        let first: &(dyn Error + 'static) = &error;
        let causes: Vec<_> = std::iter::successors(Some(first), |error| (**error).source()).collect();
        let texts =
            |causes: &[&(dyn Error + 'static)]| causes.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        if causes.iter().any(|cause| cause.is::<CallError>()) {
            return CallError::Stopped;
        }
        if let Some(at) = causes.iter().position(|cause| cause.is::<CredentialsError>()) {
            return CallError::NoCredentials(texts(&causes[at..]));
        }
        let (code, message) = (error.code(), error.message().unwrap_or_default());
        match (code, error.raw_response().map(|answer| answer.status().as_u16())) {
            // A server that failed may have done something.
            (Some(code), Some(500..)) if !is_throttling(code) => CallError::Lost(format!("{code}: {message}")),
            (Some(code), _) => CallError::Refused { code: code.to_owned(), message: message.to_owned() },
            (None, Some(status)) if status >= 300 => CallError::Lost(format!("HTTP {status} without an error code")),
            (None, _) => CallError::Lost(texts(&causes)),
        }
    }
}

fn is_throttling(code: &str) -> bool {
    code.contains("Throttl") || code == "RequestLimitExceeded"
}

/// AWS's answer, or the code of its error; an error if there is neither.
pub(crate) fn answered<T>(answer: Result<T, impl Into<CallError>>) -> Result<Result<T, String>, CallError> {
    match answer.map_err(Into::into) {
        Ok(answer) => Ok(Ok(answer)),
        Err(CallError::Refused { code, .. }) => Ok(Err(code)),
        Err(error) => Err(error),
    }
}

/// Stops a run: no call begins after it. Clones share it.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Stop(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Returns when the run is stopped.
    async fn stopped(&self) {
        // The sender lives in `self`, so it cannot be gone.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

#[dyn_dispatch_hint]
impl Intercept for Stop {
    fn name(&self) -> &'static str {
        "Stop"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if *self.0.borrow() { Err(CallError::Stopped.into()) } else { Ok(()) }
    }
}

/// AWS, as one principal.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    clock: Arc<dyn Clock>,
    stop: Stop,
}

macro_rules! clients {
    ($($service:ident: $sdk:ident),*) => {
        impl Aws {
            $(pub(crate) fn $service(&self, region: &str) -> $sdk::Client {
                let config = $sdk::config::Builder::from(&self.config)
                    .region(Region::new(region.to_owned()))
                    .interceptor(self.stop.clone());
                $sdk::Client::from_conf(config.build())
            })*
        }
    };
}

clients!(
    ebs: aws_sdk_ebs, ec2: aws_sdk_ec2, events: aws_sdk_eventbridge, iam: aws_sdk_iam, sqs: aws_sdk_sqs, ssm: aws_sdk_ssm,
    sts: aws_sdk_sts
);

impl Aws {
    /// AWS as the caller's environment and files say, unless the arguments say otherwise. Makes no call to the services that are asked.
    /// An error has advice.
    pub async fn open(
        profile: Option<&str>,
        region: Option<String>,
        endpoint_url: Option<String>,
        clock: Arc<dyn Clock>,
        stop: Stop,
    ) -> Result<Self, String> {
        let https_client = https::client(AwsTime::default()).map_err(|error| error.to_string())?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https_client.clone());
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        let found = loader.load().await;
        let region = found.region().ok_or("no Region: add --region, such as --region eu-west-1")?;
        let mut config = found.to_builder();
        if let Some(profile) = profile {
            // A profile that the user names wins over keys in the environment, as in the AWS CLI.
            let place =
                ProviderConfig::without_region().with_region(Some(region.clone())).with_http_client(https_client);
            let provider = ProfileFileCredentialsProvider::builder().configure(&place).profile_name(profile).build();
            config.set_credentials_provider(Some(SharedCredentialsProvider::new(provider)));
        }
        config.set_endpoint_url(endpoint_url.or(found.endpoint_url().map(str::to_owned)));
        Ok(Aws::with(&config.build(), clock, stop))
    }

    /// An AWS on loopback, which accepts any keys.
    pub fn on_loopback(url: &str, region: &str, clock: Arc<dyn Clock>, stop: Stop) -> std::io::Result<Self> {
        let keys = Credentials::new("AKIALOOPBACK", "secret", None, None, "loopback");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(https::client(AwsTime::default())?)
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .region(Region::new(region.to_owned()))
            .endpoint_url(url);
        Ok(Aws::with(&config.build(), clock, stop))
    }

    fn with(config: &SdkConfig, clock: Arc<dyn Clock>, stop: Stop) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(TIMEOUT).build();
        let config = config.to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Aws { config, clock, stop }
    }

    /// The same place as another principal.
    pub(crate) fn with_keys(&self, keys: Credentials) -> Self {
        let config = self.config.to_builder().credentials_provider(SharedCredentialsProvider::new(keys)).build();
        Aws { config, ..self.clone() }
    }

    /// The same for what must be done after a stop.
    pub fn unstoppable(&self) -> Self {
        Aws { stop: Stop::default(), ..self.clone() }
    }

    /// The Region of the caller.
    pub fn region(&self) -> &str {
        self.config.region().map_or("", Region::as_ref)
    }

    /// The endpoint, if it is not AWS's own.
    pub fn endpoint_url(&self) -> Option<&str> {
        self.config.endpoint_url()
    }

    /// The account of the caller, and its ARN.
    pub async fn caller(&self) -> Result<(String, String), CallError> {
        let answer = self.sts(self.region()).get_caller_identity().send().await?;
        answer.account.zip(answer.arn).ok_or_else(|| CallError::Lost("the answer has no account".to_owned()))
    }

    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Waits, unless the run is stopped.
    pub async fn sleep(&self, duration: Duration) -> Result<(), CallError> {
        tokio::select! {
            () = self.stop.stopped() => Err(CallError::Stopped),
            () = self.clock.sleep(duration) => Ok(()),
        }
    }
}

/// The profile whose single sign-on gives this profile its credentials: itself, or the one at the end of its `source_profile`s.
/// `None`: it uses no single sign-on, or cannot be read. Without a name it is the profile that the environment selects.
#[allow(clippy::default_trait_access, reason = "the real files and environment; their types are in no public place")]
pub(crate) async fn signing_on_for(profile: Option<&str>) -> Option<String> {
    let name = profile.map(|name| name.to_owned().into());
    let files = load(&Default::default(), &Default::default(), &Default::default(), name).await.ok()?;
    let mut name = files.selected_profile();
    // A chain of profiles is never longer than their number, unless it is a circle.
    for _ in files.profiles() {
        let profile = files.get_profile(name)?;
        if profile.get("sso_session").or(profile.get("sso_start_url")).is_some() {
            return Some(name.to_owned());
        }
        name = profile.get("source_profile")?;
    }
    None
}
