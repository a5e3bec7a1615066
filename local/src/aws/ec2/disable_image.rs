//! `DisableImage` and `EnableImage`.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/disable-an-ami.html>

use serde_json::json;

use super::image::ImageState;
use super::lookup::unavailable;
use super::parameters::Parameters;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

/// Disabling removes all launch permissions; enabling restores none. Disabling twice is no error, and sends no event.
pub(super) fn disable_image(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    change_state(world, caller, parameters, ImageState::Available, ImageState::Disabled)
}

pub(super) fn enable_image(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    change_state(world, caller, parameters, ImageState::Disabled, ImageState::Available)
}

fn change_state(
    world: &mut World,
    caller: &Caller,
    parameters: &Parameters<'_>,
    from: ImageState,
    to: ImageState,
) -> Answer {
    let id = parameters.required("ImageId")?;
    let image = world.own_image(caller, id)?;
    if image.state != from && image.state != to {
        return Err(unavailable(id));
    }
    parameters.stop_if_dry_run()?;
    if image.state == from {
        image.state = to;
        if to == ImageState::Disabled {
            image.launch_permissions.clear();
        }
        world.emit_image_state(&caller.region, &caller.account, id, to, "");
    }
    Ok(json!({ "return": true }))
}
