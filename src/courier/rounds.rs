//! Rounds: accounts that trust each other and share with each other must not copy each other's copies.
//!
//! Of another account's AMI, the tags that say "this is a copy" are not visible. Its origin is, in a shared tag
//! ([`courier_core::origin`]): one look shows whether an AMI of that origin is here already. Where there is no such tag, the name
//! that the copy would get decides.

use courier_core::identity::{AccountId, Identity};
use courier_core::image::Image;
use courier_core::origin::Origin;
use courier_core::settings::Owner;

use super::copy::{Work, best};
use super::report::Report;
use super::step::{Courier, StepEnd};
use crate::aws::ec2::ImageLookup;
use crate::aws::error::attempting;

impl Courier {
    /// What an announced AMI is answered with if it has been here before, under another id. A copy of the AMI that only its name
    /// shows is added to `copies`.
    pub(super) async fn been_here(&self, work: &Work<'_>, copies: &mut Vec<Image>) -> Result<Option<Report>, StepEnd> {
        let is_copied = copies.iter().any(|copy| copy.state.is_live());
        if !self.settings.sources.trust_others() || work.order.request().is_some() || is_copied {
            return Ok(None);
        }
        let image = &work.source_image;
        let is_foreign = self.is_of_another_account(image);
        let handed_on = Origin::handed_on(image);
        // EC2 may show what another account's AMI was copied from.
        let copied_from = image.source.as_ref().filter(|_| is_foreign && handed_on.is_none());
        if let Some(report) = self.same_origin(work, copied_from).await? {
            return Ok(Some(report));
        }
        if !is_foreign || handed_on.is_some() {
            return Ok(None);
        }
        self.same_name(work, copies).await
    }

    /// A live AMI of the same origin is the answer.
    async fn same_origin(&self, work: &Work<'_>, copied_from: Option<&Identity>) -> Result<Option<Report>, StepEnd> {
        let (source, ec2) = (work.order.source, self.local_ec2());
        let Some(origin) = Origin::of(&work.source_image, source) else { return Ok(None) };
        let looking = || attempting(format!("looking in {} for AMIs of the origin {origin}", ec2.region));
        let mut found = ec2.of_origin(&origin).await.map_err(looking())?;
        for earlier in [(origin.ami != *source).then_some(&origin.ami), copied_from].into_iter().flatten() {
            found.extend(ec2.copies_of(earlier).await.map_err(looking())?);
        }
        if let Some(copy) = best(found.iter()) {
            return Ok(Some(Report::new(Some(self.route(source)), Ok(self.adopt(work, copy)?))));
        }
        let Some(own) = copied_from.filter(|from| from.region == ec2.region) else { return Ok(None) };
        let lookup = ec2.image(&own.image, Some(&[Owner::Myself])).await.map_err(looking())?;
        let is_ours = matches!(lookup, ImageLookup::Image(_));
        let reason = || format!("it comes from here: it is a copy of {own}, which belongs to this account");
        Ok(is_ours.then(|| self.ignored(Some(source), reason())))
    }

    /// An AMI that does not say where it comes from may come from here, if one of this name is here.
    async fn same_name(&self, work: &Work<'_>, copies: &mut Vec<Image>) -> Result<Option<Report>, StepEnd> {
        let (source, name, ec2) = (work.order.source, &work.plan.call.name, self.local_ec2());
        let looking = attempting(format!("looking in {} for the AMI with the name `{name}`", ec2.region));
        let named = ec2.named(name.as_str()).await.map_err(looking)?;
        let (of_it, others): (Vec<Image>, Vec<Image>) =
            named.into_iter().filter(|image| image.state.is_live()).partition(|image| image.is_copy_of(source));
        let is_copied = !of_it.is_empty();
        copies.extend(of_it);
        let Some(other) = others.first().filter(|_| !is_copied) else { return Ok(None) };
        let owner = work.source_image.owner.as_ref().map_or("unknown", AccountId::as_str);
        let reason = format!(
            "it may have come from here: {} in {} has the name `{name}`, which the copy would get, and the AMI (of account {owner}) has \
             no tag that says where it was first",
            other.id, ec2.region
        );
        Ok(Some(self.ignored(Some(source), reason)))
    }
}
