//! One structured line for each outcome: which message, which AMI, from where to where, what became of it, how long it took.

use local::aws::{Fault, Image};
use local::host::Host;
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, ami, batch, request, state_change};

/// The log lines that tell of an outcome.
fn outcomes(function: &Host) -> Vec<Value> {
    let lines = function.logs();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| !line["fields"]["outcome"].is_null()).collect()
}

async fn stage() -> Stage {
    Stage::new().await.set("AWS_LAMBDA_LOG_FORMAT", "JSON").with(|world| {
        for n in 1..=4 {
            world.add_image(THERE, Image::new(ami(n), format!("golden-{n}")));
        }
        world.add_image("us-west-2", Image::new(ami(5), "golden-5"));
        world.fault(Fault::on("DescribeImages").in_region("us-west-2").error(403, "AuthFailure", "not today"));
        world.fault(Fault::on("DescribeImages").in_region("ca-central-1").error(400, "SomethingNew", "later"));
    })
}

#[tokio::test]
async fn each_outcome_is_one_line_with_its_message_source_region_copy_outcome_and_milliseconds() {
    let stage = stage().await;
    let function = stage.function().await;
    let told = |region: &str, n| state_change(region, &ami(n), "available").to_string();
    let records = batch([
        ("m1", told(THERE, 1)),
        ("m2", state_change(THERE, &ami(2), "failed").to_string()),
        ("m3", told("us-west-2", 5)),
        ("m4", told("ca-central-1", 6)),
        ("m5", "no JSON".to_owned()),
    ]);
    function.invoke(&records).await.unwrap();
    let lines = outcomes(&function);
    assert_eq!(lines.len(), 5, "{lines:#?}");
    for (message, source, region, outcome, level, code) in [
        ("m1", ami(1), THERE, "Started", "INFO", Value::Null),
        ("m2", ami(2), THERE, "Ignored", "INFO", Value::Null),
        ("m3", ami(5), "us-west-2", "Rejected", "ERROR", json!("AuthFailure")),
        ("m4", ami(6), "ca-central-1", "Retry", "WARN", json!("SomethingNew")),
        ("m5", String::new(), "", "Rejected", "ERROR", json!("NotUnderstood")),
    ] {
        let of_message: Vec<&Value> = lines.iter().filter(|line| line["fields"]["message_id"] == message).collect();
        let [line] = of_message.as_slice() else { panic!("{message}: {lines:#?}") };
        let fields = &line["fields"];
        assert_eq!(
            (&fields["source_image"], &fields["source_region"], &fields["region"], &fields["outcome"], &fields["code"]),
            (&json!(source), &json!(region), &json!(HERE), &json!(outcome), &code),
            "{line}"
        );
        assert_eq!(line["level"], level, "{line}");
        assert!(fields["milliseconds"].is_u64(), "{line}");
        let copy = if outcome == "Started" { json!(stage.copies()[0].id) } else { Value::Null };
        assert_eq!(fields.get("copy").filter(|copy| **copy != "").unwrap_or(&Value::Null), &copy, "{line}");
    }
}

#[tokio::test]
async fn what_came_through_no_queue_is_logged_the_same_without_a_message_id() {
    let stage = stage().await;
    let function = stage.function().await;
    function.invoke(&request(&ami(1), "golden-1")).await.unwrap();
    function.invoke(&state_change(THERE, &ami(1), "available")).await.unwrap();
    let seen: Vec<(Value, Value)> = outcomes(&function)
        .iter()
        .map(|line| (line["fields"]["message_id"].clone(), line["fields"]["outcome"].clone()))
        .collect();
    assert_eq!(seen, [(json!(""), json!("Started")), (json!(""), json!("AlreadyCopied"))]);
}

#[tokio::test]
async fn an_announcement_of_several_amis_is_a_line_for_each() {
    let stage = stage().await;
    let function = stage.function().await;
    let arn = |n| format!("arn:aws:ec2:{THERE}::image/{}", ami(n));
    let event =
        json!({ "source": "my.pipeline", "detail-type": "Built", "resources": [arn(1), arn(2), arn(3)], "detail": {} });
    function.invoke(&batch([("m1", event.to_string())])).await.unwrap();
    let sources: Vec<Value> = outcomes(&function).iter().map(|line| line["fields"]["source_image"].clone()).collect();
    assert_eq!(sources, [json!(ami(1)), json!(ami(2)), json!(ami(3))]);
}

#[tokio::test]
async fn a_wrong_setting_is_logged_as_a_structured_error() {
    let stage = stage().await.set("DRY_RUN", "perhaps");
    let error = stage.function_in(HERE).start().await.unwrap_err();
    let lines: Vec<Value> = error.logs.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = lines.iter().find(|line: &&Value| line["level"] == "ERROR").expect("a line of level ERROR");
    assert!(line["fields"]["error"].as_str().unwrap().contains("DRY_RUN is `perhaps`"), "{line}");
}

#[tokio::test]
async fn credentials_and_message_bodies_stay_out_of_the_log() {
    let stage = stage().await;
    let function = stage.function().await;
    let mut event = state_change(THERE, &ami(1), "available");
    event["detail"]["Secret"] = json!("hunter2");
    function.invoke(&batch([("m1", event.to_string())])).await.unwrap();
    let secrets = ["hunter2", "LOCL"];
    let told: Vec<String> =
        function.logs().into_iter().filter(|line| secrets.iter().any(|secret| line.contains(secret))).collect();
    assert!(told.is_empty(), "{told:#?}");
}
