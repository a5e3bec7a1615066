//! A run leaves nothing behind, however it ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use local::aws::{Behaviour, Effect, Fault, Image};
use probe::assumption::{ASSUMPTIONS, Assumption, Needs};
use probe::aws::CallError;
use probe::clean::{Leftovers, clean};
use probe::lab;
use probe::run::{ask, clean_up};
use tokio::task::JoinSet;

use super::stage::{REGION, SOURCE_REGION, Stage, question};

fn short_questions() -> Vec<Assumption> {
    ASSUMPTIONS.iter().filter(|assumption| assumption.needs != Needs::ADay).copied().collect()
}

/// A world in which waiting takes few calls, with AMIs of the user's.
async fn quick_stage(behaviour: Behaviour) -> Stage {
    Stage::new().await.with(|world| {
        world.behaviour = Behaviour {
            copy_duration: Duration::from_secs(30),
            usage_report_duration: Duration::from_secs(30),
            ..behaviour
        };
        world.add_image(REGION, Image::new("ami-00000001", "of the user").tag("Name", "ami-courier-probe"));
        world.add_image(SOURCE_REGION, Image::new("ami-00000002", "of the user"));
    })
}

/// The weakest AWS, but a new AMI is invisible for a minute only, so that waiting takes few calls.
fn weak() -> Behaviour {
    let mut weak = Behaviour::weakest();
    weak.hide_new_images_for(Duration::from_secs(60));
    weak
}

/// Runs all of them, some at a time.
async fn run_all<F: Future<Output = ()> + Send + 'static>(runs: Vec<F>) {
    let queue = Arc::new(Mutex::new(runs));
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let queue = queue.clone();
        workers.spawn(async move {
            loop {
                let Some(run) = queue.lock().expect("no worker panics with it").pop() else { return };
                run.await;
            }
        });
    }
    workers.join_all().await;
}

/// What `probe --clean` removes.
fn every_run() -> Leftovers {
    Leftovers { regions: [REGION.to_owned(), SOURCE_REGION.to_owned()].into(), run: None, made: lab::Made::unknown() }
}

async fn clean_every_run(stage: &Stage) {
    let cleaned = clean(&stage.connection(), &every_run()).await;
    assert!(cleaned.left.is_empty(), "{cleaned}");
}

/// A call of a run that ends by itself.
struct Made {
    number: u64,
    /// Whether it changes something.
    changes: bool,
    /// Whether a question made it, not the removal.
    asks: bool,
}

/// The calls of a run. Of several looks in a row, one stands for all: nothing has changed between them.
async fn calls(behaviour: Behaviour) -> Vec<Made> {
    let stage = quick_stage(behaviour).await;
    let before = stage.inventory();
    let lab = stage.lab(2);
    ask(&lab, &short_questions(), |_| {}).await;
    let asked = stage.aws.world().calls_made();
    clean_up(&lab).await;
    assert_eq!(stage.inventory(), before);
    let mut calls: Vec<Made> = stage
        .aws
        .world()
        .calls()
        .iter()
        .map(|call| Made {
            number: call.number,
            changes: !["Describe", "Get", "List", "Receive"].iter().any(|look| call.action.starts_with(look)),
            asks: call.number <= asked,
        })
        .collect();
    calls.dedup_by_key(|call| if call.changes { call.number } else { 0 });
    calls
}

