//! Marked, days of waiting, a second look: only then is a copy deregistered.

use std::time::Duration;

use local::aws::{Fault, HiddenAs, ImageState, Protection};
use serde_json::json;

use super::{
    AMI, DAY, FINISHED, GONE, HOUR, assert_retired, assert_stays, change, changes, copied, ec2, event, gone, mark,
    our_own, stage, sweep, swept, swept_after, two_sweeps,
};
use crate::life::{announced, done, image, on_bus};
use crate::stage::{HERE, THERE, batch, state_change};

#[tokio::test]
async fn an_event_only_marks_the_copy_and_says_until_when_it_stays() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().deregister(THERE, AMI);
    let marked = event(&function, "deregistered").await;
    assert_stays(&stage, &copy, &marked, "now marked: its source AMI has been gone since 2026-01-01");
    assert_stays(&stage, &copy, &marked, "retires the copy on 2026-01-08 or later");
    assert_eq!(mark(&stage, &copy, GONE).as_deref(), Some("2026-01-01T00:20:00Z"));
    assert_eq!(changes(&stage), ["CreateTags"]);
    stage.aws.world().advance(DAY);
    assert_stays(&stage, &copy, &event(&function, "deregistered").await, "gone since 2026-01-01");
    assert_eq!(changes(&stage), ["CreateTags"], "the second event changes nothing");
}

#[tokio::test]
async fn a_sweep_marks_the_copy_if_no_event_did() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().deregister(THERE, AMI);
    assert_stays(&stage, &copy, &swept(&stage, &function).await, "now marked");
    assert_eq!(changes(&stage), ["CreateTags"]);
}

#[tokio::test]
async fn a_copy_whose_source_is_gone_for_seven_days_is_retired_with_its_snapshots_by_a_sweep() {
    let looks = [
        (Duration::ZERO, HiddenAs::NotFound),
        (30 * DAY, HiddenAs::NotFound),
        (Duration::ZERO, HiddenAs::Unavailable),
        (Duration::ZERO, HiddenAs::Empty),
    ];
    for (still_empty_for, forgotten_as) in looks {
        let (stage, function, copy) = our_own().await;
        stage.aws.world().behaviour.deregistered_empty_for = still_empty_for;
        stage.aws.world().behaviour.forgotten_as = forgotten_as;
        gone(&stage, &function, &copy).await;
        assert_stays(
            &stage,
            &copy,
            &swept_after(&stage, &function, (7 * DAY).saturating_sub(HOUR)).await,
            "2026-01-08 or later",
        );
        assert_eq!(changes(&stage), Vec::<String>::new());
        stage.aws.world().forget_calls();
        let retired = swept_after(&stage, &function, HOUR).await;
        assert_retired(&stage, &copy, &retired);
        assert_eq!(
            stage.actions(),
            [
                "GetQueueAttributes",
                "DescribeImages",
                "DescribeImages",
                "SendMessageBatch",
                "DescribeImages",
                "DescribeImages",
                "DescribeImageReferences",
                "DescribeImageAttribute",
                "DeregisterImage",
                "PutEvents"
            ],
            "two looks of the sweep, two of the retirement, then what it depends on"
        );
        let event = on_bus(&stage, "Retired").remove(0);
        assert_eq!(event.detail, retired);
        assert_eq!(event.resources, [format!("arn:aws:ec2:{HERE}::image/{copy}")]);
    }
}

#[tokio::test]
async fn an_event_never_retires_not_even_after_the_wait() {
    let (stage, function, copy) = our_own().await;
    gone(&stage, &function, &copy).await;
    stage.aws.world().advance(30 * DAY);
    assert_stays(&stage, &copy, &event(&function, "deregistered").await, "the next sweep decides");
    assert_eq!(changes(&stage), Vec::<String>::new());
}

#[tokio::test]
async fn the_wait_is_as_long_as_the_setting_says() {
    for days in [1, 30, 365] {
        let stage = stage().await.set("RETIRE_AFTER_DAYS", &days.to_string());
        let (stage, function, copy) = copied(stage, local::aws::ACCOUNT).await;
        gone(&stage, &function, &copy).await;
        assert_stays(
            &stage,
            &copy,
            &swept_after(&stage, &function, (days * DAY).saturating_sub(HOUR)).await,
            "unless the source",
        );
        assert_retired(&stage, &copy, &swept_after(&stage, &function, HOUR).await);
    }
}

