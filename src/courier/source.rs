//! Finding the source AMI: the one place where its owner is checked, by EC2 itself.

use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{AccountId, Identity, Region};
use courier_core::image::{Image, State, tag};
use courier_core::settings::Owner;
use courier_core::{region, selection};

use super::step::{Courier, DeliveryAttempt, StepEnd};
use crate::aws::ec2::{Ec2, ImageLookup};
use crate::aws::error::{CallError, attempting};

/// What was found in place of a source AMI that can be copied.
pub(super) enum Found {
    Ready(Box<Image>),
    /// It exists, and its owner is not one of `SOURCE_OWNERS`.
    NotTrusted(String),
    /// It existed once.
    Gone(String),
}

impl Courier {
    /// Looks for the source AMI among those of `owners`.
    pub(super) async fn find(
        &self,
        source: &Identity,
        owners: &[Owner],
        attempt: DeliveryAttempt,
    ) -> Result<Found, Error> {
        let ec2 = self.aws.ec2(&source.region);
        match self.look_up(&ec2, source, Some(owners), attempt).await? {
            ImageLookup::Image(image) => ready(source, *image),
            ImageLookup::Empty => self.explain_absence(&ec2, source, attempt).await,
            ImageLookup::NotFound | ImageLookup::Unavailable => self.not_visible(source, attempt),
        }
    }

    async fn look_up(
        &self,
        ec2: &Ec2,
        source: &Identity,
        owners: Option<&[Owner]>,
        attempt: DeliveryAttempt,
    ) -> Result<ImageLookup, Error> {
        let describing = format!("describing the source AMI {source}");
        ec2.image(&source.image, owners)
            .await
            .map_err(|failed| self.no_such_region(source, &describing, failed, attempt))
    }

    /// EC2 of a Region that is not known does not answer: after a while it is taken for a Region that does not exist.
    fn no_such_region(
        &self,
        source: &Identity,
        describing: &str,
        failed: CallError,
        attempt: DeliveryAttempt,
    ) -> Error {
        let has_answered = failed.code.is_some();
        if has_answered || region::is_known(&source.region) || attempt.may_wait(self.aws.now()) {
            return attempting(describing.to_owned())(failed);
        }
        let nearest = region::nearest(&source.region);
        failed.reject(
            &format!("{describing} (AWS has perhaps no such Region; did you mean `{nearest}`?)"),
            "correct the Region and send the message again; if the Region is new, check that it is enabled for this account",
        )
    }

    /// No trusted owner has it. Only the explanation needs to know whether anybody has.
    async fn explain_absence(&self, ec2: &Ec2, source: &Identity, attempt: DeliveryAttempt) -> Result<Found, Error> {
        match self.look_up(ec2, source, None, attempt).await? {
            ImageLookup::Image(image) if image.state != State::Deregistered => {
                if let Err(reason) = selection::is_not_here_already(&image, &source.region, &self.stack()) {
                    return Ok(Found::NotTrusted(reason));
                }
                let owner = image.owner.map_or_else(|| "unknown".to_owned(), |owner| owner.to_string());
                let trusted = self.trusted_owners();
                Ok(Found::NotTrusted(format!("its owner {owner} is not one of SOURCE_OWNERS ({trusted})")))
            }
            ImageLookup::Image(_) => Ok(Found::Gone("the source AMI is deregistered".to_owned())),
            _ => self.not_visible(source, attempt),
        }
    }

    /// A new AMI may be invisible for minutes, and another account may share it only after the event.
    fn not_visible(&self, source: &Identity, attempt: DeliveryAttempt) -> Result<Found, Error> {
        if attempt.may_wait(self.aws.now()) {
            let message = format!("the source AMI {source} is not visible yet");
            return Err(Error::retry(RetryAfter::Seconds, code::IMAGE_NOT_FOUND, message));
        }
        Err(Error::rejected(
            code::IMAGE_NOT_FOUND,
            format!("the source AMI {source} does not exist, or is not visible to this account"),
            "check the image id and its Region, and that its owner shares the AMI with this account; then announce it again",
        ))
    }

