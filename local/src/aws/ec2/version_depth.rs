//! `version-depth`: how many versions of a launch template EC2 looks at, the newest first.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImageUsageResourceTypeOptionRequest.html>

use super::parameters::Parameters;
use crate::aws::error::ApiError;

const NAME: &str = "version-depth";
const LAUNCH_TEMPLATE: &str = "ec2:LaunchTemplate";

/// The depth in a structure with `ResourceType` and perhaps `ResourceTypeOption.N`; `default` if it names none.
pub(super) fn version_depth(named: &Parameters<'_>, default: u32) -> Result<u32, ApiError> {
    let mut depth = default;
    for option in named.structures("ResourceTypeOption") {
        let name = option.required("OptionName")?;
        if name != NAME || named.text("ResourceType") != Some(LAUNCH_TEMPLATE) {
            continue;
        }
        let values = option.list("OptionValue");
        let [value] = values[..] else {
            return Err(ApiError::invalid_value(format!("The option {NAME} takes one value.")));
        };
        depth = value.parse().ok().filter(|depth| (1..=10_000).contains(depth)).ok_or_else(|| {
            ApiError::invalid_value(format!(
                "Value ({value}) for option {NAME} is invalid: it must be from 1 to 10000."
            ))
        })?;
    }
    Ok(depth)
}
