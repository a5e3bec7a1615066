//! SQS: the courier's own queue, and its dead-letter queue.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/>

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry};

use crate::aws::error::{CallError, failed};

/// How many messages SQS takes in one call. Their bodies may have 1 MiB together.
pub const BATCH: usize = 10;

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
    pub async fn hide(&self, receipt_handle: &str, visible_in: Duration) -> Result<(), CallError> {
        let seconds = i32::try_from(visible_in.as_secs()).unwrap_or(i32::MAX).min(43_200);
        let call = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt_handle);
        call.visibility_timeout(seconds).send().await.map(drop).map_err(failed)
    }

    /// Sends a message with string attributes (at most ten; empty ones are left out, since SQS refuses them).
    pub async fn send(&self, body: &str, attributes: BTreeMap<&str, String>) -> Result<(), CallError> {
        let mut call = self.client.send_message().queue_url(&self.url).message_body(body);
        for (name, text) in attributes.into_iter().filter(|(_, text)| !text.is_empty()) {
            let value = MessageAttributeValue::builder().data_type("String").string_value(text).build();
            let value = value.map_err(|error| CallError::new(None, error.to_string()))?;
            call = call.message_attributes(name, value);
        }
        call.send().await.map(drop).map_err(failed)
    }

    /// Sends up to [`BATCH`] messages, each with its delay (up to 15 minutes).
    /// After an error, some may have been sent.
    pub async fn send_all(&self, messages: &[(String, Duration)]) -> Result<(), CallError> {
        let mut call = self.client.send_message_batch().queue_url(&self.url);
        for (number, (body, delay)) in messages.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body(body)
                .delay_seconds(i32::try_from(delay.as_secs()).unwrap_or(900));
            call = call.entries(entry.build().map_err(|error| CallError::new(None, error.to_string()))?);
        }
        let answer = call.send().await.map_err(failed)?;
        match answer.failed().first() {
            None => Ok(()),
            Some(entry) => Err(CallError::new(Some(entry.code()), entry.message().unwrap_or("(no message)"))),
        }
    }

    /// How many messages the queue has: waiting, delayed, and in flight. SQS counts approximately.
    pub async fn depth(&self) -> Result<usize, CallError> {
        const COUNTS: [QueueAttributeName; 3] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let call = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = call.set_attribute_names(Some(COUNTS.into())).send().await.map_err(failed)?;
        let counts = answer.attributes().into_iter().flat_map(|attributes| attributes.values());
        Ok(counts.filter_map(|count| count.parse::<usize>().ok()).sum())
    }
}
