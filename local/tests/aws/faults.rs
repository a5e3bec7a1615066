//! Faults as a client meets them.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use local::aws::{Aws, Chaos, Fault, Image, Queue};
use serde_json::{Value, json};

use super::http::post;
use super::{REGION, SOURCE, SOURCE_REGION};

async fn aws_with(fault: Fault) -> Aws {
    let aws = Aws::start().await.expect("a free port");
    aws.world().add_image(SOURCE_REGION, Image::new(SOURCE, "golden"));
    aws.world().fault(fault);
    aws
}

/// The status of a `CopyImage`, or `None` where the connection was lost; and whether there is a copy afterwards.
async fn copy(aws: &Aws) -> (Option<StatusCode>, bool) {
    let body = format!("Action=CopyImage&Name=copy&SourceImageId={SOURCE}&SourceRegion={SOURCE_REGION}&ClientToken=t");
    let answer = post(aws, "eu-west-1/ec2", None, &body).await;
    (answer.ok().map(|answer| answer.status), !aws.world().images(REGION).is_empty())
}

#[tokio::test]
async fn an_error_comes_before_or_after_the_effect() {
    let on = || Fault::on("CopyImage");
    let aws = aws_with(on().error(503, "Unavailable", "no")).await;
    assert_eq!(copy(&aws).await, (Some(StatusCode::SERVICE_UNAVAILABLE), false));
    assert_eq!(aws.world().calls()[0].code.as_deref(), Some("Unavailable"));
    let aws = aws_with(on().error_after_effect(500, "InternalError", "no")).await;
    assert_eq!(copy(&aws).await, (Some(StatusCode::INTERNAL_SERVER_ERROR), true));
}

#[tokio::test]
async fn a_connection_is_dropped_before_or_after_the_effect() {
    let aws = aws_with(Fault::on("CopyImage").drop_connection()).await;
    assert_eq!(copy(&aws).await, (None, false));
    let aws = aws_with(Fault::on("CopyImage").drop_after_effect()).await;
    assert_eq!(copy(&aws).await, (None, true));
    assert_eq!(aws.world().calls()[0].status, 0);
}

#[tokio::test]
async fn a_slow_call_is_recorded_on_arrival_and_answered_late() {
    let late = Duration::from_millis(300);
    let aws = aws_with(Fault::on("CopyImage").slow_after_effect(late)).await;
    let started = Instant::now();
    let client = tokio::spawn({
        let aws = aws.clone();
        async move { copy(&aws).await }
    });
    while aws.world().calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(aws.world().calls()[0].status, 0);
    assert_eq!(aws.world().images(REGION).len(), 1, "the effect comes at once");
    assert_eq!(client.await.expect("no panic"), (Some(StatusCode::OK), true));
    assert!(started.elapsed() >= late);
}

#[tokio::test]
async fn a_slow_call_whose_client_hangs_up_has_no_effect() {
    let aws = aws_with(Fault::on("CopyImage").slow(Duration::from_millis(200))).await;
    let hasty = tokio::time::timeout(Duration::from_millis(50), copy(&aws)).await;
    assert!(hasty.is_err());
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(aws.world().images(REGION).is_empty());
}

#[tokio::test]
async fn a_fault_hits_only_its_turn_action_and_region() {
    let aws = aws_with(Fault::on("CopyImage").in_region(REGION).nth(2).throttle()).await;
    let mut statuses = Vec::new();
    for body in ["Action=CopyImage", "Action=DescribeImages", "Action=CopyImage", "Action=CopyImage"] {
        post(&aws, "us-east-1/ec2", None, body).await.expect("untouched");
        statuses.push(post(&aws, "eu-west-1/ec2", None, body).await.expect("an answer").status.as_u16());
    }
    assert_eq!(statuses, [400, 200, 503, 400]);
    let codes: Vec<_> = aws.world().calls().iter().filter_map(|call| call.code.clone()).collect();
    assert_eq!(codes.iter().filter(|code| *code == "RequestLimitExceeded").count(), 1);
}

#[tokio::test]
async fn entries_of_put_events_fail_behind_http_200() {
    let aws = aws_with(Fault::on("PutEvents").first(1).fail_entries("InternalFailure", "try again")).await;
    let put = json!({ "Entries": [{ "Source": "a", "DetailType": "b", "Detail": "{}" }] }).to_string();
    let answer = post(&aws, "eu-west-1/events", Some("AWSEvents.PutEvents"), &put).await.expect("an answer");
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &body["FailedEntryCount"]), (StatusCode::OK, &json!(1)));
    assert_eq!(body["Entries"][0]["ErrorCode"], "InternalFailure");
    assert!(aws.world().put_events().is_empty());
    post(&aws, "eu-west-1/events", Some("AWSEvents.PutEvents"), &put).await.expect("an answer");
    assert_eq!(aws.world().put_events().len(), 1);
}

