//! **ami-courier** copies every announced AMI into its Region, exactly once, and finishes it, or reports plainly why not.
//!
//! Deploy one stack in each destination Region. The data goes one way:
//!
//! ```text
//! payload ─► delivery ─► message ─► courier: dispatch ─► a step ──────► reports ─► courier: close ─► delivery ─► answer
//!            how Lambda  what it    which step           copy, finish,             event, message,   batch failures,
//!            handed it   says                            retire, sweep             letter, last step  a value, an error
//! ```
//!
//! Paths without `core/` are below `src/`; `core/src/lib.rs` has the map of [`courier_core`], which is everything pure.
//!
//! - A new kind of message: an event of EventBridge in `core/src/announcement/event.rs` and in the rules of both templates, any other
//!   in `recognise.rs` and `read.rs` beside it, each with a file of its own there.
//! - Which step a message asks for: `courier/dispatch.rs`. What is wanted here: `core/src/selection.rs`.
//! - How a copy is made: `courier/copy/`; the rules of exactly once: `core/src/protocol.rs`; the exact call: `core/src/plan.rs`.
//! - A new part of the finish, which keeps a copy in step for as long as it lives: what differs, in `core/src/in_step.rs`; what is
//!   done, in `courier/finish.rs`. Why a copy failed: `courier/post_mortem.rs`.
//! - Which copy a parameter holds: `core/src/election.rs`, carried out in `courier/membership.rs` and `courier/publish.rs`.
//! - Retirement: `courier/retire.rs`; its rules: `core/src/retirement.rs`.
//! - What sweep and status make of what they list: `core/src/survey.rs`.
//! - Events, the courier's own messages, which rejection becomes a dead letter, the removal of a failed copy: `courier/close.rs`.
//! - Batches, answers, and how long a message waits before it comes again: [`delivery`]. It never calls EC2.
//! - AWS: [`aws`], the only folder that knows the SDK, with the table that sorts AWS's error codes in `aws/error.rs`.
//! - Settings: `core/src/settings.rs`, with a parameter in `template.yaml` and a row in `docs/settings.md`.
//!
//! Dependencies point one way: `delivery -> courier -> {aws, core}`, and never back.
//!
//! There is no database: what must be remembered is in EC2 itself (client tokens, the copies' tags, the source that EC2
//! records for every copy) and in the courier's own queue. Nothing waits: EC2's own events start the second half, and the sweep
//! announces what no event did.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod aws;
pub mod courier;
pub mod delivery;
pub mod telemetry;
