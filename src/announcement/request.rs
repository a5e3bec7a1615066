//! An explicit request: the document of `aws ec2 copy-image --cli-input-json`, read strictly.
//!
//! A request is somebody's exact wish, so nothing in it is guessed at or passed over: each field is checked by EC2's own
//! rule before anything is sent, and the error names the field, the value and the rule.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::copy_image::{
    AmiName, ClientToken, CompletionMinutes, Description, Destination, Encryption, KmsKey, OutpostArn, Tag, ZoneId,
    ZoneName,
};
use crate::identity::{Identity, Malformed, shortened};
use crate::outcome::Rejection;

/// The fields of a request, as the API names them.
pub const FIELDS: [&str; 14] = [
    "ClientToken",
    "CopyImageTags",
    "Description",
    "DestinationAvailabilityZone",
    "DestinationAvailabilityZoneId",
    "DestinationOutpostArn",
    "DryRun",
    "Encrypted",
    "KmsKeyId",
    "Name",
    "SnapshotCopyCompletionDurationMinutes",
    "SourceImageId",
    "SourceRegion",
    "TagSpecifications",
];

/// What a request asks for. `None`: it does not say, and the settings decide.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyRequest {
    pub source: Identity,
    pub name: AmiName,
    pub description: Option<Description>,
    pub encryption: Option<Encryption>,
    pub destination: Option<Destination>,
    pub copy_image_tags: Option<bool>,
    pub image_tags: Vec<Tag>,
    pub snapshot_tags: Vec<Tag>,
    pub dry_run: Option<bool>,
    pub client_token: Option<ClientToken>,
}

/// Whether a document is meant as a request: it has at least one of a request's fields that nothing else has.
#[must_use]
pub fn looks_like_one(document: &Map<String, Value>) -> bool {
    document.keys().any(|key| key.starts_with("Source") && FIELDS.contains(&key.as_str()))
        || (!document.is_empty() && document.keys().all(|key| nearest(key).is_some()))
}

/// Reads a request.
///
/// # Errors
/// `UnknownParameter`, `MissingParameter`, `InvalidParameterValue`, `InvalidParameterCombination` and EC2's own
/// `…Malformed` codes: what a call with these parameters would be refused with, before it is made.
pub fn read(document: &Map<String, Value>) -> Result<CopyRequest, Rejection> {
    if let Some(unknown) = document.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(unknown_field(unknown));
    }
    let fields = Fields(document);
    let (image_tags, snapshot_tags) = tag_specifications(fields.present("TagSpecifications"))?;
    Ok(CopyRequest {
        source: Identity {
            image: fields.required("SourceImageId", "InvalidAMIID.Malformed")?,
            region: fields.required("SourceRegion", INVALID)?,
        },
        name: fields.required("Name", "InvalidAMIName.Malformed")?,
        description: fields.checked("Description", INVALID)?,
        encryption: encryption(fields)?,
        destination: destination(fields)?,
        copy_image_tags: fields.boolean("CopyImageTags")?,
        image_tags,
        snapshot_tags,
        dry_run: fields.boolean("DryRun")?,
        client_token: fields.checked("ClientToken", INVALID)?,
    })
}

const INVALID: &str = "InvalidParameterValue";
const COMBINATION: &str = "InvalidParameterCombination";
const SEND_AGAIN: &str = "correct the request and send it again";

fn invalid(code: &str, field: &str, seen: impl std::fmt::Display, rule: &str) -> Rejection {
    Rejection::new(code, format!("`{field}` is {seen}; it must be {rule}"), SEND_AGAIN)
}

fn combination(words: String) -> Rejection {
    Rejection::new(COMBINATION, words, SEND_AGAIN)
}

fn unknown_field(field: &str) -> Rejection {
    let known = nearest(field).map_or_else(
        || format!("a request has the fields {}", FIELDS.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    Rejection::new(
        "UnknownParameter",
        format!("a CopyImage request has no field `{}`: {known}", shortened(field)),
        SEND_AGAIN,
    )
}

/// The known field that a misspelt one most likely stands for.
fn nearest(field: &str) -> Option<&'static str> {
    const LONGEST_WORTH_COMPARING: usize = 64;
    if field.len() > LONGEST_WORTH_COMPARING {
        return None;
    }
    let folded = field.to_ascii_lowercase().replace(['-', '_'], "");
    FIELDS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&folded, &known.to_ascii_lowercase()), *known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 4)
        .map(|(_, known)| known)
}

/// How a value of the wrong type is shown.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", shortened(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => format!("`{other}`"),
    }
}

#[derive(Clone, Copy)]
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn present(self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn checked<T: FromStr<Err = Malformed>>(self, field: &str, code: &str) -> Result<Option<T>, Rejection> {
        let Some(value) = self.present(field) else { return Ok(None) };
        let Some(text) = value.as_str() else { return Err(invalid(INVALID, field, shown(value), "a string")) };
        text.parse().map(Some).map_err(|why: Malformed| invalid(code, field, shown(value), why.accepted))
    }

    fn required<T: FromStr<Err = Malformed>>(self, field: &str, code: &str) -> Result<T, Rejection> {
        self.checked(field, code)?.ok_or_else(|| {
            Rejection::new(
                "MissingParameter",
                format!("the request has no `{field}`, which CopyImage requires"),
                SEND_AGAIN,
            )
        })
    }

    fn boolean(self, field: &str) -> Result<Option<bool>, Rejection> {
        self.present(field)
            .map(|value| value.as_bool().ok_or_else(|| invalid(INVALID, field, shown(value), "`true` or `false`")))
            .transpose()
    }
}

