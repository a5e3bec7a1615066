//! The message `{"Sweep": {}}`: a schedule or an operator asks for a sweep.

use serde_json::{Map, Value};

use super::document::{fields_of, not_understood};
use super::meaning::Announcement;
use crate::error::Error;

pub(super) fn is_one(message: &Map<String, Value>) -> bool {
    message.contains_key("Sweep")
}

/// Any other field asks for something that a sweep does not do.
pub(super) fn read(message: &Map<String, Value>) -> Result<Vec<Announcement>, Error> {
    let is_exact = message.get("Sweep").and_then(Value::as_object).is_some_and(Map::is_empty) && message.len() == 1;
    if is_exact {
        Ok(vec![Announcement::Sweep])
    } else {
        Err(not_understood(&format!("{}; a sweep is exactly `{{\"Sweep\": {{}}}}`", fields_of(message))))
    }
}
