//! A wrong question is rejected with the reason, and so is one that nobody waits for.

use local::aws::Fault;
use local::host::InvokeError;
use serde_json::{Value, json};

use super::{HOUR, source, stage, status};
use crate::stage::{THERE, batch, failures};

#[tokio::test]
async fn a_wrong_question_is_rejected_with_its_field_its_value_and_the_rule() {
    let stage = stage().await;
    let function = stage.function().await;
    let long = "n".repeat(10_000);
    let cases: Vec<(Value, &[&str])> = vec![
        (json!({ "Status": null }), &["NotUnderstood", "exactly one field `Status`"]),
        (json!({ "Status": [] }), &["NotUnderstood"]),
        (json!({ "Status": {}, "Days": 3 }), &["NotUnderstood", "exactly one field `Status`"]),
        (json!({ "Status": { "days": 3 } }), &["UnknownParameter", "`days`", "`Days`, `NamePatterns`, `NextToken`"]),
        (json!({ "Status": { long.clone(): 3 } }), &["UnknownParameter", "nnn… (10000 bytes)"]),
        (json!({ "Status": { "Days": 0 } }), &["InvalidParameterValue", "`Days` is `0`", "1 to 3650"]),
        (json!({ "Status": { "Days": 3651 } }), &["`Days` is `3651`", "1 to 3650"]),
        (json!({ "Status": { "Days": 1.5 } }), &["`Days` is `1.5`"]),
        (json!({ "Status": { "Days": "7" } }), &["`Days` is `7`"]),
        (json!({ "Status": { "NamePatterns": [] } }), &["`NamePatterns` is `[]`", "a list of globs"]),
        (json!({ "Status": { "NamePatterns": ["golden-*", 5] } }), &["`NamePatterns` is `5`", "a list of globs"]),
        (json!({ "Status": { "NamePatterns": ["gölden"] } }), &["`NamePatterns` is `gölden`", "letters, digits and"]),
        (json!({ "Status": { "NamePatterns": "" } }), &["`NamePatterns` is ``", "letters, digits and"]),
        (json!({ "Status": { "NextToken": "page 2" } }), &["`NextToken` is `page 2`", "of the page before"]),
        (json!({ "Status": { "NextToken": "Missing/1/us-east-1/ami-5731123e/5" } }), &["`NextToken`"]),
    ];
    for (question, parts) in cases {
        match function.invoke(&question).await {
            Err(InvokeError::Function { error_type, message }) if error_type == "Rejected" => {
                for part in parts {
                    assert!(message.contains(part), "`{part}` is not in `{message}`");
                }
                assert!(message.len() < 1000, "{message}");
            }
            other => panic!("{question}: {other:?}"),
        }
    }
    assert_eq!(stage.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn a_question_in_the_queue_goes_to_the_dead_letters_since_nobody_would_read_the_answer() {
    let stage = stage().await;
    let function = stage.function().await;
    for question in [json!({ "Status": {} }), json!({ "describe": true }), json!({ "widgetContext": {} })] {
        let answer = function.invoke(&batch([("m1", question.to_string())])).await.unwrap();
        assert_eq!(failures(&answer), Vec::<String>::new());
    }
    let dead: Vec<String> = stage.dead().into_iter().map(|(_, why)| why["Code"].clone()).collect();
    assert_eq!(dead, ["NoCaller"; 3]);
    assert!(stage.actions().iter().all(|action| !action.starts_with("Describe")), "{:?}", stage.actions());
}

#[tokio::test]
async fn a_source_region_that_cannot_be_listed_is_named_and_the_others_are_answered() {
    let stage = stage().await.set("SOURCE_REGIONS", "us-east-1,us-west-2").set("AWS_MAX_ATTEMPTS", "1");
    {
        let mut world = stage.aws.world();
        world.add_image(THERE, source(1, 5 * HOUR));
        let denied = Fault::on("DescribeImages").in_region("us-west-2");
        world.fault(denied.error(403, "UnauthorizedOperation", "You are not authorized to perform this operation."));
    }
    let answer = status(&stage, &stage.function().await, json!({})).await;
    assert_eq!((&answer["Total"], &answer["SourceRegions"]), (&json!(1), &json!([THERE])));
    assert_eq!(answer["NotListed"][0]["Region"], "us-west-2");
    let reason = answer["NotListed"][0]["Reason"].as_str().unwrap();
    assert!(reason.contains("UnauthorizedOperation"), "{reason}");
}
