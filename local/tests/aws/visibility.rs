//! What a young AMI and a dead one look like.

use std::time::Duration;

use local::aws::{Behaviour, HiddenAs, Image, ImageState, World};

use super::{REGION, SOURCE, SOURCE_REGION, STRANGER, code, copy_with, ec2, ec2_as, ids, stranger, world};

const IMAGE: &str = "ami-00000000000000001";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What `DescribeImages` answers by id: the states of the AMIs, or the error's code.
fn by_id(world: &mut World, id: &str) -> Result<Vec<String>, String> {
    let answer = ec2(world, "DescribeImages", &[("ImageId.1", id)]).map_err(|error| error.code)?;
    let images = answer["imagesSet"].as_array().expect("an imagesSet");
    Ok(images.iter().map(|image| image["imageState"].as_str().expect("a state").to_owned()).collect())
}

/// Whether `DescribeImages` finds the AMI by its name.
fn is_found_by_filter(world: &mut World, name: &str) -> bool {
    let filter = [("Filter.1.Name", "name"), ("Filter.1.Value.1", name)];
    !ids(&ec2(world, "DescribeImages", &filter).expect("an answer")).is_empty()
}

fn error(code: &str) -> Result<Vec<String>, String> {
    Err(code.to_owned())
}

#[test]
fn a_new_ami_becomes_visible_by_id_and_by_filter_each_in_its_own_time() {
    for (by_id_for, by_filter_for) in [(5 * MINUTE, 15 * MINUTE), (15 * MINUTE, 5 * MINUTE)] {
        let mut world = world();
        world.behaviour.invisible_by_id_for = by_id_for;
        world.behaviour.invisible_by_filter_for = by_filter_for;
        let id = copy_with(&mut world, &[]).expect("a copy");
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push((by_id(&mut world, &id).is_ok(), is_found_by_filter(&mut world, "copy")));
            world.advance(5 * MINUTE);
        }
        world.advance(SECOND);
        let id_first = by_id_for < by_filter_for;
        assert_eq!(seen, [(false, false), (id_first, !id_first), (id_first, !id_first)]);
        assert!(by_id(&mut world, &id).is_ok() && is_found_by_filter(&mut world, "copy"));
    }
}

#[test]
fn a_registered_ami_becomes_visible_late_as_well() {
    let mut world = World::default();
    world.behaviour.hide_new_images_for(MINUTE);
    ec2(&mut world, "RegisterImage", &[("Name", "new"), ("ImageLocation", IMAGE)]).expect("registered");
    assert_eq!(by_id(&mut world, IMAGE), error("InvalidAMIID.NotFound"));
    world.advance(MINUTE);
    assert_eq!(by_id(&mut world, IMAGE), Ok(vec!["available".to_owned()]));
}

#[test]
fn an_ami_that_is_not_visible_yet_is_not_found_empty_or_unavailable_by_id() {
    for (invisible_as, expected) in [
        (HiddenAs::NotFound, error("InvalidAMIID.NotFound")),
        (HiddenAs::Empty, Ok(Vec::new())),
        (HiddenAs::Unavailable, error("InvalidAMIID.Unavailable")),
    ] {
        let mut world = world();
        world.behaviour.hide_new_images_for(MINUTE);
        world.behaviour.invisible_as = invisible_as;
        let id = copy_with(&mut world, &[]).expect("a copy");
        assert_eq!(by_id(&mut world, &id), expected);
        world.advance(MINUTE);
        assert_eq!(by_id(&mut world, &id), Ok(vec!["pending".to_owned()]));
    }
}

#[test]
fn no_action_finds_an_ami_that_is_not_visible_by_id() {
    let mut world = world();
    world.behaviour.hide_new_images_for(MINUTE);
    let id = copy_with(&mut world, &[]).expect("a copy");
    for (invisible_as, expected) in [
        (HiddenAs::NotFound, "InvalidAMIID.NotFound"),
        (HiddenAs::Empty, "InvalidAMIID.NotFound"),
        (HiddenAs::Unavailable, "InvalidAMIID.Unavailable"),
    ] {
        world.behaviour.invisible_as = invisible_as;
        assert_eq!(code(ec2(&mut world, "DeregisterImage", &[("ImageId", &id)])), expected);
    }
}

