//! How Lambda hands work over and takes answers: an SQS batch, an EventBridge or SNS event, a direct request.
//!
//! Each has rules of its own for what is done, tried again or given up, and they all live here:
//!
//! | | done | Retry | Rejected |
//! |---|---|---|---|
//! | SQS record | acknowledged | a batch failure, hidden for the back-off | to the dead-letter queue, then acknowledged |
//! | EventBridge, SNS | list of outcomes | an error, so that Lambda retries | an error with the reason |
//! | direct request | the one outcome | an error | an error |
//!
//! Whatever there was no time for, and whatever panicked, is a failure of its own record and of no other.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use futures_util::future::FutureExt;
use futures_util::stream::{self, StreamExt};
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use courier_core::announcement::{self, Announcement, request};
use crate::courier::{Courier, Occasion, Report};
use courier_core::identity::Here;
use courier_core::outcome::{Error, Pace, Rejection};
use crate::telemetry;

mod back_off;
mod dead_letter;
mod record;

use record::Record;

/// Records of a batch that are worked on at the same time: the stack's batch size.
const AT_ONCE: usize = 10;
/// How often a sweep is delivered that does not get done, about an hour: then the next one goes on, or they would heap up.
const DELIVERIES_OF_A_SWEEP: u32 = 7;
/// What is kept of the function's time for answering.
const TO_ANSWER: Duration = Duration::from_millis(1500);

/// The function: what Lambda calls.
pub struct Delivery {
    pub courier: Courier,
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

impl Delivery {
    /// Handles one invocation.
    ///
    /// # Errors
    /// See [`Failure`]; a batch fails as a whole only when a record that failed has no id to be reported by.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, Failure> {
        let (payload, context) = event.into_parts();
        let here = self.here(&context);
        let deadline = deadline(&context);
        let answer = match record::batch(&payload) {
            Some(records) => self.batch(records, &here, deadline).await,
            None => self.message(&payload, &here, deadline).await,
        };
        telemetry::flush();
        answer
    }

    fn here(&self, context: &Context) -> Here {
        let account = context.invoked_function_arn.split(':').nth(4).and_then(|account| account.parse().ok());
        Here { region: self.courier.settings.here.clone(), account }
    }

