//! The actions of Parameter Store.
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>

use serde::Deserialize;
use serde_json::{Value, json};

use super::parameter::{IMAGE, PendingCheck, arn};
use crate::aws::ec2::image::ImageState;
use crate::aws::error::ApiError;
use crate::aws::events::ServiceEvent;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParameter {
    name: String,
}

pub(super) fn get_parameter(world: &World, caller: &Caller, request: &GetParameter) -> Answer {
    Ok(json!({ "Parameter": read(world, caller, &request.name)? }))
}

pub(super) fn delete_parameter(world: &mut World, caller: &Caller, request: &GetParameter) -> Answer {
    if world.remove_parameter(caller, &request.name) {
        return Ok(json!({}));
    }
    Err(ApiError::client("ParameterNotFound", ""))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeParameters {
    #[serde(default)]
    parameter_filters: Vec<NameFilter>,
}

/// The only filter here: `BeginsWith` on the name.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NameFilter {
    values: Vec<String>,
}

pub(super) fn describe_parameters(world: &World, caller: &Caller, request: &DescribeParameters) -> Value {
    let is_wanted = |name: &String| {
        let mut filters = request.parameter_filters.iter();
        filters.all(|filter| filter.values.iter().any(|prefix| name.starts_with(prefix)))
    };
    let description = |name: &str| world.stored_parameter(caller, name).and_then(|stored| stored.description.as_ref());
    let found: Vec<Value> = world
        .parameter_names()
        .into_iter()
        .filter(|(owner, name)| owner == caller && is_wanted(name))
        .map(|(_, name)| json!({ "Name": name, "Description": description(&name) }))
        .collect();
    json!({ "Parameters": found })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParameters {
    names: Vec<String>,
}

pub(super) fn get_parameters(world: &World, caller: &Caller, request: &GetParameters) -> Answer {
    if !(1..=10).contains(&request.names.len()) {
        return Err(validation("GetParameters takes from 1 to 10 names"));
    }
    let mut found = Vec::new();
    let mut invalid = Vec::new();
    for name in &request.names {
        match read(world, caller, name) {
            Ok(parameter) => found.push(parameter),
            Err(_) => invalid.push(name),
        }
    }
    Ok(json!({ "Parameters": found, "InvalidParameters": invalid }))
}

/// A parameter by name or ARN, with or without a version: `NAME:3`.
fn read(world: &World, caller: &Caller, reference: &str) -> Result<Value, ApiError> {
    let reference = name_of(reference);
    let (name, selector) = match reference.split_once(':') {
        Some((name, selector)) => (name, Some(selector)),
        None => (reference, None),
    };
    let stored = world.stored_parameter(caller, name).ok_or_else(|| ApiError::client("ParameterNotFound", ""))?;
    let no_version = || {
        ApiError::client(
            "ParameterVersionNotFound",
            format!(
                "Systems Manager could not find version {} of {name}. Verify the version and try again.",
                selector.unwrap_or_default()
            ),
        )
    };
    let number: usize = match selector {
        None => stored.versions.len(),
        Some(selector) => selector.parse().map_err(|_| no_version())?,
    };
    let version = number.checked_sub(1).and_then(|at| stored.versions.get(at)).ok_or_else(no_version)?;
    let mut view = json!({
        "Name": name,
        "Type": stored.kind,
        "Value": version.value,
        "Version": number,
        "LastModifiedDate": version.modified.unix_timestamp(),
        "ARN": arn(caller, name),
        "DataType": version.data_type,
    });
    if let Some(selector) = selector {
        view["Selector"] = Value::from(format!(":{selector}"));
    }
    Ok(view)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutParameter {
    name: String,
    value: String,
    r#type: Option<String>,
    description: Option<String>,
    #[serde(default)]
    overwrite: bool,
    data_type: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

/// A value of type `aws:ec2:image` is accepted at once, but becomes the parameter's value only after its check.
pub(super) fn put_parameter(world: &mut World, caller: &Caller, request: PutParameter) -> Answer {
    let stored = world.stored_parameter(caller, &request.name);
    if stored.is_some() && !request.overwrite {
        return Err(ApiError::client(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        ));
    }
    if request.overwrite && !request.tags.is_empty() {
        return Err(validation(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please \
             remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
             RemoveTagsFromResource.",
        ));
    }
    check_name(&request.name)?;
    if request.value.is_empty() || request.value.len() > 4096 {
        return Err(validation("A standard parameter's value has from 1 to 4096 characters"));
    }
    if request.description.as_ref().is_some_and(|text| text.chars().count() > 1024) {
        return Err(validation("A parameter's description has at most 1024 characters"));
    }
    let kind = request
        .r#type
        .or_else(|| stored.map(|stored| stored.kind.clone()))
        .ok_or_else(|| validation("A parameter type is required when you create a parameter."))?;
    let before = stored.and_then(|stored| stored.versions.last()).map(|newest| newest.data_type.clone());
    // Assumed: a new value without a data type leaves it as it is.
    let data_type = request.data_type.or_else(|| before.clone()).unwrap_or_else(|| "text".to_owned());
    if !world.behaviour.parameters_change_data_type
        && let Some(before) = before.filter(|before| *before != data_type && (before == IMAGE || data_type == IMAGE))
    {
        return Err(validation(format!(
            "The data type of the parameter {} cannot be changed from {before} to {data_type}.",
            request.name
        )));
    }
    let version = stored.map_or(0, |stored| stored.versions.len()) + 1;
    let new = PendingCheck {
        caller: caller.clone(),
        name: request.name,
        kind,
        tags: request.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        value: request.value,
        description: request.description,
    };
    match data_type.as_str() {
        IMAGE => {
            let at = world.now() + world.behaviour.parameter_check_duration;
            world.schedule(at, move |world| finish_check(world, &new));
        }
        "text" => {
            let operation = operation(world, &new);
            world.store_parameter(&new, &data_type);
            send_event(world, &new, &data_type, operation, None);
        }
        other => return Err(validation(format!("The data type '{other}' is not valid: text or aws:ec2:image"))),
    }
    Ok(json!({ "Version": version, "Tier": "Standard" }))
}

/// The check of an `aws:ec2:image` value. If it fails, there is an event and no other change.
fn finish_check(world: &mut World, check: &PendingCheck) {
    let PendingCheck { caller, value, .. } = check;
    let is_available = world
        .visible_image(&caller.region, &caller.account, value)
        .is_ok_and(|image| image.state == ImageState::Available);
    let operation = operation(world, check);
    if is_available {
        world.store_parameter(check, IMAGE);
        send_event(world, check, IMAGE, operation, None);
    } else {
        send_event(world, check, IMAGE, operation, Some("Unable to Describe Resource"));
    }
}

fn operation(world: &World, new: &PendingCheck) -> &'static str {
    match world.stored_parameter(&new.caller, &new.name) {
        Some(_) => "Update",
        None => "Create",
    }
}

fn send_event(world: &mut World, new: &PendingCheck, data_type: &str, operation: &str, exception: Option<&str>) {
    let mut detail = json!({ "operation": operation, "name": new.name, "type": new.kind });
    if exception.is_some() || world.behaviour.parameter_events_name_the_data_type {
        detail["dataType"] = Value::from(data_type);
    }
    if let Some(exception) = exception {
        detail["exception"] = Value::from(exception);
    }
    world.emit(&ServiceEvent {
        region: &new.caller.region,
        account: &new.caller.account,
        source: "aws.ssm",
        detail_type: "Parameter Store Change",
        resource: arn(&new.caller, &new.name),
        detail,
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddTagsToResource {
    resource_type: String,
    resource_id: String,
    tags: Vec<Tag>,
}

pub(super) fn add_tags_to_resource(world: &mut World, caller: &Caller, request: AddTagsToResource) -> Answer {
    if request.resource_type != "Parameter" {
        return Err(ApiError::client("InvalidResourceType", "The embedded SSM has parameters only"));
    }
    let stored = world
        .stored_parameter_mut(caller, &request.resource_id)
        .ok_or_else(|| ApiError::client("InvalidResourceId", "The resource ID isn't valid."))?;
    stored.tags.extend(request.tags.into_iter().map(|tag| (tag.key, tag.value)));
    Ok(json!({}))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    let first = name.trim_start_matches('/').to_ascii_lowercase();
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Err(ApiError::client(
            "ValidationException",
            format!("Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive): {name}"),
        ));
    }
    let is_path = name.contains('/');
    if name.is_empty() || !name.chars().all(allowed) || (is_path && !name.starts_with('/')) || name.ends_with('/') {
        return Err(validation(
            "Parameter name must be a fully qualified name: letters, digits and _.-, with / only in a path that begins with it",
        ));
    }
    Ok(())
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::client("ValidationException", message)
}

/// The name in a parameter's ARN. If it is a path, it includes the leading slash.
fn name_of(reference: &str) -> &str {
    let Some((_, name)) = reference.split_once(":parameter/").filter(|_| reference.starts_with("arn:")) else {
        return reference;
    };
    if name.contains('/') { &reference[reference.len() - name.len() - 1..] } else { name }
}
