//! The courier's messages to itself, through its own queue: what a sweep found, and second looks. The dead letter of a failed
//! copy has the same shape, so an operator can send it back unchanged.
//!
//! `{"AmiCourier": {KIND: {…}}}`, read strictly: only the courier writes such messages, so an unknown field is a mistake. Of every
//! kind, `Hops` counts the courier's own messages that led here one after the other, itself included: a chain of them must end.
//! A letter that an operator sends back, and what the courier wrote before it counted, has none.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::announced_by::AnnouncedBy;
use super::document::{fields_of, not_understood, shown};
use super::request::{self, CopyRequest};
use crate::error::{Error, code};
use crate::identity::{Identity, ImageId, ParameterName, Region, shortened};
use crate::protocol::Try;

const ENVELOPE: &str = "AmiCourier";
const HOPS: &str = "Hops";

/// A message of the courier to itself.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnMessage {
    /// From a sweep: this AMI is wanted and has no copy.
    Missed { source: Identity },
    /// From a sweep: this copy is not finished, or not in step, or it failed.
    Unfinished { copy: ImageId },
    /// From a sweep: the source of this copy is out of service.
    SourceGone { copy: ImageId },
    /// From a sweep: the source of this copy is in service again.
    SourceBack { copy: ImageId },
    /// From a sweep: elect the copy that the parameter of this name holds.
    Elect { name: ParameterName },
    /// Look for a live copy again; if there is none, make the next try.
    SecondLook {
        source: Identity,
        /// The try to make if there is still no live copy.
        resume: Try,
        /// The AMI in EC2's answer, for the log.
        accepted: Option<ImageId>,
        why: Why,
    },
    /// The dead letter of a failed copy: the try to make next, once the cause is removed. A request's tries are its own: with
    /// `request` it is the next try of that request, without one the next try of the announcement.
    NextTry { source: Identity, next: Try, request: Option<Box<CopyRequest>> },
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
            Self::Missed { source } | Self::NextTry { source, .. } | Self::SecondLook { source, .. } => Some(source),
            Self::Unfinished { .. } | Self::SourceGone { .. } | Self::SourceBack { .. } | Self::Elect { .. } => None,
        }
    }

    pub fn is_from_sweep(&self) -> bool {
        match self {
            Self::Missed { .. }
            | Self::Unfinished { .. }
            | Self::SourceGone { .. }
            | Self::SourceBack { .. }
            | Self::Elect { .. } => true,
            Self::SecondLook { why, .. } => matches!(why, Why::Announced(AnnouncedBy::Sweep)),
            Self::NextTry { .. } => false,
        }
    }

    /// The body of the message.
    pub fn body(&self, hops: u32) -> String {
        let mut written = json!(Written::of(self));
        if let Some(fields) = fields_in(&mut written).filter(|_| hops > 0) {
            fields.insert(HOPS.to_owned(), hops.into());
        }
        json!({ ENVELOPE: written }).to_string()
    }
}

/// A message as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all_fields = "PascalCase", deny_unknown_fields)]
enum Written {
    Missed {
        source_image_id: ImageId,
        source_region: Region,
    },
    Unfinished {
        image_id: ImageId,
    },
    SourceGone {
        image_id: ImageId,
    },
    SourceBack {
        image_id: ImageId,
    },
    Elect {
        parameter_name: ParameterName,
    },
    NextTry {
        source_image_id: ImageId,
        source_region: Region,
        epoch: u32,
        r#try: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<Value>,
    },
    SecondLook {
        source_image_id: ImageId,
        source_region: Region,
        epoch: u32,
        r#try: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        accepted_image_id: Option<ImageId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        announced_by: Option<AnnouncedBy>,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<Value>,
    },
}

impl Written {
    fn of(message: &OwnMessage) -> Self {
        match message.clone() {
            OwnMessage::Missed { source: Identity { region, image } } => {
                Self::Missed { source_image_id: image, source_region: region }
            }
            OwnMessage::Unfinished { copy } => Self::Unfinished { image_id: copy },
            OwnMessage::SourceGone { copy } => Self::SourceGone { image_id: copy },
            OwnMessage::SourceBack { copy } => Self::SourceBack { image_id: copy },
            OwnMessage::Elect { name } => Self::Elect { parameter_name: name },
            OwnMessage::NextTry { source: Identity { region, image }, next, request } => Self::NextTry {
                source_image_id: image,
                source_region: region,
                epoch: next.epoch,
                r#try: next.number,
                request: request.map(|request| request.document()),
            },
            OwnMessage::SecondLook { source: Identity { region, image }, resume, accepted, why } => {
                let (announced_by, request) = match why {
                    Why::Announced(announced_by) => (Some(announced_by), None),
                    Why::Requested(request) => (None, Some(request.document())),
                };
                Self::SecondLook {
                    source_image_id: image,
                    source_region: region,
                    epoch: resume.epoch,
                    r#try: resume.number,
                    accepted_image_id: accepted,
                    announced_by,
                    request,
                }
            }
        }
    }

