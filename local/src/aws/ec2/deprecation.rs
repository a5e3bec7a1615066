//! `EnableImageDeprecation` and `DisableImageDeprecation`.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html>

use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::parameters::Parameters;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

/// Seconds are rounded to the nearest minute.
pub(super) fn enable_image_deprecation(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let id = parameters.required("ImageId")?;
    let at = to_nearest_minute(parameters.required_time("DeprecateAt")?);
    let now = world.now();
    let image = world.own_image(caller, id)?;
    if at <= now {
        return Err(ApiError::invalid_value(format!(
            "Invalid value '{at}' for DeprecateAt: the time must be in the future"
        )));
    }
    let (years, from, since) =
        if image.is_public() { (2, image.creation_date, "its creation") } else { (10, now, "now") };
    let latest = from.replace_year(from.year() + years).unwrap_or(from + Duration::days(365 * i64::from(years)));
    if at > latest {
        return Err(ApiError::invalid_value(format!(
            "Invalid value '{at}' for DeprecateAt: the time must be at most {years} years from {since}"
        )));
    }
    parameters.stop_if_dry_run()?;
    image.deprecation_time = Some(at);
    Ok(json!({ "return": true }))
}

fn to_nearest_minute(at: OffsetDateTime) -> OffsetDateTime {
    let into_minute = Duration::seconds(i64::from(at.second())) + Duration::nanoseconds(i64::from(at.nanosecond()));
    let minute = at - into_minute;
    if into_minute < Duration::seconds(30) { minute } else { minute + Duration::MINUTE }
}

pub(super) fn disable_image_deprecation(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let id = parameters.required("ImageId")?;
    let image = world.own_image(caller, id)?;
    parameters.stop_if_dry_run()?;
    image.deprecation_time = None;
    Ok(json!({ "return": true }))
}
