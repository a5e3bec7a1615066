//! `EventBridge`: the events AWS itself sends, and those a client puts.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-ami-events.html>,
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::call::Caller;
use super::error::ApiError;
use super::region::partition_of;
use super::wire::{Answer, typed};
use super::world::World;

/// One entry that `PutEvents` took.
#[derive(Clone, Debug)]
pub struct PutEvent {
    pub region: String,
    pub account: String,
    /// Name or ARN of the bus, `default` where none was named.
    pub bus: String,
    pub source: String,
    pub detail_type: String,
    pub detail: Value,
    pub resources: Vec<String>,
    /// The world's time when it was put.
    pub at: OffsetDateTime,
}

/// An AWS service's own event.
pub(super) struct ServiceEvent<'a> {
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) source: &'a str,
    pub(super) detail_type: &'a str,
    pub(super) resource: String,
    pub(super) detail: Value,
}

impl World {
    pub(super) fn emit(&mut self, event: &ServiceEvent<'_>) {
        if !self.behaviour.events {
            return;
        }
        let id = self.new_uuid();
        let time = self
            .now()
            .format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"))
            .expect("a date formats");
        self.events.push(json!({
            "version": "0",
            "id": id,
            "detail-type": event.detail_type,
            "source": event.source,
            "account": event.account,
            "time": time,
            "region": event.region,
            "resources": [event.resource],
            "detail": event.detail,
        }));
    }

    pub(super) fn emit_image_state(
        &mut self,
        region: &str,
        account: &str,
        image_id: &str,
        state: &str,
        error_message: &str,
    ) {
        let request_id = self.new_uuid();
        self.emit(&ServiceEvent {
            region,
            account,
            source: "aws.ec2",
            detail_type: "EC2 AMI State Change",
            resource: format!("arn:{}:ec2:{region}::image/{image_id}", partition_of(region)),
            detail: json!({
                "RequestId": request_id,
                "ImageId": image_id,
                "State": state,
                "ErrorMessage": error_message,
            }),
        });
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
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

pub(super) fn dispatch(world: &mut World, caller: &Caller, action: &str, parameters: &Value) -> Answer {
    match action {
        "PutEvents" => put_events(world, caller, typed(parameters)?),
        _ => Err(ApiError::client("UnknownOperationException", format!("The embedded EventBridge has no {action}"))),
    }
}

fn put_events(world: &mut World, caller: &Caller, request: PutEvents) -> Answer {
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

/// The event's id, or the code and message of its refusal.
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
    world.put_events.push(PutEvent {
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

/// The answer to a `PutEvents` of which no entry got through.
pub(super) fn all_entries_failed(parameters: &Value, code: &str, message: &str) -> Value {
    let count = parameters["Entries"].as_array().map_or(0, Vec::len);
    let result = json!({ "ErrorCode": code, "ErrorMessage": message });
    json!({ "FailedEntryCount": count, "Entries": vec![result; count] })
}

/// ISO 8601 as EC2 writes it: `2026-01-01T00:00:00.000Z`.
pub(super) fn ec2_time(at: OffsetDateTime) -> String {
    at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"))
        .expect("a date formats")
}

/// Any ISO 8601 time a client may send.
pub(super) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
