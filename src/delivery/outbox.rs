//! The doors: the event bus, the courier's own queue, the dead-letter queue; and the last steps on a copy, which come after all
//! reporting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use courier_core::announcement::OwnMessage;
use courier_core::error::{Error, Rejection, RetryAfter};
use courier_core::identity::ImageId;
use courier_core::image::tag;
use courier_core::outcome::{Outcome, Route};
use courier_core::protocol::Timing;
use courier_core::settings::Settings;
use serde_json::{Value, json};
use tracing::{error, warn};

use super::back_off::pause;
use super::record::Record;
use crate::aws::Aws;
use crate::aws::ec2::Deregistered;
use crate::aws::error::attempting;
use crate::aws::queue::BATCH;
use crate::courier::{LastStep, Report};

/// Carries out what steps return.
pub struct Outbox {
    settings: Arc<Settings>,
    aws: Arc<Aws>,
}

/// What carrying out a report came to.
pub(super) struct Carried {
    /// With the error in its result, where something that the outcome promises could not be done.
    pub(super) report: Report,
    /// When to try again, if not everything is done.
    pub(super) retry: Option<RetryAfter>,
}

impl Outbox {
    #[must_use]
    pub fn new(settings: Arc<Settings>, aws: Arc<Aws>) -> Self {
        Self { settings, aws }
    }

    /// Tells the event bus, sends the messages, and takes the last step, in this order. `record` is the one whose dead
    /// letter the report of a failed copy becomes; a synchronous caller has none.
    pub(super) async fn carry_out(&self, mut report: Report, record: Option<&Record>) -> Carried {
        if let Err(error) = self.tell(&report).await {
            match (&report.last, error.retry_after()) {
                (Some(LastStep::MarkFinished { .. }), _) => {
                    report.last = None;
                    report.result = Err(error);
                }
                // Its reason must not get lost. What the bus refuses for good, the dead-letter queue and the log still have.
                (Some(LastStep::DeregisterFailedCopy(_)), Some(after)) => {
                    return Carried { report, retry: Some(after) };
                }
                _ => warn!(%error, "the event bus did not take the courier's event"),
            }
        }
        if let Err(error) = self.send_to_self(&report.messages).await {
            error!(%error, "the courier's own message is not sent");
            return Carried { report, retry: Some(error.retry_after().unwrap_or(RetryAfter::Minutes)) };
        }
        match &report.last {
            Some(LastStep::MarkFinished { copy, at }) => {
                if let Err(error) = self.mark_finished(copy, &tag::time(*at)).await {
                    report.result = Err(error);
                }
            }
            Some(LastStep::DeregisterFailedCopy(copy)) => {
                let retry = self.bury(copy, &report, record).await;
                return Carried { report, retry };
            }
            None => {}
        }
        let retry = report.result.as_ref().err().and_then(Error::retry_after);
        Carried { report, retry }
    }

    /// Puts a copy that started, finished, was retired or was rejected on the event bus.
    async fn tell(&self, report: &Report) -> Result<(), Error> {
        let Some(bus) = &self.settings.finishing.event_bus else { return Ok(()) };
        let Some(detail) = detail(report) else { return Ok(()) };
        let copy = report.result.as_ref().ok().and_then(Outcome::copy).or(report.failed_copy());
        let resources = copy.map(|copy| self.arn(copy)).into_iter().collect();
        let telling = attempting(format!("putting an event on the event bus `{bus}`"));
        self.aws.event_bus(bus).put(&detail, resources).await.map_err(telling)
    }

    /// An AMI's ARN: it names no account.
    fn arn(&self, id: &ImageId) -> String {
        let region = &self.settings.stack_region;
        format!("arn:{}:ec2:{region}::image/{id}", region.partition())
    }

    /// Sends messages to the courier's own queue, in order.
    pub(super) async fn send_to_self(&self, messages: &[OwnMessage]) -> Result<(), Error> {
        let Some(url) = &self.settings.queue_url else { return Ok(()) };
        let messages: Vec<(String, Duration)> =
            messages.iter().map(|message| (message.body(), delay(message))).collect();
        for some in messages.chunks(BATCH) {
            let sending = attempting(format!("sending {} messages to the courier's own queue", some.len()));
            self.aws.queue(url).send_all(some).await.map_err(sending)?;
        }
        Ok(())
    }

    async fn mark_finished(&self, copy: &ImageId, time: &str) -> Result<(), Error> {
        let ec2 = self.aws.ec2(&self.settings.stack_region);
        let attempt = format!("tagging the copy {copy} in {} as finished", ec2.region);
        ec2.tag(copy, tag::FINISHED, time).await.map_err(|failed| {
            if failed.is_not_found() {
                failed.retry(RetryAfter::Seconds, &attempt)
            } else {
                attempting(attempt)(failed)
            }
        })
    }

