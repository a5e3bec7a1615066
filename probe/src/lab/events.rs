//! What EC2's events say about the end of two copies: one that succeeds and one that fails. A rule on the default bus sends the events
//! to a queue.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_eventbridge::types::{Tag, Target};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use super::bench::{EndOfCopy, Kind, Lab, NAME_PREFIX, RUN_TAG};
use crate::aws::CallError;

/// `EventBridge` asks for "a short period of time" until a new rule works, SQS for a minute until a policy does.
const UNTIL_A_RULE_WORKS: Duration = Duration::from_secs(60);
/// Events are best effort; those that come arrive within seconds.
const GIVE_UP_LISTENING_AFTER: Duration = Duration::from_secs(10 * 60);
const POLL: Duration = Duration::from_secs(5);
/// The id of the rule's one target.
pub(crate) const TARGET: &str = "probe";

impl Lab {
    /// The ends of the copy that succeeds, and of the one that fails.
    pub(crate) async fn ends_of_copies(&self) -> Result<&[EndOfCopy; 2], CallError> {
        self.bench.ends.get(Box::pin(self.listen())).await
    }

    async fn listen(&self) -> Result<[EndOfCopy; 2], CallError> {
        self.source().await?;
        let queue = self.make_listener().await?;
        self.aws.sleep(UNTIL_A_RULE_WORKS).await?;
        let sound = self.copy_of_source(&self.name("heard"), &self.token("heard")).await?;
        let bad = self.copy_under_no_key(&self.name("failed heard"), &self.token("failed-heard")).await?;
        let copies = [self.copy(sound).await, self.copy(bad).await];
        for image_id in copies.iter().flatten() {
            self.wait_until_ended(image_id).await?;
        }
        self.say("waiting for the events of two copies");
        let mut ends = copies.map(|image_id| EndOfCopy { image_id, event: None });
        let begun = self.aws.elapsed();
        let sqs = self.aws.sqs(&self.plan.region);
        while ends.iter().any(|end| end.image_id.is_ok() && end.event.is_none())
            && self.aws.elapsed() < begun + GIVE_UP_LISTENING_AFTER
        {
            let received = sqs.receive_message().queue_url(&queue).max_number_of_messages(10).send().await?;
            for body in received.messages().iter().filter_map(|message| message.body()) {
                let mut event: Value = serde_json::from_str(body).unwrap_or_default();
                let detail = event["detail"].take();
                let is_of =
                    |end: &&mut EndOfCopy| end.image_id.as_ref().is_ok_and(|id| detail["ImageId"] == id.as_str());
                if let Some(end) = ends.iter_mut().find(is_of) {
                    end.event.get_or_insert(detail);
                }
            }
            self.aws.sleep(POLL).await?;
        }
        Ok(ends)
    }

    /// A rule for EC2's events of AMIs, and the queue that it sends to. Returns the queue's URL.
    async fn make_listener(&self) -> Result<String, CallError> {
        self.say("making a rule and a queue for EC2's events");
        let region = &self.plan.region;
        let events = self.aws.events(region);
        let name = format!("{NAME_PREFIX}{}", self.plan.run);
        let pattern = json!({ "source": ["aws.ec2"], "detail-type": ["EC2 AMI State Change"] });
        let tag = Tag::builder().key(RUN_TAG).value(&self.plan.run).build().map_err(CallError::invalid)?;
        let rule = events.put_rule().name(&name).event_pattern(pattern.to_string()).tags(tag).send().await;
        let rule_arn = self.keep(Kind::Rule, region, rule.map(|it| it.rule_arn))?;
        // arn:PARTITION:events:REGION:ACCOUNT:rule/NAME
        let queue_arn = rule_arn.replacen(":events:", ":sqs:", 1).replace(":rule/", ":");
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "events.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": { "ArnEquals": { "aws:SourceArn": rule_arn } },
        }] });
        // A message that was received does not come again within the run.
        let attributes =
            [(QueueAttributeName::Policy, policy.to_string()), (QueueAttributeName::VisibilityTimeout, "43200".into())];
        let queue = self.make_queue(&name, attributes.into()).await?;
        let target = Target::builder().id(TARGET).arn(queue_arn).build().map_err(CallError::invalid)?;
        let answer = events.put_targets().rule(name).targets(target).send().await?;
        match answer.failed_entries().first() {
            None => Ok(queue),
            Some(entry) => {
                Err(CallError::Lost(format!("the rule has no target: {}", entry.error_code().unwrap_or_default())))
            }
        }
    }

    /// A queue with the tag of the run. Returns its URL.
    pub(super) async fn make_queue(
        &self,
        name: &str,
        attributes: HashMap<QueueAttributeName, String>,
    ) -> Result<String, CallError> {
        let call = self.aws.sqs(&self.plan.region).create_queue().queue_name(name).tags(RUN_TAG, &self.plan.run);
        let queue = call.set_attributes(Some(attributes)).send().await;
        self.keep(Kind::Queue, &self.plan.region, queue.map(|it| it.queue_url))
    }
}
