use courier_core::announcement::{Announcement, Position, Question, StatusRequest, read};
use courier_core::copy_state::CopyState as State;
use courier_core::error::{Error, code};
use courier_core::identity::Stack;
use courier_core::image::{Image, State as InEc2, tag};
use courier_core::settings::Settings;
use courier_core::status::{Ledger, Row, Status};
use proptest::prelude::*;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::any;

const NOW: OffsetDateTime = datetime!(2026-03-10 12:00 UTC);

fn stack() -> Stack {
    Stack { region: "eu-west-1".parse().unwrap(), account: "123456789012".parse().ok() }
}

fn settings() -> Settings {
    let variable = |name: &str| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "SOURCE_REGIONS" => Some("us-east-1".to_owned()),
        _ => None,
    };
    Settings::read(variable).unwrap()
}

/// The question that a direct caller asks with this payload.
pub(super) fn question(payload: &Value) -> Result<Option<Question>, Error> {
    let stack = Stack { region: "eu-west-1".parse().unwrap(), account: None };
    Ok(match read(payload, &stack)?.into_iter().next() {
        Some(Announcement::Question(question)) => Some(question),
        _ => None,
    })
}

#[allow(clippy::needless_pass_by_value, reason = "`json!(…)` is handed over where it is written")]
pub(super) fn asked(parameters: Value) -> StatusRequest {
    match question(&json!({ "Status": parameters })) {
        Ok(Some(Question::Status(Ok(request)))) => request,
        other => panic!("{parameters}: {other:?}"),
    }
}

#[test]
fn only_a_question_is_read_as_one() {
    for other in [
        json!(null),
        json!("Status"),
        json!([{ "Status": {} }]),
        json!({}),
        json!({ "Sweep": {} }),
        json!({ "Status": "ok", "Id": 5 }),
        json!({ "describe": "me" }),
        json!({ "describe": false }),
        json!({ "widgetContext": "none" }),
        json!({ "SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1", "Name": "golden" }),
    ] {
        assert!(!matches!(question(&other), Ok(Some(_))), "{other}");
    }
}

#[test]
fn without_parameters_the_settings_days_hold_and_any_name() {
    let request = asked(json!({}));
    assert_eq!((request.days_or(7), request.name_patterns.len(), request.after.clone()), (7, 0, None));
    assert!(request.has_name("golden") && request.has_name(""));
    assert_eq!(asked(json!({ "Days": null, "NamePatterns": null, "NextToken": null })), request);
}

#[test]
fn a_state_has_the_same_name_everywhere_and_the_worst_is_first() {
    for state in State::ALL {
        assert_eq!(json!(state), json!(state.name()));
        assert!(state.meaning().ends_with('.'));
    }
    assert!(State::ALL.is_sorted());
    assert_eq!((State::ALL[0], State::ALL[1]), (State::Failed, State::Missing));
}

#[test]
fn of_what_is_settled_the_newest_comes_first_and_of_all_else_the_oldest() {
    for state in State::ALL {
        let is_settled = matches!(state, State::Disabled | State::AlreadyCopied | State::Finished | State::Retired);
        assert_eq!(state.is_settled(), is_settled, "{state:?}");
        let row = |hours: i64| Row {
            state,
            name: hours.to_string(),
            source: courier_core::identity::Identity {
                region: "us-east-1".parse().unwrap(),
                image: format!("ami-{hours:08}").parse().unwrap(),
            },
            created: None,
            age_seconds: None,
            copy: None,
            since: Some(NOW - time::Duration::hours(hours)),
            explanation: None,
            parameter: None,
            other_copies: Vec::new(),
        };
        let status =
            Status::page(&asked(json!({})), vec![row(2), row(3), row(1)], &settings(), NOW, Default::default());
        let names: Vec<&str> = status.images.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, if is_settled { ["1", "2", "3"] } else { ["3", "2", "1"] }, "{state:?}");
    }
}

