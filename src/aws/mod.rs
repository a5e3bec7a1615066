//! The only folder that knows the AWS SDK: one small file a service, and the table that sorts AWS's error codes.
//!
//! No trait hides the SDK: tests point the real clients at AWS on loopback.

mod clients;
pub mod clock;
pub mod ec2;
mod environment;
pub mod error;
pub mod event_bus;
pub mod https;
pub mod parameter_store;
pub mod queue;

pub use clients::Aws;
