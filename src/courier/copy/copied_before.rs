//! Whether an AMI has been here before, under another id: accounts that trust each other and share with each other must not copy
//! each other's copies.
//!
//! Of another account's AMI, the tags that say "this is a copy" are not visible. Its origin is, in a shared tag
//! ([`courier_core::origin`]): one look shows whether an AMI of that origin is here already. Where there is no such tag, the name
//! that the copy would get decides.

use courier_core::identity::{AccountId, Identity};
use courier_core::image::{Image, best};
use courier_core::origin::Origin;
use courier_core::settings::Owner;

use super::work::Work;
use crate::aws::error::When;
use crate::courier::report::Report;
use crate::courier::stack::Stop;

impl Work<'_> {
    /// What an announced AMI is answered with if it was copied before, under another id. A copy of the AMI that only its name shows is
    /// added to `copies`.
    pub(super) async fn copied_before(&self, copies: &mut Vec<Image>) -> Result<Option<Report>, Stop> {
        let is_copied = copies.iter().any(|copy| copy.state.is_live());
        let trusts_others = self.copy.courier.settings.sources.trust_others();
        if !trusts_others || self.copy.request().is_some() || is_copied {
            return Ok(None);
        }
        let image = &self.source_image;
        let is_foreign = self.copy.delivery.is_of_another_account(image);
        let handed_on = Origin::handed_on(image);
        // EC2 may show what another account's AMI was copied from.
        let copied_from = image.source.as_ref().filter(|_| is_foreign && handed_on.is_none());
        if let Some(report) = self.same_origin(copied_from).await? {
            return Ok(Some(report));
        }
        if !is_foreign || handed_on.is_some() {
            return Ok(None);
        }
        self.same_name(copies).await
    }

    /// A live AMI of the same origin is the answer.
    async fn same_origin(&self, copied_from: Option<&Identity>) -> Result<Option<Report>, Stop> {
        let courier = self.copy.courier;
        let (source, ec2) = (self.copy.source, courier.local_ec2());
        let Some(origin) = Origin::of(&self.source_image, source) else { return Ok(None) };
        let looking = format!("looking in {} for AMIs of the origin {origin}", ec2.region);
        let mut found = ec2.of_origin(&origin).await.when(format_args!("{looking}"))?;
        for earlier in [(origin.ami != *source).then_some(&origin.ami), copied_from].into_iter().flatten() {
            found.extend(ec2.copies_of(earlier).await.when(format_args!("{looking}"))?);
        }
        if let Some(copy) = best(found.iter()) {
            return Ok(Some(Report::new(Some(courier.route(source)), Ok(self.adopt(copy)?))));
        }
        let Some(own) = copied_from.filter(|from| from.region == ec2.region) else { return Ok(None) };
        let ours = ec2.image(&own.image, Some(&[Owner::Myself])).await.when(format_args!("{looking}"))?;
        let reason = || format!("it comes from here: it is a copy of {own}, which belongs to this account");
        Ok(ours.map(|_| courier.ignored(Some(source), reason())))
    }

    /// An AMI that does not say where it comes from may come from here, if one of this name is here.
    async fn same_name(&self, copies: &mut Vec<Image>) -> Result<Option<Report>, Stop> {
        let (source, name, ec2) = (self.copy.source, &self.plan.call.name, self.copy.courier.local_ec2());
        let named = ec2.named(name.as_str()).await;
        let named = named.when(format_args!("looking in {} for the AMI with the name `{name}`", ec2.region))?;
        let (of_it, others): (Vec<Image>, Vec<Image>) =
            named.into_iter().filter(|image| image.state.is_live()).partition(|image| image.is_copy_of(source));
        let is_copied = !of_it.is_empty();
        copies.extend(of_it);
        let Some(other) = others.first().filter(|_| !is_copied) else { return Ok(None) };
        let owner = self.source_image.owner.as_ref().map_or("unknown", AccountId::as_str);
        let reason = format!(
            "it may have come from here: {} in {} has the name `{name}`, which the copy would get, and the AMI (of account {owner}) has \
             no tag that says where it was first",
            other.id, ec2.region
        );
        Ok(Some(self.copy.courier.ignored(Some(source), reason)))
    }
}
