//! The second rule: the token stands for the source, the Region and the try, and for nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use local::aws::{Behaviour, Image, TokenOfDeadImage};
use serde_json::{Value, json};

use super::{AMI, DONE, announced, message, own_messages, rejection, tokens};
use crate::stage::{HERE, Stage, THERE, batch, failures, request};

#[tokio::test]
async fn every_announcement_of_an_ami_makes_the_same_call_in_any_envelope_and_at_any_time() {
    let arn = format!("arn:aws:ec2:{THERE}::image/{AMI}");
    let mut later = announced();
    later["id"] = json!("another");
    later["time"] = json!("2031-12-31T23:59:59Z");
    later["detail"]["RequestId"] = json!("another");
    let announcements = [
        announced(),
        later,
        batch([("m9", announced().to_string())]),
        json!({ "source": "aws.tag", "detail-type": "Tag Change on Resource", "region": THERE, "resources": [arn],
                "detail": { "changed-tag-keys": ["a"], "service": "ec2", "resource-type": "image", "tags": {} } }),
        json!({ "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "region": THERE, "detail": {
                "eventName": "CreateImage", "awsRegion": THERE, "responseElements": { "imageId": AMI } } }),
        json!({ "source": "my.pipeline", "detail-type": "Built", "resources": [arn], "detail": { "build": 17 } }),
    ];
    let mut calls = BTreeSet::new();
    for announcement in announcements {
        let stage = Stage::new().await.set("REQUIRED_TAGS", "a").with(|world| {
            world.add_image(THERE, Image::new(AMI, "golden-1").tag("a", "1"));
        });
        stage.aws.world().advance(Duration::from_secs(u64::try_from(calls.len()).unwrap() * 1000));
        stage.function().await.invoke(&announcement).await.unwrap();
        let made = stage.copy_image_calls();
        assert_eq!(made.len(), 1, "{announcement}");
        calls.insert(made[0].to_string());
    }
    assert_eq!(calls.len(), 1, "{calls:#?}");
}

#[tokio::test]
async fn the_same_ami_has_another_token_in_another_region() {
    let mut seen = BTreeSet::new();
    for here in [HERE, "ap-northeast-1"] {
        let stage = Stage::new().await.source(AMI, "golden-1");
        let function = stage.function_in(here).start().await.unwrap();
        let answer = function.invoke(&announced()).await.unwrap();
        seen.insert(answer[0]["ClientToken"].to_string());
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_requests_own_token_wins_and_one_that_stands_for_another_call_is_rejected() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let mut first = request(AMI, "golden-1");
    first["ClientToken"] = json!("release-1");
    let started = function.invoke(&first).await.unwrap();
    assert_eq!((&started["Outcome"], &started["ClientToken"]), (&json!("Started"), &json!("release-1")));
    let mut second = request(AMI, "golden-2");
    second["ClientToken"] = json!("release-1");
    let message = rejection(function.invoke(&second).await);
    assert!(message.starts_with("IdempotentParameterMismatch: "), "{message}");
    assert!(message.contains("`release-1`") && message.contains(AMI) && message.contains("without"), "{message}");
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_requests_own_token_that_stands_for_a_dead_copy_is_rejected_and_has_no_next_try() {
    for token_of_dead_image in [TokenOfDeadImage::ImageId, TokenOfDeadImage::Error] {
        let stage = Stage::new().await.source(AMI, "golden-1");
        stage.aws.world().behaviour.token_of_dead_image = token_of_dead_image;
        let function = stage.function().await;
        let mut request = request(AMI, "golden-1");
        request["ClientToken"] = json!("release-1");
        let first = function.invoke(&request).await.unwrap();
        stage.aws.world().deregister(HERE, first["ImageId"].as_str().unwrap());
        let message = rejection(function.invoke(&request).await);
        assert!(message.contains("`release-1`") && message.contains("new ClientToken"), "{message}");
        assert_eq!(stage.copies().len(), 0);
    }
}

#[tokio::test]
async fn settings_that_changed_do_not_change_the_token_of_an_announcement() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| world.behaviour = Behaviour::weakest());
    stage.function().await.invoke(&message()).await.unwrap();
    let stage = stage.set("EXTRA_TAGS", "team=platform").set("ENCRYPTED", "true").set("COPY_NAME", "{name}-{region}");
    let answer = stage.function().await.invoke(&message()).await.unwrap();
    assert_eq!(failures(&answer), DONE);
    let tokens = tokens(&stage);
    assert_eq!((tokens.len(), &tokens[0]), (2, &tokens[1]));
    assert_eq!(stage.copies().len(), 1, "EC2 refuses the second call: the token stands for other parameters");
    assert_eq!(own_messages(&stage).len(), 2, "each looks again once the copy is certainly visible");
}

#[tokio::test]
async fn a_dry_run_carries_no_token_of_the_couriers_and_changes_nothing() {
    let stage = Stage::new().await.source(AMI, "golden-1").set("DRY_RUN", "true");
    let function = stage.function().await;
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ClientToken"]), (&json!("DryRun"), &Value::Null), "{answer}");
    let stage = stage.set("DRY_RUN", "");
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    let tokens = tokens(&stage);
    assert_ne!(tokens[0], tokens[1]);
}
