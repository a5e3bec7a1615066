//! Publish: an SSM parameter holds the newest copy, and never goes back.
//!
//! "Newest" is by the *source's* creation: two copies may well finish in the wrong order. SSM has no conditional write,
//! but it counts versions: a write that skipped one has overwritten something that was not looked at, so that is looked at
//! then.

use super::{Courier, Stop, attempting};
use crate::aws::ec2::Sight;
use crate::identity::{Identity, ImageId};
use crate::image::Image;
use crate::outcome::{Error, Pace, Rejection};

/// How many others may write the parameter between our read and our write before we come again later.
const RACES: usize = 4;

impl Courier {
    pub(super) async fn publish(&self, copy: &Image, facts: &Image, source: &Identity) -> Result<(), Stop> {
        let Some(template) = &self.settings.finishing.parameter_name else { return Ok(()) };
        let name = template.fill(facts, &source.region).map_err(|missing| {
            let words = format!("PARAMETER_NAME cannot be filled in for the copy {} of {source}: {missing}", copy.id);
            Rejection::new(
                "ValidationException",
                words,
                "tag the source AMI or change PARAMETER_NAME, then send the message again",
            )
        })?;
        let store = self.aws.parameter_store(&self.settings.here);
        let reading = || attempting(format!("reading the parameter `{name}` in {}", store.region));
        let writing = || attempting(format!("writing {} to the parameter `{name}` in {}", copy.id, store.region));

        let mut newest = (facts.created, copy.id.clone());
        let mut seen = store.get(&name).await.map_err(reading())?;
        let mut version = seen.as_ref().map_or(0, |parameter| parameter.version);
        let mut written: Option<ImageId> = None;
        for _ in 0..RACES {
            let holder = seen.as_ref().and_then(|parameter| parameter.value.parse::<ImageId>().ok());
            if let Some(holder) = &holder {
                newest = newest.max((self.created_at_source(holder).await?, holder.clone()));
            }
            if written.as_ref().or(holder.as_ref()) == Some(&newest.1) {
                return Ok(());
            }
            let version_written = store.put_image(&name, &newest.1).await.map_err(writing())?;
            if version_written <= version + 1 {
                return Ok(());
            }
            written = Some(newest.1.clone());
            version = version_written;
            seen = store.get(&format!("{name}:{}", version - 1)).await.map_err(reading())?;
        }
        let words = format!("the parameter `{name}` in {} is being written by others all the time", store.region);
        Err(Error::retry(Pace::Seconds, "TooManyUpdates", words).into())
    }

    /// When the source of a copy was created; of an AMI that is none, its own creation; `None` if it is gone.
    async fn created_at_source(&self, holder: &ImageId) -> Result<Option<time::OffsetDateTime>, Error> {
        let here = self.here();
        let looking = attempting(format!("describing {holder} in {}, which the parameter holds", here.region));
        let Sight::Image(image) = here.image(holder, None).await.map_err(looking)? else { return Ok(None) };
        let Some(source) = image.courier_source() else { return Ok(image.created) };
        let looking = attempting(format!("describing {source}, the source of {holder}"));
        match self.aws.ec2(&source.region).image(&source.image, None).await.map_err(looking)? {
            Sight::Image(source) => Ok(source.created),
            _ => Ok(image.created),
        }
    }
}
