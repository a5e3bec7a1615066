//! Only what this Region wants and this account trusts is copied, and what is not is told with the rule and what it saw.

use std::time::Duration;

use local::aws::{ACCOUNT, Caller, Image, ImageState, Snapshot, StateReason, default_key_arn};
use local::host::InvokeError;
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, ami, batch, failures, request, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const OTHERS: &str = "111122223333";
const BUILD: &str = "arn:aws:imagebuilder:us-east-1:123456789012:image/golden-linux/1.4.0/3";

fn announced() -> Value {
    state_change(THERE, AMI, "available")
}

async fn stage_with(source: Image) -> Stage {
    Stage::new().await.with(|world| {
        world.add_image(THERE, source);
    })
}

/// Announced by EC2, the AMI is ignored for this reason, and nothing changes.
async fn is_ignored(stage: Stage, message: &Value, reason: &str) {
    let answer = stage.function().await.invoke(message).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Ignored", "{answer}");
    assert_eq!(answer[0]["Reason"], reason);
    assert_eq!(stage.changes(), Vec::<String>::new());
}

async fn is_copied(stage: Stage, message: &Value) {
    let answer = stage.function().await.invoke(message).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    assert_eq!(stage.copies().len(), 1);
}

fn error(answer: Result<Value, InvokeError>) -> (String, String) {
    match answer {
        Err(InvokeError::Function { error_type, message }) => (error_type, message),
        other => panic!("no error: {other:?}"),
    }
}

#[tokio::test]
async fn source_regions_are_the_regions_copied_from() {
    let stage = || async { stage_with(Image::new(AMI, "golden-1")).await };
    let reason = "us-east-1 is none of SOURCE_REGIONS (us-west-2, ca-central-1)";
    is_ignored(stage().await.set("SOURCE_REGIONS", "us-west-2,ca-central-1"), &announced(), reason).await;
    is_copied(stage().await.set("SOURCE_REGIONS", "us-west-2,us-east-1"), &announced()).await;
}

#[tokio::test]
async fn one_of_several_name_patterns_must_match() {
    let reason = "name `scratch-1` matches none of `golden-*`, `base-????`";
    let patterns = "golden-*, base-????";
    is_ignored(stage_with(Image::new(AMI, "scratch-1")).await.set("NAME_PATTERNS", patterns), &announced(), reason)
        .await;
    let reason = "name `base-12345` matches none of `golden-*`, `base-????`";
    is_ignored(stage_with(Image::new(AMI, "base-12345")).await.set("NAME_PATTERNS", patterns), &announced(), reason)
        .await;
    for name in ["golden-", "golden-2026/x", "base-1234"] {
        is_copied(stage_with(Image::new(AMI, name)).await.set("NAME_PATTERNS", patterns), &announced()).await;
    }
}

#[tokio::test]
async fn all_required_tags_must_be_there() {
    let required = "approved=true,stage";
    let source = || Image::new(AMI, "golden-1");
    let stage = async |source: Image| stage_with(source).await.set("REQUIRED_TAGS", required);
    is_ignored(stage(source()).await, &announced(), "it has no tag `approved`, which REQUIRED_TAGS asks for").await;
    let reason = "tag `approved` is `no`, REQUIRED_TAGS asks for `true`";
    is_ignored(stage(source().tag("approved", "no").tag("stage", "x")).await, &announced(), reason).await;
    let reason = "it has no tag `stage`, which REQUIRED_TAGS asks for";
    is_ignored(stage(source().tag("approved", "true")).await, &announced(), reason).await;
    is_copied(stage(source().tag("approved", "true").tag("stage", "")).await, &announced()).await;
}

