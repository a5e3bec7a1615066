//! The environment variables, their defaults and their checks.

use proptest::prelude::*;

use courier_core::copy_image::{Encryption, Tag};
use courier_core::identity::Region;
use courier_core::naming::Template;
use courier_core::settings::*;

fn read(of: &[(&str, &str)]) -> Result<Settings, WrongSetting> {
    let all = [&[("AWS_REGION", "eu-west-1")], of].concat();
    Settings::read(|name| all.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned()))
}

/// The error for a wrong value.
fn refusal(variable: &'static str, value: &str) -> String {
    let wrong = read(&[(variable, value)]).err().unwrap_or_else(|| panic!("{variable}={value} is taken"));
    assert_eq!((wrong.variable, wrong.value.as_str()), (variable, value));
    wrong.to_string()
}

#[test]
fn the_list_of_variables_is_all_that_is_read() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    Settings::read(|name| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "AWS_REGION").then(|| "eu-west-1".to_owned())
    })
    .unwrap();
    let expected = VARIABLES.into_iter().chain(["AWS_REGION"]).map(str::to_owned).collect();
    assert_eq!(asked.into_inner(), expected);
}

#[test]
fn without_settings_the_defaults_of_the_design_hold() {
    let settings = read(&[]).unwrap();
    let Settings { sources, copying, finishing, .. } = &settings;
    assert!(sources.regions.is_empty() && sources.required_tags.is_empty());
    assert_eq!(sources.owners, [Owner::Myself]);
    assert!(sources.name_patterns.iter().any(|pattern| pattern.matches("anything at all")));
    assert_eq!(sources.image_builder, ImageBuilder::Tested);
    assert_eq!((&copying.name, &copying.description), (&Template::name(), &None));
    assert_eq!((&copying.encryption, copying.copy_tags), (&Encryption::AsSource, true));
    assert_eq!((copying.extra_tags.len(), copying.completion, copying.dry_run), (0, None, false));
    assert_eq!((finishing.share_with.len(), finishing.deprecate), (0, Deprecate::Source));
    assert_eq!((finishing.protection, &finishing.parameter_name), (Protection::Off, &None));
    assert_eq!(finishing.event_bus.as_deref(), Some("default"));
    assert_eq!((settings.retire_with_source, settings.retire_after_days, settings.backfill_days), (false, 7, 7));
    assert_eq!((settings.queue_url, settings.dead_letter_queue_url), (None, None));
    assert_eq!(settings.stack_region.as_str(), "eu-west-1");
}

#[test]
fn without_its_region_the_function_does_not_start() {
    for region in [None, Some(""), Some("nowhere")] {
        let wrong = Settings::read(|_| region.map(str::to_owned)).unwrap_err();
        assert_eq!(wrong.variable, "AWS_REGION");
    }
}

#[test]
fn an_empty_setting_is_none_but_an_empty_event_bus_is_nowhere() {
    let empty: Vec<(&str, &str)> = VARIABLES.iter().map(|variable| (*variable, " ")).collect();
    let settings = read(&empty).unwrap();
    assert_eq!(settings.finishing.event_bus, None);
    assert_eq!((settings.backfill_days, settings.sources.owners), (7, vec![Owner::Myself]));
}

