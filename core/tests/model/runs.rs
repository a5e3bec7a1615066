//! The runs: what each one assumes, and what must come out. `MODEL_WORKERS`, `MODEL_MESSAGES` (both for [`Counted`]) and
//! `MODEL_TRIES` set larger bounds, `MODEL_CHANGES` those of the election; `MODEL_TRACES` prints the traces of broken rules.
//! The runs with an operator and many epochs keep one worker: two workers did not end within six minutes.

use std::time::Instant;

use courier_core::protocol::Timing;

use crate::any_number::AnyNumber;
use crate::counted::{Counted, Sweep, World};
use crate::mutations::Mutation;
use crate::properties::{Verdict, check, explore};
use crate::rules::{Family, Kind, Rules};
use crate::words;

/// Explores one model, prints what came out, and fails if that is not what must.
pub(crate) fn any_number(name: &str, must: Verdict, rules: Rules) {
    let start = Instant::now();
    let model = AnyNumber { rules };
    let explored = check(model.clone(), Verdict::TwoCopies);
    report(name, explored.states, explored.verdict, start, words::of_any_number(&model, &explored.trace));
    assert_eq!(explored.verdict, must, "{name}");
}

/// The same for counted messages: safety and liveness.
pub(crate) fn counted(name: &str, must: Verdict, model: &Counted) {
    let start = Instant::now();
    let explored = explore(model);
    report(name, explored.states, explored.verdict, start, words::of_counted(&explored.trace));
    assert_eq!(explored.verdict, must, "{name}");
}

pub(crate) fn report(name: &str, states: usize, verdict: Verdict, start: Instant, trace: Vec<String>) {
    let verdict = format!("{verdict:?}");
    println!("{name:75} {states:>9} states  {verdict:9} {:6.2} s", start.elapsed().as_secs_f32());
    if std::env::var_os("MODEL_TRACES").is_some() {
        for line in trace {
            println!("    {line}");
        }
    }
}

pub(crate) fn bound<T: std::str::FromStr>(variable: &str, otherwise: T) -> T {
    match std::env::var(variable) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{variable} is `{value}`; it must be a number")),
        Err(_) => otherwise,
    }
}

fn workers() -> usize {
    bound("MODEL_WORKERS", 1)
}

/// The tightest numbers, with the real number of tries. A chain has room for a sweep's message and a second look for each try.
pub(crate) fn all_tries() -> Rules {
    tries(bound("MODEL_TRIES", Timing::EC2.tries))
}

/// The tightest numbers, with two tries: enough for one that follows another.
pub(crate) fn two_tries() -> Rules {
    tries(bound("MODEL_TRIES", 2))
}

fn tries(tries: u32) -> Rules {
    let tightest = Rules::tightest();
    Rules { timing: Timing { tries, hops: tries + 1, ..tightest.timing }, ..tightest }
}

/// An origin and its sibling, within one epoch, in which one copy may die. The sibling waits for visibility, a pause, and the time in
/// which messages about the origin are still in time.
pub(crate) fn family() -> Rules {
    let (visible_after, pause, in_time) = (2, 1, 1);
    let wait = in_time + visible_after + pause - 1;
    let until = wait + 2 * visible_after + pause;
    let timing = Timing { epoch: until + 1, second_look: visible_after, tries: 1, ..Rules::tightest().timing };
    Rules {
        timing,
        visible_after,
        pause,
        remembered: until + 1 + pause,
        orders: vec![(Kind::Announcement, 1), (Kind::Sibling, 1)],
        family: Some(Family { made_at: 0, wait, in_time_until: in_time, apart: true, until }),
        ..Rules::tightest()
    }
}

/// A world with a sweep that comes again and again; its visibility and its epochs are shorter.
pub(crate) fn with_sweep() -> Counted {
    let (visible_after, pause, epoch) = (2, 1, 4);
    let timing = Timing { epoch, quiet: visible_after + pause - 1, second_look: visible_after, ..two_tries().timing };
    Counted {
        rules: Rules { timing, visible_after, pause, remembered: epoch + pause, ..two_tries() },
        world: World {
            kind: Kind::Announcement,
            parameter_sets: 2,
            workers: workers(),
            messages: bound("MODEL_MESSAGES", 2),
            sweep: Sweep::Always,
            operator: false,
            foreign: false,
            deregistered_by_hand: true,
            one_epoch: None,
            has_queue: true,
            dead_token_is_error: false,
        },
    }
}

/// Two workers, with chains of second looks that are one shorter than elsewhere: enough for each mistake, in far fewer states.
pub(crate) fn two_workers() -> Counted {
    let mut model = with_sweep().world(|world| World { workers: 2, ..world });
    model.rules.timing.hops = model.rules.timing.tries;
    model
}

/// No sweep, but an operator who sends every dead letter back.
pub(crate) fn with_operator() -> Counted {
    let mut model = with_sweep().world(|world| World { sweep: Sweep::Never, operator: true, workers: 1, ..world });
    // No sweep's message begins a chain.
    model.rules.timing.hops = model.rules.timing.tries;
    model
}

impl Counted {
    pub(crate) fn world(self, change: impl FnOnce(World) -> World) -> Self {
        Self { world: change(self.world), ..self }
    }

    pub(crate) fn with(self, mutation: Mutation) -> Self {
        Self { rules: self.rules.with(mutation), ..self }
    }

    /// The first epoch never ends, and so many copies die.
    pub(crate) fn one_epoch(self, deaths: u8) -> Self {
        self.world(|world| World { one_epoch: Some(deaths), workers: workers(), ..world })
    }

    /// Somebody else copies the source once.
    pub(crate) fn foreign(self) -> Self {
        self.world(|world| World { foreign: true, ..world })
    }
}
