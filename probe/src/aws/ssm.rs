//! Parameter Store. <https://docs.aws.amazon.com/systems-manager/latest/APIReference/>

use serde_json::{Value, json};

use super::connection::Connection;
use super::error::CallError;
use super::json::JsonService;

const SSM: JsonService = JsonService { name: "ssm", target: "AmazonSSM", content_type: "application/x-amz-json-1.1" };

impl Connection {
    /// A call of Systems Manager in a Region.
    ///
    /// # Errors
    /// Its own, or that there is no answer.
    pub async fn ssm(&self, region: &str, action: &str, parameters: &Value) -> Result<Value, CallError> {
        self.json(&SSM, region, action, parameters).await
    }

    /// `DescribeParameters`: the names of the parameters that begin so.
    ///
    /// # Errors
    /// As [`ssm`](Self::ssm).
    pub async fn parameters(&self, region: &str, name_prefix: &str) -> Result<Vec<String>, CallError> {
        let filter = json!({ "Key": "Name", "Option": "BeginsWith", "Values": [name_prefix] });
        self.names(&SSM, region, "DescribeParameters", json!({ "ParameterFilters": [filter] }), "Parameters").await
    }

    /// `DeleteParameter`.
    ///
    /// # Errors
    /// As [`ssm`](Self::ssm).
    pub async fn delete_parameter(&self, region: &str, name: &str) -> Result<(), CallError> {
        self.ssm(region, "DeleteParameter", &json!({ "Name": name })).await.map(drop)
    }
}
