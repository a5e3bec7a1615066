//! A chain of the courier's own messages ends: at its own bound, before Lambda takes it for a loop. Then a sweep goes on, or an operator.

use std::sync::Arc;
use std::time::Duration;

use local::aws::{Image, ImageState, Message, START};
use serde_json::Value;

use crate::poller::{Habits, Poller};
use crate::stage::{HERE, Stage, THERE, state_change, words};

const AMI: &str = "ami-0abcdef1234567890";
const BY_HAND: &str = "ami-0b000000000000001";
const HOUR: Duration = Duration::from_secs(3600);
/// How many messages of its own the courier sends in a row.
const HOPS: usize = 12;

/// A young AMI, which somebody else is copying; the copy takes very long.
async fn stage() -> Stage {
    Stage::new().await.with(|world| {
        world.add_image(THERE, Image::new(AMI, "golden-1").created(START));
        world.add_image(HERE, Image::new(BY_HAND, "by-hand").copy_of(AMI, THERE).state(ImageState::Pending));
    })
}

async fn poller(stage: &Stage, batch_size: usize) -> Poller {
    let executions = vec![Arc::new(stage.function().await)];
    Poller::new(&stage.aws, &stage.queue, executions, 1).habits(Habits { batch_size, ..Habits::default() })
}

/// The announcement, then ten hours.
async fn announce_and_wait(poller: &mut Poller) {
    poller.send(&state_change(THERE, AMI, "available").to_string());
    poller.run_until(START + 10 * HOUR).await;
}

fn looks(poller: &Poller) -> usize {
    let calls = poller.aws.world().calls();
    calls.iter().filter(|call| call.action == "SendMessageBatch").count()
}

fn copies_of_the_courier(stage: &Stage) -> usize {
    stage.copies().iter().filter(|copy| copy.id != BY_HAND && copy.state == ImageState::Available).count()
}

#[tokio::test]
async fn after_twelve_looks_at_somebody_elses_pending_copy_the_sweep_goes_on() {
    let stage = stage().await.set("SOURCE_REGIONS", THERE);
    let mut poller = poller(&stage, 10).await;
    announce_and_wait(&mut poller).await;
    assert_eq!((looks(&poller), stage.aws.world().messages(&stage.queue).len()), (HOPS, 0));
    assert_eq!(stage.dead(), []);
    stage.aws.world().image_mut(HERE, BY_HAND).unwrap().state = ImageState::Failed;
    poller.send_sweep();
    poller.run_to_rest(10 * HOUR).await.unwrap();
    assert_eq!((copies_of_the_courier(&stage), stage.dead().len()), (1, 0));
}

#[tokio::test]
async fn where_no_sweep_finds_the_ami_the_chain_ends_with_a_dead_letter_that_begins_a_new_one() {
    for (setting, value) in [("SOURCE_REGIONS", ""), ("SWEEPS", "false"), ("BACKFILL_DAYS", "1")] {
        let stage = stage().await.set("SOURCE_REGIONS", THERE).set(setting, value);
        let mut poller = poller(&stage, 10).await;
        announce_and_wait(&mut poller).await;
        assert_eq!(looks(&poller), HOPS, "{setting}");
        let [(body, why)] = stage.dead().try_into().expect("one dead letter");
        assert_eq!(why["Code"], "LooksSpent", "{setting}: {why:?}");
        for part in [AMI, THERE, HERE, BY_HAND, "still pending", "send the dead letter back"] {
            assert!(words(&why).contains(part), "{part}: {why:?}");
        }
        assert!(body.contains("SecondLook") && !body.contains("Hops"), "{body}");
        stage.aws.world().image_mut(HERE, BY_HAND).unwrap().state = ImageState::Failed;
        poller.send(&body);
        poller.run_to_rest(10 * HOUR).await.unwrap();
        assert_eq!((copies_of_the_courier(&stage), stage.dead().len()), (1, 1), "{setting}");
    }
}

/// The SDK passes the trace header of the invocation on, and with it Lambda's count.
#[tokio::test]
async fn no_chain_is_so_long_that_lambda_takes_it_for_a_loop() {
    let stage = stage().await.with(|world| world.behaviour.invocations_in_a_chain = Some(16));
    let mut poller = poller(&stage, 1).await;
    poller.send(&state_change(THERE, AMI, "available").to_string());
    poller.run_until(START + HOUR).await;
    let [Message { body, trace, .. }] = stage.aws.world().messages(&stage.queue).try_into().expect("a second look");
    let own: Value = serde_json::from_str(&body).unwrap();
    let hops = own["AmiCourier"]["SecondLook"]["Hops"].as_u64().unwrap();
    assert!(hops > 1 && trace.as_ref().unwrap().ends_with(&format!(":{hops}")), "{hops}: {trace:?}");
    poller.run_until(START + 10 * HOUR).await;
    assert_eq!((poller.tally.loops, looks(&poller)), (0, HOPS));
    assert_eq!(stage.dead()[0].1["Code"], "LooksSpent");
}

#[tokio::test]
async fn a_message_that_lambda_takes_for_a_loop_reaches_nobody_and_ends_without_a_reason() {
    let stage = stage().await.with(|world| world.behaviour.invocations_in_a_chain = Some(5));
    let mut poller = poller(&stage, 1).await;
    announce_and_wait(&mut poller).await;
    assert_eq!(looks(&poller), 5);
    assert!(poller.tally.loops > 50, "{:?}", poller.tally);
    poller.run_until(START + 30 * HOUR).await;
    let [(_, why)] = stage.dead().try_into().expect("SQS has moved it");
    assert!(why.is_empty(), "{why:?}");
}
