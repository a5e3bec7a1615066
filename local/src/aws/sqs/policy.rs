//! What a queue's policy lets a rule of `EventBridge` do. Nothing else is judged here.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions>

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::address::Address;
use crate::aws::world::World;

impl World {
    /// Sends an event from a rule to a queue, if there is one and its policy allows it.
    pub(in crate::aws) fn send_from_rule(&mut self, rule_arn: &str, queue_arn: &str, event: &str) {
        let Some(address) = Address::of_arn(queue_arn) else { return };
        let policy = self.find_queue(&address).and_then(|queue| queue.policy.as_ref());
        if policy.is_some_and(|policy| lets_send(policy, rule_arn, queue_arn)) {
            self.enqueue(&address.url(), event, BTreeMap::new(), Duration::ZERO, None);
        }
    }
}

/// Whether a statement names the service, the action, the queue and the rule, each as one plain value.
fn lets_send(policy: &Value, rule_arn: &str, queue_arn: &str) -> bool {
    policy["Statement"].as_array().into_iter().flatten().any(|statement| {
        statement["Effect"] == "Allow"
            && statement["Principal"]["Service"] == "events.amazonaws.com"
            && statement["Action"] == "sqs:SendMessage"
            && statement["Resource"] == queue_arn
            && statement["Condition"]["ArnEquals"]["aws:SourceArn"] == rule_arn
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_lets_only_its_rule_send_to_only_its_queue() {
        let policy = json!({ "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "events.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": "queue",
            "Condition": { "ArnEquals": { "aws:SourceArn": "rule" } },
        }] });
        assert!(lets_send(&policy, "rule", "queue"));
        assert!(!lets_send(&policy, "other", "queue") && !lets_send(&policy, "rule", "other"));
        assert!(!lets_send(&json!({}), "rule", "queue"));
    }
}
