//! Tags, description, IMDS support, deprecation, permissions.

use local::aws::{Fault, LaunchPermission};
use serde_json::{Value, json};

use super::{AMI, HOUR, MINUTE, announced_by_sweep, copied, copy_of, events, source, swept, tag, unfinished, with};
use crate::life::{ago, is_finished, on_bus, take_dead, until};
use crate::stage::{HERE, Stage, THERE};

const PARTNER: &str = "111122223333";
const FRIEND: &str = "444455556666";

/// What differs between a copy and what it should be, and what an outcome calls it.
struct Difference {
    name: &'static str,
    before: &'static [(&'static str, &'static str)],
    after: &'static [(&'static str, &'static str)],
    changes_source: fn(&Stage),
    holds: fn(&Stage, &str) -> bool,
    part: &'static str,
}

fn nothing(_: &Stage) {}

fn change(stage: &Stage, change: impl FnOnce(&mut local::aws::Image)) {
    change(stage.aws.world().image_mut(THERE, AMI).expect("the source"));
}

fn is_shared_with(stage: &Stage, copy: &str, account: &str) -> bool {
    let copy = copy_of(stage, copy);
    let image = copy.launch_permissions.contains(&LaunchPermission::UserId(account.to_owned()));
    image && copy.snapshots.iter().all(|snapshot| snapshot.shared_with.contains(account))
}

fn has_tag(stage: &Stage, copy: &str, key: &str, value: &str) -> bool {
    let copy = copy_of(stage, copy);
    let tags = copy.snapshots.iter().map(|snapshot| &snapshot.tags).chain([&copy.tags]);
    tags.into_iter().all(|tags| tags.get(key).is_some_and(|has| has == value))
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "late tags of the source",
        before: &[],
        after: &[],
        changes_source: |stage| tag(stage, THERE, AMI, "Release", "7"),
        holds: |stage, copy| has_tag(stage, copy, "Release", "7"),
        part: "Tags",
    },
    Difference {
        name: "another value of a tag of the source",
        before: &[],
        after: &[],
        changes_source: |stage| tag(stage, THERE, AMI, "Channel", "prod"),
        holds: |stage, copy| has_tag(stage, copy, "Channel", "prod"),
        part: "Tags",
    },
    Difference {
        name: "EXTRA_TAGS",
        before: &[],
        after: &[("EXTRA_TAGS", "Team=images")],
        changes_source: nothing,
        holds: |stage, copy| has_tag(stage, copy, "Team", "images"),
        part: "Tags",
    },
    Difference {
        name: "a late description of the source",
        before: &[],
        after: &[],
        changes_source: |stage| change(stage, |source| source.description = Some("Base image 7".to_owned())),
        holds: |stage, copy| copy_of(stage, copy).description.as_deref() == Some("Base image 7"),
        part: "Description",
    },
    Difference {
        name: "COPY_DESCRIPTION",
        before: &[],
        after: &[("COPY_DESCRIPTION", "{name} of {region}")],
        changes_source: nothing,
        holds: |stage, copy| copy_of(stage, copy).description.as_deref() == Some("golden-1 of us-east-1"),
        part: "Description",
    },
    Difference {
        name: "IMDSv2 required of the source",
        before: &[],
        after: &[],
        changes_source: |stage| change(stage, |source| source.imds_support = Some("v2.0".to_owned())),
        holds: |stage, copy| copy_of(stage, copy).imds_support.as_deref() == Some("v2.0"),
        part: "ImdsSupport",
    },
    Difference {
        name: "a deprecation of the source",
        before: &[],
        after: &[],
        changes_source: |stage| change(stage, |source| source.deprecation_time = Some(ago(-60 * 24 * 90))),
        holds: |stage, copy| copy_of(stage, copy).deprecation_time == Some(ago(-60 * 24 * 90)),
        part: "Deprecation",
    },
    Difference {
        name: "DEPRECATE",
        before: &[("DEPRECATE", "100")],
        after: &[("DEPRECATE", "200")],
        changes_source: nothing,
        holds: |stage, copy| {
            let copy = copy_of(stage, copy);
            let after = copy.deprecation_time.expect("a time") - copy.creation_date;
            after.whole_days() == 199 || after.whole_days() == 200
        },
        part: "Deprecation",
    },
    Difference {
        name: "an account more in SHARE_WITH",
        before: &[("SHARE_WITH", PARTNER)],
        after: &[("SHARE_WITH", "111122223333,444455556666")],
        changes_source: nothing,
        holds: |stage, copy| is_shared_with(stage, copy, FRIEND) && is_shared_with(stage, copy, PARTNER),
        part: "LaunchPermission",
    },
    Difference {
        name: "an account less in SHARE_WITH, with SHARE_EXACTLY",
        before: &[("SHARE_WITH", "111122223333,444455556666"), ("SHARE_EXACTLY", "true")],
        after: &[("SHARE_WITH", PARTNER), ("SHARE_EXACTLY", "true")],
        changes_source: nothing,
        holds: |stage, copy| {
            let copy_now = copy_of(stage, copy);
            copy_now.launch_permissions == [LaunchPermission::UserId(PARTNER.to_owned())].into()
                && copy_now.snapshots.iter().all(|snapshot| snapshot.shared_with == [PARTNER.to_owned()].into())
        },
        part: "LaunchPermission",
    },
    Difference {
        name: "SHARE_WITH emptied, with SHARE_EXACTLY",
        before: &[("SHARE_WITH", PARTNER), ("SHARE_EXACTLY", "true")],
        after: &[("SHARE_WITH", ""), ("SHARE_EXACTLY", "true")],
        changes_source: nothing,
        holds: |stage, copy| {
            let copy = copy_of(stage, copy);
            copy.launch_permissions.is_empty() && copy.snapshots.iter().all(|snapshot| snapshot.shared_with.is_empty())
        },
        part: "LaunchPermission",
    },
];

