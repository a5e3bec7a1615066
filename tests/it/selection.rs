//! Only an AMI that this Region wants and this account trusts is copied. For any other, the outcome names the rule and
//! what it saw.

use std::time::Duration;

use local::aws::{ACCOUNT, Caller, Fault, Image, START};
use local::host::InvokeError;
use serde_json::{Value, json};

use crate::stage::{Stage, THERE, ami, batch, failures, request, state_change};

pub const AMI: &str = "ami-0abcdef1234567890";
pub const OTHERS: &str = "111122223333";
const MINUTE: Duration = Duration::from_secs(60);
/// Where the pipeline of a distributed AMI is.
const PIPELINE: &str = "us-west-2";
const BUILD: &str = "arn:aws:imagebuilder:us-east-1:123456789012:image/golden-linux/1.4.0/3";

pub fn announced() -> Value {
    state_change(THERE, AMI, "available")
}

pub async fn stage_with(source: Image) -> Stage {
    Stage::new().await.with(|world| {
        world.add_image(THERE, source);
    })
}

/// Announced by EC2, the AMI is ignored for this reason, and nothing changes.
pub async fn is_ignored(stage: Stage, message: &Value, reason: &str) {
    let answer = stage.function().await.invoke(message).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Ignored", "{answer}");
    assert_eq!(answer[0]["Reason"], reason);
    assert_eq!(stage.changes(), Vec::<String>::new());
}

pub async fn is_copied(stage: Stage, message: &Value) {
    let answer = stage.function().await.invoke(message).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    assert_eq!(stage.copies().len(), 1);
}

pub fn error(answer: Result<Value, InvokeError>) -> (String, String) {
    match answer {
        Err(InvokeError::Function { error_type, message }) => (error_type, message),
        other => panic!("no error: {other:?}"),
    }
}

