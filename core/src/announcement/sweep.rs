//! The constant `{"Sweep": {}}`, which a schedule sends where EventBridge's own event does not say enough.

use serde_json::{Map, Value};

use super::document::{fields_of, not_understood};
use super::kinds::Announcement;
use crate::error::Rejection;

pub(super) fn is_one(message: &Map<String, Value>) -> bool {
    message.contains_key("Sweep")
}

/// Strictly: somebody who writes more into it wants something that a sweep does not do.
pub(super) fn read(message: &Map<String, Value>) -> Result<Vec<Announcement>, Rejection> {
    let nothing_more = message.get("Sweep").and_then(Value::as_object).is_some_and(Map::is_empty) && message.len() == 1;
    if nothing_more {
        Ok(vec![Announcement::Sweep])
    } else {
        Err(not_understood(&format!("{}, but a sweep is `{{\"Sweep\": {{}}}}` and nothing more", fields_of(message))))
    }
}
