//! The parameters of `CopyImage`, and their rules.

use std::time::Duration;

use crate::aws::ec2::image::Image;
use crate::aws::ec2::name::check_name;
use crate::aws::ec2::parameters::Parameters;
use crate::aws::ec2::tags::{self, TagSpecifications, Tags};
use crate::aws::error::ApiError;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// The parameters, each valid in itself.
pub(super) struct CopyImage<'a> {
    pub(super) name: &'a str,
    pub(super) source_image_id: &'a str,
    pub(super) source_region: &'a str,
    pub(super) description: Option<&'a str>,
    pub(super) client_token: Option<&'a str>,
    pub(super) encrypted: Option<bool>,
    pub(super) kms_key: Option<&'a str>,
    pub(super) copies_tags: bool,
    pub(super) tags: TagSpecifications,
    pub(super) completion_duration: Option<Duration>,
    /// The parameter that names a Local Zone or an Outpost.
    narrower_destination: Option<&'static str>,
}

impl<'a> CopyImage<'a> {
    pub(super) fn read(parameters: &Parameters<'a>) -> Result<Self, ApiError> {
        let request = CopyImage {
            name: parameters.required("Name")?,
            source_image_id: parameters.required("SourceImageId")?,
            source_region: parameters.required("SourceRegion")?,
            description: parameters.text("Description").filter(|text| !text.is_empty()),
            client_token: parameters.text("ClientToken").filter(|text| !text.is_empty()),
            encrypted: parameters.flag("Encrypted")?,
            kms_key: parameters.text("KmsKeyId").filter(|text| !text.is_empty()),
            copies_tags: parameters.flag("CopyImageTags")?.unwrap_or(false),
            tags: TagSpecifications::read(parameters)?,
            narrower_destination: narrower_destination(parameters)?,
            completion_duration: completion_duration(parameters)?,
        };
        check_name(request.name)?;
        if request.description.is_some_and(|text| text.chars().count() > 255) {
            return Err(ApiError::invalid_value("Description exceeds the maximum length of 255 characters"));
        }
        if request.client_token.is_some_and(|token| token.len() > 128 || !token.is_ascii()) {
            return Err(ApiError::invalid_value(
                "The value for ClientToken is invalid: it must have at most 128 ASCII characters",
            ));
        }
        Ok(request)
    }

    /// A copy to a Local Zone or an Outpost comes from the Region that it belongs to (documented for Local Zones; it follows
    /// for Outposts. The code is assumed). <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>
    pub(super) fn check_destination(&self, caller: &Caller) -> Result<(), ApiError> {
        match self.narrower_destination {
            Some(name) if self.source_region != caller.region => Err(ApiError::client(
                "InvalidParameterCombination",
                format!(
                    "The parameter {name} requires that SourceRegion is {}, the Region of the request",
                    caller.region
                ),
            )),
            _ => Ok(()),
        }
    }

    /// EC2 accepts a key only for a copy that is encrypted by the request or by the account's default.
    pub(super) fn check_key_needs_encryption(&self, world: &World, caller: &Caller) -> Result<(), ApiError> {
        let by_default = world.behaviour.encryption_by_default.contains(&caller.region);
        if self.kms_key.is_some() && !self.encrypted.unwrap_or(by_default) {
            return Err(ApiError::client(
                "InvalidParameterDependency",
                "The parameter KmsKeyId requires the parameter Encrypted to be set.",
            ));
        }
        Ok(())
    }

    /// # Errors
    /// `InvalidKmsKeyId.NotFound`, if EC2 notices a key that cannot be used at once.
    pub(super) fn check_key_exists(&self, world: &World, caller: &Caller) -> Result<(), ApiError> {
        match self.kms_key.filter(|_| world.behaviour.copy_image_checks_keys) {
            Some(key) if world.usable_key(key, &caller.region, &caller.account).is_none() => {
                Err(ApiError::client("InvalidKmsKeyId.NotFound", format!("The key '{key}' does not exist")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_encryption(&self, source: &Image) -> Result<(), ApiError> {
        if self.encrypted == Some(false) && source.snapshots.iter().any(|snapshot| snapshot.encrypted) {
            return Err(ApiError::client(
                "InvalidRequest",
                "You cannot create an unencrypted copy of an encrypted snapshot.",
            ));
        }
        Ok(())
    }

    /// The tags of the request, and the source's user tags if the request asks for them and the caller owns the source. Tags of
    /// the request win.
    pub(super) fn tags_for_image(&self, world: &World, caller: &Caller, source: &Image) -> Result<Tags, ApiError> {
        let mut merged = Tags::new();
        if world.behaviour.copies_have_shared_tags {
            let shared = source.tags.iter().filter(|(key, _)| tags::is_shared(key));
            merged.extend(shared.map(|(key, value)| (key.clone(), value.clone())));
        }
        if self.copies_tags && source.owner == caller.account {
            let of_user = source.tags.iter().filter(|(key, _)| tags::is_user_key(key));
            merged.extend(of_user.map(|(key, value)| (key.clone(), value.clone())));
        }
        merged.extend(self.tags.image.clone());
        tags::check_limit(&merged)?;
        Ok(merged)
    }
}

/// At most one.
fn narrower_destination(parameters: &Parameters<'_>) -> Result<Option<&'static str>, ApiError> {
    let destinations: Vec<&'static str> =
        ["DestinationAvailabilityZone", "DestinationAvailabilityZoneId", "DestinationOutpostArn"]
            .into_iter()
            .filter(|name| parameters.text(name).is_some_and(|text| !text.is_empty()))
            .collect();
    if destinations.len() > 1 {
        return Err(ApiError::client(
            "InvalidParameterCombination",
            format!("The parameters {} cannot be used together", destinations.join(" and ")),
        ));
    }
    Ok(destinations.first().copied())
}

/// None together with a Local Zone or an Outpost.
fn completion_duration(parameters: &Parameters<'_>) -> Result<Option<Duration>, ApiError> {
    let Some(minutes) = parameters.integer("SnapshotCopyCompletionDurationMinutes")? else {
        return Ok(None);
    };
    if let Some(destination) = narrower_destination(parameters)? {
        return Err(ApiError::client(
            "InvalidParameterCombination",
            format!("SnapshotCopyCompletionDurationMinutes cannot be used with {destination}"),
        ));
    }
    match u64::try_from(minutes) {
        Ok(minutes @ 15..=2880) if minutes % 15 == 0 => Ok(Some(Duration::from_secs(minutes * 60))),
        _ => Err(ApiError::invalid_value(format!(
            "Value ({minutes}) for parameter SnapshotCopyCompletionDurationMinutes is invalid. \
             It must be a multiple of 15 from 15 to 2880."
        ))),
    }
}
