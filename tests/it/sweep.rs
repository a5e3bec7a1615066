//! The sweep makes sure of what events make quick: alone, beside events, over pages, against limits, and in time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use local::aws::{CopyFailure, Fault, Image, ImageState, START};
use local::host::Host;
use serde_json::{Value, json};

use crate::life::{ago, is_finished};
use crate::poller::{Habits, Poller};
use crate::stage::{HERE, Stage, THERE, batch, failures, state_change};

const ALSO_THERE: &str = "us-west-2";
const STRANGER: &str = "999988887777";
const HOUR: Duration = Duration::from_secs(3600);

fn id_of(number: u32) -> String {
    format!("ami-{number:017x}")
}

/// A stack that knows its source Regions.
async fn stage() -> Stage {
    Stage::new().await.set("SOURCE_REGIONS", "us-east-1,us-west-2").set("BACKFILL_DAYS", "3650")
}

/// So many AMIs in both source Regions; the higher the number, the older. Ids, and with them EC2's pages, are in no order.
fn build(stage: &Stage, count: u32) -> BTreeSet<String> {
    let mut world = stage.aws.world();
    (1..=count)
        .map(|number| {
            let id = id_of(number * 7919 % 10_007);
            let image = Image::new(&id, format!("golden-{number}")).created(START - number * HOUR);
            world.add_image(if number % 2 == 0 { THERE } else { ALSO_THERE }, image)
        })
        .collect()
}

fn region_of(stage: &Stage, source: &str) -> &'static str {
    if stage.aws.world().image(THERE, source).is_some() { THERE } else { ALSO_THERE }
}

async fn poller(stage: &Stage) -> Poller {
    let executions = vec![Arc::new(stage.function().await), Arc::new(stage.function().await)];
    Poller::new(&stage.aws, &stage.queue, executions, 1)
}

/// Sweeps until a sweep finds nothing more to do.
async fn sweep_to_the_end(poller: &mut Poller, stage: &Stage) {
    for _ in 0..20 {
        let before =
            stage.copies().iter().map(|copy| format!("{} {} {:?}", copy.id, copy.state, copy.tags)).collect::<Vec<_>>();
        poller.send_sweep();
        poller.run_to_rest(24 * HOUR).await.unwrap();
        let after =
            stage.copies().iter().map(|copy| format!("{} {} {:?}", copy.id, copy.state, copy.tags)).collect::<Vec<_>>();
        if before == after {
            return;
        }
        poller.aws.world().advance(HOUR);
    }
    panic!("every sweep still changes something");
}

fn assert_each_has_one_finished_copy(stage: &Stage, sources: &BTreeSet<String>) {
    let copies = stage.copies();
    assert_eq!((&stage.copied(), copies.len()), (sources, sources.len()));
    for copy in copies {
        assert!(copy.state == ImageState::Available && is_finished(stage, &copy.id), "{copy:?}");
    }
}

fn sweep() -> Value {
    batch([("sweep", json!({ "Sweep": {} }).to_string())])
}

/// One delivery of a sweep; whether it is done.
async fn swept(function: &Host) -> bool {
    failures(&function.invoke(&sweep()).await.expect("an answer")).is_empty()
}

/// A number that the last sweep told of itself in the log.
fn told(function: &Host, what: &str) -> String {
    let logs = function.logs();
    let line = logs.iter().rev().find(|line| line.contains(": swept ")).expect("a sweep tells what it found");
    let words = line.split_whitespace().find_map(|word| word.strip_prefix(&format!("{what}=")));
    words.unwrap_or_else(|| panic!("no {what} in {line}")).to_owned()
}

#[tokio::test]
async fn without_any_event_sweeps_alone_make_and_finish_every_copy() {
    let stage = stage().await.set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.behaviour.page_size = 7;
        world.behaviour.copies_in_progress_limit = 10;
        world.behaviour.events = false;
    });
    let sources = build(&stage, 30);
    let mut poller = poller(&stage).await;
    sweep_to_the_end(&mut poller, &stage).await;
    assert_each_has_one_finished_copy(&stage, &sources);
    assert_eq!(stage.dead(), []);
}

