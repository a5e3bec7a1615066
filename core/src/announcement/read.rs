//! Reading a message: all envelopes are removed, then each message inside becomes announcements.
//!
//! Each layer is smaller than the one around it, and the number of layers is limited, so the work is linear in the size of
//! the payload.

use serde_json::{Map, Value};

use super::document::{fields_of, not_understood, shown};
use super::meaning::Announcement;
use super::recognise::{Recognised, recognise};
use super::{arn, event, image_builder, own, packer, question, request, sweep};
use crate::error::{Error, code};
use crate::identity::{Stack, shortened};
use crate::region;

/// An envelope is a layer, and JSON in a string is another: an event in SNS in SQS has four.
const MOST_LAYERS: usize = 32;

/// The fields by which a message is recognised, for one that is misspelt. (A request has its own.)
const KINDS: [&str; 8] = ["Sweep", "Status", "AmiCourier", "Records", "detail-type", "detail", "builds", "TopicArn"];

/// So many fields are compared with these.
const COMPARED: usize = 12;

/// Reads one message in any envelopes. The list has the order of the message and is never empty.
///
/// A message that is not understood is rejected as a whole. So is one about an AMI that `CopyImage` cannot reach: in another
/// partition, or in a Region that does not exist.
pub fn read(payload: &Value, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    within_reach(open(payload, stack, 0)?, stack)
}

/// Reads the body of an SQS message.
///
/// ```
/// use courier_core::announcement::{Announcement, read_text};
/// use courier_core::identity::Stack;
///
/// let stack = Stack { region: "eu-west-1".parse()?, account: None };
/// let body = r#"{ "SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1", "Name": "golden" }"#;
/// let announcements = read_text(body, &stack)?;
/// assert!(matches!(announcements.as_slice(), [Announcement::Request(request)] if request.name.as_str() == "golden"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_text(body: &str, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    within_reach(open_text(body, stack, 0)?, stack)
}

fn open(payload: &Value, stack: &Stack, depth: usize) -> Result<Vec<Announcement>, Error> {
    if depth > MOST_LAYERS {
        return Err(Error::rejected(
            code::NESTED_TOO_DEEP,
            format!("the message has more than {MOST_LAYERS} layers of envelopes and JSON strings"),
            "send it with fewer layers; no AWS service adds so many, so look for a loop between queues, topics or rules",
        ));
    }
    match payload {
        Value::String(text) => open_text(text, stack, depth),
        Value::Object(fields) if depth == 0 && question::is_one(fields) => {
            Ok(vec![Announcement::Question(question::read(fields))])
        }
        Value::Object(fields) => match recognise(fields)? {
            Recognised::Envelope(contents) if contents.is_empty() => {
                Ok(vec![Announcement::nothing("the batch is empty")])
            }
            Recognised::Envelope(contents) => open_all(contents, stack, depth),
            message => read_message(&message, fields, stack),
        },
        // A list is a batch: EventBridge Pipes hand over their records so.
        Value::Array(messages) if messages.is_empty() => Ok(vec![Announcement::nothing("the batch is empty")]),
        Value::Array(messages) => open_all(messages, stack, depth),
        other => Err(not_understood(&shown(other))),
    }
}

fn open_all<'a>(
    messages: impl IntoIterator<Item = &'a Value>,
    stack: &Stack,
    depth: usize,
) -> Result<Vec<Announcement>, Error> {
    let mut announcements = Vec::new();
    for message in messages {
        announcements.extend(open(message, stack, depth + 1)?);
    }
    Ok(announcements)
}

fn open_text(text: &str, stack: &Stack, depth: usize) -> Result<Vec<Announcement>, Error> {
    // Files written on Windows begin with a byte order mark, which is not JSON.
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(payload) => open(&payload, stack, depth + 1),
        Err(why) => Err(not_understood(&format!("not JSON ({why}): `{}`", shortened(text)))),
    }
}

fn read_message(message: &Recognised, fields: &Map<String, Value>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    match message {
        Recognised::Event => event::read(fields, stack),
        Recognised::Own => {
            own::read(fields).map(|(message, hops)| vec![Announcement::Own { message: Box::new(message), hops }])
        }
        Recognised::Sweep => sweep::read(fields),
        Recognised::PackerManifest => packer::read(fields, stack),
        Recognised::ImageBuilderNotification => image_builder::read_notification(fields, stack),
        Recognised::CopyRequest => Ok(vec![Announcement::Request(Box::new(request::read(fields)?))]),
        Recognised::Irrelevant(reason) => Ok(vec![Announcement::nothing(*reason)]),
        Recognised::Unknown | Recognised::Envelope(_) => {
            // The comparison is slow, and a hostile document can have ten thousand fields. A known field by itself was not enough.
            let mut first = fields.keys().take(COMPARED).filter(|field| !KINDS.contains(&field.as_str()));
            let near = first.find_map(|field| request::nearest_of(&KINDS, field));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            Err(not_understood(&format!("{}{near}", fields_of(fields))))
        }
    }
}

/// Rejects what no later attempt could copy either.
fn within_reach(announcements: Vec<Announcement>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    for region in announcements.iter().flat_map(Announcement::regions) {
        if region.partition() != stack.region.partition() {
            return Err(arn::other_partition(region.as_str(), region.partition(), stack));
        }
        region::check(region)?;
    }
    Ok(announcements)
}
