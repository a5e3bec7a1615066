use courier_core::image::{Image, State, tag};
use courier_core::retirement::{Evidence, Hold, Reason, SourceState, Trigger, Usage, Verdict, decide};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-03-10 12:00 UTC);
const DAYS: u16 = 7;

/// The marks on a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marks {
    None,
    /// Its source has been gone for so many hours.
    Gone(i64),
    Disabled,
    GoneAndDisabled(i64),
    /// A time that nobody can read.
    Unreadable,
}

const MARKS: [Marks; 6] = [
    Marks::None,
    Marks::Gone(1),
    Marks::Gone(24 * 8),
    Marks::Disabled,
    Marks::GoneAndDisabled(24 * 8),
    Marks::Unreadable,
];
const SOURCES: [SourceState; 4] =
    [SourceState::InService, SourceState::Disabled, SourceState::Deregistered, SourceState::NotVisible];
const LIVE: [State; 3] = [State::Pending, State::Available, State::Disabled];
const TRIGGERS: [Trigger; 2] = [Trigger::Event, Trigger::Sweep];

fn ago(hours: i64) -> OffsetDateTime {
    NOW - Duration::hours(hours)
}

fn copy(state: State, marks: Marks) -> Image {
    let mut image = Image { state, ..Image::new("ami-0abcdef1234567890".parse().unwrap()) };
    let mut tag = |key: &str, value: String| image.tags.insert(key.to_owned(), value);
    let written = |hours| ago(hours).format(&time::format_description::well_known::Rfc3339).unwrap();
    match marks {
        Marks::None => {}
        Marks::Gone(hours) => drop(tag(tag::SOURCE_GONE_SINCE, written(hours))),
        Marks::Disabled => drop(tag(tag::DISABLED_WITH_SOURCE, written(1))),
        Marks::GoneAndDisabled(hours) => {
            tag(tag::SOURCE_GONE_SINCE, written(hours));
            tag(tag::DISABLED_WITH_SOURCE, written(hours));
        }
        Marks::Unreadable => drop(tag(tag::SOURCE_GONE_SINCE, "long ago".to_owned())),
    }
    image
}

fn verdict(source: SourceState, copy: &Image, usage: &Usage, trigger: Trigger) -> Verdict {
    decide(&Evidence { source, copy, usage, trigger, retire_after_days: DAYS, now: NOW })
}

fn held(hours: i64, by: &str) -> Verdict {
    let since = ago(hours);
    Verdict::Stay(Reason::Held(Hold {
        source_gone_since: since,
        since: since + Duration::days(DAYS.into()),
        by: by.to_owned(),
    }))
}