#[tokio::test]
async fn a_source_that_is_back_removes_the_mark_and_the_next_wait_is_a_whole_one() {
    let (stage, function, copy) = our_own().await;
    gone(&stage, &function, &copy).await;
    stage.aws.world().advance(5 * DAY);
    assert!(stage.aws.world().restore_image(THERE, AMI));
    assert_stays(&stage, &copy, &swept(&stage, &function).await, "no longer marked: EC2 still has its source AMI");
    assert_eq!((mark(&stage, &copy, GONE), changes(&stage)), (None, vec!["DeleteTags".to_owned()]));
    assert_eq!(sweep(&stage, &function).await, Vec::<serde_json::Value>::new(), "nothing more to do");
    gone(&stage, &function, &copy).await;
    assert_stays(&stage, &copy, &swept_after(&stage, &function, 6 * DAY).await, "gone since 2026-01-06");
    assert_retired(&stage, &copy, &swept_after(&stage, &function, DAY).await);
}

#[tokio::test]
async fn a_source_that_comes_back_at_the_last_moment_keeps_its_copy() {
    let (stage, function, copy) = our_own().await;
    gone(&stage, &function, &copy).await;
    stage.aws.world().advance(8 * DAY);
    assert!(stage.aws.world().restore_image(THERE, AMI));
    // A sweep before that has still announced it as gone.
    let message = json!({ "AmiCourier": { "SourceGone": { "ImageId": copy } } });
    let outcome = function.invoke(&message).await.expect("outcomes")[0].clone();
    assert_stays(&stage, &copy, &outcome, "no longer marked");
    assert_eq!((mark(&stage, &copy, GONE), changes(&stage)), (None, vec!["DeleteTags".to_owned()]));
}

#[tokio::test]
async fn the_event_of_a_source_that_is_available_again_removes_the_mark_at_once() {
    let (stage, function, copy) = our_own().await;
    gone(&stage, &function, &copy).await;
    assert!(stage.aws.world().restore_image(THERE, AMI));
    let answer = event(&function, "available").await;
    assert_eq!((&answer["Outcome"], &answer["ImageId"]), (&json!("AlreadyCopied"), &json!(copy)));
    assert_eq!((mark(&stage, &copy, GONE), changes(&stage)), (None, vec!["DeleteTags".to_owned()]));
}

#[tokio::test]
async fn a_mark_that_was_written_since_is_not_removed() {
    let (stage, function, copy) = our_own().await;
    gone(&stage, &function, &copy).await;
    assert!(stage.aws.world().restore_image(THERE, AMI));
    // Another delivery writes a new mark between the look and the call.
    stage.aws.world().fault(Fault::on("DeleteTags").nth(1).slow(Duration::from_secs(1)));
    let (outcome, ()) = tokio::join!(swept(&stage, &function), async {
        crate::life::until(|| stage.actions().contains(&"DeleteTags".to_owned())).await;
        change(&stage, &copy, |copy| drop(copy.tags.insert(GONE.to_owned(), "2026-01-01T00:21:00Z".to_owned())));
    });
    assert_stays(&stage, &copy, &outcome, "no longer marked");
    assert_eq!(mark(&stage, &copy, GONE).as_deref(), Some("2026-01-01T00:21:00Z"));
}

#[tokio::test]
async fn a_mark_that_nobody_can_read_is_written_again_and_the_wait_begins() {
    let (stage, function, copy) = our_own().await;
    change(&stage, &copy, |copy| drop(copy.tags.insert(GONE.to_owned(), "long ago".to_owned())));
    stage.aws.world().deregister(THERE, AMI);
    assert_stays(&stage, &copy, &swept(&stage, &function).await, "now marked");
    assert_eq!(mark(&stage, &copy, GONE).as_deref(), Some("2026-01-01T00:20:00Z"));
}

#[tokio::test]
async fn two_sweeps_at_once_retire_a_copy_once() {
    let (stage, function, copy) = our_own().await;
    let other = stage.function().await;
    gone(&stage, &function, &copy).await;
    stage.aws.world().advance(7 * DAY);
    two_sweeps(&stage, &function, &other).await;
    assert!(stage.copies().is_empty() && stage.aws.world().snapshots(HERE).is_empty());
    assert!(!on_bus(&stage, "Retired").is_empty());
    assert_eq!(stage.dead(), []);
}

#[tokio::test]
async fn two_sweeps_at_once_mark_a_copy_and_do_nothing_else() {
    let (stage, function, copy) = our_own().await;
    let other = stage.function().await;
    stage.aws.world().deregister(THERE, AMI);
    two_sweeps(&stage, &function, &other).await;
    assert_eq!(mark(&stage, &copy, GONE).as_deref(), Some("2026-01-01T00:20:00Z"));
    assert_eq!(image(&stage, &copy).state, ImageState::Available);
}

