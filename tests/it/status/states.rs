//! Each state, on the real function: the one that the world is in.

use local::aws::{Image, ImageState, StateReason};
use serde_json::json;

use super::{DAY, HOUR, MINUTE, copied, copy, copy_id, finished, only, source, source_id, stage, status};
use crate::stage::{HERE, Stage, THERE};

/// What the answer says of the only AMI: state, copy, a part of the explanation.
async fn assert_is(stage: &Stage, expected: &str, copy: Option<&str>, explanation: &str) {
    let function = stage.function().await;
    let answer = status(stage, &function, json!({})).await;
    let image = only(&answer);
    assert_eq!((image["State"].as_str(), image["ImageId"].as_str()), (Some(expected), copy), "{image}");
    assert_eq!((&image["SourceImageId"], &image["SourceRegion"]), (&json!(source_id(1)), &json!(THERE)));
    let said = image["Explanation"].as_str().unwrap_or_default();
    assert!(said.contains(explanation) && said.is_empty() == explanation.is_empty(), "{image}");
    assert_eq!((&answer["Counts"][expected], &answer["Total"]), (&json!(1), &json!(1)), "{answer}");
    let others = answer["Counts"].as_object().unwrap().values().filter(|count| **count != json!(0)).count();
    assert_eq!((others, answer["Counts"].as_object().unwrap().len()), (1, 12), "{answer}");
}

#[tokio::test]
async fn a_finished_copy_is_finished_since_the_time_in_its_tag() {
    let stage = stage().await;
    copied(&stage, 1, finished(copy(1)));
    assert_is(&stage, "Finished", Some(&copy_id(1)), "").await;
    let answer = status(&stage, &stage.function().await, json!({})).await;
    let image = only(&answer);
    assert_eq!(image["Since"], "2025-12-31T23:30:00Z");
    assert_eq!((&image["Name"], &image["SourceCreationDate"]), (&json!("golden-1"), &json!("2025-12-29T22:00:00Z")));
    assert_eq!(image["AgeSeconds"], json!((2 * DAY + 2 * HOUR).as_secs()));
    assert_eq!(
        (&answer["Region"], &answer["SourceRegions"], &answer["Days"]),
        (&json!(HERE), &json!([THERE]), &json!(7))
    );
    assert_eq!((&answer["AsOf"], answer.get("NextToken")), (&json!("2026-01-01T00:00:00Z"), None));
}

#[tokio::test]
async fn an_available_copy_without_that_tag_is_unfinished() {
    let stage = stage().await;
    copied(&stage, 1, copy(1));
    assert_is(&stage, "Unfinished", Some(&copy_id(1)), "").await;
}

#[tokio::test]
async fn a_pending_copy_is_pending_since_it_was_created() {
    let stage = stage().await;
    copied(&stage, 1, copy(1).state(ImageState::Pending));
    assert_is(&stage, "Pending", Some(&copy_id(1)), "").await;
    let answer = status(&stage, &stage.function().await, json!({})).await;
    assert_eq!(only(&answer)["Since"], "2025-12-31T23:00:00Z");
}

#[tokio::test]
async fn a_failed_copy_is_failed_with_ec2s_explanation() {
    let stage = stage().await;
    let mut failed = copy(1).state(ImageState::Failed);
    failed.state_reason = Some(StateReason::new("Client.InternalError", "Given key ID is not accessible"));
    copied(&stage, 1, failed);
    assert_is(&stage, "Failed", Some(&copy_id(1)), "Given key ID is not accessible").await;
}

#[tokio::test]
async fn beside_a_live_copy_a_failed_try_does_not_count() {
    let stage = stage().await;
    copied(&stage, 1, copy(1).state(ImageState::Failed));
    let mut next_try = copy(1).state(ImageState::Pending);
    next_try.id = copy_id(2);
    stage.aws.world().add_image(HERE, next_try);
    assert_is(&stage, "Pending", Some(&copy_id(2)), "").await;
}

#[tokio::test]
async fn of_two_live_copies_both_are_named() {
    let stage = stage().await;
    copied(&stage, 1, finished(copy(1)));
    let by_hand = Image::new(copy_id(2), "by-hand").copy_of(&source_id(1), THERE);
    stage.aws.world().add_image(HERE, by_hand);
    assert_is(&stage, "Finished", Some(&copy_id(1)), "").await;
    let answer = status(&stage, &stage.function().await, json!({})).await;
    assert_eq!(only(&answer)["OtherImageIds"], json!([copy_id(2)]));
}

#[tokio::test]
async fn an_ami_without_a_copy_is_missing() {
    let stage = stage().await;
    stage.aws.world().add_image(THERE, source(1, 5 * HOUR));
    assert_is(&stage, "Missing", None, "see the dead-letter queue").await;
}

#[tokio::test]
async fn a_deregistered_copy_is_none() {
    let stage = stage().await;
    copied(&stage, 1, copy(1).state(ImageState::Deregistered));
    assert_is(&stage, "Missing", None, "EC2 records no reason").await;
}

#[tokio::test]
async fn in_a_quiet_time_the_answer_says_until_when_no_copy_starts() {
    let stage = stage().await;
    stage.aws.world().add_image(THERE, source(1, 23 * HOUR + 10 * MINUTE));
    assert_is(&stage, "Missing", None, "no copy starts before 2026-01-01 00:20 UTC").await;
}

#[tokio::test]
async fn in_a_dry_run_the_answer_says_why_all_are_missing() {
    let stage = stage().await.set("DRY_RUN", "true");
    stage.aws.world().add_image(THERE, source(1, 5 * HOUR));
    assert_is(&stage, "Missing", None, "DRY_RUN is set").await;
}

