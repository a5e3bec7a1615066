//! A copy that is available is shared, deprecated, protected and published, and its event is on the bus, whatever happens
//! on the way.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use local::aws::{Effect, Fault, Image, ImageState, LaunchPermission, Protection, Snapshot};
use time::OffsetDateTime;

use crate::life::{ago, built, done, ended, finished, image, is_finished, on_bus, stage, take_dead, told, until};
use crate::stage::{HERE, Stage, THERE, batch, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const MINUTE: Duration = Duration::from_secs(60);
pub const PARTNER: &str = "111122223333";
const OTHER_PARTNER: &str = "444455556666";
pub const ORGANIZATION: &str = "arn:aws:organizations::123456789012:organization/o-a1b2c3d4e5";
pub const UNIT: &str = "arn:aws:organizations::123456789012:ou/o-a1b2c3d4e5/ou-ab12-11111111";

/// All settings of the finish are on.
pub async fn demanding() -> Stage {
    let mut source = built(AMI, "golden-1", 90).tag("family", "golden");
    source.snapshots =
        vec![Snapshot::new("snap-0aaaaaaaaaaaaaaa1"), Snapshot::new("snap-0aaaaaaaaaaaaaaa2").size_gib(20)];
    source.deprecation_time = Some(in_days(90));
    stage()
        .await
        .set("SHARE_WITH", &format!("{PARTNER},{ORGANIZATION},{UNIT},{OTHER_PARTNER}"))
        .set("DEREGISTRATION_PROTECTION", "On")
        .set("PARAMETER_NAME", "/golden/{tag:family}/{region}")
        .with(|world| {
            world.add_image(THERE, source);
        })
}

const PARAMETER: &str = "/golden/golden/us-east-1";

fn in_days(days: i64) -> OffsetDateTime {
    ago(0) + time::Duration::days(days)
}

/// All that [`demanding`] asks for.
pub fn assert_holds(stage: &Stage, copy: &str) {
    let now = image(stage, copy);
    let shared = [
        LaunchPermission::UserId(PARTNER.to_owned()),
        LaunchPermission::UserId(OTHER_PARTNER.to_owned()),
        LaunchPermission::OrganizationArn(ORGANIZATION.to_owned()),
        LaunchPermission::OrganizationalUnitArn(UNIT.to_owned()),
    ];
    assert_eq!(now.launch_permissions, shared.into());
    for snapshot in &now.snapshots {
        assert_eq!(snapshot.shared_with, [PARTNER.to_owned(), OTHER_PARTNER.to_owned()].into());
    }
    assert_eq!(now.deprecation_time, Some(in_days(90)));
    assert_eq!(now.deregistration_protection, Protection::Enabled);
    assert!(is_finished(stage, copy));
    let parameter = stage.aws.world().parameter(HERE, PARAMETER).expect("the copy is published");
    assert_eq!((parameter.value.as_str(), parameter.data_type.as_str()), (copy, "aws:ec2:image"));
    assert!(!on_bus(stage, "Finished").is_empty());
    assert_eq!(stage.copies().len(), 1);
}

/// Whole life: from the announcement to the finished copy.
#[tokio::test]
async fn a_copy_costs_ten_calls_in_its_whole_life_two_of_them_to_the_event_bus_and_nine_with_one_source_region() {
    for regions in ["", THERE] {
        let stage = stage().await.set("SOURCE_REGIONS", regions).with(|world| {
            world.add_image(THERE, built(AMI, "golden-1", 90));
        });
        let function = stage.function().await;
        let announced = batch([("m0", state_change(THERE, AMI, "available").to_string())]);
        assert!(done(&function, &announced).await);
        stage.aws.world().advance(20 * MINUTE);
        let copy = stage.copies()[0].id.clone();
        finished(&function, &copy).await;
        assert!(is_finished(&stage, &copy));
        // With several source Regions, a sibling of the AMI may have a copy.
        let looks = if regions.is_empty() { 3 } else { 2 };
        let first = [vec!["DescribeImages"; looks], vec!["CopyImage", "DescribeImages", "PutEvents"]].concat();
        let second = vec!["DescribeImages", "DescribeImages", "PutEvents", "CreateTags"];
        assert_eq!(stage.actions(), [first, second].concat());
    }
}

pub const CALLS: [&str; 14] = [
    "DescribeImages",
    "DescribeImages",
    "CreateTags",
    "EnableImageDeprecation",
    "EnableImageDeregistrationProtection",
    "ModifySnapshotAttribute",
    "ModifySnapshotAttribute",
    "ModifyImageAttribute",
    "GetParameter",
    "DescribeImages",
    "PutParameter",
    "GetParameter",
    "PutEvents",
    "CreateTags",
];

#[tokio::test]
async fn every_setting_holds_after_exactly_the_calls_it_takes_and_a_second_delivery_changes_nothing() {
    let stage = demanding().await;
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    assert!(done(&function, &told(&copy, "available", 1)).await);
    assert_eq!(stage.actions(), CALLS);
    assert_holds(&stage, &copy);
    stage.aws.world().forget_calls();
    assert!(done(&function, &told(&copy, "available", 2)).await);
    assert_eq!(stage.actions(), ["DescribeImages", "DescribeImages", "GetParameter"]);
    assert_eq!(on_bus(&stage, "Finished").len(), 1);
}

#[tokio::test]
async fn without_settings_a_copy_is_only_tagged_and_its_event_put() {
    let stage = stage().await.set("DEPRECATE", "Never").source(AMI, "golden-1");
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    assert!(done(&function, &told(&copy, "available", 1)).await);
    assert_eq!(stage.actions(), ["DescribeImages", "DescribeImages", "PutEvents", "CreateTags"]);
    let now = image(&stage, &copy);
    assert!(now.launch_permissions.is_empty() && now.deprecation_time.is_none());
    assert_eq!(now.deregistration_protection, Protection::Disabled);
}

/// What happens to one call, once.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    KilledBefore,
    KilledAfter,
    Throttled,
    /// For as long as the SDK tries.
    ThrottledForLong,
    Refused,
    Dropped,
    DroppedAfter,
}

