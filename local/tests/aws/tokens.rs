//! Client tokens of `CopyImage`.

use std::time::Duration;

use local::aws::{Caller, CopyFailure, TokenOfDeadImage, World};

use super::{REGION, SOURCE, SOURCE_REGION, code, copy_with, ec2_as, world};

const HOUR: Duration = Duration::from_secs(3600);
const TOKEN: (&str, &str) = ("ClientToken", "t1");

#[test]
fn the_same_token_and_parameters_have_the_same_answer_even_when_the_ami_is_gone() {
    let mut world = world();
    let token = [("ClientToken", "t1")];
    let id = copy_with(&mut world, &token).expect("a copy");
    assert_eq!(copy_with(&mut world, &token).as_ref(), Ok(&id));
    assert_eq!(world.images(REGION).len(), 1);
    world.deregister(REGION, &id);
    world.deregister(SOURCE_REGION, SOURCE);
    world.advance(HOUR * 100);
    assert_eq!(copy_with(&mut world, &token).as_ref(), Ok(&id), "tokens outlive their AMI");
    assert!(world.images(REGION).is_empty());
}

#[test]
fn the_same_token_with_other_parameters_is_a_mismatch() {
    let mut world = world();
    copy_with(&mut world, &[("ClientToken", "t1")]).expect("a copy");
    let other = copy_with(&mut world, &[("ClientToken", "t1"), ("Description", "other")]);
    assert_eq!(code(other), "IdempotentParameterMismatch");
    let elsewhere =
        [("Name", "copy"), ("SourceImageId", SOURCE), ("SourceRegion", SOURCE_REGION), ("ClientToken", "t1")];
    let other_region = Caller::in_region("eu-west-2");
    ec2_as(&other_region, &mut world, "CopyImage", &elsewhere).expect("a token is known in its Region only");
}

#[test]
fn a_token_of_a_refused_call_is_not_remembered() {
    let mut world = world();
    world.behaviour.copy_image_refuses_taken_names = true;
    let taken = copy_with(&mut world, &[]).expect("a copy");
    assert_eq!(code(copy_with(&mut world, &[("ClientToken", "t1")])), "InvalidAMIName.Duplicate");
    world.deregister(REGION, &taken);
    copy_with(&mut world, &[("ClientToken", "t1")]).expect("the call is new");
}

#[test]
fn tokens_have_at_most_128_ascii_characters_and_descriptions_at_most_255() {
    let wrong = [("ClientToken", "x".repeat(129)), ("ClientToken", "ü".to_owned()), ("Description", "x".repeat(256))];
    for (name, value) in wrong {
        assert_eq!(code(copy_with(&mut world(), &[(name, &value)])), "InvalidParameterValue", "{name}");
    }
    let (token, description) = ("x".repeat(128), "ü".repeat(255));
    copy_with(&mut world(), &[("ClientToken", &token), ("Description", &description)]).expect("both fit");
}

#[test]
fn a_token_is_forgotten_after_its_time_and_a_repeated_call_makes_another_copy() {
    let mut world = world();
    world.behaviour.tokens_remembered_for = Some(24 * HOUR);
    let first = copy_with(&mut world, &[TOKEN]).expect("a copy");
    world.advance(23 * HOUR);
    assert_eq!(copy_with(&mut world, &[TOKEN]).as_ref(), Ok(&first));
    world.advance(HOUR);
    let second = copy_with(&mut world, &[TOKEN]).expect("another copy");
    assert_ne!(first, second);
    world.advance(HOUR);
    assert_eq!(copy_with(&mut world, &[TOKEN]).as_ref(), Ok(&second), "the second call is remembered in turn");
    assert_eq!(world.images(REGION).len(), 2);
}

