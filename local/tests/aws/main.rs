//! The rules of the embedded AWS, each proven on the pure world. `wire` and `faults` prove what clients see.

mod blank_volumes;
mod changes;
mod copy_image;
mod deregistration;
mod describe_images;
mod events;
mod faults;
mod http;
mod names;
mod shared_tags;
mod sharing;
mod sqs;
mod ssm;
mod tokens;
mod usage_reports;
mod visibility;
mod wire;

use local::aws::{ApiError, Caller, Image, World};
use serde_json::{Map, Value, json};

const SOURCE: &str = "ami-0123456789abcdef0";
const SOURCE_REGION: &str = "us-east-1";
const REGION: &str = "eu-west-1";
const STRANGER: &str = "111122223333";

/// A world with the source AMI.
fn world() -> World {
    let mut world = World::default();
    world.add_image(SOURCE_REGION, Image::new(SOURCE, "golden"));
    world
}

fn caller() -> Caller {
    Caller::in_region(REGION)
}

fn stranger() -> Caller {
    Caller { account: STRANGER.to_owned(), ..caller() }
}

/// A call of EC2 in the destination Region.
fn ec2(world: &mut World, action: &str, parameters: &[(&str, &str)]) -> Result<Value, ApiError> {
    ec2_as(&caller(), world, action, parameters)
}

fn ec2_as(caller: &Caller, world: &mut World, action: &str, parameters: &[(&str, &str)]) -> Result<Value, ApiError> {
    let parameters: Map<String, Value> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    world.call(caller, "ec2", action, &Value::from(parameters))
}

/// `CopyImage` of the source, with further parameters, which win.
fn copy_with(world: &mut World, further: &[(&str, &str)]) -> Result<String, ApiError> {
    let mut parameters = vec![("Name", "copy"), ("SourceImageId", SOURCE), ("SourceRegion", SOURCE_REGION)];
    parameters.extend(further);
    let answer = ec2(world, "CopyImage", &parameters)?;
    Ok(answer["imageId"].as_str().expect("an image id").to_owned())
}

/// The code of an error that must have come.
fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    result.expect_err("the call must be refused").code
}

/// The ids of the AMIs in an answer of `DescribeImages`.
fn ids(answer: &Value) -> Vec<&str> {
    let images = answer["imagesSet"].as_array().expect("an imagesSet");
    images.iter().map(|image| image["imageId"].as_str().expect("an imageId")).collect()
}
