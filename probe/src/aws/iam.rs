//! IAM: the role of `--permissions`. <https://docs.aws.amazon.com/IAM/latest/APIReference/>

use super::connection::Connection;
use super::ec2::Parameters;
use super::error::CallError;
use super::xml::Element;

impl Connection {
    /// A call of IAM. Returns the root of the answer.
    ///
    /// # Errors
    /// IAM's own, or that there is no answer.
    pub async fn iam(&self, action: &str, parameters: &Parameters) -> Result<Element, CallError> {
        self.query("iam", self.region(), &parameters.encoded(action, "2010-05-08")).await
    }
}