#[tokio::test]
async fn tagging_an_ami_so_that_required_tags_hold_sends_it_out() {
    let stage = stage_with(Image::new(AMI, "golden-1")).await.set("REQUIRED_TAGS", "approved=true");
    let function = stage.function().await;
    let tagged = || {
        let tags = stage.aws.world().image(THERE, AMI).unwrap().tags.clone();
        json!({ "version": "0", "source": "aws.tag", "detail-type": "Tag Change on Resource", "account": ACCOUNT, "region": THERE,
                "resources": [format!("arn:aws:ec2:{THERE}:{ACCOUNT}:image/{AMI}")],
                "detail": { "changed-tag-keys": ["approved"], "service": "ec2", "resource-type": "image", "version": 1, "tags": tags } })
    };
    for (value, outcome) in [(None, "Ignored"), (Some("soon"), "Ignored"), (Some("true"), "Started")] {
        if let Some(value) = value {
            stage.aws.world().image_mut(THERE, AMI).unwrap().tags.insert("approved".to_owned(), value.to_owned());
        }
        let answer = function.invoke(&tagged()).await.unwrap();
        assert_eq!(answer[0]["Outcome"], outcome, "{answer}");
    }
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_copy_of_the_couriers_is_not_copied_on_and_neither_is_what_bears_the_tag_skip() {
    let copy = Image::new(AMI, "golden-1").tag("ami-courier:source-image", &ami(1));
    let reason = format!("it is itself a copy, of {} (tag `ami-courier:source-image`)", ami(1));
    is_ignored(stage_with(copy).await, &announced(), &reason).await;
    let skipped = Image::new(AMI, "golden-1").tag("ami-courier:skip", "");
    is_ignored(stage_with(skipped).await, &announced(), "it bears the tag `ami-courier:skip`").await;
}

fn made_by_image_builder() -> Image {
    Image::new(AMI, "golden-1").tag("CreatedBy", "EC2 Image Builder").tag("Ec2ImageBuilderArn", BUILD)
}

fn told_by_image_builder(status: &str) -> Value {
    json!({ "version": "0", "detail-type": "EC2 Image Builder Image State Change", "source": "aws.imagebuilder",
            "account": ACCOUNT, "region": THERE, "resources": [BUILD],
            "detail": { "previous-state": { "status": "TESTING" }, "state": { "status": status } } })
}

#[tokio::test]
async fn what_image_builder_made_waits_for_its_tests_unless_the_setting_says_any() {
    let reason = "EC2 Image Builder made it and has not said yet that its tests passed (IMAGE_BUILDER=Tested)";
    is_ignored(stage_with(made_by_image_builder()).await, &announced(), reason).await;
    is_copied(stage_with(made_by_image_builder()).await, &told_by_image_builder("AVAILABLE")).await;
    is_copied(stage_with(made_by_image_builder()).await.set("IMAGE_BUILDER", "Any"), &announced()).await;
    let testing = format!("the Image Builder image {BUILD} is `TESTING`, and is copied once it is `AVAILABLE`");
    is_ignored(stage_with(made_by_image_builder()).await, &told_by_image_builder("TESTING"), &testing).await;
}

#[tokio::test]
async fn somebody_who_announces_an_ami_of_image_builder_in_so_many_words_is_believed() {
    let by_pipeline = json!({ "source": "my.pipeline", "detail-type": "Built", "detail": {},
                              "resources": [format!("arn:aws:ec2:{THERE}::image/{AMI}")] });
    is_copied(stage_with(made_by_image_builder()).await, &by_pipeline).await;
    let stage = stage_with(made_by_image_builder()).await;
    assert_eq!(stage.function().await.invoke(&request(AMI, "golden-1")).await.unwrap()["Outcome"], "Started");
}

#[tokio::test]
async fn image_builders_ami_is_found_by_its_tag_each_of_them_and_nobody_elses() {
    let stage = Stage::new().await.with(|world| {
        world.add_image(THERE, made_by_image_builder());
        world.add_image(THERE, Image::new(ami(1), "golden-arm").tag("Ec2ImageBuilderArn", BUILD));
        world.add_image(THERE, Image::new(ami(2), "older").tag("Ec2ImageBuilderArn", &BUILD.replace("/3", "/2")));
        let theirs = Image::new(ami(3), "theirs").tag("Ec2ImageBuilderArn", BUILD);
        world.add_image(THERE, theirs.owner(OTHERS).public());
    });
    let answer = stage.function().await.invoke(&told_by_image_builder("AVAILABLE")).await.unwrap();
    assert_eq!(answer.as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(stage.copied(), [AMI.to_owned(), ami(1)].into());
}

#[tokio::test]
async fn image_builders_ami_that_is_not_tagged_yet_is_retried_and_one_that_never_is_is_ignored() {
    let stage = Stage::new().await;
    let function = stage.function().await;
    let mut records = batch([("m1", told_by_image_builder("AVAILABLE").to_string())]);
    for (deliveries, expected) in [("1", vec!["m1"]), ("2", vec!["m1"]), ("3", vec![])] {
        records["Records"][0]["attributes"]["ApproximateReceiveCount"] = json!(deliveries);
        assert_eq!(failures(&function.invoke(&records).await.unwrap()), expected, "delivery {deliveries}");
    }
    let answer = function.invoke(&told_by_image_builder("AVAILABLE")).await.unwrap();
    let reason = format!("no AMI of SOURCE_OWNERS in us-east-1 bears the tag Ec2ImageBuilderArn={BUILD}");
    assert_eq!(answer[0]["Reason"], reason);
}

fn parameter_changed(name: &str) -> Value {
    json!({ "version": "0", "source": "aws.ssm", "detail-type": "Parameter Store Change", "account": ACCOUNT, "region": THERE,
            "resources": [format!("arn:aws:ssm:{THERE}:{ACCOUNT}:parameter{name}")],
            "detail": { "operation": "Update", "name": name, "type": "String", "dataType": "aws:ec2:image" } })
}

#[tokio::test]
async fn the_ami_that_a_parameter_holds_is_copied_like_any_other() {
    let stage = stage_with(Image::new(AMI, "golden-1")).await.with(|world| {
        for (name, value, kind) in [("/golden", AMI, "aws:ec2:image"), ("/text", "hello", "text")] {
            let put = json!({ "Name": name, "Value": value, "Type": "String", "DataType": kind });
            world.call(&Caller::in_region(THERE), "ssm", "PutParameter", &put).unwrap();
        }
    });
    let function = stage.function().await;
    for (name, reason) in [
        ("/gone", "the parameter `/gone` in us-east-1 is gone"),
        (
            "/text",
            "the parameter `/text` in us-east-1 holds no AMI: `hello` is not an AMI id (`ami-` and 8 or 17 hexadecimal digits)",
        ),
    ] {
        let answer = function.invoke(&parameter_changed(name)).await.unwrap();
        assert_eq!((&answer[0]["Outcome"], &answer[0]["Reason"]), (&json!("Ignored"), &json!(reason)));
    }
    let answer = function.invoke(&parameter_changed("/golden")).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["SourceImageId"]), (&json!("Started"), &json!(AMI)));
}

