//! The sweep announces what it found to the courier's own queue, in order, and never more than the queue has room for.

use std::collections::BTreeSet;

use local::aws::{ACCOUNT, Caller, CopyFailure, Fault, Image, ImageState, START, StateReason};
use serde_json::{Value, json};

use super::{
    ALSO_THERE, HOUR, MINUTE, STRANGER, announcements, assert_each_has_one_finished_copy, build, counted, created,
    deliver, figure, id_of, left_behind, missed, poller, source_gone, stage, swept, to_finish, unfinished,
};
use crate::stage::{HERE, Stage, THERE};

/// Two of each kind, in both source Regions. The retirements are of the oldest copies.
async fn two_of_each() -> Stage {
    stage().await.set("RETIRE_WITH_SOURCE", "true").with(|world| {
        let hours_ago = |image: Image, hours: u32| image.created(START - hours * HOUR);
        world.add_image(HERE, hours_ago(left_behind(1, THERE, ACCOUNT), 99));
        world.add_image(HERE, hours_ago(left_behind(2, ALSO_THERE, ACCOUNT), 98));
        world.add_image(HERE, hours_ago(unfinished(3, THERE), 7));
        world.add_image(THERE, Image::new(id_of(1003), "of an unfinished copy"));
        let mut failed = hours_ago(unfinished(4, ALSO_THERE), 5).state(ImageState::Failed);
        failed.state_reason = Some(StateReason::new("Client.InternalError", "no volume"));
        world.add_image(HERE, failed);
        world.add_image(THERE, hours_ago(Image::new(id_of(5), "missed 5"), 6));
        world.add_image(ALSO_THERE, hours_ago(Image::new(id_of(6), "missed 6"), 8));
    })
}

fn in_order() -> Vec<Value> {
    vec![missed(6, ALSO_THERE), to_finish(3), missed(5, THERE), to_finish(4), source_gone(2), source_gone(1)]
}

#[tokio::test]
async fn missed_and_unfinished_come_first_oldest_first_and_retirements_last() {
    let stage = two_of_each().await;
    let function = stage.function().await;
    assert!(swept(&function).await);
    let mut expected = in_order();
    expected.swap(4, 5);
    assert_eq!(announcements(&stage), expected);
    assert_eq!(stage.copy_image_calls().len(), 0, "a sweep only looks");
    assert!(stage.changes().iter().all(|action| action == "SendMessageBatch"), "{:?}", stage.changes());
}

#[tokio::test]
async fn a_sweep_that_somebody_starts_by_hand_announces_too() {
    let stage = two_of_each().await;
    let answer = stage.function().await.invoke(&json!({ "Sweep": {} })).await.unwrap();
    assert_eq!(answer, json!([]));
    assert_eq!(announcements(&stage).len(), in_order().len());
}

/// Fills the queue up to so many messages: visible ones, delayed ones, and ones in flight.
pub fn fill(stage: &Stage, messages: usize) {
    let mut world = stage.aws.world();
    for number in 0..messages {
        let delay = if number % 3 == 0 { 900 } else { 0 };
        let send = json!({ "QueueUrl": stage.queue, "MessageBody": "{}", "DelaySeconds": delay });
        world.call(&Caller::in_region(HERE), "sqs", "SendMessage", &send).unwrap();
    }
    world.receive(&stage.queue, messages / 3);
}

#[tokio::test]
async fn a_sweep_adds_no_more_than_fits_under_a_thousand_and_leaves_the_rest_to_the_next() {
    for (depth, first, last) in [(994, 4, 2), (995, 4, 1), (996, 3, 1), (997, 3, 0), (1000, 0, 0), (1100, 0, 0)] {
        let stage = two_of_each().await;
        fill(&stage, depth);
        let function = stage.function().await;
        assert!(swept(&function).await);
        let sent: Vec<Value> = announcements(&stage).into_iter().filter(|own| !own.is_null()).collect();
        let of = |some: &[Value]| some.iter().filter(|one| sent.contains(one)).count();
        assert_eq!(
            (of(&in_order()[..4]), of(&in_order()[4..]), sent.len()),
            (first, last, first + last),
            "{depth} messages"
        );
        assert_eq!(figure(&function, "left"), (6 - sent.len()).to_string(), "{depth} messages");
        assert_eq!(figure(&function, "complete"), "true");
    }
}

#[tokio::test]
async fn the_next_sweep_announces_what_the_last_had_no_room_for() {
    let stage = stage().await;
    let sources = build(&stage, 20);
    fill(&stage, 990);
    let function = stage.function().await;
    assert!(swept(&function).await);
    assert_eq!(figure(&function, "left"), "10");
    {
        let mut world = stage.aws.world();
        // The other messages are done.
        world.advance(15 * MINUTE);
        for message in world.receive(&stage.queue, 2000).into_iter().filter(|message| message.body == "{}") {
            world.delete(&stage.queue, &message.receipt_handle);
        }
        world.advance(HOUR);
    }
    deliver(&stage, &function).await;
    assert!(swept(&function).await);
    assert_eq!((figure(&function, "missed"), figure(&function, "left")), ("10".to_owned(), "0".to_owned()));
    deliver(&stage, &function).await;
    assert_eq!((stage.copied(), stage.copies().len()), (sources, 20));
}

