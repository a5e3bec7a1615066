//! What Lambda calls, once an invocation.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use courier_core::announcement::{self, Announcement};
use courier_core::error::{Error, RetryAfter};
use courier_core::identity::{Region, Stack};
use courier_core::settings::Settings;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::warn;

use super::back_off::pause;
use super::batch::{in_time, not_done};
use super::record::{self, Record};
use crate::aws::Aws;
use crate::aws::error::When;
use crate::courier::{Closed, Courier, Delivery, Queued};
use crate::telemetry;

/// Maximum deliveries of an unfinished sweep, about an hour, so that sweeps do not pile up.
const DELIVERIES_OF_A_SWEEP: u32 = 7;
/// What is kept of the function's time for answering.
const RESERVED_FOR_ANSWER: Duration = Duration::from_millis(1500);

/// The function.
pub struct Function {
    stack_region: Region,
    /// Where batches come from, if that is known.
    queue_url: Option<String>,
    aws: Arc<Aws>,
    courier: Courier,
}

/// Why an invocation failed as a whole. `errorType` is `Retry` or `Rejected`, `errorMessage` is for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: &'static str,
    pub message: String,
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.kind.to_owned(), error_message: failure.message }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { kind: error.name(), message: error.to_string() }
    }
}

impl Function {
    pub fn new(settings: Settings, aws: Aws) -> Self {
        let aws = Arc::new(aws);
        Self {
            stack_region: settings.stack_region.clone(),
            queue_url: settings.queue_url.clone(),
            aws: Arc::clone(&aws),
            courier: Courier::new(settings, aws),
        }
    }

    /// Handles one invocation. A batch fails as a whole only when a record that failed has no id to be reported by.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Failure> {
        let (payload, context) = event.into_parts();
        let account = context.invoked_function_arn.split(':').nth(4).and_then(|account| account.parse().ok());
        let stack = Stack { region: self.stack_region.clone(), account };
        let delivery = Delivery { stack: &stack, deadline: deadline(&context), queued: None };
        let answer = match (record::batch(&payload), record::of_pipe(&payload)) {
            (Some(records), _) => self.batch(&records, delivery).await,
            (None, Some(records)) => self.pipe(&records, delivery).await,
            (None, None) => self.message(&payload, &context.invoked_function_arn, delivery).await,
        };
        telemetry::flush();
        answer
    }

    /// Everything but an SQS batch is one message, and somebody waits for the answer.
    async fn message(&self, payload: &Value, function_arn: &str, delivery: Delivery<'_>) -> Result<Value, Failure> {
        let message = announcement::read(payload, delivery.stack);
        if let Ok([Announcement::Question(question)]) = message.as_deref() {
            // Boxed, as the steps are.
            let answer = Box::pin(self.courier.answer(question, function_arn, &delivery)).await;
            return answer.map_err(|error| {
                warn!(%error, "not answered");
                Failure::from(error)
            });
        }
        // Only a request that is not wrapped in anything has this field at the top.
        let is_direct_request =
            matches!(message.as_deref(), Ok([Announcement::Request(_)])) && payload.get("SourceImageId").is_some();
        let closed = in_time(delivery.deadline, self.courier.handle(message, &delivery)).await?;
        answer(closed, is_direct_request)
    }

    /// A pipe that does not wait reads no answer: so a record that fails is an error of the invocation, and all come again.
    async fn pipe(&self, records: &[Record], delivery: Delivery<'_>) -> Result<Value, Failure> {
        let failed = not_done(records, delivery.deadline, async |record| self.is_done(record, delivery).await).await;
        if failed.is_empty() {
            return Ok(json!(SqsBatchResponse::default()));
        }
        let message = format!(
            "{} of {} records are not done: see the log; the pipe sends all again",
            failed.len(),
            records.len()
        );
        Err(Failure { kind: "Retry", message })
    }

    async fn batch(&self, records: &[Record], delivery: Delivery<'_>) -> Result<Value, Failure> {
        let failed = not_done(records, delivery.deadline, async |record| self.is_done(record, delivery).await).await;
        let mut answer = SqsBatchResponse::default();
        for record in failed {
            telemetry::record_retry_age(record.sent_at, self.aws.now());
            let Some(id) = &record.id else {
                let message = "a record without a messageId failed: it cannot be reported alone, so the whole batch is delivered again";
                return Err(Failure { kind: "Retry", message: message.to_owned() });
            };
            if answer.batch_item_failures.iter().all(|failure| failure.item_identifier != *id) {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier.clone_from(id);
                answer.batch_item_failures.push(failure);
            }
        }
        Ok(json!(answer))
    }

    /// Whether a record needs no further delivery.
    async fn is_done(&self, record: &Record, delivery: Delivery<'_>) -> bool {
        let sent_at = record.sent_at.unwrap_or_else(|| self.aws.now());
        let body = record.body.as_deref().unwrap_or_default();
        let delivery = Delivery { queued: Some(Queued { sent_at, body }), ..delivery };
        let message = record.body.clone().and_then(|body| announcement::read_text(&body, delivery.stack));
        let is_sweep = matches!(message.as_deref(), Ok([Announcement::Sweep]));
        let Some(after) = self.courier.handle(message, &delivery).await.retry_after() else { return true };
        if is_sweep && record.deliveries >= DELIVERIES_OF_A_SWEEP {
            warn!("giving up on this sweep; the next one continues");
            return true;
        }
        self.hide(record, after).await;
        false
    }

    /// Hides a record until its next delivery. If that fails, the queue's own timeout does it.
    async fn hide(&self, record: &Record, after: RetryAfter) {
        let (Some(url), Some(handle)) = (&self.queue_url, &record.receipt_handle) else { return };
        let visible_in = pause(after, record.deliveries, self.aws.now(), fastrand::f64());
        let hidden = self.aws.queue(url).hide(handle, visible_in).await;
        if let Err(error) = hidden.when(format_args!("changing the visibility of the message")) {
            warn!(%error, "the message becomes visible after the queue's own timeout");
        }
    }
}

/// One outcome for a direct request, a list for everything else; an error as soon as anything failed.
fn answer(closed: Closed, is_direct_request: bool) -> Result<Value, Failure> {
    let Closed { outcomes, errors } = closed;
    if let Some(first) = errors.first() {
        // One temporary error is worth Lambda's retry of them all.
        let kind = errors.iter().find(|error| error.retry_after().is_some()).unwrap_or(first).name();
        let message = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        return Err(Failure { kind, message });
    }
    match outcomes.as_slice() {
        [outcome] if is_direct_request => Ok(json!(outcome)),
        _ => Ok(json!(outcomes)),
    }
}

fn deadline(context: &Context) -> Instant {
    let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.checked_sub(RESERVED_FOR_ANSWER).unwrap_or(left / 2)
}
