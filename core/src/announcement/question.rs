//! A question is no announcement: it has a caller who waits for the answer. In a queue or on an event bus nobody would read that, so
//! there it is rejected. [`crate::question`] reads those of direct callers.

use serde_json::{Map, Value};

use crate::error::{Rejection, code};

/// Whether these are the fields of a question.
pub(crate) fn is_question(fields: &Map<String, Value>) -> bool {
    let is_status = fields.get("Status").is_some_and(|status| status.is_object() || fields.len() == 1);
    is_status || asks_for_documentation(fields) || fields.get("widgetContext").is_some_and(Value::is_object)
}

/// Whether CloudWatch asks for the widget's documentation.
pub(crate) fn asks_for_documentation(fields: &Map<String, Value>) -> bool {
    fields.get("describe") == Some(&Value::Bool(true))
}

/// The rejection of a question that came as a message.
pub(super) fn nobody_waits() -> Rejection {
    Rejection::new(
        code::NO_CALLER,
        "the message asks for a status, and nobody would read the answer",
        "invoke the function directly and synchronously: `aws lambda invoke` with the payload `{\"Status\": {}}`",
    )
}
