//! Rules of the default bus that send the events of AWS services to SQS queues.
//! <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::error::ApiError;
use crate::aws::region::partition_of;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

/// Every rule, by its Region, account and name.
#[derive(Default)]
struct Rules(BTreeMap<(String, String, String), Rule>);

#[derive(Default)]
struct Rule {
    pattern: Pattern,
    /// The ARN of each target's queue, by the target's id.
    targets: BTreeMap<String, String>,
}

/// An event must have one of the values of each list. Other patterns are refused: this `EventBridge` is small.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Pattern {
    source: Vec<String>,
    detail_type: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutRule {
    name: String,
    event_pattern: String,
}

pub(super) fn put_rule(world: &mut World, caller: &Caller, request: &PutRule) -> Answer {
    let pattern = serde_json::from_str(&request.event_pattern).map_err(|error| {
        ApiError::client("InvalidEventPatternException", format!("Event pattern is not valid: {error}"))
    })?;
    world.state_mut::<Rules>().0.entry(key(caller, &request.name)).or_default().pattern = pattern;
    Ok(json!({ "RuleArn": arn(caller, &request.name) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutTargets {
    rule: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    id: String,
    arn: String,
}

pub(super) fn put_targets(world: &mut World, caller: &Caller, request: PutTargets) -> Answer {
    let rule = world.rule_mut(caller, &request.rule)?;
    rule.targets.extend(request.targets.into_iter().map(|target| (target.id, target.arn)));
    Ok(json!({ "FailedEntryCount": 0, "FailedEntries": [] }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RemoveTargets {
    rule: String,
    ids: Vec<String>,
}

pub(super) fn remove_targets(world: &mut World, caller: &Caller, request: &RemoveTargets) -> Answer {
    let rule = world.rule_mut(caller, &request.rule)?;
    rule.targets.retain(|id, _| !request.ids.contains(id));
    Ok(json!({ "FailedEntryCount": 0, "FailedEntries": [] }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteRule {
    name: String,
}

/// A rule that does not exist is no error.
pub(super) fn delete_rule(world: &mut World, caller: &Caller, request: &DeleteRule) -> Answer {
    if world.rule_mut(caller, &request.name).is_ok_and(|rule| !rule.targets.is_empty()) {
        return Err(ApiError::client("ValidationException", "Rule can't be deleted since it has targets."));
    }
    world.state_mut::<Rules>().0.remove(&key(caller, &request.name));
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListRules {
    #[serde(default)]
    name_prefix: String,
}

pub(super) fn list_rules(world: &World, caller: &Caller, request: &ListRules) -> Value {
    let rules = world.state::<Rules>().into_iter().flat_map(|rules| rules.0.keys());
    let rules: Vec<Value> = rules
        .filter(|(region, account, name)| {
            *region == caller.region && *account == caller.account && name.starts_with(&request.name_prefix)
        })
        .map(|(.., name)| json!({ "Name": name, "Arn": arn(caller, name), "State": "ENABLED" }))
        .collect();
    json!({ "Rules": rules })
}

fn key(caller: &Caller, name: &str) -> (String, String, String) {
    (caller.region.clone(), caller.account.clone(), name.to_owned())
}

fn arn(caller: &Caller, name: &str) -> String {
    let Caller { region, account } = caller;
    format!("arn:{}:events:{region}:{account}:rule/{name}", partition_of(region))
}

impl World {
    fn rule_mut(&mut self, caller: &Caller, name: &str) -> Result<&mut Rule, ApiError> {
        self.state_mut::<Rules>().0.get_mut(&key(caller, name)).ok_or_else(|| {
            ApiError::client("ResourceNotFoundException", format!("Rule {name} does not exist on EventBus default."))
        })
    }

    /// The names of all rules.
    pub fn rule_names(&self) -> Vec<String> {
        let rules = self.state::<Rules>().into_iter().flat_map(|rules| rules.0.keys());
        rules.map(|(.., name)| name.clone()).collect()
    }

    /// Sends an event to the targets of the rules that match it. A queue whose policy does not let the rule send gets nothing.
    pub(super) fn route(&mut self, caller: &Caller, source: &str, detail_type: &str, event: &str) {
        let is_one = |wanted: &[String], value: &str| wanted.iter().any(|wanted| wanted == value);
        let rules = self.state::<Rules>().into_iter().flat_map(|rules| &rules.0);
        let routes: Vec<(String, String)> = rules
            .filter(|((region, account, _), _)| *region == caller.region && *account == caller.account)
            .filter(|(_, rule)| is_one(&rule.pattern.source, source) && is_one(&rule.pattern.detail_type, detail_type))
            .flat_map(|((.., name), rule)| rule.targets.values().map(|queue| (arn(caller, name), queue.clone())))
            .collect();
        for (rule, queue) in routes {
            self.send_from_rule(&rule, &queue, event);
        }
    }
}
