//! Run ami-courier without an AWS account: an embedded AWS, a Lambda host, and a command line on top of both.
//!
//! - [`aws`] is AWS on loopback, faithful where the promise of ami-courier depends on it.
//! - [`host`] runs the real binary as Lambda would: the Runtime API, and a child process behind it.
//! - [`cli`] is `cargo run -p local -- invoke | copy-image | serve | probe`, for people.
//!
//! The integration tests of ami-courier use the first two, so that what they prove is what the command line shows.

pub mod aws;
pub mod cli;
pub mod host;
