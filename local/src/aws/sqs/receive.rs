//! `ReceiveMessage`, and the actions on a received message: `DeleteMessage`, `ChangeMessageVisibility`.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::checksum;
use super::queue::{Attribute, LONGEST_VISIBILITY_TIMEOUT, Message, unknown_handle};
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<u64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

/// It never waits: `WaitTimeSeconds` is ignored.
pub(super) fn receive_message(world: &mut World, caller: &Caller, request: &ReceiveMessage) -> Answer {
    let url = world.existing_queue(caller, &request.queue_url)?;
    let max = request.max_number_of_messages.unwrap_or(1);
    if !(1..=10).contains(&max) {
        return Err(ApiError::invalid_value(format!(
            "Value {max} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
        )));
    }
    let timeout = match request.visibility_timeout {
        None => world.queue(&url).settings.visibility_timeout,
        Some(seconds) => visibility_timeout(seconds)?,
    };
    let messages = world.take_visible(&url, max, timeout);
    let messages: Vec<Value> = messages.iter().map(|message| view(message, request)).collect();
    Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
}

fn view(message: &Message, request: &ReceiveMessage) -> Value {
    let mut view = json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt_handle,
        "MD5OfBody": checksum::of_body(&message.body),
        "Body": message.body,
    });
    let wanted = |name: &str| {
        let mut names = request.attribute_names.iter().chain(&request.message_system_attribute_names);
        names.any(|wanted| wanted == name || wanted == "All")
    };
    let milliseconds = |at: OffsetDateTime| (at.unix_timestamp() * 1000).to_string();
    let system: Map<String, Value> = [
        ("SenderId", "AIDAEXAMPLE".to_owned()),
        ("SentTimestamp", milliseconds(message.sent_at)),
        ("ApproximateReceiveCount", message.receive_count.to_string()),
        ("ApproximateFirstReceiveTimestamp", message.first_received_at.map(milliseconds).unwrap_or_default()),
    ]
    .into_iter()
    .chain(message.trace.clone().map(|trace| ("AWSTraceHeader", trace)))
    .filter(|(name, _)| wanted(name))
    .map(|(name, value)| (name.to_owned(), Value::from(value)))
    .collect();
    if !system.is_empty() {
        view["Attributes"] = Value::from(system);
    }
    let attributes: BTreeMap<String, Attribute> = message
        .attributes
        .iter()
        .filter(|(name, _)| request.message_attribute_names.iter().any(|wanted| names_attribute(wanted, name)))
        .map(|(name, attribute)| (name.clone(), attribute.clone()))
        .collect();
    if let Some(digest) = checksum::of_attributes(&attributes) {
        view["MD5OfMessageAttributes"] = Value::from(digest);
        view["MessageAttributes"] = json!(attributes);
    }
    view
}

/// `All`, `.*`, a name, or a prefix such as `bar.*`.
fn names_attribute(wanted: &str, name: &str) -> bool {
    wanted == "All" || wanted == name || wanted.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

pub(super) fn delete_message(world: &mut World, caller: &Caller, request: &DeleteMessage) -> Answer {
    let url = world.existing_queue(caller, &request.queue_url)?;
    if !world.queue(&url).handles.contains(&request.receipt_handle) {
        return Err(unknown_handle(&request.receipt_handle));
    }
    world.delete(&url, &request.receipt_handle);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: u64,
}

pub(super) fn change_message_visibility(
    world: &mut World,
    caller: &Caller,
    request: &ChangeMessageVisibility,
) -> Answer {
    let url = world.existing_queue(caller, &request.queue_url)?;
    let timeout = visibility_timeout(request.visibility_timeout)?;
    world.change_visibility(&url, &request.receipt_handle, timeout)?;
    Ok(json!({}))
}

fn visibility_timeout(seconds: u64) -> Result<Duration, ApiError> {
    let timeout = Duration::from_secs(seconds);
    if timeout > LONGEST_VISIBILITY_TIMEOUT {
        return Err(ApiError::invalid_value(format!(
            "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200.",
        )));
    }
    Ok(timeout)
}
