//! Name templates.

use proptest::prelude::*;
use time::macros::datetime;

use courier_core::image::Image;
use courier_core::naming::*;

fn source() -> Image {
    Image {
        name: "golden-1".to_owned(),
        owner: "123456789012".parse().ok(),
        created: Some(datetime!(2026-01-31 23:30:05 -01:30)),
        tags: [("Build Id".to_owned(), "{name}".to_owned())].into(),
        ..Image::new("ami-0abcdef1234567890".parse().unwrap())
    }
}

fn filled(template: &str) -> Result<String, String> {
    let template = Template::parse(template).unwrap_or_else(|| panic!("{template} is refused"));
    template.fill(&source(), &"us-east-1".parse().unwrap()).map_err(|missing| missing.to_string())
}

#[test]
fn each_placeholder_is_of_the_source_ami_and_a_time_is_in_utc() {
    for (template, expected) in [
        ("", ""),
        ("golden", "golden"),
        ("{name}", "golden-1"),
        ("{image_id}{region}", "ami-0abcdef1234567890us-east-1"),
        ("a {account} b {created} c", "a 123456789012 b 20260201-010005 c"),
    ] {
        assert_eq!(filled(template).unwrap(), expected);
    }
    assert_eq!(filled("{tag:Build Id}").unwrap(), "{name}", "what a tag says is not read as a template");
}

#[test]
fn what_the_source_lacks_is_named() {
    assert_eq!(filled("{tag:Role}").unwrap_err(), "the source AMI has no tag `Role`");
    let bare = Image { owner: None, created: None, ..source() };
    let missing = |text| Template::parse(text).unwrap().fill(&bare, &"us-east-1".parse().unwrap()).unwrap_err();
    assert_eq!(missing("{account}").to_string(), "the source AMI has no owner");
    assert_eq!(missing("{created}").to_string(), "the source AMI has no creation time");
}

#[test]
fn an_unknown_placeholder_and_a_brace_that_stands_alone_are_refused() {
    for bad in ["{", "}", "{}", "{Name}", "{ name }", "{tag}", "{tag:}", "a}b{name}", "{name}}", "{{name}}", "{name"] {
        assert_eq!(Template::parse(bad), None, "{bad}");
    }
}

#[test]
fn the_text_around_placeholders_is_all_that_is_checked_for_its_characters() {
    let plain = |text: &str| Template::parse(text).unwrap().is_written_with(|c| c.is_ascii_alphanumeric());
    assert!(plain("a{name}b{tag:Build Id}") && !plain("a-{name}") && !plain("{name}-"));
}

proptest! {
    #[test]
    fn text_without_braces_is_filled_in_as_it_is(text in "[^{}]{0,200}") {
        prop_assert_eq!(filled(&text).unwrap(), text);
    }
}
