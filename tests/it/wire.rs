//! What `CopyImage` says on the wire: every parameter, for a request and for an announced AMI, and not one more.

use std::collections::BTreeSet;

use local::aws::{ACCOUNT, Image};
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, request, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const KEY: &str = "0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e";
const TAGS: [(&str, &str); 3] =
    [("ami-courier:source-image", AMI), ("ami-courier:source-region", THERE), ("ami-courier:source-owner", ACCOUNT)];

type Tags<'a> = &'a [(&'a str, &'a str)];

/// The whole parameter map of the call for [`AMI`]: what every such call says, then `more` (`null` takes away), then the
/// tags behind the courier's own.
fn call(more: Value, image_tags: Tags, snapshot_tags: Tags) -> Value {
    let mut call = json!({
        "SourceImageId": AMI, "SourceRegion": THERE, "Name": "golden-1",
        "Description": format!("Copied from {AMI} in {THERE}"),
    });
    let fields = call.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    for (n, (kind, tags)) in [("image", image_tags), ("snapshot", snapshot_tags)].into_iter().enumerate() {
        let specification = format!("TagSpecification.{}", n + 1);
        fields.insert(format!("{specification}.ResourceType"), json!(kind));
        for (n, (key, value)) in TAGS.iter().chain(tags).enumerate() {
            fields.insert(format!("{specification}.Tag.{}.Key", n + 1), json!(key));
            fields.insert(format!("{specification}.Tag.{}.Value", n + 1), json!(value));
        }
    }
    call
}

/// The one call that a message led to, without its token; and the token, which is the outcome's.
async fn sent(stage: &Stage, message: &Value) -> (Value, String) {
    let answer = stage.function().await.invoke(message).await.unwrap();
    let outcome = answer.get(0).unwrap_or(&answer);
    assert!(["Started", "DryRun"].contains(&outcome["Outcome"].as_str().unwrap()), "{answer}");
    let [mut call] = stage.copy_image_calls().try_into().unwrap();
    let token = call.as_object_mut().unwrap().remove("ClientToken").unwrap();
    assert_eq!(token, outcome["ClientToken"]);
    (call, token.as_str().unwrap().to_owned())
}

fn plain_source() -> Image {
    Image::new(AMI, "golden-1")
}

async fn stage_with(source: Image) -> Stage {
    Stage::new().await.with(|world| {
        world.add_image(THERE, source);
    })
}

