//! The courier's messages to itself, through its own queue: what a sweep found, and second looks. The dead letter of a failed
//! copy has the same shape, so an operator can send it back unchanged.
//!
//! `{"AmiCourier": {KIND: {…}}}`, read strictly: only the courier writes such messages, so an unknown field is a mistake. Of every
//! kind, `Hops` counts the courier's own messages that led here one after the other, itself included: a chain of them must end.
//! A letter that an operator sends back, and what the courier wrote before it counted, has none.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::announced_by::AnnouncedBy;
use super::document::{fields_of, not_understood};
use super::request::{self, CopyRequest};
use crate::error::Error;
use crate::identity::{Identity, ImageId, shortened};
use crate::protocol::Try;

const ENVELOPE: &str = "AmiCourier";

/// A message of the courier to itself.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnMessage {
    /// From a sweep: this AMI is wanted and has no copy.
    Missed { source: Identity },
    /// From a sweep: this copy is available but not finished, or it failed.
    Unfinished { copy: ImageId },
    /// From a sweep: the source of this copy is out of service.
    SourceGone { copy: ImageId },
    /// From a sweep: the source of this copy is in service again.
    SourceBack { copy: ImageId },
    /// Look for a live copy again; if there is none, make the next try.
    SecondLook(SecondLook),
    /// The dead letter of a failed copy: the try to make next, once the cause is removed. A request's tries are its own: with
    /// `request` it is the next try of that request, without one the next try of the announcement.
    NextTry { source: Identity, next: Try, request: Option<Box<CopyRequest>> },
}

/// What the courier must remember about a copy that is not visible yet.
#[derive(Clone, Debug, PartialEq)]
pub struct SecondLook {
    pub source: Identity,
    /// The try to make if there is still no live copy.
    pub resume: Try,
    /// The AMI in EC2's answer, for the log.
    pub accepted: Option<ImageId>,
    pub why: Why,
}

/// Why the courier makes the copy.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    Announced(AnnouncedBy),
    Requested(Box<CopyRequest>),
}

impl OwnMessage {
    /// The source AMI, if the message names it.
    pub fn source(&self) -> Option<&Identity> {
        match self {
            Self::Missed { source } | Self::NextTry { source, .. } => Some(source),
            Self::SecondLook(look) => Some(&look.source),
            Self::Unfinished { .. } | Self::SourceGone { .. } | Self::SourceBack { .. } => None,
        }
    }

    pub fn is_from_sweep(&self) -> bool {
        match self {
            Self::Missed { .. } | Self::Unfinished { .. } | Self::SourceGone { .. } | Self::SourceBack { .. } => true,
            Self::SecondLook(look) => matches!(look.why, Why::Announced(AnnouncedBy::Sweep)),
            Self::NextTry { .. } => false,
        }
    }

    /// The body of the message.
    pub fn body(&self, hops: u32) -> String {
        let source = |source: &Identity| json!({ "SourceImageId": source.image, "SourceRegion": source.region });
        let with_try = |mut fields: Value, at: Try| {
            fields["Epoch"] = at.epoch.into();
            fields["Try"] = at.number.into();
            fields
        };
        let (kind, mut fields) = match self {
            Self::Missed { source: missed } => ("Missed", source(missed)),
            Self::Unfinished { copy } => ("Unfinished", json!({ "ImageId": copy })),
            Self::SourceGone { copy } => ("SourceGone", json!({ "ImageId": copy })),
            Self::SourceBack { copy } => ("SourceBack", json!({ "ImageId": copy })),
            Self::NextTry { source: failed, next, request } => {
                let mut fields = with_try(source(failed), *next);
                if let Some(request) = request {
                    fields["Request"] = request.document();
                }
                ("NextTry", fields)
            }
            Self::SecondLook(look) => {
                let mut fields = with_try(source(&look.source), look.resume);
                if let Some(accepted) = &look.accepted {
                    fields["AcceptedImageId"] = json!(accepted);
                }
                match &look.why {
                    Why::Announced(announced_by) => fields["AnnouncedBy"] = json!(announced_by),
                    Why::Requested(request) => fields["Request"] = request.document(),
                }
                ("SecondLook", fields)
            }
        };
        if hops > 0 {
            fields["Hops"] = hops.into();
        }
        json!({ ENVELOPE: { kind: fields } }).to_string()
    }
}

