use std::time::Duration;

use local::aws::{Image, Snapshot, World};
use serde_json::{Value, json};

use super::{REGION, STRANGER, code, ec2, ec2_as, stranger};

const IMAGE: &str = "ami-00000000000000001";
const DAY: Duration = Duration::from_secs(24 * 3600);
const BOTH_TYPES: [(&str, &str); 3] = [
    ("ImageId", IMAGE),
    ("ResourceType.1.ResourceType", "ec2:Instance"),
    ("ResourceType.2.ResourceType", "ec2:LaunchTemplate"),
];

fn one_image() -> World {
    let mut world = World::default();
    world.add_image(REGION, Image::new(IMAGE, "one").snapshots([Snapshot::new("snap-00000000000000001")]));
    world
}

fn order(world: &mut World) -> String {
    let answer = ec2(world, "CreateImageUsageReport", &BOTH_TYPES).expect("a report");
    answer["reportId"].as_str().expect("an id").to_owned()
}

fn reports(world: &mut World) -> Value {
    ec2(world, "DescribeImageUsageReports", &[("ImageId.1", IMAGE)]).expect("reports")["imageUsageReportSet"].clone()
}

fn entries(world: &mut World, report: &str) -> Value {
    let answer = ec2(world, "DescribeImageUsageReportEntries", &[("ReportId.1", report)]).expect("entries");
    answer["imageUsageReportEntrySet"].clone()
}

#[test]
fn a_report_is_pending_then_available_and_gone_after_thirty_days() {
    let mut world = one_image();
    let report = order(&mut world);
    assert!(report.starts_with("amiur-"), "{report}");
    assert_eq!(
        (&reports(&mut world)[0]["reportId"], &reports(&mut world)[0]["state"]),
        (&json!(report), &json!("pending"))
    );
    assert_eq!(entries(&mut world, &report), json!([]));
    world.advance(Duration::from_secs(10 * 60));
    assert_eq!(reports(&mut world)[0]["state"], "available");
    assert_eq!(reports(&mut world)[0]["expirationTime"], "2026-01-31T00:00:00.000Z");
    world.advance(30 * DAY);
    assert_eq!(reports(&mut world), json!([]));
    assert!(world.usage_reports(REGION).is_empty());
}

#[test]
fn a_report_can_end_in_error_with_a_reason() {
    let mut world = one_image();
    world.behaviour.usage_report_error = Some("an internal error".to_owned());
    let report = order(&mut world);
    assert_eq!(reports(&mut world)[0]["stateReason"], Value::Null);
    world.advance(DAY);
    assert_eq!(
        (&reports(&mut world)[0]["state"], &reports(&mut world)[0]["stateReason"]),
        (&json!("error"), &json!("an internal error"))
    );
    assert_eq!(entries(&mut world, &report), json!([]));
}

#[test]
fn there_is_one_pending_report_an_image() {
    let mut world = one_image();
    order(&mut world);
    assert_eq!(code(ec2(&mut world, "CreateImageUsageReport", &BOTH_TYPES)), "ImageUsageReportLimitExceeded");
    world.advance(DAY);
    order(&mut world);
    assert_eq!(world.usage_reports(REGION).len(), 2);
}

#[test]
fn a_client_token_makes_one_report() {
    let mut world = one_image();
    let with_token: Vec<_> = BOTH_TYPES.into_iter().chain([("ClientToken", "one")]).collect();
    let first = ec2(&mut world, "CreateImageUsageReport", &with_token).expect("a report");
    assert_eq!(ec2(&mut world, "CreateImageUsageReport", &with_token).expect("the same report"), first);
}

