//! `CopyImage` on the wire: every parameter, for a request and for an announced AMI, and not one more. Tags are sorted.

use std::collections::BTreeSet;

use local::aws::{ACCOUNT, Image};
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, request, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const KEY: &str = "0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e";
const TAGS: [(&str, &str); 5] = [
    ("ami-courier:source-image", AMI),
    ("ami-courier:source-region", THERE),
    ("ami-courier:source-owner", ACCOUNT),
    ("ami-courier:source-created", "2026-01-01T00:00:00Z"),
    ("ami-courier:stack", "ami-courier"),
];

type Tags<'a> = &'a [(&'a str, &'a str)];

/// On each copy that is made for a request: its try. An announcement's first try has no such tag, nor has a dry run.
const FIRST_TRY: (&str, &str) = ("ami-courier:try", "request 0.0");
const FIRST_TRY_IN_ZONE: (&str, &str) = ("ami-courier:try", "request 0.0 zone");

/// The whole parameter map of the call for a request, with [`FIRST_TRY`].
fn call_of_request(more: Value, image_tags: Tags, snapshot_tags: Tags) -> Value {
    let is_in_zone = more.as_object().unwrap().keys().any(|key| key.starts_with("Destination"));
    let first = if is_in_zone { FIRST_TRY_IN_ZONE } else { FIRST_TRY };
    call(more, &[&[first][..], image_tags].concat(), &[&[first][..], snapshot_tags].concat())
}

/// The whole parameter map of the call for [`AMI`]: the parameters of every such call, then `more` (`null` removes one), and
/// these tags with the courier's own, sorted.
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
        let mut sorted = [&TAGS[..], tags].concat();
        sorted.sort_unstable();
        for (n, (key, value)) in sorted.into_iter().enumerate() {
            fields.insert(format!("{specification}.Tag.{}.Key", n + 1), json!(key));
            fields.insert(format!("{specification}.Tag.{}.Value", n + 1), json!(value));
        }
    }
    call
}

/// The one call that a message led to, without its token; and the token of the outcome, which is the call's. Without one, the
/// SDK sends a random one.
async fn sent(stage: &Stage, message: &Value) -> (Value, Option<String>) {
    let answer = stage.function().await.invoke(message).await.unwrap();
    let outcome = answer.get(0).unwrap_or(&answer);
    assert!(["Started", "DryRun"].contains(&outcome["Outcome"].as_str().unwrap()), "{answer}");
    let [mut call] = stage.copy_image_calls().try_into().unwrap();
    let sent = call.as_object_mut().unwrap().remove("ClientToken").map(|token| token.as_str().unwrap().to_owned());
    let token = outcome.get("ClientToken").map(|token| token.as_str().unwrap().to_owned());
    match &token {
        Some(_) => assert_eq!(sent, token),
        None => assert!(!is_uuid_v5(sent.as_ref()), "{sent:?}"),
    }
    (call, token)
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

fn is_uuid_v5(token: Option<&String>) -> bool {
    token.is_some_and(|token| uuid::Uuid::parse_str(token).is_ok_and(|uuid| uuid.get_version_num() == 5))
}

#[tokio::test]
async fn each_parameter_of_a_request_is_sent_as_it_is_and_makes_another_token() {
    let alias = format!("arn:aws:kms:{HERE}:{ACCOUNT}:alias/golden");
    let key = format!("arn:aws:kms:{HERE}:{ACCOUNT}:key/{KEY}");
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
        assert_eq!(sent, call_of_request(expected, image_tags, snapshot_tags));
        assert!(is_uuid_v5(token.as_ref()), "{token:?}");
        tokens.insert(token);
    }
    assert_eq!(tokens.len(), count, "each is a call of its own");
}

