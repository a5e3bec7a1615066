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
    kin(image, &region("us-west-2"), origin, &stack(), now())
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
    assert_eq!(kin(&sibling(), &region("us-west-2"), None, &nobody_knows, now()), Kin::Alone);
}

#[test]
fn a_sibling_waits_until_it_is_half_an_hour_old_and_an_own_origin_does_not() {
    let created = now() - WAIT + Duration::seconds(1);
    let young = Image { created: Some(created), ..sibling() };
    for origin in [Some(&origin()), None] {
        let Kin::Waits { until, .. } = kin_of(&young, origin) else { panic!("it does not wait") };
        assert_eq!(until, created + WAIT);
    }
    let old = Image { created: Some(now() - WAIT), ..sibling() };
    assert!(is_sibling(&kin_of(&old, Some(&origin())), NameOfOrigin::Equal));
    let renamed = Image { name: "golden-1-encrypted".to_owned(), ..young.clone() };
    assert_eq!(kin_of(&renamed, Some(&origin())), Kin::Alone);
    let undated = Image { created: None, ..young };
    assert!(is_sibling(&kin_of(&undated, Some(&origin())), NameOfOrigin::Equal));
}

#[test]
fn what_was_copied_from_this_region_comes_from_here_whether_its_origin_lives_or_not() {
    let here = ami("eu-west-1", 1);
    let back = Image { source: Some(here.clone()), name: "any-name".to_owned(), ..sibling() };
    let seen = |state| Image { state, ..image(&here, "golden-1") };
    for state in [State::Available, State::Disabled, State::Deregistered] {
        assert_eq!(kin_of(&back, Some(&seen(state))), Kin::FromHere(here.clone()));
    }
    assert_eq!(kin_of(&back, None), Kin::FromHere(here.clone()));
    let theirs = Image { owner: OTHER.parse().ok(), ..seen(State::Available) };
    assert_eq!(kin_of(&back, Some(&theirs)), Kin::Alone, "an AMI that another account shares here");
    let young = Image { created: Some(now()), ..back };
    assert_eq!(kin_of(&young, Some(&seen(State::Available))), Kin::FromHere(here), "this is certain at once");
    assert!(matches!(kin_of(&young, None), Kin::Waits { .. }), "it may be another account's, not visible yet");
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
    assert!(!answered(&Kin::Alone, &same, "{name}") && !answered(&Kin::FromHere(source), &same, "{name}"));
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
}

#[test]
fn a_copy_stands_for_its_source_and_for_the_origin_of_its_build() {
    let mut copied = Copied::default();
    copied.add(&of_family(copy(&ami("us-west-2", 2), "golden-1"), &ami("us-east-1", 1)));
    assert!(copied.contains(&ami("us-west-2", 2)) && copied.contains(&ami("us-east-1", 1)));
    assert!(!copied.contains(&ami("us-east-2", 3)));
    let third = Image { source: Some(ami("us-east-1", 1)), ..image(&ami("us-east-2", 3), "golden-1") };
    let has_build = |image: &Image, template: &str| copied.has_build(image, &ami("us-east-1", 1), &names(template));
    assert!(has_build(&third, "{name}"));
    let renamed = Image { name: "golden-1-encrypted".to_owned(), ..third };
    assert!(!has_build(&renamed, "{name}"));
    assert!(!copied.has_build(&sibling(), &ami("us-east-1", 7), &names("{name}")));
}

#[test]
fn of_each_build_one_is_announced_and_the_origin_first() {
    let member = |image: &Image, region_name: &str| Member::new(image, &region(region_name), &stack());
    let third = Image {
        source: Some(ami("us-east-1", 1)),
        created: Some(now() - Duration::hours(2)),
        ..image(&ami("us-east-2", 3), "golden-1")
    };
    let renamed = Image { name: "golden-1-encrypted".to_owned(), ..sibling() };
    let (origin, west, east) =
        (member(&origin(), "us-east-1"), member(&sibling(), "us-west-2"), member(&third, "us-east-2"));
    let announced = |members: Vec<Member>| -> Vec<String> {
        one_of_each(members).into_iter().map(|member| member.ami.region.to_string()).collect()
    };
    assert_eq!(announced(vec![west.clone(), east.clone(), origin.clone()]), ["us-east-1"]);
    assert_eq!(announced(vec![west.clone(), east.clone()]), ["us-east-2"], "the oldest");
    assert_eq!(announced(vec![member(&renamed, "us-west-2"), origin]), ["us-east-1", "us-west-2"]);
    let others = Image { owner: OTHER.parse().ok(), ..sibling() };
    assert_eq!(announced(vec![member(&others, "us-west-2"), east]).len(), 2);
}
