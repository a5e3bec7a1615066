//! Who may use an AMI, and who uses it.

use aws_sdk_ec2::types::{
    ImageReferenceOptionName, ImageReferenceResourceType, ImageUsageReport, ImageUsageResourceTypeOptionRequest,
    ImageUsageResourceTypeRequest, ResourceType, ResourceTypeOption, ResourceTypeRequest, Tag as Ec2Tag,
    TagSpecification,
};
use courier_core::identity::ImageId;
use courier_core::image::tag;
use courier_core::usage_report::{RESOURCE_TYPES, ReportState, UsageReport};
use time::OffsetDateTime;

use super::client::Ec2;
use crate::aws::error::{CallError, failed};

/// Something of this account that refers to an AMI and needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Such as `ec2:LaunchTemplate`.
    pub kind: String,
    pub arn: String,
}

/// How many resources of one kind another account makes of an AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseByAccount {
    pub account: String,
    /// One of [`RESOURCE_TYPES`].
    pub kind: String,
    pub count: i64,
}

/// By name: with "all resource types", a type that AWS adds would need a permission that the function does not have.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ResourceTypeRequest.html>
const REFERRING: [ImageReferenceResourceType; 5] = [
    ImageReferenceResourceType::Ec2Instance,
    ImageReferenceResourceType::Ec2LaunchTemplate,
    ImageReferenceResourceType::SsmParameter,
    ImageReferenceResourceType::ImageBuilderImageRecipe,
    ImageReferenceResourceType::ImageBuilderContainerRecipe,
];

/// The types that EC2 has reported on from the beginning.
const FIRST_RESOURCE_TYPES: [&str; 2] = ["ec2:Instance", "ec2:LaunchTemplate"];

const LAUNCH_TEMPLATE: &str = "ec2:LaunchTemplate";
/// As many versions as a launch template can have, and as EC2 looks at; without it, EC2 looks at the newest ten or twenty.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-template-restrictions.html>
const ALL_VERSIONS: &str = "10000";

impl Ec2 {
    /// What refers to the AMI in this account: instances, launch templates, SSM parameters, Image Builder recipes.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-ami-references.html>
    pub async fn references(&self, id: &ImageId) -> Result<Vec<Reference>, CallError> {
        let kinds = REFERRING.map(|kind| {
            let all_versions = (kind == ImageReferenceResourceType::Ec2LaunchTemplate).then(|| {
                let depth = ResourceTypeOption::builder().option_name(ImageReferenceOptionName::VersionDepth);
                vec![depth.option_values(ALL_VERSIONS).build()]
            });
            ResourceTypeRequest::builder().resource_type(kind).set_resource_type_options(all_versions).build()
        });
        let call =
            self.client.describe_image_references().image_ids(id.as_str()).set_resource_types(Some(kinds.to_vec()));
        let mut pages = call.into_paginator().send();
        let mut references = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed)?;
            references.extend(page.image_references().iter().map(|reference| Reference {
                kind: reference.resource_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
                arn: reference.arn().unwrap_or_default().to_owned(),
            }));
        }
        Ok(references)
    }

    /// Orders a report on the use of the AMI by other accounts. EC2 makes one about an AMI at a time. If EC2 refuses a type, the
    /// report is only about those of EC2 itself: it still names the accounts that it finds.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImageUsageReport.html>
    pub async fn order_usage_report(&self, id: &ImageId) -> Result<(), CallError> {
        match self.order_usage_report_about(id, &RESOURCE_TYPES).await {
            Err(refused) if refuses_a_parameter(&refused) => {
                self.order_usage_report_about(id, &FIRST_RESOURCE_TYPES).await
            }
            answer => answer,
        }
    }

    async fn order_usage_report_about(&self, id: &ImageId, kinds: &[&str]) -> Result<(), CallError> {
        let kinds = kinds.iter().map(|kind| {
            let all_versions = (*kind == LAUNCH_TEMPLATE).then(|| {
                let depth = ImageUsageResourceTypeOptionRequest::builder().option_name("version-depth");
                vec![depth.option_values(ALL_VERSIONS).build()]
            });
            ImageUsageResourceTypeRequest::builder()
                .resource_type(*kind)
                .set_resource_type_options(all_versions)
                .build()
        });
        let mark = Ec2Tag::builder().key(tag::USAGE_REPORT).value(id.as_str()).build();
        let tags = TagSpecification::builder().resource_type(ResourceType::ImageUsageReport).tags(mark).build();
        let call = self.client.create_image_usage_report().image_id(id.as_str());
        call.set_resource_types(Some(kinds.collect())).tag_specifications(tags).send().await.map(drop).map_err(failed)
    }

    /// The reports on the AMI that exist: the courier's, and those of others.
    pub async fn usage_reports(&self, id: &ImageId) -> Result<Vec<UsageReport>, CallError> {
        let mut pages = self.client.describe_image_usage_reports().image_ids(id.as_str()).into_paginator().send();
        let mut reports = Vec::new();
        while let Some(page) = pages.next().await {
            reports.extend(page.map_err(failed)?.image_usage_reports().iter().filter_map(usage_report));
        }
        Ok(reports)
    }

    /// What an available report says. An account that uses nothing of it is left out.
    pub async fn use_by_accounts(&self, report: &UsageReport) -> Result<Vec<UseByAccount>, CallError> {
        let call = self.client.describe_image_usage_report_entries().report_ids(&report.id);
        let mut pages = call.into_paginator().send();
        let mut uses = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed)?;
            let entries = page.image_usage_report_entries().iter().filter(|entry| entry.usage_count() != Some(0));
            uses.extend(entries.map(|entry| UseByAccount {
                account: entry.account_id().unwrap_or_default().to_owned(),
                kind: entry.resource_type().unwrap_or_default().to_owned(),
                count: entry.usage_count().unwrap_or(1),
            }));
        }
        Ok(uses)
    }

    /// A report that is gone already counts as deleted: another delivery may have done it.
    pub async fn delete_usage_report(&self, report: &UsageReport) -> Result<(), CallError> {
        match self.client.delete_image_usage_report().report_id(&report.id).send().await.map_err(failed) {
            Err(gone) if gone.code.as_deref().is_some_and(|code| code.ends_with(".NotFound")) => Ok(()),
            answer => answer.map(drop),
        }
    }
}

/// Whether EC2 refused the value of a parameter. Which code it has for a type that it does not know is not documented.
fn refuses_a_parameter(failed: &CallError) -> bool {
    failed.code.as_deref().is_some_and(|code| {
        code.starts_with("InvalidParameter")
            || matches!(code, "InvalidRequest" | "UnknownParameter" | "UnsupportedOperation")
    })
}

/// `None` for a report without an id, which EC2 never sends. A state that is not known counts as pending.
fn usage_report(seen: &ImageUsageReport) -> Option<UsageReport> {
    Some(UsageReport {
        id: seen.report_id()?.to_owned(),
        state: match seen.state() {
            Some("available") => ReportState::Available,
            Some("error") => ReportState::Error,
            _ => ReportState::Pending,
        },
        state_reason: seen.state_reason().map(str::to_owned),
        created: seen.creation_time().and_then(|time| OffsetDateTime::from_unix_timestamp(time.secs()).ok()),
        resource_types: seen.resource_types().iter().filter_map(|it| it.resource_type().map(str::to_owned)).collect(),
        is_own: seen.tags().iter().any(|mark| mark.key() == Some(tag::USAGE_REPORT)),
    })
}
