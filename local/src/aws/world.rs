//! The ground that every service stands on: time, what is due, and a place for each module's state.
//!
//! The world knows no service. A module that has state keeps a type of its own here ([`World::state`]) and adds its
//! methods in an `impl World` of its own; what happens later is put on the agenda as a function ([`World::schedule`]).

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

use super::behaviour::Behaviour;
use super::clock::Clock;
use super::digest::uuid;

/// An AWS of every Region and account, with one clock.
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
    /// The world's time: [`START`](super::START) + all that was advanced + rate × real time.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.moment.unwrap_or_else(|| self.clock.now())
    }

    /// Moves the clock. Everything that is due by then happens, in order, each at its time.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.settle();
    }

    /// How many seconds pass here for each real second. 0, the default: the clock stands still.
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

    /// When the next thing happens by itself, if anything will: a copy ends, a parameter is checked.
    #[must_use]
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
    /// What a module keeps here; `None` as long as it has kept nothing.
    pub(super) fn state<S: Any>(&self) -> Option<&S> {
        self.states.get(&TypeId::of::<S>())?.downcast_ref()
    }

    /// What a module keeps here, to change it.
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
