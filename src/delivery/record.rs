//! The records of an SQS batch, each read on its own: one bad record never touches its neighbours.

use aws_lambda_events::sqs::SqsMessage;
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use courier_core::error::{Error, code};

/// What is needed of one record.
pub(super) struct Record {
    /// `messageId`, by which a failure is reported.
    pub(super) id: Option<String>,
    pub(super) body: Result<String, Error>,
    pub(super) receipt_handle: Option<String>,
    /// `ApproximateReceiveCount`.
    pub(super) deliveries: u32,
    /// `SentTimestamp`.
    pub(super) sent_at: Option<OffsetDateTime>,
}

/// The records of an SQS batch; `None` for any other payload.
pub(super) fn batch(payload: &Value) -> Option<Vec<Record>> {
    let records = payload.get("Records")?.as_array()?;
    (records.is_empty() || records.iter().any(is_from_sqs)).then(|| records.iter().map(record).collect())
}

/// The records of SQS that EventBridge Pipes hand over, as a list.
pub(super) fn of_pipe(payload: &Value) -> Option<Vec<Record>> {
    let records = payload.as_array()?;
    records.iter().any(is_from_sqs).then(|| records.iter().map(record).collect())
}

fn is_from_sqs(record: &Value) -> bool {
    record.get("eventSource").and_then(Value::as_str) == Some("aws:sqs")
}

fn record(value: &Value) -> Record {
    match SqsMessage::deserialize(value) {
        Ok(message) => {
            let attribute = |name: &str| message.attributes.get(name).cloned();
            Record {
                deliveries: attribute("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1),
                sent_at: attribute("SentTimestamp").and_then(|milliseconds| time_of(&milliseconds)),
                body: message.body.ok_or_else(|| unreadable("it has no body")),
                id: message.message_id.filter(|id| !id.is_empty()),
                receipt_handle: message.receipt_handle,
            }
        }
        Err(why) => {
            let text = |field: &str| {
                value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
            };
            Record {
                id: text("messageId"),
                body: Err(unreadable(&why.to_string())),
                receipt_handle: text("receiptHandle"),
                deliveries: 1,
                sent_at: None,
            }
        }
    }
}

/// Of milliseconds since 1970.
fn time_of(milliseconds: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::UNIX_EPOCH.checked_add(Duration::milliseconds(milliseconds.parse().ok()?))
}

fn unreadable(why: &str) -> Error {
    Error::rejected(
        code::NOT_UNDERSTOOD,
        format!("a record of the batch is not as SQS sends it: {why}"),
        "send the message through SQS",
    )
}
