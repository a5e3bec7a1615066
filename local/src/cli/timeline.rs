//! The life of a copy, line by line: the simulated time since the start, who acted, what happened.

use serde_json::Value;
use time::Duration;

use crate::aws::{Call, PutEvent};

/// One line: `0:20:00  EC2       ami-0123456789abcdef0 in eu-west-1 is available`.
pub(super) fn line(since_start: Duration, who: &str, what: &str) -> String {
    let seconds = since_start.whole_seconds();
    format!("{:>4}:{:02}:{:02}  {who:<9} {what}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Who is who, for a reader who sees the lines for the first time.
pub(super) const LEGEND: &str = concat!(
    "   (time since the start; message: what the function gets; call: what it asks of AWS; event: what it puts on its bus;\n",
    "    answer: what it returns; EC2: what happens there; queue: what reaches the function next; result: what became of it)"
);

/// A call, its subjects, what it filters by, and its answer unless that is success.
pub(super) fn call(call: &Call) -> String {
    let mut text = format!("{} {} in {}", service(&call.service), call.action, call.region);
    let subjects = subjects(&call.parameters);
    if !subjects.is_empty() {
        text = format!("{text}: {}", subjects.join(" "));
    }
    let details = details(&call.parameters);
    if !details.is_empty() {
        text = format!("{text} ({})", details.join(", "));
    }
    match (&call.code, call.status) {
        (Some(code), status) => format!("{text} -> {status} {code}"),
        (None, 200) => text,
        (None, 0) => format!("{text} -> no answer"),
        (None, status) => format!("{text} -> {status}"),
    }
}

fn service(name: &str) -> &str {
    match name {
        "ec2" => "EC2",
        "ssm" => "SSM",
        "sqs" => "SQS",
        "events" => "EventBridge",
        other => other,
    }
}

/// The subjects of a call: AMIs and snapshots by id, an SSM parameter by name. Each once, in order.
fn subjects(parameters: &Value) -> Vec<&str> {
    let mut subjects = Vec::new();
    for (name, value) in parameters.as_object().into_iter().flatten() {
        let Some(text) = value.as_str() else { continue };
        let id = text.strip_prefix("ami-").or_else(|| text.strip_prefix("snap-"));
        let is_id = id.is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if (is_id || name == "Name") && !subjects.contains(&text) {
            subjects.push(text);
        }
    }
    subjects
}

/// What tells two calls of one action apart: filters, the keys of tags, the queue.
fn details(parameters: &Value) -> Vec<String> {
    let mut details = Vec::new();
    for (name, value) in parameters.as_object().into_iter().flatten() {
        let Some(text) = value.as_str() else { continue };
        let detail = match name.split('.').collect::<Vec<_>>().as_slice() {
            ["Filter", _, "Name"] => format!("by {text}"),
            ["Tag", _, "Key"] => format!("tag {text}"),
            ["QueueUrl"] => format!("queue {}", text.rsplit('/').next().unwrap_or(text)),
            _ => continue,
        };
        if !details.contains(&detail) {
            details.push(detail);
        }
    }
    details
}

/// An event that the function put on a bus.
pub(super) fn put_event(event: &PutEvent) -> String {
    format!("{} \"{}\" on bus {}: {}", event.source, event.detail_type, event.bus, summary(&event.detail))
}

/// An EC2 AMI state event in a few words.
pub(super) fn state_change(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let mut line = format!(
        "{} in {} is {}",
        text(&event["detail"]["ImageId"]),
        text(&event["region"]),
        text(&event["detail"]["State"])
    );
    if let Some(message) = event["detail"]["ErrorMessage"].as_str().filter(|message| !message.is_empty()) {
        line = format!("{line}: {message}");
    }
    line
}

/// An answer in a few words: outcomes by name and AMI, any other answer unchanged.
pub(super) fn summary(answer: &Value) -> String {
    match answer {
        Value::Array(outcomes) if !outcomes.is_empty() => outcomes.iter().map(summary).collect::<Vec<_>>().join("; "),
        Value::Object(outcome) if outcome.contains_key("Outcome") => {
            let fields = ["Outcome", "Code", "ImageId", "Name", "Reason"];
            fields.iter().filter_map(|field| outcome.get(*field)?.as_str()).collect::<Vec<_>>().join(" ")
        }
        Value::Object(batch) if batch.contains_key("batchItemFailures") => {
            match super::report::failed_messages(answer).len() {
                0 => "acknowledged".to_owned(),
                failed => format!("{failed} to be delivered again"),
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_begins_with_hours_minutes_and_seconds() {
        assert_eq!(line(Duration::seconds(3 * 3600 + 25 * 60 + 7), "EC2", "x"), "   3:25:07  EC2       x");
        assert_eq!(line(Duration::ZERO, "EventBridge", "x"), "   0:00:00  EventBridge x");
    }

    #[test]
    fn an_answer_is_summarized_by_its_outcomes() {
        let started = json!({"Outcome": "Started", "ImageId": "ami-1", "Name": "golden"});
        assert_eq!(summary(&started), "Started ami-1 golden");
        assert_eq!(
            summary(&json!([started, {"Outcome": "Ignored", "Reason": "old"}])),
            "Started ami-1 golden; Ignored old"
        );
        assert_eq!(summary(&json!({"batchItemFailures": []})), "acknowledged");
        assert_eq!(
            summary(&json!({"Outcome": "Rejected", "Code": "CopyFailed", "ImageId": "ami-1"})),
            "Rejected CopyFailed ami-1"
        );
        assert_eq!(summary(&json!({"batchItemFailures": [{"itemIdentifier": "m"}]})), "1 to be delivered again");
        assert_eq!(summary(&Value::Null), "null");
    }

    #[test]
    fn the_subjects_of_a_call_are_its_amis_its_snapshots_and_its_parameter() {
        let ec2 =
            json!({"ImageId.1": "ami-1", "Owner.1": "self", "SnapshotId.1": "snap-1", "Filter.1.Value.1": "ami-1"});
        assert_eq!(subjects(&ec2), ["ami-1", "snap-1"]);
        assert_eq!(
            subjects(&json!({"Name": "/golden/ami", "Value": "ami-2", "Type": "String"})),
            ["/golden/ami", "ami-2"]
        );
        assert_eq!(
            subjects(
                &json!({"TagKey": "ami-courier:finished at noon", "T": "ami-courier:stack", "Value": "ami-courier"})
            ),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn calls_of_one_action_can_be_distinguished() {
        let by = |filter: &str| details(&json!({"Filter.1.Name": filter, "Filter.1.Value.1": "x", "Owner.1": "self"}));
        assert_eq!(
            (by("source-image-id"), by("name")),
            (vec!["by source-image-id".to_owned()], vec!["by name".to_owned()])
        );
        assert_eq!(details(&json!({"QueueUrl": "http://x/123456789012/dead", "MessageBody": "{}"})), ["queue dead"]);
        assert_eq!(details(&json!({"Tag.1.Key": "ami-courier:finished"})), ["tag ami-courier:finished"]);
    }

    #[test]
    fn a_state_change_names_ami_region_state_and_reason() {
        let event =
            json!({"region": "eu-west-1", "detail": {"ImageId": "ami-1", "State": "failed", "ErrorMessage": "no key"}});
        assert_eq!(state_change(&event), "ami-1 in eu-west-1 is failed: no key");
    }
}
