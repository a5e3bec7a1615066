//! The world, shared between the server's connections and the tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::world::World;

/// One world with several users, one at a time.
#[derive(Clone, Default)]
pub(super) struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    /// The world, up to date with its clock.
    ///
    /// A test that panicked while it held the world must not hide its message behind a poisoned lock.
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle();
        world
    }
}
