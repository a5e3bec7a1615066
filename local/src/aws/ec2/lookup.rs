//! Finding an AMI as EC2 does: by id, for an account, at a time.

use super::id::check_image_id;
use super::image::{Image, ImageState};
use super::store::DeregisteredImage;
use crate::aws::behaviour::ForgottenAs;
use crate::aws::error::ApiError;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// How a deregistered AMI fades from `DescribeImages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    StillReturned,
    Empty,
    Forgotten,
}

pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::client("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"))
}

pub(super) fn unavailable(id: &str) -> ApiError {
    ApiError::client("InvalidAMIID.Unavailable", format!("The image ID '{id}' is not available"))
}

impl World {
    /// An AMI of a Region that this account can see by now.
    pub(in crate::aws) fn visible_image(&self, region: &str, account: &str, id: &str) -> Result<&Image, ApiError> {
        check_image_id(id)?;
        if let Some((phase, _)) = self.gone_image(region, account, id) {
            return Err(match phase {
                Phase::StillReturned | Phase::Empty => unavailable(id),
                Phase::Forgotten => self.forgotten(id),
            });
        }
        let now = self.now();
        self.image(region, id)
            .filter(|image| image.is_visible_to(account) && image.visible_from <= now)
            .ok_or_else(|| not_found(id))
    }

    /// An AMI that this account could see before it was deregistered, and how far it has faded.
    pub(super) fn gone_image(&self, region: &str, account: &str, id: &str) -> Option<(Phase, &Image)> {
        let gone = self.store(region)?.deregistered.get(id)?;
        gone.image.is_visible_to(account).then(|| (self.phase_of(gone), &gone.image))
    }

    pub(super) fn phase_of(&self, gone: &DeregisteredImage) -> Phase {
        let age = self.now() - gone.at;
        let returned_for = self.behaviour.deregistered_returned_for;
        if age < returned_for {
            Phase::StillReturned
        } else if age < returned_for + self.behaviour.deregistered_empty_for {
            Phase::Empty
        } else {
            Phase::Forgotten
        }
    }

    /// What EC2 says, in the end, of an AMI that was deregistered.
    pub(super) fn forgotten(&self, id: &str) -> ApiError {
        match self.behaviour.forgotten_as {
            ForgottenAs::NotFound => not_found(id),
            ForgottenAs::Unavailable => unavailable(id),
        }
    }

    /// An AMI that the caller owns, to change it.
    pub(super) fn own_image(&mut self, caller: &Caller, id: &str) -> Result<&mut Image, ApiError> {
        let image = self.visible_image(&caller.region, &caller.account, id)?;
        if image.owner != caller.account {
            return Err(ApiError::client("AuthFailure", format!("Not authorized for image:{id}")));
        }
        self.image_mut(&caller.region, id).ok_or_else(|| not_found(id))
    }

    /// An AMI that the caller owns and that is neither pending nor failed nor disabled, to change it.
    pub(super) fn own_available_image(&mut self, caller: &Caller, id: &str) -> Result<&mut Image, ApiError> {
        let image = self.own_image(caller, id)?;
        if image.state != ImageState::Available {
            return Err(unavailable(id));
        }
        Ok(image)
    }
}
