//! The source AMI, and copies of it: equal ones, one that is deregistered, one that fails.

use std::time::Duration;

use aws_sdk_ebs::types::{ChecksumAlgorithm, Tag as EbsTag};
use aws_sdk_ec2::operation::copy_image::builders::CopyImageFluentBuilder as CopyImage;
use aws_sdk_ec2::types::{
    ArchitectureValues, BlockDeviceMapping, EbsBlockDevice, Filter, Image, ResourceType, SnapshotState,
};

use super::bench::{By, Copies, Copy, DeadCopy, Kind, Lab, SHARED_TAG, Sighting, Source, VISIBLE_WITHIN, tag, tagged};
use super::look::{GIVE_UP_LOOKING_AFTER, Look, state};
use crate::aws::{Aws, CallError};

/// The size of a block of EBS: 512 KiB. <https://docs.aws.amazon.com/ebs/latest/APIReference/API_PutSnapshotBlock.html>
const BLOCK: i32 = 512 * 1024;
/// The SHA-256 of a block of zeros, in Base64.
const CHECKSUM: &str = "B4VNL+8pega6gWheZgwzLeNtXRjVRpJ9MNqtbX/aFUE=";
/// After this many minutes an unfinished snapshot is given up by EBS itself: the least that it accepts.
const SNAPSHOT_TIMEOUT: i32 = 10;
/// Nobody's key: a UUID that KMS gives to no key.
const NO_KEY: &str = "00000000-0000-0000-0000-000000000000";

impl Lab {
    /// A snapshot with one block, and an AMI of it with a blank volume beside it.
    pub(crate) async fn source(&self) -> Result<&Source, CallError> {
        self.bench.source.get(Box::pin(self.make_source())).await
    }