    /// Deregisters a failed copy once its dead letter is sent. A permanent failure is reported once, not retried.
    async fn bury(&self, failed: &ImageId, report: &Report, record: Option<&Record>) -> Option<RetryAfter> {
        if let Some(record) = record
            && let Err(after) = self.send_to_dead_letters(record, report).await
        {
            return Some(after);
        }
        let ec2 = self.aws.ec2(&self.settings.stack_region);
        let deregistering = attempting(format!("deregistering the failed copy {failed} in {}", ec2.region));
        match ec2.deregister(failed).await.map_err(deregistering) {
            Ok(Deregistered::Done { snapshots_left }) if snapshots_left.is_empty() => None,
            Ok(Deregistered::Done { snapshots_left }) => {
                let snapshots = snapshots_left.join(", ");
                warn!(%failed, snapshots, "EC2 left snapshots of the failed copy behind: delete them by hand");
                None
            }
            // Gone, or not visible yet: the next attempt sees which.
            Ok(Deregistered::NotFound) => {
                record.is_some_and(|record| self.may_be_young(record)).then_some(RetryAfter::Seconds)
            }
            Err(error) => {
                error!(%failed, %error, "the failed copy is kept");
                error.retry_after()
            }
        }
    }

    /// Whether an AMI that a message reports may still be invisible.
    fn may_be_young(&self, record: &Record) -> bool {
        let visible_within = time::Duration::seconds(Timing::EC2.second_look.try_into().unwrap_or(i64::MAX));
        record.sent_at.is_some_and(|sent_at| self.aws.now() - sent_at < visible_within)
    }

    /// Sends the message of a rejection to the dead-letter queue.
    ///
    /// # Errors
    /// It is not sent; when to try again.
    pub(super) async fn send_to_dead_letters(&self, record: &Record, report: &Report) -> Result<(), RetryAfter> {
        let Err(Error::Rejected(rejection)) = &report.result else { return Ok(()) };
        let Some(url) = &self.settings.dead_letter_queue_url else {
            // The message of a failed copy has nothing left to do: event bus and log have the reason.
            return if report.failed_copy().is_some() { Ok(()) } else { Err(RetryAfter::Minutes) };
        };
        let body = match (&report.letter, &record.body) {
            (Some(letter), _) => letter.as_str(),
            (None, Ok(body)) if !body.is_empty() => body.as_str(),
            (None, _) => "(no body)",
        };
        let sending = attempting("sending the message to the dead-letter queue".to_owned());
        let sent = self.aws.queue(url).send(body, attributes(rejection, report.route.as_ref())).await.map_err(sending);
        sent.map_err(|error| {
            error!(%error, "the message stays in its queue");
            error.retry_after().unwrap_or(RetryAfter::Minutes)
        })
    }

    /// Hides a record until its next attempt. If that fails, the queue's own timeout does it.
    pub(super) async fn hide(&self, record: &Record, after: RetryAfter) {
        let (Some(url), Some(handle)) = (&self.settings.queue_url, &record.receipt_handle) else { return };
        let visible_in = pause(after, record.deliveries, self.aws.now(), fastrand::f64());
        let hiding = attempting("changing the visibility of the message".to_owned());
        if let Err(error) = self.aws.queue(url).hide(handle, visible_in).await.map_err(hiding) {
            warn!(%error, "the message becomes visible after the queue's own timeout");
        }
    }
}

/// Only a second look waits: until the bound of visibility has passed.
fn delay(message: &OwnMessage) -> Duration {
    match message {
        OwnMessage::SecondLook(_) => Duration::from_secs(Timing::EC2.second_look),
        _ => Duration::ZERO,
    }
}

/// The detail of the courier's event; `None` for what is no news.
fn detail(report: &Report) -> Option<Value> {
    match &report.result {
        Ok(outcome @ (Outcome::Started { .. } | Outcome::Retired { .. })) => Some(json!(outcome)),
        // One that was finished before has no last step.
        Ok(outcome @ Outcome::Finished { .. }) => report.last.as_ref().map(|_| json!(outcome)),
        Err(Error::Rejected(rejection)) => {
            let mut detail = report.route.as_ref().map_or_else(|| json!({}), |route| json!(route));
            detail["Outcome"] = json!("Rejected");
            detail["Code"] = json!(rejection.code);
            detail["Explanation"] = json!(rejection.message);
            detail["Advice"] = json!(rejection.advice);
            if let Some(failed) = report.failed_copy() {
                detail["ImageId"] = json!(failed);
            }
            Some(detail)
        }
        _ => None,
    }
}

/// The reason of a rejection, as message attributes.
fn attributes<'a>(rejection: &Rejection, route: Option<&Route>) -> BTreeMap<&'a str, String> {
    let mut attributes = BTreeMap::from([
        ("Outcome", "Rejected".to_owned()),
        ("Code", as_attribute(&rejection.code)),
        ("Explanation", as_attribute(&format!("{}; {}", rejection.message, rejection.advice))),
    ]);
    if let Some(route) = route {
        attributes.insert("SourceImageId", route.source_image_id.to_string());
        attributes.insert("SourceRegion", route.source_region.to_string());
        attributes.insert("Region", route.region.to_string());
    }
    attributes
}

/// What SQS accepts in an attribute: no control characters, and less than the size of a message.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn as_attribute(text: &str) -> String {
    const MOST: usize = 4096;
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') { ' ' } else { c })
        .take(MOST)
        .collect()
}
