//! Finding an AMI as EC2 does: by id, for an account, at a time.

use super::id::check_image_id;
use super::image::{Image, ImageState};
use super::store::DeregisteredImage;
use super::visibility::Look;
use crate::aws::behaviour::HiddenAs;
use crate::aws::error::ApiError;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// What a look by id finds, for an account.
pub(super) enum Found<'w> {
    Image(&'w Image),
    Deregistered(Phase, &'w Image),
    Hidden(HiddenAs),
}

/// How far a deregistered AMI has disappeared from `DescribeImages`.
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
    pub(super) fn find_image(&self, region: &str, account: &str, id: &str) -> Found<'_> {
        let deregistered = self.store(region).and_then(|store| store.deregistered.get(id));
        if let Some(deregistered) = deregistered.filter(|it| it.image.is_visible_to(account)) {
            return Found::Deregistered(self.phase_of(deregistered), &deregistered.image);
        }
        match self.image(region, id) {
            None => Found::Hidden(HiddenAs::NotFound),
            Some(image) if !image.is_visible_to(account) => Found::Hidden(self.behaviour.not_shared_as),
            Some(image) if !self.shows(image, Look::ById) => Found::Hidden(self.behaviour.invisible_as),
            Some(image) => Found::Image(image),
        }
    }

    /// Whether this look shows the AMI. While the AMI is new, each look may have another answer.
    pub(super) fn shows(&self, image: &Image, look: Look) -> bool {
        image.visibility.is_certain(look, self.now())
            || self.behaviour.flicker_seed.is_some_and(|seed| image.visibility.flickers(look, &image.id, seed))
    }

    pub(super) fn phase_of(&self, deregistered: &DeregisteredImage) -> Phase {
        let age = self.now() - deregistered.at;
        let returned_for = self.behaviour.deregistered_returned_for;
        if age < returned_for {
            Phase::StillReturned
        } else if age < returned_for + self.behaviour.deregistered_empty_for {
            Phase::Empty
        } else {
            Phase::Forgotten
        }
    }

    /// An AMI of a Region that this account can see now, for any action but `DescribeImages`.
    ///
    /// # Errors
    /// `InvalidAMIID.Malformed`, `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable`
    pub(in crate::aws) fn visible_image(&self, region: &str, account: &str, id: &str) -> Result<&Image, ApiError> {
        check_image_id(id)?;
        match self.find_image(region, account, id) {
            Found::Image(image) => Ok(image),
            Found::Deregistered(Phase::Forgotten, _) if self.behaviour.forgotten_as == HiddenAs::NotFound => {
                Err(not_found(id))
            }
            Found::Deregistered(..) | Found::Hidden(HiddenAs::Unavailable) => Err(unavailable(id)),
            Found::Hidden(HiddenAs::NotFound | HiddenAs::Empty) => Err(not_found(id)),
        }
    }

    /// An AMI that the caller owns, to change it.
    pub(super) fn own_image(&mut self, caller: &Caller, id: &str) -> Result<&mut Image, ApiError> {
        let image = self.visible_image(&caller.region, &caller.account, id)?;
        if image.owner != caller.account {
            return Err(ApiError::client("AuthFailure", format!("Not authorized for image:{id}")));
        }
        let now = self.now();
        let shown_for = self.behaviour.changes_invisible_by_id_for.max(self.behaviour.changes_invisible_by_filter_for);
        let image = self.image_mut(&caller.region, id).ok_or_else(|| not_found(id))?;
        image.keep_as_it_is(now, shown_for);
        Ok(image)
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