/// Each sweep finds them again, and there are more of them than there is room for.
#[tokio::test]
async fn old_amis_that_are_refused_for_good_keep_no_newer_one_from_being_copied() {
    const PRODUCT: &str = "Images with EC2 BillingProduct codes cannot be copied to another AWS account";
    const ROOM: usize = 2;
    for every in [HOUR, 6 * HOUR, 24 * HOUR] {
        let stage = stage().await.with(|world| {
            world.behaviour.messages_counted_too_many = 1000 - ROOM;
            world.add_image(THERE, Image::new(id_of(1), "golden-1").created(created(1)));
            for number in 2..=6 {
                let refused = Image::new(id_of(number), format!("golden-{number}")).created(created(number));
                world.add_image(THERE, refused.copies_refused("InvalidRequest", PRODUCT, None));
            }
        });
        let mut poller = poller(&stage).await;
        for sweep in 1..=6 {
            poller.run_until(START + sweep * every).await;
            poller.send_sweep();
        }
        poller.run_to_rest(24 * HOUR).await.unwrap();
        assert_each_has_one_finished_copy(&stage, &BTreeSet::from([id_of(1)]));
    }
}

#[tokio::test]
async fn without_the_depth_of_the_queue_a_sweep_announces_nothing_and_is_retried() {
    let stage = two_of_each().await.set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.fault(Fault::on("GetQueueAttributes").first(1).error(503, "ServiceUnavailable", "not available"));
    });
    let function = stage.function().await;
    assert!(!swept(&function).await);
    assert_eq!((announcements(&stage).len(), figure(&function, "complete")), (0, "false".to_owned()));
    assert!(swept(&function).await);
    assert_eq!(announcements(&stage).len(), 6);
}

#[tokio::test]
async fn announcements_that_could_not_be_sent_bring_the_sweep_back() {
    for fault in [
        Fault::on("SendMessageBatch").first(1).error(503, "ServiceUnavailable", "not available"),
        Fault::on("SendMessageBatch").nth(2).drop_connection(),
        Fault::on("SendMessageBatch").nth(1).fail_entry(3, "InternalError", "try again"),
        Fault::on("SendMessageBatch").nth(2).fail_entry(0, "InvalidParameterValue", "not this one"),
        Fault::on("SendMessageBatch").nth(2).fail_entries("InternalError", "try again"),
    ] {
        let stage = stage().await.set("AWS_MAX_ATTEMPTS", "1").with(|world| world.fault(fault.clone()));
        let sources = build(&stage, 15);
        let function = stage.function().await;
        assert!(!swept(&function).await, "{fault:?}");
        assert!(announcements(&stage).len() < 15, "{fault:?}");
        assert!(swept(&function).await, "{fault:?}");
        deliver(&stage, &function).await;
        assert_eq!((stage.copied(), stage.copies().len()), (sources, 15), "{fault:?}: each once");
        assert_eq!(stage.dead(), []);
    }
}

#[tokio::test]
async fn a_sweep_by_hand_whose_announcements_could_not_be_sent_is_an_error() {
    let stage = two_of_each().await.set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.fault(Fault::on("SendMessageBatch").fail_entries("InternalError", "try again"));
    });
    let error = stage.function().await.invoke(&json!({ "Sweep": {} })).await.unwrap_err().to_string();
    assert!(error.contains("sending 6 messages to the courier's own queue"), "{error}");
}

#[tokio::test]
async fn every_search_of_a_sweep_names_owners_so_that_ec2_does_not_go_through_all_public_amis() {
    let stage = two_of_each().await.with(|world| {
        world.add_image(HERE, left_behind(7, THERE, STRANGER));
    });
    assert!(swept(&stage.function().await).await);
    let calls = stage.aws.world().calls();
    let searches: Vec<(String, Vec<String>)> = calls
        .iter()
        .filter(|call| call.action == "DescribeImages")
        .map(|call| {
            let owners = (1..).map_while(|n| call.parameters.get(format!("Owner.{n}")));
            (call.region.clone(), owners.map(|owner| owner.as_str().unwrap().to_owned()).collect())
        })
        .collect();
    assert!(searches.iter().all(|(_, owners)| owners.contains(&"self".to_owned())), "{searches:?}");
    let of_strangers = searches.iter().filter(|(_, owners)| owners.contains(&STRANGER.to_owned()));
    let regions: Vec<&str> = of_strangers.map(|(region, _)| region.as_str()).collect();
    assert_eq!(regions, [THERE], "only where it looks for the sources of copies");
}

#[tokio::test]
async fn copies_of_many_failures_and_their_sources_are_not_announced_together() {
    let stage = stage().await.with(|world| world.behaviour.events = false);
    let sources = build(&stage, 6);
    for source in &sources {
        stage.aws.world().fail_next_copy(source, CopyFailure::key_not_accessible());
    }
    let function = stage.function().await;
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    stage.aws.world().advance(HOUR);
    assert!(swept(&function).await);
    assert_eq!((figure(&function, "failed"), figure(&function, "missed")), ("6".to_owned(), "6".to_owned()));
    assert!(announcements(&stage).iter().all(|own| own.get("Unfinished").is_some()), "{:?}", announcements(&stage));
    deliver(&stage, &function).await;
    assert_eq!((stage.dead().len(), stage.copies().len()), (6, 0));
    assert!(counted(&function, "RejectedFound").abs() < 0.5);
}
