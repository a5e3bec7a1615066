//! What a sweep finds: on every page of every source Region, as selection wants it, and as far as EC2 answers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use local::aws::{ACCOUNT, Call, CopyFailure, Fault, Image, ImageState};
use serde_json::{Value, json};

use super::{
    ALSO_THERE, HOUR, MINUTE, STRANGER, announcements, assert_each_has_one_finished_copy, build, counted, deliver,
    figure, gauges, gone_for_long, id_of, left_behind, missed, poller, region_of, source_back, source_gone, stage,
    sweep_to_the_end, swept, to_finish, unfinished,
};
use crate::life::{ago, is_finished};
use crate::poller::Habits;
use crate::stage::{HERE, Stage, THERE, batch, failures, state_change};

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
async fn one_sweep_finds_every_missed_ami_and_every_unfinished_copy_on_every_page() {
    let stage = stage().await.with(|world| {
        world.behaviour.page_size = 2;
        world.behaviour.events = false;
    });
    let sources = build(&stage, 9);
    let function = stage.function().await;
    assert!(swept(&function).await);
    let figures = ["missed", "left", "complete"].map(|name| figure(&function, name));
    assert_eq!(figures, ["9", "0", "true"]);
    deliver(&stage, &function).await;
    assert_eq!(stage.copied(), sources);
    assert!(swept(&function).await);
    assert_eq!(["in_progress", "missed"].map(|name| figure(&function, name)), ["9", "0"]);
    assert_eq!(announcements(&stage), Vec::<serde_json::Value>::new());
    stage.aws.world().advance(HOUR);
    assert!(swept(&function).await);
    assert_eq!(figure(&function, "unfinished"), "9");
    deliver(&stage, &function).await;
    assert_each_has_one_finished_copy(&stage, &sources);
}

/// The pages that were asked for in each of the three Regions so far.
fn pages(stage: &Stage) -> [usize; 3] {
    let calls = stage.aws.world().calls();
    let described =
        |region| calls.iter().filter(|call| call.action == "DescribeImages" && call.region == region).count();
    [HERE, THERE, ALSO_THERE].map(described)
}

#[tokio::test]
async fn a_sweep_lists_each_region_once_and_asks_ec2_for_nothing_else() {
    let stage = stage().await.with(|world| world.behaviour.page_size = 10);
    let sources = build(&stage, 60);
    let function = stage.function().await;
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    assert_eq!(stage.copied(), sources);
    let before = pages(&stage);
    assert!(swept(&function).await);
    let after = pages(&stage);
    assert_eq!([0, 1, 2].map(|region| after[region] - before[region]), [6, 3, 3]);
    assert_eq!(figure(&function, "missed"), "0");
}

#[tokio::test]
async fn only_sources_that_the_listing_does_not_show_are_looked_for_by_their_ids() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true").set("BACKFILL_DAYS", "30").with(|world| {
        for number in 1..=4 {
            world.add_image(HERE, left_behind(number, THERE, ACCOUNT));
        }
        // Listed; too old to be listed; in service, and not listed as one that is wanted; gone.
        world.add_image(THERE, Image::new(id_of(1001), "young"));
        world.add_image(THERE, Image::new(id_of(1002), "old").created(ago(60 * 24 * 60)));
        world.add_image(THERE, Image::new(id_of(1003), "disabled").state(ImageState::Disabled));
    });
    let function = stage.function().await;
    assert!(swept(&function).await);
    assert_eq!(announcements(&stage), [source_gone(3), source_gone(4)]);
    let calls = stage.aws.world().calls();
    let by_id = |call: &&Call| call.region == THERE && call.parameters["Filter.1.Name"] == "image-id";
    let ids = |call: &Call| -> Vec<Value> {
        (1..).map_while(|n| call.parameters.get(format!("Filter.1.Value.{n}")).cloned()).collect()
    };
    let mut looked_for: Vec<Value> = calls.iter().filter(by_id).flat_map(ids).collect();
    looked_for.sort_unstable_by_key(Value::to_string);
    assert_eq!(looked_for, [id_of(1002), id_of(1003), id_of(1004)]);
}

#[tokio::test]
async fn a_listing_that_takes_too_long_does_not_keep_the_sources_of_copies_from_being_looked_for() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true").timeout(Duration::from_secs(8)).with(|world| {
        world.behaviour.page_size = 1;
        world.add_image(HERE, gone_for_long(1, THERE));
        for number in 2000..2040 {
            world.add_image(THERE, Image::new(id_of(number), "golden"));
        }
    });
    let function = stage.function().await;
    swept(&function).await;
    assert_eq!(figure(&function, "complete"), "false");
    assert!(announcements(&stage).contains(&source_gone(1)), "{:?}", announcements(&stage));
}

