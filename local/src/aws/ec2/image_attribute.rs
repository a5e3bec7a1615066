//! `ModifyImageAttribute` and `DescribeImageAttribute`: launch permissions and a few other attributes.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyImageAttribute.html>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::image::{Image, LaunchPermission};
use super::parameters::Parameters;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::timestamp::ec2_time;
use crate::aws::world::World;

pub(super) fn modify_image_attribute(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let id = parameters.required("ImageId")?;
    let change = Change::read(parameters)?;
    let blocked = world.behaviour.public_access_blocked.contains(&caller.region);
    let image = world.own_available_image(caller, id)?;
    change.check(image, &caller.region, blocked)?;
    parameters.stop_if_dry_run()?;
    match change {
        Change::Description(text) => image.description = Some(text.to_owned()).filter(|text| !text.is_empty()),
        Change::ImdsSupport(value) => image.imds_support = Some(value.to_owned()),
        Change::LaunchPermissions { added, removed } => {
            image.launch_permissions.extend(added);
            image.launch_permissions.retain(|permission| !removed.contains(permission));
        }
    }
    Ok(json!({ "return": true }))
}

/// The one attribute that a request changes.
enum Change<'a> {
    Description(&'a str),
    ImdsSupport(&'a str),
    LaunchPermissions { added: BTreeSet<LaunchPermission>, removed: BTreeSet<LaunchPermission> },
}

impl<'a> Change<'a> {
    /// A structure (`LaunchPermission.Add.N.UserId`), or the older `Attribute` with a value or lists.
    fn read(parameters: &Parameters<'a>) -> Result<Self, ApiError> {
        let attribute = parameters.text("Attribute");
        let value_of = |structure: &str, name: &str| {
            parameters
                .below(structure)
                .text("Value")
                .or_else(|| parameters.text("Value").filter(|_| attribute == Some(name)))
        };
        let (description, imds_support) =
            (value_of("Description", "description"), value_of("ImdsSupport", "imdsSupport"));
        let is_one = parameters.names_one_of(&["Description", "ImdsSupport", "LaunchPermission", "Attribute"]);
        if !is_one {
            return Err(ApiError::client(
                "InvalidParameterCombination",
                "The request may contain one attribute to modify at a time",
            ));
        }
        if let Some(text) = description {
            if text.chars().count() > 255 {
                return Err(ApiError::invalid_value("Description exceeds the maximum length of 255 characters"));
            }
            return Ok(Change::Description(text));
        }
        if let Some(value) = imds_support {
            // Documented: once it is set, it cannot be taken back.
            if value != "v2.0" {
                return Err(ApiError::invalid_value(format!("Value ({value}) for imdsSupport is invalid: v2.0")));
            }
            return Ok(Change::ImdsSupport(value));
        }
        let permission = parameters.below("LaunchPermission");
        let mut added = read_permissions(&permission.structures("Add"))?;
        let mut removed = read_permissions(&permission.structures("Remove"))?;
        match parameters.text("OperationType") {
            Some("add") => added.extend(listed_permissions(parameters)?),
            Some("remove") => removed.extend(listed_permissions(parameters)?),
            _ => {}
        }
        if added.is_empty() && removed.is_empty() {
            return Err(ApiError::client(
                "MissingParameter",
                "The request must contain an attribute to modify: launchPermission, description or imdsSupport",
            ));
        }
        Ok(Change::LaunchPermissions { added, removed })
    }

    fn check(&self, image: &Image, region: &str, public_access_is_blocked: bool) -> Result<(), ApiError> {
        let Change::LaunchPermissions { added, .. } = self else {
            return Ok(());
        };
        let has_default_key =
            |image: &Image| image.snapshots.iter().any(|snapshot| snapshot.has_default_key(region, &image.owner));
        if !added.is_empty() && has_default_key(image) {
            return Err(ApiError::client(
                "InvalidParameter",
                "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.",
            ));
        }
        let is_encrypted = image.snapshots.iter().any(|snapshot| snapshot.encrypted);
        if !added.contains(&LaunchPermission::Everyone) {
            return Ok(());
        }
        if is_encrypted {
            return Err(ApiError::client("InvalidParameter", "AMIs with encrypted snapshots can't be made public."));
        }
        // Reported: watermarks are never on a public AMI. The code is assumed.
        if !image.watermarks.is_empty() {
            return Err(ApiError::client("OperationNotPermitted", "AMIs with watermarks can't be made public."));
        }
        // Documented: any attempt is blocked. The code is assumed.
        if public_access_is_blocked {
            return Err(ApiError::client(
                "OperationNotPermitted",
                "You can't publicly share this AMI because block public access for AMIs is enabled for this Region.",
            ));
        }
        Ok(())
    }
}

fn read_permissions(items: &[Parameters<'_>]) -> Result<BTreeSet<LaunchPermission>, ApiError> {
    let mut permissions = BTreeSet::new();
    for item in items {
        let named = ["UserId", "Group", "OrganizationArn", "OrganizationalUnitArn"]
            .into_iter()
            .filter_map(|kind| Some((kind, item.text(kind)?)));
        for (kind, value) in named {
            permissions.insert(permission(kind, value)?);
        }
    }
    Ok(permissions)
}

fn listed_permissions(parameters: &Parameters<'_>) -> Result<BTreeSet<LaunchPermission>, ApiError> {
    [
        ("UserId", "UserId"),
        ("UserGroup", "Group"),
        ("OrganizationArn", "OrganizationArn"),
        ("OrganizationalUnitArn", "OrganizationalUnitArn"),
    ]
    .into_iter()
    .flat_map(|(list, kind)| parameters.list(list).into_iter().map(move |value| (kind, value)))
    .map(|(kind, value)| permission(kind, value))
    .collect()
}

fn permission(kind: &str, value: &str) -> Result<LaunchPermission, ApiError> {
    let is_arn =
        |resource: &str| value.starts_with("arn:") && value.contains(":organizations::") && value.contains(resource);
    match kind {
        "UserId" => check_account(value).map(|()| LaunchPermission::UserId(value.to_owned())),
        "Group" if value == "all" => Ok(LaunchPermission::Everyone),
        "OrganizationArn" if is_arn(":organization/") => Ok(LaunchPermission::OrganizationArn(value.to_owned())),
        "OrganizationalUnitArn" if is_arn(":ou/") => Ok(LaunchPermission::OrganizationalUnitArn(value.to_owned())),
        _ => Err(invalid_item(value, kind)),
    }
}

/// # Errors
/// `InvalidAMIAttributeItemValue`, for a value that is no account id.
pub(super) fn check_account(value: &str) -> Result<(), ApiError> {
    if value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(invalid_item(value, "userId"))
}

fn invalid_item(value: &str, kind: &str) -> ApiError {
    ApiError::client(
        "InvalidAMIAttributeItemValue",
        format!("Invalid attribute item value \"{value}\" for {kind} item type."),
    )
}

pub(super) fn describe_image_attribute(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let id = parameters.required("ImageId")?;
    let attribute = parameters.required("Attribute")?;
    let now = world.now();
    let image = world.own_image(caller, id)?;
    parameters.stop_if_dry_run()?;
    let text = |value: Option<String>| json!({ "value": value });
    let value = match attribute {
        "description" => text(image.description.clone()),
        "bootMode" => text(image.boot_mode.clone()),
        "imdsSupport" => text(image.imds_support.clone()),
        "tpmSupport" => text(image.tpm_support.clone()),
        "lastLaunchedTime" => text(image.shown_last_launched_time(now).map(ec2_time)),
        "deregistrationProtection" => text(Some(image.deregistration_protection.as_str().to_owned())),
        "launchPermission" => image.launch_permissions.iter().map(permission_view).collect(),
        "productCodes" => json!([]),
        other => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter attribute is invalid.")));
        }
    };
    Ok(json!({ "imageId": id, attribute: value }))
}

fn permission_view(permission: &LaunchPermission) -> Value {
    match permission {
        LaunchPermission::Everyone => json!({ "group": "all" }),
        LaunchPermission::UserId(account) => json!({ "userId": account }),
        LaunchPermission::OrganizationArn(arn) => json!({ "organizationArn": arn }),
        LaunchPermission::OrganizationalUnitArn(arn) => json!({ "organizationalUnitArn": arn }),
    }
}
