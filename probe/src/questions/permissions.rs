//! The calls of a copy's life, under a role that has exactly what the template allows.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::format_description;

use crate::aws::{CallError, Parameters};
use crate::finding::{Answer, Finding};
use crate::lab::{Lab, Role};

/// The tag by which the template's policy knows a copy.
const SOURCE_IMAGE: &str = "ami-courier:source-image";

pub(crate) async fn is_each_call_of_the_courier_allowed_to_its_role(lab: &Lab) -> Answer {
    let role = lab.role().await?;
    let mut trial = Trial { lab, role, calls: 0, refused: Vec::new() };
    let source = &lab.source().await?.image_id;
    let [run, skip] = lab.tags();
    let tags = [(SOURCE_IMAGE, source.as_str()), run, skip];
    let copy = lab.copy_of_source_tagged(&lab.name("by the role"), &lab.token("role"), &tags).await?;
    trial.calls += 1;
    let image_id = match lab.copy_as(&role.aws, &copy).await {
        Ok(id) => id,
        Err(CallError::Refused(refusal)) => {
            return Ok(Finding::different(format!("CopyImage is refused ({}); no other call was made", refusal.code)));
        }
        Err(error) => return Err(error),
    };
    let image = lab.wait_until_available(&image_id).await?;
    trial.look(&image_id, source, image.snapshot_ids()).await?;
    trial.finish(&image_id, image.snapshot_ids(), &role.account).await?;
    trial.disable_and_enable(&image_id).await?;
    trial.ask_who_uses_it(&image_id).await?;
    trial.use_queues().await?;
    trial.use_parameters(&image_id).await?;
    trial.put_event().await?;
    trial.retire(&image_id).await?;
    let seen = match trial.refused.as_slice() {
        [] => format!("yes: each of {} calls", trial.calls),
        refused => format!("{} of {} calls refused: {}", refused.len(), trial.calls, refused.join(", ")),
    };
    Ok(Finding::of(trial.refused.is_empty(), seen))
}

pub(super) struct Trial<'a> {
    pub(super) lab: &'a Lab,
    pub(super) role: &'a Role,
    calls: usize,
    /// Each action with its error code.
    refused: Vec<String>,
}

