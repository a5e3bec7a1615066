//! Close: what follows from a step, in one order. The only way to the event bus, the courier's own queue and the dead-letter queue.
//!
//! 1. The event is put on the bus.
//! 2. The courier's own messages are sent.
//! 3. The last step on the AMI comes after all of that: a crash in between must lose no report. A failed copy is removed once its dead
//!    letter is sent; a copy is marked as finished once its event is on the bus.
//! 4. The other dead letters are sent when nothing of the message is left to be retried, so that none is sent twice.
//!
//! What cannot be done becomes the error of its report: the message is delivered again. Where a refusal may pass, of a step's call or of
//! one here, the message is retried for an hour before it is rejected.

use std::collections::BTreeMap;
use std::time::Duration;

use courier_core::announcement::OwnMessage;
use courier_core::election::NAME_DELAY;
use courier_core::error::{Error, RetryAfter, code, sentence};
use courier_core::identity::ImageId;
use courier_core::image::tag;
use courier_core::outcome::{Outcome, Route};
use courier_core::protocol::Timing;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{error, warn};

use super::log::reported;
use super::report::{LastStep, Report};
use super::stack::{Courier, Delivery};
use crate::aws::ec2::Deregistered;
use crate::aws::error::When;
use crate::aws::queue::BATCH;
use crate::telemetry;

/// What became of one message.
#[derive(Debug, Default)]
pub struct Closed {
    pub outcomes: Vec<Outcome>,
    pub errors: Vec<Error>,
}

impl Closed {
    /// When the message is to be delivered again; `None` once all of it is done.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        self.errors.iter().filter_map(Error::retry_after).max()
    }
}

/// What closes one message.
pub(super) struct Close<'a> {
    pub(super) courier: &'a Courier,
    pub(super) delivery: &'a Delivery<'a>,
    pub(super) started: Instant,
}

impl Close<'_> {
    pub(super) async fn all(&self, mut reports: Vec<Report>) -> Closed {
        /// A document of metrics holds a hundred values of each.
        const IN_A_DOCUMENT: usize = 50;
        for (number, report) in reports.iter_mut().enumerate() {
            if let Err(error) = &mut report.result {
                self.retry_at_first(error);
            }
            if let Err(error) = self.one(report).await {
                report.result = Err(error);
            }
            reported(&self.courier.settings.stack_region, report, self.started.elapsed());
            if (number + 1) % IN_A_DOCUMENT == 0 {
                telemetry::flush();
            }
        }
        let mut closed = Closed::default();
        let is_done = reports.iter().all(|report| report.result.is_ok() || report.rejection().is_some());
        for report in reports {
            if is_done && report.failed_copy().is_none() {
                closed.errors.extend(self.send_letter(&report).await.err());
            }
            match report.result {
                Ok(outcome) => closed.outcomes.extend(outcome),
                Err(error) => closed.errors.push(error),
            }
        }
        closed
    }

    /// Makes a rejection whose cause may pass a temporary error, while the message is young.
    fn retry_at_first(&self, error: &mut Error) {
        if self.delivery.may_wait(self.courier.aws.now()) {
            error.retry_at_first();
        }
    }

    async fn one(&self, report: &Report) -> Result<(), Error> {
        if let Err(mut error) = self.tell(report).await {
            self.retry_at_first(&mut error);
            let must_be_published = match &report.last {
                Some(LastStep::MarkFinished { .. }) => true,
                // Its reason must not get lost. What the bus refuses for good, the dead-letter queue and the log still have.
                Some(LastStep::RemoveFailedCopy(_)) => error.retry_after().is_some(),
                None => false,
            };
            if must_be_published {
                return Err(error);
            }
            warn!(%error, "the event bus did not take the courier's event");
        }
        self.send_to_self(&report.messages, report.hops + 1).await?;
        match &report.last {
            Some(LastStep::MarkFinished { copy, finished }) => self.mark_finished(copy, &finished.to_string()).await,
            Some(LastStep::RemoveFailedCopy(copy)) => {
                self.send_letter(report).await?;
                self.remove_failed_copy(copy).await
            }
            None => Ok(()),
        }
    }

    /// Puts a copy that started, finished, was retired or was rejected on the event bus.
    async fn tell(&self, report: &Report) -> Result<(), Error> {
        let Some(bus) = &self.courier.settings.finishing.event_bus else { return Ok(()) };
        let Some(detail) = detail(report) else { return Ok(()) };
        let copy = report.result.as_ref().ok().and_then(|done| done.as_ref()?.copy()).or(report.failed_copy());
        let resources = copy.map(|copy| self.arn(copy)).into_iter().collect();
        let put = self.courier.aws.event_bus(bus).put(&detail, resources).await;
        put.when(format_args!("putting an event on the event bus `{bus}`"))
    }

    /// An AMI's ARN: it names no account.
    fn arn(&self, id: &ImageId) -> String {
        let region = &self.courier.settings.stack_region;
        format!("arn:{}:ec2:{region}::image/{id}", region.partition())
    }

    /// Sends messages to the courier's own queue, in order. `hops`: how many of its own messages they are in a row. Without them
    /// something is forgotten, so any failure is temporary.
    async fn send_to_self(&self, messages: &[OwnMessage], hops: u32) -> Result<(), Error> {
        let Some(url) = &self.courier.settings.queue_url else { return Ok(()) };
        let messages: Vec<_> = messages.iter().map(|message| (message.body(hops), delay(message))).collect();
        for some in messages.chunks(BATCH) {
            let sent = self.courier.aws.queue(url).send_all(some).await;
            sent.when(format_args!("sending {} messages to the courier's own queue", some.len())).map_err(|error| {
                Error::retry(error.retry_after().unwrap_or(RetryAfter::Minutes), error.code, error.message)
            })?;
        }
        Ok(())
    }

    async fn mark_finished(&self, copy: &ImageId, value: &str) -> Result<(), Error> {
        let ec2 = self.courier.local_ec2();
        let tagged = ec2.tag(copy, tag::FINISHED, value).await;
        tagged.when_seen(format_args!("tagging the copy {copy} in {} as finished", ec2.region)).map_err(|mut error| {
            self.retry_at_first(&mut error);
            error
        })
    }

    /// A permanent failure is logged, not retried, also one that may pass: a second delivery would send the dead letter again, and the
    /// next sweep finds the copy.
    async fn remove_failed_copy(&self, copy: &ImageId) -> Result<(), Error> {
        let ec2 = self.courier.local_ec2();
        let removed = ec2.deregister(copy).await;
        match removed.when(format_args!("deregistering the failed copy {copy} in {}", ec2.region)) {
            Ok(Deregistered::Done { snapshots_left }) if snapshots_left.is_empty() => Ok(()),
            Ok(Deregistered::Done { snapshots_left }) => {
                let snapshots = snapshots_left.join(", ");
                warn!(failed = %copy, snapshots, "EC2 left snapshots of the failed copy behind: delete them by hand");
                Ok(())
            }
            // It is gone, or not visible yet: the next delivery sees which.
            Ok(Deregistered::NotFound) if self.is_message_young() => {
                let message =
                    format!("the failed copy {copy} in {} is not visible yet, so it cannot be removed", ec2.region);
                Err(Error::retry(RetryAfter::Seconds, code::IMAGE_NOT_FOUND, message))
            }
            Ok(Deregistered::NotFound) => Ok(()),
            Err(error) if error.retry_after().is_some() => Err(error),
            Err(error) => {
                error!(failed = %copy, %error, "the failed copy is kept");
                Ok(())
            }
        }
    }

    /// Whether the AMI that the message reports may still be invisible.
    fn is_message_young(&self) -> bool {
        let visible_within = time::Duration::seconds(Timing::EC2.second_look.try_into().unwrap_or(i64::MAX));
        self.delivery.queued.is_some_and(|queued| self.courier.aws.now() - queued.sent_at < visible_within)
    }

    /// The rule for dead letters: a rejected message of a queue becomes one. What only a sweep found does not, since the next sweep
    /// finds it again; but a failed copy always does, since it is removed. A synchronous caller reads the error instead.
    async fn send_letter(&self, report: &Report) -> Result<(), Error> {
        let (Some(queued), Some(rejection)) = (&self.delivery.queued, report.rejection()) else { return Ok(()) };
        let is_of_failed_copy = report.failed_copy().is_some();
        if report.is_from_sweep && !is_of_failed_copy {
            return Ok(());
        }
        let Some(url) = &self.courier.settings.dead_letter_queue_url else {
            // The message of a failed copy has nothing left to do: event bus and log have the reason.
            let message = "DEAD_LETTER_QUEUE_URL is not set, so the rejected message stays in its queue";
            let stays = Error::retry(RetryAfter::Minutes, rejection.code.clone(), message);
            return if is_of_failed_copy { Ok(()) } else { Err(stays) };
        };
        let body = report.letter.as_deref().unwrap_or(queued.body);
        let body = if body.is_empty() { "(no body)" } else { body };
        let sent = self.courier.aws.queue(url).send(body, attributes(rejection, report.route.as_ref())).await;
        sent.when(format_args!("sending the message to the dead-letter queue")).map_err(|error| {
            error!(%error, "the message stays in its queue");
            Error::retry(error.retry_after().unwrap_or(RetryAfter::Minutes), error.code, error.message)
        })
    }
}