const TROUBLES: [Trouble; 7] = [
    Trouble::KilledBefore,
    Trouble::KilledAfter,
    Trouble::Throttled,
    Trouble::ThrottledForLong,
    Trouble::Refused,
    Trouble::Dropped,
    Trouble::DroppedAfter,
];

#[tokio::test]
async fn whichever_step_is_killed_throttled_refused_or_dropped_the_copy_ends_finished() {
    let steps = CALLS.iter().enumerate().map(|(at, action)| {
        let nth = CALLS[..=at].iter().filter(|earlier| *earlier == action).count() as u64;
        (*action, nth)
    });
    let cases: Vec<_> = steps.flat_map(|step| TROUBLES.map(|trouble| (step, trouble))).collect();
    assert_eq!(cases.len(), 98);
    stream::iter(cases)
        .for_each_concurrent(6, async |((action, nth), trouble)| in_trouble(action, nth, trouble).await)
        .await;
}

async fn in_trouble(action: &str, nth: u64, trouble: Trouble) {
    let long = Duration::from_secs(60);
    let stage = demanding().await;
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    let hit = |nth| Fault::on(action).nth(nth);
    {
        let mut world = stage.aws.world();
        match trouble {
            Trouble::KilledBefore => world.fault(hit(nth).slow(long)),
            Trouble::KilledAfter => world.fault(hit(nth).slow_after_effect(long)),
            Trouble::Throttled => world.fault(hit(nth).throttle()),
            Trouble::ThrottledForLong => (nth..nth + 3).for_each(|nth| world.fault(hit(nth).throttle())),
            Trouble::Refused => world.fault(hit(nth).error(403, "AccessDeniedException", "not today")),
            Trouble::Dropped => world.fault(hit(nth).drop_connection()),
            Trouble::DroppedAfter => world.fault(hit(nth).drop_after_effect()),
        }
    }
    let mut message = told(&copy, "available", 1);
    if matches!(trouble, Trouble::KilledBefore | Trouble::KilledAfter) {
        let hangs = || stage.actions().iter().filter(|called| *called == action).count() as u64 == nth;
        let killed = async {
            until(hangs).await;
            function.kill().await;
        };
        let (died, ()) = tokio::join!(function.invoke(&message), killed);
        assert!(died.is_err(), "{action} {trouble:?}");
    }
    let mut deliveries = 0;
    while !is_finished(&stage, &copy) {
        deliveries += 1;
        assert!(deliveries <= 3, "{action} {nth} {trouble:?}: {:#?}", function.logs());
        if done(&function, &message).await {
            // Rejected: once the cause is removed, an operator sends the dead letter back.
            for (body, attributes) in take_dead(&stage) {
                assert_eq!(attributes["Outcome"], "Rejected");
                message = batch([("m2", body)]);
            }
        }
    }
    assert_holds(&stage, &copy);
    let parameter = stage.aws.world().parameter(HERE, PARAMETER).expect("it is published");
    assert!(parameter.version <= 2, "{action} {trouble:?}: {parameter:?}");
    stage.aws.world().clear_faults();
    stage.aws.world().forget_calls();
    assert!(done(&function, &told(&copy, "available", 1)).await);
    assert_eq!(stage.actions(), ["DescribeImages", "DescribeImages", "GetParameter"], "{action} {trouble:?}");
}

