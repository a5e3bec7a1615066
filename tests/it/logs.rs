//! One structured line for each outcome: which message, which AMI, from where to where, the outcome, how long it took.
//!
//! A line that is written while the function works on a message is in the span `message` (`id`), and one that is about a
//! source AMI in the span `source` (`image`, `region`) or has it in its fields. So each can be found by both.

use std::time::Duration;

use local::aws::{Fault, Image};
use local::host::Host;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::stage::{HERE, Stage, THERE, ami, batch, failures, request, state_change};

/// The lines of the log, without the metrics.
fn lines(function: &Host) -> Vec<Value> {
    let lines = function.logs();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["_aws"].is_null()).collect()
}

/// The lines with an outcome.
fn outcomes(function: &Host) -> Vec<Value> {
    lines(function).into_iter().filter(|line| !line["fields"]["outcome"].is_null()).collect()
}

/// The span of this name that a line is in.
fn span<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    line["spans"].as_array()?.iter().find(|span| span["name"] == name)
}

/// The message that a line belongs to; empty for none.
fn message_id(line: &Value) -> &str {
    span(line, "message").and_then(|span| span["id"].as_str()).unwrap_or_default()
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
    let available = |region: &str, n| state_change(region, &ami(n), "available").to_string();
    let records = batch([
        ("m1", available(THERE, 1)),
        ("m2", state_change(THERE, &ami(2), "failed").to_string()),
        ("m3", available("us-west-2", 5)),
        ("m4", available("ca-central-1", 6)),
        ("m5", "no JSON".to_owned()),
    ]);
    function.invoke(&records).await.unwrap();
    let lines = outcomes(&function);
    assert_eq!(lines.len(), 5, "{lines:#?}");
    // What a line does not know is no field of it.
    let said = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    for (message, source, region, outcome, level, code) in [
        ("m1", ami(1), THERE, "Started", "INFO", Value::Null),
        ("m2", ami(2), THERE, "Ignored", "INFO", Value::Null),
        ("m3", ami(5), "us-west-2", "Rejected", "ERROR", json!("AuthFailure")),
        ("m4", ami(6), "ca-central-1", "Retry", "WARN", json!("SomethingNew")),
        ("m5", String::new(), "", "Rejected", "ERROR", json!("NotUnderstood")),
    ] {
        let of_message: Vec<&Value> = lines.iter().filter(|line| message_id(line) == message).collect();
        let [line] = of_message.as_slice() else { panic!("{message}: {lines:#?}") };
        let fields = &line["fields"];
        assert_eq!(
            (&fields["source_image"], &fields["source_region"], &fields["region"], &fields["outcome"], &fields["code"]),
            (&said(&source), &said(region), &json!(HERE), &json!(outcome), &code),
            "{line}"
        );
        assert_eq!(line["level"], level, "{line}");
        assert!(fields["milliseconds"].is_u64(), "{line}");
        let copy = if outcome == "Started" { json!(stage.copies()[0].id) } else { Value::Null };
        assert_eq!(fields.get("copy").unwrap_or(&Value::Null), &copy, "{line}");
    }
}

