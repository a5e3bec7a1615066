//! The caller's own credentials and Region, as every SDK of AWS finds them.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use super::https::Https;

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
    pub(super) credentials: SharedCredentialsProvider,
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
        let credentials = config.credentials_provider().ok_or("no credentials")?;
        let endpoint_url = options.endpoint_url.clone().or_else(|| config.endpoint_url().map(str::to_owned));
        Ok(Caller { credentials, region, endpoint_url })
    }

    /// Keys that only an AWS on loopback accepts.
    pub(super) fn on_loopback(endpoint_url: &str, region: &str) -> Self {
        let keys = Credentials::new("AKIALOOPBACK", "secret", None, None, "loopback");
        Caller {
            credentials: SharedCredentialsProvider::new(keys),
            region: region.to_owned(),
            endpoint_url: Some(endpoint_url.to_owned()),
        }
    }

    pub(super) async fn credentials(&self) -> Result<Credentials, String> {
        self.credentials.provide_credentials().await.map_err(|error| {
            format!(
                "no credentials ({error}): set AWS_PROFILE or --profile. For a profile with single sign-on or a credential process, first run: \
                 eval \"$(aws configure export-credentials --profile PROFILE --format env)\""
            )
        })
    }

    /// The same place as another principal.
    pub(super) fn with_credentials(&self, credentials: Credentials) -> Self {
        Caller { credentials: SharedCredentialsProvider::new(credentials), ..self.clone() }
    }
}