#[tokio::test]
async fn the_deprecation_time_is_the_sources_or_days_ahead_or_none_or_the_nearest_that_ec2_takes() {
    // The copy ends 20 minutes after the world began.
    let soon = (ago(-21), ago(-25));
    let cases = [
        ("Source", Some(in_days(40)), Some((in_days(40), in_days(40)))),
        ("Source", None, None),
        ("Source", Some(ago(30)), Some(soon)),
        ("Source", Some(in_days(7300)), Some((in_days(3649), in_days(3651)))),
        ("Never", Some(in_days(40)), None),
        ("30", Some(in_days(40)), Some((in_days(30), in_days(30)))),
        ("3650", None, Some((in_days(3649), in_days(3651)))),
    ];
    for (setting, of_source, expected) in cases {
        let stage = stage().await.set("DEPRECATE", setting).with(|world| {
            let id = world.add_image(THERE, built(AMI, "golden-1", 90));
            world.image_mut(THERE, &id).expect("just added").deprecation_time = of_source;
        });
        let function = stage.function().await;
        let copy = ended(&stage, &function, AMI).await;
        assert!(done(&function, &told(&copy, "available", 1)).await);
        assert!(is_finished(&stage, &copy), "{setting} {of_source:?}: {:?}", stage.dead());
        let at = image(&stage, &copy).deprecation_time;
        match expected {
            None => assert_eq!(at, None, "{setting} {of_source:?}"),
            Some((from, to)) => assert!(at.is_some_and(|at| from <= at && at <= to), "{setting} {of_source:?}: {at:?}"),
        }
    }
}

