//! The probe against the embedded AWS.

#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod both_ways;
mod command_line;
mod credentials;
mod docs;
mod nothing_left;
mod preview;
mod stage;
