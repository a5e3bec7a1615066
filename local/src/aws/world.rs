//! What every service is built on: time, an agenda, and a place for the state of each module.
//!
//! The world knows no service. A module keeps its state here as a type of its own ([`World::state`]), and adds its
//! methods in its own `impl World`. What shall happen later goes on the agenda as a function ([`World::schedule`]).

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

use super::behaviour::Behaviour;
use super::clock::Clock;
use super::digest::uuid;

/// An AWS with all Regions and accounts, and one clock.
///
/// It can be used without a server: [`World::call`] is what the server does with a request.
#[derive(Default)]
pub struct World {
    /// What AWS leaves open. Change it at any time.
    pub behaviour: Behaviour,
    clock: Clock,
    /// The time of the happening that is under way.
    moment: Option<OffsetDateTime>,
    /// By time, then in the order in which they were scheduled.
    agenda: BTreeMap<(OffsetDateTime, u64), Happening>,
    /// Counts everything that needs an id.
    serial: u64,
    states: HashMap<TypeId, Box<dyn Any + Send>>,
}

/// Something that happens when its time has come.
type Happening = Box<dyn FnOnce(&mut World) + Send>;

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now()).field("behaviour", &self.behaviour).finish_non_exhaustive()
    }
}

/// Time.
impl World {
    /// The world's time: [`START`](super::START) + every advance + rate × real time.
    pub fn now(&self) -> OffsetDateTime {
        self.moment.unwrap_or_else(|| self.clock.now())
    }

    /// Moves the clock. Everything that is due by then happens, in order, each at its time.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.settle();
    }

    /// How many seconds pass here for each real second. Default: 0, only tests advance the clock.
    pub fn set_rate(&mut self, seconds_per_real_second: f64) {
        self.clock.set_rate(seconds_per_real_second);
    }

    /// Lets everything happen that is due. [`Aws::world`](super::Aws::world) and each call do so first. Only a world at a
    /// rate and without a server needs it.
    pub fn settle(&mut self) {
        let now = self.now();
        while let Some(entry) = self.agenda.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                break;
            }
            self.moment = Some(at);
            let happening = entry.remove();
            happening(self);
        }
        self.moment = None;
    }

    /// When the agenda has its next entry, if it has one: a copy ends, a parameter is checked, an AMI is shared.
    pub fn next_happening(&self) -> Option<OffsetDateTime> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn schedule(&mut self, at: OffsetDateTime, happening: impl FnOnce(&mut World) + Send + 'static) {
        let serial = self.next_serial();
        self.agenda.insert((at, serial), Box::new(happening));
    }
}

/// State and ids.
impl World {
    /// The state of a module; `None` before its first change.
    pub(super) fn state<S: Any>(&self) -> Option<&S> {
        self.states.get(&TypeId::of::<S>())?.downcast_ref()
    }

    /// The state of a module, to change it.
    pub(super) fn state_mut<S: Any + Send + Default>(&mut self) -> &mut S {
        let state = self.states.entry(TypeId::of::<S>()).or_insert_with(|| Box::<S>::default());
        state.downcast_mut().expect("a state is kept under its own type")
    }

    pub(super) fn new_uuid(&mut self) -> String {
        let serial = self.next_serial();
        uuid(&format!("uuid {serial}"))
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}
