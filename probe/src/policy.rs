//! The IAM policy that the user of the probe needs. `tests/stack/test_probe.py` proves it against the calls that the tests recorded.
//!
//! Which action knows which resource and condition: AWS's Service Authorization Reference, for Amazon EC2, Amazon Elastic Block Store,
//! Amazon EventBridge, Amazon SQS, AWS Systems Manager, IAM and STS. `GetCallerIdentity` needs no permission.

use serde_json::{Map, Value, json};

use crate::lab::{NAME_PREFIX, PATH, Plan, RUN_TAG, SHARED_TAG};

/// The policy for these Regions, with what `--permissions` needs in statements of their own.
pub fn of_caller(plan: &Plan) -> Value {
    let arn = |rest: &str| format!("arn:{}:{rest}", plan.partition());
    let (image, snapshot) = (&arn("ec2:*::image/*"), &arn("ec2:*::snapshot/*"));
    let report = &arn("ec2:*:*:image-usage-report/*");
    let rule = &arn(&format!("events:*:*:rule/{NAME_PREFIX}*"));
    let queue = &arn(&format!("sqs:*:*:{NAME_PREFIX}*"));
    let parameter = &arn(&format!("ssm:*:*:parameter{PATH}*"));
    let its_role = &arn(&format!("iam::*:role{PATH}*"));
    let all = &"*".to_owned();
    let here = json!({ "StringEquals": { "aws:RequestedRegion": [plan.region, plan.source_region] } });
    let with = |operator: &str, key: String, value: Value| {
        let mut condition = here.clone();
        condition[operator] = Value::Object(Map::from_iter([(key, value)]));
        condition
    };
    let makes = with("StringLike", format!("aws:RequestTag/{RUN_TAG}"), json!("*"));
    let made = with("StringLike", format!("aws:ResourceTag/{RUN_TAG}"), json!("*"));
    let mut shares = made.clone();
    shares["ForAllValues:StringEquals"] = json!({ "aws:TagKeys": [SHARED_TAG] });
    // IAM and STS have no Region.
    let anywhere = Value::Null;
    let allow = |sid: &str, actions: &str, resources: &[&String], condition: &Value| {
        let actions: Vec<&str> = actions.split(' ').collect();
        let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources });
        if !condition.is_null() {
            statement["Condition"] = condition.clone();
        }
        statement
    };
    let look = "ec2:DescribeImages ec2:DescribeSnapshots ec2:DescribeImageUsageReports";
    let change = "ec2:DisableImage ec2:EnableImage ec2:DeregisterImage ec2:CreateImageUsageReport";
    let use_rule = "events:PutRule events:TagResource events:PutTargets events:RemoveTargets events:DeleteRule";
    let use_parameter = "ssm:PutParameter ssm:DeleteParameter";
    let find = "events:ListRules sqs:ListQueues ssm:DescribeParameters";
    let use_queue = "sqs:CreateQueue sqs:TagQueue sqs:ReceiveMessage sqs:DeleteQueue";
    let manage_role = "iam:CreateRole iam:TagRole iam:PutRolePolicy iam:DeleteRolePolicy iam:DeleteRole sts:AssumeRole";
    let statements = [
        allow("Look", look, &[all], &here),
        allow("StartSnapshot", "ebs:StartSnapshot", &[snapshot], &makes),
        allow("WriteOwnSnapshot", "ebs:PutSnapshotBlock ebs:CompleteSnapshot", &[snapshot], &made),
        allow("RegisterOwnSnapshot", "ec2:RegisterImage", &[snapshot], &made),
        allow("RegisterImage", "ec2:RegisterImage", &[image], &here),
        // EC2 also asks for the source, which has no tag of the request.
        allow("CopyImage", "ec2:CopyImage", &[image, snapshot], &here),
        allow("TagWhatIsMade", "ec2:CreateTags", &[image, snapshot, report], &makes),
        allow("TrySharedTag", "ec2:CreateTags", &[image, snapshot], &shares),
        allow("ChangeAndRemoveOwnImages", change, &[image], &made),
        allow("RemoveOwnSnapshots", "ec2:DeleteSnapshot", &[snapshot], &made),
        allow("OrderUsageReport", "ec2:CreateImageUsageReport", &[report], &here),
        allow("RemoveOwnUsageReports", "ec2:DeleteImageUsageReport", &[report], &made),
        allow("FindRulesQueuesAndParameters", find, &[all], &here),
        allow("MakeAndRemoveRule", use_rule, &[rule], &here),
        allow("MakeReadAndRemoveQueue", use_queue, &[queue], &here),
        allow("WriteAndRemoveParameters", use_parameter, &[parameter], &here),
        allow("ForPermissionsUnprotectOwnImages", "ec2:DisableImageDeregistrationProtection", &[image], &made),
        allow("ForPermissionsMakeUseAndRemoveRole", manage_role, &[its_role], &anywhere),
        allow("ForPermissionsFindRole", "iam:ListRoles", &[all], &anywhere),
    ];
    json!({ "Version": "2012-10-17", "Statement": statements })
}