#[test]
fn each_case_has_its_next_step() {
    use SourceState::{Deregistered, Disabled, InService, NotVisible};
    const GONE: &[&str] = &[tag::SOURCE_GONE_SINCE];
    const ALL: &[&str] = &[tag::SOURCE_GONE_SINCE, tag::DISABLED_WITH_SOURCE];
    let stay = Verdict::Stay;
    let waiting = |hours| {
        let since = ago(hours);
        Verdict::Stay(Reason::Waiting { since, until: since + Duration::days(DAYS.into()) })
    };
    let unknown = Usage::NotLookedFor;
    let used = Usage::InUse("account 111122223333 uses it".to_owned());
    for (source, state, marks, usage, trigger, expected) in [
        // Its source is in service.
        (InService, State::Available, Marks::None, &unknown, Trigger::Event, stay(Reason::SourceInService)),
        (InService, State::Pending, Marks::None, &unknown, Trigger::Sweep, stay(Reason::SourceInService)),
        (InService, State::Disabled, Marks::None, &unknown, Trigger::Sweep, stay(Reason::DisabledByOthers)),
        (InService, State::Available, Marks::Gone(24 * 8), &unknown, Trigger::Sweep, Verdict::Unmark(ALL)),
        (InService, State::Available, Marks::Unreadable, &unknown, Trigger::Event, Verdict::Unmark(ALL)),
        (InService, State::Disabled, Marks::Gone(24 * 8), &unknown, Trigger::Sweep, Verdict::Unmark(ALL)),
        (InService, State::Disabled, Marks::Disabled, &unknown, Trigger::Event, Verdict::Enable),
        (InService, State::Disabled, Marks::GoneAndDisabled(1), &unknown, Trigger::Sweep, Verdict::Enable),
        (InService, State::Available, Marks::GoneAndDisabled(1), &unknown, Trigger::Sweep, Verdict::Unmark(ALL)),
        // Its source is disabled.
        (Disabled, State::Available, Marks::None, &unknown, Trigger::Event, Verdict::LookForUsage),
        (Disabled, State::Available, Marks::None, &Usage::Unused, Trigger::Event, Verdict::Disable),
        (Disabled, State::Available, Marks::None, &used, Trigger::Sweep, stay(Reason::InUse(text_of(&used)))),
        (Disabled, State::Pending, Marks::None, &unknown, Trigger::Event, stay(Reason::StillPending)),
        (Disabled, State::Disabled, Marks::Disabled, &unknown, Trigger::Sweep, stay(Reason::DisabledAlready)),
        (Disabled, State::Disabled, Marks::None, &unknown, Trigger::Sweep, stay(Reason::DisabledAlready)),
        (Disabled, State::Available, Marks::Disabled, &Usage::Unused, Trigger::Event, Verdict::Disable),
        (Disabled, State::Available, Marks::Gone(24 * 8), &Usage::Unused, Trigger::Sweep, Verdict::Unmark(GONE)),
        // Its source is deregistered.
        (Deregistered, State::Available, Marks::None, &unknown, Trigger::Event, Verdict::Mark),
        (Deregistered, State::Available, Marks::None, &Usage::Unused, Trigger::Sweep, Verdict::Mark),
        (Deregistered, State::Pending, Marks::None, &unknown, Trigger::Sweep, Verdict::Mark),
        (Deregistered, State::Disabled, Marks::Disabled, &unknown, Trigger::Sweep, Verdict::Mark),
        (Deregistered, State::Available, Marks::Unreadable, &Usage::Unused, Trigger::Sweep, Verdict::Mark),
        (Deregistered, State::Available, Marks::Gone(1), &Usage::Unused, Trigger::Sweep, waiting(1)),
        (Deregistered, State::Available, Marks::Gone(24 * 7 - 1), &Usage::Unused, Trigger::Sweep, waiting(24 * 7 - 1)),
        (Deregistered, State::Available, Marks::Gone(-1), &Usage::Unused, Trigger::Sweep, waiting(-1)),
        (Deregistered, State::Available, Marks::Gone(24 * 7), &unknown, Trigger::Sweep, Verdict::LookForUsage),
        (Deregistered, State::Available, Marks::Gone(24 * 7), &Usage::Unused, Trigger::Sweep, Verdict::Deregister),
        (
            Deregistered,
            State::Disabled,
            Marks::GoneAndDisabled(24 * 8),
            &Usage::Unused,
            Trigger::Sweep,
            Verdict::Deregister,
        ),
        (Deregistered, State::Available, Marks::Gone(24 * 8), &used, Trigger::Sweep, held(24 * 8, &text_of(&used))),
        (
            Deregistered,
            State::Available,
            Marks::Gone(24 * 8),
            &Usage::Unused,
            Trigger::Event,
            stay(Reason::LeftToSweep { since: ago(24 * 8) }),
        ),
        // Its source is not visible.
        (NotVisible, State::Available, Marks::None, &Usage::Unused, Trigger::Sweep, stay(Reason::SourceNotVisible)),
        (
            NotVisible,
            State::Available,
            Marks::Unreadable,
            &Usage::Unused,
            Trigger::Sweep,
            stay(Reason::SourceNotVisible),
        ),
        (NotVisible, State::Disabled, Marks::Disabled, &Usage::Unused, Trigger::Sweep, stay(Reason::SourceNotVisible)),
        (NotVisible, State::Available, Marks::Gone(1), &Usage::Unused, Trigger::Sweep, waiting(1)),
        (NotVisible, State::Available, Marks::Gone(24 * 8), &Usage::Unused, Trigger::Sweep, Verdict::Deregister),
    ] {
        let case = format!("source {source:?}, copy {state:?} with {marks:?}, {usage:?}, {trigger:?}");
        assert_eq!(verdict(source, &copy(state, marks), usage, trigger), expected, "{case}");
    }
}

#[test]
fn a_sibling_in_service_keeps_a_copy_and_takes_the_marks_off() {
    let next =
        |marks| verdict(SourceState::SiblingInService, &copy(State::Available, marks), &Usage::Unused, Trigger::Sweep);
    assert_eq!(next(Marks::None), Verdict::Stay(Reason::SiblingInService));
    assert_eq!(next(Marks::Gone(24 * 8)), Verdict::Unmark(&[tag::SOURCE_GONE_SINCE, tag::DISABLED_WITH_SOURCE]));
    let in_service = [SourceState::InService, SourceState::SiblingInService];
    assert!(in_service.into_iter().all(SourceState::is_in_service));
    let out = [SourceState::Disabled, SourceState::Deregistered, SourceState::NotVisible];
    assert!(!out.into_iter().any(SourceState::is_in_service));
}

#[test]
fn a_hold_counts_whole_days_from_the_end_of_the_wait() {
    let hold = |since| Hold { source_gone_since: ago(1000), since, by: String::new() };
    assert_eq!((hold(ago(23)).days(NOW), hold(ago(24)).days(NOW), hold(ago(24 * 30)).days(NOW)), (0, 1, 30));
}

fn text_of(usage: &Usage) -> String {
    match usage {
        Usage::InUse(by) => by.clone(),
        _ => String::new(),
    }
}

