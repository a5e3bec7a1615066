//! SSM Parameter Store: parameters with their versions. `actions` is the wire's side of it.
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>

mod actions;

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::call::Caller;
use super::region::partition_of;
use super::world::World;

pub(super) use actions::{conclude, dispatch};

/// The newest version of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub value: String,
    /// `text` or `aws:ec2:image`.
    pub data_type: String,
    /// From 1.
    pub version: u64,
}

/// A parameter with its history.
#[derive(Debug, Default)]
pub(super) struct StoredParameter {
    kind: String,
    tags: BTreeMap<String, String>,
    /// Oldest first: the version numbers are the places, from 1.
    versions: Vec<Version>,
}

#[derive(Clone, Debug)]
struct Version {
    value: String,
    data_type: String,
    modified: OffsetDateTime,
}

/// A value that waits for EC2's word that it is an AMI.
#[derive(Clone, Debug)]
pub(super) struct PendingCheck {
    caller: Caller,
    name: String,
    kind: String,
    tags: BTreeMap<String, String>,
    value: String,
}

impl World {
    /// A parameter of the default account.
    #[must_use]
    pub fn parameter(&self, region: &str, name: &str) -> Option<Parameter> {
        let stored = self.stored_parameter(&Caller::in_region(region), name)?;
        let newest = stored.versions.last()?;
        Some(Parameter {
            value: newest.value.clone(),
            data_type: newest.data_type.clone(),
            version: stored.versions.len() as u64,
        })
    }

    /// Sets a parameter of the default account, unchecked and without an event; a new version if it exists.
    pub fn set_parameter(&mut self, region: &str, name: &str, value: &str, data_type: &str) {
        self.store_parameter(
            &PendingCheck {
                caller: Caller::in_region(region),
                name: name.to_owned(),
                kind: "String".to_owned(),
                tags: BTreeMap::new(),
                value: value.to_owned(),
            },
            data_type,
        );
    }

    /// The tags of a parameter of the default account.
    #[must_use]
    pub fn parameter_tags(&self, region: &str, name: &str) -> BTreeMap<String, String> {
        self.stored_parameter(&Caller::in_region(region), name).map(|stored| stored.tags.clone()).unwrap_or_default()
    }

    /// The ARNs of the `aws:ec2:image` parameters of an account that hold this AMI.
    pub(super) fn parameters_that_hold(&self, caller: &Caller, image_id: &str) -> Vec<String> {
        let Some(region) = self.region(&caller.region) else {
            return Vec::new();
        };
        region
            .parameters
            .iter()
            .filter(|((account, _), stored)| {
                *account == caller.account
                    && stored
                        .versions
                        .last()
                        .is_some_and(|newest| newest.value == image_id && newest.data_type == IMAGE)
            })
            .map(|((_, name), _)| arn(caller, name))
            .collect()
    }

    fn stored_parameter(&self, caller: &Caller, name: &str) -> Option<&StoredParameter> {
        self.region(&caller.region)?.parameters.get(&(caller.account.clone(), name.to_owned()))
    }

    fn store_parameter(&mut self, new: &PendingCheck, data_type: &str) {
        let modified = self.now();
        let stored = self
            .region_mut(&new.caller.region)
            .parameters
            .entry((new.caller.account.clone(), new.name.clone()))
            .or_default();
        new.kind.clone_into(&mut stored.kind);
        stored.tags.extend(new.tags.clone());
        stored.versions.push(Version { value: new.value.clone(), data_type: data_type.to_owned(), modified });
    }
}

const IMAGE: &str = "aws:ec2:image";

fn arn(caller: &Caller, name: &str) -> String {
    let Caller { region, account } = caller;
    let separator = if name.starts_with('/') { "" } else { "/" };
    format!("arn:{}:ssm:{region}:{account}:parameter{separator}{name}", partition_of(region))
}
