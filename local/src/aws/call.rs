//! The record of calls, by which tests check the function.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

use super::fault::Effect;
use super::request::{Answer, Request};
use super::world::World;

/// One call that came over the wire. It is recorded when it arrives, and completed when it is answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// Counts the calls of this world from 1.
    pub number: u64,
    /// The world's time of arrival.
    pub at: OffsetDateTime,
    /// `ec2`, `ssm`, `events`, `sqs`, `ebs`, `iam` or `sts`.
    pub service: String,
    pub action: String,
    pub region: String,
    pub account: String,
    /// The access key id that signed it; `ASIA...` is a role's.
    pub access_key_id: String,
    /// EC2: a flat map of the query parameters, without `Action` and `Version`. Others: the JSON body.
    pub parameters: Value,
    /// The HTTP status of the answer; 0 before the answer. It stays 0 if the connection was dropped.
    pub status: u16,
    /// The error code of the answer.
    pub code: Option<String>,
    /// The tags, on arrival, of each image, snapshot and image usage report that the parameters name by id: a policy with `aws:ResourceTag`
    /// sees these.
    pub target_tags: BTreeMap<String, BTreeMap<String, String>>,
    /// The fault that hit it, if one did.
    pub fault: Option<Effect>,
}

/// The calls so far.
#[derive(Default)]
struct Record {
    /// Oldest first; those before [`World::forget_calls`] are missing.
    calls: Vec<Call>,
    made: u64,
}

impl World {
    /// Every call that came over the wire, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.calls_since(0).to_vec()
    }

    /// How many calls have come over the wire since the world began.
    pub fn calls_made(&self) -> u64 {
        self.state::<Record>().map_or(0, |record| record.made)
    }

    /// The recorded calls after the first `number` of them.
    pub fn calls_since(&self, number: u64) -> &[Call] {
        let calls = self.state::<Record>().map_or(&[][..], |record| &record.calls);
        &calls[calls.partition_point(|call| call.number <= number)..]
    }

    /// Empties the record of calls, and nothing else.
    pub fn forget_calls(&mut self) {
        self.state_mut::<Record>().calls.clear();
    }

    /// Records a call that arrives, and returns its number.
    pub(super) fn record_arrival(
        &mut self,
        request: &Request,
        target_tags: BTreeMap<String, BTreeMap<String, String>>,
        fault: Option<Effect>,
    ) -> u64 {
        let at = self.now();
        let record = self.state_mut::<Record>();
        record.made += 1;
        record.calls.push(Call {
            number: record.made,
            at,
            service: request.service.clone(),
            action: request.action.clone(),
            region: request.caller.region.clone(),
            account: request.caller.account.clone(),
            access_key_id: request.access_key_id.clone(),
            parameters: request.parameters.clone(),
            status: 0,
            code: None,
            target_tags,
            fault,
        });
        record.made
    }

    pub(super) fn record_answer(&mut self, number: u64, answer: &Answer) {
        let calls = &mut self.state_mut::<Record>().calls;
        if let Some(call) = calls.iter_mut().rfind(|call| call.number == number) {
            call.status = answer.as_ref().map_or_else(|error| error.status, |_| 200);
            call.code = answer.as_ref().err().map(|error| error.code.clone());
        }
    }
}
