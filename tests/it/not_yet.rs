//! What is missing now may still come: builders share an AMI and its snapshots after its event, and a Region may be new.
//! The queue brings such a message back for an hour; then it is rejected. All of it through the queue, in simulated time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use local::aws::{ACCOUNT, Fault, HiddenAs, Image, START};

use crate::life::learns_the_time;
use crate::poller::Poller;
use crate::stage::{HERE, Stage, THERE, state_change, words};

const AMI: &str = "ami-0abcdef1234567890";
const BUILDERS: &str = "111122223333";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A source of another account, whose AMIs are trusted. Nothing is shared.
async fn of_builders() -> Stage {
    Stage::new().await.set("SOURCE_OWNERS", BUILDERS).with(|world| {
        world.add_image(THERE, Image::new(AMI, "golden").owner(BUILDERS));
    })
}

/// Announces the AMI when the world begins, and runs until nothing is left to happen.
async fn announce(stage: &Stage, region: &str) -> Poller {
    let function = stage.function().await;
    learns_the_time(&function).await;
    stage.aws.world().forget_calls();
    let mut poller = Poller::new(&stage.aws, &stage.queue, vec![Arc::new(function)], 1);
    poller.send(&state_change(region, AMI, "available").to_string());
    poller.run_to_rest(12 * HOUR).await.unwrap();
    poller
}

/// The one dead letter: how long after the announcement it was sent, and its attributes.
fn only_dead_letter(stage: &Stage) -> (Duration, BTreeMap<String, String>) {
    let [message] = stage.aws.world().messages(&stage.dead_letters).try_into().expect("exactly one dead letter");
    let [(body, attributes)] = stage.dead().try_into().expect("exactly one dead letter");
    assert!(body.contains(AMI), "{body}");
    ((message.sent_at - START).unsigned_abs(), attributes)
}

fn assert_rejected_after_an_hour(after: Duration) {
    // The next delivery after the hour comes at the latest when the longest pause is over.
    assert!(HOUR <= after && after <= 2 * HOUR, "{after:?}");
}

fn assert_one_finished_copy(stage: &Stage) {
    let [copy] = stage.copies().try_into().expect("exactly one copy");
    assert_eq!(copy.source_image_id.as_deref(), Some(AMI));
    assert!(copy.tags.contains_key("ami-courier:finished"), "{:?}", copy.tags);
    assert_eq!(stage.dead(), []);
}

#[tokio::test]
async fn an_ami_whose_owner_shares_it_after_its_event_and_its_snapshots_later_still_is_copied_once() {
    for not_shared_as in [HiddenAs::NotFound, HiddenAs::Empty, HiddenAs::Unavailable] {
        let stage = of_builders().await.with(|world| {
            world.behaviour.not_shared_as = not_shared_as;
            world.share_image_later(THERE, AMI, ACCOUNT, 20 * MINUTE);
            world.share_snapshots_later(THERE, AMI, ACCOUNT, 40 * MINUTE);
        });
        let poller = announce(&stage, THERE).await;
        assert_one_finished_copy(&stage);
        assert!(poller.tally.deliveries > 3, "{not_shared_as:?}: {:?}", poller.tally);
        let refused =
            stage.aws.world().calls().iter().filter(|call| call.action == "CopyImage" && call.status != 200).count();
        assert!(refused > 0, "{not_shared_as:?}: EC2 refuses the copy as long as the snapshots are not shared");
    }
}

#[tokio::test]
async fn an_ami_that_its_owner_never_shares_is_rejected_after_an_hour() {
    for not_shared_as in [HiddenAs::NotFound, HiddenAs::Empty, HiddenAs::Unavailable] {
        let stage = of_builders().await.with(|world| world.behaviour.not_shared_as = not_shared_as);
        let poller = announce(&stage, THERE).await;
        let (after, why) = only_dead_letter(&stage);
        assert_rejected_after_an_hour(after);
        assert!(poller.tally.deliveries > 3, "{:?}", poller.tally);
        assert_eq!((why["Code"].as_str(), why["SourceImageId"].as_str()), ("InvalidAMIID.NotFound", AMI));
        assert!(words(&why).contains("its owner shares the AMI with this account"), "{why:?}");
        assert_eq!(stage.copy_image_calls().len(), 0);
    }
}

#[tokio::test]
async fn an_ami_whose_snapshots_are_never_shared_is_rejected_after_an_hour_with_what_the_owner_must_do() {
    let stage = of_builders().await.with(|world| world.share_image_later(THERE, AMI, ACCOUNT, MINUTE));
    let poller = announce(&stage, THERE).await;
    let (after, why) = only_dead_letter(&stage);
    assert_rejected_after_an_hour(after);
    assert!(poller.tally.deliveries > 3, "{:?}", poller.tally);
    for part in [BUILDERS, "create volume permission", "KMS key"] {
        assert!(words(&why).contains(part), "`{part}` is not in: {why:?}");
    }
    assert_eq!(stage.copies().len(), 0);
}

#[tokio::test]
async fn a_region_that_may_be_new_is_retried_for_an_hour_and_then_rejected_with_the_nearest_known_one() {
    let stage = Stage::new().await.set("AWS_MAX_ATTEMPTS", "1");
    let poller = announce(&stage, "us-east-7").await;
    let (after, why) = only_dead_letter(&stage);
    assert_rejected_after_an_hour(after);
    assert!(poller.tally.deliveries > 3, "{:?}", poller.tally);
    assert_eq!((why["Code"].as_str(), why["SourceRegion"].as_str()), ("NoAnswer", "us-east-7"));
    assert!(words(&why).contains("did you mean `us-east-"), "{why:?}");
}

#[tokio::test]
async fn a_misspelt_region_is_rejected_at_once_with_the_nearest_known_one() {
    let stage = Stage::new().await;
    let poller = announce(&stage, "us-esat-1").await;
    let (after, why) = only_dead_letter(&stage);
    assert_eq!((after, poller.tally.deliveries), (Duration::ZERO, 1));
    assert_eq!(why["Code"], "NoSuchRegion");
    assert!(words(&why).contains("`us-esat-1`: did you mean `us-east-1`?"), "{why:?}");
    assert!(!stage.actions().contains(&"DescribeImages".to_owned()), "nothing is asked of EC2");
}

#[tokio::test]
async fn an_account_that_aws_has_blocked_or_still_verifies_is_rejected_at_once() {
    for (status, code, advice) in [(403, "Blocked", "AWS Support"), (400, "PendingVerification", "still verifying")] {
        let stage = Stage::new().await.source(AMI, "golden").with(|world| {
            world.fault(Fault::on("CopyImage").error(status, code, "This account is not usable"));
        });
        let poller = announce(&stage, THERE).await;
        let (after, why) = only_dead_letter(&stage);
        assert_eq!((after, poller.tally.deliveries), (Duration::ZERO, 1), "{code}");
        assert_eq!((why["Code"].as_str(), why["Region"].as_str()), (code, HERE));
        assert!(words(&why).contains(advice), "{why:?}");
    }
}
