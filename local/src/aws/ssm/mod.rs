//! SSM Parameter Store: `parameter` keeps parameters with their versions, `actions` are the calls.
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>

mod actions;
mod parameter;

use serde_json::Value;

use super::error::ApiError;
use super::request::{Answer, Caller, typed};
use super::world::World;

pub use parameter::Parameter;

pub(super) fn dispatch(world: &mut World, caller: &Caller, action: &str, parameters: &Value) -> Answer {
    match action {
        "GetParameter" => actions::get_parameter(world, caller, &typed(parameters)?),
        "GetParameters" => actions::get_parameters(world, caller, &typed(parameters)?),
        "PutParameter" => actions::put_parameter(world, caller, typed(parameters)?),
        "DeleteParameter" => actions::delete_parameter(world, caller, &typed(parameters)?),
        "DescribeParameters" => Ok(actions::describe_parameters(world, caller, &typed(parameters)?)),
        "AddTagsToResource" => actions::add_tags_to_resource(world, caller, typed(parameters)?),
        _ => Err(ApiError::client("UnknownOperationException", format!("The embedded SSM has no {action}"))),
    }
}
