//! Looks at AMIs, and waiting for what they show.

use std::time::Duration;

use super::bench::Lab;
use super::things::{Image, Look};
use crate::aws::{CallError, Parameters};

/// A copy that is visible to nobody after this time is given up.
pub(super) const GIVE_UP_LOOKING_AFTER: Duration = Duration::from_secs(20 * 60);
/// A copy of an AMI with one block takes minutes.
pub(super) const GIVE_UP_COPYING_AFTER: Duration = Duration::from_secs(60 * 60);
const POLL: Duration = Duration::from_secs(5);

impl Lab {
    /// `DescribeImages` by id, without disabled AMIs.
    pub(crate) async fn look(&self, image_id: &str) -> Result<Look, CallError> {
        self.look_in(&self.plan.region, Parameters::default().with("ImageId.1", image_id)).await
    }

    /// The same, with disabled AMIs.
    pub(crate) async fn look_for_disabled(&self, image_id: &str) -> Result<Look, CallError> {
        let parameters = Parameters::default().with("ImageId.1", image_id).with("IncludeDisabled", "true");
        self.look_in(&self.plan.region, parameters).await
    }

    pub(crate) async fn look_in(&self, region: &str, parameters: Parameters) -> Result<Look, CallError> {
        match self.aws.ec2(region, "DescribeImages", &parameters).await {
            Ok(answer) => {
                Ok(answer.items("imagesSet").next().map_or(Look::Empty, |item| Look::Shown(Image(item.clone()))))
            }
            Err(CallError::Refused(refusal)) if refusal.code.starts_with("InvalidAMIID.") => {
                Ok(Look::Refused(refusal.code))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn wait_until_visible(&self, region: &str, image_id: &str) -> Result<Image, CallError> {
        let begun = self.elapsed();
        loop {
            if let Look::Shown(image) = self.look_in(region, Parameters::default().with("ImageId.1", image_id)).await? {
                return Ok(image);
            }
            self.give_up(begun, GIVE_UP_LOOKING_AFTER, "an AMI is not visible")?;
            self.pause(begun).await?;
        }
    }

    /// Waits until a copy is no longer pending.
    pub(crate) async fn wait_until_ended(&self, image_id: &str) -> Result<Image, CallError> {
        self.say("waiting for a copy to end");
        let begun = self.elapsed();
        loop {
            if let Look::Shown(image) = self.look(image_id).await?
                && image.state() != "pending"
            {
                return Ok(image);
            }
            self.give_up(begun, GIVE_UP_COPYING_AFTER, "a copy is still pending, or not visible,")?;
            self.pause(begun).await?;
        }
    }

    pub(crate) async fn wait_until_available(&self, image_id: &str) -> Result<Image, CallError> {
        let image = self.wait_until_ended(image_id).await?;
        if image.state() == "available" {
            return Ok(image);
        }
        let reason = image.state_reason().unwrap_or("without a reason");
        Err(CallError::Lost(format!("a copy ended in state {}: {reason}", image.state())))
    }

    /// The longer it has waited, the longer it waits for the next look.
    pub(super) async fn pause(&self, begun: Duration) -> Result<(), CallError> {
        self.aws.sleep((self.elapsed().saturating_sub(begun) / 10).max(POLL)).await
    }

    pub(super) fn give_up(&self, begun: Duration, after: Duration, what: &str) -> Result<(), CallError> {
        if self.elapsed() < begun + after {
            return Ok(());
        }
        Err(CallError::Lost(format!("{what} after {} minutes", after.as_secs() / 60)))
    }
}
