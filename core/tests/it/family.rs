//! The AMIs of one build: origin, siblings, what comes from here, and what keeps a copy.

use courier_core::family::*;
use courier_core::identity::{Identity, Region, Stack};
use courier_core::image::{Image, State, tag};
use courier_core::naming::Template;
use courier_core::origin::Origin;
use time::{Duration, OffsetDateTime};

const OWN: &str = "123456789012";
const OTHER: &str = "111122223333";

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

/// The stack in eu-west-1.
fn stack() -> Stack {
    Stack { region: region("eu-west-1"), account: OWN.parse().ok() }
}

fn ami(region_name: &str, number: u32) -> Identity {
    Identity { region: region(region_name), image: format!("ami-{number:08}").parse().unwrap() }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
}

/// An available AMI of this account, made an hour ago.
fn image(identity: &Identity, name: &str) -> Image {
    Image {
        name: name.to_owned(),
        owner: OWN.parse().ok(),
        state: State::Available,
        created: Some(now() - Duration::hours(1)),
        ..Image::new(identity.image.clone())
    }
}

fn origin() -> Image {
    image(&ami("us-east-1", 1), "golden-1")
}

/// The builder's copy of the origin in us-west-2.
fn sibling() -> Image {
    Image { source: Some(ami("us-east-1", 1)), ..image(&ami("us-west-2", 2), "golden-1") }
}

/// The courier's copy of `source`.
fn copy(source: &Identity, name: &str) -> Image {
    let tags = [(tag::SOURCE_IMAGE, source.image.to_string()), (tag::SOURCE_REGION, source.region.to_string())];
    let tags = tags.map(|(key, value)| (key.to_owned(), value)).into();
    Image { source: Some(source.clone()), tags, ..image(&ami("eu-west-1", 9), name) }
}

fn of_family(copy: Image, origin: &Identity) -> Image {
    let origin = Origin { account: OWN.parse().unwrap(), ami: origin.clone() };
    let mut tags = copy.tags.clone();
    tags.insert(tag::FAMILY.to_owned(), origin.to_string());
    Image { tags, ..copy }
}

fn names(template: &str) -> Template {
    Template::parse(template).unwrap()
}

/// What the sibling in us-west-2 is.
fn kin_of(image: &Image, origin: Option<&Image>) -> Kin {
    kin(image, &region("us-west-2"), origin, &stack())
}

fn is_sibling(kin: &Kin, name_of_origin: NameOfOrigin) -> bool {
    matches!(kin, Kin::Sibling { origin, name_of_origin: of } if origin.ami == ami("us-east-1", 1) && *of == name_of_origin)
}

#[test]
fn a_copy_of_this_account_in_another_region_with_the_same_name_is_a_sibling() {
    assert!(is_sibling(&kin_of(&sibling(), Some(&origin())), NameOfOrigin::Equal));
    let deregistered = Image { state: State::Deregistered, ..origin() };
    assert!(is_sibling(&kin_of(&sibling(), Some(&deregistered)), NameOfOrigin::Equal), "it is still seen");
    assert!(is_sibling(&kin_of(&sibling(), None), NameOfOrigin::NotVisible));
}

#[test]
fn another_name_region_account_or_maker_makes_an_ami_its_own_origin() {
    let renamed = Image { name: "golden-1-encrypted".to_owned(), ..sibling() };
    assert_eq!(kin_of(&renamed, Some(&origin())), Kin::Alone);
    let within_its_region = Image { source: Some(ami("us-west-2", 1)), ..sibling() };
    let made_from_nothing = Image { source: None, ..sibling() };
    let of_another_account = Image { owner: OTHER.parse().ok(), ..sibling() };
    let by_a_courier = Image { tags: copy(&ami("us-east-1", 1), "golden-1").tags, ..sibling() };
    for alone in [within_its_region, made_from_nothing, of_another_account, by_a_courier] {
        for origin in [Some(&origin()), None] {
            assert_eq!(kin_of(&alone, origin), Kin::Alone, "{alone:?}");
        }
    }
    let of_public_image = Image { owner: OTHER.parse().ok(), ..origin() };
    assert_eq!(kin_of(&sibling(), Some(&of_public_image)), Kin::Alone);
    let nobody_knows = Stack { account: None, ..stack() };
    assert_eq!(kin(&sibling(), &region("us-west-2"), None, &nobody_knows), Kin::Alone);
}

#[test]
fn what_may_be_a_sibling_waits_until_it_is_half_an_hour_old() {
    let created = now() - WAIT + Duration::seconds(1);
    let of = |created| waits_until(&Image { created, ..sibling() }, now());
    assert_eq!(of(Some(created)), Some(created + WAIT));
    assert_eq!(of(Some(now() - WAIT)), None);
    assert_eq!(of(None), None);
}

