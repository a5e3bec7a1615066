//! What the questions share: a source AMI, copies of it, and the ways to look at them.
//!
//! Everything that a run makes carries the tag [`RUN_TAG`] from its first moment, and its id is in [`Made`] as soon as AWS has
//! answered. So [`clean`](crate::clean) finds it, whether the run ends by itself or is killed.

//!
//! `bench` is the laboratory itself, `things` is what lies on it. `source`, `copies`, `events` and `role` make things, `look` looks at them.

mod bench;
mod copies;
mod events;
mod look;
mod role;
mod source;
mod things;

pub use bench::{Kind, Lab, Made, Plan, RUN_TAG, VISIBLE_WITHIN};
pub use events::NAME_PREFIX;
pub use role::{PARAMETER_PATH, ROLE_PATH, ROLE_POLICY};
pub(crate) use source::SHARED_TAG;
pub(crate) use things::{Copy, Event, Look, Role, Sighting};