async fn stage_with(settings: &[(&str, &str)]) -> Stage {
    let mut stage = Stage::new().await;
    for (name, value) in settings {
        stage = stage.set(name, value);
    }
    stage
}

#[tokio::test]
async fn one_sweep_brings_each_part_in_step_also_of_a_copy_whose_source_is_not_listed_and_the_next_finds_nothing() {
    for Difference { name, before, after, changes_source, holds, part } in DIFFERENCES {
        let (stage, function, copy) = copied(stage_with(before).await, source()).await;
        assert_eq!(announced_by_sweep(&stage, &function).await, 0, "{name}: it is in step");
        changes_source(&stage);
        let function = with(&stage, &[*before, *after].concat()).await;
        assert!(!holds(&stage, &copy), "{name}");
        let outcomes = swept(&stage, &function).await;
        assert!(holds(&stage, &copy), "{name}: {outcomes:?}");
        let [updated] = outcomes.try_into().unwrap_or_else(|all| panic!("{name}: {all:?}"));
        assert_eq!((&updated["Outcome"], &updated["Changed"]), (&json!("Updated"), &json!([part])), "{name}");
        assert_eq!(announced_by_sweep(&stage, &function).await, 0, "{name}: it is in step again");
        assert_eq!(on_bus(&stage, "Finished").len(), 1, "{name}: people hang costly things on that event");
        assert_eq!(stage.dead(), [], "{name}");
    }
}

#[tokio::test]
async fn the_tag_event_of_the_source_brings_all_of_it_in_step_within_seconds() {
    let (stage, function, copy) = copied(Stage::new().await, source()).await;
    change(&stage, |source| {
        source.description = Some("Base image 7".to_owned());
        source.imds_support = Some("v2.0".to_owned());
    });
    // Packer's tags come last.
    tag(&stage, THERE, AMI, "Release", "7");
    let outcomes = events(&stage, &function).await;
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    assert_eq!(outcomes[0]["Changed"], json!(["Tags", "Description", "ImdsSupport"]), "{outcomes:?}");
    assert!(has_tag(&stage, &copy, "Release", "7"));
    assert_eq!(announced_by_sweep(&stage, &function).await, 0);
}

/// All that can differ at once.
const AFTER: &[(&str, &str)] =
    &[("SHARE_WITH", PARTNER), ("EXTRA_TAGS", "Team=images"), ("PARAMETER_NAME", "/golden/{tag:Channel}")];

async fn everything_differs() -> (Stage, String) {
    let (stage, _, copy) = copied(Stage::new().await, source()).await;
    change(&stage, |source| {
        source.description = Some("Base image 7".to_owned());
        source.imds_support = Some("v2.0".to_owned());
        source.deprecation_time = Some(ago(-60 * 24 * 90));
    });
    tag(&stage, THERE, AMI, "Release", "7");
    stage.aws.world().take_events();
    (stage, copy)
}