#[tokio::test]
async fn many_pages_are_asked_for_at_five_a_second() {
    let stage = stage().await.with(|world| world.behaviour.page_size = 1);
    build(&stage, 32);
    let function = stage.function().await;
    let began = Instant::now();
    assert!(swept(&function).await);
    // Sixteen in each Region, ten of them at once.
    let least = Duration::from_millis(6 * 200);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    assert_eq!(figure(&function, "missed"), "32");
}

#[tokio::test]
async fn as_long_as_not_all_copies_are_listed_no_ami_counts_as_missed() {
    let stage = stage().await.set("AWS_MAX_ATTEMPTS", "1").with(|world| world.behaviour.page_size = 5);
    build(&stage, 12);
    let function = stage.function().await;
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    let broken = Fault::on("DescribeImages").in_region(HERE).nth(2);
    stage.aws.world().fault(broken.error(503, "Unavailable", "not available"));
    assert!(!swept(&function).await, "it is tried again");
    assert_eq!(["missed", "complete"].map(|name| figure(&function, name)), ["0", "false"]);
    assert_eq!(announcements(&stage), Vec::<serde_json::Value>::new());
    assert!(swept(&function).await);
    assert_eq!(["missed", "complete"].map(|name| figure(&function, name)), ["0", "true"]);
}

#[tokio::test]
async fn sweeps_that_cannot_be_done_do_not_pile_up() {
    for (hours, fault) in [
        (24_u32, Fault::on("DescribeImages").in_region(THERE).error(503, "Unavailable", "not available")),
        (6, Fault::on("SendMessageBatch").error(503, "ServiceUnavailable", "not available")),
        (6, Fault::on("SendMessageBatch").error(403, "AccessDenied", "not authorized to perform sqs:SendMessage")),
        (6, Fault::on("GetQueueAttributes").error(503, "ServiceUnavailable", "not available")),
    ] {
        let stage = stage().await.set("AWS_MAX_ATTEMPTS", "1").with(|world| {
            world.behaviour.events = false;
            world.fault(fault.clone());
        });
        let sources = build(&stage, 2);
        let mut poller = poller(&stage).await.habits(Habits { sweep_every: Some(HOUR), ..Habits::default() });
        poller.send_sweep();
        let start = stage.aws.world().now();
        for hour in 1..=hours {
            poller.run_until(start + hour * HOUR).await;
            poller.send_sweep();
            let messages = stage.aws.world().messages(&stage.queue);
            let waiting = messages.iter().filter(|message| message.body.contains("Sweep")).count();
            assert!(waiting <= 3, "{waiting} sweeps wait after {hour} hours of {fault:?}");
        }
        stage.aws.world().clear_faults();
        poller.run_to_rest(24 * HOUR).await.unwrap();
        sweep_to_the_end(&mut poller, &stage).await;
        assert_each_has_one_finished_copy(&stage, &sources);
        assert_eq!(stage.dead(), [], "a sweep is no letter to an operator");
    }
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
    assert!(one && other);
    assert_eq!(failures(&announced.unwrap()), Vec::<String>::new());
    tokio::join!(deliver(&stage, &functions[0]), deliver(&stage, &functions[1]), deliver(&stage, &functions[2]));
    let copies = stage.copies();
    assert_eq!((stage.copied(), copies.len()), (sources.clone(), sources.len()));
    stage.aws.world().advance(HOUR);
    let (one, other) = tokio::join!(swept(&functions[0]), swept(&functions[1]));
    assert!(one && other);
    tokio::join!(deliver(&stage, &functions[0]), deliver(&stage, &functions[1]), deliver(&stage, &functions[2]));
    assert_each_has_one_finished_copy(&stage, &sources);
}

#[tokio::test]
async fn a_sweep_copies_nothing_older_than_backfill_days() {
    let day = 24 * 60;
    let stage = stage().await.set("BACKFILL_DAYS", "7").with(|world| {
        world.add_image(THERE, Image::new(id_of(1), "of today").created(ago(90)));
        world.add_image(THERE, Image::new(id_of(6), "of six days ago").created(ago(6 * day)));
        world.add_image(THERE, Image::new(id_of(7), "of seven days and two hours ago").created(ago(7 * day + 120)));
        world.add_image(THERE, Image::new(id_of(100), "of long ago").created(ago(100 * day)));
        // Of the same day as the limit, which is all that EC2's filter tells apart.
        world.add_image(THERE, Image::new(id_of(8), "of two hours before the limit").created(ago(7 * day - 10 * 60)));
        world.advance(12 * HOUR);
    });
    let function = stage.function().await;
    crate::life::learns_the_time(&function).await;
    assert!(swept(&function).await);
    assert_eq!(announcements(&stage), [missed(6, THERE), missed(1, THERE)]);
    deliver(&stage, &function).await;
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
    assert_eq!(announcements(&stage), [missed(1, THERE)]);
    deliver(&stage, &function).await;
    assert_eq!(stage.copied(), BTreeSet::from([id_of(1), id_of(12)]));
    assert_eq!(stage.copies().len(), 2, "a copy that somebody else has made is a copy");
}

