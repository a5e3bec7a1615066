//! Which Regions are rejected as typing errors, and which may be new.

use courier_core::identity::Region;
use courier_core::region::*;

fn region(text: &str) -> Region {
    text.parse().unwrap()
}

#[test]
fn a_region_that_cannot_exist_is_rejected_with_the_nearest_known_one() {
    for (wrong, near) in [
        ("us-esat-1", "us-east-1"),
        ("us-eastt-1", "us-east-1"),
        ("eu-wset-1", "eu-west-1"),
        ("ap-northeats-2", "ap-northeast-2"),
        ("us-gvo-west-1", "us-gov-west-1"),
        ("europe-west-1", "eu-west-1"),
        ("us-eas-1", "us-east-1"),
        ("us-foo-west-1", "us-gov-west-1"),
        ("usa-gov-west-1", "us-gov-west-1"),
        ("eusc-deu-east-1", "eusc-de-east-1"),
    ] {
        let rejection = check(&region(wrong)).unwrap_err();
        assert_eq!(rejection.code, "NoSuchRegion");
        assert!(rejection.message.contains(&format!("`{wrong}`")), "{rejection}");
        assert!(rejection.message.contains(&format!("did you mean `{near}`?")), "{rejection}");
        assert!(!rejection.advice().unwrap().is_empty());
    }
}

#[test]
fn a_region_of_the_right_form_may_be_new() {
    for new in [
        "us-east-3",
        "su-east-1",
        "us-gov-east-2",
        "us-isob-north-1",
        "us-isog-east-1",
        "eusc-de-west-1",
        "eusc-fr-east-1",
    ] {
        assert_eq!(check(&region(new)), Ok(()), "{new}");
        assert!(!is_known(&region(new)), "{new}");
    }
}

#[test]
fn every_known_region_is_well_formed_sorted_and_passes() {
    assert!(KNOWN.is_sorted_by(|one, next| one < next));
    for known in KNOWN {
        let region = region(known);
        assert!(is_known(&region) && check(&region).is_ok(), "{known}");
        assert_eq!(nearest(&region), known);
    }
}