#[test]
fn an_ami_whose_origin_has_a_copy_here_needs_none() {
    let id = |last: u32| format!("ami-{last:017x}").parse::<courier_core::identity::ImageId>().unwrap();
    let region = || "us-east-1".parse().unwrap();
    let origin = courier_core::identity::Identity { region: region(), image: id(1) };
    let tag = courier_core::image::tag::ORIGIN.to_owned();
    let mut handed_on = Image { state: InEc2::Available, name: "golden".to_owned(), ..Image::new(id(2)) };
    handed_on.created = Some(NOW - time::Duration::hours(5));
    handed_on.tags.insert(tag.clone(), format!("111122223333/us-east-1/{}", origin.image));
    let direct = Image { state: InEc2::Available, source: Some(origin.clone()), ..Image::new(id(3)) };
    let mut by_tag = Image { source: Some(handed_on.identity(&"us-west-2".parse().unwrap())), ..direct.clone() };
    by_tag.tags.insert(tag, format!("111122223333/us-east-1/{}", origin.image));
    let dead = Image { state: InEc2::Failed, ..direct.clone() };
    for (copy, expected) in [(direct, State::AlreadyCopied), (by_tag, State::AlreadyCopied), (dead, State::Missing)] {
        let (settings, request) = (settings(), asked(json!({})));
        let mut ledger = Ledger::new(&request, &settings);
        ledger.add_copy(copy);
        ledger.add_source(handed_on.clone(), &region(), &stack(), NOW);
        let rows = ledger.rows(NOW);
        let states: Vec<State> = rows.iter().map(|row| row.state).collect();
        assert_eq!(states, [expected], "{rows:?}");
        assert_eq!(rows[0].copy.is_some(), expected == State::AlreadyCopied);
    }
}

/// The courier's copy of an AMI in us-east-1, finished and, ten days ago, found without its source.
fn marked() -> Image {
    let id = "ami-00000001".parse().unwrap();
    let gone = courier_core::image::tag::time(NOW - time::Duration::days(10));
    let tags = [
        ("ami-courier:source-image", "ami-5731123e"),
        ("ami-courier:source-region", "us-east-1"),
        ("ami-courier:finished", "2026-01-01T00:00:00Z"),
        ("ami-courier:source-gone-since", gone.as_str()),
    ];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let created = Some(NOW - time::Duration::days(100));
    Image { name: "golden".to_owned(), state: InEc2::Available, created, tags, ..Image::new(id) }
}

/// The only row that a copy has whose source is not listed.
fn row_of(copy: Image, of: &[(&str, &str)]) -> Row {
    let variable = |name: &str| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        name => {
            let set = of.iter().chain(&[("RETIRE_WITH_SOURCE", "true")]).find(|(variable, _)| *variable == name);
            set.map(|(_, value)| (*value).to_owned())
        }
    };
    let (settings, request) = (Settings::read(variable).unwrap(), asked(json!({})));
    let mut ledger = Ledger::new(&request, &settings);
    ledger.add_copy(copy);
    let mut rows = ledger.rows(NOW);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

#[test]
fn a_copy_past_its_time_is_held_for_the_reason_that_retirement_gives() {
    let reason = |copy: Image| {
        let row = row_of(copy, &[]);
        assert_eq!((row.state, row.since), (State::Held, Some(NOW - time::Duration::days(10))));
        row.explanation.unwrap()
    };
    let protected = reason(Image { protected: true, ..marked() });
    assert!(protected.contains("protected") && !protected.contains("a sweep retires it"), "{protected}");
    assert!(reason(marked()).contains("a sweep retires it, unless it is in use"));
}

#[test]
fn a_copy_whose_time_has_not_come_is_retiring() {
    let row = row_of(marked(), &[("RETIRE_AFTER_DAYS", "11")]);
    assert_eq!(row.state, State::Retiring);
    assert!(row.explanation.unwrap().contains("2026-03-11"));
}

#[test]
fn a_copy_without_a_mark_is_not_retired_because_its_source_is_not_listed() {
    let mut copy = Image { created: Some(NOW), ..marked() };
    copy.tags.remove(tag::SOURCE_GONE_SINCE);
    assert_eq!(row_of(copy, &[]).state, State::Finished);
}

#[test]
fn what_the_settings_ask_of_a_copy_shows_without_its_source() {
    let mut copy = Image { created: Some(NOW), ..marked() };
    copy.tags.remove(tag::SOURCE_GONE_SINCE);
    copy.tags.insert(tag::STACK.to_owned(), "ami-courier".to_owned());
    let row = row_of(copy, &[("EXTRA_TAGS", "Team=images")]);
    assert_eq!((row.state, row.explanation.as_deref()), (State::OutOfStep, Some("1 tag of EXTRA_TAGS differs")));
}

