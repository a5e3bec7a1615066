//! Events that name AMIs: EC2's own, when an AMI changes state, and any others.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-ami-events.html>

use super::announced_by::AnnouncedBy;
use super::arn;
use super::document::{Document, Shape};
use super::meaning::{Announcement, Pointer};
use crate::error::Error;
use crate::identity::{Identity, Stack, shortened};
use crate::image::State;

pub(super) const STATE_CHANGE: &str = "EC2 AMI State Change";
pub(super) const SHAPE: Shape = Shape {
    name: "an EC2 AMI State Change",
    page: "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-ami-events.html",
};

/// One announcement for each AMI that the event names. A forwarded event still names the Region that it comes from.
pub(super) fn read_state_change(event: &Document<'_>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    let state = event.required_text("detail.State")?;
    let error_message = event.text("detail.ErrorMessage")?.unwrap_or_default();
    let mut amis = arn::images_named_in(event, stack)?;
    if amis.is_empty() {
        amis.push(Identity { region: event.required("region")?, image: event.required("detail.ImageId")? });
    }
    let announced_by = AnnouncedBy::event(event, stack)?;
    let announcement = |ami: Identity| match known_state(state) {
        Some(state) => Announcement::StateChanged { ami, state, error_message: error_message.to_owned(), announced_by },
        None => Announcement::Nothing {
            reason: format!("EC2 reports that {ami} is now `{}`; no action needed", shortened(state)),
            ami: Some(ami),
        },
    };
    Ok(amis.into_iter().map(announcement).collect())
}

/// Any other event that names AMIs: a custom event, or one of another AWS service.
pub(super) fn read_resources(event: &Document<'_>, custom: bool, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    let announced_by = if custom { AnnouncedBy::Publisher } else { AnnouncedBy::event(event, stack)? };
    let announcement = |ami| Announcement::Built { ami: Pointer::Images(vec![ami]), announced_by };
    Ok(arn::images_named_in(event, stack)?.into_iter().map(announcement).collect())
}

fn known_state(state: &str) -> Option<State> {
    match state {
        "available" => Some(State::Available),
        "failed" => Some(State::Failed),
        "deregistered" => Some(State::Deregistered),
        "disabled" => Some(State::Disabled),
        _ => None,
    }
}
