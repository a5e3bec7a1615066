//! Deregistration protection.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deregistration-protection.html>

use serde_json::json;
use time::Duration;

use super::image::Protection;
use super::parameters::Parameters;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

const COOLDOWN: Duration = Duration::hours(24);

pub(super) fn enable_image_deregistration_protection(
    world: &mut World,
    caller: &Caller,
    parameters: &Parameters<'_>,
) -> Answer {
    let id = parameters.required("ImageId")?;
    let protection = match parameters.flag("WithCooldown")? {
        Some(true) => Protection::EnabledWithCooldown,
        _ => Protection::Enabled,
    };
    let image = world.own_image(caller, id)?;
    parameters.stop_if_dry_run()?;
    image.deregistration_protection = protection;
    image.protected_until = None;
    Ok(json!({ "return": "true" }))
}

pub(super) fn disable_image_deregistration_protection(
    world: &mut World,
    caller: &Caller,
    parameters: &Parameters<'_>,
) -> Answer {
    let id = parameters.required("ImageId")?;
    let now = world.now();
    let image = world.own_image(caller, id)?;
    parameters.stop_if_dry_run()?;
    if image.deregistration_protection == Protection::EnabledWithCooldown {
        image.protected_until = Some(now + COOLDOWN);
    }
    image.deregistration_protection = Protection::Disabled;
    Ok(json!({ "return": "true" }))
}
