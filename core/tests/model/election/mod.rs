//! The election, explored: a few copies, whose sources and tags change, and the parameters that hold them.
//!
//! The model calls the functions of `courier_core::election` themselves. Around them it has EC2 and Parameter Store at their
//! weakest:
//!
//! - `world.rs`: tags that look as they were a short time ago, calls that arrive late, writes without conditions;
//! - `courier.rs`: what the courier does between its calls;
//! - `model.rs`: everything that can happen, in any order; then peace, one sweep, and the end;
//! - `mutations.rs`, `rules.rs`: the broken rules, the assumptions;
//! - `words.rs`: traces in plain words.
//!
//! The property: when everything that the last sweep sent is done, each copy is as its source says, each parameter holds the
//! newest member of its name, and none holds an AMI that the courier disabled, or that it has gone back from.

mod courier;
mod model;
mod mutations;
mod rules;
mod words;
mod world;

use std::time::Instant;

use self::model::Elections;
use self::mutations::Mutation;
use self::rules::{Kind, Peace, Rules};
use crate::properties::Verdict::{self, Holds, WrongHolder};
use crate::properties::check;
use crate::runs::{bound, report};

fn explore(name: &str, must: Verdict, rules: Rules) {
    let start = Instant::now();
    let explored = check(Elections::new(rules), WrongHolder);
    report(name, explored.states, explored.verdict, start, words::of(&explored.trace));
    assert_eq!(explored.verdict, must, "{name}");
}

#[test]
fn after_one_sweep_in_peace_every_name_holds_its_newest_member() {
    explore("copies that finish at once", Holds, fresh());
    explore("promotion", Holds, promotion());
    explore("withdrawal", Holds, withdrawal());
    explore("disabled sources", Holds, disabling());
    explore("sources out of sight", Holds, absence());
    explore("hands and the last version", Holds, hands());
}

/// How many things change, at most, in a run that has changes.
fn changes() -> u8 {
    bound("MODEL_CHANGES", 2)
}

fn fresh() -> Rules {
    Rules { crashes: 1, late: 1, failed_pages: 1, ..Rules::fresh(3) }
}

fn promotion() -> Rules {
    Rules { crashes: 1, late: 1, ..Rules::published(2).changing(changes(), &[Kind::Promoted]) }
}

fn withdrawal() -> Rules {
    Rules {
        crashes: 1,
        late: 1,
        ..Rules::published(2).changing(changes(), &[Kind::SourceWithdrawn, Kind::CopyWithdrawn])
    }
}

/// Copies are disabled while members leave.
fn disabling() -> Rules {
    let kinds = [Kind::SourceDisabled, Kind::SourceEnabled, Kind::SourceWithdrawn];
    Rules { late: 1, ..Rules::published(2).changing(changes(), &kinds) }
}

fn absence() -> Rules {
    let kinds = [Kind::SourceWithdrawn, Kind::SourceGone, Kind::CopyDeregistered];
    Rules { crashes: 1, ..Rules::published(2).changing(changes(), &kinds) }
}

fn hands() -> Rules {
    let kinds = [Kind::HandWrites, Kind::LastVersion, Kind::SourceWithdrawn];
    Rules { late: 1, ..Rules::published(2).changing(changes(), &kinds) }
}

#[test]
fn without_the_sweep_it_is_right_as_long_as_nothing_overtakes_anything() {
    explore("promotion, no sweep", Holds, one_by_one());
}

/// One worker; its message comes again after a crash.
fn one_by_one() -> Rules {
    Rules {
        workers: 1,
        crashes: 2,
        visible: 0,
        events_are_lost: false,
        peace: Peace::NoSweep,
        ..Rules::published(2).changing(1, &[Kind::Promoted, Kind::SourceWithdrawn])
    }
}

#[test]
fn a_broken_rule_leaves_a_wrong_holder() {
    for (rules, mutation) in [
        (absence(), Mutation::GoBackOnAbsence),
        (fresh(), Mutation::HalfListing),
        (absence(), Mutation::WithdrawnAfterParameter),
        (absence(), Mutation::RestoreAtOnce),
        (withdrawal(), Mutation::OneKey),
        (one_by_one(), Mutation::LeaveAfterTags),
        (fresh(), Mutation::NewestByFinishing),
        (disabling(), Mutation::DisableWhileHeld),
        (disabling(), Mutation::DisableWithoutWaiting),
        (disabling(), Mutation::DisableOnceVisible),
        (fresh(), Mutation::NoNameDelay),
        (fresh(), Mutation::NoSweep),
    ] {
        explore(&format!("{mutation:?}"), WrongHolder, rules.with(mutation));
    }
}

#[test]
fn a_sweep_right_after_the_last_change_is_not_enough() {
    explore("the sweep begins at once", WrongHolder, Rules { peace: Peace::AtOnce, ..Rules::fresh(2) });
}
