//! The world, shared between the server's connections and the tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::world::World;

/// A world that one user at a time can lock.
#[derive(Clone, Default)]
pub(super) struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    /// The world, up to date with its clock.
    ///
    /// A poisoned lock is ignored: it would hide the message of the test that panicked.
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle();
        world
    }
}