#[tokio::test]
async fn source_regions_are_the_regions_copied_from() {
    let stage = || async { stage_with(Image::new(AMI, "golden-1")).await };
    let reason = "us-east-1 is not one of SOURCE_REGIONS (us-west-2, ca-central-1)";
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
async fn an_ami_must_have_all_required_tags() {
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
async fn a_copy_of_the_couriers_is_not_copied_again_and_neither_is_an_ami_with_the_tag_skip() {
    let copy = Image::new(AMI, "golden-1").tag("ami-courier:source-image", &ami(1));
    let reason = format!("it is itself a copy, of {} (tag `ami-courier:source-image`)", ami(1));
    is_ignored(stage_with(copy).await, &announced(), &reason).await;
    let skipped = Image::new(AMI, "golden-1").tag("ami-courier:skip", "");
    is_ignored(stage_with(skipped).await, &announced(), "it has the tag `ami-courier:skip`").await;
}

fn made_by_image_builder() -> Image {
    Image::new(AMI, "golden-1").tag("CreatedBy", "EC2 Image Builder").tag("Ec2ImageBuilderArn", BUILD)
}

fn event_of_image_builder(status: &str) -> Value {
    json!({ "version": "0", "detail-type": "EC2 Image Builder Image State Change", "source": "aws.imagebuilder",
            "account": ACCOUNT, "region": THERE, "resources": [BUILD],
            "detail": { "previous-state": { "status": "TESTING" }, "state": { "status": status } } })
}

#[tokio::test]
async fn an_ami_of_image_builder_waits_for_its_tests_unless_the_setting_is_any() {
    let reason = "EC2 Image Builder made it and has not reported yet that its tests passed (IMAGE_BUILDER=Tested)";
    is_ignored(stage_with(made_by_image_builder()).await, &announced(), reason).await;
    is_copied(stage_with(made_by_image_builder()).await, &event_of_image_builder("AVAILABLE")).await;
    is_copied(stage_with(made_by_image_builder()).await.set("IMAGE_BUILDER", "Any"), &announced()).await;
    let testing = format!("the Image Builder image {BUILD} is `TESTING`, and will be copied once it is `AVAILABLE`");
    is_ignored(stage_with(made_by_image_builder()).await, &event_of_image_builder("TESTING"), &testing).await;
}

#[tokio::test]
async fn an_explicit_announcement_of_an_ami_of_image_builder_needs_no_report_of_its_tests() {
    let by_pipeline = json!({ "source": "my.pipeline", "detail-type": "Built", "detail": {},
                              "resources": [format!("arn:aws:ec2:{THERE}::image/{AMI}")] });
    is_copied(stage_with(made_by_image_builder()).await, &by_pipeline).await;
    let stage = stage_with(made_by_image_builder()).await;
    assert_eq!(stage.function().await.invoke(&request(AMI, "golden-1")).await.unwrap()["Outcome"], "Started");
}

#[tokio::test]
async fn each_ami_of_image_builder_is_found_by_its_tag_and_no_other_accounts_is() {
    let stage = Stage::new().await.with(|world| {
        world.add_image(THERE, made_by_image_builder());
        world.add_image(THERE, Image::new(ami(1), "golden-arm").tag("Ec2ImageBuilderArn", BUILD));
        world.add_image(THERE, Image::new(ami(2), "older").tag("Ec2ImageBuilderArn", &BUILD.replace("/3", "/2")));
        let theirs = Image::new(ami(3), "theirs").tag("Ec2ImageBuilderArn", BUILD);
        world.add_image(THERE, theirs.owner(OTHERS).public());
    });
    let answer = stage.function().await.invoke(&event_of_image_builder("AVAILABLE")).await.unwrap();
    assert_eq!(answer.as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(stage.copied(), [AMI.to_owned(), ami(1)].into());
}

#[tokio::test]
async fn an_ami_of_image_builder_without_a_tag_is_retried_for_an_hour_and_then_ignored() {
    let stage = Stage::new().await;
    let function = stage.function().await;
    let message = batch([("m1", event_of_image_builder("AVAILABLE").to_string())]);
    for (after, expected) in [(0, vec!["m1"]), (59, vec!["m1"]), (60, vec![])] {
        let now = stage.aws.world().now();
        stage.aws.world().advance((START + after * MINUTE - now).unsigned_abs());
        assert_eq!(failures(&function.invoke(&message).await.unwrap()), expected, "after {after} minutes");
    }
    assert_eq!(stage.dead(), []);
    let answer = function.invoke(&event_of_image_builder("AVAILABLE")).await.unwrap();
    let reason = format!("no AMI of SOURCE_OWNERS in us-east-1 has the tag Ec2ImageBuilderArn={BUILD}");
    assert_eq!(answer[0]["Reason"], reason);
}

/// The pipeline's AMI in its own Region, and the same build as Image Builder distributed it to [`THERE`].
async fn distributed() -> Stage {
    let build = BUILD.replace(THERE, PIPELINE);
    let image = |id: &str| Image::new(id, "golden-1").tag("Ec2ImageBuilderArn", &build);
    Stage::new().await.set("SOURCE_REGIONS", THERE).with(|world| {
        world.add_image(PIPELINE, image(&ami(1)));
        world.add_image(THERE, image(AMI));
    })
}

#[tokio::test]
async fn an_ami_that_image_builder_distributed_from_another_region_is_copied_as_soon_as_ec2_has_it() {
    is_copied(distributed().await, &announced()).await;
}

#[tokio::test]
async fn an_ami_that_image_builder_distributed_from_another_region_is_copied_by_a_sweep() {
    let stage = distributed().await.set("BACKFILL_DAYS", "3650");
    stage.sweep(&stage.function().await).await.unwrap();
    assert_eq!(stage.copied(), [AMI.to_owned()].into());
}

#[tokio::test]
async fn an_event_of_image_builder_in_a_region_that_is_no_source_region_is_ignored() {
    let mut event = event_of_image_builder("AVAILABLE");
    event["region"] = json!(PIPELINE);
    event["resources"] = json!([BUILD.replace(THERE, PIPELINE)]);
    is_ignored(distributed().await, &event, "us-west-2 is not one of SOURCE_REGIONS (us-east-1)").await;
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
        ("/gone", "the parameter `/gone` in us-east-1 does not exist any more"),
        ("/text", "the parameter `/text` in us-east-1 is of data type `text`, not `aws:ec2:image`"),
    ] {
        let answer = function.invoke(&parameter_changed(name)).await.unwrap();
        assert_eq!((&answer[0]["Outcome"], &answer[0]["Reason"]), (&json!("Ignored"), &json!(reason)));
    }
    let answer = function.invoke(&parameter_changed("/golden")).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["SourceImageId"]), (&json!("Started"), &json!(AMI)));
}

