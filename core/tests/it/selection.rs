//! Which source AMIs are wanted.

use proptest::prelude::*;

use courier_core::announcement::{AnnouncedBy, request};
use courier_core::identity::{Region, Stack};
use courier_core::image::{Image, tag};
use courier_core::selection::*;
use courier_core::settings::Settings;
use time::{Duration, OffsetDateTime};

use crate::any;

fn settings(of: &[(&str, &str)]) -> Settings {
    let all = [&[("AWS_REGION", "eu-west-1")], of].concat();
    Settings::read(|name| all.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned()))
        .unwrap()
}

fn source(name: &str, tags: &[(&str, &str)]) -> Image {
    Image {
        name: name.to_owned(),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Image::new("ami-0abcdef1234567890".parse().unwrap())
    }
}

fn region(text: &str) -> Region {
    text.parse().unwrap()
}

/// Whether this AMI in us-east-1 is wanted.
fn is_wanted_of(source: &Image, announced_by: AnnouncedBy, of: &[(&str, &str)]) -> Result<(), String> {
    is_wanted(source, &region("us-east-1"), announced_by, &settings(of).sources)
}

#[test]
fn without_source_regions_any_other_region_of_the_partition_is_allowed() {
    let anywhere = settings(&[]);
    assert_eq!(region_is_allowed(&region("ap-northeast-1"), &anywhere), Ok(()));
    let own = region_is_allowed(&region("eu-west-1"), &anywhere).unwrap_err();
    assert_eq!(own, "eu-west-1 is this stack's own Region");
    let china = region_is_allowed(&region("cn-north-1"), &anywhere).unwrap_err();
    assert!(
        china.contains("aws-cn") && china.contains("CopyImage cannot copy from one partition to another"),
        "{china}"
    );
}

#[test]
fn a_sweep_finds_what_is_wanted_in_source_regions_and_young_enough_for_another_day() {
    let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    let created = |days: i64, hours: i64| Some(now - Duration::days(days) - Duration::hours(hours));
    let sweeps = [("SOURCE_REGIONS", "us-east-1"), ("QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/1/q")];
    let made = |created, tags| Image { created, ..source("golden", tags) };
    let is_swept = |image: &Image, of: &[(&str, &str)]| {
        let stack = Stack { region: region("eu-west-1"), account: None };
        is_swept(image, &region("us-east-1"), now, &stack, &settings(of))
    };
    let young = made(created(1, 0), &[]);
    assert!(is_swept(&young, &sweeps));
    assert!(is_swept(&made(None, &[]), &sweeps));
    assert!(is_swept(&made(created(6, 0), &[]), &sweeps));
    assert!(!is_swept(&made(created(6, 1), &[]), &sweeps), "too old by tomorrow");
    assert!(is_swept(&made(created(29, 0), &[]), &[&sweeps[..], &[("BACKFILL_DAYS", "30")]].concat()));
    assert!(!is_swept(&young, &sweeps[1..]), "without SOURCE_REGIONS there is no sweep");
    assert!(!is_swept(&young, &[("SOURCE_REGIONS", "us-west-2"), sweeps[1]]));
    assert!(!is_swept(&young, &sweeps[..1]), "without a queue");
    assert!(!is_swept(&young, &[&sweeps[..], &[("SWEEPS", "false")]].concat()), "without a schedule");
    assert!(!is_swept(&young, &[&sweeps[..], &[("NAME_PATTERNS", "base-*")]].concat()));
    let built = [(tag::IMAGE_BUILDER, "arn:aws:imagebuilder:us-east-1:123456789012:image/golden/1.0.0/1")];
    assert!(!is_swept(&made(created(1, 0), &built), &sweeps), "the sweep does not know of tests");
    assert!(is_swept(&made(created(1, 0), &built), &[&sweeps[..], &[("IMAGE_BUILDER", "Any")]].concat()));
}