#[test]
fn a_copy_that_is_out_of_service_with_its_source_counts_as_its_copy() {
    let (settings, request) = (settings(), asked(json!({})));
    let mut ledger = Ledger::new(&request, &settings);
    let mut copy = Image { state: InEc2::Disabled, ..marked() };
    copy.tags.insert(tag::DISABLED_WITH_SOURCE.to_owned(), "2026-03-01T00:00:00Z".to_owned());
    let source = Image {
        name: "golden".to_owned(),
        owner: stack().account,
        state: InEc2::Available,
        created: Some(NOW - time::Duration::days(2)),
        ..Image::new("ami-5731123e".parse().unwrap())
    };
    ledger.add_copy(copy);
    ledger.add_source(source, &"us-east-1".parse().unwrap(), &stack(), NOW);
    assert_eq!(ledger.rows(NOW)[0].state, State::Retired);
}

#[test]
fn a_copy_whose_name_is_not_asked_for_has_no_row() {
    let (settings, request) = (settings(), asked(json!({ "NamePatterns": "base-*" })));
    let mut ledger = Ledger::new(&request, &settings);
    ledger.add_copy(Image { created: Some(NOW), ..marked() });
    assert_eq!(ledger.rows(NOW), []);
}

#[test]
fn without_retirement_a_copy_without_its_source_is_what_it_was() {
    let row = row_of(Image { created: Some(NOW), ..marked() }, &[("RETIRE_WITH_SOURCE", "false")]);
    assert_eq!((row.state, row.explanation), (State::Finished, None));
}

/// A source AMI in us-east-1 and, in some state, the courier's copies of it.
fn world() -> impl Strategy<Value = Vec<(Image, Vec<Image>)>> {
    let states = [InEc2::Pending, InEc2::Available, InEc2::Disabled, InEc2::Failed, InEc2::Deregistered];
    let copy = (any::image_id(), proptest::sample::select(states.to_vec()), any::<bool>());
    let source = (any::image_id(), 0..400_i64, proptest::collection::vec(copy, 0..3));
    proptest::collection::vec(source, 0..40).prop_map(|sources| {
        let of = |(id, hours, copies): (courier_core::identity::ImageId, i64, Vec<_>)| {
            let mut source = Image::new(id);
            source.name = format!("golden-{hours}");
            source.state = InEc2::Available;
            source.created = Some(NOW - time::Duration::hours(hours));
            let identity = source.identity(&"us-east-1".parse().unwrap());
            let copies = copies.into_iter().map(|(id, state, is_finished)| {
                let mut copy = Image { state, source: Some(identity.clone()), ..Image::new(id) };
                copy.tags.insert("ami-courier:source-image".to_owned(), identity.image.to_string());
                copy.tags.insert("ami-courier:source-region".to_owned(), identity.region.to_string());
                if is_finished {
                    copy.tags.insert("ami-courier:finished".to_owned(), "2026-03-01T00:00:00Z".to_owned());
                }
                copy
            });
            (source, copies.collect())
        };
        sources.into_iter().map(of).collect()
    })
}

