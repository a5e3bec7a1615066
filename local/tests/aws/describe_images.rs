use std::time::Duration;

use local::aws::{Image, ImageState, World};

use super::{REGION, STRANGER, code, ec2, ec2_as, ids, stranger};

const FIRST: &str = "ami-00000000000000001";
const SECOND: &str = "ami-00000000000000002";
const THIRD: &str = "ami-00000000000000003";
const HOUR: Duration = Duration::from_secs(3600);

fn three_images() -> World {
    let mut world = World::default();
    world.add_image(REGION, Image::new(FIRST, "web-1").tag("team", "infra").copy_of("ami-00000009", "us-east-1"));
    world.add_image(REGION, Image::new(SECOND, "web-2").tag("team", "apps").state(ImageState::Disabled));
    world.add_image(REGION, Image::new(THIRD, "db[1]").owner(STRANGER).public());
    world
}

fn found(world: &mut World, parameters: &[(&str, &str)]) -> Vec<String> {
    let answer = ec2(world, "DescribeImages", parameters).expect("an answer");
    ids(&answer).into_iter().map(str::to_owned).collect()
}

fn filtered(name: &str, value: &str) -> Vec<String> {
    let parameters = [("Filter.1.Name", name), ("Filter.1.Value.1", value), ("IncludeDisabled", "true")];
    found(&mut three_images(), &parameters)
}

#[test]
fn each_filter_finds_its_own() {
    let cases = [
        ("source-image-id", "ami-00000009", vec![FIRST]),
        ("source-image-region", "us-east-1", vec![FIRST]),
        ("name", "web-2", vec![SECOND]),
        ("name", "web-*", vec![FIRST, SECOND]),
        ("name", "?b[1]", vec![THIRD]),
        ("name", r"web-\*", vec![]),
        ("name", r"web-\?", vec![]),
        ("name", "WEB-1", vec![]),
        ("state", "disabled", vec![SECOND]),
        ("tag:team", "infra", vec![FIRST]),
        ("tag:team", "*", vec![FIRST, SECOND]),
        ("tag-key", "team", vec![FIRST, SECOND]),
        ("owner-id", STRANGER, vec![THIRD]),
        ("image-id", SECOND, vec![SECOND]),
        ("is-public", "true", vec![THIRD]),
        ("root-device-type", "ebs", vec![FIRST, SECOND, THIRD]),
        ("creation-date", "2026-01-*", vec![FIRST, SECOND, THIRD]),
    ];
    for (name, value, expected) in cases {
        assert_eq!(filtered(name, value), expected, "{name}={value}");
    }
    let snapshot = &three_images().image(REGION, FIRST).expect("the first").snapshots[0].id.clone();
    assert_eq!(filtered("block-device-mapping.snapshot-id", snapshot), [FIRST]);
}

#[test]
fn all_filters_must_match_each_by_any_of_its_values() {
    let mut world = three_images();
    let parameters = [
        ("Filter.1.Name", "name"),
        ("Filter.1.Value.1", "web-1"),
        ("Filter.1.Value.2", "db*"),
        ("Filter.2.Name", "tag-key"),
        ("Filter.2.Value.1", "team"),
    ];
    assert_eq!(found(&mut world, &parameters), [FIRST]);
}

#[test]
fn an_unknown_filter_is_refused() {
    let parameters = [("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")];
    assert_eq!(code(ec2(&mut three_images(), "DescribeImages", &parameters)), "InvalidParameterValue");
}

#[test]
fn owners_are_self_or_account_ids() {
    assert_eq!(found(&mut three_images(), &[("Owner.1", "self")]), [FIRST]);
    assert_eq!(found(&mut three_images(), &[("Owner.1", STRANGER)]), [THIRD]);
    assert_eq!(found(&mut three_images(), &[("Owner.1", "self"), ("Owner.2", STRANGER)]), [FIRST, THIRD]);
}

