//! `CreateQueue`, `DeleteQueue`, `ListQueues`, `GetQueueUrl`, `GetQueueAttributes`.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::address::Address;
use super::queue::{LONGEST_VISIBILITY_TIMEOUT, Message, Queue};
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
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

pub(super) fn create_queue(world: &mut World, caller: &Caller, request: &CreateQueue) -> Answer {
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
        let dead_letter_queue = Address::of_arn(&policy.dead_letter_target_arn)
            .filter(|address| world.find_queue(address).is_some())
            .ok_or_else(|| invalid("RedrivePolicy"))?;
        queue.dead_letter_queue = Some(dead_letter_queue.url());
    }
    let policy = request.attributes.get("Policy").map(|policy| serde_json::from_str(policy));
    let policy: Option<Value> = policy.transpose().map_err(|_| invalid("Policy"))?;
    let url = world.create_queue(Address::of_caller(caller, name), queue);
    world.queue_mut(&url).policy = policy;
    Ok(json!({ "QueueUrl": url }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteQueue {
    queue_url: String,
}

pub(super) fn delete_queue(world: &mut World, caller: &Caller, request: &DeleteQueue) -> Answer {
    let url = world.existing_queue(caller, &request.queue_url)?;
    world.remove_queue(&url);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
}

/// All at once: a page is never full here.
pub(super) fn list_queues(world: &World, caller: &Caller, request: &ListQueues) -> Value {
    let is_wanted = |address: &&Address| {
        address.region == caller.region
            && address.account == caller.account
            && address.name.starts_with(&request.queue_name_prefix)
    };
    let urls: Vec<String> = world.addresses().filter(is_wanted).map(Address::url).collect();
    if urls.is_empty() { json!({}) } else { json!({ "QueueUrls": urls }) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: String,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

pub(super) fn get_queue_url(world: &World, caller: &Caller, request: &GetQueueUrl) -> Answer {
    let owner = Caller {
        region: caller.region.clone(),
        account: request.owner.clone().unwrap_or_else(|| caller.account.clone()),
    };
    let address = Address::of_caller(&owner, &request.queue_name);
    Ok(json!({ "QueueUrl": world.existing_queue(caller, &address.url())? }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

pub(super) fn get_queue_attributes(world: &World, caller: &Caller, request: &GetQueueAttributes) -> Answer {
    let url = world.existing_queue(caller, &request.queue_url)?;
    let queue = world.queue(&url);
    let now = world.now();
    let count = |matching: fn(&Message, OffsetDateTime) -> bool| {
        queue.messages.iter().filter(|message| matching(message, now)).count()
    };
    let visible = count(|message, now| message.visible_at <= now) + world.behaviour.messages_counted_too_many;
    let arn_of = |url: &str| Address::of_url(url).map(|address| address.arn()).unwrap_or_default();
    let mut attributes = BTreeMap::from([
        ("QueueArn", arn_of(&url)),
        ("VisibilityTimeout", queue.settings.visibility_timeout.as_secs().to_string()),
        ("ApproximateNumberOfMessages", visible.to_string()),
        (
            "ApproximateNumberOfMessagesNotVisible",
            count(|message, now| message.visible_at > now && message.receive_count > 0).to_string(),
        ),
        (
            "ApproximateNumberOfMessagesDelayed",
            count(|message, now| message.visible_at > now && message.receive_count == 0).to_string(),
        ),
    ]);
    let dead_letter_queue = queue.settings.dead_letter_queue.as_ref();
    if let (Some(count), Some(url)) = (queue.settings.max_receive_count, dead_letter_queue) {
        let policy = json!({ "deadLetterTargetArn": arn_of(url), "maxReceiveCount": count });
        attributes.insert("RedrivePolicy", policy.to_string());
    }
    let wanted = |name: &str| request.attribute_names.iter().any(|wanted| wanted == name || wanted == "All");
    attributes.retain(|name, _| wanted(name));
    Ok(json!({ "Attributes": attributes }))
}
