//! What a dashboard asks for.

use serde_json::{Map, Value};

use super::status_request::{StatusRequest, pattern};
use crate::error::{Error, code};

/// What a dashboard asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct WidgetRequest {
    pub is_dark: bool,
    /// What the viewer has typed into the filter.
    pub filter: String,
    /// Which AMIs; or what is wrong with the widget's parameters or the filter. The viewer reads that in the widget.
    pub status: Result<StatusRequest, Error>,
}

/// The name of the input field of the filter.
pub(crate) const FILTER: &str = "name";

impl WidgetRequest {
    /// Reads CloudWatch's call. The widget's own parameters are beside `widgetContext`; in a call by a `cwdb-action`, in
    /// `widgetContext.params`.
    pub fn read(fields: &Map<String, Value>, context: &Map<String, Value>) -> Self {
        let mut parameters = context.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
        parameters.extend(fields.iter().map(|(field, value)| (field.clone(), value.clone())));
        parameters.remove("widgetContext");
        // CloudWatch may send it with any call; without `true` it asks for nothing.
        parameters.remove("describe");
        let form = context.get("forms").and_then(|forms| forms.get("all"));
        let filter = form.and_then(|all| all.get(FILTER)).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let status = StatusRequest::read(&parameters).and_then(|request| with_filter(request, &filter));
        let is_dark = context.get("theme").and_then(Value::as_str) == Some("dark");
        Self { is_dark, filter, status }
    }
}

/// A filter without wildcards is a part of the name.
fn with_filter(mut request: StatusRequest, filter: &str) -> Result<StatusRequest, Error> {
    if !filter.is_empty() {
        let glob = if filter.contains(['*', '?']) { filter.to_owned() } else { format!("*{filter}*") };
        let glob = pattern(&glob).map_err(|why| {
            Error::rejected(code::INVALID_VALUE, format!("the filter {why}"), "correct it and filter again")
        })?;
        request.filter = Some(glob);
    }
    Ok(request)
}
