//! Who may use a copy, and when it is deprecated.

use courier_core::finish::*;
use courier_core::image::{Image, State, Volume, tag};
use courier_core::settings::{Finishing, Settings};
use time::{Duration, OffsetDateTime};

fn finishing(of: &[(&str, &str)]) -> Finishing {
    let all = [&[("AWS_REGION", "eu-west-1")], of].concat();
    let of = |name: &str| all.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    Settings::read(of).unwrap().finishing
}

const PUBLIC: &[(&str, &str)] = &[("SHARE_WITH", "all")];
const ACCOUNTS: &[(&str, &str)] = &[("SHARE_WITH", "111122223333")];

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
}

fn copy() -> Image {
    let id = "ami-0abcdef1234567890".parse().unwrap();
    Image { state: State::Available, created: Some(now() - Duration::days(10)), ..Image::new(id) }
}

fn made_for(value: &str) -> Image {
    Image { tags: [(tag::TRY.to_owned(), value.to_owned())].into(), ..copy() }
}

fn encrypted() -> Image {
    let volume = |encrypted| Volume { snapshot: Some("snap-1".to_owned()), encrypted: Some(encrypted), size_gib: 8 };
    Image { volumes: vec![volume(false), volume(true)], ..copy() }
}

fn why_not(copy: &Image, of: &[(&str, &str)]) -> String {
    match share(copy, &finishing(of)) {
        Share::With(_) => String::new(),
        Share::Not(reason) => reason,
    }
}

#[test]
fn a_copy_is_shared_as_the_setting_says() {
    for of in [&[], ACCOUNTS, PUBLIC] {
        let finishing = finishing(of);
        assert_eq!(share(&copy(), &finishing), Share::With(&finishing.share_with));
        assert_eq!(share(&made_for("request 0.0"), &finishing), Share::With(&finishing.share_with));
    }
}

#[test]
fn what_cannot_be_public_is_not_shared_for_a_reason() {
    assert!(why_not(&encrypted(), PUBLIC).contains("encrypted"));
    assert_eq!(why_not(&encrypted(), ACCOUNTS), "");
    let watermarks = ["123456789012:scanned".to_owned()].into();
    let marked = Image { watermarks, ..copy() };
    assert!(why_not(&marked, PUBLIC).contains("watermarks"));
    assert_eq!(why_not(&marked, ACCOUNTS), "");
}

#[test]
fn the_copy_of_a_request_past_the_selection_is_never_shared_nor_published() {
    for value in ["request 0.0 unselected", "request 3.2 unselected zone"] {
        for of in [ACCOUNTS, PUBLIC] {
            assert!(why_not(&made_for(value), of).contains("past the selection"));
        }
        assert_eq!(why_not(&made_for(value), &[]), "", "there is nobody to share with");
        assert!(never_published(&made_for(value)).unwrap().contains("past the selection"));
    }
    assert!(never_published(&made_for("request 0.0 zone")).unwrap().contains("Local Zone"));
    for value in ["request 0.0", "0.1"] {
        assert_eq!(never_published(&made_for(value)), None);
    }
    assert_eq!(never_published(&copy()), None);
}

#[test]
fn a_deprecation_time_in_the_past_or_too_far_ahead_becomes_the_nearest_that_ec2_takes() {
    let from = |from: OffsetDateTime| Image { deprecated_from: Some(from), ..copy() };
    let at = |from_source| deprecation(&copy(), Some(&from(from_source)), &finishing(&[]), now());
    let soon = now() + Duration::days(30);
    assert_eq!(at(soon), Some(soon));
    assert_eq!(at(now() - Duration::days(1)), Some(now() + Duration::minutes(2)));
    assert_eq!(at(now() + Duration::days(9000)), Some(now() + Duration::days(3650)));
    assert_eq!(deprecation(&copy(), None, &finishing(&[]), now()), None);
    let days = [("DEPRECATE", "100")];
    assert_eq!(deprecation(&copy(), None, &finishing(&days), now()), Some(now() + Duration::days(90)));
    let never = finishing(&[("DEPRECATE", "Never")]);
    assert_eq!(deprecation(&copy(), Some(&from(soon)), &never, now()), None);
}

#[test]
fn a_public_copy_is_deprecated_within_two_years_of_its_creation_and_any_other_as_its_source_is() {
    let late = Image { deprecated_from: Some(now() + Duration::days(2000)), ..copy() };
    let at = |copy: &Image, of: &[(&str, &str)]| deprecation(copy, Some(&late), &finishing(of), now());
    let two_years = Some(now() + Duration::days(730 - 10));
    assert_eq!(at(&copy(), PUBLIC), two_years);
    assert_eq!(at(&copy(), &[PUBLIC[0], ("DEPRECATE", "3000")]), two_years);
    assert_eq!(at(&copy(), ACCOUNTS), late.deprecated_from);
    assert_eq!(at(&encrypted(), PUBLIC), late.deprecated_from, "it is not public");
    let old = Image { created: Some(now() - Duration::days(800)), ..copy() };
    assert_eq!(at(&old, PUBLIC), None, "EC2 takes no time for it");
}
