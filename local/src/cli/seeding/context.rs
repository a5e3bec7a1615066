//! What the event around an AMI says about that AMI.

use std::collections::BTreeMap;

use serde_json::Value;

use super::seeds::Seed;
use crate::aws::ImageState;

/// What the enclosing `EventBridge` event says about the AMIs inside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Context<'a> {
    /// The function's Region.
    pub(super) region: &'a str,
    pub(super) account: Option<String>,
    pub(super) state: Option<ImageState>,
    pub(super) is_state_change: bool,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) parameter: Option<String>,
}

impl<'a> Context<'a> {
    pub(super) fn inside(&self, object: &Value) -> Context<'a> {
        let mut context = self.clone();
        let detail = &object["detail"];
        if object["source"].is_string() && detail.is_object() {
            context.account = object["account"].as_str().map(str::to_owned);
            context.is_state_change = object["detail-type"] == "EC2 AMI State Change";
            context.state = match (context.is_state_change, detail["State"].as_str()) {
                (true, Some("failed")) => Some(ImageState::Failed),
                (true, Some("deregistered")) => Some(ImageState::Deregistered),
                (true, Some("disabled")) => Some(ImageState::Disabled),
                _ => None,
            };
            let tags = detail["tags"].as_object().into_iter().flatten();
            context.tags = tags.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
            if object["source"] == "aws.ssm" {
                context.parameter = detail["name"].as_str().map(str::to_owned);
            }
        }
        context
    }

    pub(super) fn seed(&self, region: &str, image_id: &str) -> Seed {
        Seed {
            owner: self.account.clone(),
            state: self.state.unwrap_or(ImageState::Available),
            tags: self.tags.clone(),
            ..Seed::new(region, image_id)
        }
    }
}

/// The account of the queue or subscription that delivered, else of the event itself.
pub(super) fn stack_account(event: &Value) -> Option<&str> {
    let record = &event["Records"][0];
    let delivered_by = record["eventSourceARN"].as_str().or(record["EventSubscriptionArn"].as_str());
    delivered_by
        .and_then(|arn| arn.split(':').nth(4))
        .or(event["account"].as_str())
        .filter(|account| is_account(account))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
