//! The steps: copy, finish, post-mortem, retire, and the sweep that announces what events missed.
//!
//! Each step is idempotent and looks at EC2 itself before it acts: an event only says where to look. No step waits, and
//! nothing is remembered between invocations. A step acts on AMIs alone: the events, messages, dead letters and clean-up that follow
//! from it, it returns in its report.
//!
//! - `dispatch` chooses the step for a message: all routing is there.
//! - One file for each step. Its struct has what the step knows, and its methods are the step.
//! - `close` carries out the reports: the only way to the event bus, the courier's own queue and the dead-letter queue.
//! - `status` is no step: it answers a caller who asks what became of the copies, and changes nothing.

mod close;
mod copy;
mod dispatch;
mod finish;
mod listing;
mod log;
mod membership;
mod post_mortem;
mod publish;
mod report;
mod retire;
mod source;
mod stack;
mod status;
mod sweep;
mod usage;

pub use close::Closed;
pub use stack::{Courier, Delivery, Queued};