    /// Everything but an SQS batch is one message, and somebody waits for the answer.
    async fn message(&self, payload: &Value, here: &Here, deadline: Instant) -> Result<Value, Failure> {
        let started = Instant::now();
        let work = async {
            let announcements = match announcement::read(payload, here) {
                Ok(announcements) => announcements,
                Err(rejection) => return vec![Report::rejected(rejection)],
            };
            self.reports(&announcements, here, Occasion::asked(deadline)).await
        };
        let reports = match timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(reports)) => reports,
            Ok(Err(_)) => return Err(Failure::from(&panicked())),
            Err(_) => return Err(Failure::from(&out_of_time())),
        };
        self.tell("", here, &reports, started).await.map_err(|error| Failure::from(&error))?;
        for report in &reports {
            self.clear_away(report).await.map_err(|error| Failure::from(&error))?;
        }
        let asked_directly = payload.as_object().is_some_and(request::looks_like_one);
        answer(&reports, asked_directly)
    }

    async fn reports(&self, announcements: &[Announcement], here: &Here, occasion: Occasion) -> Vec<Report> {
        let mut reports = Vec::new();
        for announcement in announcements {
            // Boxed: all the steps and the SDK below them are one deep future.
            reports.extend(Box::pin(self.courier.handle(announcement, here, occasion)).await);
        }
        reports
    }

    async fn batch(&self, records: Vec<Record>, here: &Here, deadline: Instant) -> Result<Value, Failure> {
        let failed = not_done(&records, deadline, async |record| self.record(record, here, deadline).await).await;
        let mut answer = SqsBatchResponse::default();
        for record in failed {
            telemetry::put_off(record.sent_at);
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

    /// Whether a record is done, for good or bad.
    async fn record(&self, record: &Record, here: &Here, deadline: Instant) -> bool {
        let started = Instant::now();
        let read = record.body.clone().and_then(|body| announcement::read_text(&body, here));
        let is_sweep = matches!(read.as_deref(), Ok([Announcement::Sweep]));
        let reports = match read {
            Ok(announcements) => {
                self.reports(&announcements, here, Occasion::delivered(record.deliveries, deadline)).await
            }
            Err(rejection) => vec![Report::rejected(rejection)],
        };
        let told = self.tell(record.id.as_deref().unwrap_or_default(), here, &reports, started).await;
        let closed = match told {
            Ok(()) => self.close(record, &reports, is_sweep).await,
            Err(error) => stays(record, &error),
        };
        if let Err(pace) = closed {
            self.hide(record, pace).await;
        }
        closed.is_ok()
    }

    /// Leaves nothing to be done for the record, or says at what pace it is to be tried again.
    async fn close(&self, record: &Record, reports: &[Report], is_sweep: bool) -> Result<(), Pace> {
        let (failed_copies, others): (Vec<&Report>, Vec<&Report>) =
            reports.iter().partition(|report| report.remains.is_some());
        // First, and whatever becomes of the others: a failed copy that is cleared away does not tell its reason again.
        let cleared: Vec<Result<(), Pace>> = stream::iter(failed_copies)
            .map(async |report| {
                self.send_to_dead_letters(record, report).await?;
                self.clear_away(report).await.or_else(|error| stays(record, &error))
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        cleared.into_iter().collect::<Result<(), Pace>>()?;
        if let Some(pace) = reports.iter().filter_map(Report::retry_pace).max() {
            if is_sweep && record.deliveries >= DELIVERIES_OF_A_SWEEP {
                warn!(message_id = record.id, "this sweep ends here: the next one goes on");
                return Ok(());
            }
            return Err(pace);
        }
        for report in others {
            // A sweep looks again at whatever it found: what it tells is not the last word.
            if !is_sweep {
                self.send_to_dead_letters(record, report).await?;
            }
        }
        Ok(())
    }

    /// Logs what became of each AMI, and puts it on the event bus. The bus is a courtesy that stops nothing, but a copy
    /// that failed is cleared away only when it has been told.
    async fn tell(&self, message_id: &str, here: &Here, reports: &[Report], started: Instant) -> Result<(), Error> {
        // A document of metrics holds a hundred values of each; a sweep may have more.
        for some in reports.chunks(50) {
            for report in some {
                telemetry::reported(message_id, &here.region, report, started.elapsed());
            }
            telemetry::flush();
        }
        let not_told: Vec<Error> = stream::iter(reports)
            .map(async |report| {
                let error = self.courier.tell(report).await.err()?;
                warn!(message_id, %error, "the event bus was not told");
                // What the bus refuses it will refuse again: the dead-letter queue and the log have to do.
                (report.remains.is_some() && matches!(error, Error::Retry(_))).then_some(error)
            })
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        not_told.into_iter().next().map_or(Ok(()), Err)
    }

    async fn clear_away(&self, report: &Report) -> Result<(), Error> {
        match &report.remains {
            Some(failed) => self.courier.clear_away(failed).await,
            None => Ok(()),
        }
    }
}

/// The records of a batch that `work` does not do. Lanes run at the same time; within a lane, one record after the other,
/// until one fails.
async fn not_done<'a>(
    records: &'a [Record],
    deadline: Instant,
    work: impl AsyncFn(&'a Record) -> bool,
) -> Vec<&'a Record> {
    let lanes = record::lanes(records);
    stream::iter(&lanes)
        .map(|lane| not_done_in_order(lane, deadline, &work))
        .buffer_unordered(AT_ONCE)
        .flat_map(stream::iter)
        .collect()
        .await
}

/// The records of a lane that are not done: the first that fails, and all behind it.
async fn not_done_in_order<'a>(
    lane: &[&'a Record],
    deadline: Instant,
    work: impl AsyncFn(&'a Record) -> bool,
) -> Vec<&'a Record> {
    for (done, record) in lane.iter().enumerate() {
        let work = AssertUnwindSafe(work(record)).catch_unwind();
        let is_done = match timeout_at(deadline, work).await {
            Ok(Ok(is_done)) => is_done,
            Ok(Err(_)) => {
                error!(message_id = record.id, error = %panicked(), "not done");
                false
            }
            Err(_) => {
                warn!(message_id = record.id, error = %out_of_time(), "not done");
                false
            }
        };
        if !is_done {
            return lane[done..].to_vec();
        }
    }
    Vec::new()
}

/// One outcome for a direct request, a list for everything else; an error as soon as anything failed.
fn answer(reports: &[Report], asked_directly: bool) -> Result<Value, Failure> {
    let errors: Vec<&Error> = reports.iter().filter_map(|report| report.result.as_ref().err()).collect();
    if let Some(first) = errors.first() {
        // Lambda tries again what may pass; one that passes is enough.
        let kind = errors.iter().find(|error| matches!(error, Error::Retry(_))).unwrap_or(first).name();
        let message = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        return Err(Failure { kind, message });
    }
    let outcomes: Vec<_> = reports.iter().filter_map(|report| report.result.as_ref().ok()).collect();
    match outcomes.as_slice() {
        [outcome] if asked_directly => Ok(json!(outcome)),
        _ => Ok(json!(outcomes)),
    }
}

/// A failed copy that cannot be cleared away now. What only an operator can mend is told once, not for as long as it lasts.
fn stays(record: &Record, error: &Error) -> Result<(), Pace> {
    error!(message_id = record.id, %error, "the failed copy stays");
    error.retry_pace().map_or(Ok(()), Err)
}

fn panicked() -> Error {
    Error::retry(Pace::Seconds, "Panic", "the function panicked over this message; its log has the place in the code")
}

fn out_of_time() -> Error {
    Error::retry(Pace::Seconds, "OutOfTime", "there was no time left before the function's time-out")
}

fn deadline(context: &Context) -> Instant {
    let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.checked_sub(TO_ANSWER).unwrap_or(left / 2)
}

impl Report {
    fn rejected(rejection: Rejection) -> Self {
        Self { route: None, result: Err(rejection.into()), remains: None }
    }

    fn retry_pace(&self) -> Option<Pace> {
        self.result.as_ref().err().and_then(Error::retry_pace)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A batch: (message id, group of a FIFO queue, or none in a standard queue).
    fn records(of: &[(&str, Option<&str>)]) -> Vec<Record> {
        let record = |(id, group): &(&str, Option<&str>)| {
            let queue = if group.is_some() { "queue.fifo" } else { "queue" };
            json!({ "eventSource": "aws:sqs", "messageId": id, "body": "", "attributes": { "MessageGroupId": group.unwrap_or_default() },
                    "eventSourceARN": format!("arn:aws:sqs:eu-west-1:123456789012:{queue}") })
        };
        record::batch(&json!({ "Records": of.iter().map(record).collect::<Vec<_>>() })).unwrap()
    }

    fn id(record: &Record) -> &str {
        record.id.as_deref().unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_its_own_record_and_of_no_other() {
        let records = records(&[("a", None), ("b", None), ("c", None)]);
        let done = RefCell::new(Vec::new());
        let failed = not_done(&records, soon(), async |record| {
            tokio::task::yield_now().await;
            assert!(id(record) != "b", "a bug");
            done.borrow_mut().push(id(record));
            true
        })
        .await;
        assert_eq!(failed.into_iter().map(id).collect::<Vec<_>>(), ["b"]);
        let mut done = done.into_inner();
        done.sort_unstable();
        assert_eq!(done, ["a", "c"]);
    }

    #[tokio::test]
    async fn in_a_message_group_a_panic_stops_what_is_behind_it_and_nothing_else() {
        let records = records(&[("a1", Some("a")), ("b1", Some("b")), ("a2", Some("a")), ("a3", Some("a"))]);
        let failed = not_done(&records, soon(), async |record| {
            assert!(id(record) != "a2", "a bug");
            true
        })
        .await;
        assert_eq!(failed.into_iter().map(id).collect::<Vec<_>>(), ["a2", "a3"]);
    }

    #[tokio::test]
    async fn what_there_is_no_time_for_is_a_failure_and_what_is_done_by_then_is_not() {
        let slow_and_behind = [("quick", None), ("slow", Some("a")), ("behind", Some("a")), ("other", Some("b"))];
        let records = records(&slow_and_behind);
        let at_once = Instant::now() + Duration::from_millis(1);
        let failed = not_done(&records, at_once, async |record| {
            if id(record) == "slow" {
                std::future::pending::<()>().await;
            }
            true
        })
        .await;
        assert_eq!(failed.into_iter().map(id).collect::<Vec<_>>(), ["slow", "behind"]);
    }

    #[tokio::test]
    async fn more_records_than_are_worked_on_at_once_are_all_done() {
        let ids: Vec<String> = (0..3 * AT_ONCE).map(|n| format!("m{n}")).collect();
        let records = records(&ids.iter().map(|id| (id.as_str(), None)).collect::<Vec<_>>());
        let under_way = RefCell::new((0, 0));
        let failed = not_done(&records, soon(), async |_| {
            let (now, most) = *under_way.borrow();
            *under_way.borrow_mut() = (now + 1, most.max(now + 1));
            tokio::task::yield_now().await;
            under_way.borrow_mut().0 -= 1;
            true
        })
        .await;
        assert!(failed.is_empty());
        assert_eq!(*under_way.borrow(), (0, AT_ONCE));
    }
}
