//! What each listed AMI is to this stack: which builds have a copy, and which AMI of a build is announced.

use courier_core::copy_state::CopyState;
use courier_core::identity::{Identity, Region, Stack};
use courier_core::image::{Image, State, tag};
use courier_core::naming::Template;
use courier_core::settings::Settings;
use courier_core::survey::*;
use time::{Duration, OffsetDateTime};

const OWN: &str = "123456789012";

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn stack() -> Stack {
    Stack { region: region("eu-west-1"), account: OWN.parse().ok() }
}

fn ami(region_name: &str, number: u32) -> Identity {
    Identity { region: region(region_name), image: format!("ami-{number:08}").parse().unwrap() }
}

/// An AMI of this account, made so many hours ago, as a copy of the AMI 1 in us-east-1.
fn sibling(number: u32, hours: i64) -> Image {
    Image {
        name: "golden-1".to_owned(),
        owner: OWN.parse().ok(),
        created: Some(OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) - Duration::hours(hours)),
        source: Some(ami("us-east-1", 1)),
        ..Image::new(ami("us-east-1", number).image)
    }
}

fn origin() -> Image {
    Image { source: None, ..sibling(1, 9) }
}

fn source(image: &Image, region_name: &str) -> Source {
    Source::new(image, &region(region_name), &stack(), &Template::parse("{name}-{region}").unwrap())
}

/// The courier's copy of an AMI, with this name and this origin in its tag.
fn copy(of: &Identity, name: &str, origin: Option<&Identity>) -> Image {
    let own = [(tag::SOURCE_IMAGE, of.image.to_string()), (tag::SOURCE_REGION, of.region.to_string())];
    let origin = origin.map(|origin| (tag::FAMILY, format!("{OWN}/{}/{}", origin.region, origin.image)));
    let tags = own.into_iter().chain(origin).map(|(key, value)| (key.to_owned(), value)).collect();
    let id = ami("eu-west-1", 9).image;
    Image { name: name.to_owned(), state: State::Available, source: Some(of.clone()), tags, ..Image::new(id) }
}

#[test]
fn a_copy_stands_for_its_source_and_for_the_build_that_it_is_of() {
    let mut copied = Copied::default();
    copied.add(&copy(&ami("us-west-2", 2), "golden-1", Some(&ami("us-east-1", 1))));
    let has_copy = |image: &Image, region_name: &str| copied.of_build(&source(image, region_name)).is_some();
    assert!(copied.of(&ami("us-west-2", 2)).is_some() && copied.of(&ami("us-east-1", 1)).is_some());
    assert!(has_copy(&origin(), "us-east-1") && has_copy(&sibling(2, 1), "us-west-2"));
    assert!(has_copy(&sibling(3, 1), "us-east-2"), "another sibling");
    let renamed = Image { name: "golden-1-encrypted".to_owned(), ..sibling(3, 1) };
    assert!(!has_copy(&renamed, "us-east-2"));
    let of_another_build = Image { source: Some(ami("us-east-1", 7)), ..sibling(3, 1) };
    assert!(!has_copy(&of_another_build, "us-east-2"));
    let of_another_account = Image { owner: "111122223333".parse().ok(), ..sibling(3, 1) };
    assert!(!has_copy(&of_another_account, "us-east-2"));
}

#[test]
fn the_name_that_the_origins_copy_would_have_counts_as_well_and_a_dead_copy_does_not() {
    let mut copied = Copied::default();
    let of_origin = copy(&ami("us-east-1", 1), "golden-1-us-east-1", None);
    copied.add(&Image { state: State::Failed, ..of_origin.clone() });
    assert!(copied.of_build(&source(&sibling(2, 1), "us-west-2")).is_none());
    copied.add(&of_origin);
    assert!(copied.of_build(&source(&sibling(2, 1), "us-west-2")).is_some());
    copied.add(&copy(&ami("us-east-1", 1), "by-request", None));
    assert!(copied.of_build(&source(&sibling(2, 1), "us-west-2")).is_none(), "a look decides");
}

