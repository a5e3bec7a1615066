use proptest::prelude::*;

use courier_core::selection::*;
use courier_core::image::State;

fn settings(of: &[(&str, &str)]) -> Settings {
    let all = [&[("AWS_REGION", "eu-west-1")], of].concat();
    Settings::read(|name| all.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned()))
        .unwrap()
}

fn source(name: &str, tags: &[(&str, &str)]) -> Image {
    Image {
        id: "ami-0abcdef1234567890".parse().unwrap(),
        name: name.to_owned(),
        description: None,
        owner: None,
        state: State::Available,
        state_reason: None,
        created: None,
        deprecated_from: None,
        last_launched: None,
        protected: false,
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        volumes: Vec::new(),
        source: None,
    }
}

fn region(text: &str) -> Region {
    text.parse().unwrap()
}

#[test]
fn without_source_regions_any_other_region_of_the_partition_is_allowed() {
    let anywhere = settings(&[]);
    assert_eq!(region_is_allowed(&region("ap-northeast-1"), &anywhere), Ok(()));
    let own = region_is_allowed(&region("eu-west-1"), &anywhere).unwrap_err();
    assert_eq!(own, "eu-west-1 is this stack's own Region");
    let china = region_is_allowed(&region("cn-north-1"), &anywhere).unwrap_err();
    assert!(china.contains("aws-cn") && china.contains("CopyImage cannot cross"), "{china}");
}

#[test]
fn a_list_of_source_regions_that_names_the_own_region_still_does_not_allow_it() {
    let shared_list = settings(&[("SOURCE_REGIONS", "us-east-1,eu-west-1")]);
    assert_eq!(region_is_allowed(&region("us-east-1"), &shared_list), Ok(()));
    let own = region_is_allowed(&region("eu-west-1"), &shared_list).unwrap_err();
    assert_eq!(own, "eu-west-1 is none of SOURCE_REGIONS (us-east-1)");
}

#[test]
fn of_a_build_in_several_regions_the_first_allowed_one_counts_in_the_builders_order() {
    let images: Vec<Identity> = ["us-east-1", "us-west-2", "us-west-1"]
        .map(|name| Identity { region: region(name), image: "ami-0abcdef1234567890".parse().unwrap() })
        .into();
    let first = |of: &[(&str, &str)]| first_allowed(&images, &settings(of)).map(|image| image.region.to_string());
    assert_eq!(first(&[]), Ok("us-east-1".to_owned()));
    assert_eq!(first(&[("SOURCE_REGIONS", "us-west-1,us-west-2")]), Ok("us-west-2".to_owned()));
    let refusal = first(&[("SOURCE_REGIONS", "eu-north-1")]).unwrap_err();
    assert_eq!(refusal.matches("is none of SOURCE_REGIONS (eu-north-1)").count(), 3, "{refusal}");
}

#[test]
fn the_skip_tag_comes_before_everything_else_whatever_its_value() {
    let wanted = settings(&[("NAME_PATTERNS", "nothing-*")]).sources;
    for value in ["", "false"] {
        let refusal = is_wanted(&source("golden", &[(tag::SKIP, value)]), AnnouncedBy::Publisher, &wanted).unwrap_err();
        assert_eq!(refusal, "it bears the tag `ami-courier:skip`");
    }
}

#[test]
fn image_builders_own_word_or_a_publishers_is_needed_for_what_it_made_unless_any_will_do() {
    let made = source("golden", &[(tag::IMAGE_BUILDER, "arn")]);
    for (setting, announced_by, wanted) in [
        ("Tested", AnnouncedBy::Ec2, false),
        ("Tested", AnnouncedBy::ImageBuilder, true),
        ("Tested", AnnouncedBy::Publisher, true),
        ("Any", AnnouncedBy::Ec2, true),
    ] {
        let sources = settings(&[("IMAGE_BUILDER", setting)]).sources;
        assert_eq!(is_wanted(&made, announced_by, &sources).is_ok(), wanted, "{setting} {announced_by:?}");
    }
    assert!(is_wanted(&source("golden", &[]), AnnouncedBy::Ec2, &settings(&[]).sources).is_ok());
}

proptest! {
    #[test]
    fn a_copy_of_the_couriers_is_never_wanted_whoever_tells_of_it(
        name in "[a-z-]{3,20}",
        tags in proptest::collection::btree_map("[a-z]{1,8}", "[a-z]{0,8}", 0..8),
        any in any::<bool>(),
    ) {
        let sources = settings(&[("IMAGE_BUILDER", if any { "Any" } else { "Tested" })]).sources;
        let mut copy = source(&name, &[(tag::SOURCE_IMAGE, "ami-5731123e")]);
        copy.tags.extend(tags);
        for announced_by in [AnnouncedBy::Ec2, AnnouncedBy::ImageBuilder, AnnouncedBy::Publisher] {
            prop_assert!(is_wanted(&copy, announced_by, &sources).is_err());
        }
    }
}
