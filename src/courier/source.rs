//! Finding the source AMI: the one place where its owner is checked, by EC2 itself.

use super::{Courier, Occasion, PATIENCE, Stop, attempting};
use crate::aws::ec2::Sight;
use courier_core::identity::{Identity, Region};
use courier_core::image::{Image, State, tag};
use courier_core::outcome::{Error, Pace};
use courier_core::selection;

/// What was found in place of a source AMI that can be copied.
pub(super) enum Found {
    Ready(Box<Image>),
    /// It is there, and belongs to nobody in `SOURCE_OWNERS`.
    NotTrusted(String),
    /// It was there.
    Gone(String),
}

impl Courier {
    /// Looks for the source AMI among those of `SOURCE_OWNERS`.
    pub(super) async fn find(&self, source: &Identity, occasion: Occasion) -> Result<Found, Error> {
        let ec2 = self.aws.ec2(&source.region);
        let owners = self.settings.sources.owners.as_slice();
        let looking = || attempting(format!("describing the source AMI {source}"));
        let mut pauses = PATIENCE.iter();
        loop {
            match ec2.image(&source.image, Some(owners)).await.map_err(looking())? {
                Sight::Image(image) => return ready(source, *image),
                // Nobody's, or not of those that are trusted? Only the explanation needs to know.
                Sight::Empty => {
                    return Ok(match ec2.image(&source.image, None).await.map_err(looking())? {
                        Sight::Image(image) if image.state != State::Deregistered => {
                            let owner = image.owner.map_or_else(|| "unknown".to_owned(), |owner| owner.to_string());
                            Found::NotTrusted(format!(
                                "its owner {owner} is none of SOURCE_OWNERS ({})",
                                self.trusted_owners()
                            ))
                        }
                        _ => Found::Gone("the source AMI is deregistered".to_owned()),
                    });
                }
                Sight::Unavailable => return Ok(Found::Gone("the source AMI is not available any more".to_owned())),
                Sight::NotFound => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None if occasion.is_sure() => {
                        return Err(Error::rejected(
                            "InvalidAMIID.NotFound",
                            format!("the source AMI {source} is not there, or not to be seen by this account"),
                            "check the image id and its Region, and that its owner shares the AMI with this account; then announce it again",
                        ));
                    }
                    None => {
                        return Err(Error::retry(
                            Pace::Seconds,
                            "InvalidAMIID.NotFound",
                            format!("the source AMI {source} is not to be seen yet"),
                        ));
                    }
                },
            }
        }
    }

    fn trusted_owners(&self) -> String {
        let owners: Vec<&str> = self.settings.sources.owners.iter().map(courier_core::settings::Owner::as_str).collect();
        owners.join(", ")
    }

    /// The AMIs in `region` that EC2 Image Builder tagged with the ARN of its image. Empty when it made none there.
    pub(super) async fn made_by_image_builder(
        &self,
        region: &Region,
        arn: &str,
        occasion: Occasion,
    ) -> Result<Vec<Identity>, Stop> {
        selection::region_is_allowed(region, &self.settings).map_err(Stop::Ignored)?;
        let ec2 = self.aws.ec2(region);
        let owners = self.settings.sources.owners.as_slice();
        let found = ec2
            .tagged(tag::IMAGE_BUILDER, arn, owners)
            .await
            .map_err(attempting(format!("looking in {region} for the AMI that Image Builder made as {arn}")))?;
        if found.is_empty() && !occasion.is_sure() {
            let words = format!("no AMI in {region} bears the tag Ec2ImageBuilderArn={arn} yet");
            return Err(Error::retry(Pace::Seconds, "InvalidAMIID.NotFound", words).into());
        }
        Ok(found.into_iter().map(|image| image.identity(region)).collect())
    }

    /// The AMI that an SSM parameter in `region` holds.
    pub(super) async fn held_by_parameter(&self, region: &Region, name: &str) -> Result<Identity, Stop> {
        selection::region_is_allowed(region, &self.settings).map_err(Stop::Ignored)?;
        let value = self
            .aws
            .parameter_store(region)
            .get(name)
            .await
            .map_err(attempting(format!("reading the parameter `{name}` in {region}")))?;
        let Some(parameter) = value else {
            return Err(Stop::Ignored(format!("the parameter `{name}` in {region} is gone")));
        };
        match parameter.value.parse() {
            Ok(image) => Ok(Identity { region: region.clone(), image }),
            Err(why) => Err(Stop::Ignored(format!("the parameter `{name}` in {region} holds no AMI: {why}"))),
        }
    }
}

/// A source AMI can be copied once it is available.
fn ready(source: &Identity, image: Image) -> Result<Found, Error> {
    let gone = |what: &str| Ok(Found::Gone(format!("the source AMI {what}")));
    match image.state {
        State::Available => Ok(Found::Ready(Box::new(image))),
        State::Pending => {
            Err(Error::retry(Pace::Minutes, "IncorrectState", format!("the source AMI {source} is still pending")))
        }
        State::Disabled => gone("is disabled"),
        State::Deregistered => gone("is deregistered"),
        State::Failed => gone(&format!("failed: {}", image.state_reason.as_deref().unwrap_or("EC2 does not say why"))),
    }
}