#[tokio::test]
async fn a_requests_own_token_is_sent_and_a_dry_run_has_no_other_token() {
    let (plain, token) = sent(&stage_with(plain_source()).await, &with(json!({}))).await;
    let (own, own_token) = sent(&stage_with(plain_source()).await, &with(json!({ "ClientToken": "mine ~!" }))).await;
    assert_eq!((own, own_token.as_deref()), (plain.clone(), Some("mine ~!")));
    let dry_call = call(json!({ "DryRun": "true" }), &[], &[]);
    let (dry, dry_token) = sent(&stage_with(plain_source()).await, &with(json!({ "DryRun": true }))).await;
    assert_eq!((dry, dry_token), (dry_call.clone(), None), "the courier's token is kept for the copy");
    let own = with(json!({ "DryRun": true, "ClientToken": "mine ~!" }));
    let (dry, dry_token) = sent(&stage_with(plain_source()).await, &own).await;
    assert_eq!((dry, dry_token.as_deref()), (dry_call, Some("mine ~!")));
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
    assert_eq!(token.as_deref(), Some("release-1"));
}

#[tokio::test]
async fn tags_are_sent_in_one_order_in_whatever_order_a_request_or_a_setting_has_them() {
    let mut calls = BTreeSet::new();
    for (settings, tags) in [("x=1,c=2", ["b", "a", "d"]), ("c=2,x=1", ["d", "b", "a"])] {
        let tags = tags.map(|key| json!({ "Key": key }));
        let message = with(json!({ "TagSpecifications": [
            { "ResourceType": "image", "Tags": tags }, { "ResourceType": "snapshot", "Tags": tags },
        ] }));
        let stage = stage_with(plain_source().tag("e", "").tag("Z", "")).await.set("EXTRA_TAGS", settings);
        let (sent, token) = sent(&stage, &message).await;
        let all: Tags = &[("a", ""), ("b", ""), ("c", "2"), ("d", ""), ("e", ""), ("x", "1"), ("Z", "")];
        assert_eq!(sent, call_of_request(json!({}), all, all));
        calls.insert((sent.to_string(), token));
    }
    assert_eq!(calls.len(), 1, "the same call with the same token");
}

#[tokio::test]
async fn copy_image_tags_brings_no_tag_of_the_couriers_from_a_source_that_is_itself_a_copy() {
    let source = plain_source()
        .tag("team", "platform")
        .tag("ami-courier:source-image", "ami-0123456789abcdef0")
        .tag("ami-courier:source-region", "us-west-2")
        .tag("ami-courier:finished", "2026-01-01T00:00:00Z");
    let stage = stage_with(source).await;
    let (sent, _) = sent(&stage, &with(json!({ "CopyImageTags": true }))).await;
    assert_eq!(
        sent,
        call_of_request(json!({}), &[("team", "platform")], &[]),
        "the courier copies the other tags itself"
    );
    let copy = &stage.copies()[0];
    assert_eq!((copy.tags["team"].as_str(), copy.tags["ami-courier:source-image"].as_str()), ("platform", AMI));
    assert!(!copy.tags.contains_key("ami-courier:finished"), "{:?}", copy.tags);
}

