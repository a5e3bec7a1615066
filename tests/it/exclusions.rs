//! What is excluded, and backups, are not copied: by event, by sweep, and not in the status. Which AMIs Image Builder of another account
//! has distributed into this one are.

use local::aws::{Image, START};
use serde_json::{Value, json};

use crate::stage::{Stage, THERE, ami, batch, failures, state_change};

const OTHERS: &str = "111122223333";

async fn stage(images: Vec<Image>) -> Stage {
    let stage = Stage::new().await.set("SOURCE_REGIONS", THERE).set("BACKFILL_DAYS", "3650");
    stage.with(|world| {
        for image in images {
            world.add_image(THERE, image.created(START - std::time::Duration::from_secs(2 * 3600)));
        }
    })
}

/// Which of the AMIs an event, a sweep and the status want; they must agree.
async fn wanted(stage: &Stage, images: usize) -> Vec<usize> {
    let function = stage.function().await;
    let sweep = batch([("m1", json!({ "Sweep": {} }).to_string())]);
    assert_eq!(failures(&function.invoke(&sweep).await.expect("an answer")), Vec::<String>::new());
    let messages = stage.aws.world().messages(&stage.queue);
    let bodies: Vec<String> = messages.into_iter().map(|message| message.body).collect();
    let status = function.invoke(&json!({ "Status": { "Days": 3650 } })).await.expect("a status").to_string();
    let mut wanted = Vec::new();
    for number in 0..images {
        let answer = function.invoke(&state_change(THERE, &ami(number), "available")).await.expect("an outcome");
        let started = answer[0]["Outcome"] == "Started";
        let is_missed = bodies.iter().any(|body| body.contains(&ami(number)));
        assert_eq!((is_missed, status.contains(&ami(number))), (started, started), "{answer}");
        if started {
            wanted.push(number);
        }
    }
    wanted
}

/// The values of the filters of the last listing in the source Region.
fn filters(stage: &Stage) -> String {
    let calls = stage.aws.world().calls().into_iter();
    let listing = |call: &local::aws::Call| call.action == "DescribeImages" && call.region == THERE;
    calls.filter(listing).map(|call| call.parameters.to_string()).collect()
}

#[tokio::test]
async fn an_exclusion_is_decided_here_and_never_part_of_ec2s_filters() {
    let images = vec![
        Image::new(ami(0), "golden-1").tag("team", "platform"),
        Image::new(ami(1), "golden-1-debug").tag("team", "platform"),
        Image::new(ami(2), "golden-2").tag("team", "platform").tag("temporary", ""),
        Image::new(ami(3), "golden-3"),
        Image::new(ami(4), "golden-4").tag("team", "platform").tag("stage", "test"),
        Image::new(ami(5), "golden-5").tag("team", "platform").tag("stage", "production"),
    ];
    let stage = stage(images).await.set("NAME_PATTERNS", "golden-*,!*-debug");
    let stage = stage.set("REQUIRED_TAGS", "!temporary,team=platform,!stage=test");
    assert_eq!(wanted(&stage, 6).await, [0, 5]);
    let filters = filters(&stage);
    assert!(filters.contains("golden-*") && filters.contains("platform"), "{filters}");
    for excluded in ["debug", "temporary", "stage"] {
        assert!(!filters.contains(excluded), "{filters}");
    }
}

#[tokio::test]
async fn with_exclusions_alone_all_others_are_wanted() {
    let images = vec![
        Image::new(ami(0), "anything"),
        Image::new(ami(1), "a-debug"),
        Image::new(ami(2), "x").tag("temporary", ""),
    ];
    let stage = stage(images).await.set("NAME_PATTERNS", "!*-debug").set("REQUIRED_TAGS", "!temporary");
    assert_eq!(wanted(&stage, 3).await, [0]);
}

#[tokio::test]
async fn backups_are_left_alone_unless_a_required_tag_names_theirs() {
    let images = || {
        vec![
            Image::new(ami(0), "AwsBackup_i-0abcdef1234567890_8b4c"),
            Image::new(ami(1), "web")
                .tag("aws:backup:source-resource", "arn:aws:ec2:us-east-1:123456789012:instance/i-1"),
            Image::new(ami(2), "policy-1").tag("aws:dlm:lifecycle-policy-id", "policy-1"),
            Image::new(ami(3), "golden-1"),
        ]
    };
    assert_eq!(wanted(&stage(images()).await, 4).await, [3]);
    let named = stage(images()).await.set("REQUIRED_TAGS", "aws:dlm:lifecycle-policy-id");
    assert_eq!(wanted(&named, 4).await, [2]);
    let excluded = stage(images()).await.set("REQUIRED_TAGS", "!aws:dlm:lifecycle-policy-id");
    assert_eq!(wanted(&excluded, 4).await, [3]);
    let answer =
        stage(images()).await.function().await.invoke(&state_change(THERE, &ami(1), "available")).await.unwrap();
    let reason = answer[0]["Reason"].as_str().unwrap();
    assert!(reason.contains("a backup of AWS Backup") && reason.contains("REQUIRED_TAGS"), "{answer}");
}

#[tokio::test]
async fn an_ami_that_image_builder_of_another_account_distributed_into_this_one_waits_for_nothing() {
    let by = |account: &str| format!("arn:aws:imagebuilder:us-east-1:{account}:image/golden/1.0.0/3");
    let images = vec![
        Image::new(ami(0), "golden-1").tag("Ec2ImageBuilderArn", &by(OTHERS)),
        Image::new(ami(1), "golden-2").tag("Ec2ImageBuilderArn", &by(local::aws::ACCOUNT)),
    ];
    let stage = stage(images).await;
    let function = stage.function().await;
    let outcomes: Vec<Value> = {
        let mut outcomes = Vec::new();
        for number in 0..2 {
            let answer = function.invoke(&state_change(THERE, &ami(number), "available")).await.expect("an outcome");
            outcomes.push(answer[0]["Outcome"].clone());
        }
        outcomes
    };
    assert_eq!(outcomes, ["Started", "Ignored"]);
    let sweep = batch([("m1", json!({ "Sweep": {} }).to_string())]);
    stage.start_afresh();
    stage.aws.world().add_image(THERE, Image::new(ami(0), "golden-1").tag("Ec2ImageBuilderArn", &by(OTHERS)));
    function.invoke(&sweep).await.expect("an answer");
    assert!(stage.aws.world().messages(&stage.queue)[0].body.contains(&ami(0)));
}
