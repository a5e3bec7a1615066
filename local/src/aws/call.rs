//! The record of calls: what the tests check the function by.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

use super::fault::Effect;

/// Who calls, and where: read from the request's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub region: String,
    pub account: String,
}

impl Caller {
    /// The default [`ACCOUNT`](super::ACCOUNT) in this Region.
    pub fn in_region(region: impl Into<String>) -> Self {
        Caller { region: region.into(), account: super::ACCOUNT.to_owned() }
    }
}

/// One call that came over the wire. It is recorded when it arrives, and completed when it is answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// Counts the calls of this world from 1.
    pub number: u64,
    /// The world's time of arrival.
    pub at: OffsetDateTime,
    /// `ec2`, `ssm`, `events` or `sqs`.
    pub service: String,
    pub action: String,
    pub region: String,
    pub account: String,
    /// EC2: a flat map of the query parameters, without `Action` and `Version`. Others: the JSON body.
    pub parameters: Value,
    /// The HTTP status of the answer; 0 as long as there is none, and for good when the connection was dropped.
    pub status: u16,
    /// The error code of the answer.
    pub code: Option<String>,
    /// The tags, on arrival, of each image and snapshot that the parameters name by id and that exists in the Region:
    /// what a policy with `aws:ResourceTag` would see.
    pub target_tags: BTreeMap<String, BTreeMap<String, String>>,
    /// The fault that hit it, if one did.
    pub fault: Option<Effect>,
}
