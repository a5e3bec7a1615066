//! A parameter of the run. It has no tag: a call that overwrites cannot tag.

use aws_sdk_ssm::types::ParameterType;

use super::bench::{Kind, Lab, PATH};
use crate::aws::{Aws, CallError};

impl Lab {
    /// Writes a value into the run's parameter of this kind, as this principal. Returns its name.
    pub(crate) async fn put_parameter(
        &self,
        aws: &Aws,
        kind: &str,
        value: &str,
        data_type: &str,
    ) -> Result<String, CallError> {
        let (name, region) = (format!("{PATH}{}{kind}", self.plan.run), &self.plan.region);
        let put = aws.ssm(region).put_parameter().name(&name).value(value).overwrite(true);
        let put = put.r#type(ParameterType::String).data_type(data_type).send().await;
        self.keep(Kind::Parameter, region, put.map(|_| Some(name)))
    }
}