#[test]
fn a_list_of_source_regions_that_names_the_own_region_still_does_not_allow_it() {
    let shared_list = settings(&[("SOURCE_REGIONS", "us-east-1,eu-west-1")]);
    assert_eq!(region_is_allowed(&region("us-east-1"), &shared_list), Ok(()));
    let own = region_is_allowed(&region("eu-west-1"), &shared_list).unwrap_err();
    assert_eq!(own, "eu-west-1 is not one of SOURCE_REGIONS (us-east-1)");
}

#[test]
fn the_own_region_is_allowed_where_it_is_named_and_other_accounts_are_trusted() {
    let of = [("SOURCE_REGIONS", "us-east-1,eu-west-1"), ("SOURCE_OWNERS", "self,111122223333")];
    assert_eq!(region_is_allowed(&region("eu-west-1"), &settings(&of)), Ok(()));
    let own = region_is_allowed(&region("eu-west-1"), &settings(&of[1..])).unwrap_err();
    assert_eq!(own, "eu-west-1 is this stack's own Region");
}

#[test]
fn of_the_own_region_only_other_accounts_are_sources() {
    let sources = settings(&[("SOURCE_OWNERS", "self,111122223333")]).sources;
    let owners = |name: &str| -> Vec<String> {
        let owners = sources.owners_in(&region(name), &region("eu-west-1"));
        owners.iter().map(|owner| owner.as_str().to_owned()).collect()
    };
    assert_eq!(owners("eu-west-1"), ["111122223333"]);
    assert_eq!(owners("us-east-1"), ["self", "111122223333"]);
}

#[test]
fn a_request_for_a_local_zone_or_an_outpost_needs_the_own_region_and_any_other_request_a_source_region() {
    let outpost = "arn:aws:outposts:eu-west-1:123456789012:outpost/op-0e32a5b7c9d1f2468";
    let narrower = [
        Some(("DestinationAvailabilityZone", "eu-west-1a")),
        Some(("DestinationAvailabilityZoneId", "euw1-az1")),
        Some(("DestinationOutpostArn", outpost)),
        None,
    ];
    for destination in narrower {
        let allowed = |region: &str| {
            let mut document =
                serde_json::json!({ "Name": "x-1", "SourceImageId": "ami-5731123e", "SourceRegion": region });
            if let Some((field, value)) = destination {
                document[field] = value.into();
            }
            request_is_allowed(&request::read(document.as_object().unwrap()).unwrap(), &settings(&[]))
        };
        assert_eq!(allowed("eu-west-1").is_ok(), destination.is_some());
        assert_eq!(allowed("us-east-1").is_ok(), destination.is_none());
        if destination.is_some() {
            let reason = allowed("us-east-1").unwrap_err();
            assert!(
                reason.contains("here eu-west-1") && reason.contains("copy the AMI to eu-west-1 first"),
                "{reason}"
            );
        }
    }
}

#[test]
fn a_shared_tag_counts_as_the_tag_and_the_tag_itself_wins() {
    let of = [("REQUIRED_TAGS", "approved=true")];
    let shared = ("ec2:SharedTag/approved", "true");
    assert_eq!(is_wanted_of(&source("golden", &[shared]), AnnouncedBy::Ec2, &of), Ok(()));
    let taken_back = source("golden", &[shared, ("approved", "no")]);
    let refusal = is_wanted_of(&taken_back, AnnouncedBy::Ec2, &of).unwrap_err();
    assert_eq!(refusal, "tag `approved` is `no`, REQUIRED_TAGS asks for `true`");
    let skipped = source("golden", &[("ec2:SharedTag/ami-courier:skip", "")]);
    assert_eq!(may_be_copied(&skipped), Err("it has the tag `ami-courier:skip`".to_owned()));
}

#[test]
fn every_required_watermark_must_be_there_and_the_missing_one_is_named() {
    let of = [("REQUIRED_WATERMARKS", "111122223333:scanned, 123456789012:approved by security")];
    let with = |watermarks: &[&str]| {
        let watermarks = watermarks.iter().map(|watermark| (*watermark).to_owned()).collect();
        is_wanted_of(&Image { watermarks, ..source("golden", &[]) }, AnnouncedBy::Ec2, &of)
    };
    assert_eq!(with(&["111122223333:scanned", "123456789012:approved by security", "111122223333:x"]), Ok(()));
    let missing = with(&["111122223333:scanned"]).unwrap_err();
    assert_eq!(missing, "it has no watermark `123456789012:approved by security`, which REQUIRED_WATERMARKS asks for");
}

