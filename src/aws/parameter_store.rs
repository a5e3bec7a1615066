//! SSM parameters that hold an AMI's id. <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::ParameterType;

use crate::aws::error::{CallError, failed};
use courier_core::identity::{ImageId, Region};

/// The data type of a parameter that holds an AMI. A parameter cannot change to it or from it.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-data-types.html>
pub const IMAGE: &str = "aws:ec2:image";

/// What a parameter holds, and how often it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub value: String,
    pub version: i64,
    /// Such as `text`, or [`IMAGE`].
    pub data_type: String,
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
            Ok(answer) => Ok(answer.parameter().and_then(|parameter| {
                let data_type = parameter.data_type().unwrap_or("text").to_owned();
                Some(Parameter { value: parameter.value()?.to_owned(), version: parameter.version(), data_type })
            })),
            Err(error) => match failed(error) {
                failed if failed.is("ParameterNotFound") || failed.is("ParameterVersionNotFound") => Ok(None),
                failed => Err(failed),
            },
        }
    }

    /// Asks for the parameter to hold `image`. SSM answers at once, checks the AMI only then, and reports a bad one only in an
    /// event: the caller has to look whether the parameter has the new value.
    pub async fn put_image(&self, name: &str, image: &ImageId) -> Result<(), CallError> {
        let call = self
            .client
            .put_parameter()
            .name(name)
            .value(image.as_str())
            .r#type(ParameterType::String)
            .data_type(IMAGE)
            .overwrite(true);
        call.send().await.map(drop).map_err(failed)
    }
}