#[tokio::test]
async fn an_ami_younger_than_an_hour_is_awaited() {
    let stage = stage().await;
    stage.aws.world().add_image(THERE, source(1, 59 * MINUTE));
    assert_is(&stage, "Awaited", None, "younger than an hour").await;
}

#[tokio::test]
async fn an_ami_whose_tests_may_not_have_passed_is_awaited() {
    let stage = stage().await;
    let arn = format!("arn:aws:imagebuilder:{THERE}:123456789012:image/golden/1.0.0/1");
    stage.aws.world().add_image(THERE, source(1, 5 * HOUR).tag("Ec2ImageBuilderArn", &arn));
    assert_is(&stage, "Awaited", None, "its tests passed").await;
}

#[tokio::test]
async fn a_copy_of_somebody_else_counts_and_is_named_so() {
    let stage = stage().await;
    let by_hand = Image::new(copy_id(1), "by-hand").copy_of(&source_id(1), THERE);
    copied(&stage, 1, by_hand);
    assert_is(&stage, "AlreadyCopied", Some(&copy_id(1)), "").await;
}

#[tokio::test]
async fn a_copy_that_somebody_disabled_is_disabled() {
    let stage = stage().await;
    copied(&stage, 1, finished(copy(1)).state(ImageState::Disabled));
    assert_is(&stage, "Disabled", Some(&copy_id(1)), "").await;
}

#[tokio::test]
async fn a_copy_that_the_courier_disabled_with_its_source_is_retired() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true");
    let disabled = finished(copy(1)).state(ImageState::Disabled);
    stage.aws.world().add_image(HERE, disabled.tag("ami-courier:disabled-with-source", "2025-12-31T00:00:00Z"));
    assert_is(&stage, "Retired", Some(&copy_id(1)), "since its source is disabled").await;
}

#[tokio::test]
async fn a_copy_whose_source_is_gone_is_retiring_until_its_time_has_come() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true");
    let marked = finished(copy(1)).tag("ami-courier:source-gone-since", "2025-12-30T00:00:00Z");
    stage.aws.world().add_image(HERE, marked);
    assert_is(&stage, "Retiring", Some(&copy_id(1)), "gone since 2025-12-30; a sweep retires the copy on 2026-01-06")
        .await;
}

#[tokio::test]
async fn a_copy_that_still_exists_after_that_time_is_held() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true");
    let marked = finished(copy(1)).tag("ami-courier:source-gone-since", "2025-12-01T00:00:00Z");
    stage.aws.world().add_image(HERE, marked);
    assert_is(&stage, "Held", Some(&copy_id(1)), "unless it is in use").await;
    let answer = status(&stage, &stage.function().await, json!({})).await;
    assert_eq!(only(&answer)["Since"], "2025-12-01T00:00:00Z");
}

#[tokio::test]
async fn a_source_that_is_back_in_service_makes_its_copy_finished_again() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true");
    copied(&stage, 1, finished(copy(1)).tag("ami-courier:source-gone-since", "2025-12-01T00:00:00Z"));
    assert_is(&stage, "Finished", Some(&copy_id(1)), "").await;
}

#[tokio::test]
async fn an_ami_that_is_not_wanted_here_is_not_listed_but_a_copy_of_it_is() {
    let stage = stage().await.set("NAME_PATTERNS", "base-*");
    stage.aws.world().add_image(THERE, source(1, 5 * HOUR));
    let answer = status(&stage, &stage.function().await, json!({})).await;
    assert_eq!((&answer["Total"], &answer["Images"]), (&json!(0), &json!([])));
    stage.aws.world().add_image(HERE, copy(1));
    assert_is(&stage, "Unfinished", Some(&copy_id(1)), "").await;
}

#[tokio::test]
async fn days_and_patterns_limit_what_is_listed_but_not_the_old_copies_that_need_a_look() {
    let stage = stage().await;
    {
        let mut world = stage.aws.world();
        world.add_image(THERE, source(1, 5 * HOUR));
        world.add_image(THERE, source(2, 20 * DAY));
        world.add_image(HERE, finished(copy(3)).created(local::aws::START - 100 * DAY));
        world.add_image(HERE, copy(4).created(local::aws::START - 100 * DAY));
    }
    let function = stage.function().await;
    let names = async |parameters| {
        let answer = status(&stage, &function, parameters).await;
        let images = answer["Images"].as_array().unwrap().clone();
        images.iter().map(|image| image["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(json!({})).await, ["golden-1", "golden-4"]);
    assert_eq!(names(json!({ "Days": 30 })).await, ["golden-2", "golden-1", "golden-4"]);
    assert_eq!(names(json!({ "Days": 3650 })).await, ["golden-2", "golden-1", "golden-4", "golden-3"]);
    assert_eq!(names(json!({ "NamePatterns": ["*-4", "golden-1"] })).await, ["golden-1", "golden-4"]);
    assert_eq!(names(json!({ "NamePatterns": "*-1" })).await, ["golden-1"]);
    assert_eq!(names(json!({ "NamePatterns": ["silver-*"] })).await, Vec::<String>::new());
}

#[tokio::test]
async fn without_source_regions_only_copies_are_known() {
    let stage = Stage::new().await;
    copied(&stage, 1, finished(copy(1)));
    stage.aws.world().add_image(THERE, source(2, 5 * HOUR));
    assert_is(&stage, "Finished", Some(&copy_id(1)), "").await;
    let answer = status(&stage, &stage.function().await, json!({})).await;
    assert_eq!(answer["SourceRegions"], json!([]));
}