#[tokio::test]
async fn one_entry_of_put_events_fails_and_the_others_are_put() {
    let aws = aws_with(Fault::on("PutEvents").fail_entry(1, "ThrottlingException", "try again")).await;
    let entry = |name: &str| json!({ "Source": name, "DetailType": "b", "Detail": "{}" });
    let put = json!({ "Entries": [entry("first"), entry("second"), entry("third")] }).to_string();
    let answer = post(&aws, "eu-west-1/events", Some("AWSEvents.PutEvents"), &put).await.expect("an answer");
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &body["FailedEntryCount"]), (StatusCode::OK, &json!(1)));
    assert_eq!(body["Entries"][1]["ErrorCode"], "ThrottlingException");
    assert!(body["Entries"][0]["EventId"].is_string() && body["Entries"][2]["EventId"].is_string());
    let sources: Vec<_> = aws.world().put_events().into_iter().map(|event| event.source).collect();
    assert_eq!(sources, ["first", "third"]);
}

#[tokio::test]
async fn entries_of_a_message_batch_fail_all_or_one() {
    let all = Fault::on("SendMessageBatch").fail_entries("InternalError", "try again");
    let one = Fault::on("SendMessageBatch").fail_entry(0, "InternalError", "try again");
    for (fault, failed, sent) in [(all, vec!["a", "b"], vec![]), (one, vec!["a"], vec!["body of b"])] {
        let aws = aws_with(fault).await;
        let url = aws.world().add_queue(REGION, "queue", Queue::default());
        let entries = ["a", "b"].map(|id| json!({ "Id": id, "MessageBody": format!("body of {id}") }));
        let batch = json!({ "QueueUrl": url, "Entries": entries }).to_string();
        let answer = post(&aws, "eu-west-1/sqs", Some("AmazonSQS.SendMessageBatch"), &batch).await.expect("an answer");
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(answer.status, StatusCode::OK);
        let ids: Vec<_> = body["Failed"].as_array().expect("a list").iter().map(|entry| entry["Id"].clone()).collect();
        assert_eq!(ids, failed);
        assert_eq!(body["Failed"][0]["SenderFault"], false);
        let bodies: Vec<_> = aws.world().messages(&url).into_iter().map(|message| message.body).collect();
        assert_eq!(bodies, sent);
    }
}

#[tokio::test]
async fn a_call_of_ec2_in_a_region_that_aws_does_not_have_gets_no_answer() {
    let aws = Aws::start().await.expect("a free port");
    assert!(post(&aws, "us-esat-1/ec2", None, "Action=DescribeImages").await.is_err());
    assert_eq!(aws.world().calls()[0].status, 0);
    assert!(post(&aws, "us-east-1/ec2", None, "Action=DescribeImages").await.is_ok());
}

async fn statuses_under(chaos: Chaos, order: impl Iterator<Item = usize>) -> Vec<Option<u16>> {
    let aws = Aws::start().await.expect("a free port");
    aws.world().chaos(chaos);
    let mut statuses = vec![None; 60];
    for at in order {
        let body = format!("Action=DescribeImages&Filter.1.Name=name&Filter.1.Value.1={at}");
        statuses[at] = post(&aws, "eu-west-1/ec2", None, &body).await.ok().map(|answer| answer.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn chaos_is_the_same_for_the_same_seed_in_any_order_of_calls() {
    let forwards = statuses_under(Chaos::new(7, 0.5), 0..60).await;
    let backwards = statuses_under(Chaos::new(7, 0.5), (0..60).rev()).await;
    assert_eq!(forwards, backwards);
    assert_ne!(forwards, statuses_under(Chaos::new(8, 0.5), 0..60).await);
    let hit = forwards.iter().filter(|status| **status != Some(200)).count();
    assert!((15..45).contains(&hit), "{hit} of 60 at a rate of one half");
    assert!(forwards.contains(&None) && forwards.contains(&Some(503)), "several kinds: {forwards:?}");
}

#[tokio::test]
async fn chaos_can_be_limited_to_actions_and_be_cleared() {
    let all_of = |action: &str| Chaos { actions: vec![action.to_owned()], ..Chaos::new(1, 1.0) };
    assert!(statuses_under(all_of("CopyImage"), 0..5).await[..5].iter().all(|status| *status == Some(200)));
    let aws = aws_with(Fault::on_any().every().throttle()).await;
    aws.world().clear_faults();
    assert_eq!(copy(&aws).await, (Some(StatusCode::OK), true));
}