#[tokio::test]
async fn with_half_of_all_events_lost_sweeps_make_and_finish_every_copy() {
    let stage = stage().await.set("AWS_MAX_ATTEMPTS", "1");
    let sources = build(&stage, 30);
    let habits = Habits { lost_events: 0.5, sweep_every: Some(HOUR), ..Habits::default() };
    let mut poller = poller(&stage).await.habits(habits);
    // Of the sources' own events every second one is lost as well.
    for source in sources.iter().step_by(2) {
        let region = region_of(&stage, source);
        poller.send(&state_change(region, source, "available").to_string());
    }
    poller.run_to_rest(24 * HOUR).await.unwrap();
    sweep_to_the_end(&mut poller, &stage).await;
    assert!(poller.tally.lost_events > 5, "{:?}", poller.tally);
    assert_each_has_one_finished_copy(&stage, &sources);
    assert_eq!(stage.dead(), []);
}

#[tokio::test]
async fn one_sweep_finds_what_is_missed_and_what_is_unfinished_on_every_page() {
    let stage = stage().await.with(|world| {
        world.behaviour.page_size = 2;
        world.behaviour.events = false;
    });
    let sources = build(&stage, 9);
    let function = stage.function().await;
    assert!(swept(&function).await);
    assert_eq!(
        (told(&function, "missed"), told(&function, "left"), told(&function, "complete")),
        ("9".into(), "0".into(), "true".into())
    );
    assert_eq!(stage.copied(), sources);
    assert!(swept(&function).await);
    assert_eq!((told(&function, "in_progress"), told(&function, "missed")), ("9".into(), "0".into()));
    stage.aws.world().advance(HOUR);
    assert!(swept(&function).await);
    assert_eq!(told(&function, "unfinished"), "9");
    assert_each_has_one_finished_copy(&stage, &sources);
}

#[tokio::test]
async fn a_sweep_works_oldest_first_stops_in_time_says_what_is_left_and_the_next_goes_on() {
    let stage = stage().await.set("EVENT_BUS_NAME", "").timeout(Duration::from_secs(20)).with(|world| {
        world.fault(Fault::on("CopyImage").slow(Duration::from_secs(3)));
    });
    build(&stage, 60);
    let age_of = |source: &String| {
        let world = stage.aws.world();
        let image = world.image(THERE, source).or_else(|| world.image(ALSO_THERE, source)).expect("the source");
        image.creation_date
    };
    let function = stage.function().await;
    let mut copied = 0;
    while copied < 60 {
        assert!(swept(&function).await, "what is left is no failure: {:?}", function.logs().last());
        let sources = stage.copied();
        assert!(sources.len() > copied, "each sweep gets on");
        copied = sources.len();
        assert_eq!(told(&function, "left"), (60 - copied).to_string());
        // START - 60 h is the oldest: those that are copied are the oldest of all.
        let newest = sources.iter().map(age_of).max().expect("some");
        assert_eq!(newest, START - u32::try_from(61 - copied).expect("a few") * HOUR);
        // The clock stands still: copies to finish would be among what is left.
    }
    assert!(function.logs().iter().filter(|line| line.contains(": swept ")).count() > 1, "one sweep did it all");
}

#[tokio::test]
async fn a_sweep_that_meets_the_limit_of_copies_begins_no_more_but_goes_on_with_all_else() {
    let stage = stage().await.with(|world| {
        world.behaviour.copies_in_progress_limit = 3;
        world.behaviour.events = false;
    });
    build(&stage, 40);
    let function = stage.function().await;
    assert!(!swept(&function).await, "it is tried again when the limit may have passed");
    assert_eq!(stage.copies().len(), 3);
    let tried = stage.actions().iter().filter(|action| *action == "CopyImage").count();
    assert!(tried < 40 - 10, "{tried} calls to no end");
    stage.aws.world().advance(HOUR);
    assert!(!swept(&function).await);
    let finished = stage.copies().iter().filter(|copy| copy.tags.contains_key("ami-courier:finished")).count();
    assert_eq!((stage.copies().len(), finished), (6, 3));
}

