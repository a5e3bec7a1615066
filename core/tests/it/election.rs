//! Which copy a parameter holds. The numbers in comments are those of the ways in which earlier designs broke. That the rules hold
//! together, in any order of events, is what the model checker explores (`tests/model/election`).

use courier_core::election::{
    Election, End, Holder, LeavesService, Look, Members, NAME_DELAY, Newness, Next, Own, Parameter, Step, Steps,
    Timing, may_leave_service, name_of, steps,
};
use courier_core::identity::ParameterName;
use courier_core::image::{Image, State, tag};
use courier_core::naming::Template;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-30 12:00 UTC);
const STACK: &str = "golden";

fn name(text: &str) -> ParameterName {
    text.parse().unwrap()
}

fn with(mut image: Image, key: &str, value: &str) -> Image {
    image.tags.insert(key.to_owned(), value.to_owned());
    image
}

fn without(mut image: Image, key: &str) -> Image {
    image.tags.remove(key);
    image
}

/// A member of `/golden`; its source was created on this day.
fn copy(day: u8) -> Image {
    let image = Image {
        state: State::Available,
        created: Some(NOW),
        ..Image::new(format!("ami-000000{day:02}").parse().unwrap())
    };
    let image = with(image, tag::SOURCE_IMAGE, &format!("ami-100000{day:02}"));
    let image = with(image, tag::SOURCE_REGION, "us-east-1");
    let image = with(image, tag::STACK, STACK);
    let image = with(image, tag::SOURCE_CREATED, &tag::time(created(day)));
    with(image, tag::PARAMETER, "/golden")
}

fn created(day: u8) -> OffsetDateTime {
    datetime!(2026-11-01 00:00 UTC) + Duration::days(day.into())
}

/// An AMI that is no copy of this stack, created on this day.
fn foreign(day: u8) -> Image {
    Image { state: State::Available, created: Some(created(day)), ..Image::new("ami-99999999".parse().unwrap()) }
}

fn members(own: Own<'_>, copies: &[Image]) -> Members {
    let mut members = Members::new(STACK, own);
    for copy in copies {
        members.add(copy);
    }
    members
}

fn elected(copies: &[Image]) -> Option<String> {
    members(Own::Nobody, copies).newest(&name("/golden")).map(|newest| newest.id.to_string())
}

/// One election to its end, with what it asked for on the way.
fn elect(own: Own<'_>, holder: Option<&Image>, copies: &[Image]) -> (Vec<&'static str>, Next) {
    let holder = holder.map(|image| Holder { image: Some(image), source_created: None });
    let value = holder.and_then(|holder| Some(holder.image?.id.clone()));
    let parameter = holder.map(|_| Parameter { value, written: NOW - Duration::days(1) });
    elect_with(own, parameter.as_ref(), holder, copies)
}

fn elect_with(
    own: Own<'_>,
    parameter: Option<&Parameter>,
    holder: Option<Holder<'_>>,
    copies: &[Image],
) -> (Vec<&'static str>, Next) {
    let members = members(own, copies);
    let name = name("/golden");
    let mut election = Election { name: &name, stack: STACK, own, parameter, holder: None, members: None, now: NOW };
    let mut asked = Vec::new();
    loop {
        match election.next(&Timing::EC2) {
            Next::LookAtHolder => {
                asked.push("holder");
                election.holder = holder;
            }
            Next::List => {
                asked.push("members");
                election.members = Some(&members);
            }
            next => return (asked, next),
        }
    }
}

fn write(day: u8) -> Next {
    Next::Write(copy(day).id)
}

const HOLDS: Next = Next::End(End::Holds);
const HOLDS_ANOTHER: Next = Next::End(End::HoldsAnother);
const NO_MEMBER: Next = Next::End(End::NoMember);

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

/// What the copy of `source` has to do, with this `PARAMETER_NAME`, and sources that are disabled disable their copies.
fn steps_of(copy: &Image, source: Option<&Image>, parameter_name: &str) -> Steps {
    let parameter_name = &template(parameter_name);
    let source_region = &"us-east-1".parse().unwrap();
    let look = Look { copy, source, source_region, parameter_name, retire_with_source: true, is_due: false, now: NOW };
    steps(&look, &Timing::EC2)
}

