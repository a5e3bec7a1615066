//! Many AMIs and no event at all, on the weakest EC2: sweeps through the queue copy and finish them all.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use local::aws::{ACCOUNT, Behaviour, Image, Reference, START};

use super::{ALSO_THERE, HOUR, MINUTE, gone_for_long, id_of, stage};
use crate::poller::{Habits, Poller};
use crate::stage::{HERE, THERE};

/// How many AMIs are wanted, and how many retirements are held: `SWEEP_SIZE` of each.
fn size() -> u32 {
    std::env::var("SWEEP_SIZE").map_or(60, |size| size.parse().expect("SWEEP_SIZE is a number"))
}

/// EC2 copies 20 snapshots at the same time, unless AWS raised the limit, and a copy takes 20 minutes here.
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-copy-snapshot.html>
const SNAPSHOTS_AT_ONCE: u32 = 20;

#[tokio::test]
async fn without_any_event_sweeps_copy_and_finish_all_amis_of_two_regions_beside_as_many_held_retirements() {
    let size = size();
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true").set("AWS_MAX_ATTEMPTS", "1").with(|world| {
        world.behaviour = Behaviour::weakest();
        world.behaviour.events = false;
        world.behaviour.snapshot_copies_limit = SNAPSHOTS_AT_ONCE as usize;
        for number in 1..=size {
            let region = if number % 2 == 0 { THERE } else { ALSO_THERE };
            let wanted = Image::new(id_of(10_000 + number), format!("golden-{number}"));
            world.add_image(region, wanted.created(START - number * 10 * MINUTE));
            // Its source is gone, and a launch template refers to it.
            let mut held = gone_for_long(number, region).created(START - 24 * 100 * HOUR);
            let arn = format!("arn:aws:ec2:{HERE}:{ACCOUNT}:launch-template/lt-{number:017x}");
            held.referenced_by =
                vec![Reference { resource_type: "ec2:LaunchTemplate".to_owned(), arn, newer_versions: 0 }];
            world.add_image(HERE, held);
        }
        // All of these have been visible for long.
        world.advance(HOUR);
    });
    let begun = stage.aws.world().now();
    let executions = join_all((0..4).map(|_| stage.function())).await.into_iter().map(Arc::new).collect();
    let habits = Habits { hears_events: false, ..Habits::default() };
    let mut poller = Poller::new(&stage.aws, &stage.queue, executions, 1).habits(habits);

    let is_held = |copy: &Image| !copy.referenced_by.is_empty();
    let finished = || {
        let copies = stage.copies().into_iter();
        let finished = copies.filter(|copy| !is_held(copy) && copy.tags.contains_key("ami-courier:finished"));
        finished.filter_map(|copy| copy.source_image_id).collect::<BTreeSet<String>>()
    };
    let longest = 4 * HOUR + size / SNAPSHOTS_AT_ONCE * HOUR;
    let mut sweeps = 0;
    while finished().len() < size as usize {
        let passed = (stage.aws.world().now() - begun).unsigned_abs();
        assert!(passed < longest, "{} of {size} are finished after {passed:?}", finished().len());
        poller.send_sweep();
        sweeps += 1;
        poller.run_until(begun + sweeps * HOUR).await;
    }

    let passed = stage.aws.world().now() - begun;
    println!(
        "{size} AMIs in two Regions, {size} held retirements, no event: copied and finished by {sweeps} hourly sweeps in {} hours \
         of simulated time; {:?}",
        passed.whole_hours(),
        poller.tally
    );
    let wanted: BTreeSet<String> = (1..=size).map(|number| id_of(10_000 + number)).collect();
    assert_eq!(finished(), wanted);
    let (held, copies): (Vec<Image>, Vec<Image>) = stage.copies().into_iter().partition(is_held);
    assert_eq!((copies.len(), held.len()), (size as usize, size as usize), "each copied once, and none retired");
    assert_eq!(stage.dead(), []);
}
