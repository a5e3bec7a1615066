//! Whose copies are kept in step: this stack's own, and nobody else's.

use serde_json::Value;

use super::{AMI, announced_by_sweep, copied, copy_of, ec2, events, source, swept, tag, untag, with};
use crate::stage::{HERE, Stage, THERE};

const STACK: &str = "ami-courier:stack";

#[tokio::test]
async fn a_copy_of_the_last_version_is_left_as_it_is_until_somebody_puts_the_tag_on() {
    let (stage, function, copy) = copied(Stage::new().await, source()).await;
    // The last version put on neither of these, and no hint.
    for key in [STACK, "ami-courier:source-created"] {
        untag(&stage, HERE, &copy, key);
    }
    tag(&stage, HERE, &copy, "ami-courier:finished", "2026-01-01T00:20:00Z");
    tag(&stage, THERE, AMI, "Release", "7");
    let function_now = with(&stage, &[("SHARE_WITH", "111122223333"), ("EXTRA_TAGS", "Team=images")]).await;
    let before = copy_of(&stage, &copy);
    assert_eq!(events(&stage, &function_now).await, Vec::<Value>::new());
    assert_eq!(announced_by_sweep(&stage, &function_now).await, 0);
    assert_eq!(copy_of(&stage, &copy).tags, before.tags);
    assert!(copy_of(&stage, &copy).launch_permissions.is_empty());
    // Adopted.
    tag(&stage, HERE, &copy, STACK, "ami-courier");
    swept(&stage, &function_now).await;
    let now = copy_of(&stage, &copy);
    assert_eq!((now.tags["Release"].as_str(), now.tags["Team"].as_str()), ("7", "images"));
    assert!(now.tags.contains_key("ami-courier:source-created") && !now.launch_permissions.is_empty());
    drop(function);
}

#[tokio::test]
async fn two_stacks_in_one_region_do_not_undo_each_others_copies() {
    let (stage, mine, copy) = copied(Stage::new().await.set("STACK_NAME", "mine"), source()).await;
    tag(&stage, THERE, AMI, "Release", "7");
    let theirs =
        with(&stage, &[("STACK_NAME", "theirs"), ("EXTRA_TAGS", "Team=theirs"), ("SHARE_EXACTLY", "true")]).await;
    assert_eq!(announced_by_sweep(&stage, &theirs).await, 0);
    let message = serde_json::json!({ "AmiCourier": { "Unfinished": { "ImageId": copy } } });
    let answer = theirs.invoke(&message).await.expect("an outcome");
    assert!(answer[0]["Reason"].as_str().unwrap().contains("stack `mine`"), "{answer}");
    assert!(!copy_of(&stage, &copy).tags.contains_key("Release"));
    assert_eq!(swept(&stage, &mine).await.len(), 1);
    assert_eq!(copy_of(&stage, &copy).tags["Release"], "7");
}

#[tokio::test]
async fn another_stack_retires_no_copy_of_this_one() {
    let (stage, _mine, copy) = copied(Stage::new().await.set("STACK_NAME", "mine"), source()).await;
    ec2(&stage, THERE, "DisableImage", serde_json::json!({ "ImageId": AMI }));
    let theirs = with(&stage, &[("STACK_NAME", "theirs"), ("RETIRE_WITH_SOURCE", "true")]).await;
    events(&stage, &theirs).await;
    swept(&stage, &theirs).await;
    assert_eq!(copy_of(&stage, &copy).state, local::aws::ImageState::Available);
}

#[tokio::test]
async fn hands_are_off_a_copy_that_has_the_tag_skip() {
    let (stage, function, copy) = copied(Stage::new().await, source()).await;
    tag(&stage, HERE, &copy, "ami-courier:skip", "");
    tag(&stage, THERE, AMI, "Release", "7");
    events(&stage, &function).await;
    assert_eq!(announced_by_sweep(&stage, &function).await, 0);
    assert!(!copy_of(&stage, &copy).tags.contains_key("Release"));
    untag(&stage, HERE, &copy, "ami-courier:skip");
    swept(&stage, &function).await;
    assert_eq!(copy_of(&stage, &copy).tags["Release"], "7");
}

#[tokio::test]
async fn without_reconcile_a_copy_is_finished_once() {
    let (stage, function, copy) = copied(Stage::new().await.set("RECONCILE", "false"), source()).await;
    tag(&stage, THERE, AMI, "Release", "7");
    events(&stage, &function).await;
    assert_eq!(announced_by_sweep(&stage, &function).await, 0);
    assert!(!copy_of(&stage, &copy).tags.contains_key("Release"));
}

#[tokio::test]
async fn a_source_in_a_region_that_is_copied_from_no_more_is_out_of_sight_and_costs_no_call() {
    let (stage, _, copy) = copied(Stage::new().await, source()).await;
    tag(&stage, THERE, AMI, "Release", "7");
    let function = with(&stage, &[("SOURCE_REGIONS", "us-west-2"), ("EXTRA_TAGS", "Team=images")]).await;
    stage.aws.world().forget_calls();
    swept(&stage, &function).await;
    let now = copy_of(&stage, &copy);
    assert_eq!((now.tags.get("Release"), now.tags["Team"].as_str()), (None, "images"));
    assert!(stage.aws.world().calls().iter().all(|call| call.region != THERE));
    assert_eq!(announced_by_sweep(&stage, &function).await, 0);
}

#[tokio::test]
async fn of_a_requests_copy_only_permissions_follow() {
    let stage = Stage::new().await.set("SOURCE_REGIONS", THERE).with(|world| {
        world.add_image(THERE, source());
    });
    let function = stage.function().await;
    let answer = function.invoke(&crate::stage::request(AMI, "by-hand")).await.expect("started");
    let copy = answer["ImageId"].as_str().expect("a copy").to_owned();
    stage.aws.world().advance(20 * super::MINUTE);
    crate::life::finished(&function, &copy).await;
    tag(&stage, THERE, AMI, "Release", "7");
    let function = with(&stage, &[("SHARE_WITH", "111122223333"), ("EXTRA_TAGS", "Team=images")]).await;
    swept(&stage, &function).await;
    let now = copy_of(&stage, &copy);
    assert!(!now.launch_permissions.is_empty());
    assert!(!now.tags.contains_key("Release") && !now.tags.contains_key("Team"), "{:?}", now.tags);
}
