//! Whether a JSON object is an envelope or one of the known messages. It is read only after that.
//!
//! SNS, SQS and EventBridge put a message into an envelope of their own, often as a string.

use serde_json::{Map, Value};

use super::document::{not_understood, shown};
use super::{arn, event, image_builder, own, packer, question, request, sweep};
use crate::error::Error;
use crate::identity::shortened;

/// A JSON object, by its kind.
pub(super) enum Recognised<'a> {
    /// An envelope, and the messages in it.
    Envelope(Vec<&'a Value>),
    Event,
    Own,
    Sweep,
    PackerManifest,
    ImageBuilderNotification,
    CopyRequest,
    /// Understood, and never about an AMI.
    Irrelevant(&'static str),
    Unknown,
}

/// Recognises an object by its fields. It rejects a batch with a record of an unknown kind, a message by which SNS asks for an action,
/// and a question: an announcement has no caller who waits for an answer.
pub(super) fn recognise(fields: &Map<String, Value>) -> Result<Recognised<'_>, Error> {
    if let Some(contents) = contents(fields)? {
        return Ok(Recognised::Envelope(contents));
    }
    Ok(if event::is_one(fields) {
        Recognised::Event
    } else if own::is_one(fields) {
        Recognised::Own
    } else if sweep::is_one(fields) {
        Recognised::Sweep
    } else if packer::is_manifest(fields) {
        Recognised::PackerManifest
    } else if image_builder::is_notification(fields) {
        Recognised::ImageBuilderNotification
    } else if request::looks_like_one(fields) {
        Recognised::CopyRequest
    } else if let Some(reason) = from_amazon_s3(fields) {
        Recognised::Irrelevant(reason)
    } else if question::is_one(fields) {
        return Err(question::nobody_waits());
    } else {
        Recognised::Unknown
    })
}

/// The messages inside, if these are the fields of an envelope.
fn contents(fields: &Map<String, Value>) -> Result<Option<Vec<&Value>>, Error> {
    if let Some(records) = fields.get("Records").and_then(Value::as_array) {
        return in_records(records);
    }
    if fields.contains_key("TopicArn")
        && let Some(kind) = fields.get("Type").and_then(Value::as_str)
    {
        return in_sns_message(kind, fields).map(|message| message.map(|inner| vec![inner]));
    }
    // EventBridge Pipes can put one record of a queue into another queue.
    if let Some(body) = in_record(fields) {
        return Ok(Some(vec![body]));
    }
    Ok(in_custom_event(fields).map(|detail| vec![detail]))
}

/// All records or none: a record that is skipped would be a lost announcement.
fn in_records(records: &[Value]) -> Result<Option<Vec<&Value>>, Error> {
    let contents: Vec<&Value> = records.iter().map_while(|record| in_record(record.as_object()?)).collect();
    match records.get(contents.len()) {
        None => Ok(Some(contents)),
        Some(_) if contents.is_empty() => Ok(None),
        Some(record) => {
            let number = contents.len() + 1;
            Err(not_understood(&format!("a batch whose record {number} is {}", shown(record))))
        }
    }
}

/// A record of Lambda's events for SQS and for SNS.
fn in_record(record: &Map<String, Value>) -> Option<&Value> {
    let source = |field| record.get(field).and_then(Value::as_str);
    match (source("eventSource"), source("EventSource")) {
        (Some("aws:sqs"), _) => record.get("body"),
        (_, Some("aws:sns")) => record.get("Sns")?.get("Message"),
        _ => None,
    }
}

/// <https://docs.aws.amazon.com/sns/latest/dg/http-subscription-confirmation-json.html>
fn in_sns_message<'a>(kind: &str, fields: &'a Map<String, Value>) -> Result<Option<&'a Value>, Error> {
    let topic = fields.get("TopicArn").and_then(Value::as_str).map_or_else(|| "a topic".to_owned(), shortened);
    match kind {
        "Notification" => Ok(fields.get("Message")),
        "SubscriptionConfirmation" => Err(Error::rejected(
            kind,
            format!("SNS asks to confirm the subscription to {topic}, and sends no messages until it is confirmed"),
            "confirm it: open the SubscribeURL of this message, or run `aws sns confirm-subscription` with its Token",
        )),
        "UnsubscribeConfirmation" => Err(Error::rejected(
            kind,
            format!("the subscription to {topic} has ended: SNS sends no more messages"),
            "if that was not intended, subscribe again: open the SubscribeURL of this message",
        )),
        _ => Ok(None),
    }
}

/// A custom event may carry a message in its detail. If it names an AMI in `resources`, the event itself is the message,
/// unless its detail is a request, which says more.
fn in_custom_event(fields: &Map<String, Value>) -> Option<&Value> {
    let detail = fields.get("detail").filter(|detail| !detail.is_null())?;
    let is_request = || detail.as_object().is_some_and(request::looks_like_one);
    let is_envelope = event::is_custom(fields) && !request::looks_like_one(fields);
    (is_envelope && (is_request() || !arn::names_an_image(fields))).then_some(detail)
}

/// Amazon S3 may use the same queue. It sends a test message when it is connected, and notifications about objects.
fn from_amazon_s3(message: &Map<String, Value>) -> Option<&'static str> {
    let sent_by_s3 =
        |record: &Value| record.get("eventSource").and_then(Value::as_str).is_some_and(|source| source == "aws:s3");
    if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        Some("a test message of Amazon S3; it is not about an AMI")
    } else if message.get("Records").and_then(Value::as_array).is_some_and(|records| records.iter().any(sent_by_s3)) {
        Some("a notification of Amazon S3 about objects; it is not about an AMI")
    } else {
        None
    }
}
