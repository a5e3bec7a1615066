//! `CopyImage`: what is checked when. `request` reads the parameters, `token` knows repeated calls, `under_way` the limits,
//! `copy` makes the copy, `failure` says which copies fail.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html>

mod copy;
mod failure;
mod request;
mod token;
mod under_way;

use serde_json::json;

use super::image::{Image, ImageState};
use super::lookup::unavailable;
use super::parameters::Parameters;
use crate::aws::error::ApiError;
use crate::aws::region::{exists, partition_of};
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;
use request::CopyImage;

pub use failure::CopyFailure;

pub(super) fn copy_image(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let request = CopyImage::read(parameters)?;
    request.check_destination(caller)?;
    request.check_key_needs_encryption(world, caller)?;
    if let Some(token) = request.client_token
        && let Some(image_id) = world.image_of_token(caller, token, parameters)?
    {
        parameters.stop_if_dry_run()?;
        return Ok(json!({ "imageId": image_id }));
    }
    let source = source_image(world, caller, &request)?.clone();
    request.check_encryption(&source)?;
    let tags = request.tags_for_image(world, caller, &source)?;
    request.check_key_exists(world, caller)?;
    if world.behaviour.copy_image_refuses_taken_names {
        world.check_name_is_free(caller, request.name)?;
    }
    parameters.stop_if_dry_run()?;
    world.check_limits(caller, source.snapshots.len())?;

    let image_id = copy::start(world, caller, &request, &source, tags);
    if let Some(token) = request.client_token {
        world.remember_token(caller, token, parameters, &image_id);
    }
    Ok(json!({ "imageId": image_id }))
}

fn source_image<'w>(world: &'w World, caller: &Caller, request: &CopyImage<'_>) -> Result<&'w Image, ApiError> {
    let CopyImage { source_region, source_image_id, .. } = request;
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
    if let Some(refusal) = &image.copies_refused
        && refusal.until.is_none_or(|until| world.now() < until)
    {
        return Err(ApiError::client(refusal.code.as_str(), refusal.message.as_str()));
    }
    let is_own = image.owner == caller.account;
    if !is_own && !image.snapshots.iter().all(|snapshot| snapshot.is_shared_with(&caller.account)) {
        return Err(ApiError::client("InvalidRequest", "You do not have permission to access the storage of this ami"));
    }
    Ok(image)
}
