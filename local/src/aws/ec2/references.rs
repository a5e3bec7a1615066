//! `DescribeImageReferences`: who uses an AMI.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageReferences.html>

use serde_json::{Value, json};

use super::image::Reference;
use super::parameters::Parameters;
use super::version_depth::version_depth;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

const RESOURCE_TYPES: [&str; 5] =
    ["ec2:Instance", "ec2:LaunchTemplate", "ssm:Parameter", "imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"];

/// How many versions of each launch template EC2 looks at, unless the caller says otherwise (documented).
const DEFAULT_DEPTH: u32 = 10;

/// How many AMIs a request asks about (API model).
const MOST_IDS: usize = 10;

/// All references come in one page; of the options, `state-name` is ignored.
pub(super) fn describe_image_references(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let ids = parameters.ids("ImageId", MOST_IDS)?;
    if ids.is_empty() {
        return Err(ApiError::client("MissingParameter", "The request must contain the parameter ImageId"));
    }
    let types = wanted_types(parameters)?;
    let mut depth = DEFAULT_DEPTH;
    for named in parameters.structures("ResourceType") {
        depth = version_depth(&named, depth)?;
    }
    let mut references = Vec::new();
    for id in ids {
        let of_image = world.own_image(caller, id)?.referenced_by.clone();
        let of_parameters = world.parameters_that_hold(caller, id).into_iter().map(|arn| Reference {
            resource_type: "ssm:Parameter".to_owned(),
            arn,
            newer_versions: 0,
        });
        references.extend(
            of_image
                .into_iter()
                .chain(of_parameters)
                .filter(|it| types.contains(&it.resource_type.as_str()) && it.newer_versions < depth)
                .map(
                    |reference| json!({ "imageId": id, "resourceType": reference.resource_type, "arn": reference.arn }),
                ),
        );
    }
    parameters.stop_if_dry_run()?;
    Ok(json!({ "imageReferenceSet": Value::from(references) }))
}

fn wanted_types<'a>(parameters: &Parameters<'a>) -> Result<Vec<&'a str>, ApiError> {
    let named = parameters
        .structures("ResourceType")
        .iter()
        .map(|wanted| wanted.required("ResourceType"))
        .collect::<Result<Vec<_>, _>>()?;
    match (parameters.flag("IncludeAllResourceTypes")?, named.is_empty()) {
        // With `ResourceTypes` as well, their options override the default values.
        (Some(true), _) => Ok(RESOURCE_TYPES.to_vec()),
        (_, true) => Err(ApiError::client(
            "MissingParameter",
            "The request must contain IncludeAllResourceTypes or ResourceTypes",
        )),
        (_, false) => match named.iter().find(|name| !RESOURCE_TYPES.contains(name)) {
            Some(unknown) => {
                Err(ApiError::invalid_value(format!("Value ({unknown}) for parameter ResourceType is invalid.")))
            }
            None => Ok(named),
        },
    }
}