#[test]
fn a_forgotten_token_may_have_other_parameters() {
    let mut world = world();
    world.behaviour.tokens_remembered_for = Some(24 * HOUR);
    copy_with(&mut world, &[TOKEN]).expect("a copy");
    world.advance(24 * HOUR);
    copy_with(&mut world, &[TOKEN, ("Description", "other")]).expect("another copy");
}

#[test]
fn the_token_of_a_dead_ami_is_answered_with_its_id_or_with_an_error() {
    let deregistered: fn(&mut World, &str) = |world, id| assert!(world.deregister(REGION, id));
    let failed: fn(&mut World, &str) = |world, _| world.advance(HOUR);
    for dies in [deregistered, failed] {
        let mut world = world();
        world.fail_next_copy(SOURCE, CopyFailure::key_not_accessible());
        let id = copy_with(&mut world, &[TOKEN]).expect("a copy");
        dies(&mut world, &id);
        assert_eq!(copy_with(&mut world, &[TOKEN]).as_ref(), Ok(&id));

        world.behaviour.token_of_dead_image = TokenOfDeadImage::Error;
        let error = copy_with(&mut world, &[TOKEN]).expect_err("its AMI is dead");
        assert_eq!((error.status, error.code.as_str()), (400, "IdempotentInstanceTerminated"));
        let mismatch = copy_with(&mut world, &[TOKEN, ("Description", "other")]);
        assert_eq!(code(mismatch), "IdempotentParameterMismatch", "parameters are compared first");
    }
}

#[test]
fn the_token_of_an_ami_in_service_is_answered_with_its_id_even_if_dead_ones_are_errors() {
    let mut world = world();
    world.behaviour.token_of_dead_image = TokenOfDeadImage::Error;
    let id = copy_with(&mut world, &[TOKEN]).expect("a copy");
    assert_eq!(copy_with(&mut world, &[TOKEN]).as_ref(), Ok(&id), "pending");
    world.advance(HOUR);
    assert_eq!(copy_with(&mut world, &[TOKEN]).as_ref(), Ok(&id), "available");
}

#[test]
fn the_same_tags_in_another_order_are_other_parameters() {
    let tags = |first: &'static str, second: &'static str| {
        [
            TOKEN,
            ("TagSpecification.1.ResourceType", "image"),
            ("TagSpecification.1.Tag.1.Key", first),
            ("TagSpecification.1.Tag.2.Key", second),
        ]
    };
    let mut world = world();
    copy_with(&mut world, &tags("a", "b")).expect("a copy");
    copy_with(&mut world, &tags("a", "b")).expect("the same call");
    assert_eq!(code(copy_with(&mut world, &tags("b", "a"))), "IdempotentParameterMismatch");
}

#[test]
fn the_same_tag_specifications_in_another_order_are_other_parameters() {
    let specifications = |first: &'static str, second: &'static str| {
        [
            TOKEN,
            ("TagSpecification.1.ResourceType", first),
            ("TagSpecification.1.Tag.1.Key", "a"),
            ("TagSpecification.2.ResourceType", second),
            ("TagSpecification.2.Tag.1.Key", "a"),
        ]
    };
    let mut world = world();
    copy_with(&mut world, &specifications("image", "snapshot")).expect("a copy");
    let other_order = copy_with(&mut world, &specifications("snapshot", "image"));
    assert_eq!(code(other_order), "IdempotentParameterMismatch");
}

#[test]
fn a_parameter_with_its_default_value_is_another_call_than_none() {
    let mut world = world();
    copy_with(&mut world, &[TOKEN]).expect("a copy");
    assert_eq!(code(copy_with(&mut world, &[TOKEN, ("CopyImageTags", "false")])), "IdempotentParameterMismatch");
}

#[test]
fn a_dry_run_remembers_no_token() {
    let mut world = world();
    let dry_run = [TOKEN, ("DryRun", "true"), ("Description", "other")];
    assert_eq!(code(copy_with(&mut world, &dry_run)), "DryRunOperation");
    copy_with(&mut world, &[TOKEN]).expect("the token is new");
}
