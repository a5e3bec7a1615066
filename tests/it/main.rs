//! The real binary, as Lambda runs it, on AWS on loopback.
//!
//! Each module is one promise; each test's name is the sentence it proves. [`stage`] sets the scene.

#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod back_pressure;
mod events;
mod exactly_once;
mod finish;
mod killed;
mod life;
mod poller;
mod post_mortem;
mod publish;
mod retire;
mod stage;
mod sweep;
mod torture;
