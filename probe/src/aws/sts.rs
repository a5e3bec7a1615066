//! STS: who calls, and a role for a while. <https://docs.aws.amazon.com/STS/latest/APIReference/>

use aws_credential_types::Credentials;

use super::connection::Connection;
use super::ec2::Parameters;
use super::error::CallError;

const VERSION: &str = "2011-06-15";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// The ARN of the user, role or root.
    pub arn: String,
}

impl Connection {
    /// # Errors
    /// STS's own, or that there is no answer.
    pub async fn caller_identity(&self) -> Result<Identity, CallError> {
        let form = Parameters::default().encoded("GetCallerIdentity", VERSION);
        let answer = self.query("sts", self.region(), &form).await?;
        let text = |name: &str| {
            let element = answer.find(name).ok_or_else(|| CallError::Lost(format!("the answer has no {name}")))?;
            Ok(element.text.trim().to_owned())
        };
        Ok(Identity { account: text("Account")?, arn: text("Arn")? })
    }

    /// The same AWS under a role.
    ///
    /// # Errors
    /// STS's own, or that there is no answer.
    pub async fn assume_role(&self, arn: &str, session: &str) -> Result<Connection, CallError> {
        let parameters = Parameters::default().with("RoleArn", arn).with("RoleSessionName", session);
        let answer = self.query("sts", self.region(), &parameters.encoded("AssumeRole", VERSION)).await?;
        let given =
            answer.find("Credentials").ok_or_else(|| CallError::Lost("no credentials in the answer".to_owned()))?;
        let text = |name: &str| given.text_of(name).unwrap_or_default().to_owned();
        let token = Some(text("SessionToken"));
        Ok(self.as_principal(Credentials::new(text("AccessKeyId"), text("SecretAccessKey"), token, None, "AssumeRole")))
    }
}
