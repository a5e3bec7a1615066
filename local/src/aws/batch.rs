//! Calls with several entries, `PutEvents` and `SendMessageBatch`: the call succeeds although some entries fail.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>,
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>

use serde_json::{Value, json};

use super::request::{Answer, Request};

/// The answer when every entry failed with this code and message.
pub(super) fn all_entries_failed(request: &Request, code: &str, message: &str) -> Value {
    let entries = entries(request);
    if request.service == "sqs" {
        let failed: Vec<Value> = entries.iter().map(|entry| sqs_failure(entry, code, message)).collect();
        json!({ "Successful": [], "Failed": failed })
    } else {
        let failed = vec![events_failure(code, message); entries.len()];
        json!({ "FailedEntryCount": failed.len(), "Entries": failed })
    }
}

/// Carries out the call without the entry at this place, and returns the answer in which that entry failed. If there
/// is no such entry, the call is carried out unchanged.
pub(super) fn one_entry_failed(
    request: &Request,
    at: usize,
    code: &str,
    message: &str,
    carry_out: impl FnOnce(&Request) -> Answer,
) -> Answer {
    let mut rest = request.clone();
    let entries = rest.parameters["Entries"].as_array_mut().filter(|entries| at < entries.len());
    let Some(entries) = entries else {
        return carry_out(request);
    };
    let failed = entries.remove(at);
    if entries.is_empty() {
        return Ok(all_entries_failed(request, code, message));
    }
    let mut answer = carry_out(&rest)?;
    if request.service == "sqs" {
        push(&mut answer["Failed"], sqs_failure(&failed, code, message));
    } else {
        let count = answer["FailedEntryCount"].as_u64().unwrap_or_default();
        answer["FailedEntryCount"] = json!(count + 1);
        if let Some(results) = answer["Entries"].as_array_mut() {
            results.insert(at, events_failure(code, message));
        }
    }
    Ok(answer)
}

fn entries(request: &Request) -> &[Value] {
    request.parameters["Entries"].as_array().map_or(&[], Vec::as_slice)
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(items) => items.push(item),
        None => *list = json!([item]),
    }
}

fn events_failure(code: &str, message: &str) -> Value {
    json!({ "ErrorCode": code, "ErrorMessage": message })
}

fn sqs_failure(entry: &Value, code: &str, message: &str) -> Value {
    json!({ "Id": entry["Id"], "Code": code, "Message": message, "SenderFault": false })
}
