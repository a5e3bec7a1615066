//! A request: the document of `aws ec2 copy-image --cli-input-json`, read strictly.
//!
//! Nothing in a request is guessed or ignored. Each field is checked by EC2's own rule before anything is sent, and the error
//! names the field, the value and the rule.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>

use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::document::shown;
use crate::copy_image::{
    AmiName, ClientToken, CompletionMinutes, Description, Destination, Encryption, KmsKey, OutpostArn, Tag, ZoneId,
    ZoneName,
};
use crate::error::{Error, code};
use crate::identity::{Identity, Malformed, shortened};
use crate::image::tag::{self, is_couriers};

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

/// What a request asks for. If a field is `None`, the settings decide.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl CopyRequest {
    /// What is asked for: all but the client token and `DryRun`, with the tags in one order. The same for each delivery.
    pub(crate) fn substance(&self) -> impl Serialize {
        let sorted = |tags: &[Tag]| {
            let mut tags = tags.to_vec();
            tags.sort();
            tags
        };
        let asked = (&self.source, &self.name, &self.description, &self.encryption, &self.destination);
        (asked, self.copy_image_tags, sorted(&self.image_tags), sorted(&self.snapshot_tags))
    }

    /// The request as a document. [`read`] makes an equal request of it.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "Name": self.name, "SourceImageId": self.source.image, "SourceRegion": self.source.region,
        });
        let mut set = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                document[field] = value;
            }
        };
        set("Description", self.description.as_ref().map(|text| json!(text)));
        set("Encrypted", self.encryption.as_ref().and_then(Encryption::encrypted).map(Value::from));
        set("KmsKeyId", self.encryption.as_ref().and_then(Encryption::key).map(|key| json!(key)));
        set("CopyImageTags", self.copy_image_tags.map(Value::from));
        set("DryRun", self.dry_run.map(Value::from));
        set("ClientToken", self.client_token.as_ref().map(|token| json!(token)));
        match &self.destination {
            None => {}
            Some(Destination::Region { completion }) => {
                set("SnapshotCopyCompletionDurationMinutes", completion.map(|minutes| json!(minutes)));
            }
            Some(Destination::Zone(zone)) => set("DestinationAvailabilityZone", Some(json!(zone))),
            Some(Destination::ZoneId(id)) => set("DestinationAvailabilityZoneId", Some(json!(id))),
            Some(Destination::Outpost(arn)) => set("DestinationOutpostArn", Some(json!(arn))),
        }
        let specifications: Vec<Value> = [("image", &self.image_tags), ("snapshot", &self.snapshot_tags)]
            .into_iter()
            .filter(|(_, tags)| !tags.is_empty())
            .map(|(kind, tags)| {
                let tags: Vec<Value> = tags.iter().map(|tag| json!({ "Key": tag.key, "Value": tag.value })).collect();
                json!({ "ResourceType": kind, "Tags": tags })
            })
            .collect();
        set("TagSpecifications", (!specifications.is_empty()).then(|| specifications.into()));
        document
    }
}

/// Whether a document is meant as a request: it has a source field, perhaps misspelt, or only fields of a request.
pub fn looks_like_one(document: &Map<String, Value>) -> bool {
    let names_source =
        |key: &String| distance(key, "SourceImageId").is_some() || distance(key, "SourceRegion").is_some();
    document.keys().any(names_source)
        || (!document.is_empty() && document.keys().all(|key| FIELDS.contains(&key.as_str())))
}

/// Reads a request. The code of an error is what EC2 would answer: `UnknownParameter`, `MissingParameter`, `InvalidParameterValue`,
/// `InvalidParameterCombination`, `TagLimitExceeded`, or a code with `…Malformed`.
pub fn read(document: &Map<String, Value>) -> Result<CopyRequest, Error> {
    if let Some(unknown) = document.keys().filter(|key| !FIELDS.contains(&key.as_str())).min() {
        return Err(unknown_field(unknown));
    }
    let fields = Fields(document);
    let (image_tags, snapshot_tags) = tag_specifications(fields)?;
    Ok(CopyRequest {
        source: Identity {
            image: fields.required("SourceImageId", code::IMAGE_MALFORMED)?,
            region: fields.required("SourceRegion", code::INVALID_VALUE)?,
        },
        name: fields.required("Name", code::NAME_MALFORMED)?,
        description: fields.checked("Description", code::INVALID_VALUE)?,
        encryption: encryption(fields)?,
        destination: destination(fields)?,
        copy_image_tags: fields.boolean("CopyImageTags")?,
        image_tags,
        snapshot_tags,
        dry_run: fields.boolean("DryRun")?,
        client_token: fields.checked("ClientToken", code::INVALID_VALUE)?,
    })
}