#[test]
fn disabled_images_are_left_out_even_by_id_unless_included() {
    let mut world = three_images();
    assert!(found(&mut world, &[("ImageId.1", SECOND)]).is_empty());
    assert_eq!(found(&mut world, &[("ImageId.1", SECOND), ("IncludeDisabled", "true")]), [SECOND]);
}

#[test]
fn deprecated_images_are_left_out_for_others_unless_included() {
    let mut world = three_images();
    for id in [FIRST, THIRD] {
        let at = world.now() - HOUR;
        world.image_mut(REGION, id).expect("it is there").deprecation_time = Some(at);
    }
    assert_eq!(found(&mut world, &[]), [FIRST], "owners see theirs");
    assert_eq!(found(&mut world, &[("IncludeDeprecated", "true")]), [FIRST, THIRD]);
    assert_eq!(found(&mut world, &[("ImageId.1", THIRD)]), [THIRD]);
}

#[test]
fn an_image_is_seen_by_its_owner_by_everybody_or_by_those_it_is_shared_with() {
    let mut world = three_images();
    let answer = ec2_as(&stranger(), &mut world, "DescribeImages", &[]).expect("an answer");
    assert_eq!(ids(&answer), [THIRD]);
    let hidden = ec2_as(&stranger(), &mut world, "DescribeImages", &[("ImageId.1", FIRST)]);
    assert_eq!(code(hidden), "InvalidAMIID.NotFound");

    world.add_image(REGION, Image::new(FIRST, "web-1").tag("team", "infra").shared_with(STRANGER));
    let answer = ec2_as(&stranger(), &mut world, "DescribeImages", &[("ImageId.1", FIRST)]).expect("it is shared");
    assert!(answer["imagesSet"][0]["tagSet"].is_null(), "tags are their owner's");
}

#[test]
fn pages_cover_everything_once() {
    let mut world = three_images();
    let mut pages = Vec::new();
    let mut token = None;
    loop {
        let mut parameters = vec![("MaxResults", "2"), ("IncludeDisabled", "true")];
        parameters.extend(token.as_deref().map(|token| ("NextToken", token)));
        let answer = ec2(&mut world, "DescribeImages", &parameters).expect("a page");
        pages.push(ids(&answer).into_iter().map(str::to_owned).collect::<Vec<_>>());
        token = answer["nextToken"].as_str().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec![FIRST, SECOND], vec![THIRD]]);
}

#[test]
fn pages_stay_right_when_an_image_is_removed_between_them() {
    let mut world = three_images();
    world.image_mut(REGION, SECOND).expect("the second").state = ImageState::Available;
    let first = ec2(&mut world, "DescribeImages", &[("MaxResults", "1")]).expect("a page");
    assert_eq!(ids(&first), [FIRST]);
    world.forget_image(REGION, FIRST);
    let token = first["nextToken"].as_str().expect("a token");
    let rest = ec2(&mut world, "DescribeImages", &[("MaxResults", "5"), ("NextToken", token)]).expect("a page");
    assert_eq!(ids(&rest), [SECOND, THIRD]);
    assert!(rest["nextToken"].is_null());
}

#[test]
fn the_world_can_limit_the_page() {
    let mut world = three_images();
    world.behaviour.page_size = 1;
    let answer = ec2(&mut world, "DescribeImages", &[("MaxResults", "1000")]).expect("a page");
    assert_eq!(ids(&answer).len(), 1);
    assert!(answer["nextToken"].is_string());
}

#[test]
fn ids_and_pages_do_not_go_together() {
    let both = [("ImageId.1", FIRST), ("MaxResults", "5")];
    assert_eq!(code(ec2(&mut three_images(), "DescribeImages", &both)), "InvalidParameterCombination");
    for bad in ["0", "1001", "x"] {
        assert_eq!(code(ec2(&mut three_images(), "DescribeImages", &[("MaxResults", bad)])), "InvalidParameterValue");
    }
    assert_eq!(code(ec2(&mut three_images(), "DescribeImages", &[("NextToken", "?")])), "InvalidParameterValue");
}

