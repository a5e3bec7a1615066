//! A question: a caller waits for the answer, and nothing changes. The status, and what CloudWatch asks of a custom widget.
//!
//! Only the payload of a direct invocation can be a question. In an envelope (a queue, a topic, an event bus) nobody would read the
//! answer, so there it is rejected.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html>

use serde_json::{Map, Value};

use super::status_request::StatusRequest;
use super::widget_request::WidgetRequest;
use crate::error::{Error, code};

/// What a caller asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// `{"Status": {…}}`: the answer is JSON. A request with a mistake is a question too: only its caller hears of it.
    Status(Result<StatusRequest, Error>),
    /// `{"describe": true}`: CloudWatch asks for the widget's documentation. The answer is Markdown.
    Documentation,
    /// `{"widgetContext": {…}, …}`: a dashboard shows the widget. The answer is HTML.
    Widget(Box<WidgetRequest>),
}

/// Whether these are the fields of a question.
pub(super) fn is_one(fields: &Map<String, Value>) -> bool {
    let is_status = fields.get("Status").is_some_and(|status| status.is_object() || fields.len() == 1);
    is_status || asks_for_documentation(fields) || fields.get("widgetContext").is_some_and(Value::is_object)
}

fn asks_for_documentation(fields: &Map<String, Value>) -> bool {
    fields.get("describe") == Some(&Value::Bool(true))
}

pub(super) fn read(fields: &Map<String, Value>) -> Question {
    if asks_for_documentation(fields) {
        Question::Documentation
    } else if let Some(context) = fields.get("widgetContext").and_then(Value::as_object) {
        Question::Widget(Box::new(WidgetRequest::read(fields, context)))
    } else {
        let status = fields.get("Status").and_then(Value::as_object).filter(|_| fields.len() == 1);
        Question::Status(match status {
            Some(status) => StatusRequest::read(status),
            None => Err(Error::rejected(
                code::NOT_UNDERSTOOD,
                "a status is asked for with exactly one field `Status`, which is an object",
                "send `{\"Status\": {}}`, or with parameters: `{\"Status\": {\"Days\": 30, \"NamePatterns\": [\"golden-*\"]}}`",
            )),
        })
    }
}

/// The rejection of a question in an envelope.
pub(super) fn nobody_waits() -> Error {
    Error::rejected(
        code::NO_CALLER,
        "the message asks for a status, and nobody would read the answer",
        "invoke the function directly and synchronously: `aws lambda invoke` with the payload `{\"Status\": {}}`",
    )
}
