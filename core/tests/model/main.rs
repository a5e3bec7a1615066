//! Exactly once, explored: every order of events that the assumptions of `protocol.rs` allow, for one source AMI in one
//! Region. `election/` explores which copy a parameter holds, in the same way.
//!
//! The model calls the functions of `courier_core::protocol` themselves. Around them it has EC2 and SQS at their weakest:
//!
//! - `ec2.rs`: tokens, copies, what a look may show;
//! - `courier.rs`: what the courier does between its calls;
//! - `any_number.rs`: safety, with any number of workers and messages;
//! - `counted.rs`: liveness, with a few workers and messages that can be lost;
//! - `properties.rs`: what is checked, and how;
//! - `mutations.rs`, `rules.rs`, `runs.rs`: the broken rules, the assumptions, the runs;
//! - `words.rs`: traces in plain words.
//!
//! Time goes by in ticks. Only the order of the durations matters, so they are scaled down, and as tight as the protocol
//! allows: with visibility V and pause P, the second look comes after V, the quiet time lasts V + P - 1 (a worker that
//! began in the last tick of an epoch can call in the first P ticks of the next), and EC2 remembers a token for the
//! epoch and P. The real numbers have room to spare.
//!
//! `cargo test -p courier-core --test model -- --nocapture` prints the states and the time of each run;
//! `MODEL_TRACES=1` adds the shortest trace of each broken rule.

mod any_number;
mod counted;
mod courier;
mod ec2;
mod election;
mod mutations;
mod properties;
mod rules;
mod runs;
mod words;

use crate::counted::{Sweep, World};
use crate::mutations::Mutation;
use crate::properties::Verdict::{Holds, Stuck, TwoCopies};
use crate::rules::{Family, Kind, Rules};
use crate::runs::{all_tries, any_number, counted, family, two_tries, two_workers, with_operator, with_sweep};

#[test]
fn no_order_ever_has_two_live_copies_however_many_workers_there_are() {
    // A request whose tags come in any order is the same: one token, made of the sorted call, and two sets of parameters.
    any_number("announcements, or a request with unsorted tags", Holds, all_tries());
    any_number("announcements; copies are disabled", Holds, Rules { disables: true, ..two_tries() });
    any_number("a request", Holds, Rules { orders: vec![(Kind::Request, 1)], ..all_tries() });
    any_number(
        "a request with its own token",
        Holds,
        Rules { orders: vec![(Kind::RequestWithOwnToken, 2)], ..two_tries() },
    );
}

#[test]
fn a_request_and_announcements_at_the_same_time_have_a_copy_each_and_never_two() {
    any_number("a request beside announcements", Holds, beside_a_request());
}

fn beside_a_request() -> Rules {
    Rules { orders: vec![(Kind::Announcement, 1), (Kind::Request, 1)], ..two_tries() }
}

#[test]
fn an_origin_and_its_sibling_have_one_copy_unless_both_are_late_and_close_together() {
    any_number("a family", Holds, family());
    any_number("a family; copies are disabled", Holds, Rules { disables: true, ..family() });
    // The limit that the documents name.
    let close = family().family.map(|family| Family { apart: false, ..family });
    any_number("a family; both late, close together", TwoCopies, Rules { family: close, ..family() });
}

#[test]
fn a_broken_rule_of_families_makes_two_copies_of_one_build() {
    for mutation in [Mutation::SiblingDoesNotWait, Mutation::SiblingLooksAlone, Mutation::OriginNotRecorded] {
        any_number(&format!("{mutation:?}"), TwoCopies, family().with(mutation));
    }
    let wait_too_short = family().family.map(|family| Family { wait: family.wait - 1, ..family });
    any_number("SiblingWaitsTooShort", TwoCopies, Rules { family: wait_too_short, ..family() });
}

#[test]
fn every_message_ends_and_one_copy_is_made_in_the_end() {
    counted("sweep", Holds, &with_sweep());
    counted(
        "sweep; a dead token is an error",
        Holds,
        &with_sweep().world(|w| World { dead_token_is_error: true, ..w }),
    );
    counted("sweep; no queue for second looks", Holds, &with_sweep().world(|w| World { has_queue: false, ..w }));
    counted("sweep; within one epoch, one copy dies", Holds, &with_sweep().one_epoch(1));
    counted("operator; also a request with unsorted tags", Holds, &with_operator());
    counted("operator; no queue for second looks", Holds, &with_operator().world(|w| World { has_queue: false, ..w }));
    counted("operator; within one epoch, all tries die", Holds, &with_operator().one_epoch(2));
    counted("operator; somebody else copies as well", Holds, &with_operator().foreign().one_epoch(1));
    counted("sweep; somebody else copies as well", Holds, &with_sweep().foreign().one_epoch(1));
    counted("one sweep and no event; operator", Holds, &only_sweep());
    counted("a request; operator", Holds, &requested(Kind::Request));
    // Nobody promises a copy here: the token may stand for a dead one.
    counted("a request with its own token; operator", Holds, &requested(Kind::RequestWithOwnToken));
}

