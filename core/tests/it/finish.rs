//! Who may use a copy, and what is never published.

use courier_core::finish::*;
use courier_core::image::{Image, State, Volume, tag};
use courier_core::settings::{Finishing, Settings};

fn finishing(of: &[(&str, &str)]) -> Finishing {
    let all = [&[("AWS_REGION", "eu-west-1")], of].concat();
    let of = |name: &str| all.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    Settings::read(of).unwrap().finishing
}

const PUBLIC: &[(&str, &str)] = &[("SHARE_WITH", "all")];
const ACCOUNTS: &[(&str, &str)] = &[("SHARE_WITH", "111122223333")];

fn copy() -> Image {
    let id = "ami-0abcdef1234567890".parse().unwrap();
    Image { state: State::Available, ..Image::new(id) }
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
    for encrypted in [None, Some(false)] {
        let volume = Volume { snapshot: Some("snap-1".to_owned()), encrypted, size_gib: 8 };
        assert_eq!(why_not(&Image { volumes: vec![volume], ..copy() }, PUBLIC), "");
    }
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
