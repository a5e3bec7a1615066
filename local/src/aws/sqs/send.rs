//! `SendMessage`.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::checksum;
use super::queue::Attribute;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

/// The longest `DelaySeconds`.
const LONGEST_DELAY_SECONDS: u64 = 900;

/// The largest message, with its attributes, and the largest batch, in bytes: 1 MiB.
pub(super) const LARGEST_MESSAGE: usize = 1_048_576;

/// The message of `SendMessage`, and each message of `SendMessageBatch`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewMessage {
    message_body: String,
    #[serde(default)]
    message_attributes: BTreeMap<String, Attribute>,
    #[serde(default)]
    delay_seconds: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: NewMessage,
}

pub(super) fn send_message(world: &mut World, caller: &Caller, trace: Option<&str>, request: SendMessage) -> Answer {
    let url = world.existing_queue(caller, &request.queue_url)?;
    request.message.send(world, &url, trace)
}

impl NewMessage {
    /// Sends it. Returns its id and digests. The call's trace header becomes the message's.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-x-ray-and-amazon-sqs.html>
    ///
    /// # Errors
    /// Those of `SendMessage`.
    pub(super) fn send(self, world: &mut World, url: &str, trace: Option<&str>) -> Answer {
        self.check_body()?;
        check_attributes(&self.message_attributes)?;
        if self.size() > LARGEST_MESSAGE {
            return Err(ApiError::invalid_value(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {LARGEST_MESSAGE} bytes."
            )));
        }
        let delay = self.delay()?;
        let mut answer = json!({ "MD5OfMessageBody": checksum::of_body(&self.message_body) });
        if let Some(digest) = checksum::of_attributes(&self.message_attributes) {
            answer["MD5OfMessageAttributes"] = Value::from(digest);
        }
        answer["MessageId"] =
            Value::from(world.enqueue(url, &self.message_body, self.message_attributes, delay, trace));
        Ok(answer)
    }

    /// In bytes, with its attributes.
    pub(super) fn size(&self) -> usize {
        let of_attribute = |(name, attribute): (&String, &Attribute)| {
            name.len() + attribute.data_type.len() + attribute.value().map_or(0, str::len)
        };
        self.message_body.len() + self.message_attributes.iter().map(of_attribute).sum::<usize>()
    }

    fn check_body(&self) -> Result<(), ApiError> {
        if self.message_body.is_empty() {
            return Err(ApiError::client("MissingParameter", "The request must contain the parameter MessageBody."));
        }
        let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        if self.message_body.chars().all(allowed) {
            return Ok(());
        }
        Err(ApiError::client(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        ))
    }

    fn delay(&self) -> Result<Duration, ApiError> {
        match u64::try_from(self.delay_seconds) {
            Ok(seconds @ 0..=LONGEST_DELAY_SECONDS) => Ok(Duration::from_secs(seconds)),
            _ => Err(ApiError::invalid_value(format!(
                "Value {} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= {LONGEST_DELAY_SECONDS}.",
                self.delay_seconds
            ))),
        }
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
fn check_attributes(attributes: &BTreeMap<String, Attribute>) -> Result<(), ApiError> {
    if attributes.len() > 10 {
        return Err(ApiError::invalid_value(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [10].",
            attributes.len()
        )));
    }
    attributes.iter().try_for_each(|(name, attribute)| check_attribute(name, attribute))
}

fn check_attribute(name: &str, attribute: &Attribute) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let lower = name.to_ascii_lowercase();
    let is_reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    if is_reserved || !(1..=256).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(ApiError::invalid_value(format!("Invalid message attribute name '{name}'.")));
    }
    if attribute.value().is_none_or(str::is_empty) {
        return Err(ApiError::invalid_value(format!(
            "Message (user) attribute '{name}' must contain a non-empty value of type '{}'.",
            attribute.data_type
        )));
    }
    let kind = attribute.data_type.split('.').next();
    if matches!(kind, Some("String" | "Number" | "Binary")) {
        return Ok(());
    }
    Err(ApiError::invalid_value(format!(
        "The type of message (user) attribute '{name}' is invalid. You must use only the following supported \
         type prefixes: Binary, Number, String."
    )))
}
