//! The steps: copy, finish, post-mortem, retire, and the sweep that announces what events missed.
//!
//! Each step is idempotent and looks at EC2 itself before it acts: an event only says where to look. No step waits, and
//! nothing is remembered between invocations. A step acts on AMIs alone: the events, messages and clean-up that follow from
//! it, it returns in its [`Report`].
//!
//! `dispatch` chooses the step for an announcement; `step` has what all steps share. `status` is no step: it answers a caller who
//! asks what became of the copies, and changes nothing.

mod copy;
mod dispatch;
mod finish;
mod listing;
mod post_mortem;
mod publish;
mod report;
mod retire;
mod rounds;
mod source;
mod status;
mod step;
mod sweep;
mod usage;

pub use report::{Handled, LastStep, Report, Sweep, Tally};
pub use step::{Courier, DeliveryAttempt};
