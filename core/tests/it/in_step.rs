//! How a copy stays in step. The numbers in comments are those of the ways in which earlier designs broke.

use std::collections::BTreeMap;

use courier_core::copy_image::Tag;
use courier_core::identity::Identity;
use courier_core::image::{Image, State, tag};
use courier_core::in_step::{
    Changes, Finished, Hint, Part, PermissionsBecause, Shown, Source, TagOf, changes, may_be_on_snapshots,
};
use courier_core::settings::Settings;
use proptest::collection::btree_map;
use proptest::prelude::*;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-30 12:00:30 UTC);
const STACK: &str = "golden";

/// One copy with its source and settings, and what a test changes of them.
struct Case {
    copy: Image,
    source: Image,
    is_in_sight: bool,
    settings: Settings,
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let variable = |name: &str| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "STACK_NAME" => Some(STACK.to_owned()),
        _ => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
    };
    Settings::read(variable).unwrap()
}

fn identity() -> Identity {
    Identity { region: "us-east-1".parse().unwrap(), image: "ami-5731123e".parse().unwrap() }
}

fn with(image: &mut Image, key: &str, value: &str) {
    image.tags.insert(key.to_owned(), value.to_owned());
}

/// A copy that is in step: finished, with everything that its source has.
fn in_step(variables: &[(&str, &str)]) -> Case {
    let settings = settings(variables);
    let source = Image {
        state: State::Available,
        owner: Some("123456789012".parse().unwrap()),
        created: Some(datetime!(2026-11-01 08:00 UTC)),
        tags: [("Channel".to_owned(), "beta".to_owned())].into(),
        ..Image::new("ami-5731123e".parse().unwrap())
    };
    let mut copy = Image {
        state: State::Available,
        description: Some(format!("Copied from {}", identity())),
        created: Some(datetime!(2026-11-01 09:00:45 UTC)),
        tags: source.tags.clone(),
        ..Image::new("ami-0abcdef1234567890".parse().unwrap())
    };
    with(&mut copy, tag::SOURCE_IMAGE, "ami-5731123e");
    with(&mut copy, tag::SOURCE_REGION, "us-east-1");
    with(&mut copy, tag::STACK, STACK);
    with(&mut copy, tag::SOURCE_CREATED, "2026-11-01T08:00:00Z");
    let share = Hint::with(&settings.finishing.share_with);
    let finished = Finished { at: Some(NOW - Duration::hours(1)), share: Some(share), not_shared: None };
    with(&mut copy, tag::FINISHED, &finished.to_string());
    if settings.copying.is_shared {
        with(&mut copy, tag::ORIGIN, "123456789012/us-east-1/ami-5731123e");
    }
    Case { copy, source, is_in_sight: true, settings }
}

impl Case {
    fn look(&self) -> Option<Changes> {
        self.look_at(NOW)
    }

    fn look_at(&self, now: OffsetDateTime) -> Option<Changes> {
        let identity = identity();
        let source = Source { identity: &identity, image: &self.source };
        let shown = Shown::of(&self.copy, STACK);
        changes(&shown, Some(&source).filter(|_| self.is_in_sight), &self.settings, now)
    }

    fn changes(&self) -> Changes {
        self.look().expect("the copy is left alone")
    }

    fn unfinished(mut self) -> Self {
        self.copy.tags.remove(tag::FINISHED);
        self
    }

    fn finished(mut self, value: &str) -> Self {
        with(&mut self.copy, tag::FINISHED, value);
        self
    }

    /// Does what differs, as EC2 would.
    fn follow(&mut self) {
        let Some(changes) = self.look() else { return };
        for tag in changes.image_tags() {
            with(&mut self.copy, &tag.key, &tag.value);
        }
        if let Some(description) = changes.description {
            self.copy.description = Some(description.to_string());
        }
        self.copy.requires_imds_v2 |= changes.require_imds_v2;
        self.copy.deprecated_from = changes.deprecate_from.or(self.copy.deprecated_from);
        self.copy.protected |= changes.protect.is_some();
        if changes.permissions.is_some() || !self.copy.tags.contains_key(tag::FINISHED) {
            let share = Hint::with(&self.settings.finishing.share_with);
            let finished = Finished { at: Some(NOW), share: Some(share), not_shared: None };
            with(&mut self.copy, tag::FINISHED, &finished.to_string());
        }
    }
}

