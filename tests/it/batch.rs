//! How Lambda hands work over and takes answers: no announcement is lost, and one record does not affect another.

use std::time::Duration;

use local::aws::{Fault, Image};
use local::host::InvokeError;
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, ami, batch, failures, request, state_change};

/// A second source Region, which a test can disturb by itself.
const ELSEWHERE: &str = "us-west-2";

fn available(region: &str, n: usize) -> String {
    state_change(region, &ami(n), "available").to_string()
}

/// Ten sources, the eighth of them in a Region that throttles every look.
async fn stage_of_ten() -> Stage {
    Stage::new().await.with(|world| {
        for n in 0..10 {
            let region = if n == 7 { ELSEWHERE } else { THERE };
            world.add_image(region, Image::new(ami(n), format!("golden-{n}")));
        }
        world.fault(Fault::on("DescribeImages").in_region(ELSEWHERE).throttle());
    })
}

const IDS: [&str; 10] = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"];

/// The third is unreadable, the fifth malformed, the eighth throttled.
fn batch_of_ten() -> Value {
    batch(IDS.into_iter().enumerate().map(|(n, id)| {
        let body = match n {
            2 => "the image is ready!".to_owned(),
            4 => request(&ami(4), "golden:latest").to_string(),
            7 => available(ELSEWHERE, 7),
            n => available(THERE, n),
        };
        (id, body)
    }))
}

#[tokio::test]
async fn of_ten_records_the_unreadable_the_malformed_and_the_throttled_fail_by_their_ids_and_seven_are_copied() {
    let stage = stage_of_ten().await.set("DEAD_LETTER_QUEUE_URL", "");
    let mut failed = failures(&stage.function().await.invoke(&batch_of_ten()).await.unwrap());
    failed.sort();
    assert_eq!(failed, ["m2", "m4", "m7"]);
    assert_eq!(stage.copied(), [0, 1, 3, 5, 6, 8, 9].map(ami).into());
    assert_eq!(stage.copies().len(), 7);
}

#[tokio::test]
async fn with_a_dead_letter_queue_it_takes_the_rejected_with_the_reason_and_only_the_throttled_fails() {
    let stage = stage_of_ten().await;
    let answer = stage.function().await.invoke(&batch_of_ten()).await.unwrap();
    assert_eq!(failures(&answer), ["m7"]);
    assert_eq!(stage.copies().len(), 7);
    let mut dead = stage.dead();
    dead.sort();
    let [(unreadable, why_unreadable), (malformed, why_malformed)] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!(unreadable, "the image is ready!");
    assert_eq!(*malformed, request(&ami(4), "golden:latest").to_string());
    assert_eq!(why_unreadable["Code"], "NotUnderstood");
    assert_eq!(why_malformed["Code"], "InvalidAMIName.Malformed");
    assert!(why_malformed["Explanation"].contains("`Name` is `golden:latest`"), "{why_malformed:?}");
}