fn source() -> Image {
    Image { state: State::Available, name: "base".to_owned(), ..Image::new("ami-10000003".parse().unwrap()) }
}

#[test]
fn members_are_this_stacks_available_copies_of_the_name_that_nobody_withdrew() {
    let id = |copy: Image| Some(copy.id.to_string());
    assert_eq!(elected(&[copy(1), copy(3), copy(2)]), id(copy(3)));
    for other in [
        with(copy(3), tag::STACK, "another"),
        without(copy(3), tag::STACK),
        with(copy(3), tag::PARAMETER, "/another"),
        without(copy(3), tag::PARAMETER),
        with(copy(3), tag::WITHDRAWN, ""),
        with(copy(3), tag::WITHDRAWN_SOURCE, "2026-11-30T11:00:00Z"),
        with(copy(3), tag::TRY, "request 0.0 unselected"),
        Image { state: State::Pending, ..copy(3) },
        Image { state: State::Disabled, ..copy(3) },
        Image { state: State::Failed, ..copy(3) },
        Image { state: State::Deregistered, ..copy(3) },
    ] {
        assert_eq!(elected(&[copy(1), other.clone(), copy(2)]), id(copy(2)), "{other:?}");
        assert_eq!(elected(&[other]), None);
    }
}

#[test]
fn the_newest_is_by_its_sources_creation_and_then_by_its_id() {
    // 20: neither by its own creation, nor by the time of its finish, nor by what can be seen of its source.
    let late = Image { created: Some(NOW + Duration::days(1)), ..with(copy(1), tag::FINISHED, "2026-12-01T00:00:00Z") };
    assert_eq!(elected(&[late, copy(2)]), Some(copy(2).id.to_string()));
    let twin = with(copy(1), tag::SOURCE_CREATED, &tag::time(created(2)));
    assert_eq!(elected(&[copy(2), twin]), Some(copy(2).id.to_string()));
    let unknown = without(copy(9), tag::SOURCE_CREATED);
    assert_eq!(elected(&[unknown.clone(), copy(1)]), Some(copy(1).id.to_string()));
    assert_eq!(elected(&[unknown]), Some(copy(9).id.to_string()));
    assert!(Newness::of(&copy(2)) > Newness::of(&copy(1)));
}

#[test]
fn a_requests_copy_is_no_member_while_its_source_has_an_announced_copy() {
    let requested = with(with(copy(9), tag::TRY, "request 0.0"), tag::SOURCE_IMAGE, "ami-10000003");
    let requested = with(requested, tag::SOURCE_CREATED, &tag::time(created(3)));
    let id = |copy: &Image| Some(copy.id.to_string());
    assert_eq!(elected(&[requested.clone(), copy(2)]), id(&requested));
    let names = |copies: &[Image]| members(Own::Nobody, copies).names().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(std::slice::from_ref(&requested)), ["/golden"]);
    assert_eq!(elected(&[requested.clone(), copy(3)]), id(&copy(3)));
    // Also while that one is withdrawn: the build is the same.
    let withdrawn = with(copy(3), tag::WITHDRAWN, "");
    let copies = [requested.clone(), withdrawn, copy(2)];
    assert_eq!(elected(&copies), id(&copy(2)));
    assert_eq!(elect(Own::Nobody, Some(&requested), &copies).1, write(2));
    assert_eq!(elect(Own::Joining(&copy(3)), Some(&requested), &[]).1, write(3));
}

#[test]
fn a_sweep_knows_the_newest_of_each_name() {
    let prod = |day| with(copy(day), tag::PARAMETER, "/prod");
    let members = members(Own::Nobody, &[copy(1), prod(4), copy(2), prod(3), with(copy(5), tag::WITHDRAWN, "")]);
    let newest: Vec<(String, String)> =
        members.names().map(|name| (name.to_string(), members.newest(name).unwrap().id.to_string())).collect();
    let expected =
        [("/golden", copy(2)), ("/prod", copy(4))].map(|(name, copy)| (name.to_owned(), copy.id.to_string()));
    assert_eq!(newest, expected);
}

