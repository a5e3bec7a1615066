//! The IAM policy that the user of the probe needs. `tests/stack/test_probe.py` proves it against the calls that the tests recorded.
//!
//! Which action knows which resource and condition: AWS's Service Authorization Reference, for Amazon EC2, Amazon Elastic Block Store,
//! Amazon EventBridge, Amazon SQS, AWS Systems Manager, IAM and STS. `GetCallerIdentity` needs no permission.

use serde_json::{Value, json};

use crate::aws::partition;
use crate::lab::{NAME_PREFIX, PARAMETER_PATH, Plan, ROLE_PATH, RUN_TAG, SHARED_TAG};

/// The policy for these Regions, with what `--permissions` needs in statements of their own.
#[must_use]
pub fn of_caller(plan: &Plan) -> Value {
    let partition = partition(&plan.region);
    let arn = |kind: &str| format!("arn:{partition}:ec2:*::{kind}/*");
    let (images, snapshots) = (arn("image"), arn("snapshot"));
    let reports = format!("arn:{partition}:ec2:*:*:image-usage-report/*");
    let rules = format!("arn:{partition}:events:*:*:rule/{NAME_PREFIX}*");
    let queues = format!("arn:{partition}:sqs:*:*:{NAME_PREFIX}*");
    let parameters = format!("arn:{partition}:ssm:*:*:parameter{PARAMETER_PATH}*");
    let role = format!("arn:{partition}:iam::*:role{ROLE_PATH}*");
    let regions = json!([plan.region, plan.source_region]);
    let here = json!({ "aws:RequestedRegion": regions });
    let makes = json!({ format!("aws:RequestTag/{RUN_TAG}"): "*" });
    let made = json!({ format!("aws:ResourceTag/{RUN_TAG}"): "*" });
    let allow = |sid: &str, actions: Value, resources: Value, conditions: Value| json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources, "Condition": conditions });
    let statements = [
        allow(
            "Look",
            json!(["ec2:DescribeImages", "ec2:DescribeSnapshots", "ec2:DescribeImageUsageReports"]),
            json!("*"),
            json!({ "StringEquals": here }),
        ),
        allow(
            "StartSnapshot",
            json!("ebs:StartSnapshot"),
            json!(snapshots),
            json!({ "StringLike": makes, "StringEquals": here }),
        ),
        allow(
            "WriteOwnSnapshot",
            json!(["ebs:PutSnapshotBlock", "ebs:CompleteSnapshot"]),
            json!(snapshots),
            json!({ "StringLike": made, "StringEquals": here }),
        ),
        allow(
            "RegisterOwnSnapshot",
            json!("ec2:RegisterImage"),
            json!(snapshots),
            json!({ "StringLike": made, "StringEquals": here }),
        ),
        allow("RegisterImage", json!("ec2:RegisterImage"), json!(images), json!({ "StringEquals": here })),
        // EC2 also asks for the source, which has no tag of the request.
        allow("CopyImage", json!("ec2:CopyImage"), json!([images, snapshots]), json!({ "StringEquals": here })),
        allow(
            "TagWhatIsMade",
            json!("ec2:CreateTags"),
            json!([images, snapshots, reports]),
            json!({ "StringLike": makes, "StringEquals": here }),
        ),
        allow(
            "TrySharedTag",
            json!("ec2:CreateTags"),
            json!([images, snapshots]),
            json!({ "StringLike": made, "StringEquals": here, "ForAllValues:StringEquals": { "aws:TagKeys": [SHARED_TAG] } }),
        ),
        allow(
            "ChangeAndRemoveOwnImages",
            json!(["ec2:DisableImage", "ec2:EnableImage", "ec2:DeregisterImage", "ec2:CreateImageUsageReport"]),
            json!(images),
            json!({ "StringLike": made, "StringEquals": here }),
        ),
        allow(
            "RemoveOwnSnapshots",
            json!("ec2:DeleteSnapshot"),
            json!(snapshots),
            json!({ "StringLike": made, "StringEquals": here }),
        ),
        allow("OrderUsageReport", json!("ec2:CreateImageUsageReport"), json!(reports), json!({ "StringEquals": here })),
        allow(
            "RemoveOwnUsageReports",
            json!("ec2:DeleteImageUsageReport"),
            json!(reports),
            json!({ "StringLike": made, "StringEquals": here }),
        ),
        allow(
            "FindRulesAndQueues",
            json!(["events:ListRules", "sqs:ListQueues"]),
            json!("*"),
            json!({ "StringEquals": here }),
        ),
        allow(
            "MakeAndRemoveRule",
            json!([
                "events:PutRule",
                "events:TagResource",
                "events:PutTargets",
                "events:RemoveTargets",
                "events:DeleteRule"
            ]),
            json!(rules),
            json!({ "StringEquals": here }),
        ),
        allow(
            "MakeReadAndRemoveQueue",
            json!(["sqs:CreateQueue", "sqs:TagQueue", "sqs:ReceiveMessage", "sqs:DeleteQueue"]),
            json!(queues),
            json!({ "StringEquals": here }),
        ),
        allow(
            "ForPermissionsUnprotectOwnImages",
            json!("ec2:DisableImageDeregistrationProtection"),
            json!(images),
            json!({ "StringLike": made, "StringEquals": here }),
        ),
        allow(
            "ForPermissionsFindParameters",
            json!("ssm:DescribeParameters"),
            json!("*"),
            json!({ "StringEquals": here }),
        ),
        allow(
            "ForPermissionsRemoveParameters",
            json!("ssm:DeleteParameter"),
            json!(parameters),
            json!({ "StringEquals": here }),
        ),
        json!({
            "Sid": "ForPermissionsMakeUseAndRemoveRole",
            "Effect": "Allow",
            "Action": ["iam:CreateRole", "iam:TagRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:DeleteRole", "sts:AssumeRole"],
            "Resource": role,
        }),
        json!({
            "Sid": "ForPermissionsFindRole",
            "Effect": "Allow",
            "Action": "iam:ListRoles",
            "Resource": "*",
        }),
    ];
    json!({ "Version": "2012-10-17", "Statement": statements })
}
