//! What Lambda calls, once an invocation.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use courier_core::announcement::{self, Announcement};
use courier_core::error::{Error, Rejection, RetryAfter};
use courier_core::identity::Stack;
use courier_core::question::{self, Question};
use courier_core::settings::Settings;
use futures_util::future::FutureExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use super::batch::{not_done, out_of_time, panicked};
use super::outbox::{Carried, Outbox};
use super::record::{self, Record};
use crate::aws::Aws;
use crate::courier::{Courier, DeliveryAttempt, Handled, Report};
use crate::telemetry::{self, AnnouncedBySweep};

/// Maximum deliveries of an unfinished sweep, about an hour, so that sweeps do not pile up.
const DELIVERIES_OF_A_SWEEP: u32 = 7;
/// What is kept of the function's time for answering.
const TO_ANSWER: Duration = Duration::from_millis(1500);

/// The function.
pub struct Function {
    stack_region: courier_core::identity::Region,
    /// For a status that names no other number.
    backfill_days: u16,
    aws: Arc<Aws>,
    courier: Courier,
    outbox: Outbox,
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

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { kind: error.name(), message: error.to_string() }
    }
}

impl Function {
    #[must_use]
    pub fn new(settings: Settings, aws: Aws) -> Self {
        let (settings, aws) = (Arc::new(settings), Arc::new(aws));
        Self {
            stack_region: settings.stack_region.clone(),
            backfill_days: settings.backfill_days,
            courier: Courier::new(Arc::clone(&settings), Arc::clone(&aws)),
            outbox: Outbox::new(settings, Arc::clone(&aws)),
            aws,
        }
    }

