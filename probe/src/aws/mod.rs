//! The AWS that is asked. This folder alone names crates of the SDK.
//!
//! It sends a call as it is and returns the answer as it is: no typed client stands between a question and AWS. Only a throttled
//! call is sent again. `connection` signs and sends, `credentials` and `profile` find the caller, `endpoint` the server; `xml` reads the answers.
//! `ec2`, `ebs`, `event_bridge`, `iam`, `sqs`, `ssm` and `sts` are the services; `json` is the protocol of those that speak awsJson.

mod connection;
mod credentials;
mod ebs;
mod ec2;
mod endpoint;
mod error;
mod event_bridge;
mod https;
mod iam;
mod json;
mod profile;
mod sqs;
mod ssm;
mod sts;
mod xml;

pub use connection::{Connection, Stop};
pub use credentials::{Caller, Options};
pub use ec2::Parameters;
pub(crate) use endpoint::partition;
pub use error::{CallError, Refusal};
pub use sts::Identity;
pub use xml::Element;