/// A second look waits until the bound of visibility has passed. An election waits as long as SQS lets it; the dispatcher makes it
/// wait for the rest.
fn delay(message: &OwnMessage) -> Duration {
    match message {
        OwnMessage::SecondLook { .. } => Duration::from_secs(Timing::EC2.second_look),
        OwnMessage::Elect { .. } => NAME_DELAY.unsigned_abs(),
        _ => Duration::ZERO,
    }
}

/// The detail of the courier's event. `None` if there is nothing to publish.
fn detail(report: &Report) -> Option<Value> {
    match &report.result {
        Ok(Some(outcome @ (Outcome::Started { .. } | Outcome::Finished { .. } | Outcome::Retired { .. }))) => {
            Some(json!(outcome))
        }
        Ok(_) => None,
        Err(_) => {
            let rejection = report.rejection()?;
            let mut detail = report.route.as_ref().map_or_else(|| json!({}), |route| json!(route));
            detail["Outcome"] = json!("Rejected");
            detail["Code"] = json!(rejection.code);
            detail["Explanation"] = json!(rejection.message);
            detail["Advice"] = json!(rejection.advice());
            if let Some(failed) = report.failed_copy() {
                detail["ImageId"] = json!(failed);
            }
            Some(detail)
        }
    }
}

/// The reason of a rejection, as message attributes.
fn attributes<'a>(rejection: &Error, route: Option<&Route>) -> BTreeMap<&'a str, String> {
    let mut attributes = BTreeMap::from([
        ("Outcome", "Rejected".to_owned()),
        ("Code", as_attribute(&rejection.code)),
        ("Explanation", as_attribute(&sentence(&rejection.message))),
    ]);
    // SQS takes no empty attribute.
    if let Some(advice) = rejection.advice().filter(|advice| !advice.is_empty()) {
        attributes.insert("Advice", as_attribute(&sentence(advice)));
    }
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
