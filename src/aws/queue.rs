//! SQS: when a message is seen again, and where rejected ones go.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/>

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;

use crate::aws::failed;
use courier_core::outcome::CallFailed;

/// One SQS queue.
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    pub(super) fn new(client: &Client, url: &str) -> Self {
        Self { client: client.clone(), url: url.to_owned() }
    }

    /// Hides a received message for `visible_in` (up to 12 hours) from now on.
    ///
    /// # Errors
    /// Any failure of the call.
    pub async fn hide(&self, receipt_handle: &str, visible_in: Duration) -> Result<(), CallFailed> {
        let seconds = i32::try_from(visible_in.as_secs()).unwrap_or(i32::MAX).min(43_200);
        let call = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt_handle);
        call.visibility_timeout(seconds).send().await.map(drop).map_err(|error| failed(&error))
    }

    /// Sends a message with string attributes (at most ten; empty ones are left out, SQS refuses them).
    ///
    /// # Errors
    /// Any failure of the call.
    pub async fn send(&self, body: &str, attributes: BTreeMap<&str, String>) -> Result<(), CallFailed> {
        let mut call = self.client.send_message().queue_url(&self.url).message_body(body);
        for (name, text) in attributes.into_iter().filter(|(_, text)| !text.is_empty()) {
            let value = MessageAttributeValue::builder().data_type("String").string_value(text).build();
            call = call
                .message_attributes(name, value.map_err(|error| CallFailed { code: None, words: error.to_string() })?);
        }
        call.send().await.map(drop).map_err(|error| failed(&error))
    }
}
