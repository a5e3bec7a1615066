//! Finding the source AMI: the one place where its owner is checked, by EC2 itself.

use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{AccountId, Identity, Region};
use courier_core::image::{Image, State, tag};
use courier_core::settings::Owner;
use courier_core::{region, selection};

use super::stack::{Courier, Delivery, Stop};
use crate::aws::error::{CallError, When};
use crate::aws::parameter_store::IMAGE;

/// The search for source AMIs that a message names.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) courier: &'a Courier,
    pub(super) delivery: &'a Delivery<'a>,
}

/// Why an AMI that EC2 knows is not the source of a copy: a code, and the reason.
pub(super) type Unfit = (&'static str, String);

impl Search<'_> {
    /// Looks for the source AMI among those of `owners`.
    pub(super) async fn find(&self, source: &Identity, owners: &[Owner]) -> Result<Result<Image, Unfit>, Error> {
        match self.look_up(source, Some(owners)).await? {
            Some(image) => ready(source, image),
            None => self.explain_absence(source).await,
        }
    }

    async fn look_up(&self, source: &Identity, owners: Option<&[Owner]>) -> Result<Option<Image>, Error> {
        let found = self.courier.aws.ec2(&source.region).image(&source.image, owners).await;
        found.map_err(|failed| self.no_such_region(source, failed))
    }

    /// EC2 of a Region that is not known does not answer: after a while it is taken for a Region that does not exist.
    fn no_such_region(&self, source: &Identity, failed: CallError) -> Error {
        let has_answered = failed.code.is_some();
        let describing = format!("describing the source AMI {source}");
        let may_wait = self.delivery.may_wait(self.courier.aws.now());
        if has_answered || region::is_known(&source.region) || may_wait {
            return failed.sorted(describing);
        }
        let nearest = region::nearest(&source.region);
        failed.reject(
            format_args!("{describing} (AWS has perhaps no such Region; did you mean `{nearest}`?)"),
            "correct the Region and send the message again; if the Region is new, check that it is enabled for this account",
        )
    }

    /// No trusted owner has it. Only the explanation needs to know whether anybody has.
    async fn explain_absence(&self, source: &Identity) -> Result<Result<Image, Unfit>, Error> {
        let image = match self.look_up(source, None).await? {
            Some(image) if image.state == State::Deregistered => {
                return Ok(Err((code::IMAGE_UNAVAILABLE, "the source AMI is deregistered".to_owned())));
            }
            Some(image) => image,
            None => return Err(self.not_visible(source)),
        };
        if let Err(reason) = selection::is_not_here_already(&image, &source.region, self.delivery.stack) {
            return Ok(Err((code::SOURCE_NOT_ALLOWED, reason)));
        }
        let owner = image.owner.map_or_else(|| "unknown".to_owned(), |owner| owner.to_string());
        let trusted: Vec<&str> = self.courier.settings.sources.owners.iter().map(Owner::as_str).collect();
        let reason = format!("its owner {owner} is not one of SOURCE_OWNERS ({})", trusted.join(", "));
        Ok(Err((code::SOURCE_NOT_ALLOWED, reason)))
    }

    /// A new AMI may be invisible for minutes, and another account may share it only after the event.
    fn not_visible(&self, source: &Identity) -> Error {
        if self.delivery.may_wait(self.courier.aws.now()) {
            let message = format!("the source AMI {source} is not visible yet");
            return Error::retry(RetryAfter::Seconds, code::IMAGE_NOT_FOUND, message);
        }
        Error::rejected(
            code::IMAGE_NOT_FOUND,
            format!("the source AMI {source} does not exist, or is not visible to this account"),
            "check the image id and its Region, and that its owner shares the AMI with this account; then announce it again",
        )
    }

    /// The AMIs in `region` that EC2 Image Builder tagged with the ARN of its image. Empty when it made none there.
    pub(super) async fn made_by_image_builder(&self, region: &Region, arn: &str) -> Result<Vec<Identity>, Stop> {
        let settings = &self.courier.settings;
        selection::region_is_allowed(region, settings).map_err(Stop::Ignored)?;
        let stack = self.delivery.stack;
        let is_own = *region == stack.region && arn.split(':').nth(4) == stack.account.as_ref().map(AccountId::as_str);
        if is_own {
            return Err(Stop::Ignored(format!("Image Builder of this account made {arn} in {region} already")));
        }
        let owners = settings.sources.owners_in(region, &stack.region);
        let found = self.courier.aws.ec2(region).tagged(tag::IMAGE_BUILDER, arn, &owners).await;
        let found = found.when(format_args!("looking in {region} for the AMI that Image Builder made as {arn}"))?;
        if !found.is_empty() {
            return Ok(found.into_iter().map(|image| image.identity(region)).collect());
        }
        if self.delivery.may_wait(self.courier.aws.now()) {
            let message = format!("no AMI in {region} has the tag Ec2ImageBuilderArn={arn} yet");
            return Err(Error::retry(RetryAfter::Seconds, code::IMAGE_NOT_FOUND, message).into());
        }
        Err(Stop::Ignored(format!("no AMI of SOURCE_OWNERS in {region} has the tag Ec2ImageBuilderArn={arn}")))
    }

    /// The AMI that an SSM parameter in `region` holds.
    pub(super) async fn held_by_parameter(&self, region: &Region, name: &str) -> Result<Identity, Stop> {
        selection::region_is_allowed(region, &self.courier.settings).map_err(Stop::Ignored)?;
        let parameter = match self.courier.aws.parameter_store(region).get(name).await {
            // It is named by its ARN: it belongs to another account, which has not shared it, or is not one of SenderAccounts.
            Err(failed) if failed.is("AccessDeniedException") && name.starts_with("arn:") => {
                let message = failed.message;
                return Err(Stop::Ignored(format!(
                    "the function may not read the parameter `{name}` of another account: {message}"
                )));
            }
            answer => answer.when(format_args!("reading the parameter `{name}` in {region}"))?,
        };
        let Some(parameter) = parameter else {
            return Err(Stop::Ignored(format!("the parameter `{name}` in {region} does not exist any more")));
        };
        // Its value is shown only after this: any other parameter can hold a secret.
        if parameter.data_type != IMAGE {
            return Err(Stop::Ignored(format!(
                "the parameter `{name}` in {region} is of data type `{}`, not `{IMAGE}`",
                parameter.data_type
            )));
        }
        match parameter.value.parse() {
            Ok(image) => Ok(Identity { region: region.clone(), image }),
            Err(why) => Err(Stop::Ignored(format!("the parameter `{name}` in {region} holds no AMI: {why}"))),
        }
    }
}

/// A source AMI can be copied once it is available.
fn ready(source: &Identity, image: Image) -> Result<Result<Image, Unfit>, Error> {
    let gone = |what: &str| Ok(Err((code::IMAGE_UNAVAILABLE, format!("the source AMI {what}"))));
    match image.state {
        State::Available => Ok(Ok(image)),
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