#[test]
fn a_report_shows_the_use_by_other_accounts_as_it_was_a_day_before_by_account_and_type() {
    let mut world = one_image();
    world.use_image(REGION, IMAGE, STRANGER, "ec2:Instance", 3);
    world.use_image(REGION, IMAGE, STRANGER, "ec2:LaunchTemplate", 1);
    let too_early = order(&mut world);
    world.advance(DAY);
    assert_eq!(entries(&mut world, &too_early), json!([]), "the last 24 hours are missing");
    let report = order(&mut world);
    world.stop_using_image(REGION, IMAGE, STRANGER);
    assert!(world.users_of_image(REGION, IMAGE).is_empty());
    world.advance(DAY);
    let shown = entries(&mut world, &report);
    assert_eq!(shown.as_array().map(Vec::len), Some(2));
    assert_eq!(
        shown[0],
        json!({
            "resourceType": "ec2:Instance", "reportId": report, "usageCount": 3, "accountId": STRANGER, "imageId": IMAGE,
            "reportCreationTime": "2026-01-02T00:00:00.000Z",
        })
    );
    let later = order(&mut world);
    world.advance(DAY);
    assert_eq!(entries(&mut world, &later), json!([]), "the use has ended");
    let instances = [("ImageId", IMAGE), ("ResourceType.1.ResourceType", "ec2:Instance")];
    assert!(ec2(&mut world, "CreateImageUsageReport", &instances).is_ok());
}

#[test]
fn entries_come_in_pages() {
    let mut world = one_image();
    world.behaviour.page_size = 2;
    for account in ["111111111111", "222222222222", "333333333333"] {
        world.use_image(REGION, IMAGE, account, "ec2:Instance", 1);
    }
    world.advance(DAY);
    let report = order(&mut world);
    world.advance(DAY);
    let first = ec2(&mut world, "DescribeImageUsageReportEntries", &[("ReportId.1", &report)]).expect("a page");
    let token = first["nextToken"].as_str().expect("one more page").to_owned();
    let rest = [("ReportId.1", report.as_str()), ("NextToken", &token)];
    let second = ec2(&mut world, "DescribeImageUsageReportEntries", &rest).expect("the last page");
    assert_eq!(first["imageUsageReportEntrySet"].as_array().map(Vec::len), Some(2));
    assert_eq!(second["imageUsageReportEntrySet"][0]["accountId"], "333333333333");
    assert_eq!(second["nextToken"], Value::Null);
}

#[test]
fn a_report_has_tags_and_is_found_by_them() {
    let mut world = one_image();
    let tag = |kind| {
        BOTH_TYPES.into_iter().chain([
            ("TagSpecification.1.ResourceType", kind),
            ("TagSpecification.1.Tag.1.Key", "for"),
            ("TagSpecification.1.Tag.1.Value", "me"),
        ])
    };
    let wrong: Vec<_> = tag("image").collect();
    assert_eq!(code(ec2(&mut world, "CreateImageUsageReport", &wrong)), "InvalidParameterValue");
    let right: Vec<_> = tag("image-usage-report").collect();
    ec2(&mut world, "CreateImageUsageReport", &right).expect("a report");
    assert_eq!(reports(&mut world)[0]["tagSet"], json!([{ "key": "for", "value": "me" }]));
    for (value, found) in [("me", 1), ("you", 0)] {
        let by_tag = [("Filter.1.Name", "tag:for"), ("Filter.1.Value.1", value)];
        let answer = ec2(&mut world, "DescribeImageUsageReports", &by_tag).expect("reports");
        assert_eq!(answer["imageUsageReportSet"].as_array().map(Vec::len), Some(found), "{value}");
    }
}

#[test]
fn only_the_owner_of_the_image_orders_and_only_the_owner_of_the_report_deletes_it_once() {
    let mut world = one_image();
    assert_eq!(code(ec2_as(&stranger(), &mut world, "CreateImageUsageReport", &BOTH_TYPES)), "InvalidAMIID.NotFound");
    let report = order(&mut world);
    let named = [("ReportId", report.as_str())];
    let unknown = "InvalidImageUsageReportId.NotFound";
    assert_eq!(code(ec2_as(&stranger(), &mut world, "DeleteImageUsageReport", &named)), unknown);
    ec2(&mut world, "DeleteImageUsageReport", &named).expect("deleted");
    assert_eq!(code(ec2(&mut world, "DeleteImageUsageReport", &named)), unknown);
    assert_eq!(code(ec2(&mut world, "DescribeImageUsageReports", &[("ReportId.1", &report)])), unknown);
    assert_eq!(reports(&mut world), json!([]));
}