#[test]
fn the_skip_tag_comes_before_everything_else_whatever_its_value() {
    for value in ["", "false"] {
        let skipped = source("golden", &[(tag::SKIP, value)]);
        let refusal = is_wanted_of(&skipped, AnnouncedBy::Publisher, &[("NAME_PATTERNS", "nothing-*")]).unwrap_err();
        assert_eq!(refusal, "it has the tag `ami-courier:skip`");
        assert_eq!(may_be_copied(&skipped), Err(refusal), "a request cannot copy it either");
    }
    assert_eq!(may_be_copied(&source("golden", &[(tag::SOURCE_IMAGE, "ami-5731123e")])), Ok(()));
}

#[test]
fn name_and_required_tags_are_each_refused_with_what_was_seen() {
    let of = [("NAME_PATTERNS", "golden-*,base-????"), ("REQUIRED_TAGS", "approved,team=platform")];
    let refusal = |name: &str, tags: &[(&str, &str)]| {
        is_wanted_of(&source(name, tags), AnnouncedBy::Ec2, &of).err().unwrap_or_default()
    };
    let approved = [("approved", "no matter what"), ("team", "platform")];
    assert_eq!(refusal("golden-1", &approved), "");
    assert_eq!(refusal("base-2026", &approved), "");
    assert_eq!(refusal("base-1", &approved), "name `base-1` matches none of `golden-*`, `base-????`");
    assert_eq!(refusal("golden-1", &approved[..1]), "it has no tag `team`, which REQUIRED_TAGS asks for");
    assert_eq!(refusal("golden-1", &approved[1..]), "it has no tag `approved`, which REQUIRED_TAGS asks for");
    let other_team = [("approved", ""), ("team", "web")];
    assert_eq!(refusal("golden-1", &other_team), "tag `team` is `web`, REQUIRED_TAGS asks for `platform`");
}

#[test]
fn a_tag_can_select_an_ami_if_a_rule_names_it_also_as_a_shared_tag() {
    let rules = settings(&[("REQUIRED_TAGS", "approved=true,!temporary")]).sources;
    for (key, does) in [
        ("approved", true),
        ("temporary", true),
        ("ec2:SharedTag/approved", true),
        ("ami-courier:skip", true),
        ("CostCenter", false),
    ] {
        assert_eq!(depends_on(key, &rules), does, "{key}");
    }
    assert!(!depends_on("approved", &settings(&[]).sources));
}

#[test]
fn an_excluded_name_or_tag_is_not_wanted_and_the_rule_is_named() {
    let of = [("NAME_PATTERNS", "golden-*,!*-debug,!golden-0?"), ("REQUIRED_TAGS", "!temporary,team,!stage=test")];
    let refusal = |name: &str, tags: &[(&str, &str)]| {
        is_wanted_of(&source(name, tags), AnnouncedBy::Ec2, &of).err().unwrap_or_default()
    };
    let team = ("team", "web");
    assert_eq!(refusal("golden-1", &[team]), "");
    assert_eq!(refusal("golden-1", &[team, ("stage", "production")]), "");
    assert_eq!(
        refusal("golden-1-debug", &[team]),
        "name `golden-1-debug` matches `*-debug`, which NAME_PATTERNS excludes"
    );
    assert_eq!(refusal("golden-01", &[team]), "name `golden-01` matches `golden-0?`, which NAME_PATTERNS excludes");
    assert_eq!(
        refusal("golden-1", &[team, ("temporary", "")]),
        "it has the tag `temporary`, which REQUIRED_TAGS excludes"
    );
    assert_eq!(
        refusal("golden-1", &[team, ("stage", "test")]),
        "it has the tag `stage=test`, which REQUIRED_TAGS excludes"
    );
    let shared = [team, ("ec2:SharedTag/temporary", "")];
    assert!(refusal("golden-1", &shared).contains("REQUIRED_TAGS excludes"), "another account can say so as well");
    let only_exclusions = [("NAME_PATTERNS", "!*-debug"), ("REQUIRED_TAGS", "!temporary")];
    assert_eq!(is_wanted_of(&source("anything", &[]), AnnouncedBy::Ec2, &only_exclusions), Ok(()));
}