fn tags(changes: &Changes) -> Vec<(TagOf, &str, &str)> {
    changes.tags.iter().map(|(of, tag)| (*of, tag.key.as_str(), tag.value.as_str())).collect()
}

#[test]
fn a_copy_that_is_in_step_has_no_changes() {
    for variables in
        [&[][..], &[("SHARE_WITH", "111122223333")], &[("DEPRECATE", "30"), ("EXTRA_TAGS", "Channel=beta")]]
    {
        let mut case = in_step(variables);
        case.follow();
        assert_eq!(case.look(), Some(Changes::default()), "{variables:?}");
    }
}

#[test]
fn a_copy_is_compared_with_its_source_as_it_is_and_never_with_a_record() {
    // 1, 2: a function that ended before it wrote its record, or one that wrote it late.
    let mut case = in_step(&[]);
    with(&mut case.copy, "Channel", "prod");
    assert_eq!(tags(&case.changes()), [(TagOf::Source, "Channel", "beta")]);
    assert_eq!(case.changes().described(), ["1 tag of its source is newer"]);
    case.follow();
    with(&mut case.source, "Channel", "prod");
    with(&mut case.source, "Release", "7");
    assert_eq!(case.changes().described(), ["2 tags of its source are newer"]);
}

#[test]
fn another_stacks_copy_is_left_alone() {
    // 3
    let mut case = in_step(&[("SHARE_WITH", "111122223333")]).finished("2026-11-01T10:00:00Z share=0000000000000000");
    assert_eq!(case.changes().parts(), [Part::LaunchPermission]);
    with(&mut case.copy, tag::STACK, "another");
    assert_eq!(case.look(), None);
    assert_eq!(case.unfinished().look(), None);
}

#[test]
fn a_copy_of_the_last_version_is_left_alone_unless_somebody_adopts_it() {
    // 4
    let variables =
        [("SHARE_WITH", "111122223333"), ("EXTRA_TAGS", "Team=images"), ("DEREGISTRATION_PROTECTION", "On")];
    let mut case = in_step(&variables).finished("2026-11-01T10:00:00Z");
    for key in [tag::STACK, tag::SOURCE_CREATED, tag::ORIGIN] {
        case.copy.tags.remove(key);
    }
    with(&mut case.copy, "Channel", "by hand");
    case.source.requires_imds_v2 = true;
    assert_eq!(case.look(), None);
    with(&mut case.copy, tag::STACK, STACK);
    let changes = case.changes();
    assert_eq!(changes.parts(), [Part::Tags, Part::ImdsSupport, Part::LaunchPermission]);
    assert_eq!(changes.permissions, Some(PermissionsBecause::NotSharedYet));
    let keys: Vec<&str> = changes.image_tags().map(|tag| tag.key.as_str()).collect();
    assert_eq!(keys, [tag::SOURCE_CREATED, tag::ORIGIN, "Team", "Channel"]);
}

#[test]
fn a_copy_that_the_last_version_left_unfinished_is_finished_and_adopted() {
    let mut case = in_step(&[]).unfinished();
    case.copy.tags.remove(tag::STACK);
    assert_eq!(tags(&case.changes()), [(TagOf::Courier, tag::STACK, STACK)]);
}

#[test]
fn nothing_is_ever_taken_back() {
    // 4
    let mut case = in_step(&[]);
    with(&mut case.copy, "Only", "here");
    case.copy.deprecated_from = Some(NOW + Duration::days(3));
    case.copy.protected = true;
    case.copy.requires_imds_v2 = true;
    case.source.tags.clear();
    assert_eq!(case.changes(), Changes::default());
    case.source.description = Some(String::new());
    assert!(case.changes().are_none());
}

