//! The courier's calls of SQS, Parameter Store and `EventBridge` under the role.

use std::time::Duration;

use serde_json::json;

use super::permissions::Trial;
use crate::aws::CallError;
use crate::lab::PARAMETER_PATH;

const GIVE_UP_RECEIVING_AFTER: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_secs(5);

impl Trial<'_> {
    /// Rejects a message, and passes one through the queue, as the courier and Lambda's poller do.
    pub(super) async fn use_queues(&mut self) -> Result<(), CallError> {
        let (role, region) = (self.role, self.lab.plan.region.as_str());
        let message = |url: &str| json!({ "QueueUrl": url, "MessageBody": "probe" });
        let set_aside = role.aws.sqs(region, "SendMessage", &message(&role.dead_letters)).await;
        self.judge("SendMessage to the dead-letter queue", set_aside)?;
        let depth = json!({ "QueueUrl": role.queue, "AttributeNames": ["ApproximateNumberOfMessages"] });
        let depth = role.aws.sqs(region, "GetQueueAttributes", &depth).await;
        self.judge("GetQueueAttributes", depth)?;
        let sent = role.aws.sqs(region, "SendMessage", &message(&role.queue)).await;
        let is_sent = self.judge("SendMessage", sent)?.is_some();
        let received = self.receive().await;
        let Some(handle) = self.judge("ReceiveMessage", received)? else { return Ok(()) };
        let Some(handle) = handle.filter(|_| is_sent) else {
            return Err(CallError::Lost("SQS gave no message within a minute".to_owned()));
        };
        let later = json!({ "QueueUrl": role.queue, "ReceiptHandle": handle, "VisibilityTimeout": 60 });
        let later = role.aws.sqs(region, "ChangeMessageVisibility", &later).await;
        self.judge("ChangeMessageVisibility", later)?;
        let done = json!({ "QueueUrl": role.queue, "ReceiptHandle": handle });
        let done = role.aws.sqs(region, "DeleteMessage", &done).await;
        self.judge("DeleteMessage", done).map(drop)
    }

    /// The receipt handle of a message: SQS may give none at first.
    async fn receive(&self) -> Result<Option<String>, CallError> {
        let begun = self.lab.elapsed();
        loop {
            let messages = self.role.aws.receive(&self.lab.plan.region, &self.role.queue).await?;
            let handle = messages.first().and_then(|message| message["ReceiptHandle"].as_str());
            if handle.is_some() || self.lab.elapsed() >= begun + GIVE_UP_RECEIVING_AFTER {
                return Ok(handle.map(str::to_owned));
            }
            self.lab.aws.sleep(POLL).await?;
        }
    }

    /// Publishes the AMI in a parameter, and reads one that could be announced.
    pub(super) async fn use_parameters(&mut self, image_id: &str) -> Result<(), CallError> {
        let (role, plan) = (self.role, &self.lab.plan);
        let name = format!("{PARAMETER_PATH}{}", plan.run);
        let published = self
            .lab
            .put_parameter(
                &role.aws,
                &json!({
                    "Name": name,
                    "Value": image_id,
                    "Type": "String",
                    "DataType": "aws:ec2:image",
                    "Overwrite": true,
                }),
            )
            .await;
        self.judge("PutParameter", published)?;
        let published = role.aws.ssm(&plan.region, "GetParameter", &json!({ "Name": name })).await;
        self.judge_reading("GetParameter", published)?;
        let announced = json!({ "Name": format!("{PARAMETER_PATH}announced") });
        let announced = role.aws.ssm(&plan.source_region, "GetParameter", &announced).await;
        self.judge_reading("GetParameter in the source Region", announced)
    }

    /// A parameter that does not exist may be read: whether the caller may read it comes first.
    fn judge_reading<T>(&mut self, action: &str, answer: Result<T, CallError>) -> Result<(), CallError> {
        let answer = match answer {
            Err(error) if error.code() == Some("ParameterNotFound") => Ok(None),
            answer => answer.map(Some),
        };
        self.judge(action, answer).map(drop)
    }

    pub(super) async fn put_event(&mut self) -> Result<(), CallError> {
        let detail = json!({ "Outcome": "Probe" });
        let put = self.role.aws.put_event(&self.lab.plan.region, "ami-courier", "AMI Copy State Change", &detail).await;
        self.judge("PutEvents", put).map(drop)
    }
}
