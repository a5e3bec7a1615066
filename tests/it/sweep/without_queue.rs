//! Without a queue of its own, the courier does itself what its sweep found, until the time is over.

use std::collections::BTreeSet;
use std::time::Duration;

use local::aws::{ACCOUNT, CopyFailure, Fault, Image};

use super::{
    ALSO_THERE, HOUR, assert_each_has_one_finished_copy, build, counted, created, figure, id_of, left_behind, stage,
    swept, unfinished,
};
use crate::life::is_finished;
use crate::stage::{HERE, Stage, THERE};

async fn stage_without_queue() -> Stage {
    stage().await.set("QUEUE_URL", "")
}

#[tokio::test]
async fn one_sweep_copies_finishes_and_retires() {
    let stage = stage_without_queue().await.set("RETIRE_WITH_SOURCE", "true").with(|world| {
        world.add_image(HERE, left_behind(1, THERE, ACCOUNT));
        world.add_image(HERE, unfinished(2, ALSO_THERE));
        world.add_image(ALSO_THERE, Image::new(id_of(1002), "of an unfinished copy"));
        world.add_image(THERE, Image::new(id_of(3), "missed"));
    });
    let function = stage.function().await;
    assert!(swept(&function).await);
    assert_eq!(stage.copied(), BTreeSet::from([id_of(1002), id_of(3)]));
    assert!(is_finished(&stage, &id_of(2)));
    assert_eq!(figure(&function, "left"), "0");
    assert!(!stage.actions().contains(&"SendMessageBatch".to_owned()), "{:?}", stage.actions());
}

#[tokio::test]
async fn sweeps_alone_make_and_finish_every_copy() {
    let stage = stage_without_queue().await.with(|world| world.behaviour.events = false);
    let sources = build(&stage, 9);
    let function = stage.function().await;
    for _ in 0..2 {
        assert!(swept(&function).await);
        stage.aws.world().advance(HOUR);
    }
    assert_each_has_one_finished_copy(&stage, &sources);
}

#[tokio::test]
async fn a_sweep_works_oldest_first_stops_in_time_reports_how_many_are_left_and_the_next_continues() {
    let stage = stage_without_queue().await.set("EVENT_BUS_NAME", "").timeout(Duration::from_secs(20)).with(|world| {
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
        assert!(swept(&function).await, "AMIs that are left are no failure: {:#?}", function.logs());
        let sources = stage.copied();
        assert!(sources.len() > copied, "each sweep copies some");
        copied = sources.len();
        assert_eq!(figure(&function, "left"), (60 - copied).to_string());
        // The 60th is the oldest: those that are copied are the oldest of all.
        let newest = sources.iter().map(age_of).max().expect("some");
        assert_eq!(newest, created(u32::try_from(61 - copied).expect("a few")));
        // The clock stands still: copies to finish would be among those that are left.
    }
    assert!(function.logs().iter().filter(|line| line.contains(": swept ")).count() > 1, "one sweep did it all");
}

#[tokio::test]
async fn a_sweep_that_meets_the_limit_of_copies_starts_no_more_but_continues_with_everything_else() {
    let stage = stage_without_queue().await.with(|world| {
        world.behaviour.copies_in_progress_limit = 3;
        world.behaviour.events = false;
    });
    build(&stage, 40);
    let function = stage.function().await;
    assert!(!swept(&function).await, "it is retried when copies may have ended");
    assert_eq!(stage.copies().len(), 3);
    let tried = stage.actions().iter().filter(|action| *action == "CopyImage").count();
    assert!(tried < 40 - 10, "{tried} calls in vain");
    stage.aws.world().advance(HOUR);
    assert!(!swept(&function).await);
    let finished = stage.copies().iter().filter(|copy| copy.tags.contains_key("ami-courier:finished")).count();
    assert_eq!((stage.copies().len(), finished), (6, 3));
}

#[tokio::test]
async fn a_rejection_is_counted_and_no_dead_letter_but_a_failed_copy_is_one() {
    let stage = stage_without_queue().await.with(|world| {
        world.behaviour.events = false;
        world.behaviour.copy_image_refuses_taken_names = true;
        world.add_image(HERE, Image::new("ami-0000000000000beef", "golden-1"));
        world.fail_next_copy(&id_of(2 * 7919 % 10_007), CopyFailure::key_not_accessible());
    });
    build(&stage, 2);
    let function = stage.function().await;
    assert!(swept(&function).await, "no repetition could help");
    assert!((counted(&function, "RejectedFound") - 1.0).abs() < 0.5);
    assert_eq!(stage.dead(), []);
    stage.aws.world().advance(HOUR);
    assert!(swept(&function).await);
    assert!((counted(&function, "RejectedFound") - 2.0).abs() < 0.5, "only the name that is taken");
    let [(_, attributes)] = stage.dead().try_into().expect("one dead letter");
    assert_eq!(attributes["Code"], "CopyFailed");
}
