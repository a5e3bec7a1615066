//! SQS on the wire.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/>

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{
    Address, Attribute, LONGEST_VISIBILITY_TIMEOUT, Message, Queue, arn_of, checksum, unknown_handle, url_of,
    url_of_arn,
};
use crate::aws::call::Caller;
use crate::aws::error::ApiError;
use crate::aws::wire::{Answer, typed};
use crate::aws::world::World;

/// The largest message, with its attributes: 1 MiB.
const LARGEST_MESSAGE: usize = 1_048_576;

pub(in crate::aws) fn dispatch(world: &mut World, caller: &Caller, action: &str, parameters: &Value) -> Answer {
    match action {
        "CreateQueue" => create_queue(world, caller, &typed(parameters)?),
        "GetQueueUrl" => get_queue_url(world, caller, &typed(parameters)?),
        "GetQueueAttributes" => get_queue_attributes(world, caller, &typed(parameters)?),
        "SendMessage" => send_message(world, caller, typed(parameters)?),
        "ReceiveMessage" => receive_message(world, caller, &typed(parameters)?),
        "DeleteMessage" => delete_message(world, caller, &typed(parameters)?),
        "ChangeMessageVisibility" => change_message_visibility(world, caller, &typed(parameters)?),
        _ => Err(ApiError::client("UnsupportedOperation", format!("The embedded SQS has no {action}"))),
    }
}

/// The canonical URL of the queue that a request means.
fn existing(world: &World, caller: &Caller, url: &str) -> Result<String, ApiError> {
    let not_found = || ApiError::client("QueueDoesNotExist", "The specified queue does not exist.");
    let address = Address::of(url, Some(&caller.region)).ok_or_else(not_found)?;
    world.find_queue(&address).ok_or_else(not_found)?;
    let owner = Caller { region: address.region, account: address.account };
    Ok(url_of(&owner, &address.name))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    /// A number, or a number as a text: SQS takes both.
    max_receive_count: Value,
}

fn create_queue(world: &mut World, caller: &Caller, request: &CreateQueue) -> Answer {
    let name = &request.queue_name;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !(1..=80).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(ApiError::invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    let invalid =
        |name: &str| ApiError::client("InvalidAttributeValue", format!("Invalid value for the parameter {name}."));
    let mut queue = Queue::default();
    if let Some(seconds) = request.attributes.get("VisibilityTimeout") {
        queue.visibility_timeout = seconds
            .parse()
            .ok()
            .map(Duration::from_secs)
            .filter(|timeout| *timeout <= LONGEST_VISIBILITY_TIMEOUT)
            .ok_or_else(|| invalid("VisibilityTimeout"))?;
    }
    if let Some(policy) = request.attributes.get("RedrivePolicy") {
        let policy: RedrivePolicy = serde_json::from_str(policy).map_err(|_| invalid("RedrivePolicy"))?;
        let count = policy.max_receive_count.to_string();
        queue.max_receive_count = Some(count.trim_matches('"').parse().map_err(|_| invalid("RedrivePolicy"))?);
        let url = url_of_arn(&policy.dead_letter_target_arn).ok_or_else(|| invalid("RedrivePolicy"))?;
        queue.dead_letter_queue = Some(existing(world, caller, &url).map_err(|_| invalid("RedrivePolicy"))?);
    }
    Ok(json!({ "QueueUrl": world.create_queue(caller, name, queue) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueUrl {
    queue_name: String,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

fn get_queue_url(world: &World, caller: &Caller, request: &GetQueueUrl) -> Answer {
    let owner = Caller {
        region: caller.region.clone(),
        account: request.owner.clone().unwrap_or_else(|| caller.account.clone()),
    };
    let url = existing(world, caller, &url_of(&owner, &request.queue_name))?;
    Ok(json!({ "QueueUrl": url }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

fn get_queue_attributes(world: &World, caller: &Caller, request: &GetQueueAttributes) -> Answer {
    let url = existing(world, caller, &request.queue_url)?;
    let queue = world.queue(&url);
    let now = world.now();
    let count = |matching: fn(&Message, OffsetDateTime) -> bool| {
        queue.messages.iter().filter(|message| matching(message, now)).count().to_string()
    };
    let name = url.rsplit('/').next().unwrap_or_default();
    let mut attributes = BTreeMap::from([
        ("QueueArn", arn_of(caller, name)),
        ("VisibilityTimeout", queue.settings.visibility_timeout.as_secs().to_string()),
        ("ApproximateNumberOfMessages", count(|message, now| message.visible_at <= now)),
        (
            "ApproximateNumberOfMessagesNotVisible",
            count(|message, now| message.visible_at > now && message.receive_count > 0),
        ),
        (
            "ApproximateNumberOfMessagesDelayed",
            count(|message, now| message.visible_at > now && message.receive_count == 0),
        ),
    ]);
    let dead_letter_queue = queue.settings.dead_letter_queue.as_ref().and_then(|url| url.rsplit('/').next());
    if let (Some(count), Some(name)) = (queue.settings.max_receive_count, dead_letter_queue) {
        let policy = json!({ "deadLetterTargetArn": arn_of(caller, name), "maxReceiveCount": count });
        attributes.insert("RedrivePolicy", policy.to_string());
    }
    let wanted = |name: &str| request.attribute_names.iter().any(|wanted| wanted == name || wanted == "All");
    attributes.retain(|name, _| wanted(name));
    Ok(json!({ "Attributes": attributes }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: String,
    message_body: String,
    #[serde(default)]
    message_attributes: BTreeMap<String, Attribute>,
    #[serde(default)]
    delay_seconds: u64,
}

fn send_message(world: &mut World, caller: &Caller, request: SendMessage) -> Answer {
    let url = existing(world, caller, &request.queue_url)?;
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
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
fn receive_message(world: &mut World, caller: &Caller, request: &ReceiveMessage) -> Answer {
    let url = existing(world, caller, &request.queue_url)?;
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
struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

fn delete_message(world: &mut World, caller: &Caller, request: &DeleteMessage) -> Answer {
    let url = existing(world, caller, &request.queue_url)?;
    if !world.queue(&url).handles.contains(&request.receipt_handle) {
        return Err(unknown_handle(&request.receipt_handle));
    }
    world.delete(&url, &request.receipt_handle);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: u64,
}

fn change_message_visibility(world: &mut World, caller: &Caller, request: &ChangeMessageVisibility) -> Answer {
    let url = existing(world, caller, &request.queue_url)?;
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
