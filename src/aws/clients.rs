//! The clients of each service and Region, each made when it is first needed, with one configuration for all.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_sdk_ec2::config::SharedCredentialsProvider;
use courier_core::identity::Region;
use time::OffsetDateTime;

use super::clock::Clock;
use super::ec2::Ec2;
use super::environment::{OfService, flag, variable};
use super::event_bus::EventBus;
use super::https;
use super::parameter_store::ParameterStore;
use super::queue::Queue;

/// EC2's slowest answers (pages of a thousand AMIs) take a few seconds.
const ATTEMPT: Duration = Duration::from_secs(8);
/// All attempts of one call, so that several calls fit into the function's own timeout.
const OPERATION: Duration = Duration::from_secs(20);

/// AWS, as this stack reaches it: its own Region, and others when they are first needed.
pub struct Aws {
    config: SdkConfig,
    clock: Clock,
    stack_region: Region,
    ec2: PerRegion<Ec2>,
    parameter_stores: PerRegion<ParameterStore>,
    events: OnceLock<aws_sdk_eventbridge::Client>,
    queues: OnceLock<aws_sdk_sqs::Client>,
}

/// Clients, each made when it is first needed.
type PerRegion<C> = Mutex<BTreeMap<Region, C>>;

impl Aws {
    /// As the environment says: Lambda's credentials, and of AWS's own settings `AWS_ENDPOINT_URL` (and that of a service, such
    /// as `AWS_ENDPOINT_URL_EC2`), `AWS_MAX_ATTEMPTS`, `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`. The default
    /// chain would look for profiles, roles and metadata services, none of which a function has.
    pub fn connect(stack_region: &Region) -> io::Result<Self> {
        let clock = Clock::default();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(https::client(clock.clone())?)
            .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
            .region(SdkRegion::new(stack_region.to_string()))
            .service_config(OfService)
            .retry_config(retries())
            // It watches how fast a body arrives. The time of an attempt ends a slow one as well, and costs less.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(OPERATION).build(),
            );
        config
            .set_endpoint_url(variable("AWS_ENDPOINT_URL"))
            .set_use_fips(flag("AWS_USE_FIPS_ENDPOINT"))
            .set_use_dual_stack(flag("AWS_USE_DUALSTACK_ENDPOINT"));
        Ok(Self {
            config: config.build(),
            clock,
            stack_region: stack_region.clone(),
            ec2: Mutex::default(),
            parameter_stores: Mutex::default(),
            events: OnceLock::new(),
            queues: OnceLock::new(),
        })
    }

    /// The time by AWS's clock.
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// EC2 in `region`.
    pub fn ec2(&self, region: &Region) -> Ec2 {
        self.in_region(&self.ec2, region, |config| Ec2::new(config, region))
    }

    /// Systems Manager's parameters in `region`.
    pub fn parameter_store(&self, region: &Region) -> ParameterStore {
        self.in_region(&self.parameter_stores, region, |config| ParameterStore::new(config, region))
    }

    /// The event bus of that name (or ARN), seen from this Region.
    pub fn event_bus(&self, name: &str) -> EventBus {
        EventBus::new(self.events.get_or_init(|| aws_sdk_eventbridge::Client::new(&self.config)), name)
    }

    /// The SQS queue at that URL.
    pub fn queue(&self, url: &str) -> Queue {
        Queue::new(self.queues.get_or_init(|| aws_sdk_sqs::Client::new(&self.config)), url)
    }

    fn in_region<C: Clone>(&self, clients: &PerRegion<C>, region: &Region, make: impl Fn(&SdkConfig) -> C) -> C {
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            if *region == self.stack_region {
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
