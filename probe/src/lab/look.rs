//! Looks at AMIs, and waiting for what they show.

use std::fmt;
use std::time::Duration;

use aws_sdk_ec2::types::{EbsBlockDevice, Image};

use super::bench::Lab;
use crate::aws::CallError;

/// An AMI that is visible to nobody after this time is given up.
pub(super) const GIVE_UP_LOOKING_AFTER: Duration = Duration::from_secs(20 * 60);
/// A copy of an AMI with one block takes minutes.
pub(super) const GIVE_UP_COPYING_AFTER: Duration = Duration::from_secs(60 * 60);
const POLL: Duration = Duration::from_secs(5);

/// The answer to a look by id.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Look {
    Shown(Box<Image>),
    /// No error, and no AMI.
    Empty,
    /// An error about the id.
    Refused(String),
}

impl Look {
    /// The state of the AMI, if it is shown.
    pub(crate) fn state(&self) -> Option<&str> {
        match self {
            Look::Shown(image) => Some(state(image)),
            Look::Empty | Look::Refused(_) => None,
        }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Look::Shown(image) => write!(f, "state {}", state(image)),
            Look::Empty => f.write_str("an empty answer"),
            Look::Refused(code) => f.write_str(code),
        }
    }
}

pub(crate) fn state(image: &Image) -> &str {
    image.state().map_or("", |state| state.as_str())
}

pub(crate) fn state_reason(image: &Image) -> Option<&str> {
    image.state_reason()?.message().filter(|message| !message.is_empty())
}

/// The `Ebs` part of each block device that has one.
pub(crate) fn volumes(image: &Image) -> impl Iterator<Item = &EbsBlockDevice> {
    image.block_device_mappings().iter().filter_map(|device| device.ebs())
}

pub(crate) fn snapshot_ids(image: &Image) -> Vec<String> {
    volumes(image).filter_map(|ebs| ebs.snapshot_id()).filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

impl Lab {
    /// `DescribeImages` by id, without disabled AMIs.
    pub(crate) async fn look(&self, image_id: &str) -> Result<Look, CallError> {
        self.look_in(&self.plan.region, image_id, false).await
    }

    pub(crate) async fn look_in(&self, region: &str, image_id: &str, disabled_too: bool) -> Result<Look, CallError> {
        let call = self.aws.ec2(region).describe_images().image_ids(image_id);
        match call.set_include_disabled(disabled_too.then_some(true)).send().await.map_err(CallError::from) {
            Ok(answer) => {
                let image = answer.images.into_iter().flatten().next();
                Ok(image.map_or(Look::Empty, |image| Look::Shown(Box::new(image))))
            }
            Err(CallError::Refused { code, .. }) if code.starts_with("InvalidAMIID.") => Ok(Look::Refused(code)),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn wait_until_visible(&self, region: &str, image_id: &str) -> Result<(), CallError> {
        let begun = self.aws.elapsed();
        while !matches!(self.look_in(region, image_id, false).await?, Look::Shown(_)) {
            self.pause(begun, GIVE_UP_LOOKING_AFTER, "an AMI is not visible").await?;
        }
        Ok(())
    }

    /// Waits until a copy is no longer pending.
    pub(crate) async fn wait_until_ended(&self, image_id: &str) -> Result<Image, CallError> {
        self.say("waiting for a copy to end");
        let begun = self.aws.elapsed();
        loop {
            match self.look(image_id).await? {
                Look::Shown(image) if state(&image) != "pending" => return Ok(*image),
                _ => self.pause(begun, GIVE_UP_COPYING_AFTER, "a copy is still pending, or not visible,").await?,
            }
        }
    }

    pub(crate) async fn wait_until_available(&self, image_id: &str) -> Result<Image, CallError> {
        let image = self.wait_until_ended(image_id).await?;
        if state(&image) == "available" {
            return Ok(image);
        }
        let reason = state_reason(&image).unwrap_or("without a reason");
        Err(CallError::Lost(format!("a copy ended in state {}: {reason}", state(&image))))
    }

    /// Waits for the next look: the longer, the longer it has waited. Gives up in the end.
    pub(super) async fn pause(&self, begun: Duration, give_up_after: Duration, what: &str) -> Result<(), CallError> {
        let waited = self.aws.elapsed().saturating_sub(begun);
        if waited >= give_up_after {
            return Err(CallError::Lost(format!("{what} after {} minutes", give_up_after.as_secs() / 60)));
        }
        self.aws.sleep((waited / 10).max(POLL)).await
    }
}