impl Trial<'_> {
    /// Makes a call. Returns whether it was allowed.
    async fn call(&mut self, action: &str, parameters: Parameters) -> Result<bool, CallError> {
        self.call_in(&self.lab.plan.region, action, parameters).await
    }

    async fn call_in(&mut self, region: &str, action: &str, parameters: Parameters) -> Result<bool, CallError> {
        let answer = self.role.aws.ec2(region, action, &parameters).await;
        Ok(self.judge(action, answer)?.is_some())
    }

    /// Counts a call. Returns its answer, unless it was refused.
    pub(super) fn judge<T>(&mut self, action: &str, answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
        self.calls += 1;
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(CallError::Refused(refusal)) => {
                self.refused.push(format!("{action} ({})", refusal.code));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn look<'s>(
        &mut self,
        image_id: &str,
        source: &str,
        snapshot_ids: impl Iterator<Item = &'s str>,
    ) -> Result<(), CallError> {
        let source = Parameters::default().with("ImageId.1", source).with("IncludeDisabled", "true");
        let source_region = self.lab.plan.source_region.clone();
        self.call_in(&source_region, "DescribeImages", source).await?;
        self.call("DescribeImages", Parameters::default().with("ImageId.1", image_id)).await?;
        let snapshots = (1..)
            .zip(snapshot_ids)
            .fold(Parameters::default(), |parameters, (n, id)| parameters.with(format!("SnapshotId.{n}"), id));
        self.call("DescribeSnapshots", snapshots).await.map(drop)
    }

    /// It takes a permission away that nobody has, so nothing is shared.
    async fn finish<'s>(
        &mut self,
        image_id: &str,
        snapshot_ids: impl Iterator<Item = &'s str>,
        account: &str,
    ) -> Result<(), CallError> {
        let image = || Parameters::default().with("ImageId", image_id);
        self.call("ModifyImageAttribute", image().with("LaunchPermission.Remove.1.UserId", account)).await?;
        for id in snapshot_ids {
            let snapshot = Parameters::default()
                .with("SnapshotId", id)
                .with("Attribute", "createVolumePermission")
                .with("CreateVolumePermission.Remove.1.UserId", account);
            self.call("ModifySnapshotAttribute", snapshot).await?;
        }
        self.call("EnableImageDeprecation", image().with("DeprecateAt", in_a_year())).await?;
        if self.call("EnableImageDeregistrationProtection", image().with("WithCooldown", "false")).await? {
            // The role may not take it back; the user may.
            let aws = &self.lab.aws;
            aws.ec2(&self.lab.plan.region, "DisableImageDeregistrationProtection", &image()).await?;
        }
        self.tag("CreateTags", image_id, "ami-courier:finished").await
    }

    async fn tag(&mut self, action: &str, image_id: &str, key: &str) -> Result<(), CallError> {
        let tag = Parameters::default().with("ResourceId.1", image_id).with("Tag.1.Key", key);
        // Without a value, DeleteTags deletes the tag whatever its value is.
        let tag = if action == "CreateTags" { tag.with("Tag.1.Value", "probe") } else { tag };
        self.call(action, tag).await.map(drop)
    }

    async fn disable_and_enable(&mut self, image_id: &str) -> Result<(), CallError> {
        let image = Parameters::default().with("ImageId", image_id);
        self.call("DisableImage", image.clone()).await?;
        self.tag("CreateTags", image_id, "ami-courier:disabled-with-source").await?;
        self.call("EnableImage", image).await?;
        self.tag("DeleteTags", image_id, "ami-courier:disabled-with-source").await
    }

    async fn ask_who_uses_it(&mut self, image_id: &str) -> Result<(), CallError> {
        let image = Parameters::default().with("ImageId", image_id);
        self.call("DescribeImageAttribute", image.clone().with("Attribute", "launchPermission")).await?;
        let kinds = [
            "ec2:Instance",
            "ec2:LaunchTemplate",
            "ssm:Parameter",
            "imagebuilder:ImageRecipe",
            "imagebuilder:ContainerRecipe",
        ];
        let references = (1..).zip(kinds).fold(Parameters::default().with("ImageId.1", image_id), |all, (n, kind)| {
            all.with(format!("ResourceType.{n}.ResourceType"), kind)
        });
        self.call("DescribeImageReferences", references).await?;
        let [run, skip] = self.lab.tags();
        let report = image
            .with("ResourceType.1.ResourceType", "ec2:Instance")
            .with("ClientToken", self.lab.token("report-by-role"))
            .tagged("image-usage-report", &[("ami-courier:usage-report", image_id), run, skip]);
        let answer = self.lab.order_report(&self.role.aws, &report).await;
        let Some(answer) = self.judge("CreateImageUsageReport", answer)? else { return Ok(()) };
        let id = answer.text_of("reportId").unwrap_or_default();
        let of_image = Parameters::default().with("ImageId.1", image_id);
        self.call("DescribeImageUsageReports", of_image.clone()).await?;
        self.call("DescribeImageUsageReportEntries", of_image).await?;
        self.call("DeleteImageUsageReport", Parameters::default().with("ReportId", id)).await.map(drop)
    }

    async fn retire(&mut self, image_id: &str) -> Result<(), CallError> {
        let image = Parameters::default().with("ImageId", image_id).with("DeleteAssociatedSnapshots", "true");
        if self.call("DeregisterImage", image).await? {
            self.lab.image_removed(image_id);
        }
        Ok(())
    }
}

/// EC2 wants a time in the future, in whole minutes.
fn in_a_year() -> String {
    let time = OffsetDateTime::now_utc() + Duration::from_secs(365 * 24 * 60 * 60);
    time.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:00.000Z")).unwrap_or_default()
}
