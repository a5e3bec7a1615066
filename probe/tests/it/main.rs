//! The probe against the embedded AWS.

#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod both_ways;
mod nothing_left;
mod stage;