#[tokio::test]
async fn a_request_wins_over_every_setting() {
    let stage = stage_with(plain_source().tag("team", "platform").tag("cost", "1")).await;
    let stage = stage
        .set("COPY_NAME", "{name}-by-setting")
        .set("COPY_DESCRIPTION", "by setting")
        .set("KMS_KEY_ID", "alias/by-setting")
        .set("COPY_TAGS", "true")
        .set("EXTRA_TAGS", "by=setting,only=setting")
        .set("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "15")
        .set("DRY_RUN", "true");
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
    assert_eq!(sent, call_of_request(expected, image, &[("by", "setting"), ("only", "setting")]));
}

/// The same, of a source in the own Region.
fn here(document: &Value) -> Value {
    serde_json::from_str(&document.to_string().replace(THERE, HERE)).unwrap()
}

async fn stage_with_source_here(source: Image) -> Stage {
    Stage::new().await.with(|world| {
        world.add_image(HERE, source);
    })
}

#[tokio::test]
async fn a_zone_or_an_outpost_is_sent_as_it_is_with_a_source_in_the_own_region_and_makes_another_token() {
    let outpost = format!("arn:aws:outposts:{HERE}:{ACCOUNT}:outpost/op-0e32a5b7c9d1f2468");
    let mut tokens = BTreeSet::new();
    for destination in [
        json!({ "DestinationAvailabilityZone": "eu-west-1a" }),
        json!({ "DestinationAvailabilityZoneId": "euw1-az1" }),
        json!({ "DestinationOutpostArn": outpost }),
    ] {
        let stage = stage_with_source_here(plain_source()).await;
        let (sent, token) = sent(&stage, &here(&with(destination.clone()))).await;
        assert_eq!(sent, here(&call_of_request(destination, &[], &[])));
        assert!(is_uuid_v5(token.as_ref()), "{token:?}");
        tokens.insert(token);
    }
    assert_eq!(tokens.len(), 3, "each is a call of its own");
}

#[tokio::test]
async fn settings_complete_a_request_and_a_zone_as_destination_excludes_a_completion_time() {
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
    assert_eq!(plain, call_of_request(decided.clone(), tags, tags));
    let zone = json!({ "DestinationAvailabilityZone": "eu-west-1a" });
    let stage = settings(stage_with_source_here(source()).await);
    let (narrow, _) = sent(&stage, &here(&with(zone.clone()))).await;
    let mut expected = decided;
    expected["SnapshotCopyCompletionDurationMinutes"] = Value::Null;
    expected["DestinationAvailabilityZone"] = zone["DestinationAvailabilityZone"].clone();
    assert_eq!(narrow, here(&call_of_request(expected, tags, tags)));
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
            vec![("EXTRA_TAGS", "team=sre,url=https://x/?a=b,empty=")],
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
    let mut tokens = BTreeSet::new();
    for (settings, expected, tags) in cases {
        let source = plain_source()
            .tag("team", "platform")
            .tag("Name", "golden")
            .tag("aws:cloudformation:stack-name", "builder")
            .tag("ami-courier:note", "the courier's own are not carried over");
        let stage = settings.iter().fold(stage_with(source).await, |stage, (name, value)| stage.set(name, value));
        let (sent, token) = sent(&stage, &state_change(THERE, AMI, "available")).await;
        let is_dry_run = !expected["DryRun"].is_null();
        assert_eq!(sent, call(expected, tags, tags), "{settings:?}");
        assert_eq!(is_uuid_v5(token.as_ref()), !is_dry_run, "{settings:?}: {token:?}");
        tokens.extend(token);
    }
    assert_eq!(tokens.len(), 1, "no setting changes the token: {tokens:?}");
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
async fn of_many_tags_thirty_eight_are_sent_twelve_places_are_the_couriers_and_the_log_names_the_others() {
    let numbered: Vec<(String, String)> = (0..50).map(|n| (format!("tag-{n:02}"), n.to_string())).collect();
    let source = numbered.iter().fold(plain_source(), |image, (key, value)| image.tag(key, value));
    let stage = stage_with(source).await.set("EXTRA_TAGS", "a=1,b=2");
    let function = stage.function().await;
    function.invoke(&state_change(THERE, AMI, "available")).await.unwrap();
    let [mut sent] = stage.copy_image_calls().try_into().unwrap();
    sent.as_object_mut().unwrap().remove("ClientToken");
    let mut tags = vec![("a", "1"), ("b", "2")];
    tags.extend(numbered.iter().take(36).map(|(key, value)| (key.as_str(), value.as_str())));
    assert_eq!(sent, call(json!({}), &tags, &tags));
    assert!(sent.get("TagSpecification.1.Tag.43.Key").is_some() && sent.get("TagSpecification.1.Tag.44.Key").is_none());
    let line =
        function.logs().into_iter().find(|line| line.contains("no room")).expect("a line with the tags left out");
    assert!(
        line.contains("tag-36, tag-37, tag-38, tag-39, tag-40, tag-41, tag-42, tag-43, tag-44, tag-45, tag-46, tag-47, tag-48, tag-49")
            && !line.contains("tag-35"),
        "{line}"
    );
}
