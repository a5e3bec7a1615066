//! Copies of the source AMI: equal ones, one that is deregistered, one that fails.

use std::collections::BTreeSet;
use std::time::Duration;

use super::bench::{Lab, VISIBLE_WITHIN};
use super::look::GIVE_UP_LOOKING_AFTER;
use super::things::{Copies, Copy, DeadCopy, Image, Look, Sighting};
use crate::aws::{CallError, Element, Parameters};

/// Nobody's key: a UUID that KMS gives to no key.
const NO_KEY: &str = "00000000-0000-0000-0000-000000000000";

impl Lab {
    /// `CopyImage` of the source AMI, with the tags of the run.
    pub(crate) async fn copy_of_source(&self, name: &str, token: &str) -> Result<Parameters, CallError> {
        self.copy_of_source_tagged(name, token, &self.tags()).await
    }

    /// The same, with tags of another order.
    pub(crate) async fn copy_of_source_tagged(
        &self,
        name: &str,
        token: &str,
        tags: &[(&str, &str)],
    ) -> Result<Parameters, CallError> {
        let source = self.source().await?;
        Ok(Parameters::default()
            .with("Name", name)
            .with("SourceImageId", &source.image_id)
            .with("SourceRegion", &self.plan.source_region)
            .with("ClientToken", token)
            .tagged("image", tags)
            .tagged("snapshot", tags))
    }

    /// Makes the call and returns the id in its answer.
    pub(crate) async fn copy(&self, parameters: &Parameters) -> Result<String, CallError> {
        self.copy_as(&self.aws, parameters).await
    }

    /// The equal copies, observed until all of them are visible. The first two are kept, the others are removed then, since EC2 limits
    /// the copies under way.
    pub(crate) async fn copies(&self) -> Result<&Copies, CallError> {
        self.copies.get_or_init(|| self.make_copies()).await.as_ref().map_err(Clone::clone)
    }

    async fn make_copies(&self) -> Result<Copies, CallError> {
        self.source().await?;
        self.say(format_args!("making {} copies in {}", self.plan.copies, self.plan.region));
        let mut copies = Copies { all: Vec::new(), by_source: Ok(()), by_name: Ok(()) };
        for n in 1..=self.plan.copies {
            let (name, token) = (self.name(n), self.token(n));
            let image_id = self.copy(&self.copy_of_source(&name, &token).await?).await?;
            copies.all.push(Copy::accepted(image_id, name, token, self.elapsed()));
            self.look_at_all(&mut copies).await?;
        }
        let begun = self.elapsed();
        while !copies.are_all_seen() && self.elapsed() < begun + GIVE_UP_LOOKING_AFTER {
            let waited = self.elapsed().saturating_sub(begun);
            // Look at the bound itself, so that no copy seems later than it is.
            let next = (waited / 10).max(Duration::from_secs(1));
            let to_the_bound = VISIBLE_WITHIN.checked_sub(waited).filter(|rest| !rest.is_zero());
            self.aws.sleep(to_the_bound.map_or(next, |rest| rest.min(next))).await?;
            self.look_at_all(&mut copies).await?;
        }
        self.say("removing the copies that are no longer needed");
        for copy in copies.all.iter().skip(2) {
            // One that is not visible yet is removed in the end.
            if let Err(CallError::Stopped) = self.discard(&copy.image_id).await {
                return Err(CallError::Stopped);
            }
        }
        Ok(copies)
    }

    /// Looks for each copy in each way that works and has not shown it yet.
    async fn look_at_all(&self, copies: &mut Copies) -> Result<(), CallError> {
        let source = Parameters::default()
            .filter("source-image-id", &self.source().await?.image_id)
            .filter("source-image-region", &self.plan.source_region);
        self.look_by_filter(source, &mut copies.all, &mut copies.by_source, |copy| &mut copy.by_source).await?;
        let names =
            (1..).zip(&copies.all).fold(Parameters::default().with("Filter.1.Name", "name"), |filter, (n, copy)| {
                filter.with(format!("Filter.1.Value.{n}"), &copy.name)
            });
        self.look_by_filter(names, &mut copies.all, &mut copies.by_name, |copy| &mut copy.by_name).await?;
        for copy in copies.all.iter_mut().filter(|copy| copy.by_id.first_shown.is_none()) {
            let look = self.look(&copy.image_id).await?;
            copy.by_id.note(matches!(look, Look::Shown(_)), self.elapsed().saturating_sub(copy.accepted_at));
            if let Look::Shown(image) = look {
                copy.pending = Some(image).filter(|image| image.state() == "pending");
            }
        }
        Ok(())
    }

