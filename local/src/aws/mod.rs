//! AWS on loopback: EC2, SSM, `EventBridge`, SQS, the EBS direct API, IAM and STS on one port. The real function, the AWS CLI and boto3 run against it
//! without an account, and tests break their calls.
//!
//! It is faithful where the promise of ami-courier depends on it: names, client tokens, states, what new and
//! deregistered AMIs look like, what fails only later. The rest of AWS is left out.
//!
//! - [`World`] has all state and all rules. It is pure: no network, and no real time unless a test asks for it. What AWS
//!   leaves open is in [`Behaviour`].
//! - The server only translates. The credential scope of a request's signature names the service and the Region, its
//!   access key id the account (see [`account_of`]). Signatures are not verified.
//! - [`Fault`] and [`Chaos`] break calls on purpose; [`Call`] is the record of each one.
//!
//! Dependencies point one way: `server -> exchange -> dispatch -> {ec2, ebs, sqs, ssm, events, iam, sts} -> world`. The world knows no
//! service: each service keeps its state there, and adds its methods to [`World`] in its own files.

mod account;
mod batch;
mod behaviour;
mod call;
mod clock;
mod digest;
mod dispatch;
mod ebs;
mod ec2;
mod error;
mod events;
mod exchange;
mod fault;
mod iam;
mod kms;
pub(crate) mod lineage;
mod region;
mod request;
mod server;
mod shared;
mod sqs;
mod ssm;
mod sts;
mod timestamp;
mod wire;
mod world;

pub use account::{ACCOUNT, account_of};
pub use behaviour::{Behaviour, HiddenAs, SnapshotDeletion, SnapshotIdsAt, TokenOfDeadImage, TokensCompare};
pub use call::Call;
pub use clock::START;
pub use ec2::copy_image::CopyFailure;
pub use ec2::image::{BlankVolume, Image, ImageState, LaunchPermission, Protection, Reference, StateReason};
pub use ec2::snapshot::{Snapshot, SnapshotState};
pub use error::ApiError;
pub use events::PutEvent;
pub use fault::{Chaos, Effect, Fault};
pub use kms::{Key, default_key_arn};
pub use region::REGIONS;
pub use request::Caller;
pub use server::Aws;
pub use sqs::queue::{Attribute, Message, Queue};
pub use ssm::Parameter;
pub use world::World;
