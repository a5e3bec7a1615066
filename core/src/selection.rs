//! Whether a source AMI is wanted here, and if not, which rule decides so.
//!
//! Whether its *owner* is trusted is decided elsewhere: the courier asks EC2 for the AMI with `SOURCE_OWNERS` as a filter, so
//! no message can change that limit.

use crate::announcement::AnnouncedBy;
use crate::identity::{Identity, Region};
use crate::image::{Image, tag};
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
    if let Some(origin) = source.tags.get(tag::SOURCE_IMAGE) {
        return Err(format!("it is itself a copy, of {origin} (tag `{}`)", tag::SOURCE_IMAGE));
    }
    if !sources.name_patterns.iter().any(|pattern| pattern.matches(&source.name)) {
        let patterns = joined(sources.name_patterns.iter().map(|pattern| format!("`{pattern}`")));
        return Err(format!("name `{}` matches none of {patterns}", source.name));
    }
    for required in &sources.required_tags {
        let has = source.tags.get(&required.key);
        match (has, &required.value) {
            (None, _) => return Err(format!("it has no tag `{}`, which REQUIRED_TAGS asks for", required.key)),
            (Some(has), Some(value)) if has != value => {
                return Err(format!("tag `{}` is `{has}`, REQUIRED_TAGS asks for `{value}`", required.key));
            }
            _ => {}
        }
    }
    let knows_of_tests = matches!(announced_by, AnnouncedBy::ImageBuilder | AnnouncedBy::Publisher);
    if sources.image_builder == ImageBuilder::Tested && !knows_of_tests && may_be_untested(source, region) {
        return Err("EC2 Image Builder made it and has not reported yet that its tests passed (IMAGE_BUILDER=Tested)"
            .to_owned());
    }
    Ok(())
}

/// Image Builder distributes an AMI to other Regions only after its tests passed; the ARN in its tag names the Region of
/// the pipeline. <https://docs.aws.amazon.com/imagebuilder/latest/userguide/manage-distribution-settings.html>
fn may_be_untested(source: &Image, region: &Region) -> bool {
    let arn = source.tags.get(tag::IMAGE_BUILDER);
    arn.is_some_and(|arn| arn.split(':').nth(3).is_none_or(|of_pipeline| of_pipeline == region.as_str()))
}

/// Whether an AMI may be copied at all. These rules hold for requests too: the owner allows it, and the function's role can do
/// it. A copy of an S3-backed AMI needs access to S3 buckets that the stack does not give.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/copy-ami-permissions.html>
///
/// # Errors
/// The rule.
pub fn may_be_copied(source: &Image) -> Result<(), String> {
    if source.tags.contains_key(tag::SKIP) {
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
