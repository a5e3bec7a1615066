//! The role of `--permissions`: exactly what the template allows the function to ask of EC2, SQS, Parameter Store and `EventBridge`.

use std::time::Duration;

use serde_json::{Value, json};

use super::bench::{Kind, Lab, Plan, RUN_TAG};
use super::events::NAME_PREFIX;
use super::things::Role;
use crate::aws::{CallError, Connection, Parameters, partition};

/// The path of the role of `--permissions`.
pub const ROLE_PATH: &str = "/ami-courier-probe/";
/// The name of its policy.
pub const ROLE_POLICY: &str = "ami-courier";
/// The path of the parameter that the role publishes; the run's id follows. It is `ParameterName` and `SourceParameterPath` of the
/// template.
pub const PARAMETER_PATH: &str = "/ami-courier-probe/";
/// IAM is eventually consistent: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>
const GIVE_UP_WAITING_FOR_ROLE: Duration = Duration::from_secs(3 * 60);

impl Lab {
    /// AWS under a role that has exactly what the template allows the function.
    pub(crate) async fn role(&self) -> Result<&Role, CallError> {
        self.role.get_or_init(|| self.make_role()).await.as_ref().map_err(Clone::clone)
    }

    async fn make_role(&self) -> Result<Role, CallError> {
        self.say("making a role with the policy of the template");
        let account = self.aws.caller_identity().await?.account;
        let partition = partition(&self.plan.region);
        let name = format!("{RUN_TAG}-{}", self.plan.run);
        let [queue, dead_letters] =
            ["queue", "dead-letters"].map(|kind| format!("{NAME_PREFIX}{}-{kind}", self.plan.run));
        let queue_url = self.make_queue(&queue, &json!({})).await?;
        let dead_letters_url = self.make_queue(&dead_letters, &json!({})).await?;
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
                "Action": "sts:AssumeRole",
            }],
        });
        let role = Parameters::default()
            .with("Path", ROLE_PATH)
            .with("RoleName", &name)
            .with("AssumeRolePolicyDocument", trust.to_string())
            .with("Tags.member.1.Key", RUN_TAG)
            .with("Tags.member.1.Value", &self.plan.run);
        let made = self.aws.iam("CreateRole", &role).await;
        self.note_made(Kind::Role, made)?;
        let policy = role_policy(&account, &self.plan, &queue, &dead_letters);
        let policy = Parameters::default()
            .with("RoleName", &name)
            .with("PolicyName", ROLE_POLICY)
            .with("PolicyDocument", policy);
        self.aws.iam("PutRolePolicy", &policy).await?;
        let arn = format!("arn:{partition}:iam::{account}:role{ROLE_PATH}{name}");
        let begun = self.elapsed();
        loop {
            // A new role and its policy take effect late.
            let aws = match self.aws.assume_role(&arn, &name).await {
                Err(error) if error.code() == Some("AccessDenied") => Err(error),
                assumed => Ok(assumed?),
            };
            let look = Parameters::default().with("Owner.1", "self").filter("name", &self.name("source"));
            let allowed = match aws {
                Err(error) => Err(error),
                Ok(aws) => aws.ec2(&self.plan.region, "DescribeImages", &look).await.map(|_| aws),
            };
            match allowed {
                Ok(aws) => return Ok(Role { aws, account, queue: queue_url, dead_letters: dead_letters_url }),
                Err(CallError::Refused(_)) if self.elapsed() < begun + GIVE_UP_WAITING_FOR_ROLE => {}
                Err(error) => return Err(error),
            }
            self.aws.sleep(Duration::from_secs(5)).await?;
        }
    }

    /// A call under another principal that makes an AMI; noted.
    pub(crate) async fn copy_as(&self, aws: &Connection, parameters: &Parameters) -> Result<String, CallError> {
        let answer = self.note_lost(aws.ec2(&self.plan.region, "CopyImage", parameters).await)?;
        self.image_made(&self.plan.region, &answer)
    }

    /// `PutParameter` under another principal; noted.
    pub(crate) async fn put_parameter(&self, aws: &Connection, parameter: &Value) -> Result<Value, CallError> {
        let answer = aws.ssm(&self.plan.region, "PutParameter", parameter).await;
        self.note_made(Kind::Parameter, answer)
    }

    /// An AMI of the run was deregistered.
    pub(crate) fn image_removed(&self, image_id: &str) {
        let mut made = self.ledger();
        made.images.retain(|(_, id, _)| id != image_id);
        made.removed_images.insert(image_id.to_owned());
    }
}

/// The template's policy for this account, these Regions and these queues, without spaces: IAM limits its length.
fn role_policy(account: &str, plan: &Plan, queue: &str, dead_letters: &str) -> String {
    let arn = |queue: &str| format!("arn:${{Partition}}:sqs:${{Region}}:${{Account}}:{queue}");
    let policy = include_str!("../role_policy.json")
        .replace("${Queue}", &arn(queue))
        .replace("${DeadLetterQueue}", &arn(dead_letters))
        .replace("${Account}", account)
        .replace("${Region}", &plan.region)
        .replace("${SourceRegion}", &plan.source_region)
        .replace("${Partition}", partition(&plan.region));
    policy.lines().map(str::trim_start).collect()
}