#[tokio::test]
async fn a_failed_copy_without_an_event_is_explained_once_removed_and_made_again_by_the_next_sweep() {
    let stage = stage().await.with(|world| {
        world.behaviour.events = false;
        world.fail_next_copy(&id_of(7919), CopyFailure::key_not_accessible());
    });
    let sources = build(&stage, 1);
    let function = stage.function().await;
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    stage.aws.world().advance(HOUR);
    let [failed] = stage.copies().try_into().expect("one copy");
    assert_eq!(failed.state, ImageState::Failed);
    assert!(swept(&function).await);
    let post_mortem_first = [json!({ "Unfinished": { "ImageId": failed.id, "Hops": 1 } })];
    assert_eq!(announcements(&stage), post_mortem_first, "its source waits for the next sweep");
    deliver(&stage, &function).await;
    assert_eq!(stage.copies().len(), 0);
    let [(body, attributes)] = stage.dead().try_into().expect("one dead letter");
    assert_eq!(attributes["Code"], "CopyFailed");
    assert!(attributes["Explanation"].contains("Given key ID is not accessible"), "{attributes:?}");
    assert!(body.contains(&id_of(7919)), "{body}");
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    stage.aws.world().advance(HOUR);
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    assert_each_has_one_finished_copy(&stage, &sources);
    assert_eq!(stage.dead().len(), 1);
    assert!(counted(&function, "RejectedFound").abs() < 0.5, "its dead letter has the alarm");
}

#[tokio::test]
async fn a_sweep_retires_only_copies_whose_source_is_known_to_be_gone() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true").with(|world| {
        world.behaviour.page_size = 1;
        // Gone; still in service; another account's and not visible; from a Region that is no source Region any more.
        world.add_image(HERE, gone_for_long(1, THERE));
        world.add_image(HERE, left_behind(2, THERE, ACCOUNT));
        world.add_image(THERE, Image::new(id_of(1002), "golden"));
        world.add_image(HERE, left_behind(3, THERE, STRANGER));
        world.add_image(HERE, left_behind(4, "ap-south-1", ACCOUNT));
    });
    let function = stage.function().await;
    assert!(swept(&function).await);
    assert_eq!(announcements(&stage), [source_gone(1), source_gone(3)]);
    deliver(&stage, &function).await;
    let left: BTreeSet<String> = stage.copies().into_iter().map(|copy| copy.id).collect();
    assert_eq!(left, BTreeSet::from([id_of(2), id_of(3), id_of(4)]));
}

/// EC2 takes 200 values in the filters of a call.
#[tokio::test]
async fn the_sources_of_any_number_of_copies_are_looked_for_by_their_ids() {
    const COPIES: u32 = 401;
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true").with(|world| {
        for number in 1..=COPIES {
            world.add_image(HERE, left_behind(number, THERE, ACCOUNT));
        }
    });
    let function = stage.function().await;
    assert!(swept(&function).await, "{:#?}", function.logs());
    assert_eq!(figure(&function, "complete"), "true");
    let announced: BTreeSet<String> = announcements(&stage).iter().map(Value::to_string).collect();
    assert_eq!(announced, (1..=COPIES).map(|number| source_gone(number).to_string()).collect());
}

/// The same limit, where AMIs of the source Regions are copies of AMIs of this one.
#[tokio::test]
async fn the_origins_of_any_number_of_amis_are_looked_for_by_their_ids() {
    const SOURCES: u32 = 401;
    let stage = stage().await.with(|world| {
        for number in 1..=SOURCES {
            let of_another = number == SOURCES;
            let owner = if of_another { STRANGER } else { ACCOUNT };
            world.add_image(HERE, Image::new(id_of(number), format!("made here {number}")).owner(owner).public());
            let copy = Image::new(id_of(1000 + number), format!("from here {number}"));
            world.add_image(THERE, copy.copy_of(&id_of(number), HERE));
        }
    });
    let function = stage.function().await;
    assert!(swept(&function).await, "{:#?}", function.logs());
    assert_eq!(announcements(&stage), [missed(1000 + SOURCES, THERE)]);
}

