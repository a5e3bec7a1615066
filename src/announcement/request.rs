//! An explicit request: the document of `aws ec2 copy-image --cli-input-json`, read strictly.
//!
//! A request is somebody's exact wish, so nothing in it is guessed at or passed over: each field is checked by EC2's own
//! rule before anything is sent, and the error names the field, the value and the rule.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>

use std::str::FromStr;

use serde_json::{Map, Value};

use super::document::shown;
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

/// Whether a document is meant as a request: it names a source, be it misspelt, or has nothing but a request's fields.
#[must_use]
pub fn looks_like_one(document: &Map<String, Value>) -> bool {
    let names_source =
        |key: &String| distance(key, "SourceImageId").is_some() || distance(key, "SourceRegion").is_some();
    document.keys().any(names_source)
        || (!document.is_empty() && document.keys().all(|key| FIELDS.contains(&key.as_str())))
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
    let (image_tags, snapshot_tags) = tag_specifications(fields)?;
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
    FIELDS.into_iter().filter_map(|known| Some((distance(field, known)?, known))).min().map(|(_, known)| known)
}

/// How far a field's name is from a known one, however it joins its words. `None`: too far to stand for it.
fn distance(field: &str, known: &str) -> Option<usize> {
    const SEPARATORS_AT_MOST: usize = 8;
    let most = known.len() / 4;
    // Comparing is slow, and a stranger's document can have ten thousand fields.
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

    /// The list in `field`, which errors call `place`.
    fn list(self, field: &str, place: &str) -> Result<&'a [Value], Rejection> {
        match self.present(field) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(invalid(INVALID, place, shown(other), "a list")),
        }
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

/// The tags for the image, and those for its snapshots.
fn tag_specifications(fields: Fields<'_>) -> Result<(Vec<Tag>, Vec<Tag>), Rejection> {
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
                return Err(invalid(INVALID, &format!("{place}.ResourceType"), seen, "`image` or `snapshot`"));
            }
        };
        let place = format!("{place}.Tags");
        for (index, tag) in fields.list("Tags", &place)?.iter().enumerate() {
            add_tag(tags, &format!("{place}[{index}]"), tag)?;
        }
    }
    Ok((image, snapshot))
}

fn add_tag(tags: &mut Vec<Tag>, place: &str, tag: &Value) -> Result<(), Rejection> {
    let fields = only_these(place, tag, &["Key", "Value"])?;
    let text = |name: &str| match fields.present(name) {
        None => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(invalid(INVALID, &format!("{place}.{name}"), shown(other), "a string")),
    };
    let tag = Tag::new(text("Key")?, text("Value")?)
        .map_err(|why| invalid(INVALID, place, format!("`{}`", shortened(&why.value)), why.accepted))?;
    if tags.iter().any(|other| other.key == tag.key) {
        return Err(invalid(
            INVALID,
            place,
            format!("a second tag `{}`", tag.key),
            "of another key than those before it",
        ));
    }
    if tags.len() == Tag::MOST {
        let words = format!("`{place}` is one tag too many: a resource can have {}", Tag::MOST);
        return Err(Rejection::new("TagLimitExceeded", words, SEND_AGAIN));
    }
    tags.push(tag);
    Ok(())
}

