//! Which AMI of a list is taken.

use courier_core::identity::Identity;
use courier_core::image::Image;
use courier_core::list::*;
use courier_core::settings::Settings;

fn ami(number: usize) -> Identity {
    let region = ["us-east-1", "us-west-2", "us-east-2", "us-west-1"][number].parse().unwrap();
    Identity { region, image: format!("ami-0000000{number}").parse().unwrap() }
}

fn image(number: usize) -> Image {
    Image::new(ami(number).image)
}

fn visible(image: Image) -> Seen {
    Seen::Visible(Box::new(image))
}

fn refused() -> Seen {
    Seen::Refused("its owner is not one of SOURCE_OWNERS".to_owned())
}

fn hidden() -> Seen {
    Seen::NotVisible("it is not visible".to_owned())
}

/// What is chosen while the message is young, and later.
fn chosen(all_seen: Vec<Seen>) -> [Choice; 2] {
    let list: Vec<(Identity, Seen)> =
        all_seen.into_iter().enumerate().map(|(number, seen)| (ami(number), seen)).collect();
    [choose(&list, true), choose(&list, false)]
}

fn waits(choice: &Choice) -> bool {
    matches!(choice, Choice::Wait(_))
}

#[test]
fn the_first_that_is_visible_and_trusted_is_taken() {
    let take = |place| [Choice::Take(place), Choice::Take(place)];
    assert_eq!(chosen(vec![visible(image(0)), visible(image(1))]), take(0));
    assert_eq!(chosen(vec![refused(), visible(image(1)), visible(image(2))]), take(1));
    assert_eq!(chosen(vec![refused(), refused(), visible(image(2)), hidden()]), take(2));
}

#[test]
fn one_that_is_not_visible_keeps_the_next_waiting_only_while_the_message_is_young() {
    for all_seen in [vec![hidden(), visible(image(1))], vec![refused(), hidden(), visible(image(2))]] {
        let last = all_seen.len() - 1;
        let [young, old] = chosen(all_seen);
        assert!(waits(&young), "{young:?}");
        assert_eq!(old, Choice::Take(last));
    }
}

#[test]
fn only_a_list_in_which_none_is_left_fails_and_it_names_the_reason_of_each() {
    let [young, old] = chosen(vec![refused(), hidden()]);
    assert_eq!(young, old);
    let Choice::Wait(reasons) = old else { panic!("{old:?}") };
    assert_eq!(
        reasons,
        "ami-00000000 in us-east-1: its owner is not one of SOURCE_OWNERS; ami-00000001 in us-west-2: it is not visible"
    );
    let [_, none] = chosen(vec![refused(), refused()]);
    assert!(matches!(&none, Choice::Nothing(reasons) if reasons.matches("SOURCE_OWNERS").count() == 2), "{none:?}");
}

#[test]
fn of_a_list_with_an_origin_and_its_siblings_the_origin_is_taken() {
    let sibling = || Image { source: Some(ami(1)), ..image(0) };
    assert_eq!(chosen(vec![visible(sibling()), visible(image(1))])[0], Choice::Take(1));
    assert_eq!(chosen(vec![visible(sibling()), refused()])[0], Choice::Take(0));
    let [young, old] = chosen(vec![visible(sibling()), hidden()]);
    assert!(waits(&young), "{young:?}");
    assert_eq!(old, Choice::Take(0));
    let of_another = Image { source: Some(ami(3)), ..image(0) };
    assert_eq!(chosen(vec![visible(of_another), visible(image(1))])[0], Choice::Take(0));
}

#[test]
fn only_the_amis_in_allowed_regions_count_in_the_builders_order() {
    let images: Vec<Identity> = (0..4).map(ami).collect();
    let allowed = |of: &str| {
        let all = [("AWS_REGION", "eu-west-1"), ("SOURCE_REGIONS", of)];
        let settings = Settings::read(|name| all.iter().find(|(it, _)| *it == name).map(|(_, it)| (*it).to_owned()));
        allowed(&images, &settings.unwrap())
    };
    assert_eq!(allowed(""), Ok(images.clone()));
    assert_eq!(allowed("us-west-1,us-west-2"), Ok(vec![ami(1), ami(3)]));
    let refusal = allowed("eu-north-1").unwrap_err();
    assert_eq!(refusal.matches("is not one of SOURCE_REGIONS (eu-north-1)").count(), 4, "{refusal}");
    // Several accounts have an AMI each in one Region: that is one reason.
    let settings = Settings::read(|name| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "SOURCE_REGIONS" => Some("eu-north-1".to_owned()),
        _ => None,
    });
    let in_one_region = [ami(0), Identity { image: ami(1).image, ..ami(0) }];
    let reason = "us-east-1 is not one of SOURCE_REGIONS (eu-north-1)";
    assert_eq!(courier_core::list::allowed(&in_one_region, &settings.unwrap()), Err(reason.to_owned()));
}
