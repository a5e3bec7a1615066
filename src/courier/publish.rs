//! Publish: an SSM parameter holds the newest copy, and never goes back.
//!
//! "Newest" is by the *source's* creation: two copies may well finish in the wrong order. SSM has no conditional write,
//! and takes an AMI only after a check of which the writer hears nothing. But it counts versions, and keeps them: so after
//! a write we look until the parameter has a new version, and weigh what we have overwritten without having seen it.

use time::OffsetDateTime;
use tokio::time::sleep;

use super::{Courier, PATIENCE, Stop, attempting};
use crate::aws::ParameterStore;
use crate::aws::ec2::Sight;
use crate::aws::parameter_store::Parameter;
use courier_core::identity::{Identity, ImageId};
use courier_core::image::{Image, State, tag};
use courier_core::naming::Template;
use courier_core::outcome::{Error, Pace, Rejection};

/// How new a copy is: by its source's creation; where that is not known any more it is older than any of which it is, and
/// counts by its own creation. The id decides what is left.
type Newness = (Option<OffsetDateTime>, Option<OffsetDateTime>, ImageId);

impl Courier {
    pub(super) async fn publish(
        &self,
        copy: &Image,
        source: &Identity,
        source_image: Option<&Image>,
    ) -> Result<(), Stop> {
        let Some(template) = &self.settings.finishing.parameter_name else { return Ok(()) };
        let name = parameter_name(template, copy, source, source_image)?;
        let store = self.aws.parameter_store(&self.settings.here);
        let mut newest: Newness = (source_image.and_then(|source| source.created), copy.created, copy.id.clone());
        let mut weighed = 0;
        let mut current = read(&store, &name).await?;
        // Each further round takes another writer between our read and our write, so it ends; to stop before would leave
        // what was overwritten to nobody.
        loop {
            if let Some(other) = last_other(&store, &name, current.clone(), weighed, &newest.2).await? {
                newest = newest.max(self.newness_of(other).await?);
            }
            if current.as_ref().is_some_and(|current| current.value == newest.2.as_str()) {
                return Ok(());
            }
            weighed = current.map_or(0, |current| current.version);
            let writing = attempting(format!("writing {} to the parameter `{name}` in {}", newest.2, store.region));
            store.put_image(&name, &newest.2).await.map_err(writing)?;
            current = Some(new_version(&store, &name, weighed, &newest.2).await?);
        }
    }

    /// Of a copy, when its source was created; of any other AMI, when it was itself. What cannot be launched is older than
    /// anything.
    async fn newness_of(&self, holder: ImageId) -> Result<Newness, Error> {
        let here = self.here();
        let looking = attempting(format!("describing {holder} in {}, which the parameter holds", here.region));
        let image = match here.image(&holder, None).await.map_err(looking)? {
            Sight::Image(image) if image.state == State::Available => image,
            _ => return Ok((None, None, holder)),
        };
        let Some(source) = image.courier_source() else { return Ok((image.created, image.created, holder)) };
        let looking = attempting(format!("describing {source}, the source of {holder}"));
        match self.aws.ec2(&source.region).image(&source.image, None).await.map_err(looking)? {
            Sight::Image(source) => Ok((source.created, image.created, holder)),
            Sight::Empty | Sight::Unavailable | Sight::NotFound => Ok((None, image.created, holder)),
        }
    }
}

/// The parameter's name for the copy of this source. A source that is gone cannot tell its name and tags any more; its
/// copy bears them, as far as `COPY_NAME` and `COPY_TAGS` have it.
fn parameter_name(
    template: &Template,
    copy: &Image,
    source: &Identity,
    source_image: Option<&Image>,
) -> Result<String, Rejection> {
    let owner = copy.tags.get(tag::SOURCE_OWNER).and_then(|owner| owner.parse().ok());
    let remembered = || Image { id: source.image.clone(), owner, created: None, ..copy.clone() };
    let facts = source_image.cloned().unwrap_or_else(remembered);
    template.fill(&facts, &source.region).map_err(|missing| {
        Rejection::new(
            "ValidationException",
            format!("PARAMETER_NAME cannot be filled in for the copy {} of {source}: {missing}", copy.id),
            "tag the source AMI or change PARAMETER_NAME, then send the message again",
        )
    })
}

async fn read(store: &ParameterStore, name: &str) -> Result<Option<Parameter>, Error> {
    store.get(name).await.map_err(attempting(format!("reading the parameter `{name}` in {}", store.region)))
}

/// The last AMI other than `ours` that the parameter held, of the versions from `at` back to, not including, `weighed`.
/// Behind a version of ours there may be one that we have overwritten unseen, now or in a try that was cut short.
async fn last_other(
    store: &ParameterStore,
    name: &str,
    mut at: Option<Parameter>,
    weighed: i64,
    ours: &ImageId,
) -> Result<Option<ImageId>, Error> {
    while let Some(Parameter { value, version }) = at
        && version > weighed
    {
        if value != ours.as_str() {
            return Ok(value.parse().ok());
        }
        let before = version - 1;
        at = if before > weighed { read(store, &format!("{name}:{before}")).await? } else { None };
    }
    Ok(None)
}

/// The parameter, once it has a version after `seen`.
async fn new_version(store: &ParameterStore, name: &str, seen: i64, image: &ImageId) -> Result<Parameter, Error> {
    let mut pauses = PATIENCE.iter();
    loop {
        match (read(store, name).await?, pauses.next()) {
            (Some(parameter), _) if parameter.version > seen => return Ok(parameter),
            (_, Some(pause)) => sleep(*pause).await,
            (_, None) => {
                let words = format!(
                    "the parameter `{name}` in {} does not hold {image} yet: Parameter Store is still checking it, or refuses it \
                     and says why only in an event `Parameter Store Change` (the function's role needs ec2:DescribeImages)",
                    store.region
                );
                return Err(Error::retry(Pace::Seconds, "ParameterNotTaken", words));
            }
        }
    }
}
