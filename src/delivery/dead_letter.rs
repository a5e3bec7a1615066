//! Dead letters: a rejected message goes to the dead-letter queue at once, with the reason beside it.
//!
//! The body is the message as it came, so that an operator who has mended the cause can send it back as it is
//! (`aws sqs start-message-move-task`). Only after the queue has it is the record acknowledged.

use std::collections::BTreeMap;

use serde_json::json;
use tracing::error;

use super::{Delivery, Record};
use crate::courier::Report;
use courier_core::outcome::{Error, Pace, Rejection, Route};

impl Delivery {
    /// Puts the message into the dead-letter queue, if this report is a rejection.
    ///
    /// # Errors
    /// It is not there; at what pace to try again.
    pub(super) async fn send_to_dead_letters(&self, record: &Record, report: &Report) -> Result<(), Pace> {
        let Err(Error::Rejected(rejection)) = &report.result else { return Ok(()) };
        let Some(url) = &self.courier.settings.dead_letter_queue_url else {
            // The message of a failed copy has nothing left to do once the copy is cleared away: bus and log have told.
            return if report.remains.is_some() { Ok(()) } else { Err(Pace::Minutes) };
        };
        let body = match (&record.body, &report.remains, &report.route) {
            // What sent us here told of a dead copy; what is sent back must be about the AMI to copy.
            (_, Some(_), Some(route)) => announcement_of(route),
            (Ok(body), _, _) if !body.is_empty() => body.clone(),
            _ => "(no body)".to_owned(),
        };
        let sent = self.courier.aws.queue(url).send(&body, attributes(rejection, report.route.as_ref())).await;
        sent.map_err(|failed| {
            let error = Error::from_aws("sending the message to the dead-letter queue", &failed);
            error!(message_id = record.id, %error, "the message stays in its queue");
            error.retry_pace().unwrap_or(Pace::Minutes)
        })
    }
}

/// What an operator sends back to have the source of a failed copy copied anew: an event that names it, as a publisher's
/// would, so that it counts for Image Builder's AMIs too.
fn announcement_of(route: &Route) -> String {
    let Route { source_image_id, source_region, .. } = route;
    json!({
        "detail-type": "AMI Copy Request",
        "source": "ami-courier.dead-letter",
        "region": source_region,
        "resources": [format!("arn:{}:ec2:{source_region}::image/{source_image_id}", source_region.partition())],
        "detail": {},
    })
    .to_string()
}

/// The reason, as message attributes.
fn attributes<'a>(rejection: &Rejection, route: Option<&Route>) -> BTreeMap<&'a str, String> {
    let mut attributes = BTreeMap::from([
        ("Outcome", "Rejected".to_owned()),
        ("Code", legible(&rejection.code)),
        ("Explanation", legible(&format!("{}; {}", rejection.words, rejection.advice))),
    ]);
    if let Some(route) = route {
        attributes.insert("SourceImageId", route.source_image_id.to_string());
        attributes.insert("SourceRegion", route.source_region.to_string());
        attributes.insert("Region", route.region.to_string());
    }
    attributes
}

/// What SQS takes in an attribute: no control characters, and not the size of a message.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn legible(text: &str) -> String {
    const MOST: usize = 4096;
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') { ' ' } else { c })
        .take(MOST)
        .collect()
}