const SEND_AGAIN: &str = "correct the request and send it again";

fn invalid(code: &str, field: &str, seen: impl std::fmt::Display, rule: &str) -> Error {
    Error::rejected(code, format!("`{field}` is {seen}; it must be {rule}"), SEND_AGAIN)
}

/// The rejection of a value that is not JSON's `true`, `false` or number. Templates of `CloudFormation` and the CDK make strings of these.
fn not_json(field: &str, value: &Value, rule: &str) -> Error {
    match value {
        Value::String(text) => {
            let seen = format!("the JSON string `\"{}\"`", shortened(text));
            invalid(code::INVALID_VALUE, field, seen, &format!("{rule}, without quotes"))
        }
        other => invalid(code::INVALID_VALUE, field, shown(other), rule),
    }
}

fn combination(message: String) -> Error {
    Error::rejected(code::INVALID_COMBINATION, message, SEND_AGAIN)
}

fn unknown_field(field: &str) -> Error {
    let known = nearest(field).map_or_else(
        || format!("a request has the fields {}", FIELDS.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    Error::rejected(
        code::UNKNOWN_PARAMETER,
        format!("a CopyImage request has no field `{}`: {known}", shortened(field)),
        SEND_AGAIN,
    )
}

/// The known field with the most similar name, if one is similar enough.
fn nearest(field: &str) -> Option<&'static str> {
    nearest_of(&FIELDS, field)
}

/// The same, of other names.
pub(super) fn nearest_of(known: &[&'static str], field: &str) -> Option<&'static str> {
    known.iter().filter_map(|known| Some((distance(field, known)?, *known))).min().map(|(_, known)| known)
}

/// How different a field's name is from a known one; `source_image_id` equals `SourceImageId`. `None` if it is too different.
fn distance(field: &str, known: &str) -> Option<usize> {
    const SEPARATORS_AT_MOST: usize = 8;
    let most = known.len() / 4;
    // The comparison is slow, and a hostile document can have ten thousand fields.
    if field.len() + most < known.len() || field.len() > known.len() + most + SEPARATORS_AT_MOST {
        return None;
    }
    let folded = field.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let distance = strsim::damerau_levenshtein(&folded, &known.to_ascii_lowercase());
    (distance <= most).then_some(distance)
}

#[derive(Clone, Copy)]
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn present(self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn checked<T: FromStr<Err = Malformed>>(self, field: &str, code: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.present(field) else { return Ok(None) };
        let Some(text) = value.as_str() else {
            return Err(invalid(code::INVALID_VALUE, field, shown(value), "a string"));
        };
        text.parse().map(Some).map_err(|why: Malformed| invalid(code, field, shown(value), why.accepted))
    }

    fn required<T: FromStr<Err = Malformed>>(self, field: &str, code: &str) -> Result<T, Error> {
        self.checked(field, code)?.ok_or_else(|| {
            Error::rejected(
                code::MISSING_PARAMETER,
                format!("the request has no `{field}`, which CopyImage requires"),
                SEND_AGAIN,
            )
        })
    }

    /// The list in `field`, which errors call `place`.
    fn list(self, field: &str, place: &str) -> Result<&'a [Value], Error> {
        match self.present(field) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(invalid(code::INVALID_VALUE, place, shown(other), "a list")),
        }
    }

    fn boolean(self, field: &str) -> Result<Option<bool>, Error> {
        self.present(field)
            .map(|value| value.as_bool().ok_or_else(|| not_json(field, value, "`true` or `false`")))
            .transpose()
    }
}

fn encryption(fields: Fields<'_>) -> Result<Option<Encryption>, Error> {
    let key: Option<KmsKey> = fields.checked("KmsKeyId", code::INVALID_VALUE)?;
    match (fields.boolean("Encrypted")?, key) {
        (Some(true), Some(key)) => Ok(Some(Encryption::Key(key))),
        (Some(true), None) => Ok(Some(Encryption::DefaultKey)),
        (Some(false), None) => Ok(Some(Encryption::No)),
        (None, None) => Ok(None),
        (encrypted, Some(key)) => {
            let seen = encrypted.map_or("absent", |_| "`false`");
            Err(combination(format!(
                "`KmsKeyId` is `{key}` but `Encrypted` is {seen}; a key needs `Encrypted` to be `true`"
            )))
        }
    }
}

fn destination(fields: Fields<'_>) -> Result<Option<Destination>, Error> {
    const MINUTES: &str = "SnapshotCopyCompletionDurationMinutes";
    let zone: Option<ZoneName> = fields.checked("DestinationAvailabilityZone", code::INVALID_VALUE)?;
    let zone_id: Option<ZoneId> = fields.checked("DestinationAvailabilityZoneId", code::INVALID_VALUE)?;
    let outpost: Option<OutpostArn> = fields.checked("DestinationOutpostArn", code::INVALID_VALUE)?;
    let completion = fields
        .present(MINUTES)
        .map(|value| {
            let minutes = value.as_u64().and_then(CompletionMinutes::new);
            minutes.ok_or_else(|| not_json(MINUTES, value, CompletionMinutes::RULE))
        })
        .transpose()?;
    let narrower = match (zone, zone_id, outpost) {
        (None, None, None) => return Ok(completion.map(|minutes| Destination::Region { completion: Some(minutes) })),
        (Some(zone), None, None) => Destination::Zone(zone),
        (None, Some(id), None) => Destination::ZoneId(id),
        (None, None, Some(arn)) => Destination::Outpost(arn),
        _ => {
            return Err(combination(
                "the request has more than one of `DestinationAvailabilityZone`, `DestinationAvailabilityZoneId` and \
                 `DestinationOutpostArn`; CopyImage takes one at most"
                    .to_owned(),
            ));
        }
    };
    match completion {
        None => Ok(Some(narrower)),
        Some(minutes) => Err(combination(format!(
            "`{MINUTES}` is `{}` and the request names a zone or an Outpost; CopyImage takes a completion time only for a copy into the Region",
            minutes.get()
        ))),
    }
}

/// The tags for the image, and those for its snapshots.
fn tag_specifications(fields: Fields<'_>) -> Result<(Vec<Tag>, Vec<Tag>), Error> {
    const FIELD: &str = "TagSpecifications";
    let mut image = Vec::new();
    let mut snapshot = Vec::new();
    for (index, specification) in fields.list(FIELD, FIELD)?.iter().enumerate() {
        let place = format!("{FIELD}[{index}]");
        let fields = only_these(&place, specification, &["ResourceType", "Tags"])?;
        let tags = match fields.present("ResourceType") {
            Some(Value::String(kind)) if kind == "image" => &mut image,
            Some(Value::String(kind)) if kind == "snapshot" => &mut snapshot,
            other => {
                let seen = other.map_or_else(|| "absent".to_owned(), shown);
                return Err(invalid(
                    code::INVALID_VALUE,
                    &format!("{place}.ResourceType"),
                    seen,
                    "`image` or `snapshot`",
                ));
            }
        };
        let place = format!("{place}.Tags");
        for (index, tag) in fields.list("Tags", &place)?.iter().enumerate() {
            add_tag(tags, &format!("{place}[{index}]"), tag)?;
        }
    }
    if let Some(shared) = snapshot.iter().find(|tag| tag.key.starts_with(tag::SHARED)) {
        let seen = format!("`{}` on a snapshot", shortened(&shared.key));
        return Err(invalid(code::INVALID_VALUE, FIELD, seen, "shared tags (`ec2:SharedTag/…`) on the image only"));
    }
    Ok((image, snapshot))
}

fn add_tag(tags: &mut Vec<Tag>, place: &str, tag: &Value) -> Result<(), Error> {
    let fields = only_these(place, tag, &["Key", "Value"])?;
    let text = |name: &str| match fields.present(name) {
        None => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(invalid(code::INVALID_VALUE, &format!("{place}.{name}"), shown(other), "a string")),
    };
    let tag = Tag::new(text("Key")?, text("Value")?)
        .map_err(|why| invalid(code::INVALID_VALUE, place, format!("`{}`", shortened(&why.value)), why.accepted))?;
    if is_couriers(&tag.key) {
        let seen = format!("`{}`", shortened(&tag.key));
        return Err(invalid(code::INVALID_VALUE, place, seen, "a tag whose key does not begin with `ami-courier:`"));
    }
    if tags.iter().any(|other| other.key == tag.key) {
        return Err(invalid(
            code::INVALID_VALUE,
            place,
            format!("a second tag `{}`", tag.key),
            "a tag with a key of its own",
        ));
    }
    if tags.len() == Tag::MOST {
        let message = format!("`{place}` is one tag too many: a resource can have {}", Tag::MOST);
        return Err(Error::rejected(code::TOO_MANY_TAGS, message, SEND_AGAIN));
    }
    tags.push(tag);
    Ok(())
}

/// The fields of an object that has only known ones.
fn only_these<'a>(place: &str, value: &'a Value, known: &[&str]) -> Result<Fields<'a>, Error> {
    let rule = || format!("an object with `{}`", known.join("` and `"));
    let fields = value.as_object().ok_or_else(|| invalid(code::INVALID_VALUE, place, shown(value), &rule()))?;
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(Fields(fields)),
        Some(_) => Err(invalid(code::UNKNOWN_PARAMETER, place, shown(value), &rule())),
    }
}
