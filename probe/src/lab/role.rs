//! The role of `--permissions`: exactly what the template allows the function to ask of EC2, SQS, Parameter Store and `EventBridge`.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_ec2::types::Filter;
use aws_sdk_iam::types::Tag;
use serde_json::json;

use super::bench::{Kind, Lab, NAME_PREFIX, PATH, Plan, ROLE_POLICY, RUN_TAG, Role};
use crate::aws::{Aws, CallError};

/// IAM is eventually consistent: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html>
const GIVE_UP_WAITING_AFTER: Duration = Duration::from_secs(3 * 60);

impl Lab {
    /// AWS under a role that has exactly what the template allows the function.
    pub(crate) async fn role(&self) -> Result<&Role, CallError> {
        self.bench.role.get(Box::pin(self.make_role())).await
    }

    async fn make_role(&self) -> Result<Role, CallError> {
        self.say("making a role with the policy of the template");
        let Plan { region, run, .. } = &self.plan;
        let (account, _) = self.aws.caller().await?;
        let partition = self.plan.partition();
        let name = format!("{NAME_PREFIX}{run}");
        let [queue_name, dead_letters_name] =
            ["queue", "dead-letters"].map(|kind| format!("{NAME_PREFIX}{run}-{kind}"));
        let queue = self.make_queue(&queue_name, [].into()).await?;
        let dead_letters = self.make_queue(&dead_letters_name, [].into()).await?;
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
                "Action": "sts:AssumeRole",
            }],
        });
        let iam = self.aws.iam(region);
        let tag = Tag::builder().key(RUN_TAG).value(run).build().map_err(CallError::invalid)?;
        let role = iam.create_role().path(PATH).role_name(&name).assume_role_policy_document(trust.to_string());
        let role = role.tags(tag).send().await;
        self.keep(Kind::Role, region, role.map(|_| Some(name.clone())))?;
        let policy = role_policy(&account, &self.plan, &queue_name, &dead_letters_name);
        iam.put_role_policy().role_name(&name).policy_name(ROLE_POLICY).policy_document(policy).send().await?;
        let arn = format!("arn:{partition}:iam::{account}:role{PATH}{name}");
        let begun = self.aws.elapsed();
        loop {
            // A new role and its policy take effect late.
            match self.assume(&arn, &name).await {
                Ok(aws) => return Ok(Role { aws, account, queue, dead_letters }),
                Err(CallError::Refused { .. }) if self.aws.elapsed() < begun + GIVE_UP_WAITING_AFTER => {}
                Err(error) => return Err(error),
            }
            self.aws.sleep(Duration::from_secs(5)).await?;
        }
    }

    /// AWS under the role, once the role may look at AMIs.
    async fn assume(&self, arn: &str, session: &str) -> Result<Aws, CallError> {
        let region = &self.plan.region;
        let answer = self.aws.sts(region).assume_role().role_arn(arn).role_session_name(session).send().await?;
        let keys = answer.credentials.ok_or_else(|| CallError::Lost("no credentials in the answer".to_owned()))?;
        let token = Some(keys.session_token);
        let keys = Credentials::new(keys.access_key_id, keys.secret_access_key, token, None, "AssumeRole");
        let aws = self.aws.with_keys(keys);
        let source = Filter::builder().name("name").values(self.name("source")).build();
        aws.ec2(region).describe_images().owners("self").filters(source).send().await?;
        Ok(aws)
    }
}

/// The template's policy for this account, these Regions and these queues, without spaces: IAM limits its length.
fn role_policy(account: &str, plan: &Plan, queue: &str, dead_letters: &str) -> String {
    let arn = |queue: &str| format!("arn:${{Partition}}:sqs:${{Region}}:${{Account}}:{queue}");
    include_str!("../role_policy.json")
        .replace("${Queue}", &arn(queue))
        .replace("${DeadLetterQueue}", &arn(dead_letters))
        .replace("${Account}", account)
        .replace("${Region}", &plan.region)
        .replace("${SourceRegion}", &plan.source_region)
        .replace("${Partition}", plan.partition())
        .replace('\n', "")
}
