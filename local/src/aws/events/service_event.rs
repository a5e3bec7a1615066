//! The events that AWS services send.

use serde_json::{Value, json};

use crate::aws::request::Caller;
use crate::aws::timestamp::event_time;
use crate::aws::world::World;

/// An AWS service's own event.
pub(in crate::aws) struct ServiceEvent<'a> {
    pub(in crate::aws) region: &'a str,
    pub(in crate::aws) account: &'a str,
    pub(in crate::aws) source: &'a str,
    pub(in crate::aws) detail_type: &'a str,
    pub(in crate::aws) resource: String,
    pub(in crate::aws) detail: Value,
}

/// The events that no test has taken yet, oldest first.
#[derive(Default)]
struct Sent(Vec<Value>);

impl World {
    /// The events that AWS services have sent since the last call ("EC2 AMI State Change", "Parameter Store
    /// Change"), oldest first, in `EventBridge`'s JSON.
    pub fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.state_mut::<Sent>().0)
    }

    pub(in crate::aws) fn emit(&mut self, event: &ServiceEvent<'_>) {
        if !self.behaviour.events {
            return;
        }
        let id = self.new_uuid();
        let time = event_time(self.now());
        let sent = json!({
            "version": "0",
            "id": id,
            "detail-type": event.detail_type,
            "source": event.source,
            "account": event.account,
            "time": time,
            "region": event.region,
            "resources": [event.resource],
            "detail": event.detail,
        });
        let owner = Caller { region: event.region.to_owned(), account: event.account.to_owned() };
        self.route(&owner, event.source, event.detail_type, &sent.to_string());
        self.state_mut::<Sent>().0.push(sent);
    }
}