/// The fields of an object that can have no others.
fn only_these<'a>(place: &str, value: &'a Value, known: &[&str]) -> Result<Fields<'a>, Rejection> {
    let rule = || format!("an object with `{}`", known.join("` and `"));
    let fields = value.as_object().ok_or_else(|| invalid(INVALID, place, shown(value), &rule()))?;
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(Fields(fields)),
        Some(_) => Err(invalid("UnknownParameter", place, shown(value), &rule())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn smallest() -> Map<String, Value> {
        object(json!({ "Name": "golden", "SourceImageId": "ami-0abcdef1234567890", "SourceRegion": "us-east-1" }))
    }

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(fields) = value else { panic!("{value}") };
        fields
    }

    /// The smallest request and these fields.
    fn with(more: Value) -> Result<CopyRequest, Rejection> {
        let mut document = smallest();
        document.extend(object(more));
        read(&document)
    }

    #[test]
    fn the_smallest_request_leaves_the_rest_to_the_settings() {
        let request = read(&smallest()).unwrap();
        let expected = CopyRequest {
            source: Identity { region: "us-east-1".parse().unwrap(), image: "ami-0abcdef1234567890".parse().unwrap() },
            name: "golden".parse().unwrap(),
            description: None,
            encryption: None,
            destination: None,
            copy_image_tags: None,
            image_tags: Vec::new(),
            snapshot_tags: Vec::new(),
            dry_run: None,
            client_token: None,
        };
        assert_eq!(request, expected);
        let nulls = FIELDS.iter().filter(|field| !smallest().contains_key(**field)).map(|field| (*field, Value::Null));
        assert_eq!(with(nulls.collect()).unwrap(), expected, "null says nothing");
        assert_eq!(with(json!({ "TagSpecifications": [] })).unwrap(), expected);
    }

    #[test]
    fn every_parameter_is_taken_over() {
        let request = with(json!({
            "ClientToken": "token",
            "CopyImageTags": true,
            "Description": "",
            "DryRun": false,
            "Encrypted": true,
            "KmsKeyId": "alias/golden",
            "SnapshotCopyCompletionDurationMinutes": 45,
            "TagSpecifications": [
                { "ResourceType": "image", "Tags": [{ "Key": "a", "Value": "1" }, { "Key": "b", "Value": null }] },
                { "ResourceType": "snapshot", "Tags": [{ "Key": "a", "Value": "2" }] },
                { "ResourceType": "image", "Tags": [{ "Key": "c" }] },
                { "ResourceType": "snapshot" },
            ],
        }))
        .unwrap();
        let tag = |key: &str, value: &str| Tag::new(key, value).unwrap();
        assert_eq!(request.client_token, Some("token".parse().unwrap()));
        assert_eq!(request.copy_image_tags, Some(true));
        assert_eq!(request.description, Some("".parse().unwrap()));
        assert_eq!(request.dry_run, Some(false));
        assert_eq!(request.encryption, Some(Encryption::Key("alias/golden".parse().unwrap())));
        assert_eq!(request.destination, Some(Destination::Region { completion: CompletionMinutes::new(45) }));
        assert_eq!(request.image_tags, [tag("a", "1"), tag("b", ""), tag("c", "")]);
        assert_eq!(request.snapshot_tags, [tag("a", "2")]);
    }

    #[test]
    fn encryption_and_destination_are_one_of_their_forms() {
        for (fields, expected) in
            [(json!({ "Encrypted": true }), Encryption::DefaultKey), (json!({ "Encrypted": false }), Encryption::No)]
        {
            assert_eq!(with(fields).unwrap().encryption, Some(expected));
        }
        let outpost = "arn:aws:outposts:eu-west-1:123456789012:outpost/op-0e32example1";
        for (fields, expected) in [
            (json!({ "DestinationAvailabilityZone": "eu-west-1a" }), Destination::Zone("eu-west-1a".parse().unwrap())),
            (json!({ "DestinationAvailabilityZoneId": "euw1-az1" }), Destination::ZoneId("euw1-az1".parse().unwrap())),
            (json!({ "DestinationOutpostArn": outpost }), Destination::Outpost(outpost.parse().unwrap())),
        ] {
            assert_eq!(with(fields).unwrap().destination, Some(expected));
        }
    }

    /// Reads a request with these fields in it: each is refused with this code, in words that have these in them.
    fn refused(cases: &[(Value, &str, &[&str])]) {
        for (fields, code, words) in cases {
            let shown: String = fields.to_string().chars().take(120).collect();
            let Err(rejection) = with(fields.clone()) else { panic!("{shown} is taken") };
            assert_eq!(&rejection.code, code, "{shown}: {rejection}");
            for word in *words {
                assert!(rejection.words.contains(word), "{shown}: {rejection} has no {word}");
            }
            assert!(rejection.words.len() < 500 && !rejection.advice.is_empty(), "{shown}: {rejection}");
        }
    }

    #[test]
    fn every_wrong_parameter_is_told_with_its_field_its_value_and_its_rule() {
        refused(&[
            (json!({ "Name": null }), "MissingParameter", &["`Name`", "requires"]),
            (json!({ "SourceImageId": null }), "MissingParameter", &["`SourceImageId`"]),
            (json!({ "SourceRegion": null }), "MissingParameter", &["`SourceRegion`"]),
            (json!({ "Name": "ab" }), "InvalidAMIName.Malformed", &["`Name` is `ab`", "3 to 128"]),
            (json!({ "Name": "" }), "InvalidAMIName.Malformed", &["`Name` is empty", "3 to 128"]),
            (json!({ "Name": "a".repeat(129) }), "InvalidAMIName.Malformed", &["`Name` is `aaa"]),
            (json!({ "Name": "größe" }), "InvalidAMIName.Malformed", &["`Name` is `größe`", "letters"]),
            (json!({ "Name": 5 }), "InvalidParameterValue", &["`Name` is `5`", "a string"]),
            (json!({ "SourceImageId": "i-1" }), "InvalidAMIID.Malformed", &["`SourceImageId` is `i-1`", "8 or 17"]),
            (json!({ "SourceImageId": ["ami-5731123e"] }), "InvalidParameterValue", &["`SourceImageId` is a list"]),
            (json!({ "SourceRegion": "US-EAST-1" }), "InvalidParameterValue", &["`SourceRegion` is `US-EAST-1`"]),
            (json!({ "Description": "d".repeat(256) }), "InvalidParameterValue", &["`Description` is `ddd", "255"]),
            (json!({ "Description": {} }), "InvalidParameterValue", &["`Description` is an empty object", "a string"]),
            (json!({ "ClientToken": "" }), "InvalidParameterValue", &["`ClientToken` is empty", "1 to 64"]),
            (json!({ "ClientToken": "ü" }), "InvalidParameterValue", &["`ClientToken` is `ü`", "ASCII"]),
            (json!({ "CopyImageTags": "true" }), "InvalidParameterValue", &["`CopyImageTags` is `true`", "`false`"]),
            (json!({ "DryRun": 1 }), "InvalidParameterValue", &["`DryRun` is `1`", "`true` or `false`"]),
            (json!({ "Encrypted": "yes" }), "InvalidParameterValue", &["`Encrypted` is `yes`", "`true` or `false`"]),
            (json!({ "Encrypted": true, "KmsKeyId": "golden" }), "InvalidParameterValue", &["`KmsKeyId` is `golden`"]),
            (
                json!({ "KmsKeyId": "alias/golden" }),
                "InvalidParameterCombination",
                &["`KmsKeyId` is `alias/golden`", "`Encrypted` is absent"],
            ),
            (
                json!({ "Encrypted": false, "KmsKeyId": "alias/golden" }),
                "InvalidParameterCombination",
                &["`Encrypted` is `false`"],
            ),
        ]);
    }

    #[test]
    fn every_wrong_duration_or_destination_is_told_with_its_field_its_value_and_its_rule() {
        refused(&[
            (
                json!({ "SnapshotCopyCompletionDurationMinutes": 20 }),
                "InvalidParameterValue",
                &["`SnapshotCopyCompletionDurationMinutes` is `20`", "steps of 15"],
            ),
            (json!({ "SnapshotCopyCompletionDurationMinutes": 0 }), "InvalidParameterValue", &["is `0`"]),
            (json!({ "SnapshotCopyCompletionDurationMinutes": 2895 }), "InvalidParameterValue", &["is `2895`"]),
            (json!({ "SnapshotCopyCompletionDurationMinutes": -15 }), "InvalidParameterValue", &["is `-15`"]),
            (json!({ "SnapshotCopyCompletionDurationMinutes": 1e300 }), "InvalidParameterValue", &["is `1e+300`"]),
            (json!({ "SnapshotCopyCompletionDurationMinutes": "15" }), "InvalidParameterValue", &["is `15`"]),
            (
                json!({ "SnapshotCopyCompletionDurationMinutes": 15, "DestinationAvailabilityZone": "eu-west-1a" }),
                "InvalidParameterCombination",
                &["`SnapshotCopyCompletionDurationMinutes` is `15`", "into the Region"],
            ),
            (
                json!({ "DestinationAvailabilityZoneId": "euw1-az1", "DestinationAvailabilityZone": "eu-west-1a" }),
                "InvalidParameterCombination",
                &["`DestinationAvailabilityZone`", "one at most"],
            ),
            (
                json!({ "DestinationAvailabilityZone": "eu west" }),
                "InvalidParameterValue",
                &["`DestinationAvailabilityZone` is `eu west`"],
            ),
            (
                json!({ "DestinationAvailabilityZoneId": "eu-west-1a" }),
                "InvalidParameterValue",
                &["`DestinationAvailabilityZoneId` is `eu-west-1a`", "use1-az1"],
            ),
            (
                json!({ "DestinationOutpostArn": "op-1" }),
                "InvalidParameterValue",
                &["`DestinationOutpostArn` is `op-1`", "ARN"],
            ),
        ]);
    }

    #[test]
    fn every_wrong_tag_is_told_with_its_field_its_value_and_its_rule() {
        let tags = |tags: Value| json!({ "TagSpecifications": [{ "ResourceType": "image", "Tags": tags }] });
        let too_many: Vec<Value> = (0..51).map(|n| json!({ "Key": n.to_string(), "Value": "" })).collect();
        refused(&[
            (
                json!({ "TagSpecifications": { "ResourceType": "image" } }),
                "InvalidParameterValue",
                &["`TagSpecifications` is an object with `ResourceType`", "a list"],
            ),
            (
                json!({ "TagSpecifications": ["image"] }),
                "InvalidParameterValue",
                &["`TagSpecifications[0]` is `image`"],
            ),
            (
                json!({ "TagSpecifications": [{ "Tags": [] }] }),
                "InvalidParameterValue",
                &["`TagSpecifications[0].ResourceType` is absent", "`image` or `snapshot`"],
            ),
            (
                json!({ "TagSpecifications": [{ "ResourceType": "volume" }] }),
                "InvalidParameterValue",
                &["`TagSpecifications[0].ResourceType` is `volume`"],
            ),
            (
                json!({ "TagSpecifications": [{ "ResourceType": "image", "Tag": [] }] }),
                "UnknownParameter",
                &["`TagSpecifications[0]` is an object with `ResourceType`, `Tag`", "`ResourceType` and `Tags`"],
            ),
            (
                tags(json!({ "a": "1" })),
                "InvalidParameterValue",
                &["`TagSpecifications[0].Tags` is an object with `a`"],
            ),
            (tags(json!("a=1")), "InvalidParameterValue", &["`TagSpecifications[0].Tags` is `a=1`", "a list"]),
            (tags(json!([["a", "1"]])), "InvalidParameterValue", &["`TagSpecifications[0].Tags[0]` is a list"]),
            (
                tags(json!([{ "Key": "a", "Value": 1 }])),
                "InvalidParameterValue",
                &["`TagSpecifications[0].Tags[0].Value` is `1`", "a string"],
            ),
            (
                tags(json!([{ "key": "a", "value": "1" }])),
                "UnknownParameter",
                &["`TagSpecifications[0].Tags[0]`", "`Key` and `Value`"],
            ),
            (tags(json!([{ "Value": "1" }])), "InvalidParameterValue", &["Tags[0]` is `=1`", "1 to 128"]),
            (
                tags(json!([{ "Key": "AWS:a", "Value": "1" }])),
                "InvalidParameterValue",
                &["Tags[0]` is `AWS:a=1`", "does not begin with `aws:`"],
            ),
            (tags(json!([{ "Key": "a", "Value": "v".repeat(257) }])), "InvalidParameterValue", &["at most 256"]),
            (
                tags(json!([{ "Key": "a" }, { "Key": "a" }])),
                "InvalidParameterValue",
                &["`TagSpecifications[0].Tags[1]` is a second tag `a`"],
            ),
            (tags(too_many.into()), "TagLimitExceeded", &["`TagSpecifications[0].Tags[50]`", "50"]),
        ]);
    }

    #[test]
    fn an_unknown_field_is_told_with_the_nearest_known_one() {
        for (field, near) in [
            ("name", "Name"),
            ("Nmae", "Name"),
            ("source_image_id", "SourceImageId"),
            ("source-region", "SourceRegion"),
            ("SourceImageID", "SourceImageId"),
            ("KMSKeyId", "KmsKeyId"),
            ("KmsKey", "KmsKeyId"),
            ("Encrypt", "Encrypted"),
            ("dryRun", "DryRun"),
            ("TagSpecification", "TagSpecifications"),
            ("DestinationOutpost", "DestinationOutpostArn"),
            ("snapshot_copy_completion_duration_minutes", "SnapshotCopyCompletionDurationMinutes"),
        ] {
            let rejection = with(json!({ field: "x" })).unwrap_err();
            assert_eq!(rejection.code, "UnknownParameter");
            let words = format!("a CopyImage request has no field `{field}`: did you mean `{near}`?");
            assert_eq!(rejection.words, words);
        }
        for strange in ["", "Owner", "DestinationRegion", &"Name".repeat(10_000)] {
            let rejection = with(json!({ strange: "x" })).unwrap_err();
            assert_eq!(rejection.code, "UnknownParameter");
            assert!(rejection.words.contains(&FIELDS.join(", ")) && rejection.words.len() < 800, "{rejection}");
        }
    }

    #[test]
    fn a_document_is_taken_for_a_request_by_its_source_or_by_having_nothing_else() {
        for (document, is_one) in [
            (json!({ "SourceImageId": 5, "anything": true }), true),
            (json!({ "sourceRegion": "us-east-1" }), true),
            (json!({ "Name": "golden", "Encrypted": true }), true),
            (json!({}), false),
            (json!({ "Name": "golden", "Release": 5 }), false),
            (json!({ "name": "golden" }), false),
            (json!({ "source": "us-east-1", "image": "ami-5731123e" }), false),
        ] {
            assert_eq!(looks_like_one(&object(document.clone())), is_one, "{document}");
        }
    }
}