#[tokio::test]
async fn of_a_build_that_packer_put_in_several_regions_the_first_that_is_allowed_is_copied() {
    let manifest = json!({ "last_run_uuid": "r2", "builds": [
        { "builder_type": "amazon-ebs", "packer_run_uuid": "r1", "artifact_id": format!("{THERE}:{}", ami(9)) },
        { "builder_type": "amazon-ebs", "packer_run_uuid": "r2", "artifact_id": format!("{THERE}:{AMI},us-west-2:{}", ami(1)) },
    ] });
    let stage = || async {
        Stage::new().await.with(|world| {
            world.add_image(THERE, Image::new(AMI, "golden-1"));
            world.add_image(THERE, Image::new(ami(9), "older"));
            world.add_image("us-west-2", Image::new(ami(1), "golden-1"));
        })
    };
    for (regions, source) in [("", AMI.to_owned()), ("us-west-2", ami(1)), ("us-west-2,us-east-1", AMI.to_owned())] {
        let stage = stage().await.set("SOURCE_REGIONS", regions);
        stage.function().await.invoke(&manifest).await.unwrap();
        assert_eq!(stage.copied(), [source].into());
    }
    let reason = "us-east-1 is none of SOURCE_REGIONS (eu-west-2); us-west-2 is none of SOURCE_REGIONS (eu-west-2)";
    is_ignored(stage().await.set("SOURCE_REGIONS", "eu-west-2"), &manifest, reason).await;
}

#[tokio::test]
async fn a_source_that_is_still_pending_is_retried_in_minutes_until_it_is_available() {
    let by_cloud_trail = json!({ "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "region": THERE,
        "detail": { "eventName": "CreateImage", "awsRegion": THERE, "responseElements": { "imageId": AMI } } });
    let stage = stage_with(Image::new(AMI, "golden-1").state(ImageState::Pending)).await;
    let function = stage.function().await;
    for message in [&by_cloud_trail, &announced(), &request(AMI, "golden-1")] {
        let (kind, words) = error(function.invoke(message).await);
        assert_eq!(kind, "Retry");
        assert!(words.contains(&format!("the source AMI {AMI} in {THERE} is still pending")), "{words}");
        assert!(words.ends_with("tried again in minutes"), "{words}");
    }
    stage.aws.world().image_mut(THERE, AMI).unwrap().state = ImageState::Available;
    assert_eq!(function.invoke(&by_cloud_trail).await.unwrap()[0]["Outcome"], "Started");
}