#[test]
fn a_finish_compares_with_the_holder_and_lists_only_where_no_holder_counts() {
    // 24
    let own = copy(3);
    let joins = |holder: Option<&Image>, copies: &[Image]| elect(Own::Joining(&own), holder, copies);
    assert_eq!(joins(Some(&own), &[]), (vec![], HOLDS));
    assert_eq!(joins(Some(&copy(4)), &[]), (vec!["holder"], HOLDS_ANOTHER));
    assert_eq!(joins(Some(&copy(2)), &[]), (vec!["holder"], write(3)));
    assert_eq!(joins(None, &[copy(4)]), (vec!["members"], write(4)));
    assert_eq!(joins(None, &[]), (vec!["members"], write(3)));
    let withdrawn = with(copy(5), tag::WITHDRAWN, "");
    assert_eq!(joins(Some(&withdrawn), &[copy(4)]), (vec!["holder", "members"], write(4)));
}

#[test]
fn its_own_copy_counts_as_just_written_whatever_the_listing_shows() {
    // 18, 19: the listing may be minutes old.
    let own = copy(3);
    let old = with(copy(3), tag::WITHDRAWN_SOURCE, "2026-11-30T11:00:00Z");
    assert_eq!(elect(Own::Joining(&own), None, &[old, copy(2)]).1, write(3));
    assert_eq!(elect(Own::Leaving(&own.id), Some(&own), &[copy(3), copy(2)]), (vec!["members"], write(2)));
    assert_eq!(elect(Own::Leaving(&own.id), Some(&own), &[copy(3)]), (vec!["members"], NO_MEMBER));
    assert_eq!(elect(Own::Leaving(&own.id), Some(&copy(2)), &[copy(1)]), (vec![], HOLDS_ANOTHER));
    assert_eq!(elect(Own::Leaving(&own.id), None, &[copy(1)]), (vec![], HOLDS_ANOTHER));
}

#[test]
fn a_message_with_a_name_elects_again() {
    // 17, 18, 27: a hand, a race, a listing that lacked something.
    let elect = |holder: Option<&Image>, copies: &[Image]| elect(Own::Nobody, holder, copies);
    assert_eq!(elect(Some(&copy(3)), &[copy(1), copy(3)]), (vec!["members"], HOLDS));
    assert_eq!(elect(Some(&copy(1)), &[copy(1), copy(2)]), (vec!["members", "holder"], write(2)));
    assert_eq!(elect(None, &[copy(1)]), (vec!["members"], write(1)));
    assert_eq!(elect(None, &[]), (vec!["members"], NO_MEMBER));
    assert_eq!(elect(Some(&copy(3)), &[]), (vec!["members"], NO_MEMBER));
    assert_eq!(NAME_DELAY, Timing::EC2.visible);
}

#[test]
fn a_holder_counts_only_while_it_is_a_member() {
    // 21, 22, 26, 27e, 27'''
    let by = |holder: Image| elect(Own::Nobody, Some(&holder), &[copy(1)]).1;
    for holder in [
        with(copy(3), tag::PARAMETER, "/another"),
        without(copy(3), tag::PARAMETER),
        with(copy(3), tag::WITHDRAWN_SOURCE, "2026-11-30T11:00:00Z"),
        Image { state: State::Disabled, ..copy(3) },
        Image { state: State::Deregistered, ..copy(3) },
        Image { state: State::Deregistered, ..foreign(9) },
        Image { state: State::Disabled, ..foreign(9) },
        // Another stack's copy with a key of any writer.
        with(with(copy(3), tag::STACK, "another"), tag::WITHDRAWN, ""),
        with(with(copy(3), tag::STACK, "another"), tag::WITHDRAWN_SOURCE, "2026-11-30T11:00:00Z"),
    ] {
        assert_eq!(by(holder.clone()), write(1), "{holder:?}");
    }
}

