//! Publish: an SSM parameter holds the newest copy, and never goes back.
//!
//! "Newest" is by the *source's* creation: two copies may finish in the wrong order. SSM has no conditional write, and it
//! accepts an AMI only after a check whose result the writer does not get. But it counts versions, and keeps them. So after
//! a write, the courier looks until the parameter has a new version, and compares what it overwrote without having seen it.

use std::time::Duration;

use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{Identity, ImageId};
use courier_core::image::{Image, State, tag};
use courier_core::naming::Template;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::stack::Courier;
use crate::aws::error::When;
use crate::aws::parameter_store::{IMAGE, Parameter, ParameterStore};

/// How new a copy is: by its source's creation; a copy whose source is gone is older than any other, and counts by its own
/// creation. The id decides between equals.
type Newness = (Option<OffsetDateTime>, Option<OffsetDateTime>, ImageId);

/// The publication of one copy.
pub(super) struct Publish<'a> {
    pub(super) courier: &'a Courier,
    pub(super) copy: &'a Image,
    pub(super) source: &'a Identity,
    pub(super) source_image: Option<&'a Image>,
}

impl Publish<'_> {
    pub(super) async fn run(&self, template: &Template) -> Result<(), Error> {
        let name = self.parameter_name(template)?;
        let store = self.courier.aws.parameter_store(&self.courier.settings.stack_region);
        let created = self.source_image.and_then(|source| source.created);
        let mut newest: Newness = (created, self.copy.created, self.copy.id.clone());
        let mut compared = None;
        let mut current = read(&store, &name).await?;
        if let Some(current) = &current {
            can_hold_an_ami(current, &name, self.copy, &store)?;
        }
        // Another round is needed only when another writer comes between this read and this write, so the loop ends.
        loop {
            for other in others(&store, &name, current.clone(), compared, &newest.2).await? {
                newest = newest.max(self.newness_of(other).await?);
            }
            if current.as_ref().is_some_and(|current| current.value == newest.2.as_str()) {
                return Ok(());
            }
            let seen = current.map_or(0, |current| current.version);
            compared = Some(seen);
            let put = store.put_image(&name, &newest.2).await;
            put.when(format_args!("writing {} to the parameter `{name}` in {}", newest.2, store.region))?;
            current = Some(new_version(&store, &name, seen, &newest.2).await?);
        }
    }

    /// The parameter's name for the copy of this source. If the source is gone, its copy still has its name and tags, as far as
    /// `COPY_NAME` and `COPY_TAGS` carried them over.
    fn parameter_name(&self, template: &Template) -> Result<String, Error> {
        let Self { copy, source, .. } = self;
        let owner = copy.tags.get(tag::SOURCE_OWNER).and_then(|owner| owner.parse().ok());
        let remembered = || Image { id: source.image.clone(), owner, created: None, ..(*copy).clone() };
        let facts = self.source_image.cloned().unwrap_or_else(remembered);
        template.fill(&facts, &source.region).map_err(|missing| {
            Error::rejected(
                code::VALIDATION,
                format!("PARAMETER_NAME cannot be filled in for the copy {} of {source}: {missing}", copy.id),
                "tag the source AMI or change PARAMETER_NAME, then send the message again",
            )
        })
    }

    /// For a copy, when its source was created; for any other AMI, when it was created itself. An AMI that cannot be launched
    /// is older than any other.
    async fn newness_of(&self, holder: ImageId) -> Result<Newness, Error> {
        let ec2 = self.courier.local_ec2();
        let found = ec2.image(&holder, None).await;
        let found = found.when(format_args!("describing {holder} in {}, which the parameter holds", ec2.region))?;
        let Some(image) = found.filter(|image| image.state == State::Available) else {
            return Ok((None, None, holder));
        };
        let Some(source) = image.courier_source() else { return Ok((image.created, image.created, holder)) };
        let found = self.courier.aws.ec2(&source.region).image(&source.image, None).await;
        let source = found.when(format_args!("describing {source}, the source of {holder}"))?;
        Ok((source.and_then(|source| source.created), image.created, holder))
    }
}

/// Parameter Store refuses an AMI in a parameter of another data type, with a code that is not documented.
fn can_hold_an_ami(parameter: &Parameter, name: &str, copy: &Image, store: &ParameterStore) -> Result<(), Error> {
    if parameter.data_type == IMAGE {
        return Ok(());
    }
    Err(Error::rejected(
        code::VALIDATION,
        format!(
            "the parameter `{name}` in {} cannot hold the copy {}: its data type is `{}`, and Parameter Store cannot change it to `{IMAGE}`",
            store.region, copy.id, parameter.data_type
        ),
        "delete the parameter, or set PARAMETER_NAME to another name; then send the message again",
    ))
}

async fn read(store: &ParameterStore, name: &str) -> Result<Option<Parameter>, Error> {
    store.get(name).await.when(format_args!("reading the parameter `{name}` in {}", store.region))
}

/// The AMIs other than `ours` that the parameter held, of the versions from `at` back to, not including, `compared`: each may
/// have been overwritten by a writer that did not see it. At the first look (`compared` is `None`) only the last one counts; before
/// a version of ours there may be one that was overwritten in a delivery that was cut short.
async fn others(
    store: &ParameterStore,
    name: &str,
    mut at: Option<Parameter>,
    compared: Option<i64>,
    ours: &ImageId,
) -> Result<Vec<ImageId>, Error> {
    let last = compared.unwrap_or(0);
    let mut others = Vec::new();
    while let Some(Parameter { value, version, .. }) = at
        && version > last
    {
        if value != ours.as_str() {
            others.extend(value.parse());
            if compared.is_none() {
                break;
            }
        }
        let before = version - 1;
        at = if before > last { read(store, &format!("{name}:{before}")).await? } else { None };
    }
    Ok(others)
}

/// The parameter, once it has a version after `seen`.
async fn new_version(store: &ParameterStore, name: &str, seen: i64, image: &ImageId) -> Result<Parameter, Error> {
    /// SSM usually needs a moment.
    const PAUSES: [Duration; 4] =
        [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
    let mut pauses = PAUSES.iter();
    loop {
        match (read(store, name).await?, pauses.next()) {
            (Some(parameter), _) if parameter.version > seen => return Ok(parameter),
            (_, Some(pause)) => sleep(*pause).await,
            (_, None) => {
                let message = format!(
                    "the parameter `{name}` in {} does not hold {image} yet: Parameter Store is still checking it, or it refuses the AMI \
                     and says why only in an event `Parameter Store Change` (the function's role needs ec2:DescribeImages)",
                    store.region
                );
                return Err(Error::retry(RetryAfter::Seconds, code::PARAMETER_NOT_TAKEN, message));
            }
        }
    }
}
