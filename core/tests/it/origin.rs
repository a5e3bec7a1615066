//! Where an AMI was first, as its shared tag says it.

use proptest::prelude::*;

use courier_core::identity::{Identity, Stack};
use courier_core::image::{Image, tag};
use courier_core::origin::Origin;
use courier_core::selection::{comes_from_elsewhere, is_not_here_already};

use crate::any;

const HERE: &str = "123456789012";
const ELSEWHERE: &str = "111122223333";

fn identity() -> Identity {
    Identity { region: "us-east-1".parse().unwrap(), image: "ami-0abcdef1234567890".parse().unwrap() }
}

fn stack(region: &str) -> Stack {
    Stack { region: region.parse().unwrap(), account: HERE.parse().ok() }
}

fn image(owner: &str, origin: Option<&str>) -> Image {
    let tags = origin.map(|origin| (tag::ORIGIN.to_owned(), origin.to_owned())).into_iter().collect();
    Image { owner: owner.parse().ok(), tags, ..Image::new(identity().image) }
}

#[test]
fn an_ami_without_the_tag_is_its_own_origin_and_one_with_it_hands_it_on() {
    let own = Origin::of(&image(ELSEWHERE, None), &identity()).unwrap();
    assert_eq!(own.to_string(), "111122223333/us-east-1/ami-0abcdef1234567890");
    assert_eq!(Origin::handed_on(&image(ELSEWHERE, None)), None);
    let first = "123456789012/eu-west-1/ami-5731123e";
    let handed_on = image(ELSEWHERE, Some(first));
    assert_eq!(Origin::of(&handed_on, &identity()).unwrap().to_string(), first);
    assert_eq!(Origin::of(&image("", None), &identity()), None, "nobody knows whose it is");
}

#[test]
fn a_tag_that_the_courier_does_not_write_is_no_origin() {
    let good = "123456789012/eu-west-1/ami-5731123e";
    for bad in
        ["", "ami-5731123e", "123456789012/eu-west-1", "1234/eu-west-1/ami-5731123e", "123456789012/x/ami-5731123e"]
    {
        assert!(bad.parse::<Origin>().is_err(), "{bad}");
    }
    assert!(format!("{good}/x").parse::<Origin>().is_err());
    assert_eq!(Origin::handed_on(&image(ELSEWHERE, Some("?"))), None);
}

#[test]
fn what_comes_from_this_account_is_not_copied_into_it_again() {
    let ours = image(ELSEWHERE, Some("123456789012/eu-west-1/ami-5731123e"));
    let reason = comes_from_elsewhere(&ours, &identity().region, &stack("ap-northeast-1")).unwrap_err();
    assert!(reason.contains("ami-5731123e in eu-west-1") && reason.contains(tag::ORIGIN), "{reason}");
    let theirs = image(ELSEWHERE, Some("444455556666/eu-west-1/ami-5731123e"));
    assert_eq!(comes_from_elsewhere(&theirs, &identity().region, &stack("ap-northeast-1")), Ok(()));
}

#[test]
fn only_an_ami_of_this_account_in_this_region_is_here_already() {
    let is_here = |owner: &str, stack_region: &str| {
        is_not_here_already(&image(owner, None), &identity().region, &stack(stack_region)).is_err()
    };
    assert!(is_here(HERE, "us-east-1"));
    assert!(!is_here(ELSEWHERE, "us-east-1"));
    assert!(!is_here(HERE, "eu-west-1"));
    let nobody_knows = Stack { account: None, ..stack("us-east-1") };
    assert_eq!(is_not_here_already(&image("", None), &identity().region, &nobody_knows), Ok(()));
}

proptest! {
    #[test]
    fn an_origin_is_read_as_it_was_written(ami in any::source(), account in "[0-9]{12}") {
        let origin = Origin { account: account.parse().unwrap(), ami };
        prop_assert_eq!(origin.to_string().parse::<Origin>().unwrap(), origin);
    }
}
