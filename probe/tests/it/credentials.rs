//! Whose credentials it takes, and what it says where there are none. The SDK knows the kinds of profiles.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use local::aws::Aws;
use tempfile::TempDir;

/// Where the AWS CLI keeps the token of the session `dev`: the SHA-1 of this name.
const TOKEN_OF_DEV: &str = ".aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json";
const SIGN_ON: &str = "\
[profile sandbox]
region = ap-south-1
sso_session = dev
sso_account_id = 777788889999
sso_role_name = Sandbox

[profile through-sandbox]
region = ap-south-1
role_arn = arn:aws:iam::777788889999:role/other
source_profile = sandbox

[sso-session dev]
sso_region = eu-west-1
sso_start_url = https://example.awsapps.com/start
";

/// A home with this configuration.
fn home(config: &str) -> TempDir {
    let home = tempfile::tempdir().expect("a folder");
    write(&home.path().join(".aws/config"), config);
    home
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
    fs::write(path, text).expect("the file is written");
}

/// Runs the command at this home.
async fn probe(aws: &Aws, home: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command
        .env_clear()
        .env("HOME", home.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(environment.iter().copied())
        .args(["--endpoint-url", &aws.endpoint()])
        .args(arguments);
    tokio::task::spawn_blocking(move || command.output().expect("the command runs")).await.expect("it ends")
}

async fn aws() -> Aws {
    Aws::start().await.expect("a free port on loopback")
}

/// The access key ids of the calls.
fn keys_used(aws: &Aws) -> Vec<String> {
    aws.world().calls().into_iter().map(|call| call.access_key_id).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// It failed with these words before any call.
fn assert_refused(aws: &Aws, output: &Output, words: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for words in words {
        assert!(stderr.contains(words), "{words} is not in: {stderr}");
    }
    assert!(aws.world().calls().is_empty(), "{:?}", keys_used(aws));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_of_the_command_line_wins_over_keys_in_the_environment() {
    let aws = aws().await;
    let home = home("[profile sandbox]\naws_access_key_id = AKIA444455556666TEST\naws_secret_access_key = secret\n");
    let keys = [("AWS_ACCESS_KEY_ID", "AKIA111122223333TEST"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    probe(&aws, &home, &["--region", "eu-west-1", "--profile", "sandbox"], &keys).await;
    probe(&aws, &home, &["--region", "eu-west-1"], &keys).await;
    assert_eq!(keys_used(&aws), ["AKIA444455556666TEST", "AKIA111122223333TEST"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_it_says_what_to_do() {
    let aws = aws().await;
    let output = probe(&aws, &home(""), &["--region", "eu-west-1"], &[]).await;
    assert_refused(&aws, &output, &["no credentials: add --profile"]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_fails_is_named_before_any_call() {
    let aws = aws().await;
    let home = home("[profile sandbox]\nregion = ap-south-1\ncredential_process = sh -c 'echo locked >&2; exit 3'\n");
    let output = probe(&aws, &home, &["--profile", "sandbox", "--yes"], &[]).await;
    assert_refused(&aws, &output, &["no credentials", "locked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_of_single_sign_on_it_says_how_to_sign_on_before_any_call() {
    let aws = aws().await;
    let advice = "sign on again with `aws sso login --profile sandbox`";
    for profile in ["sandbox", "through-sandbox"] {
        let output = probe(&aws, &home(SIGN_ON), &["--profile", profile, "--yes"], &[]).await;
        assert_refused(&aws, &output, &[advice]);
    }
    // The profile of the environment, too.
    let output = probe(&aws, &home(SIGN_ON), &["--yes"], &[("AWS_PROFILE", "sandbox")]).await;
    assert_refused(&aws, &output, &[advice]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_expired_session_of_single_sign_on_it_says_how_to_sign_on_before_any_call() {
    let aws = aws().await;
    let home = home(SIGN_ON);
    write(&home.path().join(TOKEN_OF_DEV), r#"{"accessToken": "old", "expiresAt": "2020-01-01T00:00:00Z"}"#);
    let output = probe(&aws, &home, &["--profile", "sandbox", "--yes"], &[]).await;
    assert_refused(&aws, &output, &["`aws sso login --profile sandbox`", "the SSO token has expired"]);
}
