//! `SendMessageBatch`: up to ten messages, each of which succeeds or fails alone.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::send::{LARGEST_MESSAGE, NewMessage};
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

/// The most entries of a batch.
const MOST_ENTRIES: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessageBatch {
    queue_url: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    #[serde(flatten)]
    message: NewMessage,
}

pub(super) fn send_message_batch(
    world: &mut World,
    caller: &Caller,
    trace: Option<&str>,
    request: SendMessageBatch,
) -> Answer {
    let url = world.existing_queue(caller, &request.queue_url)?;
    check(&request.entries)?;
    let mut successful: Vec<Value> = Vec::new();
    let mut failed: Vec<Value> = Vec::new();
    for Entry { id, message } in request.entries {
        match message.send(world, &url, trace) {
            Ok(mut sent) => {
                sent["Id"] = Value::from(id);
                successful.push(sent);
            }
            Err(error) => failed.push(
                json!({ "Id": id, "Code": error.code, "Message": error.message, "SenderFault": error.status < 500 }),
            ),
        }
    }
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

/// The rules for the batch as a whole.
fn check(entries: &[Entry]) -> Result<(), ApiError> {
    if entries.is_empty() {
        return Err(ApiError::client(
            "EmptyBatchRequest",
            "There should be at least one SendMessageBatchRequestEntry in the request.",
        ));
    }
    if entries.len() > MOST_ENTRIES {
        return Err(ApiError::client(
            "TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are {MOST_ENTRIES}. You have sent {}.", entries.len()),
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !entries.iter().all(|entry| (1..=80).contains(&entry.id.len()) && entry.id.chars().all(allowed)) {
        return Err(ApiError::client(
            "InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
             It can be at most 80 letters long.",
        ));
    }
    let mut ids = BTreeSet::new();
    if let Some(repeated) = entries.iter().find(|entry| !ids.insert(&entry.id)) {
        return Err(ApiError::client("BatchEntryIdsNotDistinct", format!("Id {} repeated.", repeated.id)));
    }
    let size: usize = entries.iter().map(|entry| entry.message.size()).sum();
    if size > LARGEST_MESSAGE {
        return Err(ApiError::client(
            "BatchRequestTooLong",
            format!("Batch requests cannot be longer than {LARGEST_MESSAGE} bytes. You have sent {size} bytes."),
        ));
    }
    Ok(())
}
