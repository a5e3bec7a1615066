//! `CopyImage` requests: each field is checked, and the error names field, value and rule.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use courier_core::announcement::request::*;
use courier_core::copy_image::{CompletionMinutes, Destination, Encryption, Tag};
use courier_core::error::Error;
use courier_core::identity::Identity;

use crate::any;

fn smallest() -> Map<String, Value> {
    object(json!({ "Name": "golden", "SourceImageId": "ami-0abcdef1234567890", "SourceRegion": "us-east-1" }))
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(fields) = value else { panic!("{value}") };
    fields
}

/// The smallest request and these fields.
fn with(more: Value) -> Result<CopyRequest, Error> {
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
    let outpost = "arn:aws:outposts:eu-west-1:123456789012:outpost/op-0e32a5b7c9d1f2468";
    for (fields, expected) in [
        (json!({ "DestinationAvailabilityZone": "eu-west-1a" }), Destination::Zone("eu-west-1a".parse().unwrap())),
        (json!({ "DestinationAvailabilityZoneId": "euw1-az1" }), Destination::ZoneId("euw1-az1".parse().unwrap())),
        (json!({ "DestinationOutpostArn": outpost }), Destination::Outpost(outpost.parse().unwrap())),
    ] {
        assert_eq!(with(fields).unwrap().destination, Some(expected));
    }
}

proptest! {
    #[test]
    fn a_request_written_as_a_document_is_read_as_it_was(request in any::request()) {
        let document = request.document();
        prop_assert_eq!(document.as_object().map(read), Some(Ok(request)));
    }
}

/// Reads the smallest request with each of these fields: all are refused, with this code and these parts in the message.
fn refused(cases: &[(Value, &str, &[&str])]) {
    for (fields, code, parts) in cases {
        let shown: String = fields.to_string().chars().take(120).collect();
        let Err(rejection) = with(fields.clone()) else { panic!("{shown} is taken") };
        assert_eq!(&rejection.code, code, "{shown}: {rejection}");
        for part in *parts {
            assert!(rejection.message.contains(part), "{shown}: {rejection} has no {part}");
        }
        assert!(rejection.message.len() < 500 && !rejection.advice().unwrap().is_empty(), "{shown}: {rejection}");
    }
}

#[test]
fn every_wrong_parameter_is_reported_with_its_field_its_value_and_its_rule() {
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
        (json!({ "ClientToken": "" }), "InvalidParameterValue", &["`ClientToken` is empty", "1 to 128"]),
        (json!({ "ClientToken": "ü" }), "InvalidParameterValue", &["`ClientToken` is `ü`", "ASCII"]),
        (json!({ "ClientToken": "t".repeat(129) }), "InvalidParameterValue", &["`ClientToken` is `ttt", "1 to 128"]),
        (
            json!({ "CopyImageTags": "true" }),
            "InvalidParameterValue",
            &["`CopyImageTags` is the JSON string `\"true\"`; it must be `true` or `false`, without quotes"],
        ),
        (json!({ "DryRun": 1 }), "InvalidParameterValue", &["`DryRun` is `1`", "`true` or `false`"]),
        (
            json!({ "Encrypted": "yes" }),
            "InvalidParameterValue",
            &["`Encrypted` is the JSON string `\"yes\"`; it must be `true` or `false`, without quotes"],
        ),
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
fn every_wrong_duration_or_destination_is_reported_with_its_field_its_value_and_its_rule() {
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
        (
            json!({ "SnapshotCopyCompletionDurationMinutes": "15" }),
            "InvalidParameterValue",
            &["is the JSON string `\"15\"`", "steps of 15), without quotes"],
        ),
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
            &["`DestinationAvailabilityZoneId` is `eu-west-1a`", "usw2-lax1-az1"],
        ),
        (
            json!({ "DestinationOutpostArn": "op-1" }),
            "InvalidParameterValue",
            &["`DestinationOutpostArn` is `op-1`", "ARN"],
        ),
    ]);
}

#[test]
fn every_wrong_tag_is_reported_with_its_field_its_value_and_its_rule() {
    let tags = |tags: Value| json!({ "TagSpecifications": [{ "ResourceType": "image", "Tags": tags }] });
    let too_many: Vec<Value> = (0..51).map(|n| json!({ "Key": n.to_string(), "Value": "" })).collect();
    refused(&[
        (
            json!({ "TagSpecifications": { "ResourceType": "image" } }),
            "InvalidParameterValue",
            &["`TagSpecifications` is an object with `ResourceType`", "a list"],
        ),
        (json!({ "TagSpecifications": ["image"] }), "InvalidParameterValue", &["`TagSpecifications[0]` is `image`"]),
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
        (tags(json!({ "a": "1" })), "InvalidParameterValue", &["`TagSpecifications[0].Tags` is an object with `a`"]),
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
        (
            tags(json!([{ "Key": "ami-courier:skip" }])),
            "InvalidParameterValue",
            &["Tags[0]` is `ami-courier:skip`", "does not begin with `ami-courier:`"],
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
fn a_shared_tag_is_for_the_image_only_and_the_couriers_own_are_for_nobody() {
    let tagged = |kind: &str, key: &str| {
        with(json!({ "TagSpecifications": [{ "ResourceType": kind, "Tags": [{ "Key": key, "Value": "x" }] }] }))
    };
    assert!(tagged("image", "ec2:SharedTag/team").is_ok());
    let refused = tagged("snapshot", "ec2:SharedTag/team").unwrap_err();
    assert!(refused.message.contains("`ec2:SharedTag/team` on a snapshot"), "{}", refused.message);
    assert!(refused.message.contains("on the image only"), "{}", refused.message);
    for key in ["ami-courier:finished", "ec2:SharedTag/ami-courier:origin"] {
        assert!(tagged("image", key).unwrap_err().message.contains("does not begin with `ami-courier:`"));
    }
}

#[test]
fn an_unknown_field_is_reported_with_the_nearest_known_one() {
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
        let message = format!("a CopyImage request has no field `{field}`: did you mean `{near}`?");
        assert_eq!(rejection.message, message);
    }
    for strange in ["", "Owner", "DestinationRegion", &"Name".repeat(10_000)] {
        let rejection = with(json!({ strange: "x" })).unwrap_err();
        assert_eq!(rejection.code, "UnknownParameter");
        assert!(rejection.message.contains(&FIELDS.join(", ")) && rejection.message.len() < 800, "{rejection}");
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
