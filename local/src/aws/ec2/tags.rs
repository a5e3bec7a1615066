//! Tags: their rules, `TagSpecification`s, and the tags of a resource.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::image::Image;
use super::parameters::{IDS_IN_A_CALL, Parameters};
use super::usage_report::report;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

pub(super) type Tags = BTreeMap<String, String>;

/// The most user tags a resource can have.
const LIMIT: usize = 50;

/// The prefix of shared tags: every account that sees an image sees these. Images only (documented).
const SHARED: &str = "ec2:SharedTag/";

/// Whether every account that sees an image sees this tag of it.
pub(super) fn is_shared(key: &str) -> bool {
    key.starts_with(SHARED)
}

/// The tags of an image that the caller sees.
pub(super) fn seen_by<'i>(world: &World, caller: &Caller, image: &'i Image) -> Cow<'i, Tags> {
    if image.owner == caller.account {
        return Cow::Borrowed(&image.tags);
    }
    if !world.behaviour.shared_tags_visible {
        return Cow::default();
    }
    let shared = image.tags.iter().filter(|(key, _)| is_shared(key));
    Cow::Owned(shared.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// # Errors
/// `InvalidParameterValue`: other resources than images refuse shared tags (documented; the code is assumed).
fn check_not_shared(tags: &Tags, resource: &str) -> Result<(), ApiError> {
    match tags.keys().find(|key| is_shared(key)) {
        None => Ok(()),
        Some(key) => Err(ApiError::invalid_value(format!(
            "Value ( {key} ) for parameter key is invalid. Tag keys starting with '{SHARED}' are not for {resource}"
        ))),
    }
}

/// The tags in `Tag.N.Key` and `Tag.N.Value`.
///
/// # Errors
/// `InvalidParameterValue`, for a key or value that EC2 does not take, or a key twice.
pub(super) fn read(parameters: &Parameters<'_>) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for tag in parameters.structures("Tag") {
        let key = tag.text("Key").unwrap_or_default();
        let value = tag.text("Value").unwrap_or_default();
        if key.is_empty() {
            return Err(ApiError::invalid_value("Tag key cannot be empty."));
        }
        if key.chars().count() > 128 {
            return Err(ApiError::invalid_value("Tag key exceeds the maximum length of 128 characters"));
        }
        if value.chars().count() > 256 {
            return Err(ApiError::invalid_value("Tag value exceeds the maximum length of 256 characters"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::invalid_value(format!(
                "Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use"
            )));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::invalid_value(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    Ok(tags)
}

/// # Errors
/// `TagLimitExceeded`, past 50 user tags.
pub(super) fn check_limit(tags: &Tags) -> Result<(), ApiError> {
    if tags.keys().filter(|key| is_user_key(key)).count() <= LIMIT {
        return Ok(());
    }
    Err(ApiError::client("TagLimitExceeded", "The maximum number of Tags for a resource has been reached."))
}

/// Whether a tag is a user's own, not one of AWS's.
pub(super) fn is_user_key(key: &str) -> bool {
    !key.starts_with("aws:")
}

/// # Errors
/// `InvalidParameterValue`, if the resource accepts no shared tags.
fn check_shared_keys(world: &World, id: &str, tags: &Tags) -> Result<(), ApiError> {
    let behaviour = &world.behaviour;
    let is_image = id.starts_with("ami-");
    let are_accepted = if is_image { behaviour.shared_tags_on_images } else { behaviour.shared_tags_on_snapshots };
    if are_accepted { Ok(()) } else { check_not_shared(tags, id) }
}

/// The tags for the image and for its snapshots, in a request that makes both.
#[derive(Default)]
pub(super) struct TagSpecifications {
    pub(super) image: Tags,
    pub(super) snapshot: Tags,
}

impl TagSpecifications {
    /// # Errors
    /// Those of [`read`], and `InvalidParameterValue` for a resource type other than `image` and `snapshot`, or one twice.
    pub(super) fn read(parameters: &Parameters<'_>) -> Result<Self, ApiError> {
        let mut specifications = TagSpecifications::default();
        let mut seen = Vec::new();
        for specification in parameters.structures("TagSpecification") {
            let resource_type = specification
                .text("ResourceType")
                .ok_or_else(|| ApiError::invalid_value("Tag specification must have a resource type"))?;
            if seen.contains(&resource_type) {
                return Err(ApiError::invalid_value(format!(
                    "There are multiple tag specifications for the resource type '{resource_type}'"
                )));
            }
            seen.push(resource_type);
            let tags = read(&specification)?;
            if tags.is_empty() {
                return Err(ApiError::invalid_value("Tag specification must have at least one tag"));
            }
            check_limit(&tags)?;
            match resource_type {
                "image" => specifications.image = tags,
                "snapshot" => {
                    check_not_shared(&tags, "snapshot")?;
                    specifications.snapshot = tags;
                }
                other => {
                    return Err(ApiError::invalid_value(format!(
                        "'{other}' is not a valid taggable resource type for this operation."
                    )));
                }
            }
        }
        Ok(specifications)
    }
}

/// As a `tagSet`. Without tags there is no such element.
pub(super) fn view(tags: &Tags) -> Value {
    if tags.is_empty() {
        return Value::Null;
    }
    tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

pub(super) fn create_tags(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let ids = resources(world, caller, parameters)?;
    let tags = read(parameters)?;
    if tags.is_empty() {
        return Err(ApiError::client("MissingParameter", "The request must contain the parameter tagSet"));
    }
    for id in &ids {
        let mut merged = tags_of(world, &caller.region, id).cloned().unwrap_or_default();
        merged.extend(tags.clone());
        check_limit(&merged)?;
        check_shared_keys(world, id, &tags)?;
    }
    parameters.stop_if_dry_run()?;
    for id in ids {
        change(world, caller, id, |existing| existing.extend(tags.clone()));
    }
    Ok(json!({ "return": true }))
}

/// A tag that is named without a value is deleted with any value; one that is named with a value, only with that value. If
/// no tag is named, all are deleted.
pub(super) fn delete_tags(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let ids = resources(world, caller, parameters)?;
    let named: Vec<(&str, Option<&str>)> = parameters
        .structures("Tag")
        .iter()
        .map(|tag| (tag.text("Key").unwrap_or_default(), tag.text("Value")))
        .collect();
    parameters.stop_if_dry_run()?;
    let is_deleted = |key: &str, value: &str| {
        named.is_empty()
            || named
                .iter()
                .any(|(named_key, named_value)| *named_key == key && named_value.is_none_or(|it| it == value))
    };
    for id in ids {
        change(world, caller, id, |tags| {
            tags.retain(|key, value| !is_user_key(key) || !is_deleted(key, value));
        });
    }
    Ok(json!({ "return": true }))
}

/// The ids in `ResourceId.N`, each an image or a snapshot that the caller owns.
fn resources<'a>(world: &mut World, caller: &Caller, parameters: &Parameters<'a>) -> Result<Vec<&'a str>, ApiError> {
    let ids = parameters.ids("ResourceId", IDS_IN_A_CALL)?;
    if ids.is_empty() {
        return Err(ApiError::client("MissingParameter", "The request must contain the parameter resourceIdSet"));
    }
    for id in &ids {
        if id.starts_with("ami-") {
            world.own_image(caller, id)?;
        } else if id.starts_with("snap-") {
            world.check_owns_snapshot(caller, id)?;
        } else {
            return Err(ApiError::client("InvalidID", format!("The ID '{id}' is not valid")));
        }
    }
    Ok(ids)
}

fn change(world: &mut World, caller: &Caller, id: &str, change: impl Fn(&mut Tags)) {
    let region = &caller.region;
    let before = tags_of(world, region, id).cloned().unwrap_or_default();
    if let Some(image) = world.image_mut(region, id) {
        change(&mut image.tags);
    } else {
        world.change_snapshot(region, id, |snapshot| change(&mut snapshot.tags));
    }
    let after = tags_of(world, region, id).cloned().unwrap_or_default();
    world.emit_tag_change(caller, id, &before, &after);
}

/// The tags of each image, snapshot and image usage report of the Region whose id is the value of a parameter, and of the snapshots that are
/// deleted with an image.
pub(in crate::aws) fn of_targets(world: &World, region: &str, parameters: &Value) -> BTreeMap<String, Tags> {
    let named: Vec<String> = parameters
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, value)| value.as_str().map(str::to_owned))
        .collect();
    let with_snapshots = parameters["DeleteAssociatedSnapshots"] == "true";
    let images = named.iter().filter(|_| with_snapshots).filter_map(|id| world.image(region, id));
    let deleted = images.flat_map(|image| image.snapshots.iter().map(|snapshot| snapshot.id.clone()));
    let deleted: Vec<String> = deleted.collect();
    named
        .into_iter()
        .chain(deleted)
        .filter_map(|id| {
            let tags = tags_of(world, region, &id)?.clone();
            Some((id, tags))
        })
        .collect()
}

fn tags_of<'a>(world: &'a World, region: &str, id: &str) -> Option<&'a Tags> {
    if id.starts_with("ami-") {
        return Some(&world.image(region, id)?.tags);
    }
    if id.starts_with(report::PREFIX) {
        return report::tags_of(world, region, id);
    }
    if !id.starts_with("snap-") {
        return None;
    }
    let mut snapshots = world.store(region)?.snapshots();
    Some(&snapshots.find(|(_, snapshot)| snapshot.id == id)?.1.tags)
}
