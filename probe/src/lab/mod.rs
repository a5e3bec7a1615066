//! What the questions share: a source AMI, copies of it, events and a role, each made at the first question that needs it.
//!
//! Everything that a run makes carries the tag [`RUN_TAG`] from its first moment, and its id is in [`Made`] as soon as AWS has
//! answered. So [`clean`](crate::clean) finds it, whether the run ends by itself or is killed.
//!
//! `bench` is the laboratory itself. `copies`, `events`, `parameters` and `role` make things, `look` looks at them.

mod bench;
mod copies;
mod events;
mod look;
mod parameters;
mod role;

pub(crate) use bench::{By, Copy, EndOfCopy, Role, SHARED_TAG, Sighting, tag, tagged};
pub use bench::{Kind, Lab, Made, NAME_PREFIX, PATH, Plan, ROLE_POLICY, RUN_TAG, VISIBLE_WITHIN};
pub(crate) use events::{NO_EVENT, TARGET};
pub(crate) use look::{Look, snapshot_ids, state, state_reason, volumes};
