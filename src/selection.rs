//! Is this source AMI wanted here, and if not, which rule says so?
//!
//! Pure. Whether its *owner* is trusted is not decided here: EC2 itself is asked for the AMI among those of
//! `SOURCE_OWNERS` (see [`crate::courier`]), so that nothing a message says can move that border.

use crate::announcement::Teller;
use crate::identity::{Identity, Region};
use crate::image::{Image, tag};
use crate::settings::{ImageBuilder, Settings, Sources};

/// Whether AMIs may come from this Region at all. A border, for requests too.
///
/// # Errors
/// The rule, and what it saw.
pub fn region_is_allowed(region: &Region, settings: &Settings) -> Result<(), String> {
    let here = &settings.here;
    if region.partition() != here.partition() {
        return Err(format!(
            "{region} is in the partition {}, this stack's {here} is in {}, and CopyImage cannot cross from one to the other",
            region.partition(),
            here.partition()
        ));
    }
    let allowed = &settings.sources.regions;
    match allowed.as_slice() {
        [] if region == here => Err(format!("{region} is this stack's own Region")),
        [] => Ok(()),
        _ if allowed.contains(region) => Ok(()),
        _ => Err(format!("{region} is none of SOURCE_REGIONS ({})", joined(allowed.iter()))),
    }
}

/// Of one build that stands in several Regions, the AMI to copy: the first that is allowed.
///
/// # Errors
/// Why none is.
pub fn first_allowed<'a>(images: &'a [Identity], settings: &Settings) -> Result<&'a Identity, String> {
    let mut why = String::new();
    for image in images {
        match region_is_allowed(&image.region, settings) {
            Ok(()) => return Ok(image),
            Err(refusal) if why.is_empty() => why = refusal,
            Err(refusal) => why = format!("{why}; {refusal}"),
        }
    }
    Err(why)
}

/// Whether an *announced* AMI is wanted. Requests are not asked: they name the one AMI they want.
///
/// # Errors
/// The rule, and what it saw.
pub fn is_wanted(source: &Image, teller: Teller, sources: &Sources) -> Result<(), String> {
    may_be_copied(source)?;
    if let Some(origin) = source.tags.get(tag::SOURCE_IMAGE) {
        return Err(format!("it is itself a copy, of {origin} (tag `{}`)", tag::SOURCE_IMAGE));
    }
    if !sources.name_patterns.iter().any(|pattern| pattern.matches(&source.name)) {
        let patterns = joined(sources.name_patterns.iter().map(|pattern| format!("`{pattern}`")));
        return Err(format!("name `{}` matches none of {patterns}", source.name));
    }
    for required in &sources.required_tags {
        let has = source.tags.get(&required.key);
        match (has, &required.value) {
            (None, _) => return Err(format!("it has no tag `{}`, which REQUIRED_TAGS asks for", required.key)),
            (Some(has), Some(value)) if has != value => {
                return Err(format!("tag `{}` is `{has}`, REQUIRED_TAGS asks for `{value}`", required.key));
            }
            _ => {}
        }
    }
    let made_by_image_builder = source.tags.contains_key(tag::IMAGE_BUILDER);
    if made_by_image_builder && teller == Teller::Ec2 && sources.image_builder == ImageBuilder::Tested {
        return Err(
            "EC2 Image Builder made it and has not said yet that its tests passed (IMAGE_BUILDER=Tested)".to_owned()
        );
    }
    Ok(())
}

/// What holds for requests, too: one who owns an AMI can forbid that it is ever copied.
///
/// # Errors
/// The rule.
pub fn may_be_copied(source: &Image) -> Result<(), String> {
    if source.tags.contains_key(tag::SKIP) {
        return Err(format!("it bears the tag `{}`", tag::SKIP));
    }
    Ok(())
}

fn joined(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::State;

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
            let refusal = is_wanted(&source("golden", &[(tag::SKIP, value)]), Teller::Publisher, &wanted).unwrap_err();
            assert_eq!(refusal, "it bears the tag `ami-courier:skip`");
        }
    }

    #[test]
    fn image_builders_own_word_or_a_publishers_is_needed_for_what_it_made_unless_any_will_do() {
        let made = source("golden", &[(tag::IMAGE_BUILDER, "arn")]);
        for (setting, teller, wanted) in [
            ("Tested", Teller::Ec2, false),
            ("Tested", Teller::ImageBuilder, true),
            ("Tested", Teller::Publisher, true),
            ("Any", Teller::Ec2, true),
        ] {
            let sources = settings(&[("IMAGE_BUILDER", setting)]).sources;
            assert_eq!(is_wanted(&made, teller, &sources).is_ok(), wanted, "{setting} {teller:?}");
        }
        assert!(is_wanted(&source("golden", &[]), Teller::Ec2, &settings(&[]).sources).is_ok());
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
            for teller in [Teller::Ec2, Teller::ImageBuilder, Teller::Publisher] {
                prop_assert!(is_wanted(&copy, teller, &sources).is_err());
            }
        }
    }
}
