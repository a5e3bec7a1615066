//! Ask AWS itself: does it do what ami-courier assumes?
//!
//! The promise of ami-courier rests on a few facts of EC2 that AWS does not publish. `probe` asks an AWS account, for cents and in
//! some minutes, whether each of them holds there, and says what a difference means for the courier.
//!
//! - [`assumption`] is the one list of what we assume. `docs/assumptions.md` shows it; a test compares the two.
//! - [`questions`] has one small function for each of them, with the question as its name.
//! - [`lab`] is what they share: an AMI that depends on nothing in the account, and copies of it.
//! - [`clean`] removes everything that a run made, also what a killed run left behind.
//! - [`aws`] is the SDK, with the clock, and with what stops a run.
//! - [`preview`], [`policy`], [`report`] and [`cli`] are what the user sees.
//!
//! Dependencies point one way: `cli -> run -> assumption -> questions -> lab -> aws`.

pub mod assumption;
pub mod aws;
pub mod clean;
pub mod cli;
pub mod lab;
pub mod policy;
pub mod preview;
pub mod questions;
pub mod report;
pub mod run;
