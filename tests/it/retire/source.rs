//! Whose source it is, what EC2 shows of it, and whose copy.

use local::aws::{Image, Protection};
use serde_json::Value;

use super::{
    AMI, DAY, GONE, HOUR, PARTNER, assert_retired, assert_says, assert_stays, change, changes, copied, event, gone,
    mark, our_own, stage, sweep, swept, swept_after,
};
use crate::life::{finished, image};
use crate::stage::{HERE, THERE, state_change};

#[tokio::test]
async fn without_the_setting_copies_stay_and_ec2_is_not_even_asked() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "false");
    let (stage, function, copy) = copied(stage, local::aws::ACCOUNT).await;
    stage.aws.world().deregister(THERE, AMI);
    for state in ["deregistered", "disabled"] {
        let outcome = event(&function, state).await;
        assert_says(&outcome, "RETIRE_WITH_SOURCE is not set");
    }
    assert_eq!(stage.actions(), Vec::<String>::new());
    stage.aws.world().advance(30 * DAY);
    assert_eq!(sweep(&stage, &function).await, Vec::<Value>::new());
    assert_eq!((mark(&stage, &copy, GONE), changes(&stage)), (None, vec![]));
}

#[tokio::test]
async fn a_source_that_is_still_in_service_retires_nothing_whatever_the_event_says() {
    let (stage, function, copy) = our_own().await;
    for state in ["deregistered", "disabled"] {
        assert_stays(&stage, &copy, &event(&function, state).await, "EC2 still has its source AMI");
    }
    assert_eq!(changes(&stage), Vec::<String>::new());
}

#[tokio::test]
async fn a_source_of_another_account_that_is_no_longer_shared_retires_nothing_ever() {
    let (stage, function, copy) = copied(stage().await, PARTNER).await;
    stage.aws.world().image_mut(THERE, AMI).unwrap().launch_permissions.clear();
    assert_stays(&stage, &copy, &event(&function, "deregistered").await, "not visible, which does not prove");
    for days in [1, 7, 30] {
        assert_stays(&stage, &copy, &swept_after(&stage, &function, days * DAY).await, "not visible");
    }
    assert_eq!((mark(&stage, &copy, GONE), changes(&stage)), (None, vec![]));
}

#[tokio::test]
async fn another_accounts_source_that_ec2_has_shown_as_deregistered_retires_its_copy_though_it_is_not_visible_later() {
    let (stage, function, copy) = copied(stage().await, PARTNER).await;
    gone(&stage, &function, &copy).await;
    assert_stays(&stage, &copy, &swept_after(&stage, &function, DAY).await, "gone since 2026-01-01");
    assert_retired(&stage, &copy, &swept_after(&stage, &function, 6 * DAY).await);
}

#[tokio::test]
async fn another_accounts_source_that_ec2_did_not_show_as_deregistered_retires_nothing() {
    let (stage, function, copy) = copied(stage().await, PARTNER).await;
    stage.aws.world().deregister(THERE, AMI);
    stage.aws.world().advance(2 * HOUR);
    assert_stays(&stage, &copy, &event(&function, "deregistered").await, "not visible");
    assert_stays(&stage, &copy, &swept_after(&stage, &function, 30 * DAY).await, "not visible");
    assert_eq!(mark(&stage, &copy, GONE), None);
}

#[tokio::test]
async fn a_source_of_another_account_that_is_back_removes_the_mark() {
    let (stage, function, copy) = copied(stage().await, PARTNER).await;
    gone(&stage, &function, &copy).await;
    assert!(stage.aws.world().restore_image(THERE, AMI));
    assert_stays(&stage, &copy, &swept(&stage, &function).await, "no longer marked");
    assert_eq!(mark(&stage, &copy, GONE), None);
}

