//! `EventBridge`: a rule on the default bus that sends to a queue. <https://docs.aws.amazon.com/eventbridge/latest/APIReference/>

use serde_json::{Value, json};

use super::connection::Connection;
use super::error::{CallError, Refusal};
use super::json::{JsonService, text};

const EVENT_BRIDGE: JsonService =
    JsonService { name: "events", target: "AWSEvents", content_type: "application/x-amz-json-1.1" };
/// The rule's one target.
const TARGET: &str = "probe";

impl Connection {
    /// A call of `EventBridge` in a Region.
    ///
    /// # Errors
    /// `EventBridge`'s own, or that there is no answer.
    pub async fn event_bridge(&self, region: &str, action: &str, parameters: &Value) -> Result<Value, CallError> {
        self.json(&EVENT_BRIDGE, region, action, parameters).await
    }

    /// `PutRule`. Returns the rule's ARN.
    ///
    /// # Errors
    /// As [`event_bridge`](Self::event_bridge).
    pub async fn put_rule(
        &self,
        region: &str,
        name: &str,
        pattern: &Value,
        tag: (&str, &str),
    ) -> Result<String, CallError> {
        let tags = json!([{ "Key": tag.0, "Value": tag.1 }]);
        let parameters = json!({ "Name": name, "EventPattern": pattern.to_string(), "Tags": tags });
        text(&self.event_bridge(region, "PutRule", &parameters).await?, "RuleArn")
    }

    /// `PutTargets`: the rule sends to this queue.
    ///
    /// # Errors
    /// As [`event_bridge`](Self::event_bridge), and why the target is refused.
    pub async fn put_target(&self, region: &str, rule: &str, queue_arn: &str) -> Result<(), CallError> {
        let parameters = json!({ "Rule": rule, "Targets": [{ "Id": TARGET, "Arn": queue_arn }] });
        let answer = self.event_bridge(region, "PutTargets", &parameters).await?;
        match answer["FailedEntries"][0]["ErrorCode"].as_str() {
            None => Ok(()),
            Some(code) => Err(CallError::Lost(format!("the rule has no target: {code}"))),
        }
    }

    /// `PutEvents`: one event on the default bus.
    ///
    /// # Errors
    /// As [`event_bridge`](Self::event_bridge), and those of the entry.
    pub async fn put_event(
        &self,
        region: &str,
        source: &str,
        detail_type: &str,
        detail: &Value,
    ) -> Result<(), CallError> {
        let entry = json!({ "Source": source, "DetailType": detail_type, "Detail": detail.to_string() });
        let answer = self.event_bridge(region, "PutEvents", &json!({ "Entries": [entry] })).await?;
        let entry = &answer["Entries"][0];
        match text(entry, "ErrorCode") {
            Err(_) => Ok(()),
            Ok(code) => {
                let message = text(entry, "ErrorMessage").unwrap_or_default();
                Err(CallError::Refused(Refusal { status: 200, code, message }))
            }
        }
    }

    /// `ListRules`: the names of the rules that begin so.
    ///
    /// # Errors
    /// As [`event_bridge`](Self::event_bridge).
    pub async fn rules(&self, region: &str, name_prefix: &str) -> Result<Vec<String>, CallError> {
        self.names(&EVENT_BRIDGE, region, "ListRules", json!({ "NamePrefix": name_prefix }), "Rules").await
    }

    /// `RemoveTargets` and `DeleteRule`.
    ///
    /// # Errors
    /// As [`event_bridge`](Self::event_bridge).
    pub async fn remove_rule(&self, region: &str, name: &str) -> Result<(), CallError> {
        let target = json!({ "Rule": name, "Ids": [TARGET] });
        match self.event_bridge(region, "RemoveTargets", &target).await {
            // The rule is gone. DeleteRule takes that for success.
            Err(error) if error.code() == Some("ResourceNotFoundException") => {}
            answer => drop(answer?),
        }
        self.event_bridge(region, "DeleteRule", &json!({ "Name": name })).await.map(drop)
    }
}