#[tokio::test]
async fn sweeps_that_cannot_be_done_do_not_heap_up() {
    let stage = stage().await.set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.behaviour.events = false;
        world.fault(Fault::on("DescribeImages").in_region(THERE).error(503, "Unavailable", "not available"));
    });
    let sources = build(&stage, 2);
    let mut poller = poller(&stage).await.habits(Habits { sweep_every: Some(HOUR), ..Habits::default() });
    poller.send_sweep();
    for hour in 1..=24_u32 {
        poller.run_until(START + hour * HOUR).await;
        poller.send_sweep();
        let waiting = stage.aws.world().messages(&stage.queue).len();
        assert!(waiting <= 3, "{waiting} sweeps wait after {hour} hours");
    }
    assert_eq!(stage.copies().len(), 1, "the other Region's");
    stage.aws.world().clear_faults();
    poller.run_to_rest(24 * HOUR).await.unwrap();
    sweep_to_the_end(&mut poller, &stage).await;
    assert_each_has_one_finished_copy(&stage, &sources);
    assert_eq!(stage.dead(), [], "a sweep is no letter to an operator");
}

#[tokio::test]
async fn sweeps_beside_each_other_and_beside_events_make_one_copy_of_each() {
    let stage = stage().await;
    let sources = build(&stage, 12);
    let functions = [stage.function().await, stage.function().await, stage.function().await];
    let events: Vec<(String, String)> = sources
        .iter()
        .map(|source| (source.clone(), state_change(region_of(&stage, source), source, "available").to_string()))
        .collect();
    let events = batch(events.iter().map(|(source, body)| (source.as_str(), body.clone())));
    let (one, other, announced) =
        tokio::join!(swept(&functions[0]), swept(&functions[1]), functions[2].invoke(&events));
    assert!(announced.is_ok());
    // Who was late may have met the other's name before it could be seen whose it is.
    if !one || !other || !failures(&announced.unwrap()).is_empty() {
        assert!(swept(&functions[0]).await);
    }
    let copies = stage.copies();
    assert_eq!((stage.copied(), copies.len()), (sources.clone(), sources.len()));
    stage.aws.world().advance(HOUR);
    let (one, other) = tokio::join!(swept(&functions[0]), swept(&functions[1]));
    assert!(one && other);
    assert_each_has_one_finished_copy(&stage, &sources);
}

#[tokio::test]
async fn a_sweep_copies_nothing_older_than_backfill_days() {
    let day = 24 * 60;
    let stage = stage().await.set("BACKFILL_DAYS", "7").with(|world| {
        world.add_image(THERE, Image::new(id_of(1), "of today").created(ago(1)));
        world.add_image(THERE, Image::new(id_of(6), "of six days ago").created(ago(6 * day)));
        world.add_image(THERE, Image::new(id_of(7), "of seven days and an hour ago").created(ago(7 * day + 60)));
        world.add_image(THERE, Image::new(id_of(100), "of long ago").created(ago(100 * day)));
    });
    let function = stage.function().await;
    assert!(swept(&function).await);
    assert_eq!(stage.copied(), BTreeSet::from([id_of(1), id_of(6)]));
}