#[test]
fn a_protected_copy_is_held_before_anybody_looks_for_its_users() {
    let protected = Image { protected: true, ..copy(State::Available, Marks::Gone(24 * 8)) };
    for usage in [Usage::NotLookedFor, Usage::Unused] {
        let next = verdict(SourceState::Deregistered, &protected, &usage, Trigger::Sweep);
        assert_eq!(next, held(24 * 8, "it is protected from deregistration"));
    }
}

/// Every live copy with every mark.
fn copies() -> impl Iterator<Item = Image> {
    LIVE.into_iter().flat_map(|state| MARKS.into_iter().map(move |marks| copy(state, marks)))
}

#[test]
fn nothing_is_deregistered_but_by_a_sweep_after_the_wait_unprotected_unused_and_with_its_source_gone() {
    let mut deregistered = 0;
    for copy in copies() {
        for (source, trigger) in SOURCES.into_iter().flat_map(|source| TRIGGERS.map(|trigger| (source, trigger))) {
            for usage in [Usage::NotLookedFor, Usage::Unused, Usage::InUse("yes".to_owned())] {
                if verdict(source, &copy, &usage, trigger) != Verdict::Deregister {
                    continue;
                }
                deregistered += 1;
                let since = copy.source_gone_since().expect("a mark");
                assert!(NOW - since >= Duration::days(DAYS.into()));
                assert!(matches!(source, SourceState::Deregistered | SourceState::NotVisible));
                assert_eq!((usage, trigger), (Usage::Unused, Trigger::Sweep));
            }
        }
    }
    assert_eq!(deregistered, 2 * 2 * 3, "with two marks, two states of the source, three of the copy");
}

#[test]
fn no_copy_is_enabled_that_the_courier_did_not_disable() {
    for copy in copies() {
        for (source, trigger) in SOURCES.into_iter().flat_map(|source| TRIGGERS.map(|trigger| (source, trigger))) {
            if verdict(source, &copy, &Usage::Unused, trigger) == Verdict::Enable {
                assert!(copy.is_disabled_with_source() && copy.state == State::Disabled, "{copy:?}");
                assert_eq!(source, SourceState::InService);
            }
        }
    }
}

/// Does what `next` says to a copy in memory, until it stays or is out of service. The steps on the way.
fn followed(source: SourceState, mut copy: Image, in_use: bool, trigger: Trigger) -> Vec<Verdict> {
    let mut usage = Usage::NotLookedFor;
    let mut steps = Vec::new();
    loop {
        let step = verdict(source, &copy, &usage, trigger);
        steps.push(step.clone());
        assert!(steps.len() < 10, "it goes on for ever: {steps:?}");
        match step {
            Verdict::Stay(_) | Verdict::Disable | Verdict::Deregister => return steps,
            Verdict::Mark => {
                drop(copy.tags.insert(tag::SOURCE_GONE_SINCE.to_owned(), "2026-03-10T12:00:00Z".to_owned()));
            }
            Verdict::Unmark(keys) => copy.tags.retain(|key, _| !keys.contains(&key.as_str())),
            Verdict::LookForUsage => usage = if in_use { Usage::InUse("yes".to_owned()) } else { Usage::Unused },
            Verdict::Enable => copy.state = State::Available,
        }
    }
}

#[test]
fn it_comes_to_an_end_and_a_source_in_service_leaves_no_mark() {
    for copy in copies() {
        for (source, trigger) in SOURCES.into_iter().flat_map(|source| TRIGGERS.map(|trigger| (source, trigger))) {
            for in_use in [false, true] {
                let steps = followed(source, copy.clone(), in_use, trigger);
                if source == SourceState::InService {
                    let ends = [Verdict::Stay(Reason::SourceInService), Verdict::Stay(Reason::DisabledByOthers)];
                    assert!(steps.last().is_some_and(|last| ends.contains(last)), "{steps:?}");
                }
            }
        }
    }
}

#[test]
fn the_texts_say_what_holds_a_copy_and_since_when() {
    let protected = Image { protected: true, ..copy(State::Available, Marks::Gone(24 * 8)) };
    let Verdict::Stay(reason) = verdict(SourceState::Deregistered, &protected, &Usage::NotLookedFor, Trigger::Sweep)
    else {
        panic!("it is protected");
    };
    assert_eq!(
        reason.to_string(),
        "its source AMI has been gone since 2026-03-02; held since 2026-03-09: it is protected from deregistration"
    );
    let Reason::Held(hold) = reason else { panic!("{reason:?}") };
    assert_eq!(hold.days(NOW), 1);
    let waits = copy(State::Available, Marks::Gone(1));
    let Verdict::Stay(reason) = verdict(SourceState::Deregistered, &waits, &Usage::NotLookedFor, Trigger::Event) else {
        panic!("it waits");
    };
    let text = reason.to_string();
    assert!(text.contains("gone since 2026-03-10") && text.contains("on 2026-03-17 or later"), "{text}");
}
