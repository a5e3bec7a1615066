//! A disabled source disables its copy; enabled again, the copy is enabled and finished again.

use local::aws::{ACCOUNT, ImageState, LaunchPermission, Protection};
use local::host::Host;
use serde_json::{Value, json};

use super::{
    AMI, DAY, DISABLED, FINISHED, FRIEND, GONE, HOUR, assert_retired, assert_says, assert_stays, change, changes,
    copied, ec2, event, gone, mark, our_own, reference, stage, sweep, swept, swept_after,
};
use crate::life::{finished, image, is_finished, on_bus};
use crate::stage::{HERE, Stage, THERE};

/// The copy is disabled, as its source is.
async fn both_disabled(stage: &Stage, function: &Host, copy: &str) {
    ec2(stage, THERE, "DisableImage", AMI);
    let outcome = event(function, "disabled").await;
    assert_eq!((&outcome["Outcome"], &outcome["ImageId"]), (&json!("Retired"), &json!(copy)), "{outcome}");
    assert_eq!(image(stage, copy).state, ImageState::Disabled);
    stage.aws.world().forget_calls();
}

/// A finished copy of an AMI of this account, which another account may launch.
async fn shared_by_setting() -> (Stage, Host, String) {
    let stage = stage().await.set("SHARE_WITH", FRIEND);
    copied(stage, ACCOUNT).await
}

fn is_shared(stage: &Stage, copy: &str) -> bool {
    image(stage, copy).launch_permissions.contains(&LaunchPermission::UserId(FRIEND.to_owned()))
}

fn assert_enabled_and_unmarked(stage: &Stage, copy: &str) {
    assert_eq!(image(stage, copy).state, ImageState::Available);
    assert_eq!((mark(stage, copy, DISABLED), mark(stage, copy, GONE)), (None, None));
}

#[tokio::test]
async fn a_disabled_source_disables_its_copy_which_is_marked_first() {
    let (stage, function, copy) = our_own().await;
    ec2(&stage, THERE, "DisableImage", AMI);
    let retired = event(&function, "disabled").await;
    assert_eq!((&retired["Outcome"], &retired["ImageId"]), (&json!("Retired"), &json!(copy)));
    assert_eq!(retired["Reason"], "it is disabled, as its source AMI is");
    assert_eq!(image(&stage, &copy).state, ImageState::Disabled);
    assert_eq!(mark(&stage, &copy, DISABLED).as_deref(), Some("2026-01-01T00:20:00Z"));
    assert_eq!(changes(&stage), ["CreateTags", "DisableImage", "PutEvents"]);
    let again = event(&function, "disabled").await;
    assert_eq!(again["Outcome"], "Ignored", "{again}");
    assert_eq!(swept(&stage, &function).await["Outcome"], "Ignored");
    assert_eq!(on_bus(&stage, "Retired").len(), 1, "it is reported once");
}

#[tokio::test]
async fn a_sweep_disables_a_copy_if_no_event_did() {
    let (stage, function, copy) = our_own().await;
    ec2(&stage, THERE, "DisableImage", AMI);
    assert_eq!(swept(&stage, &function).await["Outcome"], "Retired");
    assert_eq!(image(&stage, &copy).state, ImageState::Disabled);
}

#[tokio::test]
async fn a_copy_in_use_is_not_disabled() {
    let (stage, function, copy) = our_own().await;
    ec2(&stage, THERE, "DisableImage", AMI);
    change(&stage, &copy, |copy| copy.referenced_by = vec![reference("ec2:LaunchTemplate", "lt-1")]);
    let outcome = event(&function, "disabled").await;
    assert_stays(&stage, &copy, &outcome, "its source AMI is disabled, but ec2:LaunchTemplate");
    assert_eq!(changes(&stage), Vec::<String>::new());
    change(&stage, &copy, |copy| copy.referenced_by.clear());
    assert_eq!(swept(&stage, &function).await["Outcome"], "Retired");
}

#[tokio::test]
async fn a_shared_copy_is_disabled_once_a_report_shows_no_use_by_others() {
    let (stage, function, copy) = shared_by_setting().await;
    ec2(&stage, THERE, "DisableImage", AMI);
    assert_stays(&stage, &copy, &event(&function, "disabled").await, "an image usage report is ordered");
    assert_eq!(changes(&stage), ["CreateImageUsageReport"]);
    assert_eq!(swept_after(&stage, &function, HOUR).await["Outcome"], "Retired");
    assert_eq!(image(&stage, &copy).state, ImageState::Disabled);
    assert!(stage.aws.world().usage_reports(HERE).is_empty());
}