    /// Handles one invocation.
    ///
    /// # Errors
    /// See [`Failure`]; a batch fails as a whole only when a record that failed has no id to be reported by.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Failure> {
        let (payload, context) = event.into_parts();
        let stack = self.stack(&context);
        self.courier.runs_in(stack.account.as_ref());
        let deadline = deadline(&context);
        let answer = match record::batch(&payload) {
            Some(records) => self.batch(records, &stack, deadline).await,
            None => match question::read(&payload, self.backfill_days) {
                Some(asked) => self.answer(asked, &context.invoked_function_arn, deadline).await,
                None => self.message(&payload, &stack, deadline).await,
            },
        };
        telemetry::flush();
        answer
    }

    fn stack(&self, context: &Context) -> Stack {
        let account = context.invoked_function_arn.split(':').nth(4).and_then(|account| account.parse().ok());
        Stack { region: self.stack_region.clone(), account }
    }

    async fn answer(
        &self,
        asked: Result<Question, Rejection>,
        function_arn: &str,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let answer = match asked {
            // Boxed, as the steps are.
            Ok(question) => Box::pin(super::question::answer(&question, &self.courier, function_arn, deadline)).await,
            Err(rejection) => Err(rejection.into()),
        };
        answer.map_err(|error| {
            warn!(%error, "not answered");
            Failure::from(&error)
        })
    }

    /// Everything but an SQS batch and a question is one message, and somebody waits for the answer.
    async fn message(&self, payload: &Value, stack: &Stack, deadline: Instant) -> Result<Value, Failure> {
        let started = Instant::now();
        let announcements = match announcement::read(payload, stack) {
            Ok(announcements) => announcements,
            Err(rejection) => {
                let rejected = vec![Report::rejected(rejection)];
                let carried = self.carry_out(rejected, None, started, AnnouncedBySweep(false)).await;
                let reports: Vec<Report> = carried.into_iter().map(|carried| carried.report).collect();
                return answer(&reports, false);
            }
        };
        let work = self.work(&announcements, DeliveryAttempt::synchronous(deadline));
        let handled = match timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(handled)) => handled,
            Ok(Err(_)) => return Err(Failure::from(&panicked())),
            Err(_) => return Err(Failure::from(&out_of_time())),
        };
        let by_sweep = AnnouncedBySweep(is_from_sweep(&announcements));
        if let Err(error) = self.close_sweep(&handled).await {
            return Err(Failure::from(&error));
        }
        let carried = self.carry_out(handled.reports, None, started, by_sweep).await;
        if carried.iter().any(|carried| carried.retry.is_some() && carried.report.result.is_ok()) {
            let message = "the outcome could not be reported; see the log, then send the message again".to_owned();
            return Err(Failure { kind: "Retry", message });
        }
        let reports: Vec<Report> = carried.into_iter().map(|carried| carried.report).collect();
        // Only a request that is not wrapped in anything has this field at the top.
        let is_direct_request =
            matches!(announcements.as_slice(), [Announcement::Request(_)]) && payload.get("SourceImageId").is_some();
        answer(&reports, is_direct_request)
    }

    async fn work(&self, announcements: &[Announcement], attempt: DeliveryAttempt) -> Handled {
        let mut handled = Handled::default();
        for announcement in announcements {
            // Boxed: all the steps and the SDK below them are one deep future.
            let Handled { reports, sweep } = Box::pin(self.courier.handle(announcement, attempt)).await;
            handled.reports.extend(reports);
            handled.sweep = handled.sweep.or(sweep);
        }
        handled
    }

    async fn batch(&self, records: Vec<Record>, stack: &Stack, deadline: Instant) -> Result<Value, Failure> {
        let failed = not_done(&records, deadline, async |record| self.record(record, stack, deadline).await).await;
        let mut answer = SqsBatchResponse::default();
        for record in failed {
            telemetry::record_retry_age(record.sent_at, self.aws.now());
            let Some(id) = &record.id else {
                return Err(Failure {
                    kind: "Retry",
                    message: "a record without a messageId failed: it cannot be reported alone, so the whole batch is delivered again".to_owned(),
                });
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
    async fn record(&self, record: &Record, stack: &Stack, deadline: Instant) -> bool {
        let started = Instant::now();
        let read = record.body.clone().and_then(|body| announcement::read_text(&body, stack));
        let announcements = read.as_deref().unwrap_or_default();
        let handled = match &read {
            Ok(announcements) => {
                let attempt = DeliveryAttempt::queued(record.sent_at.unwrap_or_else(|| self.aws.now()), deadline);
                self.work(announcements, attempt).await
            }
            Err(rejection) => vec![Report::rejected(rejection.clone())].into(),
        };
        // Boxed, as the steps are.
        let mut closed = Box::pin(self.close(record, handled, announcements, started)).await;
        let is_sweep = matches!(announcements, [Announcement::Sweep]);
        if closed.is_err() && is_sweep && record.deliveries >= DELIVERIES_OF_A_SWEEP {
            warn!("giving up on this sweep; the next one continues");
            closed = Ok(());
        }
        if let Err(after) = closed {
            self.outbox.hide(record, after).await;
        }
        closed.is_ok()
    }

    /// Carries out what the steps returned; or says when the record is to be delivered again.
    async fn close(
        &self,
        record: &Record,
        handled: Handled,
        announcements: &[Announcement],
        started: Instant,
    ) -> Result<(), RetryAfter> {
        self.close_sweep(&handled).await.map_err(|error| error.retry_after().unwrap_or(RetryAfter::Minutes))?;
        let by_sweep = AnnouncedBySweep(is_from_sweep(announcements));
        let carried = self.carry_out(handled.reports, Some(record), started, by_sweep).await;
        if let Some(after) = carried.iter().filter_map(|carried| carried.retry).max() {
            return Err(after);
        }
        for Carried { report, .. } in &carried {
            // The letter of a failed copy is sent. The next sweep finds again what only a sweep has announced.
            if report.failed_copy().is_none() && !by_sweep.0 {
                self.outbox.send_to_dead_letters(record, report).await?;
            }
        }
        Ok(())
    }

    /// Sends what a sweep announces, and records its figures.
    async fn close_sweep(&self, handled: &Handled) -> Result<(), Error> {
        let Some(sweep) = &handled.sweep else { return Ok(()) };
        telemetry::swept(&self.stack_region, &sweep.tally);
        Box::pin(self.outbox.send_to_self(&sweep.announcements)).await.inspect_err(|error| {
            error!(%error, "the sweep could not send its announcements");
        })
    }

    async fn carry_out(
        &self,
        reports: Vec<Report>,
        record: Option<&Record>,
        started: Instant,
        by_sweep: AnnouncedBySweep,
    ) -> Vec<Carried> {
        /// A document of metrics holds a hundred values of each.
        const IN_A_DOCUMENT: usize = 50;
        let mut all = Vec::new();
        for report in reports {
            let carried = Box::pin(self.outbox.carry_out(report, record)).await;
            telemetry::reported(&self.stack_region, &carried.report, started.elapsed(), by_sweep);
            all.push(carried);
            if all.len() % IN_A_DOCUMENT == 0 {
                telemetry::flush();
            }
        }
        all
    }
}

fn is_from_sweep(announcements: &[Announcement]) -> bool {
    let from_sweep =
        |announcement: &Announcement| matches!(announcement, Announcement::Sweep) || announcement.is_from_sweep();
    !announcements.is_empty() && announcements.iter().all(from_sweep)
}

/// One outcome for a direct request, a list for everything else; an error as soon as anything failed.
fn answer(reports: &[Report], is_direct_request: bool) -> Result<Value, Failure> {
    let errors: Vec<&Error> = reports.iter().filter_map(|report| report.result.as_ref().err()).collect();
    if let Some(first) = errors.first() {
        // One temporary error is worth Lambda's retry of them all.
        let kind = errors.iter().find(|error| matches!(error, Error::Retry(_))).unwrap_or(first).name();
        let message = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        return Err(Failure { kind, message });
    }
    let outcomes: Vec<_> = reports.iter().filter_map(|report| report.result.as_ref().ok()).collect();
    match outcomes.as_slice() {
        [outcome] if is_direct_request => Ok(json!(outcome)),
        _ => Ok(json!(outcomes)),
    }
}

fn deadline(context: &Context) -> Instant {
    let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.checked_sub(TO_ANSWER).unwrap_or(left / 2)
}
