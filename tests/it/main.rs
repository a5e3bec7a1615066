//! The real binary, as Lambda runs it, on AWS on loopback.
//!
//! Each module is one promise; each test's name is the sentence it proves. [`stage`] sets the scene.

#![allow(unreachable_pub, reason = "a test binary exports nothing")]
#![allow(clippy::needless_pass_by_value, reason = "`json!(…)` is handed over where it is written")]
#![allow(
    clippy::too_many_lines,
    clippy::type_complexity,
    reason = "tables of cases are long, and their types are said once"
)]

mod back_pressure;
mod batch;
mod chains;
mod corpus;
mod endpoints;
mod errors;
mod events;
mod exactly_once;
mod exclusions;
mod families;
mod finish;
mod gate;
mod https;
mod in_step;
mod killed;
mod life;
mod lists;
mod logs;
mod loops;
mod next_try;
mod not_yet;
mod own_region;
mod poller;
mod post_mortem;
mod public;
mod publish;
mod requests;
mod retire;
mod rings;
mod selection;
mod settings;
mod share;
mod shared_tags;
mod source;
mod stage;
mod status;
mod sweep;
mod torture;
mod wire;
