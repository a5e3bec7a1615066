//! The checked parameters of `CopyImage`.

use proptest::prelude::*;

use courier_core::copy_image::*;
use courier_core::identity::Region;

#[test]
fn an_ami_name_has_3_to_128_of_the_characters_that_ec2_takes() {
    let longest = "n".repeat(128);
    for good in ["abc", "a b", "(Golden) [1] x./-'@_", longest.as_str()] {
        assert_eq!(good.parse::<AmiName>().unwrap().as_str(), good);
    }
    for bad in ["", "ab", "a:b", "a,b", "a\tb", "gölden", "a+b", &"n".repeat(129)] {
        assert!(bad.parse::<AmiName>().is_err(), "{bad}");
    }
}

#[test]
fn a_description_is_measured_in_characters_and_a_token_is_ascii() {
    assert!("ü".repeat(255).parse::<Description>().is_ok());
    assert!("ü".repeat(256).parse::<Description>().is_err());
    assert!("".parse::<Description>().is_ok());
    assert!("t".repeat(128).parse::<ClientToken>().is_ok());
    for bad in ["", "ü", &"t".repeat(129)] {
        assert!(bad.parse::<ClientToken>().is_err(), "{bad}");
    }
}

#[test]
fn a_key_is_named_in_one_of_four_forms() {
    for good in [
        "0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e",
        "mrk-0d9ba5b50c2f4f6c9f4f2f0a7b1c9d3e",
        "alias/golden",
        "alias/team/golden_1-x",
        "arn:aws:kms:eu-west-1:123456789012:key/0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e",
        "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-0d9ba5b50c2f4f6c9f4f2f0a7b1c9d3e",
        "arn:aws-cn:kms:cn-north-1:123456789012:alias/golden",
    ] {
        assert!(good.parse::<KmsKey>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "golden",
        "alias/",
        "alias/a b",
        "0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3",
        "0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3g",
        "mrk-1",
        "key/0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e",
        "arn:aws:kms:eu-west-1:123456789012:0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e",
        "arn:aws:kms:eu-west-1:1234:alias/golden",
        "arn:aws:kms::123456789012:alias/golden",
        "arn:aws:ec2:eu-west-1:123456789012:alias/golden",
    ] {
        assert!(bad.parse::<KmsKey>().is_err(), "{bad}");
    }
}

#[test]
fn only_a_key_that_an_arn_names_can_be_of_another_region() {
    let key = |text: &str| text.parse::<KmsKey>().unwrap();
    let stack_region: Region = "eu-west-1".parse().unwrap();
    let elsewhere = |text| key(text).region_if_not(&stack_region).map(str::to_owned);
    assert_eq!(elsewhere("alias/golden"), None);
    assert_eq!(elsewhere("arn:aws:kms:eu-west-1:123456789012:alias/golden"), None);
    assert_eq!(elsewhere("arn:aws:kms:eu-west-2:123456789012:alias/golden").as_deref(), Some("eu-west-2"));
    assert!(key("alias/aws/ebs").is_aws_managed());
    assert!(key("arn:aws:kms:eu-west-1:123456789012:alias/aws/ebs").is_aws_managed());
    assert!(!key("alias/aws/ebs2").is_aws_managed() && !key("alias/my/aws/ebs").is_aws_managed());
}

#[test]
fn a_completion_time_is_15_to_2880_minutes_in_steps_of_15() {
    let taken: Vec<u64> =
        (0..=3000).chain([u64::from(u16::MAX), u64::MAX]).filter(|m| CompletionMinutes::new(*m).is_some()).collect();
    assert_eq!(taken, (1..=192).map(|quarter| quarter * 15).collect::<Vec<u64>>());
}

#[test]
fn a_tag_keeps_to_ec2s_rules() {
    for (key, value) in [("k", ""), (&"ü".repeat(128), &"ü".repeat(256)), ("awsome", "x"), ("ami-courier:skip", "")] {
        assert!(Tag::new(key, value).is_ok(), "{key}");
    }
    for (key, value) in [("", "v"), (&"k".repeat(129), ""), ("k", &"v".repeat(257)), ("aws:x", ""), ("AWS:x", "")] {
        assert!(Tag::new(key, value).is_err(), "{key}");
    }
}

proptest! {
    #[test]
    fn whatever_text_is_taken_is_kept_as_it_is_and_nothing_panics(text in "\\PC{0,300}") {
        prop_assert!(text.parse::<AmiName>().is_ok_and(|name| name.as_str() == text) || text.parse::<AmiName>().is_err());
        let _ = (text.parse::<KmsKey>().map(|key| key.is_aws_managed()), text.parse::<Description>());
        let _ = (text.parse::<ZoneName>(), text.parse::<ZoneId>(), text.parse::<OutpostArn>(), Tag::new(&text, &text));
    }
}
