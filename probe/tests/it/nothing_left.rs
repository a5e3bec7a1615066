//! A run leaves nothing behind, however it ends.

use std::time::Duration;

use local::aws::{Effect, Fault, Image};
use probe::assumption::{ASSUMPTIONS, Assumption, Needs};
use probe::clean::{Leftovers, clean};
use probe::lab::Made;
use probe::run::{ask, clean_up};

use super::stage::{REGION, SOURCE_REGION, Stage};

fn short_questions() -> Vec<Assumption> {
    ASSUMPTIONS.iter().filter(|assumption| assumption.needs == Needs::Nothing).copied().collect()
}

/// A world in which waiting takes few calls, with an AMI of the user's.
async fn quick_stage() -> Stage {
    Stage::new().await.with(|world| {
        world.behaviour.copy_duration = Duration::from_secs(30);
        world.behaviour.usage_report_duration = Duration::from_secs(30);
        world.add_image(REGION, Image::new("ami-00000001", "of the user").tag("Name", "ami-courier-probe"));
        world.add_image(SOURCE_REGION, Image::new("ami-00000002", "of the user"));
    })
}

/// `probe --clean`.
async fn clean_every_run(stage: &Stage) {
    let leftovers = Leftovers {
        regions: [REGION.to_owned(), SOURCE_REGION.to_owned()].into(),
        run: None,
        made: Made::default(),
        may_be_invisible: true,
    };
    let cleaned = clean(&stage.connection(), &leftovers).await;
    assert!(cleaned.left.is_empty(), "{cleaned}");
}

#[tokio::test]
async fn a_run_that_is_killed_at_any_call_leaves_nothing_after_clean() {
    let length = {
        let stage = quick_stage().await;
        stage.ask(2, &short_questions()).await;
        stage.aws.world().calls_made()
    };
    assert!(length > 60, "a run makes {length} calls");
    for n in 1..=length {
        // Killed before its effect, or after it.
        for effect in [Effect::Slow(Duration::from_secs(600)), Effect::SlowAfterEffect(Duration::from_secs(600))] {
            let stage = quick_stage().await;
            let before = stage.inventory();
            stage.aws.world().fault(Fault::on_any().nth(n).effect(effect));
            let lab = stage.lab(2);
            let run = tokio::spawn(async move {
                ask(&lab, &short_questions(), |_| {}).await;
                clean_up(&lab).await
            });
            while stage.aws.world().calls_made() < n && !run.is_finished() {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            // The call has arrived; its effect takes no time.
            tokio::time::sleep(Duration::from_millis(2)).await;
            run.abort();
            let _ = run.await;
            stage.aws.world().clear_faults();
            clean_every_run(&stage).await;
            assert_eq!(stage.inventory(), before, "killed at call {n}");
        }
    }
}