#[tokio::test]
async fn a_source_that_failed_or_is_out_of_service_is_ignored_with_the_reason_and_rejected_for_a_request() {
    let failed = || {
        let mut image = Image::new(AMI, "golden-1").state(ImageState::Failed);
        image.state_reason = Some(StateReason::new("Client.InternalError", "no volume"));
        image
    };
    let disabled = || Image::new(AMI, "golden-1").state(ImageState::Disabled);
    let deregistered = |ago: u64| async move {
        stage_with(Image::new(AMI, "golden-1")).await.with(|world| {
            world.deregister(THERE, AMI);
            world.advance(Duration::from_secs(ago));
        })
    };
    is_ignored(stage_with(failed()).await, &announced(), "the source AMI failed: no volume").await;
    is_ignored(stage_with(disabled()).await, &announced(), "the source AMI is disabled").await;
    for ago in [0, 600] {
        is_ignored(deregistered(ago).await, &announced(), "the source AMI is deregistered").await;
        let (kind, words) = error(deregistered(ago).await.function().await.invoke(&request(AMI, "golden-1")).await);
        assert_eq!(kind, "Rejected");
        assert!(words.contains(&format!("{AMI} in {THERE} is not copied: the source AMI is deregistered")), "{words}");
    }
    let failed_event = {
        let mut event = state_change(THERE, AMI, "failed");
        event["detail"]["ErrorMessage"] = json!("no volume");
        event
    };
    is_ignored(stage_with(failed()).await, &failed_event, "the source AMI failed: no volume").await;
}

#[tokio::test]
async fn a_source_that_is_not_to_be_seen_is_retried_twice_and_then_rejected() {
    let stage = Stage::new().await;
    let function = stage.function().await;
    let mut records = batch([("m1", announced().to_string())]);
    for (deliveries, expected) in [("1", vec!["m1"]), ("2", vec!["m1"]), ("3", vec![])] {
        records["Records"][0]["attributes"]["ApproximateReceiveCount"] = json!(deliveries);
        assert_eq!(failures(&function.invoke(&records).await.unwrap()), expected, "delivery {deliveries}");
    }
    let [(_, why)] = stage.dead().try_into().unwrap();
    assert_eq!(why["Code"], "InvalidAMIID.NotFound");
    assert!(why["Explanation"].contains("its owner shares the AMI with this account"), "{why:?}");
}

fn theirs() -> Image {
    Image::new(AMI, "golden-1").owner(OTHERS)
}

#[tokio::test]
async fn an_ami_that_another_account_shares_is_copied_if_its_owner_is_trusted() {
    let reason = "its owner 111122223333 is none of SOURCE_OWNERS (self)";
    is_ignored(stage_with(theirs().shared_with(ACCOUNT)).await, &announced(), reason).await;
    is_ignored(stage_with(theirs().public()).await, &announced(), reason).await;
    is_copied(stage_with(theirs().shared_with(ACCOUNT)).await.set("SOURCE_OWNERS", "self,111122223333"), &announced())
        .await;
}

#[tokio::test]
async fn an_owner_that_a_message_claims_counts_for_nothing() {
    let mut event = announced();
    event["account"] = json!(ACCOUNT);
    event["detail"]["OwnerId"] = json!(ACCOUNT);
    event["resources"] = json!([format!("arn:aws:ec2:{THERE}:{ACCOUNT}:image/{AMI}")]);
    is_ignored(
        stage_with(theirs().shared_with(ACCOUNT)).await,
        &event,
        "its owner 111122223333 is none of SOURCE_OWNERS (self)",
    )
    .await;
}

#[tokio::test]
async fn when_the_snapshots_of_another_accounts_ami_are_not_shared_the_rejection_tells_the_owner_what_to_do() {
    let mut source = theirs().shared_with(ACCOUNT);
    source.snapshots[0].shared_with.clear();
    let stage = stage_with(source).await.set("SOURCE_OWNERS", OTHERS);
    let (kind, words) = error(stage.function().await.invoke(&announced()).await);
    assert_eq!(kind, "Rejected");
    assert!(words.contains("You do not have permission to access the storage of this ami"), "{words}");
    let advice = "its owner, account 111122223333, must share with this account not only the AMI but also its snapshots (create volume \
                  permission) and, where they are encrypted, the KMS key (Decrypt, DescribeKey, CreateGrant, ReEncrypt*)";
    assert!(words.ends_with(advice), "{words}");
}

