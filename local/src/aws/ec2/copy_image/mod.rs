//! `CopyImage`: what is checked when, client tokens, limits. `request` reads the parameters, `copy` makes the copy.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>

mod copy;
mod request;

use std::collections::BTreeMap;

use serde_json::json;

use super::image::{Image, ImageState};
use super::lookup::unavailable;
use super::parameters::Parameters;
use super::stop_if_dry_run;
use crate::aws::call::Caller;
use crate::aws::error::ApiError;
use crate::aws::region::{exists, partition_of};
use crate::aws::wire::Answer;
use crate::aws::world::{Due, World};
use request::Request;

pub(in crate::aws) use copy::end;
pub(super) use request::check_name;

/// A client token is known per account and Region.
pub(in crate::aws) type TokenKey = (String, String, String);

/// The first answer to a client token. It outlives the AMI.
#[derive(Clone, Debug)]
pub(in crate::aws) struct Remembered {
    parameters: BTreeMap<String, String>,
    image_id: String,
}

pub(super) fn copy_image(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let request = Request::read(parameters)?;
    request.check_key_needs_encryption(world, caller)?;
    if let Some(image_id) = remembered_answer(world, caller, parameters, request.client_token)? {
        stop_if_dry_run(parameters)?;
        return Ok(json!({ "imageId": image_id }));
    }
    let source = source_image(world, caller, &request)?.clone();
    request.check_encryption(&source)?;
    let copy_tags = request.tags_for_image(&source, caller)?;
    world.check_name_is_free(caller, request.name)?;
    stop_if_dry_run(parameters)?;
    check_limits(world, caller, source.snapshots.len())?;

    let image_id = copy::start(world, caller, &request, &source, copy_tags);
    if let Some(token) = request.client_token {
        world.tokens.insert(
            token_key(caller, token),
            Remembered { parameters: without_token(parameters), image_id: image_id.clone() },
        );
    }
    Ok(json!({ "imageId": image_id }))
}

fn token_key(caller: &Caller, token: &str) -> TokenKey {
    (caller.account.clone(), caller.region.clone(), token.to_owned())
}

fn without_token(parameters: &Parameters<'_>) -> BTreeMap<String, String> {
    parameters.without(&["ClientToken", "DryRun"])
}

/// The answer that this token once had, whatever became of the AMI.
fn remembered_answer(
    world: &World,
    caller: &Caller,
    parameters: &Parameters<'_>,
    token: Option<&str>,
) -> Result<Option<String>, ApiError> {
    let Some(remembered) = token.and_then(|token| world.tokens.get(&token_key(caller, token))) else {
        return Ok(None);
    };
    if remembered.parameters != without_token(parameters) {
        return Err(ApiError::client(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        ));
    }
    Ok(Some(remembered.image_id.clone()))
}

fn source_image<'w>(world: &'w World, caller: &Caller, request: &Request<'_>) -> Result<&'w Image, ApiError> {
    let Request { source_region, source_image_id, .. } = request;
    if !exists(source_region) {
        return Err(ApiError::invalid_value(format!(
            "Value ({source_region}) for parameter sourceRegion is invalid. There is no such Region."
        )));
    }
    if partition_of(source_region) != partition_of(&caller.region) {
        return Err(ApiError::client(
            "InvalidRequest",
            format!(
                "An AMI cannot be copied from {source_region} to {}: they are in different partitions",
                caller.region
            ),
        ));
    }
    let image = world.visible_image(source_region, &caller.account, source_image_id)?;
    if image.state != ImageState::Available {
        return Err(unavailable(source_image_id));
    }
    let is_own = image.owner == caller.account;
    if !is_own && !image.snapshots.iter().all(|snapshot| snapshot.is_shared_with(&caller.account)) {
        return Err(ApiError::client("InvalidRequest", "You do not have permission to access the storage of this ami"));
    }
    Ok(image)
}

/// # Errors
/// `ResourceLimitExceeded`, if as many copies are under way as may be.
fn check_limits(world: &World, caller: &Caller, more_snapshots: usize) -> Result<(), ApiError> {
    let under_way: Vec<&Image> = world
        .agenda
        .values()
        .filter_map(|due| match due {
            Due::CopyEnds { region, image_id, .. } if *region == caller.region => world.image(region, image_id),
            _ => None,
        })
        .filter(|image| image.state == ImageState::Pending && image.owner == caller.account)
        .collect();
    let snapshots: usize = under_way.iter().map(|image| image.snapshots.len()).sum();
    let exceeded = |what: &str, limit: usize| {
        Err(ApiError::client(
            "ResourceLimitExceeded",
            format!("Too many {what} copies in progress. The limit is {limit} for this destination region."),
        ))
    };
    if under_way.len() >= world.behaviour.copies_in_progress_limit {
        return exceeded("AMI", world.behaviour.copies_in_progress_limit);
    }
    if snapshots + more_snapshots > world.behaviour.snapshot_copies_limit {
        return exceeded("snapshot", world.behaviour.snapshot_copies_limit);
    }
    Ok(())
}
