//! `PutEvents`: the events that a client sends.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

/// One entry that `PutEvents` accepted.
#[derive(Clone, Debug)]
pub struct PutEvent {
    pub region: String,
    pub account: String,
    /// Name or ARN of the bus, `default` if the entry named none.
    pub bus: String,
    pub source: String,
    pub detail_type: String,
    pub detail: Value,
    pub resources: Vec<String>,
    /// The world's time when it was put.
    pub at: OffsetDateTime,
}

/// What `PutEvents` accepted, oldest first.
#[derive(Default)]
struct Taken(Vec<PutEvent>);

impl World {
    /// What `PutEvents` accepted, oldest first.
    pub fn put_events(&self) -> Vec<PutEvent> {
        self.state::<Taken>().map_or_else(Vec::new, |taken| taken.0.clone())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutEvents {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
}

pub(super) fn put_events(world: &mut World, caller: &Caller, request: PutEvents) -> Answer {
    if !(1..=10).contains(&request.entries.len()) {
        return Err(ApiError::client(
            "ValidationException",
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: \
             Member must have length less than or equal to 10 and at least 1",
        ));
    }
    let results: Vec<Value> = request
        .entries
        .into_iter()
        .map(|entry| match put_event(world, caller, entry) {
            Ok(id) => json!({ "EventId": id }),
            Err((code, message)) => json!({ "ErrorCode": code, "ErrorMessage": message }),
        })
        .collect();
    let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
    Ok(json!({ "FailedEntryCount": failed, "Entries": results }))
}

/// The event's id, or the code and message of the error.
fn put_event(world: &mut World, caller: &Caller, entry: Entry) -> Result<String, (&'static str, String)> {
    let argument = |value: Option<String>, name: &str| {
        value.filter(|text| !text.is_empty()).ok_or((
            "InvalidArgument",
            format!("Parameter {name} is not valid. Reason: {name} is a required argument."),
        ))
    };
    let source = argument(entry.source, "Source")?;
    let detail_type = argument(entry.detail_type, "DetailType")?;
    let detail = argument(entry.detail, "Detail")?;
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    let detail = serde_json::from_str(&detail)
        .ok()
        .filter(Value::is_object)
        .ok_or(("MalformedDetail", "Detail is malformed.".to_owned()))?;
    let at = world.now();
    world.state_mut::<Taken>().0.push(PutEvent {
        region: caller.region.clone(),
        account: caller.account.clone(),
        bus: entry.event_bus_name.unwrap_or_else(|| "default".to_owned()),
        source,
        detail_type,
        detail,
        resources: entry.resources,
        at,
    });
    Ok(world.new_uuid())
}
