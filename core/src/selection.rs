//! Whether a source AMI is wanted here, and if not, which rule decides so.
//!
//! Whether its *owner* is trusted is decided elsewhere: the courier asks EC2 for the AMI with `SOURCE_OWNERS` as a filter, so
//! no message can change that limit.

use time::{Duration, OffsetDateTime};

use crate::announcement::{AnnouncedBy, CopyRequest};
use crate::copy_image::Destination;
use crate::identity::{AccountId, Region, Stack};
use crate::image::{Image, tag};
use crate::origin::Origin;
use crate::settings::{ImageBuilder, Requests, Settings, Sources, TagRule};

/// Whether AMIs may come from this Region. This limit holds for requests too.
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

/// Whether an *announced* AMI is wanted.
pub fn is_wanted(source: &Image, region: &Region, announced_by: AnnouncedBy, sources: &Sources) -> Result<(), String> {
    may_be_copied(source)?;
    if let Some(copied_from) = source.tags.get(tag::SOURCE_IMAGE) {
        return Err(format!("it is itself a copy, of {copied_from} (tag `{}`)", tag::SOURCE_IMAGE));
    }
    is_selected(source, sources)?;
    let knows_of_tests = matches!(announced_by, AnnouncedBy::ImageBuilder | AnnouncedBy::Publisher);
    if sources.image_builder == ImageBuilder::Tested && !knows_of_tests && may_be_untested(source, region) {
        return Err("EC2 Image Builder made it and has not reported yet that its tests passed (IMAGE_BUILDER=Tested)"
            .to_owned());
    }
    Ok(())
}

/// Whether the settings select an AMI, by its name, its tags and its watermarks. With `REQUESTS=Selected`, requests must pass this as
/// well. They need not wait for Image Builder's tests: a request is the repair of a lost report of these.
pub fn is_selected(source: &Image, sources: &Sources) -> Result<(), String> {
    is_no_backup(source, sources)?;
    let Image { name, .. } = source;
    if !sources.name_patterns.iter().any(|pattern| pattern.matches(name)) {
        let patterns = joined(sources.name_patterns.iter().map(|pattern| format!("`{pattern}`")));
        return Err(format!("name `{name}` matches none of {patterns}"));
    }
    if let Some(pattern) = sources.excluded_names.iter().find(|pattern| pattern.matches(name)) {
        return Err(format!("name `{name}` matches `{pattern}`, which NAME_PATTERNS excludes"));
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
    let has = |rule: &&TagRule| {
        let value = source.tag(&rule.key);
        value.is_some_and(|value| rule.value.as_ref().is_none_or(|excluded| excluded == value))
    };
    if let Some(excluded) = sources.excluded_tags.iter().find(has) {
        return Err(format!("it has the tag `{excluded}`, which REQUIRED_TAGS excludes"));
    }
    if let Some(missing) = sources.required_watermarks.iter().find(|required| !source.watermarks.contains(*required)) {
        return Err(format!("it has no watermark `{missing}`, which REQUIRED_WATERMARKS asks for"));
    }
    Ok(())
}

/// Whether the selection can depend on the tag with this key.
pub fn depends_on(key: &str, sources: &Sources) -> bool {
    let key = key.strip_prefix(tag::SHARED).unwrap_or(key);
    key == tag::SKIP || sources.required_tags.iter().chain(&sources.excluded_tags).any(|rule| rule.key == key)
}

/// Whether a sweep announces an AMI for as long as it has no live copy: not only now, but for a day from now at least.
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

/// AWS Backup and Data Lifecycle Manager make AMIs of instances, mostly each day, to restore them. They are this account's own. Tags tell
/// them apart, as users report: nobody else can set a tag that begins with `aws:`. Of another account's, only the name is visible.
fn is_no_backup(source: &Image, sources: &Sources) -> Result<(), String> {
    const TAGS: [(&str, &str); 2] = [("aws:backup:", "AWS Backup"), ("aws:dlm:", "Data Lifecycle Manager")];
    const NAME: &str = "AwsBackup_";
    let of_backup = |key: &str| TAGS.iter().find(|(prefix, _)| key.starts_with(prefix)).map(|(_, service)| *service);
    if sources.required_tags.iter().any(|required| of_backup(&required.key).is_some()) {
        return Ok(());
    }
    let tagged = source.tags.keys().find_map(|key| Some((of_backup(key)?, format!("tag `{key}`"))));
    let named = || source.name.starts_with(NAME).then(|| ("AWS Backup", format!("name `{}`", source.name)));
    tagged.or_else(named).map_or(Ok(()), |(service, sign)| {
        Err(format!("it is a backup of {service} ({sign}); to copy backups, name their tag in REQUIRED_TAGS"))
    })
}

/// Image Builder distributes an AMI to other Regions and accounts only after its tests passed; the ARN in its tag names the
/// Region and the account of the pipeline.
/// <https://docs.aws.amazon.com/imagebuilder/latest/userguide/manage-distribution-settings.html>
fn may_be_untested(source: &Image, region: &Region) -> bool {
    let Some(arn) = source.tag(tag::IMAGE_BUILDER) else { return false };
    let (of_pipeline, account) = (arn.split(':').nth(3), arn.split(':').nth(4));
    let is_distributed = of_pipeline.is_some_and(|of_pipeline| of_pipeline != region.as_str())
        || account
            .zip(source.owner.as_ref())
            .is_some_and(|(account, owner)| is_account(account) && account != owner.as_str());
    !is_distributed
}

fn is_account(text: &str) -> bool {
    text.parse::<AccountId>().is_ok()
}

/// Whether a request that EC2 has not accepted yet may have its copy: the rule of `REQUESTS`. Only a new copy is asked about; what EC2 has
/// accepted goes on.
pub fn gate(source: &Image, settings: &Settings) -> Result<(), String> {
    match settings.requests {
        Requests::Any => Ok(()),
        Requests::Off => Err("this stack carries out no requests (REQUESTS=Off)".to_owned()),
        Requests::Selected => is_selected(source, &settings.sources)
            .map_err(|rule| format!("{rule}; requests must pass the selection (REQUESTS=Selected)")),
    }
}

/// Whether an AMI may be copied at all. These rules hold for requests too: the owner allows it, and the function's role can do
/// it. A copy of an S3-backed AMI needs access to S3 buckets that the stack does not give.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/copy-ami-permissions.html>
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
