//! The dispatcher: which step an announcement asks for.

use courier_core::announcement::{AnnouncedBy, Announcement, ImageState, OwnMessage, Pointer, SecondLook, Why};
use courier_core::identity::Identity;
use courier_core::protocol::Resume;
use courier_core::selection;
use tracing::{Instrument, info_span};

use super::copy::{CopyOrder, CopyReason};
use super::report::{Handled, Report};
use super::step::{Courier, DeliveryAttempt};

impl Courier {
    /// Does what one announcement asks for.
    pub async fn handle(&self, announcement: &Announcement, attempt: DeliveryAttempt) -> Handled {
        match announcement {
            Announcement::Nothing { ami, reason } => vec![self.ignored(ami.as_ref(), reason.clone())].into(),
            Announcement::Built { ami, announced_by } => self.built(ami, *announced_by, attempt).await.into(),
            Announcement::Request(request) => {
                let order = CopyOrder::new(&request.source, CopyReason::Requested(request), Resume::FromStart);
                self.copy_traced(order, attempt).await.into()
            }
            Announcement::StateChanged { ami, state, error_message } => {
                self.state_changed(ami, *state, error_message, attempt).await.into()
            }
            Announcement::Own(message) => self.own(message, attempt).await.into(),
            Announcement::Sweep => self.sweep(attempt).await,
        }
    }

    async fn built(&self, ami: &Pointer, announced_by: AnnouncedBy, attempt: DeliveryAttempt) -> Vec<Report> {
        let found = match ami {
            Pointer::Images(images) => match selection::first_allowed(images, &self.settings) {
                Ok(source) => Ok(vec![source.clone()]),
                Err(reason) => return vec![self.ignored(images.first(), reason)],
            },
            Pointer::ImageBuilder { region, arn } => self.made_by_image_builder(region, arn, attempt).await,
            Pointer::Parameter { region, name } => {
                self.held_by_parameter(region, name).await.map(|source| vec![source])
            }
        };
        let sources = match found {
            Ok(sources) => sources,
            Err(end) => return vec![self.ended(None, end)],
        };
        let mut reports = Vec::new();
        for source in sources {
            let order = CopyOrder::new(&source, CopyReason::Announced(announced_by), Resume::FromStart);
            reports.extend(self.copy_traced(order, attempt).await);
        }
        reports
    }

    async fn state_changed(
        &self,
        ami: &Identity,
        state: ImageState,
        error_message: &str,
        attempt: DeliveryAttempt,
    ) -> Vec<Report> {
        let is_local = ami.region == self.settings.stack_region;
        match state {
            // It may be a source of another account.
            ImageState::Deregistered | ImageState::Disabled if is_local && self.copies_within_region() => {
                self.retire_copies_of(ami).await
            }
            ImageState::Deregistered if is_local => {
                vec![self.ignored(None, format!("{ami} is deregistered; no action needed"))]
            }
            _ if is_local => self.changed_here(&ami.image, attempt).await,
            ImageState::Available => {
                let order = CopyOrder::new(ami, CopyReason::Announced(AnnouncedBy::Ec2), Resume::FromStart);
                self.copy_traced(order, attempt).await
            }
            ImageState::Deregistered | ImageState::Disabled => self.retire_copies_of(ami).await,
            ImageState::Failed => vec![self.ignored(Some(ami), format!("the source AMI failed: {error_message}"))],
        }
    }

    /// Does what the courier has asked itself to do.
    pub(super) async fn own(&self, message: &OwnMessage, attempt: DeliveryAttempt) -> Vec<Report> {
        let order = match message {
            OwnMessage::Unfinished { copy } => return self.changed_here(copy, attempt).await,
            OwnMessage::SourceGone { copy } | OwnMessage::SourceBack { copy } => {
                return vec![self.retire_copy(copy).await];
            }
            OwnMessage::Missed { source } => {
                CopyOrder::new(source, CopyReason::Announced(AnnouncedBy::Sweep), Resume::FromStart)
            }
            OwnMessage::NextTry { source, next, request } => {
                let announced = CopyReason::Announced(AnnouncedBy::Publisher);
                let reason = request.as_deref().map_or(announced, CopyReason::Requested);
                CopyOrder::new(source, reason, Resume::DeadLetter(*next))
            }
            OwnMessage::SecondLook(SecondLook { source, resume, why, .. }) => {
                let reason = match why {
                    Why::Announced(announced_by) => CopyReason::Announced(*announced_by),
                    Why::Requested(request) => CopyReason::Requested(request),
                };
                CopyOrder::new(source, reason, Resume::SecondLook(*resume))
            }
        };
        self.copy_traced(order, attempt).await
    }

    pub(super) async fn copy_traced(&self, order: CopyOrder<'_>, attempt: DeliveryAttempt) -> Vec<Report> {
        let span = info_span!("source", image = %order.source.image, region = %order.source.region);
        self.copy(order, attempt).instrument(span).await
    }
}