#[test]
fn hands_are_kept_off_a_copy_with_the_tag_skip() {
    let mut case = in_step(&[]);
    with(&mut case.source, "Release", "7");
    assert_eq!(case.changes().parts(), [Part::Tags]);
    with(&mut case.copy, tag::SKIP, "");
    assert_eq!(case.look(), None);
}

#[test]
fn without_reconcile_a_copy_is_finished_once() {
    let mut case = in_step(&[]);
    case.settings.reconcile = false;
    with(&mut case.source, "Release", "7");
    assert_eq!(case.look(), None);
    let mut first = case.unfinished();
    assert_eq!(first.changes().parts(), [], "it keeps what its CopyImage call gave it");
    first.copy.tags.remove(tag::STACK);
    assert_eq!(tags(&first.changes()), [(TagOf::Courier, tag::STACK, STACK)]);
}

#[test]
fn late_tags_the_description_and_imds_follow_the_source() {
    let mut case = in_step(&[]);
    with(&mut case.source, "Release", "7");
    with(&mut case.source, "ec2:SharedTag/Team", "images");
    with(&mut case.source, "aws:backup:source-resource", "i-1");
    with(&mut case.source, "ami-courier:skip-not", "1");
    case.source.description = Some("Base image 7".to_owned());
    case.source.requires_imds_v2 = true;
    let changes = case.changes();
    let expected = [(TagOf::Source, "ec2:SharedTag/Team", "images"), (TagOf::Source, "Release", "7")];
    assert_eq!(tags(&changes), expected);
    // 16d: the image's tags show whether the snapshots have theirs, so these come first. They take no shared tags.
    assert_eq!(
        changes.image_tags().filter(|tag| may_be_on_snapshots(tag)).map(|tag| tag.key.as_str()).collect::<Vec<_>>(),
        ["Release"]
    );
    assert_eq!(changes.description.as_ref().unwrap().as_str(), "Base image 7");
    assert!(changes.require_imds_v2);
    assert_eq!(changes.parts(), [Part::Tags, Part::Description, Part::ImdsSupport]);
    case.follow();
    assert!(case.changes().are_none());
}

#[test]
fn settings_of_tags_count_and_extra_tags_win() {
    let mut case = in_step(&[("COPY_TAGS", "false"), ("EXTRA_TAGS", "Channel=extra")]);
    with(&mut case.source, "Release", "7");
    assert_eq!(tags(&case.changes()), [(TagOf::ExtraTags, "Channel", "extra")]);
    assert_eq!(case.changes().described(), ["1 tag of EXTRA_TAGS differs"]);
}

#[test]
fn a_description_that_cannot_be_filled_in_stays() {
    let mut case = in_step(&[("COPY_DESCRIPTION", "release {tag:Release}")]);
    assert!(case.changes().are_none());
    with(&mut case.source, "Release", "7");
    assert_eq!(case.changes().description.unwrap().as_str(), "release 7");
}

#[test]
fn a_tag_without_a_place_or_of_a_form_that_ec2_refuses_is_no_difference() {
    // 9, 16b
    let mut case = in_step(&[]);
    for number in 0..45 {
        with(&mut case.source, &format!("Z{number:02}"), "1");
    }
    with(&mut case.source, &"k".repeat(129), "1");
    with(&mut case.source, "long", &"v".repeat(257));
    let changes = case.changes();
    let users = |image: &Image| image.tags.keys().filter(|key| !key.starts_with(tag::PREFIX)).count();
    assert_eq!((changes.tags.len(), changes.left_out.len()), (37, 8));
    case.follow();
    assert_eq!(users(&case.copy), 38);
    with(&mut case.source, "A", "sorts first");
    assert!(case.changes().are_none());
    assert_eq!(case.changes().left_out.len(), 9);
    // What it has already can still be set.
    with(&mut case.source, "Z00", "2");
    assert_eq!(tags(&case.changes()), [(TagOf::Source, "Z00", "2")]);
}

