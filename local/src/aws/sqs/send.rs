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

/// The largest message, with its attributes: 1 MiB.
const LARGEST_MESSAGE: usize = 1_048_576;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    message_body: String,
    #[serde(default)]
    message_attributes: BTreeMap<String, Attribute>,
    #[serde(default)]
    delay_seconds: u64,
}

pub(super) fn send_message(world: &mut World, caller: &Caller, request: SendMessage) -> Answer {
    let url = world.existing_queue(caller, &request.queue_url)?;
    if request.message_body.is_empty() {
        return Err(ApiError::client("MissingParameter", "The request must contain the parameter MessageBody."));
    }
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    if !request.message_body.chars().all(allowed) {
        return Err(ApiError::client(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        ));
    }
    check_attributes(&request)?;
    if request.delay_seconds > 900 {
        return Err(ApiError::invalid_value(format!(
            "Value {} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
            request.delay_seconds
        )));
    }
    let mut answer = json!({ "MD5OfMessageBody": checksum::of_body(&request.message_body) });
    if let Some(digest) = checksum::of_attributes(&request.message_attributes) {
        answer["MD5OfMessageAttributes"] = Value::from(digest);
    }
    let delay = Duration::from_secs(request.delay_seconds);
    answer["MessageId"] = Value::from(world.enqueue(&url, &request.message_body, request.message_attributes, delay));
    Ok(answer)
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
fn check_attributes(request: &SendMessage) -> Result<(), ApiError> {
    let attributes = &request.message_attributes;
    if attributes.len() > 10 {
        return Err(ApiError::invalid_value(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [10].",
            attributes.len()
        )));
    }
    let mut size = request.message_body.len();
    for (name, attribute) in attributes {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let lower = name.to_ascii_lowercase();
        let is_reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
        if is_reserved || !(1..=256).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(ApiError::invalid_value(format!("Invalid message attribute name '{name}'.")));
        }
        let value = attribute.string_value.as_ref().or(attribute.binary_value.as_ref());
        let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
            ApiError::invalid_value(format!(
                "Message (user) attribute '{name}' must contain a non-empty value of type '{}'.",
                attribute.data_type
            ))
        })?;
        let kind = attribute.data_type.split('.').next();
        if !matches!(kind, Some("String" | "Number" | "Binary")) {
            return Err(ApiError::invalid_value(format!(
                "The type of message (user) attribute '{name}' is invalid. You must use only the following supported \
                 type prefixes: Binary, Number, String."
            )));
        }
        size += name.len() + attribute.data_type.len() + value.len();
    }
    if size > LARGEST_MESSAGE {
        return Err(ApiError::invalid_value(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {LARGEST_MESSAGE} bytes."
        )));
    }
    Ok(())
}
