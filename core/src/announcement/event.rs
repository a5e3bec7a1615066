//! Events of Amazon EventBridge: each goes to the reader of its source.
//! <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>

use serde_json::{Map, Value};

use super::document::{Document, Shape};
use super::meaning::Announcement;
use super::{cloud_trail, ec2, image_builder, parameter_store, tag};
use crate::error::Error;
use crate::identity::{Stack, shortened};

/// The source of the courier's own events. A rule that matches all events of the bus sends them back.
const OURS: &str = "ami-courier";

const EVENT: Shape = Shape {
    name: "an EventBridge event",
    page: "https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html",
};

/// Whether a message is an event.
pub(super) fn is_one(message: &Map<String, Value>) -> bool {
    message.contains_key("detail-type") || (message.contains_key("source") && message.contains_key("detail"))
}

/// Whether an event is a custom event: neither AWS nor the courier sent it. An input transformer may have kept only its
/// detail.
pub(super) fn is_custom(event: &Map<String, Value>) -> bool {
    match event.get("source") {
        None => !event.contains_key("detail-type"),
        Some(source) => source.as_str().is_some_and(|source| {
            source != OURS && (!source.starts_with("aws.") || source.starts_with("aws.partner/"))
        }),
    }
}

pub(super) fn read(message: &Map<String, Value>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    let event = Document::new(EVENT, message);
    let of = |shape| Document::new(shape, message);
    let (source, kind) = (event.required_text("source")?, event.required_text("detail-type")?);
    match (source, kind) {
        (OURS, _) => Ok(vec![Announcement::nothing("this is one of the courier's own events")]),
        ("aws.ec2", ec2::STATE_CHANGE) => ec2::read_state_change(&of(ec2::SHAPE), stack),
        ("aws.ec2", cloud_trail::API_CALL) => cloud_trail::read(&of(cloud_trail::SHAPE), stack),
        ("aws.imagebuilder", image_builder::STATE_CHANGE) => {
            image_builder::read_event(&of(image_builder::EVENT), stack)
        }
        ("aws.ssm", parameter_store::CHANGE) => parameter_store::read(&of(parameter_store::SHAPE), stack),
        ("aws.tag", tag::CHANGE) => tag::read(&of(tag::SHAPE), stack),
        ("aws.events" | "aws.scheduler", "Scheduled Event") => Ok(vec![Announcement::Sweep]),
        _ => {
            let custom = is_custom(message);
            let announcements = ec2::read_resources(&event, custom, stack)?;
            if !announcements.is_empty() {
                Ok(announcements)
            } else if custom {
                Err(event.missing("detail"))
            } else {
                let (source, kind) = (shortened(source), shortened(kind));
                Ok(vec![Announcement::nothing(format!("the event `{kind}` of `{source}` announces no new AMI"))])
            }
        }
    }
}