#[test]
fn a_holder_of_somebody_else_is_replaced_by_a_newer_copy_only() {
    // 27d
    let own = copy(3);
    let joins = |holder: &Image, source_created: Option<OffsetDateTime>| {
        let parameter = Parameter { value: Some(holder.id.clone()), written: NOW };
        let holder = Holder { image: Some(holder), source_created };
        elect_with(Own::Joining(&own), Some(&parameter), Some(holder), &[]).1
    };
    assert_eq!(joins(&foreign(2), None), write(3));
    assert_eq!(joins(&foreign(4), None), HOLDS_ANOTHER);
    // By its source's creation, where it is known: a copy of the last version is younger than its source.
    assert_eq!(joins(&foreign(4), Some(created(2))), write(3));
    assert_eq!(joins(&foreign(2), Some(created(4))), HOLDS_ANOTHER);
    let adopted_by_nobody = without(copy(4), tag::STACK);
    assert_eq!(joins(&adopted_by_nobody, Some(created(4))), HOLDS_ANOTHER);
}

#[test]
fn a_holder_that_is_not_visible_counts_until_it_must_be() {
    let own = copy(3);
    let after = |minutes| {
        let written = NOW - Duration::minutes(minutes);
        let parameter = Parameter { value: Some(copy(4).id), written };
        let holder = Holder { image: None, source_created: None };
        elect_with(Own::Joining(&own), Some(&parameter), Some(holder), &[]).1
    };
    assert_eq!((after(14), after(15)), (Next::Retry, write(3)));
    let no_ami = Parameter { value: None, written: NOW };
    assert_eq!(elect_with(Own::Joining(&own), Some(&no_ami), None, &[]), (vec!["members"], write(3)));
}

#[test]
fn a_promotion_leaves_the_old_name_before_the_new_tags() {
    // 23
    let copy = with(copy(3), tag::PARAMETER, "/golden/beta");
    let promoted = steps_of(&copy, Some(&with(source(), "Channel", "prod")), "/golden/{tag:Channel}");
    let (beta, prod) = (name("/golden/beta"), name("/golden/prod"));
    assert_eq!(promoted.steps, [Step::Leave(beta.clone()), Step::Tag(prod.clone()), Step::Join(prod.clone())]);
    assert_eq!(promoted.names().collect::<Vec<_>>(), [&beta, &prod, &prod]);
    assert!(!promoted.are_none());
    let mut after = copy;
    for step in &promoted.steps {
        step.apply(&mut after, NOW);
    }
    assert_eq!(name_of(&after), Some(prod.clone()));
    let again = steps_of(&after, Some(&with(source(), "Channel", "prod")), "/golden/{tag:Channel}");
    assert_eq!(again.steps, [Step::Join(prod)]);
    assert!(again.are_none());
}

#[test]
fn a_name_of_a_setting_before_is_left_without_writing() {
    // 27c
    let left = steps_of(&copy(3), Some(&source()), "/images/{name}");
    assert_eq!(left.steps, [Step::Tag(name("/images/base")), Step::Join(name("/images/base"))]);
    let invisible = steps_of(&copy(3), None, "/images/{name}");
    assert_eq!(invisible.steps, []);
}

#[test]
fn a_source_that_gives_no_name_publishes_nothing_and_says_why() {
    // 27f
    let nameless = steps_of(&copy(3), Some(&source()), "/golden{tag:Channel}");
    assert_eq!(nameless.steps, [Step::Leave(name("/golden")), Step::Untag]);
    let said = nameless.unpublished.unwrap().to_string();
    assert_eq!(said, "not published, since PARAMETER_NAME cannot be filled in: the source AMI has no tag `Channel`");
    for channel in ["c".repeat(250), "with a space".to_owned()] {
        let bare = without(copy(3), tag::PARAMETER);
        let unusable = steps_of(&bare, Some(&with(source(), "Channel", &channel)), "/golden/{tag:Channel}");
        assert_eq!(unusable.steps, []);
        assert!(unusable.unpublished.is_some());
    }
    let unselected = with(without(copy(3), tag::PARAMETER), tag::TRY, "request 0.0 unselected");
    assert!(steps_of(&unselected, Some(&source()), "/golden").steps.is_empty());
}

