//! A question: a caller waits for the answer, and nothing changes. The status, and what CloudWatch asks of a custom widget.
//!
//! Only the payload of a direct invocation can be a question. In a queue or on an event bus nobody would read the answer, so
//! there it is rejected.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html>

use serde_json::Value;

use crate::announcement::{asks_for_documentation, is_question};
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

/// Reads the payload of a direct invocation. `days` is the number of days, unless the question names one. `None`: it is not a
/// question.
#[must_use]
pub fn read(payload: &Value, days: u16) -> Option<Result<Question, Rejection>> {
    let fields = payload.as_object().filter(|fields| is_question(fields))?;
    Some(if asks_for_documentation(fields) {
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