#[tokio::test]
async fn an_event_without_a_data_type_is_decided_by_the_parameter_itself() {
    let stage = stage_with(Image::new(AMI, "golden-1")).await.with(|world| {
        world.set_parameter(THERE, "/secret", "hunter2", "text");
        world.set_parameter(THERE, "/id", AMI, "text");
        world.set_parameter(THERE, "/golden", AMI, "aws:ec2:image");
    });
    let function = stage.function().await;
    let changed = |name: &str| {
        let mut event = parameter_changed(name);
        event["detail"].as_object_mut().unwrap().remove("dataType");
        event
    };
    for name in ["/secret", "/id"] {
        let answer = function.invoke(&changed(name)).await.unwrap();
        let reason = format!("the parameter `{name}` in us-east-1 is of data type `text`, not `aws:ec2:image`");
        assert_eq!((&answer[0]["Outcome"], &answer[0]["Reason"]), (&json!("Ignored"), &json!(reason)));
    }
    assert!(stage.copies().is_empty());
    assert!(!function.logs().concat().contains("hunter2"), "a parameter of another type can hold a secret");
    let answer = function.invoke(&changed("/golden")).await.unwrap();
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
    let reason =
        "us-east-1 is not one of SOURCE_REGIONS (eu-west-2); us-west-2 is not one of SOURCE_REGIONS (eu-west-2)";
    is_ignored(stage().await.set("SOURCE_REGIONS", "eu-west-2"), &manifest, reason).await;
}

#[tokio::test]
async fn a_name_that_ec2_would_refuse_is_rejected_with_the_rule() {
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
        let (kind, message) = error(stage.function().await.invoke(&announced()).await);
        assert_eq!(kind, "Rejected");
        assert!(message.starts_with("InvalidAMIName.Malformed: ") && message.contains(expected), "{message}");
        assert!(message.contains("COPY_NAME") && message.contains(AMI), "{message}");
        assert_eq!(stage.copy_image_calls().len(), 0);
    }
}

#[tokio::test]
async fn a_parameter_of_another_account_that_the_function_may_not_read_is_ignored_with_the_reason() {
    let stage = Stage::new().await.with(|world| {
        world.fault(Fault::on("GetParameter").error(
            400,
            "AccessDeniedException",
            "not authorized to perform ssm:GetParameter",
        ));
    });
    let arn = format!("arn:aws:ssm:{THERE}:111122223333:parameter/golden-ami");
    let event = json!({
        "source": "aws.ssm", "detail-type": "Parameter Store Change", "region": THERE, "account": "111122223333", "resources": [arn],
        "detail": { "name": "golden-ami", "type": "String", "dataType": "aws:ec2:image", "operation": "Update" },
    });
    let answer = stage.function().await.invoke(&event).await.unwrap();
    let reason = answer[0]["Reason"].as_str().unwrap();
    assert!(
        answer[0]["Outcome"] == "Ignored" && reason.contains(&arn) && reason.contains("not authorized"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_s3_backed_ami_is_ignored_when_announced_and_rejected_when_requested() {
    let stage = Stage::new().await.with(|world| {
        world.add_image(THERE, Image::new(AMI, "golden-1").s3_backed());
    });
    let function = stage.function().await;
    let answer = function.invoke(&state_change(THERE, AMI, "available")).await.unwrap();
    assert!(
        answer[0]["Outcome"] == "Ignored" && answer[0]["Reason"].as_str().unwrap().contains("S3-backed"),
        "{answer}"
    );
    let error = function.invoke(&request(AMI, "golden-1")).await.unwrap_err().to_string();
    assert!(error.contains("S3-backed"), "{error}");
    assert!(stage.copies().is_empty());
}

/// Words of AWS can be long, and have characters that SQS refuses.
#[tokio::test]
async fn a_permission_that_is_missing_for_an_own_parameter_is_a_dead_letter_with_words_that_sqs_takes() {
    let stage = stage_with(Image::new(AMI, "golden-1")).await.with(|world| {
        let words = format!("not allowed\u{1}\u{FFFE} {}", "x".repeat(1_200_000));
        world.fault(Fault::on("GetParameter").error(400, "AccessDeniedException", &words).every());
    });
    let message = batch([("m1", parameter_changed("/golden").to_string())]);
    let function = stage.function().await;
    stage.aws.world().advance(std::time::Duration::from_secs(2 * 3600));
    crate::life::learns_the_time(&function).await;
    assert_eq!(failures(&function.invoke(&message).await.unwrap()), Vec::<String>::new());
    let [(_, letter)] = stage.dead().try_into().expect("one letter");
    assert_eq!(letter["Code"], "AccessDeniedException");
    assert!(letter["Explanation"].contains("not allowed   xxx") && letter["Explanation"].len() <= 4096);
}