const BACKUPS: [(&str, &str, &str); 4] = [
    ("AwsBackup_i-0abcdef1234567890_8b4c", "", "a backup of AWS Backup (name `AwsBackup_i-0abcdef1234567890_8b4c`)"),
    ("web-1", "aws:backup:source-resource", "a backup of AWS Backup (tag `aws:backup:source-resource`)"),
    (
        "policy-1",
        "aws:dlm:lifecycle-policy-id",
        "a backup of Data Lifecycle Manager (tag `aws:dlm:lifecycle-policy-id`)",
    ),
    ("golden", "aws:dlm:managed", "a backup of Data Lifecycle Manager (tag `aws:dlm:managed`)"),
];

#[test]
fn backups_are_not_wanted_unless_a_required_tag_names_theirs() {
    for (name, key, expected) in BACKUPS {
        let tags: Vec<(&str, &str)> = [(key, "x")].into_iter().filter(|(key, _)| !key.is_empty()).collect();
        let backup = source(name, &tags);
        for announced_by in [AnnouncedBy::Ec2, AnnouncedBy::Publisher, AnnouncedBy::Sweep] {
            let refusal = is_wanted_of(&backup, announced_by, &[]).unwrap_err();
            assert!(refusal.contains(expected) && refusal.contains("REQUIRED_TAGS"), "{refusal}");
        }
        for excluded in ["!aws:backup:source-resource,!aws:dlm:managed", "team"] {
            assert!(is_selected(&backup, &settings(&[("REQUIRED_TAGS", excluded)]).sources).is_err(), "{excluded}");
        }
        let named = settings(&[("REQUIRED_TAGS", if key.is_empty() { "aws:backup:x" } else { key })]).sources;
        assert_eq!(is_selected(&backup, &named).is_ok(), !key.is_empty(), "{name}");
    }
    for image in ["awsbackup", "golden-AwsBackup_1"] {
        let tags = [("backup:aws", ""), ("aws:cloudformation:stack-name", "web")];
        assert_eq!(is_wanted_of(&source(image, &tags), AnnouncedBy::Ec2, &[]), Ok(()));
    }
}

#[test]
fn a_request_passes_the_gate_as_the_setting_says_and_does_not_wait_for_tests() {
    let of = |requests: &'static str| {
        settings(&[("REQUESTS", requests), ("NAME_PATTERNS", "golden-*,!*-debug"), ("REQUIRED_TAGS", "team")])
    };
    let tags = [("team", "web"), (tag::IMAGE_BUILDER, "arn:aws:imagebuilder:us-east-1:123456789012:image/x/1.0.0/1")];
    let (wanted, unwanted, excluded) =
        (source("golden-1", &tags), source("golden-1", &[]), source("golden-1-debug", &tags));
    assert_eq!(gate(&wanted, &of("Selected")), Ok(()));
    for (image, rule) in [(&unwanted, "it has no tag `team`"), (&excluded, "which NAME_PATTERNS excludes")] {
        let refusal = gate(image, &of("Selected")).unwrap_err();
        assert!(refusal.contains(rule) && refusal.contains("REQUESTS=Selected"), "{refusal}");
        assert_eq!(gate(image, &of("Any")), Ok(()));
    }
    for image in [&wanted, &unwanted] {
        assert!(gate(image, &of("Off")).unwrap_err().contains("REQUESTS=Off"));
    }
}