#[test]
fn the_own_region_in_a_list_that_all_stacks_share_stands_for_the_amis_of_other_accounts_there() {
    let list = ("SOURCE_REGIONS", "us-east-1, eu-west-1 ,us-west-2");
    let regions = |settings: &[(&str, &str)]| {
        let regions = read(settings).unwrap().sources.regions;
        regions.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(regions(&[list]), ["us-east-1", "us-west-2"]);
    let trusting = ("SOURCE_OWNERS", "self,999988887777");
    assert_eq!(regions(&[list, trusting]), ["us-east-1", "eu-west-1", "us-west-2"]);
    assert_eq!(regions(&[("SOURCE_REGIONS", "eu-west-1"), trusting]), ["eu-west-1"]);
    let refused = refusal("SOURCE_REGIONS", "eu-west-1");
    assert!(
        refused.contains("to use only the function's own Region, name other accounts in SOURCE_OWNERS"),
        "{refused}"
    );
}

#[test]
fn a_source_region_that_cannot_exist_is_refused_with_the_nearest_one() {
    let refused = refusal("SOURCE_REGIONS", "us-west-2,us-esat-1");
    assert!(refused.contains("there is no `us-esat-1`, did you mean `us-east-1`?"), "{refused}");
    let new = read(&[("SOURCE_REGIONS", "us-east-3")]).unwrap().sources.regions;
    assert_eq!(new.iter().map(Region::as_str).collect::<Vec<_>>(), ["us-east-3"], "AWS may have added it");
    assert!(refusal("SOURCE_REGIONS", "cn-north-1").contains("of the function's partition"));
}

#[test]
fn a_watermark_is_an_account_and_a_name() {
    let watermarks =
        |text: &str| read(&[("REQUIRED_WATERMARKS", text)]).map(|settings| settings.sources.required_watermarks);
    let two = ["111122223333:scanned", "123456789012:approved by: security"].map(str::to_owned).to_vec();
    assert_eq!(watermarks("111122223333:scanned, 123456789012:approved by: security"), Ok(two));
    for wrong in ["scanned", "1234:scanned", "111122223333:", "111122223333", "self:scanned"] {
        assert!(refusal("REQUIRED_WATERMARKS", wrong).contains("`account:name`"), "{wrong}");
    }
}

#[test]
fn a_copy_is_retired_1_to_365_days_after_its_source_was_found_gone() {
    let days = |days: &str| read(&[("RETIRE_AFTER_DAYS", days)]).map(|settings| settings.retire_after_days);
    assert_eq!((days("1"), days("365")), (Ok(1), Ok(365)));
    for wrong in ["0", "366", "-1", "1.5", "week", "99999999999"] {
        assert!(refusal("RETIRE_AFTER_DAYS", wrong).contains("a number of days (1 to 365)"));
    }
}

#[test]
fn a_pattern_or_tag_with_an_exclamation_mark_excludes_and_alone_leaves_all_others_wanted() {
    let names = |value: &str| {
        let Sources { name_patterns, excluded_names, .. } = read(&[("NAME_PATTERNS", value)]).unwrap().sources;
        [name_patterns, excluded_names].map(|patterns| patterns.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(names("golden-*, !*-debug"), [["golden-*"], ["*-debug"]]);
    assert_eq!(names("!*-debug"), [["*"], ["*-debug"]]);
    let tags = |value: &str| {
        let Sources { required_tags, excluded_tags, .. } = read(&[("REQUIRED_TAGS", value)]).unwrap().sources;
        [required_tags, excluded_tags].map(|tags| tags.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(tags("!temporary,team=platform,!stage=test"), [vec!["team=platform"], vec!["temporary", "stage=test"]]);
    assert_eq!(tags("!temporary"), [vec![], vec!["temporary"]]);
    assert_eq!(tags("aws:backup:source-resource"), [vec!["aws:backup:source-resource"], vec![]]);
    for wrong in ["!", "golden-*,!", "!!golden", "golden!"] {
        assert!(refusal("NAME_PATTERNS", wrong).contains("begins with `!` excludes"), "{wrong}");
    }
    for wrong in ["!", "!=test", "=test", ""].iter().filter(|wrong| !wrong.is_empty()) {
        assert!(refusal("REQUIRED_TAGS", wrong).contains("begins with `!` excludes"), "{wrong}");
    }
}

#[test]
fn requests_are_selected_unless_the_setting_says_otherwise() {
    let requests = |of: &[(&str, &str)]| read(of).unwrap().requests;
    assert_eq!(requests(&[]), Requests::Selected);
    for (value, expected) in [("Selected", Requests::Selected), ("Any", Requests::Any), ("Off", Requests::Off)] {
        assert_eq!(requests(&[("REQUESTS", value)]), expected);
    }
    for wrong in ["off", "false", "None", "Selected,Any"] {
        assert!(refusal("REQUESTS", wrong).contains("`Selected`, `Any` or `Off`"), "{wrong}");
    }
}

#[test]
fn public_copies_are_asked_for_by_all_alone_and_never_encrypted() {
    let public = read(&[("SHARE_WITH", "all")]).unwrap();
    assert!(public.finishing.is_public() && public.copying.is_shared);
    assert_eq!(public.finishing.share_with, [Principal::Everybody]);
    assert!(!read(&[("SHARE_WITH", "111122223333")]).unwrap().finishing.is_public());
    for wrong in ["all,111122223333", "111122223333,all", "all,all", "ALL"] {
        assert!(refusal("SHARE_WITH", wrong).contains("`all` alone"), "{wrong}");
    }
    for encrypted in [("ENCRYPTED", "true"), ("KMS_KEY_ID", "alias/golden"), ("KMS_KEY_ID", "alias/aws/ebs")] {
        let wrong = read(&[("SHARE_WITH", "all"), encrypted]).unwrap_err();
        assert!(wrong.to_string().starts_with("SHARE_WITH is `all`"), "{wrong}");
        assert!(wrong.accepted.contains("an encrypted AMI cannot be public"), "{wrong}");
    }
}

#[test]
fn a_copy_is_shared_with_accounts_organizations_and_units_that_are_named_as_aws_names_them() {
    let principals = |text: &str| read(&[("SHARE_WITH", text)]).unwrap().finishing.share_with;
    let organization = "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5";
    let unit = "arn:aws-cn:organizations::111122223333:ou/o-a1b2c3d4e5/ou-a1b2-12345678";
    let expected = [
        Principal::Account("111122223333".parse().unwrap()),
        Principal::Organization(organization.to_owned()),
        Principal::OrganizationalUnit(unit.to_owned()),
    ];
    assert_eq!(principals(&format!("111122223333, {organization},{unit}")), expected);
    assert_eq!(expected.each_ref().map(Principal::as_str), ["111122223333", organization, unit]);
    assert_eq!(Principal::Everybody.as_str(), "all");
    for wrong in [
        "11112222333",
        "o-a1b2c3d4e5",
        "organization/o-a1b2c3d4e5",
        "arn:aws:organizations::111122223333:organization/a1b2c3d4e5",
        "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5/o-a1b2c3d4e5",
        "arn:aws:organizations::111122223333:ou/a1b2c3d4e5/ou-a1b2-12345678",
        "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/a1b2-12345678",
        "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/r-a1b2",
        "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5",
        "arn:aws:organizations::111122223333:account/o-a1b2c3d4e5/111122223333",
        "arn:aws:iam::111122223333:organization/o-a1b2c3d4e5",
        "urn:aws:organizations::111122223333:organization/o-a1b2c3d4e5",
    ] {
        assert!(refusal("SHARE_WITH", wrong).contains("organization ARNs"), "{wrong}");
    }
}

#[test]
fn an_event_bus_is_a_name_or_an_arn_of_at_most_1600_characters() {
    let bus = |name: &str| read(&[("EVENT_BUS_NAME", name)]).map(|settings| settings.finishing.event_bus);
    let longest = "b".repeat(1600);
    for good in ["golden", "golden.images/v1_2-x", "arn:aws:events:eu-west-1:111122223333:event-bus/golden", &longest] {
        assert_eq!(bus(good), Ok(Some(good.to_owned())));
    }
    for wrong in ["b".repeat(1601).as_str(), "golden images", "golden*", "b\u{fc}s"] {
        assert!(refusal("EVENT_BUS_NAME", wrong).contains("the name or ARN of an event bus"), "{wrong}");
    }
}

#[test]
fn no_tag_of_an_ami_chooses_the_first_part_of_a_parameters_name() {
    let name = |name: &str| read(&[("PARAMETER_NAME", name)]).map(|settings| settings.finishing.parameter_name);
    for good in ["golden", "/golden/latest", "golden/{name}", "/golden/{tag:Team}/{region}", "/golden.v1/{name}-x"] {
        assert_eq!(name(good), Ok(Template::parse(good)), "{good}");
    }
    for bad in ["{tag:Team}", "/{name}", "{name}/latest", "/{tag:Team}/x", "//{name}", "go{name}", "/golden-{name}/x"] {
        assert!(refusal("PARAMETER_NAME", bad).contains("first part is literal"), "{bad}");
    }
    for bad in ["/golden latest", "golden:1", "/golden/{nonsense}"] {
        assert!(refusal("PARAMETER_NAME", bad).contains("parameter"), "{bad}");
    }
}

#[test]
fn extra_tags_are_distinct_at_most_38_and_not_reserved() {
    let tags = |tags: &str| read(&[("EXTRA_TAGS", tags)]).map(|settings| settings.copying.extra_tags);
    assert_eq!(tags("a=1, b="), Ok(vec![Tag::new("a", "1").unwrap(), Tag::new("b", "").unwrap()]));
    let numbered = |tags: usize| (0..tags).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    assert_eq!(tags(&numbered(38)).map(|tags| tags.len()), Ok(38));
    for wrong in [
        numbered(39).as_str(),
        "a=1,a=2",
        "a",
        "=1",
        "aws:a=1",
        "ami-courier:skip=1",
        "ec2:SharedTag/ami-courier:origin=1",
    ] {
        assert!(refusal("EXTRA_TAGS", wrong).contains("keys distinct"), "{wrong}");
    }
}

#[test]
fn a_key_implies_encryption_and_forbids_to_say_otherwise() {
    let encryption = |of: &[(&str, &str)]| read(of).map(|settings| settings.copying.encryption);
    let key = Encryption::Key("alias/golden".parse().unwrap());
    assert_eq!(encryption(&[("KMS_KEY_ID", "alias/golden")]), Ok(key.clone()));
    assert_eq!(encryption(&[("KMS_KEY_ID", "alias/golden"), ("ENCRYPTED", "true")]), Ok(key));
    assert_eq!(encryption(&[("ENCRYPTED", "true")]), Ok(Encryption::DefaultKey));
    assert_eq!(encryption(&[("ENCRYPTED", "false")]), Ok(Encryption::AsSource));
    assert!(encryption(&[("KMS_KEY_ID", "alias/golden"), ("ENCRYPTED", "false")]).is_err());
    let shared = read(&[("KMS_KEY_ID", "alias/aws/ebs"), ("SHARE_WITH", "111122223333")]).unwrap_err();
    assert!(shared.to_string().contains("cannot be shared"), "{shared}");
}

proptest! {
    #[test]
    fn any_value_of_any_setting_is_taken_or_refused_by_its_name_and_never_panics(
        variable in proptest::sample::select(VARIABLES.to_vec()),
        value in "\\PC{0,80}|[a-zA-Z0-9:/*?{},=.-]{0,80}",
    ) {
        if let Err(wrong) = read(&[(variable, &value)]) {
            prop_assert_eq!(wrong.variable, variable);
            let shown = wrong.to_string();
            prop_assert!(shown.starts_with(&format!("{variable} is `{}`", value.trim())), "{}", shown);
        }
    }
}

#[test]
fn sharing_copies_under_the_default_key_is_warned_of_and_any_other_setting_is_not() {
    let from = [("SOURCE_REGIONS", "us-east-1")];
    let warnings = |of: &[(&str, &str)]| read(&[&from, of].concat()).unwrap().warnings();
    let default_key = [("SHARE_WITH", "111122223333"), ("ENCRYPTED", "true")];
    assert!(warnings(&default_key)[0].contains("set KMS_KEY_ID"));
    assert!(warnings(&default_key[..1]).is_empty() && warnings(&default_key[1..]).is_empty());
    let own_key = [("SHARE_WITH", "111122223333"), ("KMS_KEY_ID", "alias/images")];
    assert!(warnings(&own_key).is_empty());
}

#[test]
fn sweeps_that_look_nowhere_are_warned_of() {
    for nowhere in ["", "any"] {
        let settings = read(&[("SOURCE_REGIONS", nowhere)]).unwrap();
        assert!(settings.sources.regions.is_empty());
        assert!(
            matches!(settings.warnings().as_slice(), [warning] if warning.starts_with("SOURCE_REGIONS names no Region"))
        );
        assert_eq!(read(&[("SOURCE_REGIONS", nowhere), ("SWEEPS", "false")]).unwrap().warnings(), Vec::<&str>::new());
    }
    assert_eq!(read(&[("SOURCE_REGIONS", "us-east-1")]).unwrap().warnings(), Vec::<&str>::new());
    assert!(refusal("SOURCE_REGIONS", "any,us-east-1").contains("of which `any` is not valid"));
}

#[test]
fn a_wrong_item_of_a_list_is_named() {
    for (variable, list, named) in [
        ("SOURCE_REGIONS", "us-east-1,Virginia", "of which `Virginia` is not valid; accepted: Regions"),
        ("SOURCE_OWNERS", "self,1234", "of which `1234` is not valid"),
        ("NAME_PATTERNS", "golden-*, base:*", "of which `base:*` is not valid"),
        ("REQUIRED_TAGS", "approved,,x", "which has an empty item; accepted:"),
        ("EXTRA_TAGS", "a=b,team", "of which `team` is not valid"),
        ("SHARE_WITH", "111122223333,1", "of which `1` is not valid"),
    ] {
        let refused = refusal(variable, list);
        assert!(refused.contains(named), "{refused}");
    }
    assert!(refusal("SOURCE_OWNERS", "1234").contains("SOURCE_OWNERS is `1234`, which is not valid;"));
}

#[test]
fn a_key_of_another_region_is_said_to_be_there() {
    let refused = refusal("KMS_KEY_ID", "arn:aws:kms:us-east-1:123456789012:alias/golden");
    assert!(refused.ends_with("accepted: a key of eu-west-1; this key is in us-east-1"), "{refused}");
}

#[test]
fn a_queue_is_named_by_its_url() {
    for url in ["https://sqs.eu-west-1.amazonaws.com/123456789012/q", "http://127.0.0.1:9324/q"] {
        assert_eq!(read(&[("QUEUE_URL", url)]).unwrap().queue_url.as_deref(), Some(url));
    }
    refusal("QUEUE_URL", "arn:aws:sqs:eu-west-1:123456789012:q");
}

#[test]
fn others_are_trusted_as_soon_as_one_of_them_is_named() {
    for (owners, trusts) in [("self", false), ("111122223333", true), ("self,111122223333", true)] {
        assert_eq!(read(&[("SOURCE_OWNERS", owners)]).unwrap().sources.trust_others(), trusts, "{owners}");
    }
    // Their AMIs of the own Region can be copied, beside those of other Regions.
    let list = [("SOURCE_REGIONS", "eu-west-1,us-east-1"), ("SOURCE_OWNERS", "111122223333")];
    assert_eq!(read(&list).unwrap().sources.regions.len(), 2);
}

#[test]
fn copies_come_back_with_their_source_where_anything_follows_it() {
    for (reconcile, retire, brings_back) in
        [("true", "false", true), ("false", "true", true), ("false", "false", false)]
    {
        let settings = read(&[("RECONCILE", reconcile), ("RETIRE_WITH_SOURCE", retire)]).unwrap();
        assert_eq!(settings.brings_back(), brings_back, "{reconcile} {retire}");
    }
}

#[test]
fn a_stacks_name_is_of_letters_digits_and_hyphens_and_protection_is_one_of_three() {
    let name = |name: &str| read(&[("STACK_NAME", name)]).map(|settings| settings.copying.stack_name);
    assert_eq!(name("Golden-2").unwrap(), "Golden-2");
    assert_eq!(name(&"n".repeat(128)).unwrap().len(), 128);
    for wrong in ["n".repeat(129), "golden images".to_owned(), "golden_images".to_owned()] {
        assert!(name(&wrong).is_err(), "{wrong}");
    }
    let protection = |text: &str| read(&[("DEREGISTRATION_PROTECTION", text)]).unwrap().finishing.protection;
    assert_eq!(
        ["Off", "On", "WithCooldown"].map(protection),
        [Protection::Off, Protection::On, Protection::WithCooldown]
    );
}

#[test]
fn snapshots_are_shared_with_accounts_and_with_everybody_only() {
    let organization = "arn:aws:organizations::444455556666:organization/o-a1b2c3d4e5";
    let unit = "arn:aws:organizations::444455556666:ou/o-a1b2c3d4e5/ou-ab12-34cdefgh";
    for (with, is_for_snapshots) in [("111122223333", true), ("all", true), (organization, false), (unit, false)] {
        let settings = read(&[("SHARE_WITH", with)]).unwrap();
        assert_eq!(settings.finishing.share_with[0].is_for_snapshots(), is_for_snapshots, "{with}");
    }
}

#[test]
fn an_owner_stands_for_the_account_that_it_names_and_self_for_the_functions_own() {
    let account = |id: &str| id.parse().unwrap();
    let (mine, theirs) = (account("123456789012"), account("111122223333"));
    assert!(Owner::Myself.is(&mine, Some(&mine)) && !Owner::Myself.is(&theirs, Some(&mine)));
    assert!(!Owner::Myself.is(&mine, None), "it is not known whose the function is");
    assert!(Owner::Account(theirs.clone()).is(&theirs, Some(&mine)) && !Owner::Account(theirs).is(&mine, None));
}