    fn read(self) -> Result<OwnMessage, Error> {
        Ok(match self {
            Self::Missed { source_image_id: image, source_region: region } => {
                OwnMessage::Missed { source: Identity { region, image } }
            }
            Self::Unfinished { image_id: copy } => OwnMessage::Unfinished { copy },
            Self::SourceGone { image_id: copy } => OwnMessage::SourceGone { copy },
            Self::SourceBack { image_id: copy } => OwnMessage::SourceBack { copy },
            Self::Elect { parameter_name: name } => OwnMessage::Elect { name },
            Self::NextTry { source_image_id: image, source_region: region, epoch, r#try: number, request } => {
                let source = Identity { region, image };
                let next = Try { epoch, number };
                let request = request.map(|request| request_of(&request, &source)).transpose()?;
                OwnMessage::NextTry { source, next, request }
            }
            Self::SecondLook {
                source_image_id: image,
                source_region: region,
                epoch,
                r#try: number,
                accepted_image_id: accepted,
                announced_by,
                request,
            } => {
                let source = Identity { region, image };
                let why = match (announced_by, request) {
                    (Some(announced_by), None) => Why::Announced(announced_by),
                    (None, Some(request)) => Why::Requested(request_of(&request, &source)?),
                    _ => return Err(not_a_message("`SecondLook` needs one of `AnnouncedBy` and `Request`")),
                };
                let resume = Try { epoch, number };
                OwnMessage::SecondLook { source, resume, accepted, why }
            }
        })
    }
}

/// The request inside, which must be about the same source.
fn request_of(document: &Value, source: &Identity) -> Result<Box<CopyRequest>, Error> {
    let fields = document.as_object().ok_or_else(|| not_a_message(&format!("`Request` is {}", shown(document))))?;
    let request = request::read(fields)?;
    if request.source == *source {
        Ok(Box::new(request))
    } else {
        Err(not_a_message(&format!("its `Request` is about {}, not {source}", request.source)))
    }
}

pub(super) fn is_one(message: &Map<String, Value>) -> bool {
    message.contains_key(ENVELOPE)
}

/// The message, and its hops.
pub(super) fn read(message: &Map<String, Value>) -> Result<(OwnMessage, u32), Error> {
    let Some(mut written) = message.get(ENVELOPE).filter(|_| message.len() == 1).cloned() else {
        return Err(not_a_message(&fields_of(message)));
    };
    let not_a_message = |why: serde_json::Error| match why.to_string() {
        why if OF_ANOTHER_VERSION.iter().any(|begins| why.starts_with(begins)) => of_another_version(&why),
        why => not_a_message(&shortened(&why)),
    };
    let hops = fields_in(&mut written).and_then(|fields| fields.remove(HOPS));
    let hops = hops.map_or(Ok(0), u32::deserialize).map_err(not_a_message)?;
    let written = Written::deserialize(written).map_err(not_a_message)?;
    Ok((written.read()?, hops))
}

/// The fields of the only kind.
fn fields_in(written: &mut Value) -> Option<&mut Map<String, Value>> {
    written.as_object_mut()?.values_mut().next()?.as_object_mut()
}

/// How serde's errors begin about a kind or a field that this version does not know, or one that it misses.
const OF_ANOTHER_VERSION: [&str; 3] = ["unknown variant", "unknown field", "missing field"];

fn of_another_version(why: &str) -> Error {
    Error::rejected(
        code::NOT_UNDERSTOOD,
        format!("this message of the courier to itself is of another version: {}", shortened(why)),
        "deploy the version that wrote it and send it back; or delete it, if a sweep covers its AMI: the next one announces it again",
    )
}

fn not_a_message(seen: &str) -> Error {
    not_understood(&format!("not one that the courier writes to itself: {seen}"))
}