#[test]
fn the_courier_keeps_its_places_and_counts_the_tags_that_a_copy_has() {
    // 9
    let mut case = in_step(&[]);
    case.copy.tags.remove(tag::SOURCE_CREATED);
    for number in 0..41 {
        with(&mut case.copy, &format!("Hand{number:02}"), "1");
    }
    with(&mut case.copy, "aws:cloudformation:stack-name", "takes no place");
    with(&mut case.source, "Release", "7");
    assert_eq!(tags(&case.changes()), [(TagOf::Courier, tag::SOURCE_CREATED, "2026-11-01T08:00:00Z")]);
    assert_eq!(case.changes().left_out, ["Release"]);
    // The courier's own take places from each other, too.
    let mut two = in_step(&[]).unfinished();
    for key in [tag::SOURCE_CREATED, tag::STACK] {
        two.copy.tags.remove(key);
    }
    while two.copy.tags.len() < 49 {
        let key = format!("Hand{:02}", two.copy.tags.len());
        with(&mut two.copy, &key, "1");
    }
    assert_eq!((tags(&two.changes()).len(), two.changes().left_out.len()), (1, 1));
    // A 51st tag has no place, not even the courier's.
    for number in 41..45 {
        with(&mut case.copy, &format!("Hand{number:02}"), "1");
    }
    assert_eq!(case.copy.tags.keys().filter(|key| !key.starts_with("aws:")).count(), 50);
    assert!(case.changes().are_none());
}

#[test]
fn a_deprecation_time_follows_its_source_in_whole_minutes() {
    // 16a: EC2 counts in minutes.
    let mut case = in_step(&[]);
    case.source.deprecated_from = Some(datetime!(2027-03-01 10:00:45 UTC));
    assert_eq!(case.changes().deprecate_from, Some(datetime!(2027-03-01 10:00 UTC)));
    assert_eq!(case.changes().described(), ["its deprecation time differs"]);
    case.copy.deprecated_from = Some(datetime!(2027-03-01 10:00 UTC));
    assert!(case.changes().are_none());
    case.source.deprecated_from = Some(datetime!(2027-04-01 10:00 UTC));
    assert_eq!(case.changes().deprecate_from, Some(datetime!(2027-04-01 10:00 UTC)));
    case.source.deprecated_from = Some(datetime!(2027-05-01 10:00:45.75 UTC));
    assert_eq!(case.changes().deprecate_from, Some(datetime!(2027-05-01 10:00 UTC)));
    // EC2 did not say when the copy was made.
    case.copy.created = None;
    assert_eq!(case.changes().deprecate_from, Some(datetime!(2027-05-01 10:00 UTC)));
    // Days count from the copy's creation at :45.
    let mut days = in_step(&[("DEPRECATE", "90")]);
    assert_eq!(days.changes().deprecate_from, Some(datetime!(2027-01-30 09:00 UTC)));
    days.follow();
    assert!(days.changes().are_none());
    assert!(in_step(&[("DEPRECATE", "Never")]).changes().are_none());
}

#[test]
fn a_deprecation_time_in_the_past_is_set_once() {
    // 10
    let mut case = in_step(&[]);
    case.source.deprecated_from = Some(NOW - Duration::days(5));
    assert_eq!(case.changes().deprecate_from, Some(datetime!(2026-11-30 12:03 UTC)));
    case.copy.deprecated_from = Some(datetime!(2026-11-30 12:03 UTC));
    for minutes in 0..20 {
        let later = NOW + Duration::minutes(minutes);
        assert!(case.look_at(later).unwrap().are_none(), "{minutes} minutes later");
    }
    case.copy.deprecated_from = Some(NOW - Duration::days(700));
    assert!(case.changes().are_none());
    // One that is ahead is moved to the nearest that EC2 takes.
    case.copy.deprecated_from = Some(NOW + Duration::days(700));
    assert_eq!(case.changes().deprecate_from, Some(datetime!(2026-11-30 12:03 UTC)));
}

