//! What the courier concludes from EC2's description of an AMI.

use courier_core::identity::{Identity, Region};
use courier_core::image::*;

fn image() -> Image {
    Image::new("ami-0abcdef1234567890".parse().unwrap())
}

fn source(region: &str) -> Identity {
    Identity { region: region.parse().unwrap(), image: "ami-5731123e".parse().unwrap() }
}

/// A copy that the courier made of an AMI in us-east-1.
fn copy() -> Image {
    let tags = [(tag::SOURCE_IMAGE, "ami-5731123e"), (tag::SOURCE_REGION, "us-east-1")];
    Image { tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into(), ..image() }
}

fn volume(snapshot: Option<&str>, encrypted: Option<bool>, size_gib: i64) -> Volume {
    Volume { snapshot: snapshot.map(str::to_owned), encrypted, size_gib }
}

#[test]
fn encryption_counts_only_once_available_and_only_on_volumes_with_snapshots() {
    let encrypted = |state: State, volumes: &[(Option<&str>, Option<bool>)]| {
        let volumes = volumes.iter().map(|(snapshot, encrypted)| volume(*snapshot, *encrypted, 8)).collect();
        Image { state, volumes, ..image() }.encrypted()
    };
    let blank = (None, Some(false));
    for (volumes, expected) in [
        (vec![(Some("snap-1"), Some(true))], Some(true)),
        (vec![(Some("snap-1"), Some(false))], Some(false)),
        (vec![(Some("snap-1"), Some(true)), (Some("snap-2"), Some(false))], Some(false)),
        (vec![(Some("snap-1"), Some(true)), blank], Some(true)),
        (vec![(Some("snap-1"), None)], None),
        (vec![(Some("snap-1"), Some(false)), (Some("snap-2"), None)], None),
        (vec![blank], None),
        (vec![], None),
    ] {
        assert_eq!(encrypted(State::Available, &volumes), expected, "{volumes:?}");
        for early in [State::Pending, State::Disabled, State::Failed, State::Deregistered] {
            assert_eq!(encrypted(early, &volumes), None, "{early:?}");
        }
    }
}

#[test]
fn a_copy_of_the_couriers_is_known_by_its_tags_unless_ec2_records_another_source() {
    let named = source("us-east-1");
    assert_eq!(copy().courier_source().as_ref(), Some(&named));
    assert!(copy().is_copy_of(&named) && !copy().is_copy_of(&source("us-east-2")));
    let agreed = Image { source: Some(named.clone()), ..copy() };
    assert!(agreed.courier_source().is_some() && agreed.is_copy_of(&named));
    let copy_of_the_copy = Image { source: Some(source("eu-west-1")), ..copy() };
    assert_eq!(copy_of_the_copy.courier_source(), None);
    assert!(copy_of_the_copy.is_copy_of(&source("eu-west-1")) && !copy_of_the_copy.is_copy_of(&named));
    let by_somebody = Image { source: Some(named.clone()), ..image() };
    assert!(by_somebody.courier_source().is_none() && by_somebody.is_copy_of(&named));
    for (key, value) in [(tag::SOURCE_IMAGE, "i-1"), (tag::SOURCE_REGION, "nowhere")] {
        let mut changed = copy();
        changed.tags.insert(key.to_owned(), value.to_owned());
        assert_eq!(changed.courier_source(), None, "{key}={value}");
    }
}

#[test]
fn a_copy_belongs_to_the_stack_that_its_tag_names_and_without_the_tag_to_none() {
    let of = |stack: Option<&str>| {
        let tags = stack.map(|stack| (tag::STACK.to_owned(), stack.to_owned())).into_iter().collect();
        let copy = Image { tags, ..image() };
        (copy.is_of_stack("mine"), copy.other_stack("mine").map(str::to_owned))
    };
    assert_eq!(of(None), (false, None));
    assert_eq!(of(Some("mine")), (true, None));
    assert_eq!(of(Some("theirs")), (false, Some("theirs".to_owned())));
}

#[test]
fn a_copy_is_marked_by_either_tag_of_retirement() {
    let with = |keys: &[&str]| {
        let tags = keys.iter().map(|key| ((*key).to_owned(), "2026-01-01T00:00:00Z".to_owned())).collect();
        let copy = Image { tags, ..image() };
        (copy.is_marked(), copy.is_disabled_with_source(), copy.source_gone_since().is_some())
    };
    assert_eq!(with(&[tag::FINISHED]), (false, false, false));
    assert_eq!(with(&[tag::SOURCE_GONE_SINCE]), (true, false, true));
    assert_eq!(with(&[tag::DISABLED_WITH_SOURCE]), (true, true, false));
    assert_eq!(with(&[tag::SOURCE_GONE_SINCE, tag::DISABLED_WITH_SOURCE]), (true, true, true));
}

#[test]
fn each_state_of_ec2_is_one_of_five() {
    for (name, state, is_live) in [
        ("pending", State::Pending, true),
        ("transient", State::Pending, true),
        ("a state that EC2 may add", State::Pending, true),
        ("available", State::Available, true),
        ("disabled", State::Disabled, true),
        ("failed", State::Failed, false),
        ("invalid", State::Failed, false),
        ("error", State::Failed, false),
        ("deregistered", State::Deregistered, false),
    ] {
        assert_eq!((State::from_ec2(name), state.is_live()), (state, is_live), "{name}");
    }
}

#[test]
fn of_several_copies_an_available_one_is_the_answer_then_a_pending_then_a_disabled_one_and_no_dead_one() {
    let now = time::OffsetDateTime::UNIX_EPOCH;
    let copy = |number: u32, state: State, days: i64| {
        let id = format!("ami-{number:08}").parse().unwrap();
        Image { state, created: Some(now - time::Duration::days(days)), ..Image::new(id) }
    };
    let copies = [
        copy(1, State::Failed, 9),
        copy(2, State::Deregistered, 8),
        copy(3, State::Disabled, 7),
        copy(4, State::Pending, 6),
        copy(5, State::Available, 4),
        copy(6, State::Available, 5),
        copy(7, State::Available, 5),
    ];
    let answer = |of: &[u32]| {
        let of =
            of.iter().map(|number| copies.iter().find(|copy| copy.id.as_str().ends_with(&number.to_string())).unwrap());
        best(of).map(|copy| copy.id.as_str()[11..].parse::<u32>().unwrap())
    };
    assert_eq!(answer(&[1, 2, 3, 4, 5]), Some(5));
    assert_eq!(answer(&[1, 2, 3, 4]), Some(4));
    assert_eq!(answer(&[1, 2, 3]), Some(3));
    assert_eq!(answer(&[1, 2]), None);
    // The oldest of them; of two as old, by the id, so that each look has the same answer.
    assert_eq!((answer(&[5, 6]), answer(&[7, 6])), (Some(6), Some(6)));
}

#[test]
fn an_image_adds_up_its_volumes_and_names_its_snapshots() {
    let volumes = vec![volume(Some("snap-1"), None, 8), volume(None, None, 100), volume(Some("snap-2"), None, 2)];
    let image = Image { volumes, ..image() };
    assert_eq!((image.snapshots(), image.size_gib()), (vec!["snap-1".to_owned(), "snap-2".to_owned()], 110));
    let region: Region = "eu-west-1".parse().unwrap();
    assert_eq!(image.identity(&region), Identity { region, image: image.id.clone() });
}