#[tokio::test]
async fn a_copy_that_does_not_record_whose_its_source_was_stays_when_that_is_not_visible() {
    let (stage, function, copy) = our_own().await;
    change(&stage, &copy, |copy| drop(copy.tags.remove("ami-courier:source-owner")));
    stage.aws.world().deregister(THERE, AMI);
    stage.aws.world().advance(2 * HOUR);
    assert_stays(&stage, &copy, &event(&function, "deregistered").await, "not visible");
    assert_eq!(changes(&stage), Vec::<String>::new());
}

#[tokio::test]
async fn a_copy_without_the_couriers_tags_is_left_alone() {
    let (stage, function, copy) = our_own().await;
    change(&stage, &copy, |copy| copy.tags.clear());
    stage.aws.world().deregister(THERE, AMI);
    let outcome = event(&function, "deregistered").await;
    assert_says(&outcome, "no copy of the courier's");
    stage.aws.world().advance(30 * DAY);
    assert_eq!(sweep(&stage, &function).await, Vec::<Value>::new());
    assert_eq!((image(&stage, &copy).tags.len(), changes(&stage)), (0, vec![]));
}

#[tokio::test]
async fn of_several_copies_each_is_judged_by_itself_and_those_of_others_stay() {
    let (stage, function, first) = our_own().await;
    let request = serde_json::json!({ "Name": "another", "SourceImageId": AMI, "SourceRegion": THERE });
    let second = function.invoke(&request).await.unwrap()["ImageId"].as_str().unwrap().to_owned();
    let theirs = "ami-00000000000000021";
    stage.aws.world().advance(HOUR);
    finished(&function, &second).await;
    {
        let mut world = stage.aws.world();
        world.add_image(HERE, Image::new(theirs, "theirs").copy_of(AMI, THERE));
        world.image_mut(HERE, &first).unwrap().deregistration_protection = Protection::Enabled;
        world.deregister(THERE, AMI);
    }
    let answer = function.invoke(&state_change(THERE, AMI, "deregistered")).await.unwrap();
    assert_eq!(answer.as_array().map(Vec::len), Some(2), "{answer}");
    stage.aws.world().advance(7 * DAY);
    let outcomes = sweep(&stage, &function).await;
    assert!(outcomes.iter().any(|outcome| outcome["Outcome"] == "Retired" && outcome["ImageId"] == second.as_str()));
    let of_first = |outcome: &&Value| outcome["Reason"].as_str().is_some_and(|reason| reason.contains(&first));
    assert!(outcomes.iter().find(of_first).is_some_and(|outcome| outcome["Outcome"] == "Ignored"), "{outcomes:?}");
    let left: Vec<String> = stage.copies().into_iter().map(|copy| copy.id).collect();
    assert!(left.contains(&first) && left.contains(&theirs.to_owned()) && !left.contains(&second), "{left:?}");
}

#[tokio::test]
async fn copies_are_found_on_whatever_page_they_are() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().behaviour.page_size = 1;
    for n in 0..3 {
        let id = format!("ami-0000000000000003{n}");
        stage.aws.world().add_image(HERE, Image::new(&id, &id).copy_of(AMI, THERE));
    }
    gone(&stage, &function, &copy).await;
    let retired = swept_after(&stage, &function, 7 * DAY).await;
    assert_eq!(retired["ImageId"], copy.as_str());
    assert!(stage.aws.world().image(HERE, &copy).is_none());
}

#[tokio::test]
async fn a_source_of_a_region_beyond_the_border_retires_nothing() {
    let (stage, _, copy) = our_own().await;
    stage.aws.world().deregister(THERE, AMI);
    let function = stage.function_in(HERE).set("SOURCE_REGIONS", "us-west-2").start().await.unwrap();
    let outcome = event(&function, "deregistered").await;
    assert_says(&outcome, "SOURCE_REGIONS");
    stage.aws.world().advance(30 * DAY);
    assert_eq!(sweep(&stage, &function).await, Vec::<Value>::new());
    assert_eq!((mark(&stage, &copy, GONE), changes(&stage)), (None, vec![]));
}
