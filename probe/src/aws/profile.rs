//! Profiles of the shared configuration files. <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use aws_config::SdkConfig;
use aws_config::profile::{ProfileFileCredentialsProvider, load};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;

use super::https::Https;

/// The credentials of this profile, and of no other place: a profile that the user names wins over keys in the environment, as in
/// the AWS CLI.
pub(super) fn credentials_of(profile: &str, config: &SdkConfig, https: &Https) -> SharedCredentialsProvider {
    let place = ProviderConfig::without_region()
        .with_region(config.region().cloned())
        .with_http_client(https.for_credentials());
    let provider = ProfileFileCredentialsProvider::builder().configure(&place).profile_name(profile).build();
    SharedCredentialsProvider::new(provider)
}

/// The profile whose single sign-on gives this profile its credentials: itself, or the one at the end of its `source_profile`s.
/// `None`: it uses no single sign-on, or cannot be read. Without a name it is the profile that the environment selects.
#[allow(clippy::default_trait_access, reason = "the real files and environment; their types are in no public place")]
pub(super) async fn signing_on_for(profile: Option<&str>) -> Option<String> {
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
