//! The records of an SQS batch, each read on its own: one bad record never touches its neighbours.

use aws_lambda_events::sqs::SqsMessage;
use serde::Deserialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use courier_core::error::{Rejection, code};

/// What is needed of one record.
pub(super) struct Record {
    /// `messageId`, by which a failure is reported.
    pub(super) id: Option<String>,
    pub(super) body: Result<String, Rejection>,
    pub(super) receipt_handle: Option<String>,
    /// `ApproximateReceiveCount`.
    pub(super) deliveries: u32,
    /// `SentTimestamp`.
    pub(super) sent_at: Option<OffsetDateTime>,
    /// The message group, of a FIFO queue only: there, order is promised.
    fifo_group: Option<String>,
}

/// The records of an SQS batch; `None` for any other payload.
pub(super) fn batch(payload: &Value) -> Option<Vec<Record>> {
    let records = payload.get("Records")?.as_array()?;
    let from_sqs = |record: &Value| record.get("eventSource").and_then(Value::as_str) == Some("aws:sqs");
    (records.is_empty() || records.iter().any(from_sqs)).then(|| records.iter().map(record).collect())
}

fn record(value: &Value) -> Record {
    match SqsMessage::deserialize(value) {
        Ok(message) => {
            let attribute = |name: &str| message.attributes.get(name).cloned();
            let is_fifo = message.event_source_arn.as_deref().is_some_and(|arn| arn.strip_suffix(".fifo").is_some());
            Record {
                deliveries: attribute("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1),
                sent_at: attribute("SentTimestamp").and_then(|milliseconds| time_of(&milliseconds)),
                fifo_group: attribute("MessageGroupId").filter(|_| is_fifo),
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
                fifo_group: None,
            }
        }
    }
}

/// Of milliseconds since 1970.
fn time_of(milliseconds: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::UNIX_EPOCH.checked_add(Duration::milliseconds(milliseconds.parse().ok()?))
}

fn unreadable(why: &str) -> Rejection {
    Rejection::new(
        code::NOT_UNDERSTOOD,
        format!("a record of the batch is not as SQS sends it: {why}"),
        "send the message through SQS",
    )
}

/// Records that wait for each other, in order: those of one message group of a FIFO queue. Any other record is a lane of its
/// own.
pub(super) fn lanes(records: &[Record]) -> Vec<Vec<&Record>> {
    let mut lanes: Vec<Vec<&Record>> = Vec::new();
    for record in records {
        let group = record.fifo_group.as_ref();
        match lanes.iter_mut().find(|lane| group.is_some() && lane[0].fifo_group.as_ref() == group) {
            Some(lane) => lane.push(record),
            None => lanes.push(vec![record]),
        }
    }
    lanes
}