#[test]
fn an_ami_that_image_builder_of_another_account_distributed_into_this_one_is_tested_already() {
    let arn = "arn:aws:imagebuilder:us-east-1:111122223333:image/golden-linux/1.4.0/3";
    let of = |owner: &str| Image { owner: owner.parse().ok(), ..source("golden", &[(tag::IMAGE_BUILDER, arn)]) };
    for announced_by in [AnnouncedBy::Ec2, AnnouncedBy::Sweep] {
        assert_eq!(is_wanted_of(&of("123456789012"), announced_by, &[]), Ok(()));
        for untested in ["111122223333", ""] {
            assert!(is_wanted_of(&of(untested), announced_by, &[]).is_err(), "of `{untested}`");
        }
    }
    let unreadable = "arn:aws:imagebuilder:us-east-1:x:image/golden";
    let unreadable = Image { owner: "123456789012".parse().ok(), ..source("x", &[(tag::IMAGE_BUILDER, unreadable)]) };
    assert!(is_wanted_of(&unreadable, AnnouncedBy::Ec2, &[]).is_err());
}

#[test]
fn an_image_builder_ami_needs_image_builders_own_announcement_or_a_publishers_unless_any_will_do() {
    let made = source("golden", &[(tag::IMAGE_BUILDER, "arn")]);
    for (setting, announced_by, wanted) in [
        ("Tested", AnnouncedBy::Ec2, false),
        ("Tested", AnnouncedBy::Sweep, false),
        ("Tested", AnnouncedBy::ImageBuilder, true),
        ("Tested", AnnouncedBy::Publisher, true),
        ("Any", AnnouncedBy::Ec2, true),
        ("Any", AnnouncedBy::Sweep, true),
    ] {
        let seen = is_wanted_of(&made, announced_by, &[("IMAGE_BUILDER", setting)]);
        assert_eq!(seen.is_ok(), wanted, "{setting} {announced_by:?}");
    }
    assert!(is_wanted_of(&source("golden", &[]), AnnouncedBy::Ec2, &[]).is_ok());
}

#[test]
fn an_ami_that_image_builder_distributed_to_another_region_than_its_pipelines_is_tested_already() {
    let arn = "arn:aws:imagebuilder:us-east-1:123456789012:image/golden-linux/1.4.0/3";
    let made = source("golden", &[(tag::IMAGE_BUILDER, arn)]);
    let tested = settings(&[]).sources;
    for announced_by in [AnnouncedBy::Ec2, AnnouncedBy::Sweep] {
        assert_eq!(is_wanted(&made, &region("us-west-2"), announced_by, &tested), Ok(()));
        let refusal = is_wanted(&made, &region("us-east-1"), announced_by, &tested).unwrap_err();
        assert!(refusal.contains("IMAGE_BUILDER=Tested"), "{refusal}");
    }
    for unreadable in ["", "arn", "arn:aws:imagebuilder"] {
        let made = source("golden", &[(tag::IMAGE_BUILDER, unreadable)]);
        let seen = is_wanted(&made, &region("us-west-2"), AnnouncedBy::Ec2, &tested);
        assert!(seen.is_err(), "`{unreadable}` does not say where the pipeline is");
    }
}

proptest! {
    #[test]
    fn a_copy_of_the_couriers_is_never_wanted_from_any_sender(
        name in "[a-z-]{3,20}",
        tags in proptest::collection::btree_map("[a-z]{1,8}", "[a-z]{0,8}", 0..8),
        any in any::<bool>(),
        announced_by in any::announced_by(),
        region in any::region(),
    ) {
        let sources = settings(&[("IMAGE_BUILDER", if any { "Any" } else { "Tested" })]).sources;
        let mut copy = source(&name, &[(tag::SOURCE_IMAGE, "ami-5731123e")]);
        copy.tags.extend(tags);
        prop_assert!(is_wanted(&copy, &region, announced_by, &sources).is_err());
    }
}

#[test]
fn an_s3_backed_ami_is_not_copied_for_any_announcement() {
    let s3_backed = Image { s3_backed: true, ..source("golden", &[]) };
    for announced_by in [AnnouncedBy::Ec2, AnnouncedBy::Publisher, AnnouncedBy::Sweep] {
        let reason = is_wanted_of(&s3_backed, announced_by, &[]).unwrap_err();
        assert!(reason.starts_with("it is S3-backed"), "{reason}");
    }
    assert!(may_be_copied(&source("golden", &[])).is_ok());
}