#[tokio::test]
async fn protection_can_have_a_cool_down_and_is_not_asked_for_twice() {
    let stage = stage().await.set("DEREGISTRATION_PROTECTION", "WithCooldown").source(AMI, "golden-1");
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    stage.aws.world().fault(Fault::on("CreateTags").nth(1).error(500, "Unavailable", "later"));
    stage.aws.world().fault(Fault::on("CreateTags").nth(2).error(500, "Unavailable", "later"));
    stage.aws.world().fault(Fault::on("CreateTags").nth(3).error(500, "Unavailable", "later"));
    finished(&function, &copy).await;
    assert_eq!(image(&stage, &copy).deregistration_protection, Protection::EnabledWithCooldown);
    let asked = stage.actions().iter().filter(|action| *action == "EnableImageDeregistrationProtection").count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn an_ami_or_snapshot_that_ec2_does_not_find_in_a_step_is_retried() {
    let steps = CALLS.into_iter().filter(|action| !["GetParameter", "PutParameter", "PutEvents"].contains(action));
    for action in steps {
        let code =
            if action == "ModifySnapshotAttribute" { "InvalidSnapshot.NotFound" } else { "InvalidAMIID.NotFound" };
        let stage = demanding().await;
        let function = stage.function().await;
        let copy = ended(&stage, &function, AMI).await;
        stage.aws.world().fault(Fault::on(action).nth(1).error(400, code, "it does not exist"));
        finished(&function, &copy).await;
        assert_holds(&stage, &copy);
        assert!(stage.dead().is_empty(), "{action}: {:?}", stage.dead());
    }
}

#[tokio::test]
async fn an_ami_that_is_not_visible_is_retried_for_an_hour_and_then_ignored() {
    let stage = stage().await;
    let function = stage.function().await;
    let message = told("ami-00000000000000001", "available", 1);
    for minutes in [0, 30, 29] {
        stage.aws.world().advance(minutes * MINUTE);
        assert!(!done(&function, &message).await);
    }
    stage.aws.world().advance(MINUTE);
    assert!(done(&function, &message).await);
    assert!(stage.dead().is_empty());
}

#[tokio::test]
async fn an_event_that_comes_before_describe_images_shows_the_new_state_is_retried() {
    let stage = stage().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let copy = crate::life::announced(&function, AMI).await;
    assert!(!done(&function, &told(&copy, "available", 1)).await);
    stage.aws.world().advance(Duration::from_secs(20 * 60));
    finished(&function, &copy).await;
    assert!(is_finished(&stage, &copy));
}

#[tokio::test]
async fn an_ami_that_is_not_the_couriers_is_left_alone_after_one_look() {
    let stranger = "ami-00000000000000002";
    for state in ["available", "failed", "disabled"] {
        let stage = demanding().await.with(|world| {
            let state = if state == "failed" { ImageState::Failed } else { ImageState::Available };
            world.add_image(HERE, Image::new(stranger, "mine").state(state));
        });
        let function = stage.function().await;
        let answer = function.invoke(&state_change(HERE, stranger, state)).await.unwrap();
        assert_eq!(answer[0]["Outcome"], "Ignored");
        assert_eq!(stage.actions(), ["DescribeImages"]);
    }
}

#[tokio::test]
async fn somebodys_copy_of_our_copy_is_not_ours_though_it_has_our_tags() {
    let theirs = "ami-00000000000000003";
    for (state, event) in [(ImageState::Available, "available"), (ImageState::Failed, "failed")] {
        let stage = demanding().await.with(|world| {
            let tagged = Image::new(theirs, "theirs")
                .state(state)
                .tag("ami-courier:source-image", AMI)
                .tag("ami-courier:source-region", THERE)
                .copy_of("ami-00000000000000004", HERE);
            world.add_image(HERE, tagged);
        });
        let function = stage.function().await;
        let answer = function.invoke(&state_change(HERE, theirs, event)).await.unwrap();
        assert_eq!(answer[0]["Outcome"], "Ignored", "{answer}");
        assert_eq!(stage.actions(), ["DescribeImages"]);
    }
}

#[tokio::test]
async fn an_ami_that_is_deregistered_in_the_stacks_region_needs_no_action() {
    let stage = demanding().await;
    let function = stage.function().await;
    let answer = function.invoke(&state_change(HERE, "ami-00000000000000005", "deregistered")).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Ignored");
    assert_eq!(stage.actions(), Vec::<String>::new());
}

/// EC2 takes 50 tags. Twelve places are the courier's: six of them have a tag on every finished copy.
#[tokio::test]
async fn a_source_with_as_many_tags_as_ec2_takes_leaves_room_for_the_couriers_marks() {
    let tagged = (0..50).fold(built(AMI, "golden-1", 90), |image, n| image.tag(&format!("key-{n:02}"), "value"));
    let stage = stage().await.with(|world| {
        world.add_image(THERE, tagged);
    });
    let function = stage.function().await;
    let first = ended(&stage, &function, AMI).await;
    finished(&function, &first).await;
    assert!(is_finished(&stage, &first), "{:?}", stage.dead());
    assert_eq!(image(&stage, &first).tags.len(), 38 + 6);
    stage.aws.world().deregister(HERE, &first);
    let second = ended(&stage, &function, AMI).await;
    finished(&function, &second).await;
    assert_eq!(image(&stage, &second).tags["ami-courier:try"], "0.1");
    assert!(is_finished(&stage, &second), "{:?}", stage.dead());
    assert_eq!(image(&stage, &second).tags.len(), 38 + 7);
}

#[tokio::test]
async fn a_copy_whose_source_is_gone_is_finished_and_not_published_since_the_source_gives_no_name() {
    let stage = demanding().await;
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    stage.aws.world().deregister(THERE, AMI);
    stage.aws.world().advance(Duration::from_secs(7200));
    finished(&function, &copy).await;
    assert!(is_finished(&stage, &copy), "{:?}", stage.dead());
    assert!(stage.aws.world().parameter(HERE, PARAMETER).is_none());
}

#[tokio::test]
async fn the_event_has_source_duration_and_size_and_a_redelivery_says_that_the_copy_is_in_step() {
    let stage = demanding().await;
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    let first = function.invoke(&state_change(HERE, &copy, "available")).await.unwrap();
    let event = on_bus(&stage, "Finished").remove(0);
    assert_eq!(event.detail, first[0]);
    assert_eq!(first[0]["SizeGiB"], 28);
    let seconds = first[0]["DurationSeconds"].as_i64().expect("it is known when the copy was made");
    assert!((1199..=1210).contains(&seconds), "{seconds}");
    let second = function.invoke(&state_change(HERE, &copy, "available")).await.unwrap();
    assert_eq!(second[0]["Outcome"], "Ignored");
    assert!(second[0]["Reason"].as_str().unwrap().contains("in step"), "{second}");
    for field in ["SourceImageId", "SourceRegion", "Region"] {
        assert!(!first[0][field].is_null());
        assert_eq!(first[0][field], second[0][field], "{field}");
    }
}

#[tokio::test]
async fn the_event_comes_before_the_tag_so_a_crash_in_between_repeats_it_but_does_not_lose_it() {
    let stage = demanding().await;
    let function = stage.function().await;
    let copy = ended(&stage, &function, AMI).await;
    stage.aws.world().fault(Fault::on("CreateTags").nth(2).effect(Effect::Slow(Duration::from_secs(60))));
    let message = told(&copy, "available", 1);
    let killed = async {
        until(|| stage.actions().iter().filter(|action| *action == "CreateTags").count() == 2).await;
        function.kill().await;
    };
    let (died, ()) = tokio::join!(function.invoke(&message), killed);
    assert!(died.is_err());
    assert_eq!(on_bus(&stage, "Finished").len(), 1);
    assert!(!is_finished(&stage, &copy));
    finished(&function, &copy).await;
    assert_eq!(on_bus(&stage, "Finished").len(), 2);
    assert!(is_finished(&stage, &copy));
}
