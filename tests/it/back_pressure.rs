//! Back-pressure: a message that fails for a temporary cause is hidden for a while, again and again; one that can never
//! succeed becomes a dead letter with the reason. A burst drains at the pace that EC2 allows.

use std::sync::Arc;
use std::time::Duration;

use local::aws::{Aws, Fault, Image, ImageState, START};
use serde_json::{Value, json};

use crate::poller::{Habits, Poller};
use crate::stage::{HERE, Stage, THERE, batch, failures, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const MINUTE: Duration = Duration::from_secs(60);

fn id_of(number: u32) -> String {
    format!("ami-{number:017x}")
}

/// So many AMIs, each announced by EC2's event, all at once.
fn burst(stage: &Stage, count: u32) {
    let mut world = stage.aws.world();
    for number in 1..=count {
        world.add_image(THERE, Image::new(id_of(number), format!("golden-{number}")));
        world.send(&stage.queue, &state_change(THERE, &id_of(number), "available").to_string());
    }
}

async fn poller(stage: &Stage) -> Poller {
    let executions = vec![Arc::new(stage.function().await), Arc::new(stage.function().await)];
    Poller::new(&stage.aws, &stage.queue, executions, 1)
}

fn with_state(aws: &Aws, state: ImageState) -> usize {
    aws.world().images(HERE).iter().filter(|image| image.state == state).count()
}

fn finished(aws: &Aws) -> usize {
    aws.world().images(HERE).iter().filter(|image| image.tags.contains_key("ami-courier:finished")).count()
}

/// `BURST=1000 cargo test --test it burst -- --nocapture` prints the time line of a thousand.
#[tokio::test]
async fn a_burst_drains_at_twenty_copies_in_progress_without_a_dead_letter() {
    let count = std::env::var("BURST").map_or(100, |count| count.parse().expect("a number"));
    let stage = Stage::new().await.set("EVENT_BUS_NAME", "").set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.behaviour.snapshot_copies_limit = 20;
        world.behaviour.copy_duration = 20 * MINUTE;
    });
    burst(&stage, count);
    let mut poller = poller(&stage).await;
    println!("minute | copied | finished | in progress | in the queue | calls");
    for minute in (0..48 * 60_u32).step_by(30) {
        poller.run_until(START + minute * MINUTE).await;
        let queued = stage.aws.world().messages(&stage.queue).len();
        let (pending, done) = (with_state(&stage.aws, ImageState::Pending), finished(&stage.aws));
        assert!(pending <= 20, "{pending} copies in progress");
        let calls: u64 = poller.tally.calls.values().sum();
        println!("{minute:6} | {:6} | {done:8} | {pending:11} | {queued:12} | {calls:5}", stage.copies().len());
        if queued == 0 && pending == 0 && minute > 0 {
            break;
        }
    }
    let received = poller.tally.deliveries;
    println!("{received} deliveries, {} invocations; calls: {:?}", poller.tally.invocations, poller.tally.calls);
    let count = count as usize;
    assert_eq!((with_state(&stage.aws, ImageState::Available), finished(&stage.aws)), (count, count));
    assert_eq!(stage.dead(), []);
    assert_eq!(stage.aws.world().messages(&stage.queue), []);
}

/// For how many seconds the function hides the record when it is delivered for the n-th time, a number of times over.
async fn hidden_for(stage: &Stage, delivery: u32) -> Vec<u64> {
    let function = stage.function().await;
    let mut seconds = Vec::new();
    for _ in 0..12 {
        stage.aws.world().forget_calls();
        let mut payload = batch([("m1", state_change(THERE, AMI, "available").to_string())]);
        payload["Records"][0]["attributes"]["ApproximateReceiveCount"] = json!(delivery.to_string());
        assert_eq!(failures(&function.invoke(&payload).await.expect("an answer")), ["m1"]);
        let calls = stage.aws.world().calls();
        let moved: Vec<_> = calls.iter().filter(|call| call.action == "ChangeMessageVisibility").collect();
        assert_eq!(moved.len(), 1, "{:?}", stage.actions());
        assert_eq!(moved[0].parameters["ReceiptHandle"], "handle-of-m1");
        seconds.push(moved[0].parameters["VisibilityTimeout"].as_u64().expect("seconds"));
    }
    seconds
}