#[tokio::test]
async fn when_the_key_of_another_accounts_snapshots_is_not_shared_the_failed_copy_says_so() {
    let key = default_key_arn(THERE, OTHERS);
    let snapshots = [Snapshot::new("snap-0123456789abcdef0").encrypted_with(&key)];
    let stage = stage_with(theirs().snapshots(snapshots).shared_with(ACCOUNT)).await.set("SOURCE_OWNERS", OTHERS);
    let function = stage.function().await;
    let started = function.invoke(&announced()).await.unwrap();
    assert_eq!(started[0]["Outcome"], "Started", "EC2 notices only later");
    stage.aws.world().advance(Duration::from_secs(3600));
    let copy = started[0]["ImageId"].as_str().unwrap();
    let (kind, words) = error(function.invoke(&state_change(HERE, copy, "failed")).await);
    assert_eq!(kind, "Rejected");
    assert!(
        words.starts_with("CopyFailed: ") && words.contains(AMI) && words.contains("Given key ID is not accessible"),
        "{words}"
    );
}

#[tokio::test]
async fn an_ami_of_another_partition_is_rejected_since_copy_image_cannot_cross() {
    let stage = Stage::new().await;
    let function = stage.function().await;
    for (region, partition) in [
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("eusc-de-east-1", "aws-eusc"),
    ] {
        let mut event = state_change(region, AMI, "available");
        event["resources"] = json!([format!("arn:{partition}:ec2:{region}::image/{AMI}")]);
        let (kind, words) = error(function.invoke(&event).await);
        assert_eq!(kind, "Rejected");
        assert!(
            words.contains(&format!("is in the partition `{partition}`")) && words.contains("cannot cross"),
            "{words}"
        );
    }
}

#[tokio::test]
async fn stacks_of_other_partitions_copy_within_their_own() {
    for (here, there) in [("cn-northwest-1", "cn-north-1"), ("us-gov-east-1", "us-gov-west-1")] {
        let stage = Stage::new().await.with(|world| {
            world.add_image(there, Image::new(AMI, "golden-1"));
        });
        let stage = stage.set("QUEUE_URL", "").set("DEAD_LETTER_QUEUE_URL", "");
        let function = stage.function_in(here).start().await.unwrap();
        let partition = if here.starts_with("cn") { "aws-cn" } else { "aws-us-gov" };
        let mut event = state_change(there, AMI, "available");
        event["resources"] = json!([format!("arn:{partition}:ec2:{there}::image/{AMI}")]);
        let answer = function.invoke(&event).await.unwrap();
        assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
        assert_eq!(stage.aws.world().images(here).len(), 1);
    }
}

#[tokio::test]
async fn a_name_that_comes_out_as_ec2_refuses_it_is_rejected_with_the_rule() {
    let cases = [
        ("{name}-{tag:build}", Image::new(AMI, "golden"), "the source AMI has no tag `build`"),
        (
            "{name}-{tag:build}",
            Image::new(AMI, "golden").tag("build", "v1:2"),
            "`golden-v1:2` is not an AMI name (3 to 128 of",
        ),
        ("{name}-{name}-{name}", Image::new(AMI, "n".repeat(60)), "is not an AMI name (3 to 128 of"),
    ];
    for (template, source, expected) in cases {
        let stage = stage_with(source).await.set("COPY_NAME", template);
        let (kind, words) = error(stage.function().await.invoke(&announced()).await);
        assert_eq!(kind, "Rejected");
        assert!(words.starts_with("InvalidAMIName.Malformed: ") && words.contains(expected), "{words}");
        assert!(words.contains("COPY_NAME") && words.contains(AMI), "{words}");
        assert_eq!(stage.copy_image_calls().len(), 0);
    }
}

#[tokio::test]
async fn the_source_and_the_copies_are_looked_for_at_the_same_time() {
    let stage = stage_with(Image::new(AMI, "golden-1")).await.with(|world| {
        world.fault(local::aws::Fault::on("DescribeImages").first(2).slow(Duration::from_secs(2)));
    });
    let function = stage.function().await;
    let event = announced();
    let invocation = function.invoke(&event);
    tokio::pin!(invocation);
    let both_unanswered = async {
        loop {
            let calls = stage.aws.world().calls();
            let regions: Vec<&str> =
                calls.iter().filter(|call| call.status == 0).map(|call| call.region.as_str()).collect();
            if regions.contains(&HERE) && regions.contains(&THERE) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        answer = &mut invocation => panic!("one waited for the other: {answer:?}"),
        () = both_unanswered => {}
    }
    assert_eq!(invocation.await.unwrap()[0]["Outcome"], "Started");
}
