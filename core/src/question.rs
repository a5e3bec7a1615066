//! A question: a caller waits for the answer, and nothing changes. The status, and what CloudWatch asks of a custom widget.
//!
//! Only the payload of a direct invocation can be a question. In a queue or on an event bus nobody would read the answer, so
//! there it is rejected.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html>

use serde_json::{Map, Value};

use crate::error::{Rejection, code};
use crate::status::StatusRequest;
use crate::widget::WidgetRequest;

/// What a caller asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// `{"Status": {…}}`: the answer is JSON.
    Status(StatusRequest),
    /// `{"describe": true}`: CloudWatch asks for the widget's documentation. The answer is Markdown.
    Documentation,
    /// `{"widgetContext": {…}, …}`: a dashboard shows the widget. The answer is HTML.
    Widget(Box<WidgetRequest>),
}

/// Whether these are the fields of a question.
pub(crate) fn is_one(fields: &Map<String, Value>) -> bool {
    let is_status = fields.get("Status").is_some_and(|status| status.is_object() || fields.len() == 1);
    is_status || is_describe(fields) || fields.get("widgetContext").is_some_and(Value::is_object)
}

fn is_describe(fields: &Map<String, Value>) -> bool {
    fields.get("describe") == Some(&Value::Bool(true))
}

/// Reads the payload of a direct invocation. `days` is the number of days, unless the question names one. `None`: it is not a
/// question.
#[must_use]
pub fn read(payload: &Value, days: u16) -> Option<Result<Question, Rejection>> {
    let fields = payload.as_object().filter(|fields| is_one(fields))?;
    Some(if is_describe(fields) {
        Ok(Question::Documentation)
    } else if let Some(context) = fields.get("widgetContext").and_then(Value::as_object) {
        Ok(Question::Widget(Box::new(WidgetRequest::read(fields, context, days))))
    } else {
        match fields.get("Status").and_then(Value::as_object).filter(|_| fields.len() == 1) {
            Some(status) => StatusRequest::read(status, days).map(Question::Status),
            None => Err(Rejection::new(
                code::NOT_UNDERSTOOD,
                "a status is asked for with exactly one field `Status`, which is an object",
                "send `{\"Status\": {}}`, or with parameters: `{\"Status\": {\"Days\": 30, \"NamePatterns\": [\"golden-*\"]}}`",
            )),
        }
    })
}

/// The rejection of a question that came as a message.
pub(crate) fn nobody_waits() -> Rejection {
    Rejection::new(
        code::NO_CALLER,
        "the message asks for a status, and nobody would read the answer",
        "invoke the function directly and synchronously: `aws lambda invoke` with the payload `{\"Status\": {}}`",
    )
}
