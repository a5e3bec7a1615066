//! Explicit requests: a wrong one is rejected with the field, the value and the rule, and nothing is sent.

use local::aws::Image;
use local::host::InvokeError;
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, ami, batch, failures, request, words};

const AMI: &str = "ami-0abcdef1234567890";
const OTHERS: &str = "111122223333";

fn with(more: Value) -> Value {
    let mut request = request(AMI, "golden-1");
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn tags(tags: Value) -> Value {
    with(json!({ "TagSpecifications": [{ "ResourceType": "image", "Tags": tags }] }))
}

fn rejection(answer: Result<Value, InvokeError>) -> String {
    match answer {
        Err(InvokeError::Function { error_type, message }) if error_type == "Rejected" => message,
        other => panic!("not rejected: {other:?}"),
    }
}

/// Each with the code, and the parts of the message that name the field, its value and the rule.
fn wrong_requests() -> Vec<(Value, &'static str, &'static [&'static str])> {
    const VALUE: &str = "InvalidParameterValue";
    const COMBINATION: &str = "InvalidParameterCombination";
    let many: Vec<Value> = (0..51).map(|n| json!({ "Key": format!("k{n}") })).collect();
    let mut cases = vec![
        // Name
        (with(json!({ "Name": null })), "MissingParameter", &["`Name`", "requires"][..]),
        (with(json!({ "Name": "ab" })), "InvalidAMIName.Malformed", &["`Name` is `ab`", "3 to 128"]),
        (with(json!({ "Name": "n".repeat(129) })), "InvalidAMIName.Malformed", &["`Name` is `nnn", "3 to 128"]),
        (
            with(json!({ "Name": "golden:1" })),
            "InvalidAMIName.Malformed",
            &["`Name` is `golden:1`", "letters, digits and"],
        ),
        (with(json!({ "Name": "gölden" })), "InvalidAMIName.Malformed", &["`Name` is `gölden`", "letters, digits and"]),
        (with(json!({ "Name": 5 })), VALUE, &["`Name` is `5`", "a string"]),
        // Source
        (with(json!({ "SourceImageId": null })), "MissingParameter", &["`SourceImageId`", "requires"]),
        (
            with(json!({ "SourceImageId": "ami-xyz" })),
            "InvalidAMIID.Malformed",
            &["`SourceImageId` is `ami-xyz`", "8 or 17"],
        ),
        (with(json!({ "SourceImageId": ["ami-5731123e"] })), VALUE, &["`SourceImageId` is a list", "a string"]),
        (with(json!({ "SourceRegion": null })), "MissingParameter", &["`SourceRegion`", "requires"]),
        (with(json!({ "SourceRegion": "Virginia" })), VALUE, &["`SourceRegion` is `Virginia`", "such as `us-east-1`"]),
        (
            with(json!({ "SourceRegion": "us-east-1a" })),
            VALUE,
            &["`SourceRegion` is `us-east-1a`", "such as `us-east-1`"],
        ),
        (
            with(json!({ "SourceRegion": "cn-north-1" })),
            "OtherPartition",
            &["`cn-north-1`", "`aws-cn`", "CopyImage cannot copy from one partition to another"],
        ),
        // Description, token, booleans
        (with(json!({ "Description": "d".repeat(256) })), VALUE, &["`Description` is `ddd", "at most 255"]),
        (with(json!({ "ClientToken": "t".repeat(129) })), VALUE, &["`ClientToken` is `ttt", "1 to 128 ASCII"]),
        (with(json!({ "ClientToken": "tökén" })), VALUE, &["`ClientToken` is `tökén`", "1 to 128 ASCII"]),
        (
            with(json!({ "CopyImageTags": "yes" })),
            VALUE,
            &["`CopyImageTags` is the JSON string `\"yes\"`", "without quotes"],
        ),
        (with(json!({ "DryRun": "true" })), VALUE, &["`DryRun` is the JSON string `\"true\"`", "without quotes"]),
        (with(json!({ "Encrypted": 1 })), VALUE, &["`Encrypted` is `1`", "`true` or `false`"]),
        // Keys
        (
            with(json!({ "Encrypted": true, "KmsKeyId": "golden" })),
            VALUE,
            &["`KmsKeyId` is `golden`", "a key id, a key ARN"],
        ),
        (with(json!({ "Encrypted": true, "KmsKeyId": "alias/" })), VALUE, &["`KmsKeyId` is `alias/`", "`alias/NAME`"]),
        (
            with(json!({ "Encrypted": true, "KmsKeyId": "arn:aws:kms:eu-west-1:123456789012:golden" })),
            VALUE,
            &["`KmsKeyId` is `arn:aws:kms:eu-west-1:123456789012:golden`", "a key ARN"],
        ),
        (
            with(json!({ "KmsKeyId": "alias/golden" })),
            COMBINATION,
            &["`KmsKeyId` is `alias/golden`", "`Encrypted` is absent"],
        ),
        (
            with(json!({ "KmsKeyId": "alias/golden", "Encrypted": false })),
            COMBINATION,
            &["`KmsKeyId` is `alias/golden`", "`Encrypted` is `false`", "to be `true`"],
        ),
        // Destinations
        (
            with(json!({ "DestinationAvailabilityZone": "zone" })),
            VALUE,
            &["`DestinationAvailabilityZone` is `zone`", "us-west-2-lax-1a"],
        ),
        (
            with(json!({ "DestinationAvailabilityZoneId": "euw1" })),
            VALUE,
            &["`DestinationAvailabilityZoneId` is `euw1`", "usw2-lax1-az1"],
        ),
        (
            with(json!({ "DestinationOutpostArn": "op-1" })),
            VALUE,
            &["`DestinationOutpostArn` is `op-1`", "outpost/op-"],
        ),
        (
            with(json!({ "DestinationAvailabilityZone": "eu-west-1a", "DestinationAvailabilityZoneId": "euw1-az1" })),
            COMBINATION,
            &["`DestinationAvailabilityZone`, `DestinationAvailabilityZoneId`", "one at most"],
        ),
        (
            with(json!({ "DestinationAvailabilityZone": "eu-west-1a", "SnapshotCopyCompletionDurationMinutes": 30 })),
            COMBINATION,
            &["`SnapshotCopyCompletionDurationMinutes` is `30`", "the request names a zone or an Outpost"],
        ),
        (
            with(json!({ "SnapshotCopyCompletionDurationMinutes": "15" })),
            VALUE,
            &["`SnapshotCopyCompletionDurationMinutes` is the JSON string `\"15\"`", "steps of 15), without quotes"],
        ),
        // Tags
        (with(json!({ "TagSpecifications": {} })), VALUE, &["`TagSpecifications` is an empty object", "a list"]),
        (
            with(json!({ "TagSpecifications": [{ "ResourceType": "instance", "Tags": [] }] })),
            VALUE,
            &["`TagSpecifications[0].ResourceType` is `instance`", "`image` or `snapshot`"],
        ),
        (tags(json!({ "a": "1" })), VALUE, &["`TagSpecifications[0].Tags` is an object with `a`", "a list"]),
        (tags(json!([{ "Key": "aws:a" }])), VALUE, &["`TagSpecifications[0].Tags[0]` is `aws:a=`", "`aws:`"]),
        (tags(json!([{ "Key": "k".repeat(129) }])), VALUE, &["`TagSpecifications[0].Tags[0]` is `kkk", "1 to 128"]),
        (
            tags(json!([{ "Key": "a", "Value": "v".repeat(257) }])),
            VALUE,
            &["`TagSpecifications[0].Tags[0]` is `a=vvv", "at most 256"],
        ),
        (tags(json!([{ "Key": "a" }, { "Key": "a" }])), VALUE, &["`TagSpecifications[0].Tags[1]`", "second tag `a`"]),
        (tags(many.into()), "TagLimitExceeded", &["`TagSpecifications[0].Tags[50]`", "50"]),
        (
            tags(json!([{ "Key": "ami-courier:finished", "Value": "2026-01-01T00:00:00Z" }])),
            VALUE,
            &["`TagSpecifications[0].Tags[0]` is `ami-courier:finished`", "does not begin with `ami-courier:`"],
        ),
        (
            with(json!({ "TagSpecifications": [
                { "ResourceType": "snapshot", "Tags": [{ "Key": "a" }, { "Key": "ami-courier:source-image", "Value": AMI }] },
            ] })),
            VALUE,
            &["`TagSpecifications[0].Tags[1]` is `ami-courier:source-image`", "does not begin with `ami-courier:`"],
        ),
        // A Region that does not exist
        (
            with(json!({ "SourceRegion": "us-esat-1" })),
            "NoSuchRegion",
            &["AWS has no Region `us-esat-1`", "did you mean `us-east-1`?"],
        ),
        // Unknown
        (
            with(json!({ "SourceImageID": "x" })),
            "UnknownParameter",
            &["`SourceImageID`", "did you mean `SourceImageId`?"],
        ),
        (with(json!({ "Owner": "me" })), "UnknownParameter", &["`Owner`", "ClientToken, CopyImageTags, Description"]),
    ];
    for minutes in [json!(0), json!(14), json!(20), json!(2895), json!(-15), json!(15.5)] {
        cases.push((
            with(json!({ "SnapshotCopyCompletionDurationMinutes": minutes })),
            VALUE,
            &["`SnapshotCopyCompletionDurationMinutes` is `", "15 to 2880, in steps of 15"],
        ));
    }
    cases
}

#[tokio::test]
async fn every_wrong_parameter_is_rejected_with_its_field_its_value_and_its_rule_and_nothing_is_sent() {
    let stage = Stage::new().await.set("EVENT_BUS_NAME", "").source(AMI, "golden-1");
    let function = stage.function().await;
    for (request, code, parts) in wrong_requests() {
        let shown: String = request.to_string().chars().take(200).collect();
        let message = rejection(function.invoke(&request).await);
        assert!(message.starts_with(&format!("{code}: ")), "{shown}: {message}");
        for part in parts {
            assert!(message.contains(part), "{shown}: `{part}` is not in: {message}");
        }
        let (_, advice) = message.rsplit_once(" What to do: ").expect("advice behind the message");
        assert!(advice.len() > 10 && message.len() < 900, "{message}");
    }
    assert_eq!(stage.actions(), Vec::<String>::new(), "nothing was asked of AWS");
}

#[tokio::test]
async fn every_wrong_request_in_a_queue_is_a_dead_letter_with_the_same_message() {
    let stage = Stage::new().await.set("EVENT_BUS_NAME", "").source(AMI, "golden-1");
    let function = stage.function().await;
    for (request, code, parts) in wrong_requests() {
        let answer = function.invoke(&batch([("m1", request.to_string())])).await.unwrap();
        assert_eq!(failures(&answer), Vec::<String>::new());
        let (body, why) = stage.dead().pop().unwrap();
        assert_eq!(body, request.to_string());
        assert_eq!(why["Code"], code);
        assert!(parts.iter().all(|part| words(&why).contains(part)), "{why:?}");
    }
    assert_eq!(stage.dead().len(), wrong_requests().len());
    assert_eq!(stage.copies().len(), 0);
}

/// A request that is rejected with a message of these parts, and nothing sent to `CopyImage`.
async fn is_rejected(stage: Stage, request: &Value, parts: &[&str]) {
    let message = rejection(stage.function().await.invoke(request).await);
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert_eq!(stage.copy_image_calls().len(), 0);
}

async fn others(image: Image) -> Stage {
    Stage::new().await.with(|world| {
        world.add_image(THERE, image.owner(OTHERS).shared_with("123456789012"));
    })
}

#[tokio::test]
async fn source_regions_are_a_border_for_requests_too() {
    let stage = || async { Stage::new().await.source(AMI, "golden-1") };
    let request = request(AMI, "golden-1");
    let outside = stage().await.set("SOURCE_REGIONS", "us-west-2,ap-northeast-1");
    is_rejected(
        outside,
        &request,
        &["SourceNotAllowed: ", AMI, "us-east-1 is not one of SOURCE_REGIONS (us-west-2, ap-northeast-1)"],
    )
    .await;
    let own = with(json!({ "SourceRegion": HERE }));
    is_rejected(stage().await, &own, &["SourceNotAllowed: ", "eu-west-1 is this stack's own Region"]).await;
    let inside = stage().await.set("SOURCE_REGIONS", "us-west-2,us-east-1,eu-west-1");
    assert_eq!(inside.function().await.invoke(&request).await.unwrap()["Outcome"], "Started");
}

#[tokio::test]
async fn source_owners_are_a_border_for_requests_too_and_ec2_says_who_the_owner_is() {
    let request = request(AMI, "golden-1");
    let parts = ["SourceNotAllowed: ", AMI, "its owner 111122223333 is not one of SOURCE_OWNERS (self)"];
    is_rejected(others(Image::new(AMI, "golden-1")).await, &request, &parts).await;
    let parts = ["its owner 111122223333 is not one of SOURCE_OWNERS (444455556666)"];
    is_rejected(others(Image::new(AMI, "golden-1")).await.set("SOURCE_OWNERS", "444455556666"), &request, &parts).await;
    let trusted = others(Image::new(AMI, "golden-1")).await.set("SOURCE_OWNERS", "self,111122223333");
    assert_eq!(trusted.function().await.invoke(&request).await.unwrap()["Outcome"], "Started");
    let only_others = Stage::new().await.source(AMI, "golden-1").set("SOURCE_OWNERS", OTHERS);
    is_rejected(only_others, &request, &["its owner 123456789012 is not one of SOURCE_OWNERS (111122223333)"]).await;
}

#[tokio::test]
async fn a_key_of_another_region_is_rejected_before_anything_is_copied() {
    let key = "arn:aws:kms:us-east-1:123456789012:alias/golden";
    let stage = Stage::new().await.source(AMI, "golden-1");
    let request = with(json!({ "Encrypted": true, "KmsKeyId": key }));
    is_rejected(
        stage,
        &request,
        &["InvalidParameterValue: ", "`KmsKeyId` is `arn:aws:kms:us-east-1:", "a key of eu-west-1"],
    )
    .await;
}

#[tokio::test]
async fn an_ami_with_the_tag_skip_is_not_copied_for_a_request_either() {
    let stage = Stage::new().await.with(|world| {
        world.add_image(THERE, Image::new(AMI, "golden-1").tag("ami-courier:skip", ""));
    });
    is_rejected(stage, &request(AMI, "golden-1"), &[AMI, "it has the tag `ami-courier:skip`"]).await;
}

#[tokio::test]
async fn a_request_can_name_an_ami_that_is_itself_a_copy() {
    let stage = Stage::new().await.with(|world| {
        world.add_image(THERE, Image::new(AMI, "golden-1").tag("ami-courier:source-image", &ami(1)));
    });
    let answer = stage.function().await.invoke(&request(AMI, "golden-1")).await.unwrap();
    assert_eq!(answer["Outcome"], "Started");
    let copy = &stage.copies()[0];
    assert_eq!(copy.tags["ami-courier:source-image"], AMI, "it is a copy of this one");
}

#[tokio::test]
async fn a_source_that_does_not_exist_is_rejected_with_its_id_and_region_and_what_to_check() {
    let message = rejection(Stage::new().await.function().await.invoke(&request(AMI, "golden-1")).await);
    assert!(
        message.starts_with("InvalidAMIID.NotFound: ") && message.contains(&format!("{AMI} in {THERE}")),
        "{message}"
    );
    assert!(message.contains("check the image id and its Region") && message.contains("shares the AMI"), "{message}");
}