fn only_sweep() -> counted::Counted {
    with_operator().one_epoch(1).world(|world| World { sweep: Sweep::Once, ..world })
}

fn requested(kind: Kind) -> counted::Counted {
    with_operator().world(|world| World { kind, parameter_sets: 1, ..world })
}

#[test]
fn a_broken_rule_makes_two_copies() {
    for mutation in [
        Mutation::NotFoundIsDead,
        Mutation::EmptyIsDead,
        Mutation::UnavailableIsDead,
        Mutation::TokenOfWholeCall,
        Mutation::TokenWithoutEpoch,
        Mutation::NoQuietTime,
        Mutation::QuietTimeTooShort,
        Mutation::DelayShorterThanVisibility,
        Mutation::MemoryShorterThanEpoch,
    ] {
        any_number(&format!("{mutation:?}"), TwoCopies, two_tries().with(mutation));
    }
    let disabled = Rules { disables: true, ..two_tries() };
    any_number("DisabledCopiesNotSeen", TwoCopies, disabled.with(Mutation::DisabledCopiesNotSeen));
    let misled = beside_a_request().with(Mutation::RequestsHintForAnnouncements);
    any_number("RequestsHintForAnnouncements", TwoCopies, misled);
    any_number("LastLetterHasNextTry", TwoCopies, two_tries().with(Mutation::LastLetterHasNextTry));
    let unsorted = Rules { orders: vec![(Kind::Request, 2)], ..two_tries() }.with(Mutation::TagsUnsortedInToken);
    any_number("TagsUnsortedInToken", TwoCopies, unsorted);
}

#[test]
fn a_broken_rule_leaves_a_source_without_a_copy() {
    let operator = || with_operator().one_epoch(1);
    counted("TokenWithoutTry", Stuck, &with_sweep().one_epoch(1).with(Mutation::TokenWithoutTry));
    counted("TokenWithoutEpoch, EC2 never forgets", Stuck, &with_sweep().with(Mutation::TokenWithoutEpoch));
    counted("MismatchIsSuccess, sweep", Stuck, &with_sweep().one_epoch(1).with(Mutation::MismatchIsSuccess));
    counted("MismatchIsSuccess, operator", Stuck, &operator().with(Mutation::MismatchIsSuccess));
    counted("SecondLookNotSent", Stuck, &operator().with(Mutation::SecondLookNotSent));
    let foreign_only = operator().foreign().world(|world| World { deregistered_by_hand: false, ..world });
    counted("SecondLookNotSent, foreign copy", Stuck, &foreign_only.clone().with(Mutation::SecondLookNotSent));
    counted("ForeignPendingIsAnswer", Stuck, &foreign_only.clone().with(Mutation::ForeignPendingIsAnswer));
    counted("SweepsAnnouncementNotSent", Stuck, &only_sweep().with(Mutation::SweepsAnnouncementNotSent));
    counted("NoLetterWhenSwept", Stuck, &operator().with(Mutation::NoLetterWhenSwept));
    counted("EndOfChainIsSuccess", Stuck, &foreign_only.clone().with(Mutation::EndOfChainIsSuccess));
    counted("LastLetterKeepsHops", Stuck, &operator().foreign().with(Mutation::LastLetterKeepsHops));
    counted("ChainTooShort, sweep", Stuck, &with_sweep().one_epoch(1).with(Mutation::ChainTooShort));
    let spent = with_operator().one_epoch(2).with(Mutation::SpentLetterWithoutTry);
    counted("SpentLetterWithoutTry", Stuck, &spent);
}

/// Without the look, a copy is made beside somebody else's, but never a second one of the courier's: the tokens alone
/// prevent that. A mismatch that counts as success, and a token without the try, make no second copy; they may make none.
#[test]
fn a_broken_rule_that_makes_no_second_copy_is_known() {
    for mutation in [Mutation::HintWithoutLook, Mutation::MismatchIsSuccess, Mutation::TokenWithoutTry] {
        any_number(&format!("{mutation:?}, safety"), Holds, two_tries().with(mutation));
    }
}

/// The reduction of `any_number.rs` is not what finds them: two workers with counted messages make the same mistakes.
#[test]
fn two_workers_without_the_reduction_make_the_same_mistakes() {
    for mutation in [
        Mutation::NotFoundIsDead,
        Mutation::EmptyIsDead,
        Mutation::UnavailableIsDead,
        Mutation::TokenOfWholeCall,
        Mutation::NoQuietTime,
        Mutation::QuietTimeTooShort,
        Mutation::DelayShorterThanVisibility,
    ] {
        counted(&format!("{mutation:?}, two workers"), TwoCopies, &two_workers().with(mutation));
    }
    counted("sweep; two workers", Holds, &two_workers());
}
