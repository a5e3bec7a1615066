//! What EC2's events say about the end of two copies: one that succeeds and one that fails. A rule on the default bus sends the events
//! to a queue.

use std::time::Duration;

use serde_json::{Value, json};

use super::bench::{Kind, Lab, RUN_TAG};
use super::look::GIVE_UP_COPYING_AFTER;
use super::things::{EndOfCopy, Event, Events, Look};
use crate::aws::CallError;

/// `EventBridge` asks for "a short period of time" until a new rule works, SQS for a minute until a policy does.
const UNTIL_A_RULE_WORKS: Duration = Duration::from_secs(60);
/// Events are best effort; those that come arrive within seconds.
const GIVE_UP_LISTENING_AFTER: Duration = Duration::from_secs(10 * 60);
const POLL: Duration = Duration::from_secs(5);
/// What every rule and queue of a run begins with; the run's id follows.
pub const NAME_PREFIX: &str = "ami-courier-probe-";

impl Lab {
    /// The events of the two copies.
    pub(crate) async fn events(&self) -> Result<&Events, CallError> {
        self.events.get_or_init(|| self.listen()).await.as_ref().map_err(Clone::clone)
    }

    async fn listen(&self) -> Result<Events, CallError> {
        self.source().await?;
        let queue = self.make_listener().await?;
        self.aws.sleep(UNTIL_A_RULE_WORKS).await?;
        let sound = self.copy_of_source(&self.name("heard"), &self.token("heard")).await?;
        let bad = self.copy_under_no_key(&self.name("failed heard"), &self.token("failed-heard")).await?;
        let mut ends = [self.copy(&sound).await, self.copy(&bad).await].map(EndOfCopy::of);
        if ends.iter().any(|end| end.image_id == Err(CallError::Stopped)) {
            return Err(CallError::Stopped);
        }
        self.say("waiting for the events of two copies");
        let begun = self.elapsed();
        while !ends.iter().all(|end| self.is_heard_or_given_up(end, begun)) {
            self.aws.sleep(POLL).await?;
            for end in &mut ends {
                self.look_whether_ended(end).await?;
            }
            for message in self.aws.receive(&self.plan.region, &queue).await? {
                let event =
                    message["Body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
                let now = self.elapsed();
                for end in &mut ends {
                    end.note(&event, now);
                }
            }
        }
        let [available, failed] = ends.map(|end| end.image_id.map(|_| end.event));
        Ok(Events { available, failed })
    }

    fn is_heard_or_given_up(&self, end: &EndOfCopy, begun: Duration) -> bool {
        let gives_up_at = match end.ended_at {
            Some(at) => at + GIVE_UP_LISTENING_AFTER,
            None => begun + GIVE_UP_COPYING_AFTER,
        };
        end.image_id.is_err() || end.event.is_some() || self.elapsed() >= gives_up_at
    }

    async fn look_whether_ended(&self, end: &mut EndOfCopy) -> Result<(), CallError> {
        let (Ok(image_id), None) = (&end.image_id, end.ended_at) else { return Ok(()) };
        if matches!(self.look(image_id).await?, Look::Shown(image) if image.state() != "pending") {
            end.ended_at = Some(self.elapsed());
        }
        Ok(())
    }

    /// A rule for EC2's events of AMIs, and the queue that it sends to. Returns the queue's URL.
    async fn make_listener(&self) -> Result<String, CallError> {
        self.say("making a rule and a queue for EC2's events");
        let region = &self.plan.region;
        let name = format!("{NAME_PREFIX}{}", self.plan.run);
        let tag = (RUN_TAG, self.plan.run.as_str());
        let pattern = json!({ "source": ["aws.ec2"], "detail-type": ["EC2 AMI State Change"] });
        let rule = self.aws.put_rule(region, &name, &pattern, tag).await;
        let rule_arn = self.note_made(Kind::RuleOrQueue, rule)?;
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
        let attributes = json!({ "Policy": policy.to_string(), "VisibilityTimeout": "43200" });
        let queue = self.make_queue(&name, &attributes).await?;
        self.aws.put_target(region, &name, &queue_arn).await?;
        Ok(queue)
    }

    /// A queue with the tag of the run; noted. Returns its URL.
    pub(super) async fn make_queue(&self, name: &str, attributes: &Value) -> Result<String, CallError> {
        let region = &self.plan.region;
        let tag = (RUN_TAG, self.plan.run.as_str());
        let queue = self.aws.create_queue(region, name, attributes, tag).await;
        let url = self.note_made(Kind::RuleOrQueue, queue)?;
        self.ledger().queues.insert((region.clone(), url.clone()));
        Ok(url)
    }
}

impl EndOfCopy {
    fn of(image_id: Result<String, CallError>) -> Self {
        EndOfCopy { image_id, ended_at: None, event: None }
    }

    /// Keeps the first event of this copy.
    fn note(&mut self, event: &Value, now: Duration) {
        let detail = &event["detail"];
        let is_ours = self.image_id.as_ref().is_ok_and(|id| detail["ImageId"] == id.as_str());
        if !is_ours || self.event.is_some() {
            return;
        }
        let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
        let after = self.ended_at.map(|at| now.saturating_sub(at));
        self.event = Some(Event { state: text("State"), error_message: text("ErrorMessage"), after });
    }
}
