//! The courier's calls, under a role that has exactly what the template allows: those of a copy's life, and some that must be refused.

use std::time::Duration;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{
    CreateVolumePermission, CreateVolumePermissionModifications, ImageAttributeName, ImageReferenceResourceType,
    LaunchPermission, LaunchPermissionModifications, ResourceTypeRequest, SnapshotAttributeName, Tag,
};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::types::QueueAttributeName;
use courier_core::image::tag::{DISABLED_WITH_SOURCE, FINISHED, SOURCE_IMAGE, USAGE_REPORT};
use time::OffsetDateTime;

use super::Answer;
use super::retired::{INSTANCES, order_report};
use crate::aws::{Aws, CallError, answered};
use crate::lab::{Lab, PATH, Role, snapshot_ids, tag};

const GIVE_UP_RECEIVING_AFTER: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_secs(5);
const A_YEAR: i64 = 365 * 24 * 60 * 60;
/// No name that the template lets the function read.
const ELSEWHERE: &str = "/ami-courier-elsewhere";

pub(crate) async fn is_each_call_of_the_courier_allowed_to_its_role(lab: &Lab) -> Answer {
    let role = lab.role().await?;
    let source = &lab.source().await?.image_id;
    let [run, skip] = lab.tags();
    let tags = [(SOURCE_IMAGE, source.as_str()), run, skip];
    let copy = lab.copy_of_source_by(&role.aws, &lab.name("by the role"), &lab.token("role"), &tags).await?;
    let image_id = match answered(lab.copy(copy).await)? {
        Ok(id) => id,
        Err(code) => return Ok(format!("CopyImage is refused ({code}); no other call was made")),
    };
    let snapshots = snapshot_ids(&lab.wait_until_available(&image_id).await?);
    let ec2 = role.aws.ec2(&lab.plan.region);
    let mut trial = Trial { lab, role, ec2, image_id: &image_id, calls: 1, refused: Vec::new() };
    trial.look(source, &snapshots).await?;
    trial.finish(&snapshots).await?;
    trial.ask_who_uses_it().await?;
    trial.use_queues().await?;
    trial.use_parameters().await?;
    trial.judge("PutEvents", put_event(role, &lab.plan.region, "ami-courier").await)?;
    let retire = trial.ec2.deregister_image().image_id(&image_id).delete_associated_snapshots(true);
    if trial.judge("DeregisterImage", retire.send().await)?.is_some() {
        lab.removed(&image_id);
    }
    Ok(match trial.refused.as_slice() {
        [] => format!("yes: each of {} calls", trial.calls),
        refused => format!("{} of {} calls refused: {}", refused.len(), trial.calls, refused.join(", ")),
    })
}

/// The calls for one copy.
struct Trial<'a> {
    lab: &'a Lab,
    role: &'a Role,
    ec2: aws_sdk_ec2::Client,
    image_id: &'a str,
    calls: usize,
    /// Each action with its error code.
    refused: Vec<String>,
}

