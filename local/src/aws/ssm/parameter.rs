//! Parameters with their versions.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::aws::region::partition_of;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// The newest version of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub value: String,
    /// `text` or `aws:ec2:image`.
    pub data_type: String,
    /// From 1.
    pub version: u64,
    pub description: Option<String>,
}

/// Every parameter, by its owner and name.
#[derive(Default)]
struct Parameters(BTreeMap<(Caller, String), StoredParameter>);

/// A parameter with its history.
#[derive(Debug, Default)]
pub(super) struct StoredParameter {
    pub(super) kind: String,
    pub(super) description: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    /// Oldest first. A version's number is its place, from 1.
    pub(super) versions: Vec<Version>,
}

#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) value: String,
    pub(super) data_type: String,
    pub(super) modified: OffsetDateTime,
}

/// A value on its way to a parameter; one of type `aws:ec2:image` waits for its check.
#[derive(Clone, Debug)]
pub(super) struct PendingCheck {
    pub(super) caller: Caller,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) value: String,
    pub(super) description: Option<String>,
}

impl World {
    /// A parameter of the default account.
    pub fn parameter(&self, region: &str, name: &str) -> Option<Parameter> {
        let stored = self.stored_parameter(&Caller::in_region(region), name)?;
        let newest = stored.versions.last()?;
        Some(Parameter {
            value: newest.value.clone(),
            data_type: newest.data_type.clone(),
            version: stored.versions.len() as u64,
            description: stored.description.clone(),
        })
    }

    /// Sets a parameter of the default account (of AWS, if its name begins with `/aws/`), unchecked and without an event; a new version if it exists.
    pub fn set_parameter(&mut self, region: &str, name: &str, value: &str, data_type: &str) {
        self.store_parameter(
            &PendingCheck {
                caller: Caller::in_region(region),
                name: name.to_owned(),
                kind: "String".to_owned(),
                tags: BTreeMap::new(),
                value: value.to_owned(),
                description: None,
            },
            data_type,
        );
    }

    /// The tags of a parameter of the default account.
    pub fn parameter_tags(&self, region: &str, name: &str) -> BTreeMap<String, String> {
        self.stored_parameter(&Caller::in_region(region), name).map(|stored| stored.tags.clone()).unwrap_or_default()
    }

    /// The ARNs of the `aws:ec2:image` parameters of an account that hold this AMI.
    pub(in crate::aws) fn parameters_that_hold(&self, caller: &Caller, image_id: &str) -> Vec<String> {
        self.state::<Parameters>()
            .into_iter()
            .flat_map(|parameters| &parameters.0)
            .filter(|((owner, _), stored)| {
                owner == caller
                    && stored
                        .versions
                        .last()
                        .is_some_and(|newest| newest.value == image_id && newest.data_type == IMAGE)
            })
            .map(|((_, name), _)| arn(caller, name))
            .collect()
    }

    /// The owner and name of every parameter.
    pub fn parameter_names(&self) -> Vec<(Caller, String)> {
        self.state::<Parameters>().into_iter().flat_map(|parameters| parameters.0.keys().cloned()).collect()
    }

    /// Returns whether there was one.
    pub(super) fn remove_parameter(&mut self, caller: &Caller, name: &str) -> bool {
        self.state_mut::<Parameters>().0.remove(&(caller.clone(), name.to_owned())).is_some()
    }

    pub(super) fn stored_parameter(&self, caller: &Caller, name: &str) -> Option<&StoredParameter> {
        self.state::<Parameters>()?.0.get(&key(caller, name))
    }

    pub(super) fn stored_parameter_mut(&mut self, caller: &Caller, name: &str) -> Option<&mut StoredParameter> {
        self.state_mut::<Parameters>().0.get_mut(&key(caller, name))
    }

    pub(super) fn store_parameter(&mut self, new: &PendingCheck, data_type: &str) {
        let modified = self.now();
        let stored = self.state_mut::<Parameters>().0.entry(key(&new.caller, &new.name)).or_default();
        new.kind.clone_into(&mut stored.kind);
        stored.tags.extend(new.tags.clone());
        // Assumed: a new value without a description leaves it as it is.
        stored.description = new.description.clone().or(stored.description.take());
        stored.versions.push(Version { value: new.value.clone(), data_type: data_type.to_owned(), modified });
    }
}

/// AWS's public parameters: every account reads them, and they belong to none.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-public-parameters.html>
fn is_public(name: &str) -> bool {
    name.starts_with("/aws/")
}

fn key(caller: &Caller, name: &str) -> (Caller, String) {
    let owner = if is_public(name) { Caller { account: String::new(), ..caller.clone() } } else { caller.clone() };
    (owner, name.to_owned())
}

pub(super) const IMAGE: &str = "aws:ec2:image";

pub(super) fn arn(caller: &Caller, name: &str) -> String {
    let Caller { region, account } = caller;
    let account = if is_public(name) { "" } else { account };
    let separator = if name.starts_with('/') { "" } else { "/" };
    format!("arn:{}:ssm:{region}:{account}:parameter{separator}{name}", partition_of(region))
}
