//! The queues of the stack, and the poller between them and the function.

use serde_json::{Value, json};

use crate::aws::{Aws, Caller, Message, Queue, World};
use crate::cli::report;

/// How often a message is delivered before it goes to the dead-letter queue.
const MAX_RECEIVE_COUNT: u32 = 10;

/// The queues of the stack, by URL.
pub(super) struct Queues {
    pub(super) work: String,
    pub(super) dead_letters: String,
}

/// A message that the function has: its id and its receipt handle.
pub(super) type Received = (String, String);

impl Queues {
    pub(super) fn add(world: &mut World, region: &str) -> Self {
        let dead_letters = world.add_queue(region, "ami-courier-dead-letters", Queue::default());
        let settings = Queue {
            max_receive_count: Some(MAX_RECEIVE_COUNT),
            dead_letter_queue: Some(dead_letters.clone()),
            ..Queue::default()
        };
        let work = world.add_queue(region, "ami-courier", settings);
        Self { work, dead_letters }
    }

    /// Puts the records of an SQS batch into the queue and receives them, so that the function can acknowledge and delay
    /// their messages as on AWS. Writes their receipt handles into the records.
    pub(super) fn receive_records(&self, aws: &Aws, event: &mut Value) -> Vec<Received> {
        let mut world = aws.world();
        let records = event.get_mut("Records").and_then(Value::as_array_mut).into_iter().flatten();
        let mut received = Vec::new();
        for record in records.filter(|record| record["eventSource"] == "aws:sqs") {
            let (Some(id), Some(body)) = (record["messageId"].as_str(), record["body"].as_str()) else { continue };
            world.send(&self.work, body);
            if let Some(message) = world.receive(&self.work, 1).pop() {
                received.push((id.to_owned(), message.receipt_handle.clone()));
                record["receiptHandle"] = message.receipt_handle.into();
            }
        }
        received
    }

    /// Deletes the messages that the answer does not report as failed, as Lambda's poller does.
    pub(super) fn acknowledge(&self, aws: &Aws, received: &[Received], answer: &Value) {
        let failed = report::failed_messages(answer);
        let mut world = aws.world();
        for (_, handle) in received.iter().filter(|(id, _)| !failed.contains(&id.as_str())) {
            world.delete(&self.work, handle);
        }
    }

    pub(super) fn is_empty(&self, aws: &Aws) -> bool {
        aws.world().messages(&self.work).is_empty()
    }
}

/// A message as Lambda's poller hands it to the function, in a batch of one.
pub(super) fn batch_of(message: &Message, region: &str) -> Value {
    let Caller { region, account } = Caller::in_region(region);
    let mut batch = json!({"Records": [{
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": message.receive_count.to_string(),
            "SentTimestamp": (message.sent_at.unix_timestamp_nanos() / 1_000_000).to_string(),
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{region}:{account}:ami-courier"),
        "awsRegion": region,
    }]});
    if let Some(trace) = &message.trace {
        batch["Records"][0]["attributes"]["AWSTraceHeader"] = trace.as_str().into();
    }
    batch
}