#[test]
fn the_event_of_a_copy_may_come_before_the_copy_is_visible() {
    let mut world = world();
    world.behaviour.copy_duration = MINUTE;
    world.behaviour.hide_new_images_for(15 * MINUTE);
    let id = copy_with(&mut world, &[]).expect("a copy");
    world.advance(MINUTE);
    let events = world.take_events();
    assert_eq!(
        (&events[0]["detail"]["ImageId"], &events[0]["detail"]["State"]),
        (&id.clone().into(), &"available".into())
    );
    assert_eq!(by_id(&mut world, &id), error("InvalidAMIID.NotFound"));
    assert!(!is_found_by_filter(&mut world, "copy"));
}

/// Thirty looks at an AMI that flickers: by id, by filter, or both in turn.
fn thirty_looks(seed: u64, at_ids: bool, at_filters: bool) -> (Vec<bool>, Vec<bool>) {
    let mut world = world();
    world.behaviour.hide_new_images_for(15 * MINUTE);
    world.behaviour.flicker_seed = Some(seed);
    let id = copy_with(&mut world, &[]).expect("a copy");
    let mut looks = (Vec::new(), Vec::new());
    for _ in 0..30 {
        if at_ids {
            looks.0.push(by_id(&mut world, &id).is_ok());
        }
        if at_filters {
            looks.1.push(is_found_by_filter(&mut world, "copy"));
        }
    }
    world.advance(15 * MINUTE);
    for _ in 0..30 {
        assert!(by_id(&mut world, &id).is_ok() && is_found_by_filter(&mut world, "copy"), "it stays visible");
    }
    looks
}

#[test]
fn a_flickering_ami_is_shown_by_some_looks_and_not_by_others_until_it_is_visible() {
    let (by_id, by_filter) = thirty_looks(7, true, true);
    for looks in [&by_id, &by_filter] {
        let shown = looks.iter().filter(|shown| **shown).count();
        assert!((5..=25).contains(&shown), "{looks:?}");
        let disappears = looks.windows(2).any(|pair| pair == [true, false]);
        assert!(disappears, "an AMI that was shown may be hidden again: {looks:?}");
    }
    assert_ne!(by_id, by_filter, "the two kinds of look are independent");
}

#[test]
fn flickering_is_the_same_for_the_same_seed_in_any_order_of_looks() {
    let (by_id, by_filter) = thirty_looks(7, true, true);
    assert_eq!(thirty_looks(7, true, false).0, by_id);
    assert_eq!(thirty_looks(7, false, true).1, by_filter);
    assert_ne!(thirty_looks(8, true, true).0, by_id);
}

#[test]
fn a_deregistered_ami_is_returned_then_empty_then_not_found_unavailable_or_empty_for_ever() {
    for (forgotten_as, expected) in [
        (HiddenAs::NotFound, error("InvalidAMIID.NotFound")),
        (HiddenAs::Unavailable, error("InvalidAMIID.Unavailable")),
        (HiddenAs::Empty, Ok(Vec::new())),
    ] {
        let mut world = World::default();
        world.add_image(REGION, Image::new(IMAGE, "dead"));
        world.behaviour.forgotten_as = forgotten_as;
        world.deregister(REGION, IMAGE);
        assert!(world.image(REGION, IMAGE).is_none());

        assert_eq!(by_id(&mut world, IMAGE), Ok(vec!["deregistered".to_owned()]));
        assert!(is_found_by_filter(&mut world, "dead"));
        world.advance(MINUTE);
        assert_eq!(by_id(&mut world, IMAGE), Ok(Vec::new()));
        assert!(!is_found_by_filter(&mut world, "dead"));
        world.advance(HOUR);
        assert_eq!(by_id(&mut world, IMAGE), expected);
    }
}