#[test]
fn the_limits_of_a_deprecation_time_do_not_move_with_the_clock() {
    // 16a, 39
    let mut case = in_step(&[]);
    case.source.deprecated_from = Some(datetime!(2099-01-01 00:00 UTC));
    for (is_public, years) in [(false, 10), (true, 2)] {
        case.copy.is_public = is_public;
        case.copy.deprecated_from = None;
        let set = case.changes().deprecate_from.unwrap();
        assert_eq!(set, datetime!(2026-11-01 09:00 UTC) + Duration::days(365 * years));
        case.copy.deprecated_from = Some(set);
        assert!(case.look_at(NOW + Duration::days(300)).unwrap().are_none());
    }
    // The limit itself is allowed.
    case.copy.created = Some(datetime!(2026-11-01 09:00 UTC));
    case.copy.deprecated_from = None;
    assert_eq!(case.changes().deprecate_from, Some(datetime!(2026-11-01 09:00 UTC) + Duration::days(730)));
    // A public copy that is older than two years takes no time at all.
    case.copy.deprecated_from = None;
    assert!(case.look_at(NOW + Duration::days(800)).unwrap().are_none());
}

#[test]
fn a_copy_that_will_be_public_is_deprecated_as_a_public_one() {
    let case = |change: fn(&mut Image)| {
        let mut case = in_step(&[("SHARE_WITH", "all")]).unfinished();
        case.source.deprecated_from = Some(datetime!(2099-01-01 00:00 UTC));
        change(&mut case.copy);
        case.changes().deprecate_from.unwrap()
    };
    let after = |years: i64| datetime!(2026-11-01 09:00 UTC) + Duration::days(365 * years);
    assert_eq!(case(|_| {}), after(2));
    assert_eq!(case(|copy| copy.watermarks.extend(["123456789012:scanned".to_owned()])), after(10));
    assert_eq!(case(|copy| with(copy, tag::TRY, "request 0.0 unselected")), after(10), "it is never shared");
}

#[test]
fn a_source_out_of_sight_changes_nothing_of_what_comes_from_it() {
    // 11, 20
    let mut case = in_step(&[("SHARE_WITH", "111122223333"), ("EXTRA_TAGS", "Team=images")]);
    with(&mut case.source, "Release", "7");
    case.source.description = Some("Base image 7".to_owned());
    case.source.deprecated_from = Some(NOW + Duration::days(5));
    case.source.requires_imds_v2 = true;
    let case = case.finished("2026-11-01T10:00:00Z share=0000000000000000");
    let deregistered = |mut case: Case| {
        case.source.state = State::Deregistered;
        case
    };
    let mut invisible = deregistered(case);
    assert_eq!(tags(&invisible.changes()), [(TagOf::ExtraTags, "Team", "images")]);
    assert_eq!(invisible.changes().parts(), [Part::Tags, Part::LaunchPermission]);
    invisible.source.state = State::Available;
    invisible.is_in_sight = false;
    assert_eq!(invisible.changes().parts(), [Part::Tags, Part::LaunchPermission]);
    invisible.is_in_sight = true;
    assert_eq!(invisible.changes().parts().len(), 5);
}

#[test]
fn permissions_are_written_where_the_hint_is_not_the_present_settings() {
    let mut case = in_step(&[("SHARE_WITH", "111122223333")]);
    let because = |case: &Case| case.changes().permissions;
    assert_eq!(because(&case), None);
    // 14: an unrelated setting has changed, and a hand took the permissions away.
    case.settings.copying.extra_tags = vec![Tag::new("Team", "images").unwrap()];
    assert_eq!(because(&case), None);
    case.settings = settings(&[("SHARE_WITH", "111122223333,444455556666")]);
    assert_eq!(because(&case), Some(PermissionsBecause::ShareWithHasChanged));
    assert_eq!(case.changes().described(), ["SHARE_WITH has changed"]);
    case.follow();
    case.settings = settings(&[("SHARE_WITH", "444455556666,111122223333")]);
    assert_eq!(because(&case), None);
    // Without SHARE_EXACTLY, nobody is taken away.
    case.settings = settings(&[]);
    assert_eq!(because(&case), None);
    // 12: SHARE_WITH is emptied, with SHARE_EXACTLY.
    case.settings.share_exactly = true;
    assert_eq!(because(&case), Some(PermissionsBecause::ShareWithHasChanged));
}

