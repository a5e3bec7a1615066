//! Whose copies are kept in step: this stack's own, and nobody else's.

use serde_json::{Value, json};

use super::{
    AMI, announced_by_sweep, copied, copy_of, ec2, events, source, swept, tag, unfinished, untag, why_ignored, with,
};
use crate::stage::{HERE, Stage, THERE, state_change};

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
    assert!(
        why_ignored(&function_now, &unfinished(&copy))
            .await
            .contains("not kept in step: it has no tag `ami-courier:stack`")
    );
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
async fn a_copy_that_the_last_version_began_is_adopted_as_it_is_finished() {
    let stage = Stage::new().await.set("PARAMETER_NAME", "/golden").with(|world| {
        world.add_image(THERE, source());
    });
    let function = stage.function().await;
    let copy = crate::life::ended(&stage, &function, AMI).await;
    for key in [STACK, "ami-courier:source-created"] {
        untag(&stage, HERE, &copy, key);
    }
    crate::life::finished(&function, &copy).await;
    assert_eq!(copy_of(&stage, &copy).tags[STACK], "ami-courier");
    assert_eq!(stage.aws.world().parameter(HERE, "/golden").map(|parameter| parameter.value), Some(copy));
}

#[tokio::test]
async fn a_finished_copy_of_the_last_version_is_retired_without_a_membership() {
    let stage = Stage::new().await.set("PARAMETER_NAME", "/golden").set("RETIRE_WITH_SOURCE", "true");
    let (stage, function, copy) = copied(stage, source()).await;
    untag(&stage, HERE, &copy, STACK);
    ec2(&stage, THERE, "DisableImage", json!({ "ImageId": AMI }));
    function.invoke(&state_change(THERE, AMI, "disabled")).await.ok();
    assert!(!copy_of(&stage, &copy).tags.contains_key("ami-courier:withdrawn-source"));
}

#[tokio::test]
async fn two_stacks_in_one_region_do_not_undo_each_others_copies() {
    let (stage, mine, copy) = copied(Stage::new().await.set("STACK_NAME", "mine"), source()).await;
    tag(&stage, THERE, AMI, "Release", "7");
    let theirs =
        with(&stage, &[("STACK_NAME", "theirs"), ("EXTRA_TAGS", "Team=theirs"), ("SHARE_EXACTLY", "true")]).await;
    assert_eq!(announced_by_sweep(&stage, &theirs).await, 0);
    assert!(why_ignored(&theirs, &unfinished(&copy)).await.contains("stack `mine`"));
    assert!(!copy_of(&stage, &copy).tags.contains_key("Release"));
    assert_eq!(swept(&stage, &mine).await.len(), 1);
    assert_eq!(copy_of(&stage, &copy).tags["Release"], "7");
}

#[tokio::test]
async fn another_stack_announces_no_unfinished_copy_of_this_one() {
    let stage = Stage::new().await.set("STACK_NAME", "mine").with(|world| {
        world.add_image(THERE, source());
    });
    let mine = stage.function().await;
    crate::life::ended(&stage, &mine, AMI).await;
    let theirs = with(&stage, &[("STACK_NAME", "theirs")]).await;
    assert_eq!(announced_by_sweep(&stage, &theirs).await, 0);
    assert_eq!(announced_by_sweep(&stage, &mine).await, 1);
}

#[tokio::test]
async fn a_tag_that_selects_nothing_copies_no_old_ami_and_says_so() {
    let stage = Stage::new().await.with(|world| {
        world.add_image(THERE, source());
    });
    let function = stage.function().await;
    tag(&stage, THERE, AMI, "CostCenter", "42");
    let event = stage.aws.world().take_events().remove(0);
    let answer = function.invoke(&event).await.expect("an outcome");
    let reason = answer[0]["Reason"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(reason.contains("it has no copy here, and REQUIRED_TAGS names none of them"), "{reason}");
    assert_eq!(stage.copy_image_calls().len(), 0);
}

#[tokio::test]
async fn another_stack_retires_no_copy_of_this_one() {
    let (stage, _mine, copy) = copied(Stage::new().await.set("STACK_NAME", "mine"), source()).await;
    ec2(&stage, THERE, "DisableImage", json!({ "ImageId": AMI }));
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
    assert!(why_ignored(&function, &unfinished(&copy)).await.contains("not kept in step (RECONCILE=false)"));
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

/// Of another account's AMI, the courier sees the shared tags, and no event.
#[tokio::test]
async fn a_copy_of_another_accounts_ami_follows_its_shared_tags_with_a_sweep() {
    const OTHER: &str = "111122223333";
    let theirs = source().owner(OTHER).shared_with(local::aws::ACCOUNT);
    let (stage, function, copy) = copied(Stage::new().await.set("SOURCE_OWNERS", OTHER), theirs).await;
    let shared = "ec2:SharedTag/Release".to_owned();
    stage.aws.world().image_mut(THERE, AMI).unwrap().tags.insert(shared.clone(), "7".to_owned());
    swept(&stage, &function).await;
    let now = copy_of(&stage, &copy);
    assert_eq!(now.tags[&shared], "7");
    assert!(now.snapshots.iter().all(|snapshot| !snapshot.tags.contains_key(&shared)));
    assert_eq!(announced_by_sweep(&stage, &function).await, 0);
}
