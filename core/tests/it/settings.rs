use proptest::prelude::*;

use courier_core::settings::*;

const VARIABLES: [&str; 22] = [
    "SOURCE_REGIONS",
    "SOURCE_OWNERS",
    "NAME_PATTERNS",
    "REQUIRED_TAGS",
    "IMAGE_BUILDER",
    "COPY_NAME",
    "COPY_DESCRIPTION",
    "ENCRYPTED",
    "KMS_KEY_ID",
    "COPY_TAGS",
    "EXTRA_TAGS",
    "SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES",
    "DRY_RUN",
    "SHARE_WITH",
    "DEPRECATE",
    "DEREGISTRATION_PROTECTION",
    "PARAMETER_NAME",
    "EVENT_BUS_NAME",
    "RETIRE_WITH_SOURCE",
    "BACKFILL_DAYS",
    "QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
];

fn read(of: &[(&str, &str)]) -> Result<Settings, WrongSetting> {
    let all = [&[("AWS_REGION", "eu-west-1")], of].concat();
    Settings::read(|name| all.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn without_settings_the_defaults_of_the_design_hold() {
    let Settings { sources, copying, finishing, retire_with_source, backfill_days, queue_url, .. } =
        read(&[]).unwrap();
    assert!(sources.regions.is_empty() && sources.required_tags.is_empty());
    assert_eq!(sources.owners, [Owner::Myself]);
    assert!(sources.name_patterns.iter().any(|pattern| pattern.matches("anything at all")));
    assert_eq!(sources.image_builder, ImageBuilder::Tested);
    assert_eq!((copying.name, copying.description), (Template::name(), None));
    assert_eq!((copying.encryption, copying.copy_tags), (Encryption::AsSource, true));
    assert_eq!((copying.extra_tags, copying.completion, copying.dry_run), (Vec::new(), None, false));
    assert_eq!((finishing.share_with, finishing.deprecate), (Vec::new(), Deprecate::Source));
    assert_eq!((finishing.protection, finishing.parameter_name), (Protection::Off, None));
    assert_eq!(finishing.event_bus.as_deref(), Some("default"));
    assert_eq!((retire_with_source, backfill_days, queue_url), (false, 7, None));
}

#[test]
fn an_empty_setting_is_none_but_an_empty_event_bus_is_nowhere() {
    let empty: Vec<(&str, &str)> = VARIABLES.iter().map(|variable| (*variable, " ")).collect();
    let settings = read(&empty).unwrap();
    assert_eq!(settings.finishing.event_bus, None);
    assert_eq!((settings.backfill_days, settings.sources.owners), (7, vec![Owner::Myself]));
}

#[test]
fn the_own_region_is_passed_over_in_a_list_that_all_stacks_share() {
    let regions = read(&[("SOURCE_REGIONS", "us-east-1, eu-west-1 ,us-west-2")]).unwrap().sources.regions;
    assert_eq!(regions.iter().map(Region::as_str).collect::<Vec<_>>(), ["us-east-1", "us-west-2"]);
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
}

proptest! {
    #[test]
    fn any_value_of_any_setting_is_taken_or_refused_by_its_name_and_never_panics(
        variable in proptest::sample::select(VARIABLES.to_vec()),
        value in "\\PC{0,80}|[a-zA-Z0-9:/*?{},=.-]{0,80}",
    ) {
        if let Err(wrong) = read(&[(variable, &value)]) {
            prop_assert_eq!(wrong.variable, variable);
            let told = wrong.to_string();
            prop_assert!(told.starts_with(&format!("{variable} is `{}`", value.trim())), "{}", told);
        }
    }
}