#[test]
fn with_share_exactly_permissions_are_looked_at_once_a_day() {
    let mut case = in_step(&[("SHARE_WITH", "111122223333")]);
    case.settings.share_exactly = true;
    let at = |hours| case.look_at(NOW + Duration::hours(hours)).unwrap().permissions;
    assert_eq!((at(22), at(23)), (None, Some(PermissionsBecause::TimeToLook)));
    case.settings.share_exactly = false;
    assert_eq!(case.look_at(NOW + Duration::days(9)).unwrap().permissions, None);
}

#[test]
fn a_copy_that_is_seen_disabled_loses_its_hint() {
    // 16f
    let mut case = in_step(&[("SHARE_WITH", "111122223333")]);
    with(&mut case.source, "Release", "7");
    case.copy.state = State::Disabled;
    let expected = Changes { forget_permissions: true, ..Changes::default() };
    assert_eq!(case.look(), Some(expected));
    assert!(!case.changes().are_none());
    let mut forgotten = Finished::of(&case.copy).unwrap();
    forgotten.share = None;
    let mut case = case.finished(&forgotten.to_string());
    assert_eq!(case.look(), Some(Changes::default()));
    case.copy.state = State::Available;
    assert_eq!(case.changes().permissions, Some(PermissionsBecause::NotSharedYet));
    for state in [State::Pending, State::Failed, State::Deregistered] {
        case.copy.state = state;
        assert_eq!(case.look(), None, "{state:?}");
    }
}

#[test]
fn a_shared_copy_says_first_where_it_comes_from() {
    // 15: it was made before sharing was on.
    let mut case = in_step(&[]);
    case.settings = settings(&[("SHARE_WITH", "111122223333")]);
    let changes = case.changes();
    assert_eq!(tags(&changes), [(TagOf::Courier, tag::ORIGIN, "123456789012/us-east-1/ami-5731123e")]);
    assert_eq!(changes.parts(), [Part::Tags, Part::LaunchPermission]);
    assert_eq!(changes.image_tags().filter(|tag| may_be_on_snapshots(tag)).count(), 0);
}

#[test]
fn protection_is_switched_on_at_the_first_finish_only() {
    // 16e
    let case = in_step(&[("DEREGISTRATION_PROTECTION", "WithCooldown")]);
    assert!(case.changes().are_none());
    assert_eq!(case.unfinished().changes().parts(), [Part::DeregistrationProtection]);
}

#[test]
fn of_a_requests_copy_only_permissions_and_the_couriers_tags_follow() {
    let mut case = in_step(&[("SHARE_WITH", "111122223333"), ("EXTRA_TAGS", "Team=images"), ("DEPRECATE", "30")]);
    with(&mut case.copy, tag::TRY, "request 0.0");
    case.copy.tags.remove(tag::SOURCE_CREATED);
    with(&mut case.source, "Release", "7");
    case.source.description = Some("Base image 7".to_owned());
    case.source.requires_imds_v2 = true;
    let mut case = case.finished("2026-11-01T10:00:00Z");
    assert_eq!(case.changes().parts(), [Part::Tags, Part::LaunchPermission]);
    assert_eq!(tags(&case.changes()), [(TagOf::Courier, tag::SOURCE_CREATED, "2026-11-01T08:00:00Z")]);
    // 36: copied past the selection, it is never shared.
    with(&mut case.copy, tag::TRY, "request 0.0 unselected");
    assert_eq!(case.changes().parts(), [Part::Tags]);
}