#[test]
fn a_withdrawal_is_on_the_copy_before_the_parameter_is_touched() {
    // 27a, 27': the courier has a key of its own.
    let golden = name("/golden");
    let withdrawing = [Step::Withdraw, Step::Leave(golden.clone())];
    let withdrawn = with(source(), tag::WITHDRAWN, "bad kernel");
    assert_eq!(steps_of(&copy(3), Some(&withdrawn), "/golden").steps, withdrawing);
    let shared = with(source(), "ec2:SharedTag/ami-courier:withdrawn", "");
    assert_eq!(steps_of(&copy(3), Some(&shared), "/golden").steps, withdrawing);
    let disabled = Image { state: State::Disabled, ..source() };
    assert_eq!(steps_of(&copy(3), Some(&disabled), "/golden").steps, withdrawing);
    let mut after = copy(3);
    for step in &withdrawing {
        step.apply(&mut after, NOW);
    }
    assert_eq!(after.tags.get(tag::WITHDRAWN_SOURCE).map(String::as_str), Some("2026-11-30T12:00:00Z"));
    assert!(!after.tags.contains_key(tag::WITHDRAWN));
    // The election is repeated, in case it was cut short; the key is not.
    assert_eq!(steps_of(&after, Some(&withdrawn), "/golden").steps, [Step::Leave(golden.clone())]);
    assert!(steps_of(&after, Some(&withdrawn), "/golden").are_none());
    // 27b: out of sight, it stays withdrawn.
    assert_eq!(steps_of(&after, None, "/golden").steps, [Step::Leave(golden.clone())]);
    let gone = Image { state: State::Deregistered, ..source() };
    assert_eq!(steps_of(&after, Some(&gone), "/golden").steps, [Step::Leave(golden)]);
}

#[test]
fn absence_withdraws_nothing() {
    // 20, 27b
    let gone = Image { state: State::Deregistered, ..source() };
    for source in [None, Some(&gone)] {
        let seen = steps_of(&copy(3), source, "/golden");
        assert_eq!(seen.steps, [Step::Join(name("/golden"))]);
        assert!(seen.are_none());
    }
}

#[test]
fn without_retire_with_source_a_disabled_source_withdraws_nothing_and_restores_nothing() {
    let look = |copy: &Image, source: &Image, retire_with_source| {
        let parameter_name = &template("/golden");
        let source_region = &"us-east-1".parse().unwrap();
        let look = Look {
            copy,
            source: Some(source),
            source_region,
            parameter_name,
            retire_with_source,
            is_due: false,
            now: NOW,
        };
        steps(&look, &Timing::EC2).steps
    };
    let disabled = Image { state: State::Disabled, ..source() };
    assert_eq!(look(&copy(3), &disabled, false), [Step::Join(name("/golden"))]);
    let withdrawn = with(copy(3), tag::WITHDRAWN_SOURCE, "2026-11-01T00:00:00Z");
    assert_eq!(look(&withdrawn, &disabled, false), [Step::Leave(name("/golden"))]);
    // 27'''': the setting was taken back, then the source enabled.
    assert_eq!(look(&withdrawn, &source(), false), [Step::Restore, Step::Join(name("/golden"))]);
}

#[test]
fn a_copy_whose_time_has_come_is_withdrawn() {
    let parameter_name = &template("/golden");
    let source_region = &"us-east-1".parse().unwrap();
    let copy = &copy(3);
    let look =
        Look { copy, source: None, source_region, parameter_name, retire_with_source: true, is_due: true, now: NOW };
    assert_eq!(steps(&look, &Timing::EC2).steps, [Step::Withdraw, Step::Leave(name("/golden"))]);
}

