//! A function as it would be configured on Lambda.

use std::path::PathBuf;
use std::time::Duration;

use crate::aws::ACCOUNT;

/// What `Lambda-Runtime-Invoked-Function-Arn` and `AWS_LAMBDA_FUNCTION_NAME` say.
const FUNCTION_NAME: &str = "ami-courier";

/// A function as it would be configured on Lambda; nothing runs yet.
#[derive(Debug, Clone)]
pub struct Function {
    /// The runtime client to execute (`bootstrap` on Lambda).
    pub binary: PathBuf,
    /// The Region that the function runs in, as it sees it.
    pub region: String,
    /// The account whose credentials it gets, 12 digits.
    pub account: String,
    /// Its environment variables, besides those that Lambda sets. A later one wins.
    pub environment: Vec<(String, String)>,
    /// How long one invocation may take.
    pub timeout: Duration,
}

impl Function {
    /// A function in the default account with a timeout of 60 seconds and no variables of its own.
    pub fn new(binary: impl Into<PathBuf>, region: impl Into<String>) -> Self {
        Self {
            binary: binary.into(),
            region: region.into(),
            account: ACCOUNT.to_owned(),
            environment: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// Sets an environment variable.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sends all AWS calls of the function to this URL.
    pub fn endpoint_url(self, url: &str) -> Self {
        self.set("AWS_ENDPOINT_URL", url)
    }

    /// Runs the function in another account: its credentials and its ARN.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// How long one invocation may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The ARN that the function sees as its own.
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:{}:function:{FUNCTION_NAME}", self.region, self.account)
    }

    /// By which a trace header names the function.
    pub(super) fn lineage(&self) -> u32 {
        self.arn().bytes().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
    }

    /// What Lambda sets in a function's environment, then the function's own variables.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
    pub(super) fn variables(&self, runtime_api: &str) -> Vec<(String, String)> {
        let access_key_id = format!("AKIA{}LOCL", self.account);
        let log_group = format!("/aws/lambda/{FUNCTION_NAME}");
        let lambda = [
            ("AWS_LAMBDA_RUNTIME_API", runtime_api),
            ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION_NAME),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &log_group),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
            ("AWS_REGION", &self.region),
            ("AWS_DEFAULT_REGION", &self.region),
            ("AWS_ACCESS_KEY_ID", &access_key_id),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_SESSION_TOKEN", "local"),
            ("_HANDLER", "bootstrap"),
            ("TZ", ":UTC"),
        ];
        lambda
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(self.environment.iter().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_function_is_in_its_arn_and_its_access_key() {
        let function = Function::new("f", "eu-west-1").account("111122223333");
        assert_eq!(function.arn(), "arn:aws:lambda:eu-west-1:111122223333:function:ami-courier");
        let variables = function.variables("127.0.0.1:1");
        assert!(variables.contains(&("AWS_ACCESS_KEY_ID".to_owned(), "AKIA111122223333LOCL".to_owned())));
    }
}
