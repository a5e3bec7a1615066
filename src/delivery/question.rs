//! Questions of a direct caller: each is answered, and nothing changes, whatever the answer.

use std::time::Duration;

use courier_core::error::Error;
use courier_core::question::Question;
use courier_core::widget::{DOCUMENTATION, Page, WidgetRequest};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::courier::Courier;

/// Answers a question: a status as JSON, the widget as a string of HTML, its documentation as a string of Markdown.
///
/// # Errors
/// The status is not known. A viewer of the widget reads the reason in the widget instead.
pub(super) async fn answer(
    question: &Question,
    courier: &Courier,
    function_arn: &str,
    deadline: Instant,
) -> Result<Value, Error> {
    let started = Instant::now();
    let answer = match question {
        Question::Documentation => return Ok(json!(DOCUMENTATION)),
        Question::Status(request) => {
            let status = courier.status(request, deadline).await?;
            log(status.total, started.elapsed());
            json!(status)
        }
        Question::Widget(request) => json!(widget(request, courier, function_arn, deadline).await),
    };
    Ok(answer)
}

async fn widget(request: &WidgetRequest, courier: &Courier, function_arn: &str, deadline: Instant) -> String {
    let started = Instant::now();
    let status = match &request.status {
        Ok(asked) => courier.status(asked, deadline).await,
        Err(rejection) => Err(Error::from(rejection.clone())),
    };
    match &status {
        Ok(status) => log(status.total, started.elapsed()),
        Err(error) => warn!(%error, "the widget shows why there is no status"),
    }
    let status = status.as_ref().map_err(ToString::to_string);
    Page { request, function_arn, status }.html().into_string()
}

fn log(images: usize, took: Duration) {
    info!(images, milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "status");
}