fn with(more: Value) -> Value {
    let mut request = request(AMI, "golden-1");
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn is_uuid_v5(token: &str) -> bool {
    uuid::Uuid::parse_str(token).is_ok_and(|uuid| uuid.get_version_num() == 5)
}

#[tokio::test]
async fn each_parameter_of_a_request_is_sent_as_it_is_and_makes_another_token() {
    let alias = format!("arn:aws:kms:{HERE}:{ACCOUNT}:alias/golden");
    let key = format!("arn:aws:kms:{HERE}:{ACCOUNT}:key/{KEY}");
    let outpost = format!("arn:aws:outposts:{HERE}:{ACCOUNT}:outpost/op-0e32example1");
    let tags = |kind: &str| json!({ "TagSpecifications": [{ "ResourceType": kind, "Tags": [{ "Key": "b", "Value": "2" }, { "Key": "a" }] }] });
    let two: Tags = &[("b", "2"), ("a", "")];
    let same = |fields: Value| (fields.clone(), fields, &[][..], &[][..]);
    let encrypted = |key: &str| {
        (
            json!({ "Encrypted": true, "KmsKeyId": key }),
            json!({ "Encrypted": "true", "KmsKeyId": key }),
            &[][..],
            &[][..],
        )
    };
    let mut tokens = BTreeSet::new();
    let cases: Vec<(Value, Value, Tags, Tags)> = vec![
        same(json!({})),
        same(json!({ "Name": "(Golden) [1] a./-'b@_" })),
        same(json!({ "Description": "Ünïcode & <tags> = 100% + more" })),
        (json!({ "Encrypted": true }), json!({ "Encrypted": "true" }), &[], &[]),
        (json!({ "Encrypted": false }), json!({ "Encrypted": "false" }), &[], &[]),
        encrypted(KEY),
        encrypted(&key),
        encrypted("alias/golden"),
        encrypted(&alias),
        (json!({ "CopyImageTags": true }), json!({ "CopyImageTags": "true" }), &[], &[]),
        (json!({ "CopyImageTags": false }), json!({ "CopyImageTags": "false" }), &[], &[]),
        same(json!({ "DestinationAvailabilityZone": "eu-west-1a" })),
        same(json!({ "DestinationAvailabilityZoneId": "euw1-az1" })),
        same(json!({ "DestinationOutpostArn": outpost })),
        (
            json!({ "SnapshotCopyCompletionDurationMinutes": 2880 }),
            json!({ "SnapshotCopyCompletionDurationMinutes": "2880" }),
            &[],
            &[],
        ),
        (tags("image"), json!({}), two, &[]),
        (tags("snapshot"), json!({}), &[], two),
    ];
    let count = cases.len();
    for (said, expected, image_tags, snapshot_tags) in cases {
        let (sent, token) = sent(&stage_with(plain_source()).await, &with(said)).await;
        assert_eq!(sent, call(expected, image_tags, snapshot_tags));
        assert!(is_uuid_v5(&token), "{token}");
        tokens.insert(token);
    }
    assert_eq!(tokens.len(), count, "each is a call of its own");
}

#[tokio::test]
async fn a_requests_own_token_is_sent_and_a_dry_run_has_the_token_of_the_real_call() {
    let (plain, token) = sent(&stage_with(plain_source()).await, &with(json!({}))).await;
    let (own, own_token) = sent(&stage_with(plain_source()).await, &with(json!({ "ClientToken": "mine ~!" }))).await;
    assert_eq!((own, own_token.as_str()), (plain.clone(), "mine ~!"));
    let (dry, dry_token) = sent(&stage_with(plain_source()).await, &with(json!({ "DryRun": true }))).await;
    assert_eq!((dry, dry_token), (call(json!({ "DryRun": "true" }), &[], &[]), token.clone()));
    let (wet, wet_token) = sent(&stage_with(plain_source()).await, &with(json!({ "DryRun": false }))).await;
    assert_eq!((wet, wet_token), (plain, token));
}

#[tokio::test]
async fn all_parameters_of_a_request_are_sent_together() {
    let key = format!("arn:aws:kms:{HERE}:{ACCOUNT}:key/{KEY}");
    let message = with(json!({
        "ClientToken": "release-1", "CopyImageTags": true, "Description": "all of them", "DryRun": true, "Encrypted": true,
        "KmsKeyId": key, "Name": "golden-all", "SnapshotCopyCompletionDurationMinutes": 15,
        "TagSpecifications": [
            { "ResourceType": "snapshot", "Tags": [{ "Key": "of", "Value": "snapshot" }] },
            { "ResourceType": "image", "Tags": [{ "Key": "of", "Value": "image" }] },
            { "ResourceType": "image", "Tags": [{ "Key": "also", "Value": "=,&" }] },
        ],
    }));
    let source = plain_source().description("its own").tag("team", "platform");
    let (sent, token) = sent(&stage_with(source).await, &message).await;
    let expected = json!({
        "CopyImageTags": "true", "Description": "all of them", "DryRun": "true", "Encrypted": "true", "KmsKeyId": key,
        "Name": "golden-all", "SnapshotCopyCompletionDurationMinutes": "15",
    });
    assert_eq!(sent, call(expected, &[("of", "image"), ("also", "=,&")], &[("of", "snapshot")]));
    assert_eq!(token, "release-1");
}

#[tokio::test]
async fn what_a_request_says_wins_over_every_setting() {
    let stage = stage_with(plain_source().tag("team", "platform").tag("cost", "1")).await;
    let stage = stage
        .set("COPY_NAME", "{name}-by-setting")
        .set("COPY_DESCRIPTION", "by setting")
        .set("KMS_KEY_ID", "alias/by-setting")
        .set("COPY_TAGS", "true")
        .set("EXTRA_TAGS", "by=setting,only=setting")
        .set("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "15")
        .set("DRY_RUN", "true")
        .set("NAME_PATTERNS", "none-such")
        .set("REQUIRED_TAGS", "none=such");
    let message = with(json!({
        "Name": "golden-asked", "Description": "asked", "Encrypted": false, "CopyImageTags": false, "DryRun": false,
        "SnapshotCopyCompletionDurationMinutes": 30,
        "TagSpecifications": [{ "ResourceType": "image", "Tags": [{ "Key": "by", "Value": "request" }] }],
    }));
    let (sent, _) = sent(&stage, &message).await;
    let expected = json!({
        "Name": "golden-asked", "Description": "asked", "Encrypted": "false", "CopyImageTags": "false",
        "SnapshotCopyCompletionDurationMinutes": "30",
    });
    let image: Tags = &[("by", "request"), ("only", "setting")];
    assert_eq!(sent, call(expected, image, &[("by", "setting"), ("only", "setting")]));
}

#[tokio::test]
async fn what_a_request_leaves_out_the_settings_decide_and_a_narrow_destination_excludes_a_completion_time() {
    let settings = |stage: Stage| {
        stage
            .set("COPY_DESCRIPTION", "{image_id} by setting")
            .set("ENCRYPTED", "true")
            .set("EXTRA_TAGS", "by=setting")
            .set("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "45")
    };
    let decided = json!({
        "Description": format!("{AMI} by setting"), "Encrypted": "true", "SnapshotCopyCompletionDurationMinutes": "45",
    });
    let tags: Tags = &[("by", "setting"), ("team", "platform")];
    let source = || plain_source().tag("team", "platform");
    let (plain, _) = sent(&settings(stage_with(source()).await), &with(json!({}))).await;
    assert_eq!(plain, call(decided.clone(), tags, tags));
    let zone = json!({ "DestinationAvailabilityZone": "eu-west-1a" });
    let (narrow, _) = sent(&settings(stage_with(source()).await), &with(zone.clone())).await;
    let mut expected = decided;
    expected["SnapshotCopyCompletionDurationMinutes"] = Value::Null;
    expected["DestinationAvailabilityZone"] = zone["DestinationAvailabilityZone"].clone();
    assert_eq!(narrow, call(expected, tags, tags));
}

#[tokio::test]
async fn an_announced_ami_is_copied_as_the_settings_say() {
    let key = format!("arn:aws:kms:{HERE}:{ACCOUNT}:key/{KEY}");
    let alias = format!("arn:aws:kms:{HERE}:{ACCOUNT}:alias/golden");
    let own: Tags = &[("Name", "golden"), ("team", "platform")];
    let name = format!("{AMI}-{THERE}-{ACCOUNT}-20260101-000000-platform-golden-1");
    let encrypted = |key: &str| json!({ "Encrypted": "true", "KmsKeyId": key });
    let cases: Vec<(Vec<(&str, &str)>, Value, Tags)> = vec![
        (vec![], json!({}), own),
        (vec![("COPY_NAME", "eu/{name} (copy)")], json!({ "Name": "eu/golden-1 (copy)" }), own),
        (
            vec![("COPY_NAME", "{image_id}-{region}-{account}-{created}-{tag:team}-{name}")],
            json!({ "Name": name }),
            own,
        ),
        (
            vec![("COPY_DESCRIPTION", "{name} of {tag:team}, built {created} in {region}")],
            json!({ "Description": "golden-1 of platform, built 20260101-000000 in us-east-1" }),
            own,
        ),
        (vec![("ENCRYPTED", "true")], json!({ "Encrypted": "true" }), own),
        (vec![("ENCRYPTED", "false")], json!({}), own),
        (vec![("KMS_KEY_ID", KEY)], encrypted(KEY), own),
        (vec![("KMS_KEY_ID", &key)], encrypted(&key), own),
        (vec![("KMS_KEY_ID", "alias/golden")], encrypted("alias/golden"), own),
        (vec![("KMS_KEY_ID", &alias)], encrypted(&alias), own),
        (vec![("KMS_KEY_ID", "alias/golden"), ("ENCRYPTED", "true")], encrypted("alias/golden"), own),
        (vec![("COPY_TAGS", "false")], json!({}), &[]),
        (vec![("COPY_TAGS", "true")], json!({}), own),
        (
            vec![("EXTRA_TAGS", "team=sre, url=https://x/?a=b,empty=")],
            json!({}),
            &[("team", "sre"), ("url", "https://x/?a=b"), ("empty", ""), ("Name", "golden")],
        ),
        (vec![("COPY_TAGS", "false"), ("EXTRA_TAGS", "a=1")], json!({}), &[("a", "1")]),
        (
            vec![("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "60")],
            json!({ "SnapshotCopyCompletionDurationMinutes": "60" }),
            own,
        ),
        (vec![("DRY_RUN", "true")], json!({ "DryRun": "true" }), own),
        (vec![("DRY_RUN", "false")], json!({}), own),
    ];
    for (settings, expected, tags) in cases {
        let source = plain_source()
            .tag("team", "platform")
            .tag("Name", "golden")
            .tag("aws:cloudformation:stack-name", "builder")
            .tag("ami-courier:note", "the courier's own are not carried over");
        let stage = settings.iter().fold(stage_with(source).await, |stage, (name, value)| stage.set(name, value));
        let (sent, token) = sent(&stage, &state_change(THERE, AMI, "available")).await;
        assert_eq!(sent, call(expected, tags, tags), "{settings:?}");
        assert!(is_uuid_v5(&token), "{token}");
    }
}

#[tokio::test]
async fn a_copy_keeps_the_sources_description_and_a_long_one_is_cut() {
    let announced = state_change(THERE, AMI, "available");
    let (kept, _) = sent(&stage_with(plain_source().description("Ours, of May")).await, &announced).await;
    assert_eq!(kept, call(json!({ "Description": "Ours, of May" }), &[], &[]));
    let stage = stage_with(plain_source().tag("about", &"ü".repeat(200))).await;
    let stage = stage.set("COPY_DESCRIPTION", "{tag:about}{tag:about}").set("COPY_TAGS", "false");
    let (cut, _) = sent(&stage, &announced).await;
    assert_eq!(cut, call(json!({ "Description": "ü".repeat(255) }), &[], &[]));
}

#[tokio::test]
async fn of_many_tags_forty_nine_are_sent_for_one_place_is_kept_and_what_had_no_room_is_named_in_the_log() {
    let numbered: Vec<(String, String)> = (0..50).map(|n| (format!("tag-{n:02}"), n.to_string())).collect();
    let source = numbered.iter().fold(plain_source(), |image, (key, value)| image.tag(key, value));
    let stage = stage_with(source).await.set("EXTRA_TAGS", "a=1,b=2");
    let function = stage.function().await;
    function.invoke(&state_change(THERE, AMI, "available")).await.unwrap();
    let [mut sent] = stage.copy_image_calls().try_into().unwrap();
    sent.as_object_mut().unwrap().remove("ClientToken");
    let mut tags = vec![("a", "1"), ("b", "2")];
    tags.extend(numbered.iter().take(44).map(|(key, value)| (key.as_str(), value.as_str())));
    assert_eq!(sent, call(json!({}), &tags, &tags));
    let line = function.logs().into_iter().find(|line| line.contains("no room")).expect("a line of what is left out");
    assert!(line.contains("tag-44, tag-45, tag-46, tag-47, tag-48, tag-49") && !line.contains("tag-43"), "{line}");
}
