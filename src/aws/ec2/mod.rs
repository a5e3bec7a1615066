//! EC2 in one Region, a file for each kind of call.

mod change;
mod client;
mod copy_image;
mod describe;
mod snapshots;
mod usage;

pub use change::Deregistered;
pub use client::Ec2;
pub use describe::{MOST_VALUES, Page};
pub use snapshots::SnapshotState;
pub use usage::{Reference, UseByAccount};