/// Runs until the call of this number arrives, and is gone then, without a chance to remove anything.
async fn kill_at(behaviour: Behaviour, number: u64, effect: Effect) {
    let stage = quick_stage(behaviour).await;
    let before = stage.inventory();
    stage.aws.world().fault(Fault::on_any().nth(number).effect(effect.clone()));
    let lab = stage.lab(2);
    let run = tokio::spawn(async move {
        ask(&lab, &short_questions(), |_| {}).await;
        clean_up(&lab).await
    });
    while stage.aws.world().calls_made() < number && !run.is_finished() {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    // The effect of a call takes no time.
    tokio::time::sleep(Duration::from_millis(2)).await;
    run.abort();
    assert!(run.await.is_err(), "it was killed at call {number}");
    stage.aws.world().clear_faults();
    clean_every_run(&stage).await;
    assert_eq!(stage.inventory(), before, "killed at call {number}, {effect:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_that_is_killed_at_any_call_leaves_nothing_after_clean() {
    let mut kills = Vec::new();
    for Made { number, changes, .. } in calls(Behaviour::default()).await {
        kills.push(kill_at(Behaviour::default(), number, Effect::Slow(Duration::from_secs(600))));
        if changes {
            kills.push(kill_at(Behaviour::default(), number, Effect::SlowAfterEffect(Duration::from_secs(600))));
        }
    }
    assert!(kills.len() > 60, "{} kills", kills.len());
    run_all(kills).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nor_where_everything_new_is_invisible_for_15_minutes() {
    let mut kills = Vec::new();
    for Made { number, changes, .. } in calls(Behaviour::weakest()).await {
        if changes {
            kills.push(kill_at(Behaviour::weakest(), number, Effect::SlowAfterEffect(Duration::from_secs(600))));
        }
    }
    assert!(kills.len() > 20, "{} kills", kills.len());
    run_all(kills).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_that_is_stopped_at_any_call_removes_everything_itself() {
    async fn stop_at(number: u64) {
        let stage = quick_stage(weak()).await;
        let before = stage.inventory();
        // Long enough to stop the run while the call is on its way.
        stage.aws.world().fault(Fault::on_any().nth(number).effect(Effect::SlowAfterEffect(Duration::from_millis(20))));
        let (lab, stop) = (stage.lab(2), stage.stop.clone());
        let aws = stage.aws.clone();
        tokio::spawn(async move {
            while aws.world().calls_made() < number {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            stop.stop();
        });
        let answers = ask(&lab, &short_questions(), |_| {}).await;
        let last = answers.last().expect("an answer");
        let is_last = answers.len() == short_questions().len();
        assert!(is_last || last.answer == Err(CallError::Stopped), "stopped at call {number}");
        let cleaned = clean_up(&lab).await;
        assert!(cleaned.left.is_empty(), "{cleaned}");
        assert_eq!(stage.inventory(), before, "stopped at call {number}");
    }
    let mut stops = Vec::new();
    for call in calls(weak()).await.iter().filter(|call| call.changes && call.asks) {
        stops.push(stop_at(call.number));
    }
    assert!(stops.len() > 10, "{} stops", stops.len());
    run_all(stops).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_whose_answer_is_lost_leaves_nothing_behind() {
    async fn lose(number: u64) {
        let stage = quick_stage(weak()).await;
        let before = stage.inventory();
        stage.aws.world().fault(Fault::on_any().nth(number).drop_after_effect());
        stage.ask(2, &short_questions()).await;
        assert_eq!(stage.inventory(), before, "the answer to call {number} was lost");
    }
    let mut losses = Vec::new();
    for Made { number, changes, .. } in calls(weak()).await {
        if changes {
            losses.push(lose(number));
        }
    }
    run_all(losses).await;
}

#[tokio::test]
async fn a_user_who_may_make_no_rule_is_not_kept_waiting_and_leaves_nothing_behind() {
    let stage = quick_stage(Behaviour::default()).await.with(|world| {
        for action in ["PutRule", "ListRules", "CreateQueue", "ListQueues"] {
            world.fault(Fault::on(action).error(400, "AccessDeniedException", "User is not authorized"));
        }
    });
    let before = stage.inventory();
    let answers = stage.ask(2, &[question("does_ec2_send_an_event_when_a_copy_has_failed")]).await;
    assert_eq!(answers[0].seen(), "refused: AccessDeniedException");
    assert_eq!(stage.inventory(), before);
    let begun = stage.aws.world().now();
    let cleaned = clean(&stage.connection(), &every_run()).await;
    assert_eq!(cleaned.notes.len(), 4, "{cleaned}");
    assert!(cleaned.notes.iter().all(|note| note.contains("were not looked for: AccessDeniedException")), "{cleaned}");
    assert!(cleaned.left.is_empty() && stage.aws.world().now() - begun < Duration::from_secs(30 * 60), "{cleaned}");
}
