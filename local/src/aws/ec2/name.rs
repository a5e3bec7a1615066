//! Names of AMIs: their form, and whether one is free.

use super::image::Image;
use super::visibility::Look;
use crate::aws::error::ApiError;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// # Errors
/// `InvalidAMIName.Malformed`
pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
    if (3..=128).contains(&name.chars().count()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(ApiError::client(
        "InvalidAMIName.Malformed",
        "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '[', ']', \
         ' ', '.', '/', '-', ''', '@' and '_'",
    ))
}

impl World {
    /// # Errors
    /// `InvalidAMIName.Duplicate`, if an AMI of this account has the name, or had it a moment ago.
    pub(super) fn check_name_is_free(&self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        let Some(store) = self.store(&caller.region) else {
            return Ok(());
        };
        let now = self.now();
        let lingers_since = now - self.behaviour.name_lingers_for;
        let is_seen =
            |image: &&Image| self.behaviour.invisible_hold_names || image.visibility.is_certain(Look::ByFilter, now);
        let existing = store.images.values().filter(is_seen);
        let lingering = store.deregistered.values().filter(|gone| gone.at > lingers_since).map(|gone| &gone.image);
        let holder = existing.chain(lingering).find(|image| image.name == name && image.owner == caller.account);
        match holder {
            None => Ok(()),
            Some(image) => Err(ApiError::client(
                "InvalidAMIName.Duplicate",
                format!("AMI name {name} is already in use by AMI {}", image.id),
            )),
        }
    }
}