#[test]
fn a_deregistered_ami_may_be_not_found_unavailable_or_empty_at_once() {
    for (forgotten_as, expected) in [
        (HiddenAs::NotFound, error("InvalidAMIID.NotFound")),
        (HiddenAs::Unavailable, error("InvalidAMIID.Unavailable")),
        (HiddenAs::Empty, Ok(Vec::new())),
    ] {
        let mut world = World::default();
        world.add_image(REGION, Image::new(IMAGE, "dead"));
        world.behaviour.deregistered_returned_for = Duration::ZERO;
        world.behaviour.deregistered_empty_for = Duration::ZERO;
        world.behaviour.forgotten_as = forgotten_as;
        world.deregister(REGION, IMAGE);
        assert_eq!(by_id(&mut world, IMAGE), expected);
        assert!(!is_found_by_filter(&mut world, "dead"));
    }
}

#[test]
fn an_ami_that_is_not_shared_is_not_found_empty_or_unavailable_by_id() {
    for (not_shared_as, expected) in [
        (HiddenAs::NotFound, error("InvalidAMIID.NotFound")),
        (HiddenAs::Empty, Ok(Vec::new())),
        (HiddenAs::Unavailable, error("InvalidAMIID.Unavailable")),
    ] {
        let mut world = World::default();
        world.add_image(REGION, Image::new(IMAGE, "theirs").owner(STRANGER));
        world.behaviour.not_shared_as = not_shared_as;
        assert_eq!(by_id(&mut world, IMAGE), expected);
    }
}

#[test]
fn an_ami_and_its_snapshots_may_be_shared_some_time_after_the_event() {
    let mut world = World::default();
    world.add_image(SOURCE_REGION, Image::new(SOURCE, "theirs"));
    world.share_image_later(SOURCE_REGION, SOURCE, STRANGER, 10 * MINUTE);
    world.share_snapshots_later(SOURCE_REGION, SOURCE, STRANGER, 20 * MINUTE);
    let mut copy = || {
        let copy = [("Name", "copy"), ("SourceImageId", SOURCE), ("SourceRegion", SOURCE_REGION)];
        let copied = ec2_as(&stranger(), &mut world, "CopyImage", &copy).map(|_| ()).map_err(|error| error.code);
        world.advance(10 * MINUTE);
        copied
    };
    assert_eq!(copy(), Err("InvalidAMIID.NotFound".to_owned()));
    assert_eq!(copy(), Err("InvalidRequest".to_owned()), "its snapshots are not shared yet");
    assert_eq!(copy(), Ok(()));
}

#[test]
fn sharing_an_ami_that_is_gone_by_then_does_nothing() {
    let mut world = world();
    world.share_image_later(SOURCE_REGION, SOURCE, STRANGER, MINUTE);
    world.deregister(SOURCE_REGION, SOURCE);
    world.advance(MINUTE);
    assert!(world.images(SOURCE_REGION).is_empty());
}

#[test]
fn the_weakest_ec2_keeps_no_name_hides_new_amis_for_15_minutes_and_forgets_dead_ones_at_once() {
    let mut world = world();
    world.behaviour = Behaviour::weakest();
    let token = [("ClientToken", "t")];
    let first = copy_with(&mut world, &token).expect("a copy");
    copy_with(&mut world, &[]).expect("a second one of the same name");
    world.advance(14 * MINUTE);
    world.advance(59 * SECOND);
    assert_eq!(by_id(&mut world, &first), error("InvalidAMIID.NotFound"));
    assert!(!is_found_by_filter(&mut world, "copy"));
    world.advance(SECOND);
    assert_eq!(by_id(&mut world, &first), Ok(vec!["pending".to_owned()]));
    world.advance(HOUR);
    assert_eq!(world.image(REGION, &first).map(|image| image.state), Some(ImageState::Available));
    world.deregister(REGION, &first);
    assert_eq!(by_id(&mut world, &first), error("InvalidAMIID.NotFound"));
    assert_eq!(code(copy_with(&mut world, &token)), "IdempotentInstanceTerminated");
    world.advance(24 * HOUR);
    copy_with(&mut world, &token).expect("the token is forgotten");
}