/// The guide: 50 filters in a request, 200 values in a filter, 255 characters in a string.
#[test]
fn a_call_has_so_many_filters_and_values_and_no_more() {
    let asked = |parameters: Vec<(String, String)>| {
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        ec2(&mut three_images(), "DescribeImages", &parameters)
    };
    let filter = |number: usize, name: &str, values: usize| {
        let value = |value: usize| (format!("Filter.{number}.Value.{value}"), format!("ami-{value:08}"));
        std::iter::once((format!("Filter.{number}.Name"), name.to_owned()))
            .chain((1..=values).map(value))
            .collect::<Vec<_>>()
    };
    let filters = |count: usize| (1..=count).flat_map(|number| filter(number, "image-id", 1)).collect::<Vec<_>>();
    assert!(asked(filters(50)).is_ok() && asked(filter(1, "image-id", 200)).is_ok());
    assert_eq!(code(asked(filters(51))), "FilterLimitExceeded");
    let error = asked(filter(1, "image-id", 201)).expect_err("too many");
    assert_eq!(
        error.to_string(),
        "FilterLimitExceeded: The maximum number of filter values specified on a single call is 200 (HTTP 400)"
    );
    let in_two = [filter(1, "image-id", 200), filter(2, "name", 1)].concat();
    assert_eq!(code(asked(in_two)), "FilterLimitExceeded", "the limit is the call's");
    let long = |characters: usize| asked(filter(1, &format!("tag:{}", "x".repeat(characters - 4)), 1));
    assert!(long(255).is_ok());
    assert_eq!(code(long(256)), "InvalidParameterValue");
    let long_value =
        vec![("Filter.1.Name".to_owned(), "name".to_owned()), ("Filter.1.Value.1".to_owned(), "x".repeat(256))];
    assert_eq!(code(asked(long_value)), "InvalidParameterValue");
}

#[test]
fn a_call_has_so_many_ids_and_no_more() {
    for (action, parameter, most) in [
        ("DescribeImages", "ImageId", 1000),
        ("DescribeSnapshots", "SnapshotId", 1000),
        ("CreateTags", "ResourceId", 1000),
        ("DeleteTags", "ResourceId", 1000),
        ("DescribeImageReferences", "ImageId", 10),
        ("DescribeImageUsageReports", "ImageId", 200),
        ("DescribeImageUsageReports", "ReportId", 200),
        ("DescribeImageUsageReportEntries", "ImageId", 200),
        ("DescribeImageUsageReportEntries", "ReportId", 200),
    ] {
        let refuses = |ids: usize| {
            let id = if parameter == "SnapshotId" { "snap-00000001" } else { "ami-00000001" };
            let ids: Vec<String> = (1..=ids).map(|number| format!("{parameter}.{number}")).collect();
            let mut parameters: Vec<(&str, &str)> = ids.iter().map(|name| (name.as_str(), id)).collect();
            parameters.extend([("IncludeAllResourceTypes", "true"), ("Tag.1.Key", "a")]);
            let answer = ec2(&mut three_images(), action, &parameters);
            answer.is_err_and(|error| error.message.contains(&format!("Expecting at most {most}.")))
        };
        assert!(!refuses(most) && refuses(most + 1), "{action} {parameter}");
    }
}

#[test]
fn one_missing_or_malformed_id_refuses_all() {
    let mut world = three_images();
    let missing = [("ImageId.1", FIRST), ("ImageId.2", "ami-00000000000000009")];
    let error = ec2(&mut world, "DescribeImages", &missing).expect_err("the second is missing");
    assert_eq!(error.message, "The image id '[ami-00000000000000009]' does not exist");
    assert_eq!(code(ec2(&mut world, "DescribeImages", &[("ImageId.1", "image")])), "InvalidAMIID.Malformed");
}
