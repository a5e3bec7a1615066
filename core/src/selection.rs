//! Whether a source AMI is wanted here, and if not, which rule decides so.
//!
//! Whether its *owner* is trusted is decided elsewhere: the courier asks EC2 for the AMI with `SOURCE_OWNERS` as a filter, so
//! no message can change that limit.

use time::{Duration, OffsetDateTime};

use crate::announcement::{AnnouncedBy, CopyRequest};
use crate::copy_image::Destination;
use crate::identity::{Identity, Region, Stack};
use crate::image::{Image, tag};
use crate::origin::Origin;
use crate::settings::{ImageBuilder, Settings, Sources};

/// Whether AMIs may come from this Region. This limit holds for requests too.
///
/// # Errors
/// The rule, and the value that breaks it.
pub fn region_is_allowed(region: &Region, settings: &Settings) -> Result<(), String> {
    let stack_region = &settings.stack_region;
    if region.partition() != stack_region.partition() {
        return Err(format!(
            "{region} is in the partition {}, and this stack's {stack_region} is in {}: CopyImage cannot copy from one partition to another",
            region.partition(),
            stack_region.partition()
        ));
    }
    let allowed = &settings.sources.regions;
    match allowed.as_slice() {
        [] if region == stack_region => Err(format!("{region} is this stack's own Region")),
        [] => Ok(()),
        _ if allowed.contains(region) => Ok(()),
        _ => Err(format!("{region} is not one of SOURCE_REGIONS ({})", joined(allowed.iter()))),
    }
}

/// Whether a request may copy from this Region. A copy into a Local Zone or onto an Outpost comes from the Region that it belongs
/// to, which is this stack's own.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html>
///
/// # Errors
/// The rule, and the value that breaks it.
pub fn request_is_allowed(request: &CopyRequest, settings: &Settings) -> Result<(), String> {
    let region = &request.source.region;
    match &request.destination {
        None | Some(Destination::Region { .. }) => region_is_allowed(region, settings),
        Some(_) if *region == settings.stack_region => Ok(()),
        Some(_) => Err(format!(
            "EC2 copies to a Local Zone or an Outpost from its own Region only, here {}, and the request names {region}; copy the AMI \
             to {} first",
            settings.stack_region, settings.stack_region
        )),
    }
}

/// Whether an AMI comes from elsewhere: from another Region or another account, and not from here in the first place.
///
/// # Errors
/// The rule.
pub fn comes_from_elsewhere(source: &Image, region: &Region, stack: &Stack) -> Result<(), String> {
    is_not_here_already(source, region, stack)?;
    match Origin::handed_on(source) {
        Some(origin) if stack.account.as_ref() == Some(&origin.account) => {
            Err(format!("it comes from this account: its origin is {} (tag `{}`)", origin.ami, tag::ORIGIN))
        }
        _ => Ok(()),
    }
}

/// # Errors
/// For an AMI of this account in this Region.
pub fn is_not_here_already(source: &Image, region: &Region, stack: &Stack) -> Result<(), String> {
    if *region == stack.region && source.owner.is_some() && source.owner == stack.account {
        return Err(format!("it is in {region} already, and belongs to this account"));
    }
    Ok(())
}

/// The AMI to copy, of one build that has an AMI in several Regions: the first whose Region is allowed.
///
/// # Errors
/// Why none is allowed.
pub fn first_allowed<'a>(images: &'a [Identity], settings: &Settings) -> Result<&'a Identity, String> {
    let mut why = String::new();
    for image in images {
        match region_is_allowed(&image.region, settings) {
            Ok(()) => return Ok(image),
            Err(refusal) if why.is_empty() => why = refusal,
            Err(refusal) => why = format!("{why}; {refusal}"),
        }
    }
    Err(why)
}

/// Whether an *announced* AMI is wanted. These rules are not for requests, which name the AMI that they want.
///
/// # Errors
/// The rule, and the value that breaks it.
pub fn is_wanted(source: &Image, region: &Region, announced_by: AnnouncedBy, sources: &Sources) -> Result<(), String> {
    may_be_copied(source)?;
    if let Some(copied_from) = source.tags.get(tag::SOURCE_IMAGE) {
        return Err(format!("it is itself a copy, of {copied_from} (tag `{}`)", tag::SOURCE_IMAGE));
    }
    if !sources.name_patterns.iter().any(|pattern| pattern.matches(&source.name)) {
        let patterns = joined(sources.name_patterns.iter().map(|pattern| format!("`{pattern}`")));
        return Err(format!("name `{}` matches none of {patterns}", source.name));
    }
    for required in &sources.required_tags {
        let has = source.tag(&required.key);
        match (has, &required.value) {
            (None, _) => return Err(format!("it has no tag `{}`, which REQUIRED_TAGS asks for", required.key)),
            (Some(has), Some(value)) if has != value => {
                return Err(format!("tag `{}` is `{has}`, REQUIRED_TAGS asks for `{value}`", required.key));
            }
            _ => {}
        }
    }
    if let Some(missing) = sources.required_watermarks.iter().find(|required| !source.watermarks.contains(*required)) {
        return Err(format!("it has no watermark `{missing}`, which REQUIRED_WATERMARKS asks for"));
    }
    let knows_of_tests = matches!(announced_by, AnnouncedBy::ImageBuilder | AnnouncedBy::Publisher);
    if sources.image_builder == ImageBuilder::Tested && !knows_of_tests && may_be_untested(source, region) {
        return Err("EC2 Image Builder made it and has not reported yet that its tests passed (IMAGE_BUILDER=Tested)"
            .to_owned());
    }
    Ok(())
}

/// Whether a sweep announces an AMI for as long as it has no live copy: not only now, but for a day from now at least.
#[must_use]
pub fn is_swept(source: &Image, region: &Region, now: OffsetDateTime, stack: &Stack, settings: &Settings) -> bool {
    const LEFT_AT_LEAST: Duration = Duration::DAY;
    let since = now - Duration::days(settings.backfill_days.into());
    settings.sweeps
        && settings.queue_url.is_some()
        && settings.sources.regions.contains(region)
        && source.created.is_none_or(|created| created - LEFT_AT_LEAST >= since)
        && comes_from_elsewhere(source, region, stack).is_ok()
        && is_wanted(source, region, AnnouncedBy::Sweep, &settings.sources).is_ok()
}

/// Image Builder distributes an AMI to other Regions only after its tests passed; the ARN in its tag names the Region of
/// the pipeline. <https://docs.aws.amazon.com/imagebuilder/latest/userguide/manage-distribution-settings.html>
fn may_be_untested(source: &Image, region: &Region) -> bool {
    let arn = source.tag(tag::IMAGE_BUILDER);
    arn.is_some_and(|arn| arn.split(':').nth(3).is_none_or(|of_pipeline| of_pipeline == region.as_str()))
}

/// Whether an AMI may be copied at all. These rules hold for requests too: the owner allows it, and the function's role can do
/// it. A copy of an S3-backed AMI needs access to S3 buckets that the stack does not give.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/copy-ami-permissions.html>
///
/// # Errors
/// The rule.
pub fn may_be_copied(source: &Image) -> Result<(), String> {
    if source.tag(tag::SKIP).is_some() {
        return Err(format!("it has the tag `{}`", tag::SKIP));
    }
    if source.s3_backed {
        return Err(
            "it is S3-backed (its root volume is an instance store), and this stack copies EBS-backed AMIs only"
                .to_owned(),
        );
    }
    Ok(())
}

fn joined(items: impl Iterator<Item = impl ToString>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