/// Full jitter: anywhere up to the longest pause, not always in the same place.
fn assert_jittered(pauses: &[u64], longest: u64) {
    assert!(pauses.iter().all(|pause| (1..=longest).contains(pause)), "{pauses:?} of {longest}");
    assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{pauses:?} of {longest}");
    // That all of a dozen lie in the lower half happens once in 4096 times; in the lower quarter, once in sixteen million.
    assert!(pauses.iter().any(|pause| *pause >= longest / 4), "{pauses:?} of {longest}");
}

#[tokio::test]
async fn throttling_hides_a_record_for_seconds_doubling_with_each_delivery_up_to_fifteen_minutes() {
    let stage = Stage::new().await.source(AMI, "golden").set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.fault(Fault::on("CopyImage").throttle());
    });
    for (delivery, longest) in [(2, 8), (4, 32), (8, 512), (9, 900), (200, 900)] {
        assert_jittered(&hidden_for(&stage, delivery).await, longest);
    }
}

#[tokio::test]
async fn a_limit_of_copies_in_progress_hides_a_record_for_minutes_up_to_an_hour() {
    let stage = Stage::new().await.source(AMI, "golden").with(|world| world.behaviour.copies_in_progress_limit = 0);
    for (delivery, longest) in [(1, 120), (2, 240), (3, 480), (6, 3600), (200, 3600)] {
        assert_jittered(&hidden_for(&stage, delivery).await, longest);
    }
}

#[tokio::test]
async fn a_record_whose_visibility_cannot_be_moved_is_still_reported_as_failed() {
    let stage = Stage::new().await.source(AMI, "golden").set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.behaviour.copies_in_progress_limit = 0;
        world.fault(Fault::on("ChangeMessageVisibility").error(500, "InternalError", "an internal error"));
    });
    let function = stage.function().await;
    let payload = batch([("m1", state_change(THERE, AMI, "available").to_string())]);
    assert_eq!(failures(&function.invoke(&payload).await.unwrap()), ["m1"]);
}

#[tokio::test]
async fn the_age_of_a_record_that_is_retried_is_a_metric() {
    let stage = Stage::new().await.source(AMI, "golden").with(|world| world.behaviour.copies_in_progress_limit = 0);
    let function = stage.function().await;
    let mut payload = batch([("m1", state_change(THERE, AMI, "available").to_string())]);
    // By AWS's clock, not by the host's.
    let sent = START - 300 * MINUTE;
    payload["Records"][0]["attributes"]["SentTimestamp"] = json!((sent.unix_timestamp() * 1000).to_string());
    assert_eq!(failures(&function.invoke(&payload).await.expect("an answer")), ["m1"]);
    let metrics = function.logs().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let ages: Vec<f64> = metrics.filter_map(|metrics| metrics["RetriedMessageAgeSeconds"][0].as_f64()).collect();
    assert!(matches!(ages[..], [age] if (17_999.0..18_060.0).contains(&age)), "{ages:?}");
}

/// Everything that is rejected, with its code; whether it names an AMI.
fn rejected() -> [(Value, &'static str, bool); 4] {
    [
        (json!("golden is ready"), "NotUnderstood", false),
        (
            json!({ "Name": "golden", "SourceImageId": AMI, "SourceRegion": THERE, "Nmae": "" }),
            "UnknownParameter",
            false,
        ),
        (json!({ "Name": "golden", "SourceImageId": AMI, "SourceRegion": "ap-south-1" }), "SourceNotAllowed", true),
        (state_change(THERE, "ami-00000000000000bad", "available"), "InvalidAMIName.Duplicate", true),
    ]
}

fn body_of(message: &Value) -> String {
    message.as_str().map_or_else(|| message.to_string(), str::to_owned)
}

/// The function that rejects all of [`rejected`].
async fn rejecting() -> Stage {
    Stage::new().await.source(AMI, "golden").set("SOURCE_REGIONS", THERE).set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.add_image(THERE, Image::new("ami-00000000000000bad", "taken"));
        world.add_image(HERE, Image::new("ami-0000000000000beef", "taken"));
        world.behaviour.copy_image_refuses_taken_names = true;
    })
}