#[tokio::test]
async fn a_sweep_copies_only_what_selection_wants() {
    let stage =
        stage().await.set("NAME_PATTERNS", "golden-*").set("REQUIRED_TAGS", "team=platform,approved").with(|world| {
            let wanted = |number: u32| {
                Image::new(id_of(number), format!("golden-{number}")).tag("team", "platform").tag("approved", "")
            };
            world.add_image(THERE, wanted(1));
            world.add_image(THERE, Image::new(id_of(2), "test-2").tag("team", "platform").tag("approved", ""));
            world.add_image(THERE, Image::new(id_of(3), "golden-3").tag("team", "other").tag("approved", ""));
            world.add_image(THERE, Image::new(id_of(4), "golden-4").tag("team", "platform"));
            world.add_image(THERE, wanted(5).tag("ami-courier:skip", ""));
            world.add_image(THERE, wanted(6).tag("ami-courier:source-image", "ami-00000000"));
            world.add_image(
                THERE,
                wanted(7).tag("Ec2ImageBuilderArn", "arn:aws:imagebuilder:us-east-1:123456789012:image/x/1.0.0/1"),
            );
            world.add_image(THERE, wanted(8).owner(STRANGER).public());
            world.add_image(THERE, wanted(9).state(ImageState::Pending));
            world.add_image(THERE, wanted(10).state(ImageState::Disabled));
            world.add_image("ap-south-1", wanted(11));
            world.add_image(THERE, wanted(12));
            world.add_image(HERE, Image::new(id_of(13), "made by hand").copy_of(&id_of(12), THERE));
        });
    let function = stage.function().await;
    assert!(swept(&function).await);
    assert_eq!(stage.copied(), BTreeSet::from([id_of(1), id_of(12)]));
    assert_eq!(stage.copies().len(), 2, "a copy that somebody else has made is a copy");
}

#[tokio::test]
async fn a_failed_copy_that_no_event_told_of_is_explained_once_cleared_away_and_made_anew_by_the_next_sweep() {
    let stage = stage().await.with(|world| {
        world.behaviour.events = false;
        world.fail_next_copy(&id_of(7919), CopyFailure::key_not_accessible());
    });
    let sources = build(&stage, 1);
    let function = stage.function().await;
    assert!(swept(&function).await);
    stage.aws.world().advance(HOUR);
    assert_eq!(stage.copies()[0].state, ImageState::Failed);
    assert!(swept(&function).await);
    assert_eq!(stage.copies().len(), 0);
    let [(body, attributes)] = stage.dead().try_into().expect("one dead letter");
    assert_eq!(attributes["Code"], "CopyFailed");
    assert!(attributes["Explanation"].contains("Given key ID is not accessible"), "{attributes:?}");
    assert!(body.contains(&id_of(7919)), "{body}");
    assert!(swept(&function).await);
    stage.aws.world().advance(HOUR);
    assert!(swept(&function).await);
    assert_each_has_one_finished_copy(&stage, &sources);
    assert_eq!(stage.dead().len(), 1);
}

/// A finished copy of an AMI of `region` that is not there (any more).
fn left_behind(number: u32, region: &str, owner: &str) -> Image {
    let mut copy = Image::new(id_of(number), format!("copy-{number}"))
        .copy_of(&id_of(number + 1000), region)
        .tag("ami-courier:source-image", &id_of(number + 1000))
        .tag("ami-courier:source-region", region)
        .tag("ami-courier:source-owner", owner);
    for snapshot in &mut copy.snapshots {
        snapshot.tags.clone_from(&copy.tags);
    }
    copy.tag("ami-courier:finished", "2026-01-01T00:00:00Z")
}

#[tokio::test]
async fn a_sweep_retires_only_copies_whose_source_is_known_to_be_gone() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true").with(|world| {
        world.behaviour.page_size = 1;
        // Gone; still there; another account's, out of sight; from a Region that is none of ours any more.
        world.add_image(HERE, left_behind(1, THERE, local::aws::ACCOUNT));
        world.add_image(HERE, left_behind(2, THERE, local::aws::ACCOUNT));
        world.add_image(THERE, Image::new(id_of(1002), "golden"));
        world.add_image(HERE, left_behind(3, THERE, STRANGER));
        world.add_image(HERE, left_behind(4, "ap-south-1", local::aws::ACCOUNT));
    });
    let function = stage.function().await;
    assert!(swept(&function).await);
    let left: BTreeSet<String> = stage.copies().into_iter().map(|copy| copy.id).collect();
    assert_eq!(left, BTreeSet::from([id_of(2), id_of(3), id_of(4)]));
}