/// What does not fit into a call is left out of the filters: selection decides.
#[tokio::test]
async fn a_listing_stays_within_ec2s_limits_of_filters_whatever_the_settings_are() {
    let numbered = |count: usize, of: &str| (0..count).map(|n| format!("{of}{n}")).collect::<Vec<_>>().join(",");
    let (patterns, tags) = (numbered(195, "golden-"), numbered(60, "!tag"));
    for (variable, value) in [
        ("NAME_PATTERNS", patterns.clone()),
        ("NAME_PATTERNS", numbered(201, "golden-")),
        ("NAME_PATTERNS", format!("golden-1,{}", "x".repeat(256))),
        // Days in so many filters: with the state, one value too many.
        ("BACKFILL_DAYS", "199".to_owned()),
        ("BACKFILL_DAYS", "198".to_owned()),
        ("REQUIRED_TAGS", tags.replace('!', "")),
        ("REQUIRED_TAGS", format!("team={}", "*".repeat(200))),
    ] {
        let stage = stage().await.beyond_the_template().set("BACKFILL_DAYS", "7").set(variable, &value).with(|world| {
            let mut image = Image::new(id_of(1), "golden-1").created(ago(90)).tag("team", &"*".repeat(200));
            image.tags.extend((0..60).map(|n| (format!("tag{n}"), String::new())));
            world.add_image(THERE, image);
        });
        let function = stage.function().await;
        assert!(swept(&function).await, "{variable}={value}: {:#?}", function.logs());
        assert_eq!(announcements(&stage), [missed(1, THERE)], "{variable}={value}");
    }
}

#[tokio::test]
async fn a_sweep_announces_a_marked_copy_whose_source_is_back_before_what_it_retires() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true").with(|world| {
        world.add_image(HERE, gone_for_long(1, THERE));
        world.add_image(HERE, gone_for_long(2, THERE));
        world.add_image(THERE, Image::new(id_of(1002), "back"));
        let disabled =
            left_behind(3, ALSO_THERE, ACCOUNT).tag("ami-courier:disabled-with-source", "2025-12-01T00:00:00Z");
        world.add_image(HERE, disabled.state(ImageState::Disabled));
        world.add_image(ALSO_THERE, Image::new(id_of(1003), "enabled again"));
    });
    let function = stage.function().await;
    assert!(swept(&function).await);
    assert_eq!(announcements(&stage), [source_back(2), source_back(3), source_gone(1)]);
    deliver(&stage, &function).await;
    let left: BTreeSet<String> = stage.copies().into_iter().map(|copy| copy.id).collect();
    assert_eq!(left, BTreeSet::from([id_of(2), id_of(3)]));
    assert!(stage.copies().iter().all(|copy| copy.state == ImageState::Available), "{:?}", stage.copies());
}

#[tokio::test]
async fn a_source_region_that_fails_or_hangs_deletes_nothing_and_costs_the_others_only_retirements() {
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
            world.add_image(HERE, gone_for_long(1, THERE));
            world.add_image(HERE, gone_for_long(2, THERE));
            // Of the other: gone, unfinished, missed.
            world.add_image(HERE, gone_for_long(3, ALSO_THERE));
            world.add_image(HERE, unfinished(4, ALSO_THERE));
            world.add_image(ALSO_THERE, Image::new(id_of(1004), "unfinished"));
            world.add_image(ALSO_THERE, Image::new(id_of(5), "missed"));
        });
        let function = stage.function().await;
        swept(&function).await;
        assert_eq!(figure(&function, "complete"), "false");
        assert_eq!(announcements(&stage), [missed(5, ALSO_THERE), to_finish(4), source_gone(3)]);
        deliver(&stage, &function).await;
        let left = stage.copied();
        // An AMI of the same build as the third may be in that Region: in doubt, the copy stays.
        let expected = [id_of(1001), id_of(1002), id_of(1003), id_of(1004), id_of(5)];
        assert_eq!(left, BTreeSet::from(expected), "{:#?}", function.logs());
        assert!(is_finished(&stage, &id_of(4)));
        assert_eq!(stage.dead(), []);
    }
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
    deliver(&stage, &function).await;
    stage.aws.world().advance(15 * MINUTE);
    // The function learns the time from AWS's answers: the second of these sweeps knows it from the first.
    assert!(swept(&function).await && swept(&function).await);
    let found = gauges(&function);
    assert_eq!((&found["MissedFound"], &found["CopiesInProgress"]), (&json!([0.0]), &json!([3.0])));
    let oldest = found["OldestCopyInProgressSeconds"][0].as_f64().expect("a number");
    assert!((900.0..960.0).contains(&oldest), "{oldest}");
    stage.aws.world().advance(HOUR);
    assert!(swept(&function).await);
    assert_eq!(gauges(&function)["UnfinishedFound"], json!([3.0]));
}