proptest! {
    #[test]
    fn every_wanted_ami_has_one_row_and_what_it_says_of_a_copy_is_true(world in world()) {
        let (settings, request) = (settings(), asked(json!({ "Days": 3650 })));
        let mut ledger = Ledger::new(&request, &settings);
        let mut sources: Vec<String> = Vec::new();
        let mut copies = std::collections::BTreeMap::new();
        for (source, of_it) in world {
            if sources.contains(&source.id.to_string()) {
                continue;
            }
            sources.push(source.id.to_string());
            for copy in of_it {
                copies.insert(copy.id.clone(), copy.state);
                ledger.add_copy(copy);
            }
            ledger.add_source(source, &"us-east-1".parse().unwrap(), &stack(), NOW);
        }
        let status = Status::page(&request, ledger.rows(NOW), &settings, NOW, Default::default());
        let mut listed: Vec<String> = status.images.iter().map(|row| row.source.image.to_string()).collect();
        listed.sort();
        sources.sort();
        prop_assert_eq!(&listed, &sources);
        prop_assert_eq!(status.counts.values().sum::<usize>(), sources.len());
        prop_assert!(status.images.is_sorted_by_key(|row| row.state));
        for row in &status.images {
            let of_copy = row.copy.as_ref().map(|copy| copies[copy]);
            let fits = match row.state {
                State::Missing | State::Awaited => of_copy.is_none(),
                State::Failed => of_copy == Some(InEc2::Failed),
                State::Pending => of_copy == Some(InEc2::Pending),
                State::Finished | State::Unfinished => of_copy == Some(InEc2::Available),
                State::Disabled => of_copy == Some(InEc2::Disabled),
                _ => false,
            };
            prop_assert!(fits, "{:?} and {:?}", row, of_copy);
            prop_assert!(row.other_copies.iter().all(|copy| copies[copy].is_live()));
        }
    }

    #[test]
    fn the_token_of_a_page_is_read_as_it_was_written(
        (state, order, source) in (proptest::sample::select(State::ALL.to_vec()), any::<i64>(), any::source())
    ) {
        let token = format!("{}/{order}/{}/{}", state.name(), source.region, source.image);
        let position: Position = token.parse().map_err(|why| TestCaseError::fail(format!("{why}")))?;
        prop_assert_eq!(position.to_string(), token);
    }

    #[test]
    fn any_parameters_are_read_or_rejected_and_never_panic(days in "\\PC{0,20}", patterns in "\\PC{0,20}", token in "\\PC{0,40}") {
        let payload = json!({ "Status": { "Days": days, "NamePatterns": [patterns], "NextToken": token } });
        if let Ok(Some(Question::Status(Err(rejection)))) = question(&payload) {
            prop_assert_eq!(rejection.code, code::INVALID_VALUE);
        }
    }
}

#[test]
fn names_are_asked_for_by_globs_and_a_filter_narrows_them() {
    let patterns = asked(json!({ "NamePatterns": ["golden-*", "base-?"] }));
    for (name, has) in [("golden-1", true), ("base-1", true), ("base-11", false), ("other", false)] {
        assert_eq!(patterns.has_name(name), has, "{name}");
    }
    let one = asked(json!({ "NamePatterns": "golden-*" }));
    assert!(one.has_name("golden-1") && !one.has_name("base-1"));
    let filter = courier_core::announcement::pattern("*-1").ok();
    let both = StatusRequest { filter, ..one };
    assert!(both.has_name("golden-1") && !both.has_name("golden-2") && !both.has_name("base-1"));
    for wrong in [json!([]), json!([""]), json!(["golden$"]), json!([1]), json!({})] {
        let wrong = json!({ "Status": { "NamePatterns": wrong } });
        let Ok(Some(Question::Status(Err(error)))) = question(&wrong) else { panic!("{wrong} is taken") };
        assert!(error.message.contains("NamePatterns"), "{error}");
    }
}