    /// A look for all copies at once. Once it has failed, this way to look is given up: `works` says why.
    async fn look_by_filter(
        &self,
        filter: Parameters,
        copies: &mut [Copy],
        works: &mut Result<(), CallError>,
        sighting: fn(&mut Copy) -> &mut Sighting,
    ) -> Result<(), CallError> {
        if works.is_err() || copies.iter_mut().all(|copy| sighting(copy).first_shown.is_some()) {
            return Ok(());
        }
        match self.find(filter).await {
            Ok(found) => {
                let at = self.elapsed();
                for copy in copies {
                    let is_shown = found.contains(&copy.image_id);
                    let after = at.saturating_sub(copy.accepted_at);
                    sighting(copy).note(is_shown, after);
                }
            }
            Err(CallError::Stopped) => return Err(CallError::Stopped),
            Err(error) => *works = Err(error),
        }
        Ok(())
    }

    /// The ids of the account's AMIs that match.
    async fn find(&self, filter: Parameters) -> Result<BTreeSet<String>, CallError> {
        let parameters = filter.with("Owner.1", "self");
        let found = self.aws.every_page(&self.plan.region, "DescribeImages", &parameters, "imagesSet").await?;
        Ok(found.into_iter().map(|image| Image(image).id().to_owned()).collect())
    }

    /// The first of the equal copies.
    pub(crate) async fn first_copy(&self) -> Result<&Copy, CallError> {
        self.copies().await?.all.first().ok_or_else(|| CallError::Lost("there is no copy".to_owned()))
    }

    /// The first copy, once it is available.
    pub(crate) async fn finished_copy(&self) -> Result<&Image, CallError> {
        let make = || async {
            let copy = self.first_copy().await?;
            self.wait_until_available(&copy.image_id).await
        };
        self.finished.get_or_init(make).await.as_ref().map_err(Clone::clone)
    }

    /// The second copy, deregistered with its snapshots after it was available.
    pub(crate) async fn dead_copy(&self) -> Result<&DeadCopy, CallError> {
        self.dead.get_or_init(|| self.make_dead_copy()).await.as_ref().map_err(Clone::clone)
    }

    async fn make_dead_copy(&self) -> Result<DeadCopy, CallError> {
        let copies = &self.copies().await?.all;
        let copy = copies.get(1).ok_or_else(|| CallError::Lost("there is no second copy".to_owned()))?;
        self.wait_until_available(&copy.image_id).await?;
        self.say("deregistering a copy");
        let answer = self.discard(&copy.image_id).await?;
        let codes = answer.items("deleteSnapshotResultSet").filter_map(|result| result.text_of("returnCode"));
        Ok(DeadCopy { copy: copy.clone(), at: self.elapsed(), snapshot_codes: codes.map(str::to_owned).collect() })
    }

    /// A copy under a key that does not exist.
    ///
    /// # Errors
    /// The error of `CopyImage`, if EC2 notices the key at once.
    pub(crate) async fn failed_copy(&self) -> Result<&Copy, CallError> {
        self.failed.get_or_init(|| self.make_failed_copy()).await.as_ref().map_err(Clone::clone)
    }

    async fn make_failed_copy(&self) -> Result<Copy, CallError> {
        self.say("making a copy under a key that does not exist");
        let (name, token) = (self.name("failed"), self.token("failed"));
        let image_id = self.copy(&self.copy_under_no_key(&name, &token).await?).await?;
        Ok(Copy::accepted(image_id, name, token, self.elapsed()))
    }

    pub(crate) async fn copy_under_no_key(&self, name: &str, token: &str) -> Result<Parameters, CallError> {
        Ok(self.copy_of_source(name, token).await?.with("Encrypted", "true").with("KmsKeyId", NO_KEY))
    }

    /// Deregisters an AMI of this run with its snapshots.
    pub(crate) async fn discard(&self, image_id: &str) -> Result<Element, CallError> {
        let parameters = Parameters::default().with("ImageId", image_id).with("DeleteAssociatedSnapshots", "true");
        let answer = self.aws.ec2(&self.plan.region, "DeregisterImage", &parameters).await?;
        self.image_removed(image_id);
        Ok(answer)
    }
}
