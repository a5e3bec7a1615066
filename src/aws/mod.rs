//! The only folder that knows the AWS SDK: one small file a service, each call with its Region and time-outs.
//!
//! Nothing is hidden behind a trait: tests point the real clients at AWS on loopback.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_sdk_ec2::config::SharedCredentialsProvider;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

use courier_core::identity::Region;
use courier_core::outcome::CallFailed;

pub mod ec2;
pub mod event_bus;
mod https;
pub mod parameter_store;
pub mod queue;

pub use ec2::Ec2;
pub use event_bus::EventBus;
pub use parameter_store::ParameterStore;
pub use queue::Queue;

/// Finding a peer that is there takes milliseconds.
const CONNECT: Duration = Duration::from_secs(2);
/// EC2's slowest answers (pages of a thousand AMIs) take a few seconds.
const ATTEMPT: Duration = Duration::from_secs(8);
/// All attempts of one call, so that several calls fit into the function's own time-out.
const OPERATION: Duration = Duration::from_secs(20);

/// AWS, as this stack reaches it: its own Region, and others when they are first needed.
pub struct Aws {
    config: SdkConfig,
    here: Region,
    ec2: PerRegion<Ec2>,
    parameter_stores: PerRegion<ParameterStore>,
    events: OnceLock<aws_sdk_eventbridge::Client>,
    queues: OnceLock<aws_sdk_sqs::Client>,
}

/// Clients, each made when it is first needed.
type PerRegion<C> = Mutex<BTreeMap<Region, C>>;

impl Aws {
    /// As the environment says: Lambda's credentials, and of AWS's own settings `AWS_ENDPOINT_URL`, `AWS_MAX_ATTEMPTS`,
    /// `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`. The default chain would look for profiles, roles and
    /// metadata services, none of which a function has.
    ///
    /// # Errors
    /// Root certificates that cannot be read.
    pub fn connect(here: &Region) -> io::Result<Self> {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(https::client()?)
            .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
            .region(SdkRegion::new(here.to_string()))
            .retry_config(retries())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(OPERATION)
                    .build(),
            );
        config
            .set_endpoint_url(variable("AWS_ENDPOINT_URL"))
            .set_use_fips(flag("AWS_USE_FIPS_ENDPOINT"))
            .set_use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT"));
        Ok(Self {
            config: config.build(),
            here: here.clone(),
            ec2: Mutex::default(),
            parameter_stores: Mutex::default(),
            events: OnceLock::new(),
            queues: OnceLock::new(),
        })
    }

    /// EC2 in `region`.
    #[must_use]
    pub fn ec2(&self, region: &Region) -> Ec2 {
        self.in_region(&self.ec2, region, |config| Ec2::new(config, region))
    }

    /// Systems Manager's parameters in `region`.
    #[must_use]
    pub fn parameter_store(&self, region: &Region) -> ParameterStore {
        self.in_region(&self.parameter_stores, region, |config| ParameterStore::new(config, region))
    }

    /// The event bus of that name (or ARN), seen from this Region.
    #[must_use]
    pub fn event_bus(&self, name: &str) -> EventBus {
        EventBus::new(self.events.get_or_init(|| aws_sdk_eventbridge::Client::new(&self.config)), name)
    }

    /// The SQS queue at that URL.
    #[must_use]
    pub fn queue(&self, url: &str) -> Queue {
        Queue::new(self.queues.get_or_init(|| aws_sdk_sqs::Client::new(&self.config)), url)
    }

    fn in_region<C: Clone>(&self, clients: &PerRegion<C>, region: &Region, make: impl Fn(&SdkConfig) -> C) -> C {
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            if *region == self.here {
                return make(&self.config);
            }
            make(&self.config.to_builder().region(SdkRegion::new(region.to_string())).build())
        };
        clients.entry(region.clone()).or_insert_with(make).clone()
    }
}

/// The SDK's standard retries.
fn retries() -> RetryConfig {
    let attempts = variable("AWS_MAX_ATTEMPTS").and_then(|attempts| attempts.parse().ok());
    RetryConfig::standard().with_max_attempts(attempts.unwrap_or(3))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn flag(name: &str) -> Option<bool> {
    variable(name).map(|value| value.eq_ignore_ascii_case("true"))
}

/// What the courier has to know of a failed call: the code that sorts it, and the words for the operator.
fn failed<E, R>(error: &SdkError<E, R>) -> CallFailed
where
    SdkError<E, R>: ProvideErrorMetadata,
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match (error.code(), error.message()) {
        (Some(code), words) => {
            CallFailed { code: Some(code.to_owned()), words: words.unwrap_or("(no words)").to_owned() }
        }
        (None, _) => CallFailed { code: None, words: with_causes(error) },
    }
}

/// An error that is not AWS's own, down to its cause: "dispatch failure: io error: … connection refused".
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
