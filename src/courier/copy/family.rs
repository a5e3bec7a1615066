//! Whether another AMI of the same build has a copy here. The rules are in [`courier_core::family`].

use courier_core::announcement::Why;
use courier_core::error::{Error, RetryAfter, code};
use courier_core::family::{self, Kin};
use courier_core::image::{Image, best};
use courier_core::selection;

use super::Copy;
use super::work::Work;
use crate::aws::error::When;
use crate::courier::report::Report;
use crate::courier::stack::Stop;

impl Copy<'_> {
    /// What the announced AMI is to the builds of this account. A request names its AMI: it is an image of its own.
    pub(super) async fn kin(&self, image: &Image) -> Result<Kin, Stop> {
        let (courier, stack, region) = (self.courier, self.delivery.stack, &self.source.region);
        let recorded = family::recorded_origin(image, region, stack.account.as_ref());
        let Some(recorded) = recorded.filter(|_| matches!(self.why, Why::Announced(_))) else { return Ok(Kin::Alone) };
        let is_here = recorded.region == stack.region;
        // Elsewhere, the role may not look, and no event is heard.
        let may_look = is_here || selection::region_is_allowed(&recorded.region, &courier.settings).is_ok();
        let origin = if may_look {
            let found = courier.aws.ec2(&recorded.region).image(&recorded.image, None).await;
            found.when(format_args!("describing {recorded}, of which {} is a copy", self.source))?
        } else {
            None
        };
        let kin = family::kin(image, region, origin.as_ref(), stack);
        if let Kin::FromHere { origin, is_seen } = &kin {
            if !is_seen && let Some(wait) = self.wait(image) {
                return Err(wait.into());
            }
            return Err(Stop::Ignored(format!("it comes from here: it is a copy of {origin}, an AMI of this account")));
        }
        Ok(kin)
    }

    /// Until when a young AMI waits: a copy that answers it, or the AMI that it is a copy of, may not be visible yet.
    fn wait(&self, image: &Image) -> Option<Error> {
        let until = family::waits_until(image, self.courier.aws.now())?;
        let origin = image.source.as_ref().map_or_else(|| "another AMI".to_owned(), ToString::to_string);
        let message = format!(
            "{} is a copy of {origin}: it waits until it is 30 minutes old, so that a copy of that AMI can become visible",
            self.source
        );
        Some(Error::retry(RetryAfter::Until(until), code::NOT_VISIBLE_YET, message))
    }
}

impl Work<'_> {
    /// A live copy of the origin, or of another sibling, is the answer. Without one, a young sibling waits.
    pub(super) async fn answered_by_family(&self, kin: &Kin, copies: &[Image]) -> Result<Option<Report>, Stop> {
        let Kin::Sibling { origin, .. } = kin else { return Ok(None) };
        if self.has_copy(copies) {
            return Ok(None);
        }
        let (courier, source) = (self.copy.courier, self.copy.source);
        let ec2 = courier.local_ec2();
        let looking = format!("looking in {} for copies of {}, of which {source} is a copy", ec2.region, origin.ami);
        let (of_origin, of_siblings) = tokio::join!(ec2.copies_of(&origin.ami), ec2.of_family(origin));
        let mut found = of_origin.when(format_args!("{looking}"))?;
        found.extend(of_siblings.when(format_args!("{looking}"))?);
        let names = &courier.settings.copying.name;
        let answers = found.iter().filter(|copy| kin.is_answered_by(copy, &self.source_image, names));
        if let Some(copy) = best(answers) {
            return Ok(Some(Report::new(Some(courier.route(source)), Ok(self.adopt(copy)?))));
        }
        match self.copy.wait(&self.source_image) {
            Some(wait) => Err(wait.into()),
            None => Ok(None),
        }
    }
}
