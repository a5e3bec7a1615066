//! A run leaves nothing behind, however it ends.

use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use local::aws::{Behaviour, Effect, Fault, Image};
use probe::assumption::{ASSUMPTIONS, Assumption, Needs};
use probe::aws::CallError;
use probe::clean::{Cleaned, Leftovers, clean};
use probe::lab::Made;
use probe::run::{ask, clean_up};

use super::stage::{REGION, SOURCE_REGION, Stage, question};

/// A call that never ends before the test does.
const NEVER: Duration = Duration::from_secs(600);

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

/// What `probe --clean` does.
async fn clean_every_run(stage: &Stage) -> Cleaned {
    let regions = [REGION.to_owned(), SOURCE_REGION.to_owned()].into();
    let cleaned = clean(&stage.asked(), &Leftovers { regions, run: None, made: Made::unknown() }).await;
    assert!(cleaned.left.is_empty(), "{cleaned}");
    cleaned
}

type Test = fn(Behaviour, u64) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tests each call that changes something, some at a time: of a whole run, or only those before it removes everything. What happens at
/// other calls makes no difference: nothing has changed since the last one.
async fn at_each_change(behaviour: Behaviour, is_whole: bool, test: Test) {
    let stage = quick_stage(behaviour.clone()).await;
    let before = stage.inventory();
    let lab = stage.lab(2);
    ask(&lab, &short_questions(), |_| {}).await;
    let asked = stage.aws.world().calls_made();
    clean_up(&lab).await;
    assert_eq!(stage.inventory(), before);
    let calls = stage.aws.world().calls();
    let is_look = |action: &str| ["Describe", "Get", "List", "Receive"].iter().any(|look| action.starts_with(look));
    let changes = calls.iter().filter(|call| !is_look(&call.action) && (is_whole || call.number <= asked));
    let numbers: Vec<u64> = changes.map(|call| call.number).collect();
    assert!(numbers.len() > 40, "{numbers:?}");
    let queue = Mutex::new(numbers);
    let worker = async || {
        while let Some(number) = { queue.lock().expect("no worker panics with it").pop() } {
            tokio::spawn(test(behaviour.clone(), number)).await.expect("the test of one call");
        }
    };
    tokio::join!(worker(), worker(), worker(), worker());
}

/// Runs until the call of this number had its effect, and is gone then, without a chance to remove anything.
async fn kill_at(behaviour: Behaviour, number: u64) {
    let stage = quick_stage(behaviour).await;
    let before = stage.inventory();
    stage.aws.world().fault(Fault::on_any().nth(number).effect(Effect::SlowAfterEffect(NEVER)));
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
    assert_eq!(stage.inventory(), before, "killed at call {number}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_that_is_killed_at_any_call_leaves_nothing_after_clean() {
    at_each_change(Behaviour::default(), true, |behaviour, number| Box::pin(kill_at(behaviour, number))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nor_where_everything_new_is_invisible_for_15_minutes() {
    at_each_change(Behaviour::weakest(), true, |behaviour, number| Box::pin(kill_at(behaviour, number))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_that_is_stopped_at_any_call_removes_everything_itself() {
    async fn stop_at(behaviour: Behaviour, number: u64) {
        let stage = quick_stage(behaviour).await;
        let before = stage.inventory();
        // Long enough to stop the run while the call is on its way.
        stage.aws.world().fault(Fault::on_any().nth(number).effect(Effect::SlowAfterEffect(Duration::from_millis(20))));
        let (lab, stop, aws) = (stage.lab(2), stage.stop.clone(), stage.aws.clone());
        tokio::spawn(async move {
            while aws.world().calls_made() < number {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            stop.stop();
        });
        let answers = ask(&lab, &short_questions(), |_| {}).await;
        let is_last = answers.len() == short_questions().len();
        let last = &answers.last().expect("an answer").answer;
        assert!(is_last || *last == Err(CallError::Stopped), "stopped at call {number}");
        let cleaned = clean_up(&lab).await;
        assert!(cleaned.left.is_empty(), "{cleaned}");
        assert_eq!(stage.inventory(), before, "stopped at call {number}");
    }
    at_each_change(weak(), false, |behaviour, number| Box::pin(stop_at(behaviour, number))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_whose_answer_is_lost_leaves_nothing_behind() {
    async fn lose(behaviour: Behaviour, number: u64) {
        let stage = quick_stage(behaviour).await;
        let before = stage.inventory();
        stage.aws.world().fault(Fault::on_any().nth(number).drop_after_effect());
        stage.ask(2, &short_questions()).await;
        assert_eq!(stage.inventory(), before, "the answer to call {number} was lost");
    }
    at_each_change(weak(), true, |behaviour, number| Box::pin(lose(behaviour, number))).await;
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
    let cleaned = clean_every_run(&stage).await;
    assert_eq!(cleaned.notes.len(), 4, "{cleaned}");
    assert!(cleaned.notes.iter().all(|note| note.contains("were not looked for: AccessDeniedException")), "{cleaned}");
    assert!(stage.aws.world().now() - begun < Duration::from_secs(30 * 60), "{cleaned}");
}