impl Trial<'_> {
    /// Counts a call. Returns its answer, unless it was refused.
    fn judge<T>(&mut self, action: &str, answer: Result<T, impl Into<CallError>>) -> Result<Option<T>, CallError> {
        self.calls += 1;
        Ok(answered(answer)?.map_err(|code| self.refused.push(format!("{action} ({code})"))).ok())
    }

    async fn look(&mut self, source: &str, snapshots: &[String]) -> Result<(), CallError> {
        let there = self.role.aws.ec2(&self.lab.plan.source_region);
        self.judge("DescribeImages", there.describe_images().image_ids(source).include_disabled(true).send().await)?;
        self.judge("DescribeImages", self.ec2.describe_images().image_ids(self.image_id).send().await)?;
        let snapshots = self.ec2.describe_snapshots().set_snapshot_ids(Some(snapshots.to_vec()));
        self.judge("DescribeSnapshots", snapshots.send().await).map(drop)
    }

    /// It takes a permission away that nobody has, so nothing is shared.
    async fn finish(&mut self, snapshots: &[String]) -> Result<(), CallError> {
        let (ec2, id, account) = (self.ec2.clone(), self.image_id, &self.role.account);
        let nobody =
            LaunchPermissionModifications::builder().remove(LaunchPermission::builder().user_id(account).build());
        let share = ec2.modify_image_attribute().image_id(id).launch_permission(nobody.build());
        self.judge("ModifyImageAttribute", share.send().await)?;
        for snapshot in snapshots {
            let nobody = CreateVolumePermission::builder().user_id(account).build();
            let nobody = CreateVolumePermissionModifications::builder().remove(nobody).build();
            let share = ec2.modify_snapshot_attribute().snapshot_id(snapshot).create_volume_permission(nobody);
            let share = share.attribute(SnapshotAttributeName::CreateVolumePermission);
            self.judge("ModifySnapshotAttribute", share.send().await)?;
        }
        let deprecate = ec2.enable_image_deprecation().image_id(id);
        let deprecate =
            deprecate.deprecate_at(DateTime::from_secs(OffsetDateTime::now_utc().unix_timestamp() + A_YEAR));
        self.judge("EnableImageDeprecation", deprecate.send().await)?;
        let protect = ec2.enable_image_deregistration_protection().image_id(id).with_cooldown(false);
        if self.judge("EnableImageDeregistrationProtection", protect.send().await)?.is_some() {
            // The role may not take it back; the user may.
            self.lab.ec2().disable_image_deregistration_protection().image_id(id).send().await?;
        }
        self.judge("CreateTags", ec2.create_tags().resources(id).tags(tag(FINISHED, "probe")).send().await)?;
        self.judge("DisableImage", ec2.disable_image().image_id(id).send().await)?;
        let mark = ec2.create_tags().resources(id).tags(tag(DISABLED_WITH_SOURCE, "probe"));
        self.judge("CreateTags", mark.send().await)?;
        self.judge("EnableImage", ec2.enable_image().image_id(id).send().await)?;
        // Without a value, DeleteTags deletes the tag whatever its value is.
        let mark = ec2.delete_tags().resources(id).tags(Tag::builder().key(DISABLED_WITH_SOURCE).build());
        self.judge("DeleteTags", mark.send().await).map(drop)
    }

    async fn ask_who_uses_it(&mut self) -> Result<(), CallError> {
        let (ec2, id) = (self.ec2.clone(), self.image_id);
        let shared = ec2.describe_image_attribute().image_id(id);
        let shared = shared.attribute(ImageAttributeName::LaunchPermission);
        self.judge("DescribeImageAttribute", shared.send().await)?;
        let kinds = [
            ImageReferenceResourceType::Ec2Instance,
            ImageReferenceResourceType::Ec2LaunchTemplate,
            ImageReferenceResourceType::SsmParameter,
            ImageReferenceResourceType::ImageBuilderImageRecipe,
            ImageReferenceResourceType::ImageBuilderContainerRecipe,
        ];
        let kinds = kinds.into_iter().map(|kind| ResourceTypeRequest::builder().resource_type(kind).build()).collect();
        let references = ec2.describe_image_references().image_ids(id).set_resource_types(Some(kinds));
        self.judge("DescribeImageReferences", references.send().await)?;
        let [run, skip] = self.lab.tags();
        let tags = [(USAGE_REPORT, id), run, skip];
        let report = order_report(self.lab, &self.role.aws, id, "report-by-role", &INSTANCES, &tags).await;
        let Some(report_id) = self.judge("CreateImageUsageReport", report)? else { return Ok(()) };
        let reports = ec2.describe_image_usage_reports().image_ids(id);
        self.judge("DescribeImageUsageReports", reports.send().await)?;
        let entries = ec2.describe_image_usage_report_entries().image_ids(id);
        self.judge("DescribeImageUsageReportEntries", entries.send().await)?;
        let deleted = ec2.delete_image_usage_report().report_id(&report_id).send().await;
        if self.judge("DeleteImageUsageReport", deleted)?.is_some() {
            self.lab.removed(&report_id);
        }
        Ok(())
    }

    /// Rejects a message, and passes one through the queue, as the courier and Lambda's poller do.
    async fn use_queues(&mut self) -> Result<(), CallError> {
        let (sqs, queue) = (self.role.aws.sqs(&self.lab.plan.region), &self.role.queue);
        let reject = sqs.send_message().queue_url(&self.role.dead_letters).message_body("probe");
        self.judge("SendMessage to the dead-letter queue", reject.send().await)?;
        let depth = sqs.get_queue_attributes().queue_url(queue);
        let depth = depth.attribute_names(QueueAttributeName::ApproximateNumberOfMessages);
        self.judge("GetQueueAttributes", depth.send().await)?;
        let sent = sqs.send_message().queue_url(queue).message_body("probe").send().await;
        let is_sent = self.judge("SendMessage", sent)?.is_some();
        let received = self.receive(&sqs).await;
        let Some(handle) = self.judge("ReceiveMessage", received)? else { return Ok(()) };
        let Some(handle) = handle.filter(|_| is_sent) else {
            return Err(CallError::Lost("SQS gave no message within a minute".to_owned()));
        };
        let later = sqs.change_message_visibility().queue_url(queue).receipt_handle(&handle).visibility_timeout(60);
        self.judge("ChangeMessageVisibility", later.send().await)?;
        let done = sqs.delete_message().queue_url(queue).receipt_handle(&handle);
        self.judge("DeleteMessage", done.send().await).map(drop)
    }

    /// The receipt handle of a message: SQS may give none at first.
    async fn receive(&self, sqs: &aws_sdk_sqs::Client) -> Result<Option<String>, CallError> {
        let begun = self.lab.aws.elapsed();
        loop {
            let answer = sqs.receive_message().queue_url(&self.role.queue).max_number_of_messages(10).send().await?;
            let handle = answer.messages().first().and_then(|message| message.receipt_handle());
            if handle.is_some() || self.lab.aws.elapsed() >= begun + GIVE_UP_RECEIVING_AFTER {
                return Ok(handle.map(str::to_owned));
            }
            self.lab.aws.sleep(POLL).await?;
        }
    }

    /// Publishes the AMI in a parameter, and reads one that could be announced.
    async fn use_parameters(&mut self) -> Result<(), CallError> {
        let (lab, plan, aws) = (self.lab, &self.lab.plan, &self.role.aws);
        let put = lab.put_parameter(aws, "", self.image_id, "aws:ec2:image").await;
        self.judge("PutParameter", put)?;
        self.judge("GetParameter", get_parameter(aws, &plan.region, &format!("{PATH}{}", plan.run)).await)?;
        let announced = get_parameter(aws, &plan.source_region, &format!("{PATH}announced")).await;
        self.judge("GetParameter in the source Region", announced).map(drop)
    }
}