#[test]
fn a_withdrawn_copy_says_so_and_also_that_its_parameter_still_holds_it() {
    let copy = |tags: &[(&str, &str)]| {
        let mut copy = marked();
        let own = [(tag::STACK, "ami-courier"), (tag::PARAMETER, "/golden"), (tag::FINISHED, "2026-03-01T12:00:00Z")];
        copy.tags.remove(tag::SOURCE_GONE_SINCE);
        copy.created = Some(NOW);
        copy.tags.extend(own.iter().chain(tags).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let id = copy.id.to_string();
        (row_of(copy, &[("PARAMETER_NAME", "/golden")]), id)
    };
    let (mut kept, id) = copy(&[]);
    let before = kept.explanation.clone();
    kept.set_held(&id);
    assert_eq!(kept.parameter.as_ref().and_then(|parameter| parameter.value.clone()), Some(id));
    assert_eq!(kept.explanation, before);
    let (mut withdrawn, id) = copy(&[(tag::WITHDRAWN, "")]);
    withdrawn.set_held("ami-00000000");
    assert!(!withdrawn.explanation.clone().unwrap_or_default().contains("still holds it"));
    withdrawn.set_held(&id);
    assert!(withdrawn.explanation.unwrap().contains("still holds it"));
}

#[test]
fn a_finished_copy_that_differs_from_its_source_is_out_of_step_and_says_in_what() {
    let row = |channel: &str| {
        let (settings, request) = (settings(), asked(json!({})));
        let mut ledger = Ledger::new(&request, &settings);
        let mut copy = marked();
        copy.tags.remove(tag::SOURCE_GONE_SINCE);
        copy.description = Some("Copied from ami-5731123e in us-east-1".to_owned());
        for (key, value) in
            [(tag::STACK, "ami-courier"), (tag::SOURCE_CREATED, "2026-03-10T11:00:00Z"), ("Channel", "beta")]
        {
            copy.tags.insert(key.to_owned(), value.to_owned());
        }
        ledger.add_copy(copy);
        let source = Image {
            name: "golden".to_owned(),
            owner: "123456789012".parse().ok(),
            state: InEc2::Available,
            created: Some(NOW - time::Duration::hours(1)),
            tags: [("Channel".to_owned(), channel.to_owned())].into(),
            ..Image::new("ami-5731123e".parse().unwrap())
        };
        ledger.add_source(source, &"us-east-1".parse().unwrap(), &stack(), NOW);
        let mut rows = ledger.rows(NOW);
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    };
    assert_eq!((row("beta").state, row("beta").explanation), (State::Finished, None));
    let behind = (State::OutOfStep, Some("1 tag of its source is newer".to_owned()));
    assert_eq!((row("prod").state, row("prod").explanation), behind);
}

#[test]
fn an_ami_without_a_copy_is_awaited_missing_or_in_its_quiet_time() {
    let row = |minutes: i64, dry_run: bool| {
        let variable = |name: &str| match name {
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "DRY_RUN" => Some(dry_run.to_string()),
            _ => None,
        };
        let (settings, request) = (Settings::read(variable).unwrap(), asked(json!({})));
        let mut ledger = Ledger::new(&request, &settings);
        let source = Image {
            name: "golden".to_owned(),
            owner: stack().account,
            state: InEc2::Available,
            created: Some(NOW - time::Duration::minutes(minutes)),
            ..Image::new("ami-5731123e".parse().unwrap())
        };
        ledger.add_source(source, &"us-east-1".parse().unwrap(), &stack(), NOW);
        let row = ledger.rows(NOW).remove(0);
        (row.state, row.explanation.unwrap())
    };
    for (minutes, dry_run, state, word) in [
        (59, false, State::Awaited, "younger than an hour"),
        (60, false, State::Missing, "EC2 records no reason"),
        (59, true, State::Missing, "DRY_RUN"),
        (23 * 60 + 10, false, State::Missing, "quiet time"),
    ] {
        let row = row(minutes, dry_run);
        assert!(row.0 == state && row.1.contains(word), "{minutes}: {row:?}");
    }
}

#[test]
fn pages_of_two_megabytes_have_every_row_once() {
    let rows: Vec<Row> = (0..9_000)
        .map(|number| Row {
            state: State::Missing,
            name: format!("golden-{number}"),
            source: Image::new(format!("ami-{number:08x}").parse().unwrap()).identity(&"us-east-1".parse().unwrap()),
            created: Some(NOW - time::Duration::minutes(number)),
            age_seconds: None,
            copy: None,
            since: None,
            explanation: Some("x".repeat(600)),
            parameter: None,
            other_copies: Vec::new(),
        })
        .collect();
    let (mut seen, mut shown, mut pages, mut token) = (std::collections::BTreeSet::new(), 0, 0, None::<String>);
    loop {
        let request = asked(json!({ "NextToken": token }));
        let page = Status::page(&request, rows.clone(), &settings(), NOW, Default::default());
        assert_eq!(page.total, rows.len());
        let bytes = serde_json::to_string(&page.images).unwrap().len();
        assert!(bytes <= 2 * 1024 * 1024 + 2, "{bytes}");
        assert!(page.next_token.is_none() || bytes > 2 * 1024 * 1024 - 1000, "{bytes}");
        shown += page.images.len();
        seen.extend(page.images.iter().map(|row| row.name.clone()));
        pages += 1;
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), shown, pages), (rows.len(), rows.len(), 4));
}
