//! The function is killed, with SIGKILL, at each of its calls to AWS in turn, once before the call took effect and once
//! after: the next delivery then does the rest, and nothing twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use local::aws::{Behaviour, Call, CopyFailure, Effect, Fault, Image, ImageState, LaunchPermission};

use crate::poller::{Habits, Poller};
use crate::stage::{HERE, Stage, THERE, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const FRIEND: &str = "111122223333";
const DAY: Duration = Duration::from_secs(24 * 3600);
const HANGS: Duration = Duration::from_secs(3600);

/// Lives through one life again and again, killed at one call later each time, until it ends before that. `check` looks at
/// each end. The calls at which it was killed must include all of `sites`.
async fn killed_at_each_call(
    title: &str,
    sites: &[&str],
    stage: impl AsyncFn() -> Stage,
    live: impl AsyncFn(&mut Poller),
    check: impl Fn(&Stage),
) {
    let mut met: BTreeSet<String> = BTreeSet::new();
    for (when, fault) in [("before", Effect::Slow(HANGS)), ("after", Effect::SlowAfterEffect(HANGS))] {
        for nth in 1.. {
            let fault = Fault::on_any().nth(nth).effect(fault.clone());
            let (calls, kills) = lived(&stage().await.with(|world| world.fault(fault)), &live, &check).await;
            let Some(call) = calls.iter().find(|call| call.fault.is_some()) else {
                assert!(kills == 0 && (calls.len() as u64) < nth, "{kills} kills, {} calls", calls.len());
                break;
            };
            assert_eq!(kills, 1, "killed {when} call {nth}, {}", call.action);
            println!("{title}: killed {when:6} call {nth:2}, {} in {}: kept the promise", call.action, call.region);
            met.insert(call.action.clone());
        }
    }
    for site in sites {
        assert!(met.contains(*site), "{site} is none of {met:?}");
    }
}

/// The calls, and how often the function was killed.
async fn lived(stage: &Stage, live: &impl AsyncFn(&mut Poller), check: &impl Fn(&Stage)) -> (Vec<Call>, u64) {
    let habits = Habits { kills_at_hang: 1.0, ..Habits::default() };
    let executions = vec![Arc::new(stage.function().await)];
    let mut poller = Poller::new(&stage.aws, &stage.queue, executions, 1).habits(habits);
    live(&mut poller).await;
    assert_eq!(stage.aws.world().messages(&stage.queue), [], "nothing is left in the queue");
    check(stage);
    let calls = stage.aws.world().calls();
    (calls, poller.tally.kills)
}

async fn announce(poller: &mut Poller) {
    poller.send(&state_change(THERE, AMI, "available").to_string());
    poller.run_to_rest(DAY).await.unwrap();
}

async fn sweep(poller: &mut Poller) {
    poller.send_sweep();
    poller.run_to_rest(DAY).await.unwrap();
}

/// The one copy, with its snapshots and no others.
fn only_copy(stage: &Stage) -> Image {
    let [copy] = stage.copies().try_into().expect("exactly one copy");
    let snapshots: Vec<String> = copy.snapshots.iter().map(|snapshot| snapshot.id.clone()).collect();
    assert_eq!(stage.aws.world().snapshots(HERE), snapshots, "no snapshot but the copy's");
    assert_eq!((copy.state, copy.source_image_id.as_deref()), (ImageState::Available, Some(AMI)));
    assert!(copy.tags.contains_key("ami-courier:finished"), "{:?}", copy.tags);
    copy
}

fn nothing_here(stage: &Stage) {
    assert!(stage.copies().is_empty(), "{:?}", stage.copies());
    assert_eq!(stage.aws.world().snapshots(HERE), Vec::<String>::new(), "no orphaned snapshot");
}

/// At least one dead letter, and each with this code: one killed after it was sent is sent again.
fn dead_with_code(stage: &Stage, code: &str) {
    let letters = stage.dead();
    assert!(!letters.is_empty() && letters.iter().all(|(_, attributes)| attributes["Code"] == code), "{letters:?}");
}

#[tokio::test]
async fn a_copy_that_is_made_and_finished_survives_a_kill_at_each_call() {
    let stage = async || {
        Stage::new()
            .await
            .set("AWS_MAX_ATTEMPTS", "1")
            .set("SHARE_WITH", FRIEND)
            .set("DEPRECATE", "30")
            .set("DEREGISTRATION_PROTECTION", "On")
            .set("PARAMETER_NAME", "/golden")
            .source(AMI, "golden")
    };
    killed_at_each_call(
        "copied and finished",
        &[
            "DescribeImages",
            "CopyImage",
            "ModifySnapshotAttribute",
            "ModifyImageAttribute",
            "EnableImageDeprecation",
            "EnableImageDeregistrationProtection",
            "GetParameter",
            "PutParameter",
            "PutEvents",
            "CreateTags",
        ],
        stage,
        announce,
        |stage| {
            let copy = only_copy(stage);
            assert!(copy.launch_permissions.contains(&LaunchPermission::UserId(FRIEND.to_owned())));
            assert!(copy.snapshots.iter().all(|snapshot| snapshot.shared_with.contains(FRIEND)));
            assert!(copy.deprecation_time.is_some());
            let world = stage.aws.world();
            assert_eq!(world.parameter(HERE, "/golden").map(|parameter| parameter.value), Some(copy.id));
            assert!(world.put_events().iter().any(|event| event.detail["Outcome"] == "Finished"));
            assert_eq!(world.messages(&stage.dead_letters), []);
        },
    )
    .await;
}

#[tokio::test]
async fn a_copy_on_the_weakest_ec2_that_needs_a_second_look_survives_a_kill_at_each_call() {
    let stage = async || {
        let stage = Stage::new().await.set("AWS_MAX_ATTEMPTS", "1").source(AMI, "golden");
        stage.with(|world| world.behaviour = Behaviour::weakest())
    };
    let sites = ["DescribeImages", "CopyImage", "SendMessageBatch", "PutEvents", "CreateTags"];
    killed_at_each_call("not visible at first", &sites, stage, announce, |stage| {
        only_copy(stage);
        assert_eq!(stage.dead(), []);
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_fails_and_is_explained_and_made_again_after_a_sweep_survives_a_kill_at_each_call() {
    let stage = async || {
        let stage = Stage::new().await.set("AWS_MAX_ATTEMPTS", "1").source(AMI, "golden");
        stage
            .set("SOURCE_REGIONS", THERE)
            .set("BACKFILL_DAYS", "3650")
            .with(|world| world.fail_next_copy(AMI, CopyFailure::key_not_accessible()))
    };
    let live = async |poller: &mut Poller| {
        announce(poller).await;
        sweep(poller).await;
    };
    killed_at_each_call(
        "failed and made again",
        &[
            "DescribeSnapshots",
            "PutEvents",
            "SendMessage",
            "DeregisterImage",
            "GetQueueAttributes",
            "SendMessageBatch",
            "CopyImage",
            "CreateTags",
        ],
        stage,
        live,
        |stage| {
            only_copy(stage);
            dead_with_code(stage, "CopyFailed");
        },
    )
    .await;
}

#[tokio::test]
async fn a_copy_that_no_event_announces_and_finishes_survives_a_kill_at_each_call() {
    let stage = async || {
        let stage = Stage::new().await.set("AWS_MAX_ATTEMPTS", "1").source(AMI, "golden");
        stage.set("SOURCE_REGIONS", THERE).set("BACKFILL_DAYS", "3650").with(|world| world.behaviour.events = false)
    };
    let live = async |poller: &mut Poller| {
        sweep(poller).await;
        sweep(poller).await;
    };
    let sites = ["DescribeImages", "GetQueueAttributes", "SendMessageBatch", "CopyImage", "CreateTags"];
    killed_at_each_call("swept", &sites, stage, live, |stage| {
        only_copy(stage);
        assert_eq!(stage.dead(), []);
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_follows_its_source_out_of_service_survives_a_kill_at_each_call() {
    let stage = async || {
        let stage = Stage::new().await.set("AWS_MAX_ATTEMPTS", "1").source(AMI, "golden");
        stage.set("RETIRE_WITH_SOURCE", "true").set("SOURCE_REGIONS", THERE).set("BACKFILL_DAYS", "3650")
    };
    let live = async |poller: &mut Poller| {
        announce(poller).await;
        poller.aws.world().deregister(THERE, AMI);
        poller.run_to_rest(DAY).await.unwrap();
        sweep(poller).await;
    };
    killed_at_each_call("retired", &["DescribeImageReferences", "DeregisterImage"], stage, live, |stage| {
        nothing_here(stage);
        assert_eq!(stage.dead(), []);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_waits_for_a_limit_survives_a_kill_at_each_call() {
    let stage = async || {
        let stage =
            Stage::new().await.set("AWS_MAX_ATTEMPTS", "1").source(AMI, "golden").source("ami-00000000", "other");
        stage.with(|world| {
            // The other one is in the way for a while.
            world.behaviour.copies_in_progress_limit = 1;
            let request =
                serde_json::json!({ "Name": "other", "SourceImageId": "ami-00000000", "SourceRegion": THERE });
            world.call(&local::aws::Caller::in_region(HERE), "ec2", "CopyImage", &request).expect("a copy");
        })
    };
    killed_at_each_call("held up by a limit", &["CopyImage", "ChangeMessageVisibility"], stage, announce, |stage| {
        let copies = stage.copies();
        let finished = |copy: &&Image| copy.tags.contains_key("ami-courier:finished");
        assert_eq!((copies.len(), copies.iter().filter(finished).count()), (2, 1), "{copies:?}");
        assert_eq!(stage.dead(), []);
    })
    .await;
}

#[tokio::test]
async fn a_rejection_survives_a_kill_at_each_call() {
    let stage = async || {
        let stage = Stage::new().await.set("AWS_MAX_ATTEMPTS", "1").source(AMI, "golden");
        stage.with(|world| {
            world.add_image(HERE, Image::new("ami-00000000", "golden"));
            world.behaviour.copy_image_refuses_taken_names = true;
        })
    };
    killed_at_each_call(
        "rejected",
        &["CopyImage", "DescribeImages", "PutEvents", "SendMessage"],
        stage,
        announce,
        |stage| {
            assert_eq!(stage.copies().len(), 1);
            dead_with_code(stage, "InvalidAMIName.Duplicate");
        },
    )
    .await;
}
