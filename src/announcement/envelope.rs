//! Taking the wrapping off: what carried a message says nothing of what is in it.
//!
//! SNS, SQS and EventBridge put a message into one of their own, often as a string; pipelines do it twice. Every layer
//! is a strict part of the one around it and there is a most of them, so the work is linear in the payload's size.

use serde_json::{Map, Value};

use super::document::{self, not_understood};
use super::{Announcement, arn, event, nothing, request};
use crate::identity::shortened;
use crate::outcome::Rejection;

/// An envelope is a layer, and so is JSON in a string: an event in SNS in SQS has four.
const MOST_LAYERS: usize = 32;

/// What is done with the message inside.
type Read<'a> = dyn Fn(&Map<String, Value>) -> Result<Vec<Announcement>, Rejection> + 'a;

/// Reads each message in the payload.
pub(super) fn open(payload: &Value, read: &Read) -> Result<Vec<Announcement>, Rejection> {
    open_layer(payload, read, 0)
}

/// Reads each message in a text that should be JSON.
pub(super) fn open_text(text: &str, read: &Read) -> Result<Vec<Announcement>, Rejection> {
    open_text_layer(text, read, 0)
}

fn open_layer(payload: &Value, read: &Read, depth: usize) -> Result<Vec<Announcement>, Rejection> {
    if depth > MOST_LAYERS {
        return Err(Rejection::new(
            "NestedTooDeep",
            format!("the message is wrapped in more than {MOST_LAYERS} envelopes and JSON strings"),
            "send it with fewer: nothing that carries messages wraps them so often, so look for a loop",
        ));
    }
    match payload {
        Value::String(text) => open_text_layer(text, read, depth),
        Value::Object(fields) => match contents(fields)? {
            None => read(fields),
            Some(contents) if contents.is_empty() => Ok(vec![nothing("the batch is empty")]),
            Some(contents) => {
                let mut announcements = Vec::new();
                for inner in contents {
                    announcements.extend(open_layer(inner, read, depth + 1)?);
                }
                Ok(announcements)
            }
        },
        other => Err(not_understood(&document::shown(other))),
    }
}

fn open_text_layer(text: &str, read: &Read, depth: usize) -> Result<Vec<Announcement>, Rejection> {
    #[cfg(test)]
    work::count(text.len());
    // What Windows writes files with begins with a byte order mark, which is no JSON.
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(payload) => open_layer(&payload, read, depth + 1),
        Err(why) => Err(not_understood(&format!("no JSON ({why}): `{}`", shortened(text)))),
    }
}

/// What is inside, when these are the fields of an envelope.
fn contents(fields: &Map<String, Value>) -> Result<Option<Vec<&Value>>, Rejection> {
    if let Some(records) = fields.get("Records").and_then(Value::as_array) {
        return in_records(records);
    }
    if fields.contains_key("TopicArn")
        && let Some(kind) = fields.get("Type").and_then(Value::as_str)
    {
        return in_sns_message(kind, fields).map(|message| message.map(|inner| vec![inner]));
    }
    Ok(in_custom_event(fields).map(|detail| vec![detail]))
}

/// All, or none: a record that is passed over would be an announcement that is lost.
fn in_records(records: &[Value]) -> Result<Option<Vec<&Value>>, Rejection> {
    let contents: Vec<&Value> = records.iter().map_while(in_record).collect();
    match records.get(contents.len()) {
        None => Ok(Some(contents)),
        Some(_) if contents.is_empty() => Ok(None),
        Some(record) => {
            let seen = document::shown(record);
            Err(not_understood(&format!("a batch whose record {} is {seen}", contents.len() + 1)))
        }
    }
}

/// A record of Lambda's events for SQS and for SNS.
fn in_record(record: &Value) -> Option<&Value> {
    let source = |field| record.get(field).and_then(Value::as_str);
    match (source("eventSource"), source("EventSource")) {
        (Some("aws:sqs"), _) => record.get("body"),
        (_, Some("aws:sns")) => record.get("Sns")?.get("Message"),
        _ => None,
    }
}

/// <https://docs.aws.amazon.com/sns/latest/dg/http-subscription-confirmation-json.html>
fn in_sns_message<'a>(kind: &str, fields: &'a Map<String, Value>) -> Result<Option<&'a Value>, Rejection> {
    let topic = fields.get("TopicArn").and_then(Value::as_str).map_or_else(|| "a topic".to_owned(), shortened);
    match kind {
        "Notification" => Ok(fields.get("Message")),
        "SubscriptionConfirmation" => Err(Rejection::new(
            kind,
            format!("SNS asks whether the subscription to {topic} is wanted, and sends nothing until it is confirmed"),
            "confirm it: open the SubscribeURL of this message, or run `aws sns confirm-subscription` with its Token",
        )),
        "UnsubscribeConfirmation" => Err(Rejection::new(
            kind,
            format!("the subscription to {topic} has ended: SNS sends no further announcement"),
            "if that was not intended, subscribe again: open the SubscribeURL of this message",
        )),
        _ => Ok(None),
    }
}

/// Whoever puts an event of their own on a bus may carry a message in it. An event that names an AMI in `resources` is
/// itself the message, unless its detail is a request, which says more.
fn in_custom_event(fields: &Map<String, Value>) -> Option<&Value> {
    let detail = fields.get("detail").filter(|detail| !detail.is_null())?;
    let is_request = || detail.as_object().is_some_and(request::looks_like_one);
    let is_envelope = event::is_custom(fields) && !request::looks_like_one(fields);
    (is_envelope && (is_request() || !arn::names_an_image(fields))).then_some(detail)
}

/// How much was parsed, for the proof that work is linear in size.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    thread_local! { static BYTES: Cell<usize> = const { Cell::new(0) } }

    pub(super) fn count(bytes: usize) {
        BYTES.set(BYTES.get() + bytes);
    }

    /// The bytes that this thread has parsed since it was last asked.
    pub(in crate::announcement) fn parsed() -> usize {
        BYTES.take()
    }
}
