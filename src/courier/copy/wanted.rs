//! Which AMI is copied, and whether it is wanted here.

use courier_core::announcement::{AnnouncedBy, CopyRequest, OwnMessage, Why};
use courier_core::copy_image::Destination;
use courier_core::error::{Error, code};
use courier_core::identity::{Identity, ImageId};
use courier_core::image::Image;
use courier_core::origin::Origin;
use courier_core::protocol::{Resume, Try};
use courier_core::selection;
use courier_core::settings::Owner;

use crate::aws::error::When;
use crate::courier::report::Report;
use crate::courier::stack::{Courier, Delivery, Stop};

/// A copy to be made, and what earlier deliveries know of it.
#[derive(Clone, Copy)]
pub(in crate::courier) struct Copy<'a> {
    pub(in crate::courier) courier: &'a Courier,
    pub(in crate::courier) delivery: &'a Delivery<'a>,
    pub(in crate::courier) source: &'a Identity,
    pub(in crate::courier) why: &'a Why,
    pub(in crate::courier) resume: Resume,
    /// How many of the courier's own messages led here.
    pub(in crate::courier) hops: u32,
}

impl<'a> Copy<'a> {
    /// Of a message that resumes nothing.
    pub(in crate::courier) fn new(
        courier: &'a Courier,
        delivery: &'a Delivery<'a>,
        source: &'a Identity,
        why: &'a Why,
    ) -> Self {
        Self { courier, delivery, source, why, resume: Resume::FromStart, hops: 0 }
    }

    pub(super) fn request(&self) -> Option<&'a CopyRequest> {
        match self.why {
            Why::Announced(_) => None,
            Why::Requested(request) => Some(request),
        }
    }

    /// Whether the copy is not meant for a Local Zone or an Outpost.
    fn is_into_region(&self) -> bool {
        let destination = self.request().and_then(|request| request.destination.as_ref());
        matches!(destination, None | Some(Destination::Region { .. }))
    }

    /// What the end of the step means for what brought it: an AMI that is unfit is ignored when it is announced, and an error when it is
    /// requested.
    pub(super) fn stopped(&self, stop: Stop) -> Report {
        let stop = match (self.why, stop) {
            (Why::Requested(_), Stop::Unfit(code, reason)) => {
                let advice = "request another AMI, or change what this stack may copy";
                Error::rejected(code, format!("{} is not copied: {reason}", self.source), advice).into()
            }
            (_, stop) => stop,
        };
        self.courier.stopped(Some(self.source), stop)
    }

    /// An account has many AMIs that it shares with nobody, and EC2 announces them all.
    fn never_visible(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Error(error)
                if matches!(self.why, Why::Announced(AnnouncedBy::Ec2OfAnotherAccount))
                    && error.code == code::IMAGE_NOT_FOUND
                    && error.retry_after().is_none() =>
            {
                let message = error.message;
                Stop::NeverVisible(format!("{message}; it is of another account, so nobody may have meant it for here"))
            }
            stop => stop,
        }
    }

    pub(super) fn second_look(&self, resume: Try, accepted: Option<&ImageId>) -> OwnMessage {
        let (source, why, accepted) = (self.source.clone(), self.why.clone(), accepted.cloned());
        OwnMessage::SecondLook { source, resume, accepted, why }
    }

    pub(super) fn next_try(&self, next: Try) -> OwnMessage {
        let request = self.request().map(|request| Box::new(request.clone()));
        OwnMessage::NextTry { source: self.source.clone(), next, request }
    }

    /// The message that brought it, if it was one of the courier's own that resumes something.
    pub(super) fn message(&self) -> Option<OwnMessage> {
        match self.resume {
            Resume::FromStart => None,
            Resume::SecondLook(resume) => Some(self.second_look(resume, None)),
            Resume::DeadLetter(next) => Some(self.next_try(next)),
        }
    }

    /// Whose AMIs may be copied.
    pub(super) fn owners(&self) -> Result<Vec<Owner>, Stop> {
        let settings = &self.courier.settings;
        let region = &self.source.region;
        let allowed = match self.request() {
            Some(request) => selection::request_is_allowed(request, settings),
            None => selection::region_is_allowed(region, settings),
        };
        allowed.map_err(not_allowed)?;
        let sources = &settings.sources;
        // To a Local Zone or an Outpost, this account's own AMIs of this Region are copied as well.
        Ok(if self.is_into_region() {
            sources.owners_in(region, &settings.stack_region)
        } else {
            sources.owners.clone()
        })
    }

    /// The copies of the source. For an announcement without a copy, those of its siblings: with one source Region, it has none.
    pub(super) async fn look_for_copies(&self) -> Result<Vec<Image>, Error> {
        let (source, ec2) = (self.source, self.courier.local_ec2());
        let looking = format!("looking for copies of {source} in {}", ec2.region);
        let copies = ec2.copies_of(source).await.when(format_args!("{looking}"))?;
        let may_have_siblings = self.request().is_none() && self.courier.settings.sources.regions.len() != 1;
        match &self.delivery.stack.account {
            Some(account) if may_have_siblings && !copies.iter().any(|copy| copy.state.is_live()) => {
                let origin = Origin { account: account.clone(), ami: source.clone() };
                let of_siblings = ec2.of_family(&origin).await.when(format_args!("{looking}"))?;
                Ok([copies, of_siblings].concat())
            }
            _ => Ok(copies),
        }
    }

    /// The source AMI, if it may be copied here.
    pub(super) fn wanted(&self, found: Result<Image, Stop>) -> Result<Image, Stop> {
        let image = found.map_err(|stop| self.never_visible(stop))?;
        let (region, stack) = (&self.source.region, self.delivery.stack);
        let wanted = match self.why {
            Why::Announced(announced_by) => selection::comes_from_elsewhere(&image, region, stack)
                .and_then(|()| selection::is_wanted(&image, region, *announced_by, &self.courier.settings.sources)),
            Why::Requested(_) if self.is_into_region() => {
                selection::is_not_here_already(&image, region, stack).and_then(|()| selection::may_be_copied(&image))
            }
            Why::Requested(_) => selection::may_be_copied(&image),
        };
        wanted.map_err(not_allowed)?;
        Ok(image)
    }
}

/// The AMI may not be copied here.
pub(super) fn not_allowed(reason: String) -> Stop {
    Stop::Unfit(code::SOURCE_NOT_ALLOWED, reason)
}
