//! `DescribeImages`: by id, by source, by name, by tag, and page by page.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{DeviceType, Filter, Image as Ec2Image, ImageState, ImdsSupportValues};
use courier_core::error::code;
use courier_core::identity::{Identity, ImageId, ParameterName};
use courier_core::image::{Image, State, Volume, tag};
use courier_core::origin::Origin;
use courier_core::settings::{Owner, Sources};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::client::{Ec2, filter};
use crate::aws::error::{CallError, failed};

impl Ec2 {
    /// The AMI with this id; with `owners`, only if it belongs to one of them. `None` proves nothing: EC2 answers so for an AMI that is
    /// new, gone, or not shared with this account. A deregistered one is returned for a short while; then the answer is empty, in the
    /// end `NotFound`.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>
    ///
    /// # Errors
    /// Any failure that is not about the AMI itself.
    pub async fn image(&self, id: &ImageId, owners: Option<&[Owner]>) -> Result<Option<Image>, CallError> {
        let owners = owners.map(|owners| owners.iter().map(|owner| owner.as_str().to_owned()).collect());
        let call = self.client.describe_images().image_ids(id.as_str()).set_owners(owners);
        match call.include_disabled(true).include_deprecated(true).send().await.map_err(failed) {
            Ok(found) => Ok(images(found.images()).into_iter().next()),
            Err(absent) if absent.is(code::IMAGE_NOT_FOUND) || absent.is(code::IMAGE_UNAVAILABLE) => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// This account's AMIs that are copies of `source`, in any state, as EC2 records it.
    pub async fn copies_of(&self, source: &Identity) -> Result<Vec<Image>, CallError> {
        let filters = vec![
            filter("source-image-id", [source.image.as_str()]),
            filter("source-image-region", [source.region.as_str()]),
        ];
        let mut copies = self.own_images(filters).await?;
        copies.retain(|copy| copy.is_copy_of(source));
        Ok(copies)
    }

    /// This account's AMIs that have this origin, in any state, as their shared tag says.
    pub async fn of_origin(&self, origin: &Origin) -> Result<Vec<Image>, CallError> {
        self.own_images(vec![filter(&format!("tag:{}", tag::ORIGIN), [origin.to_string().as_str()])]).await
    }

    /// This account's copies of siblings of this origin, in any state, as the courier's tag says.
    pub async fn of_family(&self, origin: &Origin) -> Result<Vec<Image>, CallError> {
        self.own_images(vec![filter(&format!("tag:{}", tag::FAMILY), [origin.to_string().as_str()])]).await
    }

    /// This account's AMIs that may be held by the parameter of this name, as the courier's tag says.
    pub async fn of_parameter(&self, name: &ParameterName) -> Result<Vec<Image>, CallError> {
        self.own_images(vec![filter(&format!("tag:{}", tag::PARAMETER), [escaped(name.as_str()).as_str()])]).await
    }

    /// Those of these AMIs that are visible, of any owner. At most 200 ids; an absent one proves nothing.
    pub async fn visible(&self, ids: &[&ImageId]) -> Result<Vec<Image>, CallError> {
        self.images_of(&[], vec![filter("image-id", ids.iter().map(|id| id.as_str()))]).await
    }

    /// This account's AMIs with exactly this name, in any state. Names of copies are not unique.
    pub async fn named(&self, name: &str) -> Result<Vec<Image>, CallError> {
        self.own_images(vec![filter("name", [name])]).await
    }

    /// Those of these AMIs of `owners` that are visible, in any state. At most 200 ids; an absent one proves nothing. Without owners,
    /// EC2 would search all public AMIs.
    pub async fn of_owners(&self, ids: &[&ImageId], owners: &[Owner]) -> Result<Vec<Image>, CallError> {
        self.images_of(owners, vec![filter("image-id", ids.iter().map(|id| id.as_str()))]).await
    }

    /// The AMIs of `owners` that have this tag.
    pub async fn tagged(&self, key: &str, value: &str, owners: &[Owner]) -> Result<Vec<Image>, CallError> {
        self.images_of(owners, vec![filter(&format!("tag:{key}"), [value])]).await
    }

    async fn own_images(&self, filters: Vec<Filter>) -> Result<Vec<Image>, CallError> {
        self.images_of(&[Owner::Myself], filters).await
    }

    /// All pages: what these filters find is a handful.
    async fn images_of(&self, owners: &[Owner], filters: Vec<Filter>) -> Result<Vec<Image>, CallError> {
        let mut found = Vec::new();
        let mut next = Some(Page::first(owners, filters));
        while let Some(page) = next {
            let images;
            (images, next) = self.page(page).await?;
            found.extend(images);
        }
        Ok(found)
    }

    /// One page of AMIs, and where the next one begins.
    pub async fn page(&self, mut page: Page) -> Result<(Vec<Image>, Option<Page>), CallError> {
        let answer = self
            .client
            .describe_images()
            .set_owners((!page.owners.is_empty()).then(|| page.owners.clone()))
            .include_disabled(true)
            .include_deprecated(true)
            .set_filters(Some(page.filters.clone()))
            .max_results(1000)
            .set_next_token(page.token.take())
            .send()
            .await
            .map_err(failed)?;
        page.token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        Ok((images(answer.images()), page.token.is_some().then_some(page)))
    }
}

/// A page of a search for AMIs. Paged, so that the results need not fit in memory.
pub struct Page {
    owners: Vec<String>,
    filters: Vec<Filter>,
    token: Option<String>,
}

impl Page {
    fn first(owners: &[Owner], filters: Vec<Filter>) -> Self {
        Self { owners: owners.iter().map(|owner| owner.as_str().to_owned()).collect(), filters, token: None }
    }

    /// The available AMIs of `owners` that `sources` could want, created on or after `since`. EC2 filters roughly; selection decides.
    pub fn of_sources(sources: &Sources, owners: &[Owner], since: OffsetDateTime, now: OffsetDateTime) -> Self {
        let patterns: Vec<String> = sources.name_patterns.iter().map(ToString::to_string).collect();
        let mut filters = vec![filter("state", ["available"])];
        let mut days: Vec<String> = Vec::new();
        let mut day = since.date();
        while day <= now.date() && days.len() <= MOST_VALUES {
            days.push(format!("{day}*"));
            let Some(next) = day.next_day() else { break };
            day = next;
        }
        filters.push(filter("creation-date", days.iter().map(String::as_str)));
        if patterns.iter().all(|pattern| pattern != "*") {
            filters.push(filter("name", patterns.iter().map(String::as_str)));
        }
        let is_own = owners == [Owner::Myself];
        for required in &sources.required_tags {
            filters.push(match &required.value {
                Some(value) if is_own => filter(&format!("tag:{}", required.key), [escaped(value).as_str()]),
                // Of other accounts' AMIs, only shared tags are visible.
                _ => filter("tag-key", [required.key.as_str(), format!("{}{}", tag::SHARED, required.key).as_str()]),
            });
        }
        // The values of a filter are alternatives, and all watermarks are required: one must do here.
        if let Some(watermark) = sources.required_watermarks.first() {
            filters.push(filter("image-watermark.watermark-key", [escaped(watermark).as_str()]));
        }
        Self::first(owners, within_limits(filters))
    }

    /// This account's AMIs that were made from another AMI, by anyone. In a filter, `*` stands for any characters.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>
    pub fn of_copies() -> Self {
        Self::first(&[Owner::Myself], vec![filter("source-image-id", ["ami-*"])])
    }
}

/// How many values a call has in its filters. EC2's guide says: in a filter. Its error, as users report it, says: in a call.
pub const MOST_VALUES: usize = 200;

/// As many of these as EC2 takes in a call: 50 filters, of strings up to 255 characters. A filter that is left out selects more.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>
fn within_limits(filters: Vec<Filter>) -> Vec<Filter> {
    let mut room = MOST_VALUES;
    let fits = |filter: &Filter| {
        let values = filter.values();
        let is_short =
            filter.name().into_iter().chain(values.iter().map(String::as_str)).all(|text| text.chars().count() <= 255);
        let fits = is_short && values.len() <= room;
        room -= if fits { values.len() } else { 0 };
        fits
    };
    filters.into_iter().filter(fits).take(50).collect()
}

/// A filter takes `*` and `?` as wildcards: here they are plain text.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?")
}

fn images(found: &[Ec2Image]) -> Vec<Image> {
    found.iter().filter_map(image).collect()
}

/// `None` for an AMI without a readable id, which EC2 never sends.
fn image(seen: &Ec2Image) -> Option<Image> {
    let tags: BTreeMap<String, String> = seen
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
        .collect();
    // CreateImage records the AMI of the instance as well: that is no copy.
    // <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Image.html>
    let is_copy = seen.source_instance_id().is_none() || tags.contains_key(tag::SOURCE_IMAGE);
    let source = seen.source_image_id().zip(seen.source_image_region()).filter(|_| is_copy);
    Some(Image {
        id: seen.image_id()?.parse().ok()?,
        name: seen.name().unwrap_or_default().to_owned(),
        description: seen.description().map(str::to_owned),
        owner: seen.owner_id().and_then(|owner| owner.parse().ok()),
        state: State::from_ec2(seen.state().map_or("pending", ImageState::as_str)),
        state_reason: seen.state_reason().and_then(|reason| reason.message().or(reason.code())).map(str::to_owned),
        created: time(seen.creation_date()),
        deprecated_from: time(seen.deprecation_time()),
        last_launched: time(seen.last_launched_time()),
        protected: seen.deregistration_protection().is_some_and(|protection| protection != "disabled"),
        requires_imds_v2: seen.imds_support() == Some(&ImdsSupportValues::V20),
        is_public: seen.public().unwrap_or_default(),
        tags,
        s3_backed: seen.root_device_type().is_some_and(|kind| *kind == DeviceType::InstanceStore),
        volumes: seen
            .block_device_mappings()
            .iter()
            .filter_map(|device| device.ebs())
            .map(|ebs| Volume {
                snapshot: ebs.snapshot_id().map(str::to_owned),
                encrypted: ebs.encrypted(),
                size_gib: ebs.volume_size().map_or(0, i64::from),
            })
            .collect(),
        source: source
            .and_then(|(image, region)| Some(Identity { image: image.parse().ok()?, region: region.parse().ok()? })),
        watermarks: seen
            .image_watermarks()
            .iter()
            .filter_map(|watermark| watermark.watermark_key())
            .map(str::to_owned)
            .collect(),
    })
}

fn time(text: Option<&str>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text?, &Rfc3339).ok()
}