    fn trusted_owners(&self) -> String {
        let owners: Vec<&str> = self.settings.sources.owners.iter().map(Owner::as_str).collect();
        owners.join(", ")
    }

    /// The AMIs in `region` that EC2 Image Builder tagged with the ARN of its image. Empty when it made none there.
    pub(super) async fn made_by_image_builder(
        &self,
        region: &Region,
        arn: &str,
        attempt: DeliveryAttempt,
    ) -> Result<Vec<Identity>, StepEnd> {
        selection::region_is_allowed(region, &self.settings).map_err(StepEnd::Ignored)?;
        let stack = self.stack();
        let is_own = *region == stack.region && arn.split(':').nth(4) == stack.account.as_ref().map(AccountId::as_str);
        if is_own {
            return Err(StepEnd::Ignored(format!("Image Builder of this account made {arn} in {region} already")));
        }
        let owners = self.settings.sources.owners_in(region, &stack.region);
        let looking = attempting(format!("looking in {region} for the AMI that Image Builder made as {arn}"));
        let found = self.aws.ec2(region).tagged(tag::IMAGE_BUILDER, arn, &owners).await.map_err(looking)?;
        if !found.is_empty() {
            return Ok(found.into_iter().map(|image| image.identity(region)).collect());
        }
        if attempt.may_wait(self.aws.now()) {
            let message = format!("no AMI in {region} has the tag Ec2ImageBuilderArn={arn} yet");
            return Err(Error::retry(RetryAfter::Seconds, code::IMAGE_NOT_FOUND, message).into());
        }
        Err(StepEnd::Ignored(format!("no AMI of SOURCE_OWNERS in {region} has the tag Ec2ImageBuilderArn={arn}")))
    }

    /// The AMI that an SSM parameter in `region` holds.
    pub(super) async fn held_by_parameter(&self, region: &Region, name: &str) -> Result<Identity, StepEnd> {
        selection::region_is_allowed(region, &self.settings).map_err(StepEnd::Ignored)?;
        let reading = format!("reading the parameter `{name}` in {region}");
        let parameter = match self.aws.parameter_store(region).get(name).await {
            Ok(Some(parameter)) => parameter,
            Ok(None) => {
                return Err(StepEnd::Ignored(format!("the parameter `{name}` in {region} does not exist any more")));
            }
            // It is named by its ARN: it belongs to another account, which has not shared it, or is not one of SenderAccounts.
            Err(failed) if failed.is("AccessDeniedException") && name.starts_with("arn:") => {
                return Err(StepEnd::Ignored(format!(
                    "the function may not read the parameter `{name}` of another account: {}",
                    failed.message
                )));
            }
            Err(failed) => return Err(attempting(reading)(failed).into()),
        };
        match parameter.value.parse() {
            Ok(image) => Ok(Identity { region: region.clone(), image }),
            Err(why) => Err(StepEnd::Ignored(format!("the parameter `{name}` in {region} holds no AMI: {why}"))),
        }
    }
}

/// A source AMI can be copied once it is available.
fn ready(source: &Identity, image: Image) -> Result<Found, Error> {
    let gone = |what: &str| Ok(Found::Gone(format!("the source AMI {what}")));
    match image.state {
        State::Available => Ok(Found::Ready(Box::new(image))),
        State::Pending => Err(Error::retry(
            RetryAfter::Minutes,
            code::INCORRECT_STATE,
            format!("the source AMI {source} is still pending"),
        )),
        State::Disabled => gone("is disabled"),
        State::Deregistered => gone("is deregistered"),
        State::Failed => gone(&format!("failed: {}", image.state_reason.as_deref().unwrap_or("EC2 does not say why"))),
    }
}