#[tokio::test]
async fn a_shared_copy_that_another_account_uses_is_not_disabled() {
    let (stage, function, copy) = shared_by_setting().await;
    stage.aws.world().use_image(HERE, &copy, FRIEND, "ec2:Instance", 1);
    stage.aws.world().advance(2 * DAY);
    ec2(&stage, THERE, "DisableImage", AMI);
    event(&function, "disabled").await;
    assert_stays(&stage, &copy, &swept_after(&stage, &function, HOUR).await, "account 444455556666 (1 ec2:Instance)");
}

#[tokio::test]
async fn a_protected_copy_is_disabled_which_protection_does_not_forbid() {
    let (stage, function, copy) = our_own().await;
    change(&stage, &copy, |copy| copy.deregistration_protection = Protection::Enabled);
    both_disabled(&stage, &function, &copy).await;
}

#[tokio::test]
async fn a_pending_copy_is_disabled_when_it_is_available() {
    let stage = stage().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let copy = crate::life::announced(&function, AMI).await;
    ec2(&stage, THERE, "DisableImage", AMI);
    let outcome = event(&function, "disabled").await;
    assert_says(&outcome, "only an available copy");
    stage.aws.world().advance(HOUR);
    sweep(&stage, &function).await;
    assert_eq!((image(&stage, &copy).state, mark(&stage, &copy, DISABLED).is_some()), (ImageState::Disabled, true));
}

#[tokio::test]
async fn the_event_of_a_source_that_is_enabled_again_enables_the_copy_and_ec2s_own_event_finishes_it_again() {
    let (stage, function, copy) = shared_by_setting().await;
    ec2(&stage, THERE, "DisableImage", AMI);
    event(&function, "disabled").await;
    swept_after(&stage, &function, HOUR).await;
    assert!(image(&stage, &copy).state == ImageState::Disabled && !is_shared(&stage, &copy));
    ec2(&stage, THERE, "EnableImage", AMI);
    stage.aws.world().forget_calls();
    let answer = event(&function, "available").await;
    assert_eq!((&answer["Outcome"], &answer["ImageId"]), (&json!("AlreadyCopied"), &json!(copy)));
    // Not finished before it is enabled, enabled before the mark is removed: a crash in between heals.
    assert_eq!(changes(&stage), ["DeleteTags", "EnableImage", "DeleteTags"]);
    assert_enabled_and_unmarked(&stage, &copy);
    assert!(!is_finished(&stage, &copy));
    finished(&function, &copy).await;
    assert!(is_finished(&stage, &copy) && is_shared(&stage, &copy));
    assert_eq!(on_bus(&stage, "Finished").len(), 2);
}

