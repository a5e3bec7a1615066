//! `EventBridge`: the events that AWS services send, and those that a client puts.

mod put_events;
mod service_event;

use serde_json::Value;

use super::error::ApiError;
use super::request::{Answer, Caller, typed};
use super::world::World;

pub use put_events::PutEvent;
pub(super) use service_event::ServiceEvent;

pub(super) fn dispatch(world: &mut World, caller: &Caller, action: &str, parameters: &Value) -> Answer {
    match action {
        "PutEvents" => put_events::put_events(world, caller, typed(parameters)?),
        _ => Err(ApiError::client("UnknownOperationException", format!("The embedded EventBridge has no {action}"))),
    }
}