fn everything_holds(stage: &Stage, copy: &str) -> bool {
    let now = copy_of(stage, copy);
    has_tag(stage, copy, "Release", "7")
        && has_tag(stage, copy, "Team", "images")
        && is_shared_with(stage, copy, PARTNER)
        && now.description.as_deref() == Some("Base image 7")
        && now.imds_support.as_deref() == Some("v2.0")
        && now.deprecation_time == Some(ago(-60 * 24 * 90))
        && stage.aws.world().parameter(HERE, "/golden/beta").is_some_and(|parameter| parameter.value == copy)
}

#[tokio::test]
async fn killed_before_or_after_any_call_the_next_sweep_brings_everything_in_step() {
    let (stage, copy) = everything_differs().await;
    let function = with(&stage, AFTER).await;
    let message = unfinished(&copy);
    stage.aws.world().forget_calls();
    function.invoke(&message).await.expect("updated");
    assert!(everything_holds(&stage, &copy));
    let calls = stage.actions();
    assert!(calls.len() > 10, "{calls:?}");
    for (at, action) in calls.iter().enumerate() {
        let nth = calls[..=at].iter().filter(|earlier| *earlier == action).count() as u64;
        for after_effect in [false, true] {
            let (stage, copy) = everything_differs().await;
            let function = with(&stage, AFTER).await;
            let message = unfinished(&copy);
            stage.aws.world().forget_calls();
            let hit = Fault::on(action).nth(nth);
            stage.aws.world().fault(if after_effect { hit.slow_after_effect(MINUTE) } else { hit.slow(MINUTE) });
            let hangs = || stage.actions().iter().filter(|called| *called == action).count() as u64 == nth;
            let killed = async {
                until(hangs).await;
                function.kill().await;
            };
            let (died, ()) = tokio::join!(function.invoke(&message), killed);
            assert!(died.is_err(), "{action} {nth}");
            stage.aws.world().clear_faults();
            swept(&stage, &function).await;
            assert!(everything_holds(&stage, &copy), "{action} {nth} {after_effect}: {:?}", copy_of(&stage, &copy));
            assert_eq!(announced_by_sweep(&stage, &function).await, 0, "{action} {nth} {after_effect}");
        }
    }
}

#[tokio::test]
async fn a_part_that_ec2_refuses_for_good_stops_no_other_and_is_reported() {
    let (stage, copy) = everything_differs().await;
    let function = with(&stage, AFTER).await;
    let refused = Fault::on("CreateTags").error(400, "TagPolicyViolation", "the tag policy does not allow it");
    stage.aws.world().fault(refused.naming("Release").every());
    let message = unfinished(&copy);
    let error = function.invoke(&message).await.expect_err("rejected").to_string();
    assert!(error.contains("TagPolicyViolation") && error.contains(&copy), "{error}");
    assert!(is_shared_with(&stage, &copy, PARTNER));
    let now = copy_of(&stage, &copy);
    assert_eq!((now.description.as_deref(), now.imds_support.as_deref()), (Some("Base image 7"), Some("v2.0")));
    assert!(stage.aws.world().parameter(HERE, "/golden/beta").is_some_and(|parameter| parameter.value == copy));
}

#[tokio::test]
async fn tags_that_the_snapshots_are_refused_are_not_on_the_image_so_that_the_next_sweep_sees_them() {
    let (stage, function, copy) = copied(Stage::new().await, source()).await;
    let snapshot = copy_of(&stage, &copy).snapshots[0].id.clone();
    let refused = Fault::on("CreateTags").error(400, "TagPolicyViolation", "the tag policy does not allow it");
    stage.aws.world().fault(refused.naming(&snapshot).every());
    tag(&stage, THERE, AMI, "Release", "7");
    let message = unfinished(&copy);
    function.invoke(&message).await.expect_err("refused");
    assert!(!copy_of(&stage, &copy).tags.contains_key("Release"));
    assert_eq!(announced_by_sweep(&stage, &function).await, 1);
}

