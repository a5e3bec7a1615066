//! What events say about the end of two copies, one that succeeds and one that fails, and about a parameter. A rule on the default bus
//! sends the events to a queue.

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
/// What a question answers then.
pub(crate) const NO_EVENT: &str = "no event within 10 minutes";
const POLL: Duration = Duration::from_secs(5);
/// The id of the rule's one target.
pub(crate) const TARGET: &str = "probe";

impl Lab {
    /// The ends of the copy that succeeds, and of the one that fails.
    pub(crate) async fn ends_of_copies(&self) -> Result<&[EndOfCopy; 2], CallError> {
        self.bench.ends.get(Box::pin(self.make_ends())).await
    }

    async fn make_ends(&self) -> Result<[EndOfCopy; 2], CallError> {
        self.source().await?;
        self.listen().await?;
        let sound = self.copy_of_source(&self.name("heard"), &self.token("heard")).await?;
        let bad = self.copy_under_no_key(&self.name("failed heard"), &self.token("failed-heard")).await?;
        let mut ends =
            [self.copy(sound).await, self.copy(bad).await].map(|image_id| EndOfCopy { image_id, event: None });
        for image_id in ends.iter().filter_map(|end| end.image_id.as_ref().ok()) {
            self.wait_until_ended(image_id).await?;
        }
        let last = self.aws.elapsed() + GIVE_UP_LISTENING_AFTER;
        for end in &mut ends {
            if let Ok(image_id) = &end.image_id {
                end.event = self.hear(last, |detail| detail["ImageId"] == image_id.as_str()).await?;
            }
        }
        Ok(ends)
    }

    /// The detail of the event of a parameter that is written now.
    pub(crate) async fn event_of_parameter(&self) -> Result<Option<Value>, CallError> {
        self.listen().await?;
        let name = self.put_parameter(&self.aws, "-text", "probe", "text").await?;
        self.hear(self.aws.elapsed() + GIVE_UP_LISTENING_AFTER, |detail| detail["name"] == name).await
    }

    /// From now on, events reach the queue. Returns its URL.
    async fn listen(&self) -> Result<&String, CallError> {
        let make = async {
            let queue = self.make_listener().await?;
            self.aws.sleep(UNTIL_A_RULE_WORKS).await?;
            Ok(queue)
        };
        self.bench.listener.get(Box::pin(make)).await
    }

    /// The detail of the first event that `is_it` accepts, if it comes until then. Others are kept: SQS hands each out once.
    async fn hear(&self, last: Duration, is_it: impl Fn(&Value) -> bool) -> Result<Option<Value>, CallError> {
        self.say("waiting for an event");
        let sqs = self.aws.sqs(&self.plan.region);
        loop {
            let found = self.bench.heard().iter().find(|detail| is_it(detail)).cloned();
            if found.is_some() || self.aws.elapsed() >= last {
                return Ok(found);
            }
            let received = sqs.receive_message().queue_url(self.listen().await?).max_number_of_messages(10).send();
            let events = received.await?.messages.unwrap_or_default().into_iter().filter_map(|message| message.body);
            let details =
                events.map(|event| serde_json::from_str::<Value>(&event).unwrap_or_default()["detail"].take());
            self.bench.heard().extend(details);
            self.aws.sleep(POLL).await?;
        }
    }

    /// A rule for the events of AMIs and parameters, and the queue that it sends to. Returns the queue's URL.
    async fn make_listener(&self) -> Result<String, CallError> {
        self.say("making a rule and a queue for events");
        let region = &self.plan.region;
        let events = self.aws.events(region);
        let name = format!("{NAME_PREFIX}{}", self.plan.run);
        let pattern = json!({ "source": ["aws.ec2", "aws.ssm"], "detail-type": ["EC2 AMI State Change", "Parameter Store Change"] });
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
