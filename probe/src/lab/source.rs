//! The source AMI: a snapshot with one block, and an AMI of it.

use std::time::Duration;

use super::bench::Lab;
use super::look::GIVE_UP_LOOKING_AFTER;
use super::things::Source;
use crate::aws::{CallError, Element, Parameters};

/// A tag that other accounts can see.
pub(crate) const SHARED_TAG: &str = "ec2:SharedTag/ami-courier-probe";

impl Lab {
    /// The source AMI; made at the first call.
    pub(crate) async fn source(&self) -> Result<&Source, CallError> {
        self.source.get_or_init(|| self.make_source()).await.as_ref().map_err(Clone::clone)
    }

    /// A snapshot with one block, and an AMI of it with a blank volume beside it.
    async fn make_source(&self) -> Result<Source, CallError> {
        let region = &self.plan.source_region;
        self.say(format_args!("making a snapshot and an AMI in {region}"));
        let snapshot_id = self.note_lost(self.aws.start_snapshot(region, &self.tags()).await)?;
        self.ledger().snapshots.insert((region.clone(), snapshot_id.clone()));
        self.aws.put_first_block(region, &snapshot_id).await?;
        self.aws.complete_snapshot(region, &snapshot_id).await?;
        self.wait_until_snapshot_is_complete(&snapshot_id).await?;
        let parameters = Parameters::default()
            .with("Name", self.name("source"))
            .with("Architecture", "x86_64")
            .with("VirtualizationType", "hvm")
            .with("RootDeviceName", "/dev/xvda")
            .with("BlockDeviceMapping.1.DeviceName", "/dev/xvda")
            .with("BlockDeviceMapping.1.Ebs.SnapshotId", &snapshot_id)
            .with("BlockDeviceMapping.2.DeviceName", "/dev/sdb")
            .with("BlockDeviceMapping.2.Ebs.VolumeSize", "1")
            .tagged("image", &self.tags());
        let answer = self.note_lost(self.aws.ec2(region, "RegisterImage", &parameters).await)?;
        let image_id = self.image_made(region, &answer)?;
        self.wait_until_visible(region, &image_id).await?;
        let shared = Parameters::default().with("ResourceId.1", &image_id).tags(&[(SHARED_TAG, "probe")]);
        let shared_tag = match self.aws.ec2(region, "CreateTags", &shared).await {
            Err(CallError::Stopped) => return Err(CallError::Stopped),
            answer => answer.map(drop),
        };
        Ok(Source { image_id, snapshot_id, shared_tag })
    }

    async fn wait_until_snapshot_is_complete(&self, id: &str) -> Result<(), CallError> {
        let begun = self.elapsed();
        loop {
            let parameters = Parameters::default().with("SnapshotId.1", id);
            let answer = self.aws.ec2(&self.plan.source_region, "DescribeSnapshots", &parameters).await;
            match answer {
                Ok(answer) => {
                    match answer.items("snapshotSet").next().and_then(|snapshot| snapshot.text_of("status")) {
                        Some("completed") => return Ok(()),
                        Some("error") => {
                            return Err(CallError::Lost("EBS reports that the snapshot failed".to_owned()));
                        }
                        _ => {}
                    }
                }
                // It may be too young to be visible.
                Err(error) if error.code() == Some("InvalidSnapshot.NotFound") => {}
                Err(error) => return Err(error),
            }
            self.give_up(begun, GIVE_UP_LOOKING_AFTER, "the snapshot is not complete")?;
            self.aws.sleep(Duration::from_secs(5)).await?;
        }
    }

    /// The id in the answer of a call that makes an AMI; noted.
    pub(super) fn image_made(&self, region: &str, answer: &Element) -> Result<String, CallError> {
        let Some(id) = answer.text_of("imageId") else {
            self.ledger().is_uncertain = true;
            return Err(CallError::Lost("the answer has no imageId".to_owned()));
        };
        let now = self.elapsed();
        let mut made = self.ledger();
        // A repeated token has the id of the first call.
        if !made.removed_images.contains(id) && !made.images.iter().any(|(_, known, _)| known == id) {
            made.images.push((region.to_owned(), id.to_owned(), now));
        }
        Ok(id.to_owned())
    }
}
