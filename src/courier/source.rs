//! Finding the source AMI: the one place where its owner is checked, by EC2 itself.

use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{AccountId, Identity, Region};
use courier_core::image::{Image, State, tag};
use courier_core::list::{self, Choice, Seen};
use courier_core::settings::{Owner, Settings};
use courier_core::{region, selection};
use futures_util::future::try_join_all;

use super::stack::{Courier, Delivery, Stop};
use crate::aws::error::{CallError, When};
use crate::aws::parameter_store::IMAGE;

/// The search for source AMIs that a message names.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) courier: &'a Courier,
    pub(super) delivery: &'a Delivery<'a>,
}

impl Search<'_> {
    /// Looks for the source AMI among those of `owners`.
    pub(super) async fn find(&self, source: &Identity, owners: &[Owner]) -> Result<Image, Stop> {
        if let Some(image) = self.look_up(source, Some(owners)).await? {
            return ready(source, image);
        }
        // Only the explanation needs to know whether anybody has it.
        Err(match self.why_not_of(source).await? {
            Some(reason) => Stop::Unfit(code::SOURCE_NOT_ALLOWED, reason),
            None => self.not_visible(source).into(),
        })
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

    /// Why an AMI is not one of the trusted owners'. `None` if it is one, or not visible: then it may be visible later.
    async fn why_not_of(&self, source: &Identity) -> Result<Option<String>, Error> {
        let Some(image) = self.look_up(source, None).await? else { return Ok(None) };
        if let Err(reason) = selection::is_not_here_already(&image, &source.region, self.delivery.stack) {
            return Ok(Some(reason));
        }
        // The look before was too early, or EC2 does not show again what it showed.
        let Settings { sources, stack_region, .. } = &self.courier.settings;
        let owners = sources.owners_in(&source.region, stack_region);
        let own = self.delivery.stack.account.as_ref();
        if image.owner.as_ref().is_some_and(|owner| owners.iter().any(|trusted| trusted.is(owner, own))) {
            return Ok(None);
        }
        let owner = image.owner.map_or_else(|| "unknown".to_owned(), |owner| owner.to_string());
        let trusted: Vec<&str> = sources.owners.iter().map(Owner::as_str).collect();
        Ok(Some(format!("its owner {owner} is not one of SOURCE_OWNERS ({})", trusted.join(", "))))
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

    /// Which AMI of a list is copied: one that has a copy already, else the one that [`list`] chooses.
    pub(super) async fn one_of(&self, images: &[Identity]) -> Result<Identity, Stop> {
        let Settings { sources, stack_region, .. } = &self.courier.settings;
        let ec2 = self.courier.local_ec2();
        let looked_at = images.iter().map(async |ami| {
            let copies = ec2.copies_of(ami).await;
            let copies = copies.when(format_args!("looking for copies of {ami} in {}", ec2.region))?;
            let owners = sources.owners_in(&ami.region, stack_region);
            let is_copied = copies.iter().any(|copy| copy.state.is_live());
            let seen = if is_copied { None } else { Some(self.seen(ami, &owners).await?) };
            Ok::<_, Stop>((ami.clone(), seen))
        });
        let mut list = Vec::new();
        for (ami, seen) in try_join_all(looked_at).await? {
            // The step of the copy finds it, and answers with it.
            let Some(seen) = seen else { return Ok(ami) };
            list.push((ami, seen));
        }
        let now = self.courier.aws.now();
        let is_young = self.delivery.queued.is_some_and(|queued| now - queued.sent_at < list::PASSED_OVER_AFTER);
        let not_visible = |reasons: String| {
            let message = format!("no AMI of the list can be copied: {reasons}");
            if self.delivery.may_wait(now) {
                return Error::retry(RetryAfter::Minutes, code::IMAGE_NOT_FOUND, message);
            }
            let advice = "check the ids and their Regions, that their owners share them with this account, and SOURCE_OWNERS; then announce \
                          the list again";
            Error::rejected(code::IMAGE_NOT_FOUND, message, advice)
        };
        match list::choose(&list, is_young) {
            Choice::Take(place) => Ok(list.swap_remove(place).0),
            Choice::Wait(reasons) => Err(not_visible(reasons).into()),
            Choice::Nothing(reasons) => Err(Stop::Ignored(reasons)),
        }
    }

    /// What an AMI of a list looks like.
    async fn seen(&self, ami: &Identity, owners: &[Owner]) -> Result<Seen, Stop> {
        Ok(match self.look_up(ami, Some(owners)).await? {
            Some(image) if image.state.is_live() && image.state != State::Disabled => Seen::Visible(Box::new(image)),
            Some(image) => match ready(ami, image) {
                Ok(image) => Seen::Visible(Box::new(image)),
                Err(Stop::Unfit(_, reason)) => Seen::Refused(reason),
                Err(stop) => return Err(stop),
            },
            None => match self.why_not_of(ami).await? {
                Some(reason) => Seen::Refused(reason),
                None => Seen::NotVisible("it does not exist, or is not visible to this account".to_owned()),
            },
        })
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
fn ready(source: &Identity, image: Image) -> Result<Image, Stop> {
    let gone = |what: &str| Err(Stop::Unfit(code::IMAGE_UNAVAILABLE, format!("the source AMI {what}")));
    match image.state {
        State::Available => Ok(image),
        State::Pending => {
            let message = format!("the source AMI {source} is still pending");
            Err(Error::retry(RetryAfter::Minutes, code::INCORRECT_STATE, message).into())
        }
        State::Disabled => gone("is disabled"),
        State::Deregistered => gone("is deregistered"),
        State::Failed => gone(&format!("failed: {}", image.state_reason.as_deref().unwrap_or("EC2 does not say why"))),
    }
}