#[test]
fn a_withdrawal_is_taken_back_once_the_source_cannot_look_as_it_was_before() {
    let golden = name("/golden");
    let withdrawn = |minutes| with(copy(3), tag::WITHDRAWN_SOURCE, &tag::time(NOW - Duration::minutes(minutes)));
    let old = steps_of(&withdrawn(15), Some(&source()), "/golden");
    assert_eq!((old.steps, old.look_again_at), (vec![Step::Restore, Step::Join(golden.clone())], None));
    let young = steps_of(&withdrawn(5), Some(&source()), "/golden");
    assert!(!young.are_none());
    assert_eq!(
        (young.steps, young.look_again_at),
        (vec![Step::Leave(golden.clone())], Some(NOW + Duration::minutes(10)))
    );
    // People's key on the copy is theirs.
    let by_people = with(withdrawn(15), tag::WITHDRAWN, "");
    assert_eq!(steps_of(&by_people, Some(&source()), "/golden").steps, [Step::Restore, Step::Leave(golden.clone())]);
    let only_people = with(copy(3), tag::WITHDRAWN, "");
    assert_eq!(steps_of(&only_people, Some(&source()), "/golden").steps, [Step::Leave(golden)]);
    // A value that nobody can read: it is written again, so that its time is known.
    let unreadable = with(copy(3), tag::WITHDRAWN_SOURCE, "long ago");
    let withdrawing = with(source(), tag::WITHDRAWN, "");
    assert_eq!(steps_of(&unreadable, Some(&withdrawing), "/golden").steps[0], Step::Withdraw);
    assert_eq!(steps_of(&unreadable, Some(&source()), "/golden").steps[0], Step::Restore);
}

#[test]
fn what_differs_is_said_in_plain_words() {
    let words = |copy: &Image, source: &Image| steps_of(copy, Some(source), "/golden/{tag:Channel}").described();
    let of = |channel: &str| with(copy(3), tag::PARAMETER, &format!("/golden/{channel}"));
    let source = with(source(), "Channel", "prod");
    assert_eq!(words(&of("prod"), &source), [""; 0]);
    assert_eq!(words(&of("beta"), &source), ["it belongs to the parameter `/golden/prod`"]);
    assert_eq!(words(&of("beta"), &without(source.clone(), "Channel")), ["it belongs to no parameter any more"]);
    assert_eq!(words(&of("prod"), &with(source.clone(), tag::WITHDRAWN, "")), ["its source is withdrawn"]);
    let withdrawn = |minutes| with(of("prod"), tag::WITHDRAWN_SOURCE, &tag::time(NOW - Duration::minutes(minutes)));
    assert_eq!(words(&withdrawn(15), &source), ["its source is not withdrawn any more"]);
    let soon = words(&withdrawn(5), &source);
    assert_eq!(soon, ["it is a member of its parameter again from 2026-11-30 12:10 UTC"]);
}

#[test]
fn a_copy_leaves_service_once_nothing_can_write_it_to_its_parameter_any_more() {
    // 25, 27'', 27g
    let withdrawn = |minutes| with(copy(3), tag::WITHDRAWN_SOURCE, &tag::time(NOW - Duration::minutes(minutes)));
    let held_by = |day: u8| Parameter { value: Some(copy(day).id), written: NOW };
    let may = |copy: &Image, parameter: &Parameter| may_leave_service(copy, Some(parameter), &Timing::EC2, NOW);
    assert_eq!(may(&withdrawn(60), &held_by(3)), LeavesService::HeldBy(name("/golden")));
    assert_eq!(may(&withdrawn(29), &held_by(2)), LeavesService::NotBefore(NOW + Duration::minutes(1)));
    assert_eq!(may(&withdrawn(30), &held_by(2)), LeavesService::Now);
    assert_eq!(may_leave_service(&withdrawn(30), None, &Timing::EC2, NOW), LeavesService::Now);
    // It must be withdrawn first.
    assert_eq!(may(&copy(3), &held_by(2)), LeavesService::NotBefore(NOW + Duration::minutes(30)));
    // Without a parameter's name, nothing waits.
    assert_eq!(may(&without(copy(3), tag::PARAMETER), &held_by(2)), LeavesService::Now);
}

#[test]
fn names_fit_into_a_tag() {
    assert!(ParameterName::RULE.contains("256"));
    assert!(format!("/{}", "x".repeat(255)).parse::<ParameterName>().is_ok());
    for text in [String::new(), format!("/{}", "x".repeat(256)), "/golden image".to_owned(), "/gölden".to_owned()] {
        assert!(text.parse::<ParameterName>().is_err(), "{text}");
    }
}