/// The fields of all kinds, in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Fields {
    source_image_id: Option<String>,
    source_region: Option<String>,
    image_id: Option<String>,
    epoch: Option<u32>,
    r#try: Option<u32>,
    accepted_image_id: Option<String>,
    announced_by: Option<AnnouncedBy>,
    request: Option<Map<String, Value>>,
    hops: Option<u32>,
}

pub(super) fn is_one(message: &Map<String, Value>) -> bool {
    message.contains_key(ENVELOPE)
}

/// The message, and its hops.
pub(super) fn read(message: &Map<String, Value>) -> Result<(OwnMessage, u32), Error> {
    let kinds = message.get(ENVELOPE).and_then(Value::as_object).filter(|kinds| kinds.len() == 1 && message.len() == 1);
    let Some((kind, fields)) = kinds.and_then(|kinds| kinds.iter().next()) else {
        return Err(not_a_message(&fields_of(message)));
    };
    let fields = Fields::deserialize(fields)
        .map_err(|why| not_a_message(&format!("`{}`: {}", shortened(kind), shortened(&why.to_string()))))?;
    let request = fields.request.as_ref().map(request::read).transpose()?;
    let message = parts(kind, &fields, request).ok_or_else(|| {
        let kind = shortened(kind);
        not_a_message(&format!("`{kind}` has a missing, a malformed or an unexpected field"))
    })?;
    Ok((message, fields.hops.unwrap_or(0)))
}

/// `None` if a field is missing or malformed, or does not belong to this kind.
fn parts(kind: &str, fields: &Fields, request: Option<CopyRequest>) -> Option<OwnMessage> {
    let parsed = |text: &Option<String>| text.as_deref().map(str::parse::<ImageId>).transpose().ok();
    let (copy, accepted) = (parsed(&fields.image_id)?, parsed(&fields.accepted_image_id)?);
    let source = match (parsed(&fields.source_image_id)?, &fields.source_region) {
        (Some(image), Some(region)) => Some(Identity { region: region.parse().ok()?, image }),
        (None, None) => None,
        _ => return None,
    };
    let at = match (fields.epoch, fields.r#try) {
        (Some(epoch), Some(number)) => Some(Try { epoch, number }),
        (None, None) => None,
        _ => return None,
    };
    match (kind, source, copy, at, accepted, fields.announced_by, request) {
        ("Missed", Some(source), None, None, None, None, None) => Some(OwnMessage::Missed { source }),
        ("Unfinished", None, Some(copy), None, None, None, None) => Some(OwnMessage::Unfinished { copy }),
        ("SourceGone", None, Some(copy), None, None, None, None) => Some(OwnMessage::SourceGone { copy }),
        ("SourceBack", None, Some(copy), None, None, None, None) => Some(OwnMessage::SourceBack { copy }),
        ("NextTry", Some(source), None, Some(next), None, None, request)
            if request.as_ref().is_none_or(|request| request.source == source) =>
        {
            Some(OwnMessage::NextTry { source, next, request: request.map(Box::new) })
        }
        ("SecondLook", Some(source), None, Some(resume), accepted, Some(announced_by), None) => {
            let why = Why::Announced(announced_by);
            Some(OwnMessage::SecondLook(SecondLook { source, resume, accepted, why }))
        }
        ("SecondLook", Some(source), None, Some(resume), accepted, None, Some(request)) if request.source == source => {
            let why = Why::Requested(Box::new(request));
            Some(OwnMessage::SecondLook(SecondLook { source, resume, accepted, why }))
        }
        _ => None,
    }
}

fn not_a_message(seen: &str) -> Error {
    not_understood(&format!("not one that the courier writes to itself: {seen}"))
}
