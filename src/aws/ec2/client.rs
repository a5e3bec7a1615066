//! The client that all calls share, and the filters of what they describe.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Filter;
use courier_core::identity::Region;

/// EC2 in one Region.
#[derive(Clone)]
pub struct Ec2 {
    pub(super) client: Client,
    pub region: Region,
}

impl Ec2 {
    pub(in crate::aws) fn new(config: &aws_config::SdkConfig, region: &Region) -> Self {
        Self { client: Client::new(config), region: region.clone() }
    }
}

pub(super) fn filter<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(str::to_owned).collect())).build()
}