#[test]
fn what_was_copied_from_this_region_comes_from_here_whether_its_origin_lives_or_not() {
    let here = ami("eu-west-1", 1);
    let back = Image { source: Some(here.clone()), name: "any-name".to_owned(), ..sibling() };
    let seen = |state| Image { state, ..image(&here, "golden-1") };
    let from_here = |is_seen| Kin::FromHere { origin: here.clone(), is_seen };
    for state in [State::Available, State::Disabled, State::Deregistered] {
        assert_eq!(kin_of(&back, Some(&seen(state))), from_here(true));
    }
    assert_eq!(kin_of(&back, None), from_here(false));
    let theirs = Image { owner: OTHER.parse().ok(), ..seen(State::Available) };
    assert_eq!(kin_of(&back, Some(&theirs)), Kin::Alone, "an AMI that another account shares here");
}

#[test]
fn any_live_copy_answers_a_sibling_whose_origin_is_seen_and_an_equal_name_one_whose_origin_is_gone() {
    let source = ami("us-east-1", 1);
    let answered = |kin: &Kin, copy: &Image, template: &str| kin.is_answered_by(copy, &sibling(), &names(template));
    let (seen, gone) = (kin_of(&sibling(), Some(&origin())), kin_of(&sibling(), None));
    let same = copy(&source, "golden-1");
    let other = copy(&source, "by-request");
    assert!(answered(&seen, &same, "{name}") && answered(&seen, &other, "{name}"));
    assert!(answered(&gone, &same, "{name}") && !answered(&gone, &other, "{name}"));
    // The name that COPY_NAME gives the copy of an AMI of this build.
    let named = copy(&source, "golden-1-us-east-1-ami-00000001");
    let of_sibling = of_family(copy(&ami("us-east-2", 3), "golden-1-us-east-2-ami-00000003"), &source);
    for copy in [&named, &of_sibling] {
        assert!(answered(&gone, copy, "{name}-{region}-{image_id}"), "{}", copy.name);
        assert!(!answered(&gone, copy, "{name}-{region}"), "{}", copy.name);
    }
    for state in [State::Failed, State::Deregistered] {
        let dead = Image { state, ..same.clone() };
        assert!(!answered(&seen, &dead, "{name}") && !answered(&gone, &dead, "{name}"));
    }
    let from_here = Kin::FromHere { origin: source, is_seen: true };
    assert!(!answered(&Kin::Alone, &same, "{name}") && !answered(&from_here, &same, "{name}"));
}

#[test]
fn a_member_in_service_keeps_the_copy_of_its_build() {
    let (of_origin, of_sibling) = (copy(&ami("us-east-1", 1), "golden-1"), ami("us-west-2", 2));
    let of_sibling = of_family(copy(&of_sibling, "golden-1"), &ami("us-east-1", 1));
    let (east, west) = (region("us-east-1"), region("us-west-2"));
    for copy in [&of_origin, &of_sibling] {
        for origin_is in [Some(&origin()), None] {
            assert!(keeps(&sibling(), &west, copy, origin_is, &names("{name}")), "{copy:?}");
        }
        assert!(keeps(&origin(), &east, copy, Some(&origin()), &names("{name}")), "{copy:?}");
        let renamed = Image { name: "golden-1-encrypted".to_owned(), ..sibling() };
        let by_a_courier = Image { tags: of_origin.tags.clone(), ..sibling() };
        let theirs = Image { owner: OTHER.parse().ok(), ..sibling() };
        let disabled = Image { state: State::Disabled, ..sibling() };
        let of_another = Image { source: Some(ami("us-east-1", 7)), ..sibling() };
        for other in [renamed, by_a_courier, theirs, disabled, of_another] {
            for origin_is in [Some(&origin()), None] {
                assert!(!keeps(&other, &west, copy, origin_is, &names("{name}")), "{other:?}");
            }
        }
        let gone = Image { state: State::Deregistered, ..origin() };
        assert!(!keeps(&gone, &east, copy, Some(&gone), &names("{name}")));
    }
    assert!(
        !keeps(&origin(), &east, &image(&ami("eu-west-1", 8), "golden-1"), None, &names("{name}")),
        "no copy of the courier's"
    );
    // The origin itself keeps its copy whatever that is called. An id means nothing in another Region.
    let by_request = copy(&ami("us-east-1", 1), "by-request");
    for origin_is in [None, Some(&image(&ami("us-east-1", 1), "by-request"))] {
        assert!(keeps(&origin(), &east, &by_request, origin_is, &names("{name}")), "{origin_is:?}");
        assert!(!keeps(&origin(), &west, &by_request, origin_is, &names("{name}")), "{origin_is:?}");
    }
}