/// A parameter that does not exist may be read: whether the caller may read it comes first.
async fn get_parameter(aws: &Aws, region: &str, name: &str) -> Result<(), CallError> {
    match aws.ssm(region).get_parameter().name(name).send().await.map_err(CallError::from) {
        Err(error) if error.code() != Some("ParameterNotFound") => Err(error),
        _ => Ok(()),
    }
}

/// One event on the default bus, under the role.
async fn put_event(role: &Role, region: &str, source: &str) -> Result<(), CallError> {
    let entry = PutEventsRequestEntry::builder().source(source).detail_type("AMI Copy State Change");
    let entry = entry.detail(r#"{"Outcome": "Probe"}"#).build();
    let answer = role.aws.events(region).put_events().entries(entry).send().await?;
    let entry = answer.entries().first();
    match entry.and_then(|entry| entry.error_code()) {
        None => Ok(()),
        Some(code) => {
            let message = entry.and_then(|entry| entry.error_message()).unwrap_or_default();
            Err(CallError::Refused { code: code.to_owned(), message: message.to_owned() })
        }
    }
}

/// One call of each service. None of them changes anything that matters if it is allowed.
pub(crate) async fn is_each_other_call_refused_to_the_role(lab: &Lab) -> Answer {
    let role = lab.role().await?;
    let Role { aws, dead_letters, .. } = role;
    let region = &lab.plan.region;
    // The source is no copy: the mark is for copies only.
    let source = &lab.source().await?.image_id;
    let mark = aws.ec2(&lab.plan.source_region).create_tags().resources(source).tags(tag(FINISHED, "probe"));
    let receive = aws.sqs(region).receive_message().queue_url(dead_letters).max_number_of_messages(10);
    let answers = [
        ("CreateTags on the source AMI", mark.send().await.map(drop).map_err(CallError::from)),
        ("ReceiveMessage from the dead-letter queue", receive.send().await.map(drop).map_err(CallError::from)),
        ("GetParameter", get_parameter(aws, region, ELSEWHERE).await),
        ("PutEvents of another source", put_event(role, region, "ami-courier-probe").await),
    ];
    let count = answers.len();
    let mut allowed = Vec::new();
    for (call, answer) in answers {
        // EC2 has a code of its own. Any other error comes after the permission.
        let codes = ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException"];
        if !answered(answer)?.is_err_and(|code| codes.contains(&code.as_str())) {
            allowed.push(call);
        }
    }
    Ok(match allowed.as_slice() {
        [] => format!("refused: each of {count} calls"),
        calls => format!("{} of {count} calls allowed: {}", calls.len(), calls.join(", ")),
    })
}