#[tokio::test]
async fn sweeps_alone_enable_a_copy_and_finish_it_again() {
    let (stage, function, copy) = shared_by_setting().await;
    ec2(&stage, THERE, "DisableImage", AMI);
    event(&function, "disabled").await;
    swept_after(&stage, &function, HOUR).await;
    assert_eq!(image(&stage, &copy).state, ImageState::Disabled);
    ec2(&stage, THERE, "EnableImage", AMI);
    assert_says(&swept(&stage, &function).await, "is enabled again");
    assert_enabled_and_unmarked(&stage, &copy);
    assert_eq!(swept(&stage, &function).await["Outcome"], "Finished");
    assert!(is_finished(&stage, &copy) && is_shared(&stage, &copy));
    assert_eq!(sweep(&stage, &function).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_copy_that_somebody_else_disabled_stays_disabled() {
    let (stage, function, copy) = our_own().await;
    ec2(&stage, HERE, "DisableImage", &copy);
    stage.aws.world().forget_calls();
    assert_eq!(event(&function, "available").await["Outcome"], "AlreadyCopied");
    assert_eq!(sweep(&stage, &function).await, Vec::<Value>::new());
    // Disabled and enabled again, the source changes nothing about that.
    ec2(&stage, THERE, "DisableImage", AMI);
    let outcome = event(&function, "disabled").await;
    assert_says(&outcome, "disabled already");
    ec2(&stage, THERE, "EnableImage", AMI);
    event(&function, "available").await;
    sweep(&stage, &function).await;
    // A message of an earlier sweep comes late.
    let message = json!({ "AmiCourier": { "SourceBack": { "ImageId": copy } } });
    assert_says(&function.invoke(&message).await.expect("outcomes")[0], "not the courier that disabled the copy");
    assert_eq!(changes(&stage), Vec::<String>::new());
    assert_eq!(image(&stage, &copy).state, ImageState::Disabled);
}

#[tokio::test]
async fn a_copy_that_was_enabled_again_and_then_disabled_by_somebody_else_stays_disabled() {
    let (stage, function, copy) = our_own().await;
    both_disabled(&stage, &function, &copy).await;
    ec2(&stage, THERE, "EnableImage", AMI);
    event(&function, "available").await;
    assert_enabled_and_unmarked(&stage, &copy);
    ec2(&stage, HERE, "DisableImage", &copy);
    stage.aws.world().forget_calls();
    event(&function, "available").await;
    sweep(&stage, &function).await;
    assert_eq!((image(&stage, &copy).state, changes(&stage)), (ImageState::Disabled, vec![]));
}

#[tokio::test]
async fn a_copy_that_the_courier_disabled_is_enabled_again_whatever_the_setting_is_by_then() {
    let (stage, function, copy) = our_own().await;
    both_disabled(&stage, &function, &copy).await;
    ec2(&stage, THERE, "EnableImage", AMI);
    let function = stage.function_in(HERE).set("RETIRE_WITH_SOURCE", "false").start().await.unwrap();
    assert_eq!(event(&function, "available").await["Outcome"], "AlreadyCopied");
    assert_enabled_and_unmarked(&stage, &copy);
    // But it disables none without the setting.
    ec2(&stage, THERE, "DisableImage", AMI);
    stage.aws.world().forget_calls();
    assert_says(&event(&function, "disabled").await, "RETIRE_WITH_SOURCE is not set");
    sweep(&stage, &function).await;
    assert_eq!(image(&stage, &copy).state, ImageState::Available);
    assert!(!changes(&stage).contains(&"DisableImage".to_owned()), "{:?}", changes(&stage));
}

#[tokio::test]
async fn in_a_dry_run_no_copy_follows_its_source_out_of_service_or_back() {
    let (stage, function, copy) = our_own().await;
    stage.deploy(&[("DRY_RUN", "true")]);
    let dry = stage.function().await;
    ec2(&stage, THERE, "DisableImage", AMI);
    assert_stays(&stage, &copy, &event(&dry, "disabled").await, "DRY_RUN is on");
    assert_stays(&stage, &copy, &swept(&stage, &dry).await, "DRY_RUN is on");
    both_disabled(&stage, &function, &copy).await;
    ec2(&stage, THERE, "EnableImage", AMI);
    event(&dry, "available").await;
    sweep(&stage, &dry).await;
    // The one call asks EC2 for permission only.
    assert_eq!((image(&stage, &copy).state, changes(&stage)), (ImageState::Disabled, vec!["CopyImage".to_owned()]));
}

#[tokio::test]
async fn disabled_then_deregistered_a_source_takes_the_disabled_copy_with_it_after_the_wait() {
    let (stage, function, copy) = shared_by_setting().await;
    ec2(&stage, THERE, "DisableImage", AMI);
    event(&function, "disabled").await;
    swept_after(&stage, &function, HOUR).await;
    gone(&stage, &function, &copy).await;
    assert_eq!(swept_after(&stage, &function, 6 * DAY).await["Outcome"], "Ignored");
    assert_retired(&stage, &copy, &swept_after(&stage, &function, DAY).await);
    let orders = stage.actions().into_iter().filter(|action| action == "CreateImageUsageReport").count();
    assert_eq!(orders, 0, "nobody else can launch a disabled copy");
}

#[tokio::test]
async fn a_source_that_comes_back_disabled_removes_the_mark_and_one_that_comes_back_enabled_enables_the_copy() {
    let (stage, function, copy) = our_own().await;
    both_disabled(&stage, &function, &copy).await;
    gone(&stage, &function, &copy).await;
    assert!(stage.aws.world().restore_image(THERE, AMI));
    let outcome = swept(&stage, &function).await;
    assert_says(&outcome, "no longer marked");
    assert_eq!((mark(&stage, &copy, GONE), mark(&stage, &copy, DISABLED).is_some()), (None, true));
    gone(&stage, &function, &copy).await;
    assert!(stage.aws.world().restore_image(THERE, AMI));
    ec2(&stage, THERE, "EnableImage", AMI);
    assert_says(&swept(&stage, &function).await, "is enabled again");
    assert_enabled_and_unmarked(&stage, &copy);
    assert_eq!(mark(&stage, &copy, FINISHED), None);
}