#[tokio::test]
async fn a_protected_copy_is_held_until_the_protection_and_its_cool_down_are_over() {
    let (stage, function, copy) = our_own().await;
    change(&stage, &copy, |copy| copy.deregistration_protection = Protection::EnabledWithCooldown);
    gone(&stage, &function, &copy).await;
    let held = swept_after(&stage, &function, 10 * DAY).await;
    assert_stays(&stage, &copy, &held, "held since 2026-01-08: it is protected from deregistration");
    ec2(&stage, HERE, "DisableImageDeregistrationProtection", &copy);
    // DescribeImages does not show the cool-down.
    assert_stays(
        &stage,
        &copy,
        &swept(&stage, &function).await,
        "held since 2026-01-08: EC2 does not let it be deregistered",
    );
    assert_retired(&stage, &copy, &swept_after(&stage, &function, 25 * HOUR).await);
}

#[tokio::test]
async fn an_answer_that_is_lost_while_a_copy_goes_is_no_error() {
    let (stage, function, copy) = our_own().await;
    gone(&stage, &function, &copy).await;
    stage.aws.world().fault(Fault::on("DeregisterImage").nth(1).drop_after_effect());
    assert_retired(&stage, &copy, &swept_after(&stage, &function, 7 * DAY).await);
}

#[tokio::test]
async fn the_events_of_a_retirement_delivered_again_change_nothing() {
    let (stage, function, copy) = our_own().await;
    gone(&stage, &function, &copy).await;
    assert_retired(&stage, &copy, &swept_after(&stage, &function, 7 * DAY).await);
    stage.aws.world().forget_calls();
    for message in [
        batch([("m1", state_change(THERE, AMI, "deregistered").to_string())]),
        batch([("m2", json!({ "AmiCourier": { "SourceGone": { "ImageId": copy } } }).to_string())]),
        crate::life::told(&copy, "deregistered", 1),
    ] {
        assert!(done(&function, &message).await);
    }
    assert_eq!((changes(&stage), on_bus(&stage, "Retired").len(), stage.dead().len()), (vec![], 1, 0));
}

#[tokio::test]
async fn a_pending_copy_of_a_deregistered_source_is_marked_and_retired_later() {
    let stage = stage().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let copy = announced(&function, AMI).await;
    stage.aws.world().deregister(THERE, AMI);
    assert_eq!(event(&function, "deregistered").await["Outcome"], "Ignored");
    assert!(mark(&stage, &copy, GONE).is_some());
    stage.aws.world().advance(HOUR);
    sweep(&stage, &function).await;
    assert!(mark(&stage, &copy, FINISHED).is_some(), "somebody may have begun to use it");
    assert_retired(&stage, &copy, &swept_after(&stage, &function, 7 * DAY).await);
}

#[tokio::test]
async fn a_copy_that_cannot_be_finished_is_retired_too() {
    let (stage, function, copy) = our_own().await;
    change(&stage, &copy, |copy| drop(copy.tags.remove(FINISHED)));
    stage.aws.world().fault(Fault::on("PutEvents").first(2).fail_entries("NotAuthorized", "no"));
    gone(&stage, &function, &copy).await;
    stage.aws.world().advance(7 * DAY);
    let retired = sweep_with_errors(&stage, &function).await;
    assert!(retired.contains("NotAuthorized"), "{retired}");
    assert!(stage.copies().is_empty());
}

/// The error that a sweep ends with.
async fn sweep_with_errors(stage: &crate::stage::Stage, function: &local::host::Host) -> String {
    stage.sweep(function).await.expect_err("a part of it fails").to_string()
}

#[tokio::test]
async fn permission_that_is_lacking_retires_nothing_and_is_reported() {
    for (action, region) in [("DescribeImages", THERE), ("CreateTags", HERE), ("DescribeImageAttribute", HERE)] {
        let (stage, function, copy) = our_own().await;
        stage.aws.world().deregister(THERE, AMI);
        let fault = Fault::on(action).in_region(region);
        stage.aws.world().fault(fault.error(403, "UnauthorizedOperation", "You are not authorized"));
        let error = function.invoke(&state_change(THERE, AMI, "deregistered")).await.unwrap_err().to_string();
        assert!(error.contains("UnauthorizedOperation") && (error.contains(AMI) || error.contains(&copy)), "{error}");
        assert_eq!((image(&stage, &copy).state, mark(&stage, &copy, GONE)), (ImageState::Available, None));
    }
}
