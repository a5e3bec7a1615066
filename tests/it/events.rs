//! The courier's own events: the bus has one for each copy that starts, is finished, is retired or is rejected.

use std::time::Duration;

use local::aws::{CopyFailure, Fault};
use local::host::Host;
use serde_json::{Value, json};

use crate::life::{announced, built, done, ended, finished, is_finished, on_bus, stage, told};
use crate::stage::{HERE, Stage, THERE, batch, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const MINUTE: Duration = Duration::from_secs(60);

async fn with_source() -> Stage {
    stage().await.with(|world| {
        world.add_image(THERE, built(AMI, "golden-1", 90));
    })
}

/// The events that a life makes: started, finished, retired; and one that is rejected.
async fn live(stage: &Stage) {
    let function = stage.function().await;
    let copy = ended(stage, &function, AMI).await;
    finished(&function, &copy).await;
    retired(stage, &function, &copy).await;
    function.invoke(&json!({ "hello": "world" })).await.expect_err("it is not understood");
}

/// The answer when the copy is retired, seven days after its source.
async fn retired(stage: &Stage, function: &Host, copy: &str) -> Value {
    stage.aws.world().deregister(THERE, AMI);
    function.invoke(&state_change(THERE, AMI, "deregistered")).await.expect("it is marked");
    stage.aws.world().advance(Duration::from_secs(7 * 24 * 3600));
    let found_by_sweep = json!({ "AmiCourier": { "SourceGone": { "ImageId": copy } } });
    function.invoke(&found_by_sweep).await.expect("it is retired")
}

#[tokio::test]
async fn started_finished_retired_and_rejected_are_events_with_the_outcome_as_detail() {
    let stage = with_source().await.set("RETIRE_WITH_SOURCE", "true");
    let function = stage.function().await;
    let started = function.invoke(&state_change(THERE, AMI, "available")).await.unwrap();
    let copy = started[0]["ImageId"].as_str().unwrap();
    stage.aws.world().advance(Duration::from_secs(1200));
    let finished = function.invoke(&state_change(HERE, copy, "available")).await.unwrap();
    let retired = retired(&stage, &function, copy).await;
    let rejected = function.invoke(&json!({ "hello": "world" })).await.unwrap_err().to_string();

    let events = stage.aws.world().put_events();
    let outcomes: Vec<_> = events.iter().map(|event| event.detail["Outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["Started", "Finished", "Retired", "Rejected"]);
    for event in &events {
        assert_eq!((event.source.as_str(), event.detail_type.as_str()), ("ami-courier", "AMI Copy State Change"));
        assert_eq!((event.region.as_str(), event.bus.as_str()), (HERE, "default"));
    }
    for (event, answer) in events.iter().zip([started.clone(), finished, retired]) {
        assert_eq!(event.detail, answer[0]);
        assert_eq!(event.resources, [format!("arn:aws:ec2:{HERE}::image/{copy}")]);
    }
    let detail = &events[3].detail;
    for field in ["Code", "Explanation", "Advice"] {
        assert!(rejected.contains(detail[field].as_str().unwrap()), "{field}: {detail}");
    }
}

#[tokio::test]
async fn the_bus_is_the_one_that_the_setting_names() {
    let stage = with_source().await.set("EVENT_BUS_NAME", "golden-images");
    let function = stage.function().await;
    announced(&function, AMI).await;
    assert_eq!(on_bus(&stage, "Started")[0].bus, "golden-images");
}

#[tokio::test]
async fn without_a_bus_no_event_is_put_and_everything_is_done() {
    let stage = with_source().await.set("EVENT_BUS_NAME", "").set("RETIRE_WITH_SOURCE", "true");
    live(&stage).await;
    assert!(!stage.actions().contains(&"PutEvents".to_owned()));
    assert!(stage.copies().is_empty(), "it was retired");
}

#[tokio::test]
async fn an_ami_that_is_ignored_or_copied_already_is_no_event() {
    let stage = with_source().await;
    let function = stage.function().await;
    announced(&function, AMI).await;
    function.invoke(&state_change(THERE, AMI, "available")).await.expect("it is copied already");
    function.invoke(&state_change(THERE, AMI, "failed")).await.expect("it is ignored");
    assert_eq!(stage.aws.world().put_events().len(), 1);
}

#[tokio::test]
async fn the_couriers_own_events_that_come_back_change_nothing() {
    let stage = with_source().await.set("RETIRE_WITH_SOURCE", "true");
    live(&stage).await;
    let function = stage.function().await;
    stage.aws.world().forget_calls();
    let events = stage.aws.world().put_events();
    assert_eq!(events.len(), 4);
    for event in events {
        let own = json!({
            "version": "0", "id": "1", "detail-type": event.detail_type, "source": event.source, "account": event.account,
            "time": "2026-01-01T00:00:00Z", "region": event.region, "resources": event.resources, "detail": event.detail,
        });
        assert!(done(&function, &batch([("m1", own.to_string())])).await);
    }
    assert_eq!(stage.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn a_bus_that_fails_does_not_stop_a_copy_from_being_started() {
    let faults = [
        Fault::on("PutEvents").error(500, "InternalException", "not now"),
        Fault::on("PutEvents").error(400, "ResourceNotFoundException", "Event bus x does not exist."),
        Fault::on("PutEvents").fail_entries("InternalFailure", "not now"),
        Fault::on("PutEvents").drop_connection(),
    ];
    for fault in faults {
        let stage = with_source().await.with(|world| world.fault(fault));
        let function = stage.function().await;
        announced(&function, AMI).await;
        assert!(function.logs().concat().contains("the event bus did not take the courier's event"));
    }
}

#[tokio::test]
async fn a_copy_is_not_finished_until_the_bus_has_taken_the_event() {
    let stage = with_source().await;
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    stage.aws.world().fault(Fault::on("PutEvents").first(1).fail_entries("ThrottlingException", "not now"));
    assert!(!done(&function, &told(&copy, "available", 1)).await);
    assert!(!is_finished(&stage, &copy));
    assert!(done(&function, &told(&copy, "available", 2)).await);
    assert!(is_finished(&stage, &copy));
    assert_eq!(on_bus(&stage, "Finished").len(), 1);
}

#[tokio::test]
async fn the_finish_is_rejected_with_the_name_of_a_bus_that_does_not_exist() {
    let stage = with_source().await.set("EVENT_BUS_NAME", "golden-images");
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    stage.aws.world().fault(Fault::on("PutEvents").error(
        400,
        "ResourceNotFoundException",
        "Event bus does not exist.",
    ));
    assert!(done(&function, &told(&copy, "available", 1)).await);
    assert!(!is_finished(&stage, &copy));
    let (_, letter) = stage.dead().remove(0);
    assert!(letter["Explanation"].contains("golden-images"), "{letter:?}");
}

#[tokio::test]
async fn a_finish_whose_event_or_tag_is_refused_without_a_reason_is_retried_for_an_hour() {
    for action in ["PutEvents", "CreateTags"] {
        let refused = || Fault::on(action).error(400, "InvalidRequest", "Words that nobody has seen yet");
        let stage = with_source().await;
        let function = stage.function().await;
        let copy = ended(&stage, &function, AMI).await;
        stage.aws.world().fault(refused().first(1));
        assert!(!done(&function, &told(&copy, "available", 1)).await, "{action}");
        assert!(done(&function, &told(&copy, "available", 2)).await, "{action}");
        assert!(is_finished(&stage, &copy) && stage.dead().is_empty(), "{action}");

        let stage = with_source().await.with(|world| world.fault(refused()));
        let function = stage.function().await;
        let copy = ended(&stage, &function, AMI).await;
        stage.aws.world().advance(39 * MINUTE);
        assert!(!done(&function, &told(&copy, "available", 1)).await, "{action}");
        stage.aws.world().advance(MINUTE);
        assert!(done(&function, &told(&copy, "available", 2)).await, "{action}");
        assert_eq!(stage.dead()[0].1["Code"], "InvalidRequest", "{action}");
    }
}

#[tokio::test]
async fn a_failed_copy_is_an_event_with_source_copy_and_advice() {
    let stage = with_source().await.with(|world| world.fail_next_copy(AMI, CopyFailure::key_not_accessible()));
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    assert!(done(&function, &told(&copy, "failed", 1)).await);
    let detail = on_bus(&stage, "Rejected").remove(0).detail;
    assert_eq!(
        [&detail["SourceImageId"], &detail["SourceRegion"], &detail["Region"], &detail["ImageId"], &detail["Code"]],
        [AMI, THERE, HERE, &copy, "CopyFailed"]
    );
    assert!(!detail["Advice"].as_str().unwrap().is_empty());
}