    async fn make_source(&self) -> Result<Source, CallError> {
        let region = &self.plan.source_region;
        self.say(format_args!("making a snapshot and an AMI in {region}"));
        let (ebs, ec2) = (self.aws.ebs(region), self.aws.ec2(region));
        let tags = self.tags().iter().map(|(key, value)| EbsTag::builder().key(*key).value(*value).build()).collect();
        let snapshot = ebs.start_snapshot().volume_size(1).timeout(SNAPSHOT_TIMEOUT).set_tags(Some(tags));
        let snapshot = snapshot.client_token(self.token("source")).send().await;
        let snapshot_id = self.keep(Kind::Snapshot, region, snapshot.map(|it| it.snapshot_id))?;
        let block = vec![0; BLOCK.unsigned_abs() as usize];
        let block = ebs.put_snapshot_block().snapshot_id(&snapshot_id).block_index(0).block_data(block.into());
        let block =
            block.data_length(BLOCK).checksum(CHECKSUM).checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256);
        block.send().await?;
        ebs.complete_snapshot().snapshot_id(&snapshot_id).changed_blocks_count(1).send().await?;
        self.wait_until_complete(&snapshot_id).await?;
        let device = |name: &str, ebs| BlockDeviceMapping::builder().device_name(name).ebs(ebs).build();
        let image = ec2
            .register_image()
            .name(self.name("source"))
            .architecture(ArchitectureValues::X8664)
            .virtualization_type("hvm")
            .root_device_name("/dev/xvda")
            .block_device_mappings(device("/dev/xvda", EbsBlockDevice::builder().snapshot_id(&snapshot_id).build()))
            .block_device_mappings(device("/dev/sdb", EbsBlockDevice::builder().volume_size(1).build()))
            .tag_specifications(tagged(ResourceType::Image, &self.tags()));
        let image_id = self.keep(Kind::Image, region, image.send().await.map(|it| it.image_id))?;
        self.wait_until_visible(region, &image_id).await?;
        let shared = ec2.create_tags().resources(&image_id).tags(tag(SHARED_TAG, "probe")).send().await;
        let shared_tag = match shared.map_err(CallError::from) {
            Err(CallError::Stopped) => return Err(CallError::Stopped),
            answer => answer.map(drop),
        };
        Ok(Source { image_id, snapshot_id, shared_tag })
    }

    async fn wait_until_complete(&self, snapshot_id: &str) -> Result<(), CallError> {
        let begun = self.aws.elapsed();
        let ec2 = self.aws.ec2(&self.plan.source_region);
        loop {
            match ec2.describe_snapshots().snapshot_ids(snapshot_id).send().await.map_err(CallError::from) {
                Ok(answer) => match answer.snapshots().first().and_then(|snapshot| snapshot.state()) {
                    Some(SnapshotState::Completed) => return Ok(()),
                    Some(SnapshotState::Error) => {
                        return Err(CallError::Lost("EBS reports that the snapshot failed".to_owned()));
                    }
                    _ => {}
                },
                // It may be too young to be visible.
                Err(error) if error.code() == Some("InvalidSnapshot.NotFound") => {}
                Err(error) => return Err(error),
            }
            self.pause(begun, GIVE_UP_LOOKING_AFTER, "the snapshot is not complete").await?;
        }
    }

    /// `CopyImage` of the source AMI, with the tags of the run.
    pub(crate) async fn copy_of_source(&self, name: &str, token: &str) -> Result<CopyImage, CallError> {
        self.copy_of_source_by(&self.aws, name, token, &self.tags()).await
    }

    /// The same as another principal, or with other tags.
    pub(crate) async fn copy_of_source_by(
        &self,
        aws: &Aws,
        name: &str,
        token: &str,
        tags: &[(&str, &str)],
    ) -> Result<CopyImage, CallError> {
        let call = aws.ec2(&self.plan.region).copy_image().name(name).client_token(token);
        Ok(call
            .source_image_id(&self.source().await?.image_id)
            .source_region(&self.plan.source_region)
            .tag_specifications(tagged(ResourceType::Image, tags))
            .tag_specifications(tagged(ResourceType::Snapshot, tags)))
    }

    pub(crate) async fn copy_under_no_key(&self, name: &str, token: &str) -> Result<CopyImage, CallError> {
        Ok(self.copy_of_source(name, token).await?.encrypted(true).kms_key_id(NO_KEY))
    }

    /// Makes the call and returns the id in its answer.
    pub(crate) async fn copy(&self, call: CopyImage) -> Result<String, CallError> {
        self.keep(Kind::Image, &self.plan.region, call.send().await.map(|it| it.image_id))
    }

    async fn copied(&self, call: CopyImage, name: String, token: String) -> Result<Copy, CallError> {
        let image_id = self.copy(call).await?;
        let accepted_at = self.aws.elapsed();
        Ok(Copy { image_id, name, token, accepted_at, sightings: [Sighting::default(); 3], pending: None })
    }

    /// The equal copies, observed until all of them are visible. The first two are kept, the others are removed then, since EC2 limits
    /// the copies under way.
    pub(crate) async fn copies(&self) -> Result<&Copies, CallError> {
        self.bench.copies.get(Box::pin(self.make_copies())).await
    }

    async fn make_copies(&self) -> Result<Copies, CallError> {
        self.source().await?;
        self.say(format_args!("making {} copies in {}", self.plan.copies, self.plan.region));
        let mut copies = Copies { all: Vec::new(), works: [Ok(()), Ok(()), Ok(())] };
        for n in 1..=self.plan.copies {
            let (name, token) = (self.name(n), self.token(n));
            let call = self.copy_of_source(&name, &token).await?;
            copies.all.push(self.copied(call, name, token).await?);
            self.look_for_all(&mut copies).await?;
        }
        let begun = self.aws.elapsed();
        let mut waited = Duration::ZERO;
        while ![By::Id, By::Source, By::Name].iter().all(|by| copies.are_seen(*by)) && waited < GIVE_UP_LOOKING_AFTER {
            // Look at the bound itself, so that no copy seems later than it is.
            let next = (waited / 10).max(Duration::from_secs(1));
            let to_the_bound = VISIBLE_WITHIN.checked_sub(waited).filter(|rest| !rest.is_zero());
            self.aws.sleep(to_the_bound.map_or(next, |rest| rest.min(next))).await?;
            self.look_for_all(&mut copies).await?;
            waited = self.aws.elapsed().saturating_sub(begun);
        }
        self.say("removing the copies that are no longer needed");
        for copy in copies.all.iter().skip(2) {
            // One that is not visible yet is removed in the end.
            if let Err(CallError::Stopped) = self.deregister(&copy.image_id).await {
                return Err(CallError::Stopped);
            }
        }
        Ok(copies)
    }

    /// Looks for each copy in each way that works and has not shown it yet.
    async fn look_for_all(&self, copies: &mut Copies) -> Result<(), CallError> {
        let filter = |name: &str, values| Filter::builder().name(name).set_values(Some(values)).build();
        let of_source = [
            filter("source-image-id", vec![self.source().await?.image_id.clone()]),
            filter("source-image-region", vec![self.plan.source_region.clone()]),
        ];
        let names = [filter("name", copies.all.iter().map(|copy| copy.name.clone()).collect())];
        for (by, filters) in [(By::Source, of_source.to_vec()), (By::Name, names.to_vec())] {
            self.look_by_filter(copies, by, filters).await?;
        }
        for copy in copies.all.iter_mut().filter(|copy| !copy.is_seen(By::Id)) {
            let look = self.look(&copy.image_id).await?;
            copy.note(By::Id, matches!(look, Look::Shown(_)), self.aws.elapsed());
            if let Look::Shown(image) = look {
                copy.pending = Some(*image).filter(|image| state(image) == "pending");
            }
        }
        Ok(())
    }

    /// A look for all copies at once. Once it has failed, this way to look is given up.
    async fn look_by_filter(&self, copies: &mut Copies, by: By, filters: Vec<Filter>) -> Result<(), CallError> {
        if copies.are_seen(by) {
            return Ok(());
        }
        let call = self.ec2().describe_images().owners("self").set_filters(Some(filters));
        match call.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.map_err(CallError::from) {
            Ok(found) => {
                let now = self.aws.elapsed();
                for copy in copies.all.iter_mut().filter(|copy| !copy.is_seen(by)) {
                    let is_shown = found.iter().any(|image| image.image_id() == Some(&copy.image_id));
                    copy.note(by, is_shown, now);
                }
            }
            Err(CallError::Stopped) => return Err(CallError::Stopped),
            Err(error) => copies.works[by as usize] = Err(error),
        }
        Ok(())
    }

    /// The first of the equal copies.
    pub(crate) async fn first_copy(&self) -> Result<&Copy, CallError> {
        self.copies().await?.all.first().ok_or_else(|| CallError::Lost("there is no copy".to_owned()))
    }

    /// The first copy, once it is available.
    pub(crate) async fn finished_copy(&self) -> Result<&Image, CallError> {
        let make = async { self.wait_until_available(&self.first_copy().await?.image_id).await };
        self.bench.finished.get(Box::pin(make)).await
    }

    /// The second copy, deregistered with its snapshots after it was available.
    pub(crate) async fn dead_copy(&self) -> Result<&DeadCopy, CallError> {
        self.bench.dead.get(Box::pin(self.make_dead_copy())).await
    }

    async fn make_dead_copy(&self) -> Result<DeadCopy, CallError> {
        let copies = &self.copies().await?.all;
        let copy = copies.get(1).ok_or_else(|| CallError::Lost("there is no second copy".to_owned()))?;
        self.wait_until_available(&copy.image_id).await?;
        self.say("deregistering a copy");
        let snapshot_codes = self.deregister(&copy.image_id).await?;
        Ok(DeadCopy { copy: copy.clone(), at: self.aws.elapsed(), snapshot_codes })
    }

    /// A copy under a key that does not exist. The error is that of `CopyImage`, if EC2 notices the key at once.
    pub(crate) async fn failed_copy(&self) -> Result<&Copy, CallError> {
        self.bench.failed.get(Box::pin(self.make_failed_copy())).await
    }

    async fn make_failed_copy(&self) -> Result<Copy, CallError> {
        self.say("making a copy under a key that does not exist");
        let (name, token) = (self.name("failed"), self.token("failed"));
        let call = self.copy_under_no_key(&name, &token).await?;
        self.copied(call, name, token).await
    }

    /// Deregisters an AMI of this run with its snapshots. Returns EC2's code for each snapshot.
    async fn deregister(&self, image_id: &str) -> Result<Vec<String>, CallError> {
        let call = self.ec2().deregister_image().image_id(image_id).delete_associated_snapshots(true);
        let answer = call.send().await?;
        self.removed(image_id);
        let codes = answer.delete_snapshot_results().iter().filter_map(|result| result.return_code());
        Ok(codes.map(|code| code.as_str().to_owned()).collect())
    }
}
