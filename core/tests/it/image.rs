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
fn an_image_adds_up_its_volumes_and_names_its_snapshots() {
    let volumes = vec![volume(Some("snap-1"), None, 8), volume(None, None, 100), volume(Some("snap-2"), None, 2)];
    let image = Image { volumes, ..image() };
    assert_eq!((image.snapshots(), image.size_gib()), (vec!["snap-1".to_owned(), "snap-2".to_owned()], 110));
    let region: Region = "eu-west-1".parse().unwrap();
    assert_eq!(image.identity(&region), Identity { region, image: image.id.clone() });
}
