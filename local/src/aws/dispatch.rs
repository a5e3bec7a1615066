//! Hands each call to its service. It is above all services; none of them knows another's actions.

use serde_json::Value;

use super::error::ApiError;
use super::fault::Effect;
use super::request::{Answer, Caller, Request};
use super::world::World;
use super::{ebs, ec2, events, iam, sqs, ssm, sts};

impl World {
    /// Makes one call, as if it came over the wire, but without a record and without faults. EC2's parameters are a flat
    /// object (`{"Filter.1.Name": "name", ...}`) and its answer the tree of its XML; the other services' are their JSON.
    pub fn call(
        &mut self,
        caller: &Caller,
        service: &str,
        action: &str,
        parameters: &Value,
    ) -> Result<Value, ApiError> {
        self.carry_out(&Request {
            service: service.to_owned(),
            action: action.to_owned(),
            caller: caller.clone(),
            access_key_id: String::new(),
            trace: None,
            parameters: parameters.clone(),
        })
    }

    /// Records a call. Returns its number, and the fault that hits it.
    pub(super) fn arrive(&mut self, request: &Request) -> (u64, Option<Effect>) {
        let fault = self.fault_for(request);
        let target_tags = ec2::tags_of_targets(self, &request.caller.region, &request.parameters);
        (self.record_arrival(request, target_tags, fault.clone()), fault)
    }

    pub(super) fn carry_out(&mut self, request: &Request) -> Answer {
        self.settle();
        let Request { service, action, caller, parameters, .. } = request;
        let answer = match service.as_str() {
            "ec2" => ec2::dispatch(self, caller, action, parameters),
            "ebs" => ebs::dispatch(self, caller, action, parameters),
            "ssm" => ssm::dispatch(self, caller, action, parameters),
            "events" => events::dispatch(self, caller, action, parameters),
            "sqs" => sqs::dispatch(self, request),
            "iam" => iam::dispatch(self, caller, action, parameters),
            "sts" => sts::dispatch(self, caller, action, parameters),
            _ => Err(ApiError::client(
                "UnknownService",
                format!("The embedded AWS has EC2, EBS, SSM, EventBridge, SQS, IAM and STS, but no '{service}'"),
            )),
        };
        self.settle();
        answer
    }
}
