//! The caller's own credentials and Region, as every SDK of AWS finds them.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use tokio::sync::Mutex;

use super::error::causes;
use super::https::Https;
use super::profile;

/// Credentials of a role last an hour or more.
const RENEWED_BEFORE_EXPIRY: Duration = Duration::from_secs(5 * 60);

/// What the command line says about the caller.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Profile of the shared configuration files; `None`: `AWS_PROFILE`, else `default`.
    pub profile: Option<String>,
    /// `None`: as the environment or the profile says.
    pub region: Option<String>,
    /// Send every call there; `None`: `AWS_ENDPOINT_URL`, else AWS itself.
    pub endpoint_url: Option<String>,
}

/// Who calls, and where to.
#[derive(Clone, Debug)]
pub struct Caller {
    provider: SharedCredentialsProvider,
    /// The profile that the command line names.
    profile: Option<String>,
    /// The credentials of the last call: to find them can take a call of its own.
    last: Arc<Mutex<Option<Credentials>>>,
    /// The Region that is asked about.
    pub region: String,
    /// The endpoint of every service, if it is not AWS's own.
    pub endpoint_url: Option<String>,
}

impl Caller {
    /// Finds Region and credentials, without using them.
    ///
    /// # Errors
    /// No Region, or no credentials; with advice.
    pub(super) async fn find(options: &Options, https: &Https) -> Result<Self, String> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https.for_credentials());
        if let Some(profile) = &options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        let region = config.region().ok_or("no Region: add --region, such as --region eu-west-1")?.to_string();
        let provider = match &options.profile {
            Some(profile) => profile::credentials_of(profile, &config, https),
            None => config.credentials_provider().ok_or("no credentials")?,
        };
        let endpoint_url = options.endpoint_url.clone().or_else(|| config.endpoint_url().map(str::to_owned));
        Ok(Caller { provider, profile: options.profile.clone(), last: Arc::default(), region, endpoint_url })
    }

    /// Keys that only an AWS on loopback accepts.
    pub(super) fn on_loopback(endpoint_url: &str, region: &str) -> Self {
        let keys = Credentials::new("AKIALOOPBACK", "secret", None, None, "loopback");
        Caller {
            provider: SharedCredentialsProvider::new(keys),
            profile: None,
            last: Arc::default(),
            region: region.to_owned(),
            endpoint_url: Some(endpoint_url.to_owned()),
        }
    }

    /// The credentials, found again before they expire.
    pub(super) async fn credentials(&self) -> Result<Credentials, String> {
        let mut last = self.last.lock().await;
        let soon = SystemTime::now() + RENEWED_BEFORE_EXPIRY;
        let is_valid = |known: &&Credentials| known.expiry().is_none_or(|expiry| expiry > soon);
        if let Some(known) = last.as_ref().filter(is_valid) {
            return Ok(known.clone());
        }
        let found = match self.provider.provide_credentials().await {
            Ok(found) => found,
            Err(error) => return Err(self.advice(&causes(&error)).await),
        };
        *last = Some(found.clone());
        Ok(found)
    }

    /// What the user can do when there are no credentials.
    async fn advice(&self, reason: &str) -> String {
        match profile::signing_on_for(self.profile.as_deref()).await {
            Some(profile) => format!(
                "no credentials: sign on again with `aws sso login --profile {profile}`. The single sign-on of this profile failed: {reason}"
            ),
            None => format!("no credentials: add --profile, or set AWS_PROFILE ({reason})"),
        }
    }

    /// The same place as another principal.
    pub(super) fn with_credentials(&self, credentials: Credentials) -> Self {
        Caller { provider: SharedCredentialsProvider::new(credentials), last: Arc::default(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_credential_types::provider::future;

    use super::*;

    /// Gives credentials that last so long, and counts how often.
    #[derive(Debug)]
    struct Counting {
        lasting: Duration,
        count: Arc<AtomicU32>,
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.count.fetch_add(1, Ordering::Relaxed);
            let expiry = Some(SystemTime::now() + self.lasting);
            future::ProvideCredentials::ready(Ok(Credentials::new("AKIA", "secret", None, expiry, "test")))
        }
    }

    async fn found_in_three_calls(lasting: Duration) -> u32 {
        let count = Arc::new(AtomicU32::new(0));
        let provider = SharedCredentialsProvider::new(Counting { lasting, count: count.clone() });
        let caller = Caller { provider, ..Caller::on_loopback("http://127.0.0.1", "eu-west-1") };
        for _ in 0..3 {
            caller.credentials().await.expect("credentials");
        }
        count.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn credentials_are_found_once_and_again_before_they_expire() {
        assert_eq!(found_in_three_calls(Duration::from_secs(60 * 60)).await, 1);
        assert_eq!(found_in_three_calls(Duration::from_secs(60)).await, 3);
    }
}
