//! Who uses a copy: what holds it, and since when.

use std::collections::BTreeSet;

use local::aws::{ACCOUNT, Fault, Image, LaunchPermission, Reference};
use local::host::Host;
use serde_json::{Value, json};

use super::{
    AMI, DAY, FRIEND, GONE, HOUR, assert_retired, assert_stays, change, changes, copied, event, gone, mark, our_own,
    reference, stage, swept, swept_after, two_sweeps,
};
use crate::life::image;
use crate::stage::{HERE, Stage, THERE, state_change};

const MINUTES: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// A finished copy of an AMI of this account, shared by the setting.
async fn shared() -> (Stage, Host, String) {
    copied(stage().await.set("SHARE_WITH", FRIEND), ACCOUNT).await
}

/// The ids of the image usage reports here.
fn reports(stage: &Stage) -> Vec<String> {
    stage.aws.world().usage_reports(HERE)
}

/// How many image usage reports were ordered.
fn ordered(stage: &Stage) -> usize {
    stage.actions().iter().filter(|action| *action == "CreateImageUsageReport").count()
}

#[tokio::test]
async fn a_copy_that_this_account_uses_is_held_and_the_outcome_says_by_what_and_since_when() {
    type Hold = fn(&mut Image);
    let template = "arn:aws:ec2:eu-west-1:123456789012:launch-template/lt-0123456789abcdef0";
    let holds: [(Hold, &[&str]); 4] = [
        (
            |copy| copy.last_launched_time = Some(local::aws::START - 22 * DAY),
            &["held since 2026-01-08: it was launched on 2025-12-10"],
        ),
        (
            |copy| copy.referenced_by = vec![reference("ec2:LaunchTemplate", "launch-template/lt-0123456789abcdef0")],
            &["held since 2026-01-08: ec2:LaunchTemplate", template],
        ),
        (
            |copy| copy.referenced_by = vec![reference("ec2:Instance", "instance/i-0123456789abcdef0")],
            &["held since 2026-01-08: ec2:Instance"],
        ),
        (
            |copy| copy.referenced_by = (0..7).map(|n| reference("ec2:Instance", &format!("instance/i-{n}"))).collect(),
            &["instance/i-4", "and 2 more"],
        ),
    ];
    for (hold, words) in holds {
        let (stage, function, copy) = our_own().await;
        change(&stage, &copy, hold);
        gone(&stage, &function, &copy).await;
        let held = swept_after(&stage, &function, 7 * DAY).await;
        for word in words {
            assert_stays(&stage, &copy, &held, word);
        }
        assert_eq!(changes(&stage), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_version_of_a_launch_template_holds_the_copy_however_many_newer_ones_there_are() {
    let (stage, function, copy) = our_own().await;
    let old = reference("ec2:LaunchTemplate", "launch-template/lt-0123456789abcdef0");
    change(&stage, &copy, |copy| copy.referenced_by = vec![Reference { newer_versions: 9_999, ..old }]);
    gone(&stage, &function, &copy).await;
    assert_stays(&stage, &copy, &swept_after(&stage, &function, 7 * DAY).await, "ec2:LaunchTemplate");
    let (stage, function, copy) = shared().await;
    stage.aws.world().use_image_in_old_version(HERE, &copy, FRIEND, 9_999);
    stage.aws.world().advance(2 * DAY);
    gone(&stage, &function, &copy).await;
    swept_after(&stage, &function, 7 * DAY).await;
    let held = swept_after(&stage, &function, HOUR).await;
    assert_stays(&stage, &copy, &held, "account 444455556666 (1 ec2:LaunchTemplate)");
}

#[tokio::test]
async fn a_recipe_of_another_account_holds_the_copy() {
    for recipe in ["imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"] {
        let (stage, function, copy) = shared().await;
        stage.aws.world().use_image(HERE, &copy, FRIEND, recipe, 1);
        stage.aws.world().advance(2 * DAY);
        gone(&stage, &function, &copy).await;
        swept_after(&stage, &function, 7 * DAY).await;
        let held = swept_after(&stage, &function, HOUR).await;
        assert_stays(&stage, &copy, &held, &format!("account 444455556666 (1 {recipe})"));
    }
}

#[tokio::test]
async fn a_type_that_ec2_refuses_never_makes_a_copy_look_unused() {
    let refused: BTreeSet<String> =
        ["imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"].map(str::to_owned).into();
    let (stage, function, copy) = shared().await;
    stage.aws.world().behaviour.usage_reports_refuse = refused;
    stage.aws.world().use_image(HERE, &copy, FRIEND, "imagebuilder:ImageRecipe", 1);
    stage.aws.world().use_image(HERE, &copy, FRIEND, "ec2:Instance", 2);
    gone(&stage, &function, &copy).await;
    swept_after(&stage, &function, 7 * DAY).await;
    // The report is about the types that EC2 takes, and still names those who use the copy.
    let held = swept_after(&stage, &function, HOUR).await;
    assert_stays(&stage, &copy, &held, "account 444455556666 (2 ec2:Instance)");
    stage.aws.world().stop_using_image(HERE, &copy, FRIEND);
    for _ in 0..60 {
        let held = swept_after(&stage, &function, 2 * HOUR).await;
        assert_stays(&stage, &copy, &held, "gone since 2026-01-01; held since 2026-01-08");
    }
    let held = swept_after(&stage, &function, 2 * HOUR).await;
    for word in ["not known whether other accounts use it", "is not about imagebuilder:ImageRecipe and imagebuilder:C"]
    {
        assert_stays(&stage, &copy, &held, word);
    }
    stage.aws.world().behaviour.usage_reports_refuse.clear();
    for _ in 0..30 {
        let outcome = swept_after(&stage, &function, HOUR).await;
        if outcome["Outcome"] == "Retired" {
            return assert_retired(&stage, &copy, &outcome);
        }
    }
    panic!("a copy that nobody uses stays for ever");
}

#[tokio::test]
async fn a_copy_stays_and_is_not_marked_while_ec2_refuses_every_report() {
    let (stage, function, copy) = shared().await;
    stage.aws.world().behaviour.usage_reports_refuse.insert("ec2:LaunchTemplate".to_owned());
    stage.aws.world().deregister(THERE, AMI);
    let error = function.invoke(&state_change(THERE, AMI, "deregistered")).await.unwrap_err().to_string();
    assert!(error.contains("Value (ec2:LaunchTemplate)") && error.contains("usage report"), "{error}");
    assert_eq!(mark(&stage, &copy, GONE), None);
}

#[tokio::test]
async fn the_copy_that_a_parameter_holds_stays() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().set_parameter(HERE, "/golden/latest", &copy, "aws:ec2:image");
    gone(&stage, &function, &copy).await;
    assert_stays(&stage, &copy, &swept_after(&stage, &function, 7 * DAY).await, "parameter/golden/latest");
}

#[tokio::test]
async fn references_are_asked_for_by_the_five_documented_types_by_name() {
    let (stage, function, copy) = our_own().await;
    gone(&stage, &function, &copy).await;
    assert_retired(&stage, &copy, &swept_after(&stage, &function, 7 * DAY).await);
    let calls = stage.aws.world().calls();
    let asked = calls.into_iter().find(|call| call.action == "DescribeImageReferences").expect("a call").parameters;
    assert_eq!(asked["IncludeAllResourceTypes"], Value::Null);
    let types: Vec<&str> = (1..=6).filter_map(|n| asked[format!("ResourceType.{n}.ResourceType")].as_str()).collect();
    assert_eq!(
        types,
        [
            "ec2:Instance",
            "ec2:LaunchTemplate",
            "ssm:Parameter",
            "imagebuilder:ImageRecipe",
            "imagebuilder:ContainerRecipe"
        ]
    );
}

#[tokio::test]
async fn a_launch_of_yesterday_that_ec2_does_not_show_yet_holds_the_copy() {
    let (stage, function, copy) = our_own().await;
    stage.aws.world().launch(HERE, &copy);
    stage.aws.world().advance(20 * HOUR);
    // Nothing shows the launch when the source is found gone.
    gone(&stage, &function, &copy).await;
    assert_eq!(image(&stage, &copy).last_launched_time, None);
    let held = swept_after(&stage, &function, 7 * DAY).await;
    assert_stays(&stage, &copy, &held, "it was launched on 2026-01-01");
    assert_retired(&stage, &copy, &swept_after(&stage, &function, 23 * DAY).await);
}

#[tokio::test]
async fn a_copy_that_nobody_else_may_launch_needs_no_report() {
    let (stage, function, copy) = our_own().await;
    gone(&stage, &function, &copy).await;
    assert_retired(&stage, &copy, &swept_after(&stage, &function, 7 * DAY).await);
    assert_eq!(ordered(&stage), 0);
}

#[tokio::test]
async fn a_report_on_a_shared_copy_is_ordered_with_the_mark_once_and_tagged() {
    for by_setting in [true, false] {
        let (stage, function, copy) = if by_setting { shared().await } else { our_own().await };
        if !by_setting {
            let permission = LaunchPermission::OrganizationArn("arn:aws:organizations::1:organization/o-1".to_owned());
            change(&stage, &copy, |copy| copy.launch_permissions.extend([permission]));
        }
        stage.aws.world().deregister(THERE, AMI);
        assert_stays(&stage, &copy, &event(&function, "deregistered").await, "now marked");
        assert_eq!(changes(&stage), ["CreateImageUsageReport", "CreateTags"]);
        let calls = stage.aws.world().calls();
        let order = calls.iter().find(|call| call.action == "CreateImageUsageReport").expect("an order");
        let mut parameters = order.parameters.clone();
        parameters.as_object_mut().expect("parameters").remove("ClientToken");
        assert_eq!(
            parameters,
            json!({
                "ImageId": copy,
                "ResourceType.1.ResourceType": "ec2:Instance",
                "ResourceType.2.ResourceType": "ec2:LaunchTemplate",
                "ResourceType.2.ResourceTypeOption.1.OptionName": "version-depth",
                "ResourceType.2.ResourceTypeOption.1.OptionValue.1": "10000",
                "ResourceType.3.ResourceType": "imagebuilder:ImageRecipe",
                "ResourceType.4.ResourceType": "imagebuilder:ContainerRecipe",
                "TagSpecification.1.ResourceType": "image-usage-report",
                "TagSpecification.1.Tag.1.Key": "ami-courier:usage-report",
                "TagSpecification.1.Tag.1.Value": copy,
            })
        );
        for _ in 0..3 {
            event(&function, "deregistered").await;
            swept_after(&stage, &function, HOUR).await;
        }
        assert_eq!(ordered(&stage), 1);
    }
}

#[tokio::test]
async fn without_permission_to_order_the_report_the_copy_is_not_even_marked() {
    let (stage, function, copy) = shared().await;
    stage.aws.world().deregister(THERE, AMI);
    let fault = Fault::on("CreateImageUsageReport");
    stage.aws.world().fault(fault.error(403, "UnauthorizedOperation", "You are not authorized"));
    let error = function.invoke(&state_change(THERE, AMI, "deregistered")).await.unwrap_err().to_string();
    assert!(error.contains("UnauthorizedOperation") && error.contains("usage report"), "{error}");
    assert_eq!(mark(&stage, &copy, GONE), None);
}

#[tokio::test]
async fn a_shared_copy_is_retired_when_a_fresh_report_shows_no_use_and_no_report_is_left() {
    let (stage, function, copy) = shared().await;
    gone(&stage, &function, &copy).await;
    let [first] = <[String; 1]>::try_from(reports(&stage)).expect("the report of the mark");
    // By now the report of the mark is days old.
    let held = swept_after(&stage, &function, 7 * DAY).await;
    assert_stays(&stage, &copy, &held, "held since 2026-01-08: it is not known whether other accounts use it");
    assert_stays(&stage, &copy, &held, "an image usage report is ordered");
    assert_eq!(changes(&stage), ["DeleteImageUsageReport", "CreateImageUsageReport"]);
    let [fresh] = <[String; 1]>::try_from(reports(&stage)).expect("a fresh report");
    assert_ne!(first, fresh);
    assert_stays(&stage, &copy, &swept(&stage, &function).await, "has been pending since 2026-01-08");
    assert_eq!(ordered(&stage), 1);
    stage.aws.world().forget_calls();
    assert_retired(&stage, &copy, &swept_after(&stage, &function, MINUTES).await);
    assert_eq!(changes(&stage), ["DeleteImageUsageReport", "DeregisterImage", "PutEvents"]);
    assert_eq!(reports(&stage), Vec::<String>::new());
}

#[tokio::test]
async fn a_copy_in_use_by_another_account_only_is_held_and_the_account_is_named_until_it_stops() {
    let (stage, function, copy) = shared().await;
    stage.aws.world().use_image(HERE, &copy, FRIEND, "ec2:Instance", 2);
    stage.aws.world().advance(2 * DAY);
    gone(&stage, &function, &copy).await;
    // The early warning, while the copy waits.
    let waiting = swept_after(&stage, &function, HOUR).await;
    assert_stays(&stage, &copy, &waiting, "2026-01-10 or later");
    assert_stays(
        &stage,
        &copy,
        &waiting,
        "by the image usage report of 2026-01-03: account 444455556666 (2 ec2:Instance)",
    );
    assert_stays(&stage, &copy, &swept_after(&stage, &function, 7 * DAY).await, "is ordered");
    for _ in 0..20 {
        let held = swept_after(&stage, &function, HOUR).await;
        assert_stays(&stage, &copy, &held, "held since 2026-01-10: other accounts use it");
        assert_stays(&stage, &copy, &held, "account 444455556666 (2 ec2:Instance)");
    }
    assert_eq!(ordered(&stage), 1, "a report holds the copy for a day");
    stage.aws.world().stop_using_image(HERE, &copy, FRIEND);
    for _ in 0..2 {
        assert_stays(&stage, &copy, &swept_after(&stage, &function, 26 * HOUR).await, "is ordered");
        stage.aws.world().advance(HOUR);
        let outcome = swept(&stage, &function).await;
        if outcome["Outcome"] == "Retired" {
            assert_retired(&stage, &copy, &outcome);
            assert_eq!(reports(&stage), Vec::<String>::new());
            return;
        }
        assert_stays(&stage, &copy, &outcome, "account 444455556666");
    }
    panic!("a copy that nobody uses any more stays for ever");
}

#[tokio::test]
async fn a_use_that_began_after_the_report_of_the_mark_holds_the_copy() {
    let (stage, function, copy) = shared().await;
    gone(&stage, &function, &copy).await;
    stage.aws.world().advance(3 * DAY);
    stage.aws.world().use_image(HERE, &copy, FRIEND, "ec2:LaunchTemplate", 1);
    assert_stays(&stage, &copy, &swept_after(&stage, &function, 4 * DAY).await, "is ordered");
    assert_stays(
        &stage,
        &copy,
        &swept_after(&stage, &function, HOUR).await,
        "account 444455556666 (1 ec2:LaunchTemplate)",
    );
    assert_eq!(stage.aws.world().users_of_image(HERE, &copy), [FRIEND]);
}

#[tokio::test]
async fn a_report_in_error_holds_the_copy_with_its_reason_and_is_ordered_again_after_a_day() {
    let (stage, function, copy) = shared().await;
    gone(&stage, &function, &copy).await;
    stage.aws.world().behaviour.usage_report_error = Some("Internal failure".to_owned());
    assert_stays(&stage, &copy, &swept_after(&stage, &function, 7 * DAY).await, "is ordered");
    for _ in 0..23 {
        let held = swept_after(&stage, &function, HOUR).await;
        assert_stays(&stage, &copy, &held, "EC2 could not create the image usage report");
        assert_stays(&stage, &copy, &held, "Internal failure");
    }
    assert_eq!(ordered(&stage), 1);
    stage.aws.world().behaviour.usage_report_error = None;
    assert_stays(&stage, &copy, &swept_after(&stage, &function, 2 * HOUR).await, "is ordered");
    assert_retired(&stage, &copy, &swept_after(&stage, &function, HOUR).await);
    assert_eq!(reports(&stage), Vec::<String>::new());
}

#[tokio::test]
async fn a_report_that_stays_pending_holds_the_copy() {
    let (stage, function, copy) = shared().await;
    stage.aws.world().behaviour.usage_report_duration = 100 * DAY;
    gone(&stage, &function, &copy).await;
    for _ in 0..20 {
        let held = swept_after(&stage, &function, DAY).await;
        assert_stays(&stage, &copy, &held, "gone since 2026-01-01");
    }
    assert_stays(&stage, &copy, &swept(&stage, &function).await, "has been pending since 2026-01-01");
    assert_eq!(ordered(&stage), 0);
    // EC2 deletes it after 30 days.
    stage.aws.world().behaviour.usage_report_duration = HOUR;
    assert_stays(&stage, &copy, &swept_after(&stage, &function, 10 * DAY).await, "is ordered");
    assert_retired(&stage, &copy, &swept_after(&stage, &function, HOUR).await);
}

#[tokio::test]
async fn a_report_that_somebody_else_ordered_is_waited_for_but_proves_nothing() {
    let (stage, function, copy) = shared().await;
    gone(&stage, &function, &copy).await;
    stage.aws.world().advance(7 * DAY);
    let order = json!({ "ImageId": copy, "ResourceType.1.ResourceType": "ec2:Instance" });
    let caller = local::aws::Caller::in_region(HERE);
    let theirs = stage.aws.world().call(&caller, "ec2", "CreateImageUsageReport", &order).expect("a report");
    let theirs = theirs["reportId"].as_str().expect("an id").to_owned();
    assert_stays(&stage, &copy, &swept(&stage, &function).await, &format!("{theirs} has been pending"));
    assert_stays(&stage, &copy, &swept_after(&stage, &function, MINUTES).await, "is ordered");
    assert_retired(&stage, &copy, &swept_after(&stage, &function, MINUTES).await);
    assert_eq!(reports(&stage), [theirs], "somebody else's report is not the courier's to delete");
}

#[tokio::test]
async fn accounts_on_every_page_of_a_report_are_counted() {
    let (stage, function, copy) = shared().await;
    for n in 1..=7 {
        stage.aws.world().use_image(HERE, &copy, &format!("{n:012}"), "ec2:Instance", 1);
    }
    gone(&stage, &function, &copy).await;
    stage.aws.world().behaviour.page_size = 2;
    swept_after(&stage, &function, 7 * DAY).await;
    let held = swept_after(&stage, &function, HOUR).await;
    assert_stays(&stage, &copy, &held, "account 000000000005 (1 ec2:Instance) and 2 more");
}

#[tokio::test]
async fn two_sweeps_at_once_order_one_report_and_read_it_in_peace() {
    let (stage, function, copy) = shared().await;
    let other = stage.function().await;
    gone(&stage, &function, &copy).await;
    stage.aws.world().advance(7 * DAY);
    two_sweeps(&stage, &function, &other).await;
    assert_eq!(reports(&stage).len(), 1);
    stage.aws.world().advance(HOUR);
    two_sweeps(&stage, &function, &other).await;
    assert!(stage.copies().is_empty(), "{:?}", stage.actions());
}

#[tokio::test]
async fn for_how_many_days_a_retirement_is_held_is_a_metric() {
    let (stage, function, copy) = our_own().await;
    change(&stage, &copy, |copy| copy.referenced_by = vec![reference("ec2:Instance", "instance/i-1")]);
    gone(&stage, &function, &copy).await;
    swept_after(&stage, &function, 6 * DAY).await;
    assert_eq!(held_days(&function), None, "a copy that waits is not held");
    for (after, days) in [(DAY, 0.0), (10 * DAY, 10.0), (20 * DAY + HOUR, 30.0)] {
        assert_stays(&stage, &copy, &swept_after(&stage, &function, after).await, "held since 2026-01-08");
        assert_eq!(held_days(&function), Some(json!([days])));
    }
}

/// The last value of the metric.
fn held_days(function: &Host) -> Option<Value> {
    let documents = function.logs().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    documents.filter_map(|document| document.get("RetirementHeldDays").cloned()).next_back()
}

#[tokio::test]
async fn a_copy_that_share_with_names_accounts_for_is_looked_after_also_while_it_is_shared_with_nobody() {
    let (stage, function, copy) = copied(stage().await.set("SHARE_WITH", FRIEND), ACCOUNT).await;
    change(&stage, &copy, |copy| copy.launch_permissions.clear());
    stage.aws.world().deregister(THERE, AMI);
    event(&function, "deregistered").await;
    assert!(changes(&stage).contains(&"CreateImageUsageReport".to_owned()), "{:?}", changes(&stage));
}
