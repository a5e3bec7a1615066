//! Names of AMIs: whether one that is taken is refused.

use std::time::Duration;

use local::aws::{CopyFailure, Image, ImageState, World};

use super::{REGION, SOURCE, STRANGER, code, copy_with, ec2, world};

const HOUR: Duration = Duration::from_secs(3600);

/// A world with the source AMI, in which `CopyImage` refuses a name that is taken.
fn world_with_unique_names() -> World {
    let mut world = world();
    world.behaviour.copy_image_refuses_taken_names = true;
    world
}

#[test]
fn copy_image_takes_a_name_twice_unless_the_world_refuses_it() {
    let mut world = world();
    let first = copy_with(&mut world, &[]).expect("the first");
    let second = copy_with(&mut world, &[]).expect("the second");
    assert_ne!(first, second);
    assert!(world.images(REGION).iter().all(|image| image.name == "copy"));

    world.behaviour.copy_image_refuses_taken_names = true;
    assert_eq!(code(copy_with(&mut world, &[])), "InvalidAMIName.Duplicate");
}

#[test]
fn register_image_always_refuses_a_name_that_is_taken() {
    let mut world = world();
    copy_with(&mut world, &[]).expect("a copy");
    assert_eq!(code(ec2(&mut world, "RegisterImage", &[("Name", "copy")])), "InvalidAMIName.Duplicate");
    ec2(&mut world, "RegisterImage", &[("Name", "other")]).expect("the name is free");
}

#[test]
fn if_names_are_unique_a_name_is_taken_once_per_account_and_region_and_the_error_names_the_holder() {
    let mut world = world_with_unique_names();
    let holder = copy_with(&mut world, &[]).expect("the first");
    let error = copy_with(&mut world, &[]).expect_err("the name is taken");
    assert_eq!(error.code, "InvalidAMIName.Duplicate");
    assert_eq!(error.message, format!("AMI name copy is already in use by AMI {holder}"));

    world.add_image("eu-west-2", Image::new("ami-00000000000000001", "elsewhere"));
    copy_with(&mut world, &[("Name", "elsewhere")]).expect("another Region's name is free here");
    world.add_image(REGION, Image::new("ami-00000000000000002", "theirs").owner(STRANGER));
    copy_with(&mut world, &[("Name", "theirs")]).expect("another account's name is free");
}

#[test]
fn if_names_are_unique_a_failed_ami_holds_its_name_until_it_is_deregistered() {
    let mut world = world_with_unique_names();
    world.fail_next_copy(SOURCE, CopyFailure::key_not_accessible());
    let failed = copy_with(&mut world, &[]).expect("accepted");
    world.advance(HOUR);
    assert_eq!(world.image(REGION, &failed).expect("the copy").state, ImageState::Failed);
    assert_eq!(code(copy_with(&mut world, &[])), "InvalidAMIName.Duplicate");
    ec2(&mut world, "DeregisterImage", &[("ImageId", &failed)]).expect("deregistered");
    copy_with(&mut world, &[]).expect("the name is free");
}

#[test]
fn the_name_of_a_deregistered_ami_lingers_as_long_as_the_world_says() {
    let mut world = world_with_unique_names();
    world.behaviour.name_lingers_for = HOUR;
    let id = copy_with(&mut world, &[]).expect("a copy");
    world.deregister(REGION, &id);
    assert_eq!(code(copy_with(&mut world, &[])), "InvalidAMIName.Duplicate");
    world.advance(HOUR);
    copy_with(&mut world, &[]).expect("the name is free");
}

#[test]
fn the_name_of_an_invisible_ami_is_taken_unless_the_world_says_otherwise() {
    let mut world = world_with_unique_names();
    world.behaviour.hide_new_images_for(HOUR);
    copy_with(&mut world, &[]).expect("the first");
    assert_eq!(code(copy_with(&mut world, &[])), "InvalidAMIName.Duplicate");
    world.behaviour.invisible_hold_names = false;
    copy_with(&mut world, &[]).expect("no visible AMI has the name");
    world.advance(HOUR);
    assert_eq!(code(copy_with(&mut world, &[])), "InvalidAMIName.Duplicate");
}
