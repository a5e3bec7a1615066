//! `EventBridge`: the events that AWS services send, and those that a client puts. Rules send the former to queues.

mod put_events;
mod rules;
mod service_event;

use serde_json::Value;

use super::error::ApiError;
use super::request::{Answer, Caller, typed};
use super::world::World;

pub use put_events::PutEvent;
pub(super) use service_event::ServiceEvent;

pub(super) fn dispatch(world: &mut World, caller: &Caller, action: &str, parameters: &Value) -> Answer {
    match action {
        "DeleteRule" => rules::delete_rule(world, caller, &typed(parameters)?),
        "ListRules" => Ok(rules::list_rules(world, caller, &typed(parameters)?)),
        "PutRule" => rules::put_rule(world, caller, &typed(parameters)?),
        "PutTargets" => rules::put_targets(world, caller, typed(parameters)?),
        "RemoveTargets" => rules::remove_targets(world, caller, &typed(parameters)?),
        "PutEvents" => put_events::put_events(world, caller, typed(parameters)?),
        _ => Err(ApiError::client("UnknownOperationException", format!("The embedded EventBridge has no {action}"))),
    }
}