#[tokio::test]
async fn a_source_region_that_fails_or_hangs_deletes_nothing_and_costs_the_others_nothing() {
    for fault in [
        Fault::on("DescribeImages").error(503, "Unavailable", "not available"),
        Fault::on("DescribeImages").error(403, "UnauthorizedOperation", "you are not authorized"),
        Fault::on("DescribeImages").error(401, "AuthFailure", "the Region is disabled"),
        Fault::on("DescribeImages").drop_connection(),
        Fault::on("DescribeImages").slow(HOUR),
    ] {
        let stage =
            stage().await.set("RETIRE_WITH_SOURCE", "true").set("DEPRECATE", "Never").set("AWS_MAX_ATTEMPTS", "1");
        let stage = stage.timeout(Duration::from_secs(12)).with(|world| {
            world.fault(fault.in_region(THERE));
            world.behaviour.page_size = 1;
            // Of the Region that is out of order.
            world.add_image(HERE, left_behind(1, THERE, local::aws::ACCOUNT));
            world.add_image(HERE, left_behind(2, THERE, local::aws::ACCOUNT));
            // Of the other: gone, unfinished, missed.
            world.add_image(HERE, left_behind(3, ALSO_THERE, local::aws::ACCOUNT));
            let mut unfinished = left_behind(4, ALSO_THERE, local::aws::ACCOUNT);
            unfinished.tags.remove("ami-courier:finished");
            world.add_image(HERE, unfinished);
            world.add_image(ALSO_THERE, Image::new(id_of(1004), "unfinished"));
            world.add_image(ALSO_THERE, Image::new(id_of(5), "missed"));
        });
        let function = stage.function().await;
        swept(&function).await;
        assert_eq!(told(&function, "complete"), "false");
        let left = stage.copied();
        assert_eq!(left, BTreeSet::from([id_of(1001), id_of(1002), id_of(1004), id_of(5)]), "{:#?}", function.logs());
        assert!(is_finished(&stage, &id_of(4)));
        assert_eq!(stage.dead(), []);
    }
}

/// The metrics of the last sweep.
fn gauges(function: &Host) -> Value {
    let mut documents = function.logs().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    documents.rfind(|document| document.get("MissedFound").is_some()).expect("metrics of the sweep")
}

#[tokio::test]
async fn an_ami_that_no_sweep_can_copy_is_told_of_by_each_in_the_log_on_the_bus_and_as_a_gauge_until_it_can() {
    let stage = stage().await.with(|world| {
        world.behaviour.events = false;
        world.add_image(HERE, Image::new("ami-0000000000000beef", "golden-1"));
    });
    build(&stage, 2);
    let function = stage.function().await;
    for _ in 0..2 {
        assert!(swept(&function).await, "it is nothing that a repetition mends");
        assert_eq!(gauges(&function)["RejectedFound"], json!([1.0]));
        assert!(function.logs().iter().any(|line| line.contains("InvalidAMIName.Duplicate")));
    }
    let told = stage.aws.world().put_events();
    assert_eq!(told.iter().filter(|event| event.detail["Code"] == "InvalidAMIName.Duplicate").count(), 2);
    assert_eq!(stage.dead(), [], "or there would be one an hour");
    stage.aws.world().deregister(HERE, "ami-0000000000000beef");
    assert!(swept(&function).await);
    assert_eq!((&gauges(&function)["RejectedFound"], stage.copies().len()), (&json!([0.0]), 2));
}

#[tokio::test]
async fn a_sweep_emits_its_gauges() {
    let stage = stage().await.with(|world| world.behaviour.events = false);
    build(&stage, 3);
    let function = stage.function().await;
    assert!(swept(&function).await);
    assert_eq!(gauges(&function)["MissedFound"], json!([3.0]));
    assert_eq!(gauges(&function)["CopiesInProgress"], json!([0.0]));
    assert_eq!(gauges(&function)["SweepCompleted"], 1);
    assert!(swept(&function).await);
    assert_eq!(
        (&gauges(&function)["MissedFound"], &gauges(&function)["CopiesInProgress"]),
        (&json!([0.0]), &json!([3.0]))
    );
    // The function's clock is ahead of the world's, by months.
    assert!(gauges(&function)["OldestCopyInProgressSeconds"][0].as_f64().expect("a number") > 3600.0);
    stage.aws.world().advance(HOUR);
    assert!(swept(&function).await);
    assert_eq!(gauges(&function)["UnfinishedFound"], json!([3.0]));
}