#[tokio::test]
async fn a_copy_that_ec2_refuses_to_share_is_announced_by_each_sweep_until_it_is_shared() {
    let (stage, _, copy) = copied(Stage::new().await, source()).await;
    let function = with(&stage, &[("SHARE_WITH", PARTNER)]).await;
    let refused = Fault::on("ModifyImageAttribute").error(400, "UnauthorizedOperation", "a policy denies it");
    stage.aws.world().fault(refused.first(1));
    let message = unfinished(&copy);
    function.invoke(&message).await.expect_err("refused");
    assert_eq!(announced_by_sweep(&stage, &function).await, 1);
    function.invoke(&message).await.expect("shared");
    assert!(is_shared_with(&stage, &copy, PARTNER));
    assert_eq!(announced_by_sweep(&stage, &function).await, 0);
}

/// Snapshots are shared with accounts only.
#[tokio::test]
async fn an_organization_that_a_snapshot_cannot_be_shared_with_is_no_difference_day_after_day() {
    let organization = "arn:aws:organizations::444455556666:organization/o-a1b2c3d4e5";
    let settings = [("SHARE_WITH", organization), ("SHARE_EXACTLY", "true")];
    let (stage, function, _) = copied(stage_with(&settings).await, source()).await;
    stage.aws.world().advance(25 * HOUR);
    assert_eq!(announced_by_sweep(&stage, &function).await, 1, "the daily look");
    assert_eq!(swept(&stage, &function).await, Vec::<Value>::new(), "nothing has changed");
}

#[tokio::test]
async fn nothing_is_taken_back() {
    let built = source().tag("Gone", "soon").description("Base image 7");
    let settings = [("SHARE_WITH", PARTNER), ("EXTRA_TAGS", "Team=images"), ("DEREGISTRATION_PROTECTION", "On")];
    let (stage, _, copy) = copied(stage_with(&settings).await, built).await;
    super::untag(&stage, THERE, AMI, "Gone");
    let before = copy_of(&stage, &copy);
    let function = with(&stage, &[("SHARE_WITH", ""), ("EXTRA_TAGS", ""), ("DEREGISTRATION_PROTECTION", "")]).await;
    assert_eq!(swept(&stage, &function).await, Vec::<Value>::new());
    let now = copy_of(&stage, &copy);
    assert_eq!((now.tags, now.launch_permissions), (before.tags, before.launch_permissions));
    assert_eq!(now.deregistration_protection, before.deregistration_protection);
}

#[tokio::test]
async fn protection_that_somebody_lifted_is_not_switched_on_again() {
    let (stage, function, copy) = copied(stage_with(&[("DEREGISTRATION_PROTECTION", "On")]).await, source()).await;
    super::ec2(&stage, HERE, "DisableImageDeregistrationProtection", json!({ "ImageId": copy }));
    assert_eq!(swept(&stage, &function).await, Vec::<Value>::new());
    assert_eq!(stage.changes().iter().filter(|action| action.starts_with("EnableImage")).count(), 0);
}

#[tokio::test]
async fn with_share_exactly_what_a_hand_added_is_taken_away_within_a_day_and_else_stays() {
    for exactly in ["false", "true"] {
        let settings = [("SHARE_WITH", PARTNER), ("SHARE_EXACTLY", exactly)];
        let (stage, function, copy) = copied(stage_with(&settings).await, source()).await;
        stage
            .aws
            .world()
            .image_mut(HERE, &copy)
            .unwrap()
            .launch_permissions
            .insert(LaunchPermission::UserId(FRIEND.to_owned()));
        stage.aws.world().advance(23 * HOUR);
        swept(&stage, &function).await;
        let has_friend = || {
            let friend = LaunchPermission::UserId(FRIEND.to_owned());
            copy_of(&stage, &copy).launch_permissions.contains(&friend)
        };
        assert!(has_friend(), "permissions are looked at once a day");
        stage.aws.world().advance(2 * HOUR);
        swept(&stage, &function).await;
        assert_eq!(has_friend(), exactly == "false");
        assert_eq!(announced_by_sweep(&stage, &function).await, 0);
    }
}

#[tokio::test]
async fn a_copy_that_was_disabled_by_hand_and_enabled_again_is_shared_again() {
    let (stage, function, copy) = copied(stage_with(&[("SHARE_WITH", PARTNER)]).await, source()).await;
    super::ec2(&stage, HERE, "DisableImage", json!({ "ImageId": copy }));
    swept(&stage, &function).await;
    super::ec2(&stage, HERE, "EnableImage", json!({ "ImageId": copy }));
    assert!(!is_shared_with(&stage, &copy, PARTNER), "EC2 restores no permissions");
    swept(&stage, &function).await;
    assert!(is_shared_with(&stage, &copy, PARTNER));
}