#[tokio::test]
async fn a_rejected_record_that_the_dead_letter_queue_does_not_take_stays_in_its_queue() {
    let stage = Stage::new().await.source(&ami(1), "golden-1").with(|world| {
        world.fault(Fault::on("SendMessage").error(403, "AccessDenied", "no"));
    });
    let records = batch([("m1", available(THERE, 1)), ("m2", "no JSON".to_owned())]);
    assert_eq!(failures(&stage.function().await.invoke(&records).await.unwrap()), ["m2"]);
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_record_without_a_message_id_fails_the_whole_batch_when_it_fails_and_not_otherwise() {
    let stage = Stage::new().await.source(&ami(1), "golden-1").set("DEAD_LETTER_QUEUE_URL", "");
    let function = stage.function().await;
    let without_id = |body: String| {
        let mut records = batch([("m1", available(THERE, 1)), ("m2", body)]);
        records["Records"][1].as_object_mut().unwrap().remove("messageId");
        records
    };
    let answer = function.invoke(&without_id(available(THERE, 1))).await.unwrap();
    assert_eq!(failures(&answer), Vec::<String>::new());
    let error = function.invoke(&without_id("no JSON".to_owned())).await.unwrap_err();
    let InvokeError::Function { error_type, message } = error else { panic!("{error}") };
    assert_eq!(error_type, "Retry");
    assert!(message.contains("without a messageId") && message.contains("whole batch"), "{message}");
    assert_eq!(stage.copies().len(), 1, "its neighbour was copied all the same");
}

#[tokio::test]
async fn a_record_without_a_message_id_that_is_rejected_needs_no_report_once_the_dead_letter_queue_has_it() {
    let stage = Stage::new().await;
    let mut records = batch([("m1", "no JSON".to_owned())]);
    records["Records"][0]["messageId"] = Value::Null;
    let answer = stage.function().await.invoke(&records).await.unwrap();
    assert_eq!(failures(&answer), Vec::<String>::new());
    assert_eq!(stage.dead().len(), 1);
}

#[tokio::test]
async fn a_record_that_is_not_as_sqs_sends_it_is_reported_by_its_id_and_the_others_are_done() {
    let stage = Stage::new().await.source(&ami(1), "golden-1").set("DEAD_LETTER_QUEUE_URL", "");
    let mut records = batch([("m1", available(THERE, 1)), ("m2", String::new()), ("m3", String::new())]);
    records["Records"][1]["body"] = json!({ "not": "a string" });
    records["Records"][2].as_object_mut().unwrap().remove("body");
    let mut failed = failures(&stage.function().await.invoke(&records).await.unwrap());
    failed.sort();
    assert_eq!(failed, ["m2", "m3"]);
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn an_id_that_two_records_share_is_reported_once_and_both_records_are_handled() {
    let stage = Stage::new().await.source(&ami(1), "golden-1").set("DEAD_LETTER_QUEUE_URL", "");
    let function = stage.function().await;
    let both_bad = batch([("m1", "no JSON".to_owned()), ("m1", "neither".to_owned())]);
    assert_eq!(failures(&function.invoke(&both_bad).await.unwrap()), ["m1"]);
    let one_bad = batch([("m1", "no JSON".to_owned()), ("m1", available(THERE, 1))]);
    assert_eq!(failures(&function.invoke(&one_bad).await.unwrap()), ["m1"]);
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn an_empty_batch_is_done_without_a_call() {
    let stage = Stage::new().await;
    let answer = stage.function().await.invoke(&json!({ "Records": [] })).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(stage.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn each_record_of_a_fifo_queue_stands_alone_as_in_any_queue() {
    let stage = stage_of_ten().await;
    let mut records = batch([
        ("a0", available(THERE, 0)),
        ("a7", available(ELSEWHERE, 7)),
        ("a1", "no JSON".to_owned()),
        ("a2", available(THERE, 2)),
    ]);
    for record in records["Records"].as_array_mut().unwrap() {
        record["eventSourceARN"] = json!(format!("arn:aws:sqs:{HERE}:123456789012:announcements.fifo"));
        record["attributes"]["MessageGroupId"] = json!("a");
    }
    assert_eq!(failures(&stage.function().await.invoke(&records).await.unwrap()), ["a7"]);
    assert_eq!((stage.copied(), stage.dead().len()), ([0, 2].map(ami).into(), 1));
}

#[tokio::test]
async fn a_record_that_the_deadline_cuts_comes_back_as_a_failure_and_the_others_are_done() {
    let stage = Stage::new().await.timeout(Duration::from_secs(4)).with(|world| {
        for n in 0..3 {
            world.add_image(THERE, Image::new(ami(n), format!("golden-{n}")));
        }
        world.fault(Fault::on("DescribeImages").in_region(ELSEWHERE).slow(Duration::from_secs(30)));
    });
    let records = batch([
        ("m0", available(THERE, 0)),
        ("slow", available(ELSEWHERE, 9)),
        ("m1", available(THERE, 1)),
        ("m2", available(THERE, 2)),
    ]);
    let function = stage.function().await;
    assert_eq!(failures(&function.invoke(&records).await.unwrap()), ["slow"]);
    assert_eq!(stage.copied(), [0, 1, 2].map(ami).into());
    assert!(function.logs().iter().any(|line| line.contains("no time left") && line.contains("slow")));
    let error = function.invoke(&state_change(ELSEWHERE, &ami(9), "available")).await.unwrap_err();
    assert!(matches!(&error, InvokeError::Function { error_type, .. } if error_type == "Retry"), "{error}");
}

#[tokio::test]
async fn ten_records_are_worked_on_at_the_same_time() {
    let stage = Stage::new().await.with(|world| {
        for n in 0..10 {
            world.add_image(THERE, Image::new(ami(n), format!("golden-{n}")));
        }
        world.fault(Fault::on("DescribeImages").in_region(THERE).slow(Duration::from_secs(4)));
    });
    let function = stage.function().await;
    let records = batch(IDS.into_iter().enumerate().map(|(n, id)| (id, available(THERE, n))));
    let unanswered = || {
        let calls = stage.aws.world().calls();
        calls.iter().filter(|call| call.region == THERE && call.status == 0).count()
    };
    let invocation = function.invoke(&records);
    tokio::pin!(invocation);
    let most_at_once = async {
        while unanswered() < 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        answer = &mut invocation => panic!("never were ten calls under way at once: {answer:?}"),
        () = most_at_once => {}
    }
    assert_eq!(failures(&invocation.await.unwrap()), Vec::<String>::new());
    assert_eq!(stage.copies().len(), 10);
}

fn in_sns(message: &Value) -> Value {
    json!({ "Records": [{
        "EventVersion": "1.0", "EventSource": "aws:sns", "EventSubscriptionArn": "arn:aws:sns:us-east-1:123456789012:t:s",
        "Sns": { "Type": "Notification", "MessageId": "s1", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t",
                 "Subject": null, "Message": message.to_string(), "MessageAttributes": {} },
    }] })
}

#[tokio::test]
async fn a_direct_request_is_answered_with_its_one_outcome_and_everything_else_with_a_list() {
    let stage = Stage::new().await.source(&ami(1), "golden-1").source(&ami(2), "golden-2").source(&ami(3), "golden-3");
    let function = stage.function().await;
    let direct = function.invoke(&request(&ami(1), "golden-1")).await.unwrap();
    let [copy] = stage.copies().try_into().unwrap();
    assert_eq!(
        direct,
        json!({
            "Outcome": "Started", "ImageId": copy.id, "Name": "golden-1", "SourceImageId": ami(1), "SourceRegion": THERE,
            "Region": HERE, "ClientToken": stage.copy_image_calls()[0]["ClientToken"],
        })
    );
    let custom = json!({ "source": "my.pipeline", "detail-type": "Built", "detail": request(&ami(2), "golden-2") });
    for (message, id) in [(state_change(THERE, &ami(1), "available"), 1), (custom, 2)] {
        let by_event = function.invoke(&message).await.unwrap();
        assert_eq!(by_event.as_array().map(Vec::len), Some(1), "{by_event}");
        assert_eq!(by_event[0]["SourceImageId"], ami(id));
    }
    let by_sns = function.invoke(&in_sns(&state_change(THERE, &ami(3), "available"))).await.unwrap();
    assert_eq!(by_sns[0]["Outcome"], "Started", "{by_sns}");
    let ignored = function.invoke(&state_change(THERE, &ami(3), "failed")).await.unwrap();
    assert_eq!(ignored[0]["Outcome"], "Ignored", "{ignored}");
}

#[tokio::test]
async fn a_retry_or_a_rejection_is_an_error_with_the_reason_to_a_caller_who_waits() {
    let stage = Stage::new().await.with(|world| {
        world.fault(Fault::on("DescribeImages").in_region(ELSEWHERE).throttle());
    });
    let function = stage.function().await;
    let rejected = request(&ami(1), "golden:latest");
    let mut throttled = request(&ami(7), "golden-7");
    throttled["SourceRegion"] = json!(ELSEWHERE);
    for (message, kind, code) in [
        (rejected.clone(), "Rejected", "InvalidAMIName.Malformed"),
        (in_sns(&rejected), "Rejected", "InvalidAMIName.Malformed"),
        (json!({ "hello": "world" }), "Rejected", "NotUnderstood"),
        (throttled, "Retry", "RequestLimitExceeded"),
        (state_change(ELSEWHERE, &ami(7), "available"), "Retry", "RequestLimitExceeded"),
        (in_sns(&state_change(ELSEWHERE, &ami(7), "available")), "Retry", "RequestLimitExceeded"),
    ] {
        let error = function.invoke(&message).await.unwrap_err();
        let InvokeError::Function { error_type, message } = error else { panic!("{error}") };
        assert_eq!(error_type, kind, "{message}");
        assert!(message.starts_with(&format!("{code}: ")), "{message}");
        let follows = if kind == "Retry" { " Temporary: " } else { " What to do: " };
        assert!(message.contains(follows) && message.ends_with('.') && !message.contains(".."), "{message}");
    }
    assert_eq!(stage.copies().len(), 0);
}

#[tokio::test]
async fn each_ami_of_a_message_about_several_is_handled_and_a_throttled_one_brings_the_message_back() {
    let stage = stage_of_ten().await;
    let function = stage.function().await;
    let both = json!({
        "source": "my.pipeline", "detail-type": "Built", "detail": {},
        "resources": [format!("arn:aws:ec2:{ELSEWHERE}::image/{}", ami(7)), format!("arn:aws:ec2:{THERE}::image/{}", ami(1))],
    });
    assert_eq!(failures(&function.invoke(&batch([("m1", both.to_string())])).await.unwrap()), ["m1"]);
    assert_eq!(stage.copied(), [ami(1)].into());
    let error = function.invoke(&both).await.unwrap_err();
    assert!(matches!(&error, InvokeError::Function { error_type, .. } if error_type == "Retry"), "{error}");
    stage.aws.world().clear_faults();
    assert_eq!(failures(&function.invoke(&batch([("m1", both.to_string())])).await.unwrap()), Vec::<String>::new());
    assert_eq!(stage.copied(), [ami(1), ami(7)].into());
    assert_eq!(stage.copies().len(), 2);
}

#[tokio::test]
async fn bytes_that_are_no_json_are_an_error_and_the_function_continues() {
    let stage = Stage::new().await.source(&ami(1), "golden-1");
    let function = stage.function().await;
    let pid = function.pid();
    for payload in [&b"\xff\xfe{"[..], b"{", b""] {
        assert!(function.invoke_raw(payload).await.is_err());
    }
    assert_eq!(function.pid(), pid);
    assert_eq!(function.invoke(&request(&ami(1), "golden-1")).await.unwrap()["Outcome"], "Started");
}

#[tokio::test]
async fn a_message_that_comes_back_for_one_of_its_amis_is_no_dead_letter_for_the_other_yet() {
    let stage = stage_of_ten().await.with(|world| {
        let refused = Fault::on("CopyImage").error(400, "UnauthorizedOperation", "a policy denies it");
        world.fault(refused.naming(&ami(1)).every());
    });
    let function = stage.function().await;
    let both = json!({
        "source": "my.pipeline", "detail-type": "Built", "detail": {},
        "resources": [format!("arn:aws:ec2:{THERE}::image/{}", ami(1)), format!("arn:aws:ec2:{ELSEWHERE}::image/{}", ami(7))],
    });
    assert_eq!(failures(&function.invoke(&batch([("m1", both.to_string())])).await.unwrap()), ["m1"]);
    assert_eq!(stage.dead().len(), 0);
    // Lambda tries a Retry again, and so it is one as long as one of the two is.
    let error = function.invoke(&both).await.unwrap_err();
    assert!(matches!(&error, InvokeError::Function { error_type, .. } if error_type == "Retry"), "{error}");
    stage.aws.world().clear_faults();
}

#[tokio::test]
async fn a_record_of_another_form_in_a_batch_is_a_record_too() {
    let stage = stage_of_ten().await;
    let mut message = batch([("m0", available(THERE, 0)), ("m1", available(THERE, 1))]);
    message["Records"][1]["eventSource"] = json!("aws:other");
    assert_eq!(failures(&stage.function().await.invoke(&message).await.unwrap()), Vec::<String>::new());
    assert_eq!(stage.copied(), [ami(0), ami(1)].into());
}
