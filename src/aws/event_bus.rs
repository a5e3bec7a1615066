//! The courier's own events. <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::Value;

use crate::aws::error::{CallError, failed};

/// Who sends the courier's events.
pub const SOURCE: &str = "ami-courier";
/// What they are about.
pub const DETAIL_TYPE: &str = "AMI Copy State Change";

/// An event bus.
pub struct EventBus {
    client: Client,
    name: String,
}

impl EventBus {
    pub(super) fn new(client: &Client, name: &str) -> Self {
        Self { client: client.clone(), name: name.to_owned() }
    }

    /// Puts one event on the bus. `resources` are ARNs of the AMIs it is about.
    pub async fn put(&self, detail: &Value, resources: Vec<String>) -> Result<(), CallError> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(DETAIL_TYPE)
            .detail(detail.to_string())
            .set_resources(Some(resources))
            .build();
        let answer = self.client.put_events().entries(entry).send().await.map_err(failed)?;
        match answer.entries().iter().find_map(|entry| Some((entry.error_code()?, entry.error_message()))) {
            None => Ok(()),
            Some((code, message)) => Err(CallError::new(Some(code), message.unwrap_or("(no message)"))),
        }
    }
}