/// An organization's policy that refuses people's tags keeps none of the courier's off.
#[test]
fn the_couriers_tags_are_put_on_apart_from_those_of_people() {
    let mut case = in_step(&[("EXTRA_TAGS", "Team=images")]);
    case.copy.tags.remove(tag::SOURCE_CREATED);
    with(&mut case.source, "Release", "7");
    let [of_courier, of_people] = case.changes().tags_by_writer();
    let keys = |tags: &[Tag]| tags.iter().map(|tag| tag.key.clone()).collect::<Vec<_>>();
    assert_eq!(
        (keys(&of_courier), keys(&of_people)),
        (vec![tag::SOURCE_CREATED.to_owned()], vec!["Team".to_owned(), "Release".to_owned()])
    );
}

#[test]
fn the_first_finish_differs_from_later_ones() {
    // 6
    let case = in_step(&[]);
    let finished = Shown::of(&case.copy, STACK);
    let unfinished = Shown::of(&case.unfinished().copy, STACK);
    assert_eq!((finished.is_unfinished(), unfinished.is_unfinished()), (false, true));
    // Which permissions were looked at longest ago.
    let last = tag::read_time(&tag::time(NOW - Duration::hours(1)));
    assert_eq!((finished.finished_at(), unfinished.finished_at()), (last, None));
}

#[test]
fn the_mark_of_a_finished_copy_is_read_as_it_was_written() {
    let share = Hint::with(&settings(&[("SHARE_WITH", "111122223333")]).finishing.share_with);
    // In tags for years: another value would share every copy again.
    assert_eq!(share.to_string(), "9cbe9370fc4651bc");
    let of = |value: &str| Finished::of(&in_step(&[]).finished(value).copy).unwrap();
    let at = Some(datetime!(2026-11-30 12:00 UTC));
    for (finished, value) in [
        (Finished { at, share: None, not_shared: None }, "2026-11-30T12:00:00Z".to_owned()),
        (Finished { at, share: Some(share), not_shared: None }, format!("2026-11-30T12:00:00Z share={share}")),
        (
            Finished { at, share: Some(share), not_shared: Some("it is encrypted".to_owned()) },
            format!("2026-11-30T12:00:00Z share={share} it is encrypted"),
        ),
    ] {
        assert_eq!(finished.to_string(), value);
        assert_eq!(of(&value), finished);
    }
    assert_eq!(of("yesterday share=1"), Finished { at: None, share: None, not_shared: None });
    let long = Finished { at, share: Some(share), not_shared: Some("x".repeat(400)) };
    assert!(long.to_string().len() <= 256);
}

#[test]
fn fifty_thousand_copies_fit_into_a_few_megabytes() {
    let mut case = in_step(&[]);
    for number in 0..20 {
        with(&mut case.copy, &format!("a tag of a usual length {number}"), "with a value of a usual length");
    }
    let held = allocation_counter::measure(|| {
        let shown: Vec<Shown> = (0..1000).map(|_| Shown::of(&case.copy, STACK)).collect();
        std::mem::forget(shown);
    });
    let each = held.bytes_current / 1000;
    println!("{each} bytes a copy");
    assert!(each <= 640, "{each} bytes a copy");
}

/// Few keys, so that many are on both.
fn few_tags(most: usize) -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[A-H][a-h]", "[a-c]", 0..=most)
}

proptest! {
    #[test]
    fn after_one_step_any_copy_is_in_step(source in few_tags(60), copy in few_tags(40), extra in few_tags(10)) {
        let mut case = in_step(&[]);
        case.settings.copying.extra_tags = extra.iter().filter_map(|(key, value)| Tag::new(key, value).ok()).collect();
        case.source.tags = source;
        case.copy.tags.extend(copy.clone());
        case.follow();
        prop_assert!(case.changes().are_none(), "{:?}", case.changes());
        prop_assert!(case.copy.tags.len() <= Tag::MOST);
        for key in copy.keys() {
            prop_assert!(case.copy.tags.contains_key(key));
        }
    }
}