#[test]
fn what_a_report_is_about_must_be_said() {
    let mut world = one_image();
    assert_eq!(code(ec2(&mut world, "CreateImageUsageReport", &[("ImageId", IMAGE)])), "MissingParameter");
    let parameter = [("ImageId", IMAGE), ("ResourceType.1.ResourceType", "ssm:Parameter")];
    assert_eq!(code(ec2(&mut world, "CreateImageUsageReport", &parameter)), "InvalidParameterValue");
}

#[test]
fn a_type_that_ec2_does_not_take_yet_is_refused_and_the_others_are_taken() {
    let mut world = one_image();
    world.behaviour.usage_reports_refuse.insert("imagebuilder:ImageRecipe".to_owned());
    let recipes = |kind| [("ImageId", IMAGE), ("ResourceType.1.ResourceType", kind)];
    let refused = ec2(&mut world, "CreateImageUsageReport", &recipes("imagebuilder:ImageRecipe"));
    assert_eq!(code(refused), "InvalidParameterValue");
    ec2(&mut world, "CreateImageUsageReport", &recipes("imagebuilder:ContainerRecipe")).expect("a report");
    assert_eq!(
        reports(&mut world)[0]["resourceTypeSet"],
        json!([{ "resourceType": "imagebuilder:ContainerRecipe" }]),
        "the report says what it is about"
    );
}

#[test]
fn a_report_looks_at_the_newest_twenty_versions_or_as_many_as_the_caller_says() {
    let mut world = one_image();
    world.use_image_in_old_version(REGION, IMAGE, STRANGER, 20);
    world.advance(DAY);
    let report = |world: &mut World, depth: Option<&str>| {
        let depth = depth.map(|depth| {
            let option = "ResourceType.1.ResourceTypeOption.1";
            vec![(format!("{option}.OptionName"), "version-depth"), (format!("{option}.OptionValue.1"), depth)]
        });
        let depth = depth.unwrap_or_default();
        let named = [("ImageId", IMAGE), ("ResourceType.1.ResourceType", "ec2:LaunchTemplate")];
        let all: Vec<(&str, &str)> =
            named.into_iter().chain(depth.iter().map(|(name, it)| (name.as_str(), *it))).collect();
        let answer = ec2(world, "CreateImageUsageReport", &all)?;
        world.advance(DAY);
        Ok(entries(world, answer["reportId"].as_str().expect("an id")).as_array().map_or(0, Vec::len))
    };
    for (depth, seen) in [(None, 0), (Some("20"), 0), (Some("21"), 1), (Some("10000"), 1)] {
        assert_eq!(report(&mut world, depth).expect("a report"), seen, "{depth:?}");
    }
    for depth in ["0", "10001", "all"] {
        assert_eq!(code(report(&mut world, Some(depth)).map(|_| Value::Null)), "InvalidParameterValue", "{depth}");
    }
}

#[test]
fn the_time_of_the_last_launch_is_shown_a_day_later() {
    let mut world = one_image();
    world.launch(REGION, IMAGE);
    let shown = |world: &mut World| {
        let answer = ec2(world, "DescribeImages", &[("ImageId.1", IMAGE)]).expect("the image");
        answer["imagesSet"][0]["lastLaunchedTime"].clone()
    };
    world.advance(DAY.saturating_sub(Duration::from_secs(1)));
    assert_eq!(shown(&mut world), Value::Null);
    world.advance(Duration::from_secs(1));
    assert_eq!(shown(&mut world), "2026-01-01T00:00:00.000Z");
}