#[test]
fn of_each_build_one_is_announced_the_origin_first_then_the_oldest() {
    let announced = |sources: Vec<Source>| -> Vec<String> {
        one_of_each_build(sources).into_iter().map(|source| source.ami.region.to_string()).collect()
    };
    let west = || source(&sibling(2, 1), "us-west-2");
    let east = || source(&sibling(3, 2), "us-east-2");
    assert_eq!(announced(vec![west(), east(), source(&origin(), "us-east-1")]), ["us-east-1"]);
    assert_eq!(announced(vec![west(), east()]), ["us-east-2"]);
    let renamed = Image { name: "golden-1-encrypted".to_owned(), ..sibling(2, 1) };
    assert_eq!(announced(vec![source(&renamed, "us-west-2"), source(&origin(), "us-east-1")]).len(), 2);
    let others = Image { owner: "111122223333".parse().ok(), ..sibling(2, 1) };
    assert_eq!(announced(vec![source(&others, "us-west-2"), east()]).len(), 2);
}

/// An AMI of this Region that was made of the AMI 1 in us-east-1: by the courier, or by somebody else.
fn made(state: State, by_courier: bool, tags: &[(&str, &str)]) -> Image {
    let of = ami("us-east-1", 1);
    let mut image = copy(&of, "golden-1", None);
    if !by_courier {
        image.tags.clear();
    }
    image.tags.extend(tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Image { state, created: Some(OffsetDateTime::UNIX_EPOCH), ..image }
}

#[test]
fn what_became_of_a_copy_is_said_by_its_state_and_tags() {
    const FINISHED: (&str, &str) = (tag::FINISHED, "1970-01-02T00:00:00Z");
    const DISABLED: (&str, &str) = (tag::DISABLED_WITH_SOURCE, "1970-01-02T00:00:00Z");
    let begun = Some(OffsetDateTime::UNIX_EPOCH);
    let later = Some(OffsetDateTime::UNIX_EPOCH + Duration::days(1));
    for (state, by_courier, tags, expected) in [
        (State::Pending, true, vec![], Some((CopyState::Pending, begun))),
        (State::Pending, false, vec![], Some((CopyState::Pending, begun))),
        (State::Available, true, vec![], Some((CopyState::Unfinished, begun))),
        (State::Available, true, vec![FINISHED], Some((CopyState::Finished, later))),
        // A value that the courier does not write: it is finished, and nobody knows since when.
        (State::Available, true, vec![(tag::FINISHED, "yes")], Some((CopyState::Finished, None))),
        (State::Available, false, vec![], Some((CopyState::AlreadyCopied, begun))),
        (State::Available, false, vec![FINISHED], Some((CopyState::AlreadyCopied, begun))),
        (State::Disabled, true, vec![FINISHED], Some((CopyState::Disabled, None))),
        (State::Disabled, true, vec![DISABLED], Some((CopyState::Retired, later))),
        (State::Disabled, false, vec![DISABLED], Some((CopyState::Disabled, None))),
        (State::Failed, true, vec![FINISHED], Some((CopyState::Failed, begun))),
        (State::Deregistered, true, vec![], Some((CopyState::Retired, None))),
        // Somebody else's dead copy says nothing.
        (State::Failed, false, vec![], None),
        (State::Deregistered, false, vec![], None),
    ] {
        let image = made(state, by_courier, &tags);
        let copy = Copy::of(&image);
        assert_eq!(copy.as_ref().map(|copy| (copy.state, copy.since)), expected, "{image:?}");
        if let Some(copy) = copy {
            assert_eq!((copy.source, copy.is_own), (ami("us-east-1", 1), by_courier), "{image:?}");
        }
    }
    let no_copy = Image { source: None, ..made(State::Available, false, &[]) };
    assert_eq!(Copy::of(&no_copy), None);
}

#[test]
fn a_dead_copy_says_why() {
    let why = |image: &Image| Copy::of(image).unwrap().explanation.unwrap();
    let failed = made(State::Failed, true, &[]);
    assert_eq!(why(&failed), "EC2 gives no reason");
    assert_eq!(why(&Image { state_reason: Some("no key".to_owned()), ..failed }), "no key");
    assert!(why(&made(State::Deregistered, true, &[])).contains("it is deregistered"));
    let disabled = made(State::Disabled, true, &[(tag::DISABLED_WITH_SOURCE, "")]);
    assert!(why(&disabled).contains("since its source is disabled"));
}

fn settings(of: &[(&str, &str)]) -> Settings {
    let all = [&[("AWS_REGION", "eu-west-1"), ("PARAMETER_NAME", "/golden/{tag:Channel}")], of].concat();
    Settings::read(|name| {
        all.iter().rev().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    })
    .unwrap()
}

/// A copy of this stack that is finished and held by a parameter.
fn finished(tags: &[(&str, &str)]) -> Image {
    let source = ami("us-east-1", 1);
    let mut image = copy(&source, "golden-1", None);
    image.description = Some(format!("Copied from {source}"));
    let own = [
        (tag::STACK, "ami-courier"),
        (tag::SOURCE_CREATED, "2024-10-03T15:00:00Z"),
        (tag::FINISHED, "2026-11-30T12:00:00Z"),
        (tag::PARAMETER, "/golden/beta"),
        ("Channel", "beta"),
    ];
    image.tags.extend(own.iter().chain(tags).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    image
}

#[test]
fn only_this_stacks_copies_are_followed_and_only_with_reconcile() {
    let is_followed =
        |stack: &str, of: &[(&str, &str)]| Followed::of(&finished(&[(tag::STACK, stack)]), &settings(of)).is_some();
    assert!(is_followed("ami-courier", &[]));
    assert!(!is_followed("another", &[]));
    assert!(!is_followed("ami-courier", &[("RECONCILE", "false")]));
}

#[test]
fn what_is_kept_of_a_copy_is_enough_to_see_what_differs() {
    let (source, of) = (ami("us-east-1", 1), settings(&[]));
    let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_400);
    let image = |channel: &str| Image {
        state: State::Available,
        tags: [("Channel".to_owned(), channel.to_owned())].into(),
        ..origin()
    };
    let kept = |tags: &[(&str, &str)]| Followed::of(&finished(tags), &of).unwrap();
    let look = |kept: &Followed, channel: &str| {
        let steps = kept.steps(&source, Some(&image(channel)), &of, now).unwrap();
        let changes = kept.changes(&source, Some(&image(channel)), &of, now).unwrap();
        (steps.described(), changes.described())
    };
    assert_eq!(look(&kept(&[]), "beta"), (vec![], vec![]));
    let promoted = (
        vec!["it belongs to the parameter `/golden/prod`".to_owned()],
        vec!["1 tag of its source is newer".to_owned()],
    );
    assert_eq!(look(&kept(&[]), "prod"), promoted);
    assert_eq!((kept(&[]).parameter(), kept(&[]).is_withdrawn()), (Some("/golden/beta"), false));
    for key in [tag::WITHDRAWN, tag::WITHDRAWN_SOURCE] {
        assert!(kept(&[(key, "")]).is_withdrawn(), "{key}");
    }
    let mut disabled = finished(&[]);
    disabled.state = State::Disabled;
    let disabled = Followed::of(&disabled, &of).unwrap();
    let steps = |kept: &Followed| kept.steps(&source, Some(&image("beta")), &of, now).unwrap().steps;
    assert_ne!(steps(&disabled), steps(&kept(&[])), "a disabled copy joins nothing");
    assert!(kept(&[]).steps(&source, Some(&image("beta")), &settings(&[("PARAMETER_NAME", "")]), now).is_none());
}

#[test]
fn a_sibling_says_what_it_was_first() {
    assert_eq!(source(&sibling(2, 1), "us-west-2").origin(), Some(&ami("us-east-1", 1)));
    assert_eq!(source(&origin(), "us-east-1").origin(), None);
}