fn encryption(fields: Fields<'_>) -> Result<Option<Encryption>, Rejection> {
    let key: Option<KmsKey> = fields.checked("KmsKeyId", INVALID)?;
    match (fields.boolean("Encrypted")?, key) {
        (Some(true), Some(key)) => Ok(Some(Encryption::Key(key))),
        (Some(true), None) => Ok(Some(Encryption::DefaultKey)),
        (Some(false), None) => Ok(Some(Encryption::No)),
        (None, None) => Ok(None),
        (encrypted, Some(key)) => {
            let said = encrypted.map_or("absent", |_| "`false`");
            Err(combination(format!(
                "`KmsKeyId` is `{key}` but `Encrypted` is {said}; a key needs `Encrypted` to be `true`"
            )))
        }
    }
}

fn destination(fields: Fields<'_>) -> Result<Option<Destination>, Rejection> {
    const MINUTES: &str = "SnapshotCopyCompletionDurationMinutes";
    let zone: Option<ZoneName> = fields.checked("DestinationAvailabilityZone", INVALID)?;
    let zone_id: Option<ZoneId> = fields.checked("DestinationAvailabilityZoneId", INVALID)?;
    let outpost: Option<OutpostArn> = fields.checked("DestinationOutpostArn", INVALID)?;
    let completion = fields
        .present(MINUTES)
        .map(|value| {
            let minutes = value.as_u64().and_then(CompletionMinutes::new);
            minutes.ok_or_else(|| invalid(INVALID, MINUTES, shown(value), CompletionMinutes::RULE))
        })
        .transpose()?;
    let narrower = match (zone, zone_id, outpost) {
        (None, None, None) => return Ok(completion.map(|minutes| Destination::Region { completion: Some(minutes) })),
        (Some(zone), None, None) => Destination::Zone(zone),
        (None, Some(id), None) => Destination::ZoneId(id),
        (None, None, Some(arn)) => Destination::Outpost(arn),
        _ => {
            return Err(combination(
                "the request names more than one of `DestinationAvailabilityZone`, `DestinationAvailabilityZoneId` and \
                 `DestinationOutpostArn`; CopyImage takes one at most"
                    .to_owned(),
            ));
        }
    };
    match completion {
        None => Ok(Some(narrower)),
        Some(minutes) => Err(combination(format!(
            "`{MINUTES}` is `{}` and a zone or Outpost is named; CopyImage takes a completion time only for a copy into the Region",
            minutes.get()
        ))),
    }
}

fn tag_specifications(value: Option<&Value>) -> Result<(Vec<Tag>, Vec<Tag>), Rejection> {
    const FIELD: &str = "TagSpecifications";
    const RULE: &str =
        "a list of `{\"ResourceType\": \"image\" or \"snapshot\", \"Tags\": [{\"Key\": …, \"Value\": …}]}`";
    let mut image = Vec::new();
    let mut snapshot = Vec::new();
    let Some(value) = value else { return Ok((image, snapshot)) };
    for specification in value.as_array().ok_or_else(|| invalid(INVALID, FIELD, shown(value), RULE))? {
        let Some(fields) = only_these(specification, &["ResourceType", "Tags"]) else {
            return Err(invalid(INVALID, FIELD, format!("a list with {specification:.200}"), RULE));
        };
        let tags = match fields.get("ResourceType").and_then(Value::as_str) {
            Some("image") => &mut image,
            Some("snapshot") => &mut snapshot,
            other => {
                let seen = other.map_or_else(|| "missing".to_owned(), |kind| format!("`{}`", shortened(kind)));
                return Err(invalid(INVALID, "TagSpecifications.ResourceType", seen, "`image` or `snapshot`"));
            }
        };
        for tag in fields.get("Tags").and_then(Value::as_array).into_iter().flatten() {
            add_tag(tags, tag)?;
        }
    }
    Ok((image, snapshot))
}

fn add_tag(tags: &mut Vec<Tag>, tag: &Value) -> Result<(), Rejection> {
    const FIELD: &str = "TagSpecifications.Tags";
    let text = |field| tag.get(field).map_or(Some(""), Value::as_str);
    let (Some(key), Some(value), Some(_)) = (text("Key"), text("Value"), only_these(tag, &["Key", "Value"])) else {
        return Err(invalid(INVALID, FIELD, shown(tag), "a list of `{\"Key\": …, \"Value\": …}`"));
    };
    let tag = Tag::new(key, value)
        .map_err(|why| invalid(INVALID, FIELD, format!("`{}`", shortened(&why.value)), why.accepted))?;
    if tags.iter().any(|other| other.key == tag.key) {
        return Err(invalid(
            INVALID,
            FIELD,
            format!("a list with the key `{}` twice", tag.key),
            "a list of distinct keys",
        ));
    }
    if tags.len() == Tag::MOST {
        return Err(Rejection::new(
            "TagLimitExceeded",
            format!("`{FIELD}` has more than {} tags", Tag::MOST),
            SEND_AGAIN,
        ));
    }
    tags.push(tag);
    Ok(())
}

fn only_these<'a>(value: &'a Value, known: &[&str]) -> Option<&'a Map<String, Value>> {
    value.as_object().filter(|fields| fields.keys().all(|key| known.contains(&key.as_str())))
}
