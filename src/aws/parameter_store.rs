//! SSM parameters that hold an AMI's id. <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>

use std::collections::BTreeMap;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{Parameter as SsmParameter, ParameterType};
use courier_core::identity::{ImageId, ParameterName, Region};
use time::OffsetDateTime;

use crate::aws::error::{CallError, failed};

/// The data type of a parameter that holds an AMI. A parameter cannot change to it or from it.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-data-types.html>
pub const IMAGE: &str = "aws:ec2:image";

/// How many names `GetParameters` takes.
pub const NAMES_IN_A_CALL: usize = 10;

/// What a parameter holds, and how often it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub value: String,
    pub version: i64,
    /// When this version was written.
    pub written: OffsetDateTime,
    /// Such as `text`, or [`IMAGE`].
    pub data_type: String,
}

fn parameter(found: &SsmParameter) -> Option<Parameter> {
    let written = found.last_modified_date().and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok());
    Some(Parameter {
        value: found.value()?.to_owned(),
        version: found.version(),
        written: written.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        data_type: found.data_type().unwrap_or("text").to_owned(),
    })
}

/// Parameter Store in one Region.
#[derive(Clone)]
pub struct ParameterStore {
    client: Client,
    pub region: Region,
}

impl ParameterStore {
    pub(super) fn new(config: &aws_config::SdkConfig, region: &Region) -> Self {
        Self { client: Client::new(config), region: region.clone() }
    }

    /// The parameter; `None` where there is none. `NAME:VERSION` gives an earlier version of it.
    pub async fn get(&self, name: &str) -> Result<Option<Parameter>, CallError> {
        match self.client.get_parameter().name(name).send().await {
            Ok(answer) => Ok(answer.parameter().and_then(parameter)),
            Err(error) => match failed(error) {
                failed if failed.is("ParameterNotFound") || failed.is("ParameterVersionNotFound") => Ok(None),
                failed => Err(failed),
            },
        }
    }

    /// The parameters with these names, as far as they exist. At most [`NAMES_IN_A_CALL`].
    pub async fn get_all(&self, names: &[&ParameterName]) -> Result<BTreeMap<ParameterName, Parameter>, CallError> {
        let names = names.iter().map(|name| name.as_str().to_owned()).collect();
        let answer = self.client.get_parameters().set_names(Some(names)).send().await.map_err(failed)?;
        let found = answer.parameters().iter();
        Ok(found.filter_map(|found| Some((found.name()?.parse().ok()?, parameter(found)?))).collect())
    }

    /// Asks for the parameter to hold `image`. SSM answers at once, checks the AMI only then, and reports a bad one only in an
    /// event: the caller has to look whether the parameter has the new value.
    pub async fn put_image(&self, name: &str, image: &ImageId, description: &str) -> Result<(), CallError> {
        let call = self
            .client
            .put_parameter()
            .name(name)
            .value(image.as_str())
            .description(description)
            .r#type(ParameterType::String)
            .data_type(IMAGE)
            .overwrite(true);
        call.send().await.map(drop).map_err(failed)
    }
}