#[tokio::test]
async fn a_rejected_record_is_in_the_dead_letter_queue_unchanged_with_its_reason_and_acknowledged() {
    let stage = rejecting().await;
    let function = stage.function().await;
    for (message, code, names_an_ami) in rejected() {
        let body = body_of(&message);
        let answer = function.invoke(&batch([("m1", body.clone())])).await.unwrap();
        assert_eq!(failures(&answer), Vec::<String>::new(), "{body}");
        let letters = stage.dead();
        let (dead, attributes) = letters.last().expect("a dead letter");
        assert_eq!(*dead, body);
        assert_eq!(attributes["Outcome"], "Rejected");
        assert_eq!(attributes["Code"], code);
        assert!(attributes["Explanation"].len() > 20, "{attributes:?}");
        let names: Vec<_> =
            ["SourceImageId", "SourceRegion", "Region"].map(|name| attributes.get(name).is_some()).into();
        assert_eq!(names, [names_an_ami; 3], "{attributes:?}");
        if names_an_ami {
            assert!(body.contains(&attributes["SourceImageId"]) && body.contains(&attributes["SourceRegion"]));
            assert_eq!(attributes["Region"], HERE);
        }
    }
    assert_eq!(stage.dead().len(), rejected().len());
}

#[tokio::test]
async fn a_rejected_record_stays_as_long_as_the_dead_letter_queue_does_not_take_it() {
    let stage = rejecting().await;
    let function = stage.function().await;
    for (message, code, _) in rejected() {
        let payload = batch([("m1", body_of(&message))]);
        let before = stage.dead().len();
        stage.aws.world().fault(Fault::on("SendMessage").error(500, "InternalError", "an internal error"));
        assert_eq!(failures(&function.invoke(&payload).await.unwrap()), ["m1"], "{code}");
        assert_eq!(stage.dead().len(), before, "{code}");
        stage.aws.world().clear_faults();
        assert_eq!(failures(&function.invoke(&payload).await.unwrap()), Vec::<String>::new(), "{code}");
        assert_eq!(stage.dead().len(), before + 1, "{code}");
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_sent_back_after_its_cause_is_removed_is_done() {
    let stage = rejecting().await;
    let mut poller = poller(&stage).await;
    let (message, ..) = &rejected()[3];
    poller.send(&message.to_string());
    poller.run_to_rest(60 * MINUTE).await.unwrap();
    let [(body, _)] = stage.dead().try_into().expect("one dead letter");
    stage.aws.world().deregister(HERE, "ami-0000000000000beef");
    poller.send(&body);
    poller.run_to_rest(60 * MINUTE).await.unwrap();
    assert_eq!((stage.copies().len(), finished(&stage.aws)), (1, 1));
}

#[tokio::test]
async fn a_cause_that_ends_after_eighteen_hours_costs_no_message() {
    let stage = Stage::new().await.set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.fault(Fault::on("CopyImage").error(503, "Unavailable", "the service is not available"));
    });
    burst(&stage, 1);
    let mut poller = poller(&stage).await;
    poller.run_until(START + 18 * 60 * MINUTE).await;
    assert_eq!((stage.copies().len(), stage.dead().len()), (0, 0));
    stage.aws.world().clear_faults();
    poller.run_to_rest(60 * MINUTE).await.unwrap();
    assert_eq!((stage.copies().len(), finished(&stage.aws), stage.dead().len()), (1, 1, 0));
}

#[tokio::test]
async fn a_message_that_kills_every_function_is_a_dead_letter_of_the_queue_itself() {
    let stage = Stage::new().await.with(|world| {
        world.fault(Fault::on("DescribeImages").slow(60 * MINUTE));
    });
    burst(&stage, 1);
    let mut poller = poller(&stage).await.habits(Habits { kills_at_hang: 1.0, ..Habits::default() });
    {
        let mut world = stage.aws.world();
        let queue = local::aws::Queue {
            visibility_timeout: 6 * MINUTE,
            max_receive_count: Some(5),
            dead_letter_queue: Some(stage.dead_letters.clone()),
        };
        assert_eq!(world.add_queue(HERE, "announcements", queue), stage.queue);
    }
    poller.run_to_rest(48 * 60 * MINUTE).await.unwrap();
    assert_eq!((poller.tally.kills, stage.dead().len()), (5, 1));
}
