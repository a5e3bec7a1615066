//! Publish: an SSM parameter holds the newest member of its name. Who that is, [`courier_core::election`] says; here it is asked and
//! written.
//!
//! SSM has no conditional write, and it accepts an AMI only after a check whose result the writer does not get. So after a write,
//! the courier looks until the parameter has a new version. What two elections did to each other, the next sweep puts right.

use std::time::Duration;

use courier_core::election::{self, Election, End, Holder, Members, Next, Own, Timing};
use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{ImageId, ParameterName};
use courier_core::image::Image;
use courier_core::selection;
use time::OffsetDateTime;
use tokio::time::sleep;
use tracing::info;

use super::stack::Courier;
use crate::aws::error::When;
use crate::aws::parameter_store::{IMAGE, Parameter, ParameterStore};

/// The parameter of one name.
pub(super) struct Publish<'a> {
    pub(super) courier: &'a Courier,
    pub(super) name: &'a ParameterName,
}

/// What became of an election.
pub(super) enum Elected {
    Wrote(ImageId),
    Nothing(End),
}

impl Publish<'_> {
    /// Elects, and writes what was elected.
    pub(super) async fn elect(&self, own: Own<'_>) -> Result<Elected, Error> {
        let (name, region) = (self.name, &self.courier.settings.stack_region);
        let store = self.courier.aws.parameter_store(region);
        let stack = self.courier.settings.copying.stack_name.as_str();
        let current = read(&store, name).await?;
        let parameter = current.as_ref().map(as_seen);
        let mut holder: Option<(Option<Image>, Option<OffsetDateTime>)> = None;
        let mut members: Option<Members> = None;
        loop {
            let seen = holder.as_ref();
            let holder_seen =
                seen.map(|(image, source_created)| Holder { image: image.as_ref(), source_created: *source_created });
            let election = Election {
                name,
                stack,
                own,
                parameter: parameter.as_ref(),
                holder: holder_seen,
                members: members.as_ref(),
                now: self.courier.aws.now(),
            };
            match election.next(&Timing::EC2) {
                Next::LookAtHolder => holder = Some(self.holder(current.as_ref()).await?),
                Next::List => members = Some(self.members(own).await?),
                Next::Write(elected) => {
                    write(&store, name, current.as_ref(), &elected, stack).await?;
                    info!(parameter = %name, holds = %elected, "the parameter is written");
                    return Ok(Elected::Wrote(elected));
                }
                Next::Retry => {
                    let held = current.map(|current| current.value).unwrap_or_default();
                    let message =
                        format!("the AMI {held} in {region}, which the parameter `{name}` holds, is not visible yet");
                    return Err(Error::retry(RetryAfter::Minutes, code::NOT_VISIBLE_YET, message));
                }
                Next::End(end) => {
                    if let (End::Holds, Some(current)) = (&end, &current) {
                        can_hold_an_ami(current, name, &store)?;
                    }
                    return Ok(Elected::Nothing(end));
                }
            }
        }
    }

    /// What the parameter holds, as an election sees it.
    pub(super) async fn parameter(&self) -> Result<Option<election::Parameter>, Error> {
        let store = self.courier.aws.parameter_store(&self.courier.settings.stack_region);
        Ok(read(&store, self.name).await?.as_ref().map(as_seen))
    }

    /// The AMI that the parameter holds, and when its source was created, where that can be seen.
    async fn holder(&self, current: Option<&Parameter>) -> Result<(Option<Image>, Option<OffsetDateTime>), Error> {
        let (courier, name) = (self.courier, self.name);
        let Some(held) = current.and_then(|current| current.value.parse::<ImageId>().ok()) else {
            return Ok((None, None));
        };
        let ec2 = courier.local_ec2();
        let image = ec2.image(&held, None).await;
        let image =
            image.when(format_args!("describing {held} in {}, which the parameter `{name}` holds", ec2.region))?;
        let source = image.as_ref().and_then(|image| image.courier_source().or_else(|| image.source.clone()));
        let source = source.filter(|source| selection::region_is_allowed(&source.region, &courier.settings).is_ok());
        let source_created = match source {
            Some(source) => {
                let found = courier.aws.ec2(&source.region).image(&source.image, None).await;
                found.when(format_args!("describing {source}, the source of {held}"))?.and_then(|source| source.created)
            }
            None => None,
        };
        Ok((image, source_created))
    }

    async fn members(&self, own: Own<'_>) -> Result<Members, Error> {
        let ec2 = self.courier.local_ec2();
        let copies = ec2.of_parameter(self.name).await;
        let copies =
            copies.when(format_args!("looking for the copies of the parameter `{}` in {}", self.name, ec2.region))?;
        let mut members = Members::new(&self.courier.settings.copying.stack_name, own);
        for copy in &copies {
            members.add(copy);
        }
        Ok(members)
    }
}

/// A parameter, as an election sees it.
pub(super) fn as_seen(parameter: &Parameter) -> election::Parameter {
    election::Parameter { value: parameter.value.parse().ok(), written: parameter.written }
}

async fn read(store: &ParameterStore, name: &ParameterName) -> Result<Option<Parameter>, Error> {
    store.get(name.as_str()).await.when(format_args!("reading the parameter `{name}` in {}", store.region))
}

async fn write(
    store: &ParameterStore,
    name: &ParameterName,
    current: Option<&Parameter>,
    elected: &ImageId,
    stack: &str,
) -> Result<(), Error> {
    if let Some(current) = current {
        can_hold_an_ami(current, name, store)?;
    }
    let description = format!(
        "Written by ami-courier, stack {stack}: the newest copy that is in service. What is written by hand is overwritten. To go back, \
         put the tag {} on the AMI.",
        courier_core::image::tag::WITHDRAWN
    );
    let put = store.put_image(name.as_str(), elected, &description).await;
    put.when(format_args!("writing {elected} to the parameter `{name}` in {}", store.region))?;
    has_new_version(store, name, current.map_or(0, |current| current.version), elected).await
}

/// Parameter Store refuses an AMI in a parameter of another data type, with a code that is not documented.
fn can_hold_an_ami(parameter: &Parameter, name: &ParameterName, store: &ParameterStore) -> Result<(), Error> {
    if parameter.data_type == IMAGE {
        return Ok(());
    }
    Err(Error::rejected(
        code::VALIDATION,
        format!(
            "the parameter `{name}` in {} cannot hold an AMI: its data type is `{}`, and Parameter Store cannot change it to \
             `{IMAGE}`",
            store.region, parameter.data_type
        ),
        "delete the parameter, or set PARAMETER_NAME to another name; then send the message again",
    ))
}

/// Waits until the parameter has a version after `seen`.
async fn has_new_version(
    store: &ParameterStore,
    name: &ParameterName,
    seen: i64,
    elected: &ImageId,
) -> Result<(), Error> {
    /// SSM usually needs a moment.
    const PAUSES: [Duration; 4] =
        [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
    let mut pauses = PAUSES.iter();
    loop {
        match (read(store, name).await?, pauses.next()) {
            (Some(parameter), _) if parameter.version > seen => return Ok(()),
            (_, Some(pause)) => sleep(*pause).await,
            (_, None) => {
                let message = format!(
                    "the parameter `{name}` in {} does not hold {elected} yet: Parameter Store is still checking it, or it refuses the AMI \
                     and says why only in an event `Parameter Store Change` (the function's role needs ec2:DescribeImages)",
                    store.region
                );
                return Err(Error::retry(RetryAfter::Seconds, code::PARAMETER_NOT_TAKEN, message));
            }
        }
    }
}