#[tokio::test]
async fn an_outcome_of_a_direct_request_or_an_event_is_logged_the_same_and_belongs_to_no_message() {
    let stage = stage().await;
    let function = stage.function().await;
    function.invoke(&request(&ami(1), "golden-1")).await.unwrap();
    function.invoke(&state_change(THERE, &ami(1), "available")).await.unwrap();
    let lines = outcomes(&function);
    let seen: Vec<_> = lines.iter().map(|line| (span(line, "message"), &line["fields"]["outcome"])).collect();
    assert_eq!(seen, [(None, &json!("Started")), (None, &json!("AlreadyCopied"))]);
    assert!(lines.iter().all(|line| line["fields"]["source_image"] == ami(1)), "{lines:#?}");
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

/// One with more tags than its copy has room for, which a line of the log says.
fn with_many_tags(n: usize) -> Image {
    (0..50).fold(Image::new(ami(n), format!("golden-{n}")), |image, tag| image.tag(&format!("key-{tag:02}"), "value"))
}

/// By the first line that says it: what the log says about each source AMI on the way to its outcome.
fn left_out(function: &Host) -> Vec<Value> {
    lines(function).into_iter().filter(|line| !line["fields"]["left_out"].is_null()).collect()
}

#[tokio::test]
async fn every_line_on_the_way_to_an_outcome_is_found_by_its_message_and_by_its_source() {
    let stage = Stage::new().await.set("AWS_LAMBDA_LOG_FORMAT", "JSON").with(|world| {
        for n in 1..=3 {
            world.add_image(THERE, with_many_tags(n));
        }
    });
    let function = stage.function().await;
    let records = ["m1", "m2", "m3"].into_iter().zip(1..);
    let records = records.map(|(id, n)| (id, state_change(THERE, &ami(n), "available").to_string()));
    assert_eq!(failures(&function.invoke(&batch(records)).await.unwrap()), Vec::<String>::new());
    let lines = left_out(&function);
    let mut found: Vec<_> = lines
        .iter()
        .map(|line| {
            let source = span(line, "source").expect("the span of the source AMI");
            (message_id(line), source["image"].as_str().unwrap(), source["region"].as_str().unwrap())
        })
        .collect();
    found.sort_unstable();
    let expected = [ami(1), ami(2), ami(3)];
    assert_eq!(found, [("m1", &*expected[0], THERE), ("m2", &*expected[1], THERE), ("m3", &*expected[2], THERE)]);
}

#[tokio::test]
async fn a_line_about_an_ami_that_a_sweep_found_is_found_by_its_source() {
    let stage = Stage::new().await.set("AWS_LAMBDA_LOG_FORMAT", "JSON").with(|world| {
        for n in 1..=3 {
            world.add_image(THERE, with_many_tags(n));
        }
    });
    let stage = stage.set("SOURCE_REGIONS", THERE).set("BACKFILL_DAYS", "3650");
    let function = stage.function().await;
    stage.sweep(&function).await.unwrap();
    assert_eq!(stage.copied(), [1, 2, 3].map(ami).into());
    let sources = |lines: Vec<Value>, of: fn(&Value) -> Value| {
        let mut sources: Vec<String> = lines.iter().map(|line| of(line).as_str().unwrap().to_owned()).collect();
        sources.sort();
        sources
    };
    let in_span = |line: &Value| span(line, "source").expect("the span of the source AMI")["image"].clone();
    assert_eq!(sources(left_out(&function), in_span), [1, 2, 3].map(ami));
    let in_fields = |line: &Value| line["fields"]["source_image"].clone();
    assert_eq!(sources(outcomes(&function), in_fields), [1, 2, 3].map(ami));
}

#[tokio::test]
async fn the_line_about_a_record_that_there_was_no_time_for_is_found_by_its_message() {
    let stage = stage().await.timeout(Duration::from_secs(3)).with(|world| {
        world.fault(Fault::on("DescribeImages").in_region(THERE).slow(Duration::from_secs(30)));
    });
    let function = stage.function().await;
    let records = batch([("m1", state_change(THERE, &ami(1), "available").to_string())]);
    assert_eq!(failures(&function.invoke(&records).await.unwrap()), ["m1"]);
    let lines = lines(&function);
    let line = lines.iter().find(|line| line["fields"]["message"] == "not done").expect("a line");
    assert_eq!((message_id(line), line["level"].as_str()), ("m1", Some("WARN")), "{line}");
    assert!(line["fields"]["error"].as_str().unwrap().starts_with("OutOfTime: "), "{line}");
}

#[tokio::test]
async fn every_line_has_a_level_and_a_timestamp_in_the_format_that_lambda_reads() {
    let stage = stage().await;
    let function = stage.function().await;
    let began = OffsetDateTime::now_utc() - time::Duration::minutes(1);
    function.invoke(&batch([("m1", state_change(THERE, &ami(1), "available").to_string())])).await.unwrap();
    let lines = lines(&function);
    assert!(lines.len() >= 2, "the start and an outcome: {lines:#?}");
    for line in &lines {
        let timestamp = OffsetDateTime::parse(line["timestamp"].as_str().unwrap_or_default(), &Rfc3339);
        let timestamp = timestamp.unwrap_or_else(|why| panic!("{why}: {line}"));
        assert!(began <= timestamp && timestamp <= OffsetDateTime::now_utc(), "{line}");
        assert!(["INFO", "WARN", "ERROR"].contains(&line["level"].as_str().unwrap_or_default()), "{line}");
    }
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
    let leaked: Vec<String> =
        function.logs().into_iter().filter(|line| secrets.iter().any(|secret| line.contains(secret))).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
}

#[tokio::test]
async fn a_line_has_no_empty_field_and_no_rust() {
    let stage = Stage::new().await.source(&ami(1), "golden-1").with(|world| {
        world.fault(Fault::on("CopyImage").first(1).error(
            403,
            "UnauthorizedOperation",
            "You are not authorized to perform this operation.",
        ));
    });
    let function = stage.function().await;
    assert!(function.invoke(&state_change(THERE, &ami(1), "available")).await.is_err());
    assert!(function.invoke(&state_change(THERE, &ami(1), "available")).await.is_ok());
    assert!(function.invoke(&json!({ "weather": "fine" })).await.is_err());
    let lines: Vec<String> = function.logs().into_iter().filter(|line| line.contains("milliseconds")).collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for line in lines {
        for never in ["=\"\"", ":\"\"", "Some(", "None", "Error {", "Unhandled"] {
            assert!(!line.contains(never), "{never}: {line}");
        }
    }
}
