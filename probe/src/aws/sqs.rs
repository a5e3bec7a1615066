//! SQS: a queue for events. <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/>

use serde_json::{Value, json};

use super::connection::Connection;
use super::error::CallError;
use super::json::{JsonService, text};

const SQS: JsonService = JsonService { name: "sqs", target: "AmazonSQS", content_type: "application/x-amz-json-1.0" };

impl Connection {
    /// A call of SQS in a Region.
    ///
    /// # Errors
    /// SQS's own, or that there is no answer.
    pub async fn sqs(&self, region: &str, action: &str, parameters: &Value) -> Result<Value, CallError> {
        self.json(&SQS, region, action, parameters).await
    }

    /// `CreateQueue`. Returns the queue's URL.
    ///
    /// # Errors
    /// As [`sqs`](Self::sqs).
    pub async fn create_queue(
        &self,
        region: &str,
        name: &str,
        attributes: &Value,
        tag: (&str, &str),
    ) -> Result<String, CallError> {
        let parameters = json!({ "QueueName": name, "Attributes": attributes, "tags": { tag.0: tag.1 } });
        text(&self.sqs(region, "CreateQueue", &parameters).await?, "QueueUrl")
    }

    /// `ListQueues`: the URLs of the queues whose name begins so; a thousand at the most.
    ///
    /// # Errors
    /// As [`sqs`](Self::sqs).
    pub async fn queues(&self, region: &str, name_prefix: &str) -> Result<Vec<String>, CallError> {
        let answer = self.sqs(region, "ListQueues", &json!({ "QueueNamePrefix": name_prefix })).await?;
        let urls = answer["QueueUrls"].as_array().into_iter().flatten();
        Ok(urls.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// `ReceiveMessage`: up to ten messages.
    ///
    /// # Errors
    /// As [`sqs`](Self::sqs).
    pub async fn receive(&self, region: &str, queue_url: &str) -> Result<Vec<Value>, CallError> {
        let parameters = json!({ "QueueUrl": queue_url, "MaxNumberOfMessages": 10 });
        let answer = self.sqs(region, "ReceiveMessage", &parameters).await?;
        Ok(answer["Messages"].as_array().cloned().unwrap_or_default())
    }

    /// `DeleteQueue`. A queue that is gone is no error.
    ///
    /// # Errors
    /// As [`sqs`](Self::sqs).
    pub async fn delete_queue(&self, region: &str, queue_url: &str) -> Result<(), CallError> {
        match self.sqs(region, "DeleteQueue", &json!({ "QueueUrl": queue_url })).await {
            Err(error) if error.code().is_some_and(|code| code.ends_with("QueueDoesNotExist")) => Ok(()),
            answer => answer.map(drop),
        }
    }
}