#[tokio::test]
async fn tags_that_the_event_names_and_ec2_does_not_show_yet_are_waited_for() {
    let (stage, function, copy) = copied(Stage::new().await, source()).await;
    let event = json!({
        "version": "0", "id": "1", "detail-type": "Tag Change on Resource", "source": "aws.tag", "account": local::aws::ACCOUNT,
        "time": "2026-01-01T00:00:00Z", "region": THERE, "resources": [format!("arn:aws:ec2:{THERE}::image/{AMI}")],
        "detail": { "changed-tag-keys": ["Release"], "service": "ec2", "resource-type": "image", "tags": { "Release": "7" } },
    });
    let mut message = crate::stage::batch([("m1", event.to_string())]);
    let sent = stage.aws.world().now().unix_timestamp() * 1000;
    message["Records"][0]["attributes"]["SentTimestamp"] = json!(sent.to_string());
    assert!(!crate::life::done(&function, &message).await, "the tag is not visible yet");
    stage.aws.world().image_mut(THERE, AMI).unwrap().tags.insert("Release".to_owned(), "7".to_owned());
    assert!(crate::life::done(&function, &message).await);
    assert!(has_tag(&stage, &copy, "Release", "7"));
    // Somebody removed it again: after a quarter of an hour, the copy is compared with what is.
    stage.aws.world().image_mut(THERE, AMI).unwrap().tags.remove("Release");
    assert!(!crate::life::done(&function, &message).await);
    stage.aws.world().advance(16 * MINUTE);
    assert!(crate::life::done(&function, &message).await);
}

#[tokio::test]
async fn in_a_dry_run_no_copy_is_changed_and_the_outcome_says_what_would_be() {
    let (stage, copy) = everything_differs().await;
    let before = copy_of(&stage, &copy);
    let function = with(&stage, &[AFTER, &[("DRY_RUN", "true")]].concat()).await;
    let message = unfinished(&copy);
    let answer = function.invoke(&message).await.expect("an outcome");
    let reason = answer[0]["Reason"].as_str().expect("a reason");
    for part in
        ["DRY_RUN", "1 tag of its source is newer", "its description differs", "IMDSv2", "SHARE_WITH has changed"]
    {
        assert!(reason.contains(part), "{part} is not in {reason}");
    }
    swept(&stage, &function).await;
    assert_eq!(copy_of(&stage, &copy).tags, before.tags);
    assert!(stage.aws.world().parameter(HERE, "/golden/beta").is_none());
}

/// The one real copy of docs/production.md, which shows whether the key and the sharing are right.
#[tokio::test]
async fn in_a_dry_run_the_copy_of_a_request_that_asks_for_a_real_one_is_finished() {
    let stage = Stage::new().await.set("DRY_RUN", "true").set("SHARE_WITH", PARTNER).source(AMI, "golden-1");
    let function = stage.function().await;
    let mut request = crate::stage::request(AMI, "golden-1");
    request["DryRun"] = json!(false);
    let answer = function.invoke(&request).await.expect("an outcome");
    let copy = answer["ImageId"].as_str().expect("a copy").to_owned();
    stage.aws.world().advance(30 * MINUTE);
    let available = crate::stage::batch([("m1", crate::stage::state_change(HERE, &copy, "available").to_string())]);
    assert!(crate::life::done(&function, &available).await);
    assert!(is_finished(&stage, &copy) && is_shared_with(&stage, &copy, PARTNER), "{:?}", function.logs());
}

#[tokio::test]
async fn a_name_that_waits_for_late_tags_is_made_once_they_are_there() {
    let stage = Stage::new().await.set("SOURCE_REGIONS", THERE).set("COPY_NAME", "{name}-{tag:Release}");
    let stage = stage.source(AMI, "golden-1");
    let function = stage.function().await;
    let available = crate::stage::batch([("m1", crate::stage::state_change(THERE, AMI, "available").to_string())]);
    assert!(!crate::life::done(&function, &available).await, "the tag may still come");
    tag(&stage, THERE, AMI, "Release", "7");
    assert!(crate::life::done(&function, &available).await);
    assert_eq!(stage.copies()[0].name, "golden-1-7");
    assert!(take_dead(&stage).is_empty() && !is_finished(&stage, &stage.copies()[0].id));
}
