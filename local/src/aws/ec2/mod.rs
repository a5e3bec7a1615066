//! EC2, with a file for each group of actions. Each action is a function from the world, the caller and the parameters to
//! an [`Answer`]; rules and messages are those of the API reference.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/>

mod block_device;
pub(super) mod copy_image;
mod deprecation;
mod deregister_image;
mod describe_images;
mod disable_image;
mod earlier;
mod filter;
mod id;
pub(super) mod image;
mod image_attribute;
mod image_filter;
mod image_view;
mod lookup;
mod name;
mod page;
mod parameters;
mod protection;
mod recycle_bin;
mod references;
mod register_image;
mod share_later;
pub(super) mod snapshot;
mod snapshot_attribute;
mod snapshot_lookup;
mod snapshots;
mod state_change;
mod store;
mod tag_change;
mod tags;
mod usage_report;
mod version_depth;
mod visibility;

use serde_json::Value;

use super::error::ApiError;
use super::request::{Answer, Caller};
use super::world::World;
use parameters::Parameters;

pub(super) use tags::of_targets as tags_of_targets;

pub(super) fn dispatch(world: &mut World, caller: &Caller, action: &str, parameters: &Value) -> Answer {
    let perform = match action {
        "CopyImage" => copy_image::copy_image,
        "CreateImageUsageReport" => usage_report::create_image_usage_report,
        "CreateTags" => tags::create_tags,
        "DeleteImageUsageReport" => usage_report::delete_image_usage_report,
        "DeleteSnapshot" => snapshots::delete_snapshot,
        "DeleteTags" => tags::delete_tags,
        "DeregisterImage" => deregister_image::deregister_image,
        "DescribeImageAttribute" => image_attribute::describe_image_attribute,
        "DescribeImageReferences" => references::describe_image_references,
        "DescribeImageUsageReportEntries" => usage_report::describe_image_usage_report_entries,
        "DescribeImageUsageReports" => usage_report::describe_image_usage_reports,
        "DescribeImages" => describe_images::describe_images,
        "DescribeSnapshotAttribute" => snapshot_attribute::describe_snapshot_attribute,
        "DescribeSnapshots" => snapshots::describe_snapshots,
        "DisableImage" => disable_image::disable_image,
        "DisableImageDeprecation" => deprecation::disable_image_deprecation,
        "DisableImageDeregistrationProtection" => protection::disable_image_deregistration_protection,
        "EnableImage" => disable_image::enable_image,
        "EnableImageDeprecation" => deprecation::enable_image_deprecation,
        "EnableImageDeregistrationProtection" => protection::enable_image_deregistration_protection,
        "GetEbsEncryptionByDefault" => snapshots::get_ebs_encryption_by_default,
        "ModifyImageAttribute" => image_attribute::modify_image_attribute,
        "ModifySnapshotAttribute" => snapshot_attribute::modify_snapshot_attribute,
        "RegisterImage" => register_image::register_image,
        _ => {
            return Err(ApiError::client(
                "InvalidAction",
                format!("The action {action} is not valid for this web service."),
            ));
        }
    };
    perform(world, caller, &Parameters::new(parameters))
}
