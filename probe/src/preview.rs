//! What a run does and costs, before it does anything.

use crate::lab::Plan;

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub service: &'static str,
    pub action: &'static str,
    pub purpose: &'static str,
    pub count: Count,
}

/// How often it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Exactly(usize),
    /// Once for each of the equal copies, and so many times more.
    CopiesAnd(usize),
    /// Until AWS gives the awaited answer, or for each thing to remove.
    AsNeeded,
}

const fn call(service: &'static str, action: &'static str, count: Count, purpose: &'static str) -> Call {
    Call { service, action, purpose, count }
}

/// Every call of a run without `--long`, in the order in which each comes for the first time.
pub const CALLS: &[Call] = &[
    call("sts", "GetCallerIdentity", Count::Exactly(1), "show the account"),
    call("ebs", "StartSnapshot", Count::Exactly(1), "make a snapshot of 1 GiB"),
    call("ebs", "PutSnapshotBlock", Count::Exactly(1), "write one block of it"),
    call("ebs", "CompleteSnapshot", Count::Exactly(1), "complete it"),
    call("ec2", "DescribeSnapshots", Count::AsNeeded, "wait for it; read why a copy failed; find what to remove"),
    call("ec2", "RegisterImage", Count::Exactly(1), "make the source AMI"),
    call("ec2", "DescribeImages", Count::AsNeeded, "look for AMIs; wait for copies; find what to remove"),
    call("ec2", "CreateTags", Count::Exactly(2), "try a shared tag on the AMI and on the snapshot"),
    call(
        "ec2",
        "CopyImage",
        Count::CopiesAnd(10),
        "make copies: equal ones, with a taken name, with a bad key; repeat tokens",
    ),
    call("events", "PutRule", Count::Exactly(1), "make a rule for EC2's events of AMIs"),
    call("sqs", "CreateQueue", Count::Exactly(1), "make a queue for them"),
    call("events", "PutTargets", Count::Exactly(1), "let the rule send to the queue"),
    call("sqs", "ReceiveMessage", Count::AsNeeded, "wait for the events of two copies"),
    call("ec2", "DisableImage", Count::Exactly(1), "disable a copy"),
    call("ec2", "EnableImage", Count::Exactly(1), "enable it"),
    call("ec2", "CreateImageUsageReport", Count::Exactly(1), "order a usage report"),
    call("ec2", "DescribeImageUsageReports", Count::AsNeeded, "wait for it; find what to remove"),
    call("ec2", "DeleteImageUsageReport", Count::AsNeeded, "remove it"),
    call("ec2", "DeregisterImage", Count::AsNeeded, "remove every AMI of the run, with its snapshots"),
    call("ec2", "DeleteSnapshot", Count::AsNeeded, "remove snapshots that are left"),
    call("events", "ListRules", Count::AsNeeded, "find what to remove"),
    call("events", "RemoveTargets", Count::AsNeeded, "remove the rule"),
    call("events", "DeleteRule", Count::AsNeeded, "remove the rule"),
    call("sqs", "ListQueues", Count::AsNeeded, "find what to remove"),
    call("sqs", "DeleteQueue", Count::AsNeeded, "remove the queue"),
];

/// What `--permissions` adds: with the user's own credentials, and, where the purpose says so, under the role.
pub const CALLS_FOR_PERMISSIONS: &[Call] = &[
    call("sqs", "CreateQueue", Count::Exactly(2), "make a queue and a dead-letter queue for it"),
    call("iam", "CreateRole", Count::Exactly(1), "make a role"),
    call("iam", "PutRolePolicy", Count::Exactly(1), "give it the policy of the template"),
    call("sts", "AssumeRole", Count::AsNeeded, "use it"),
    call("ec2", "CopyImage", Count::Exactly(1), "under the role: make a copy"),
    call(
        "ec2",
        "ModifyImageAttribute",
        Count::Exactly(1),
        "under the role: take a launch permission away that nobody has",
    ),
    call("ec2", "ModifySnapshotAttribute", Count::Exactly(1), "under the role: the same for its snapshot"),
    call("ec2", "EnableImageDeprecation", Count::Exactly(1), "under the role"),
    call("ec2", "EnableImageDeregistrationProtection", Count::Exactly(1), "under the role"),
    call("ec2", "DisableImageDeregistrationProtection", Count::AsNeeded, "take the protection away"),
    call("ec2", "CreateTags", Count::Exactly(3), "under the role: the courier's marks; one where it must be refused"),
    call("ec2", "DisableImage", Count::Exactly(1), "under the role"),
    call("ec2", "EnableImage", Count::Exactly(1), "under the role"),
    call("ec2", "DeleteTags", Count::Exactly(1), "under the role: remove a mark"),
    call("ec2", "DescribeImageAttribute", Count::Exactly(1), "under the role"),
    call("ec2", "DescribeImageReferences", Count::Exactly(1), "under the role"),
    call("ec2", "CreateImageUsageReport", Count::Exactly(1), "under the role"),
    call("ec2", "DescribeImageUsageReportEntries", Count::Exactly(1), "under the role"),
    call("ec2", "DeleteImageUsageReport", Count::Exactly(1), "under the role"),
    call("sqs", "SendMessage", Count::Exactly(2), "under the role"),
    call("sqs", "GetQueueAttributes", Count::Exactly(1), "under the role"),
    call("sqs", "ReceiveMessage", Count::AsNeeded, "under the role; from the dead-letter queue it must be refused"),
    call("sqs", "ChangeMessageVisibility", Count::Exactly(1), "under the role"),
    call("sqs", "DeleteMessage", Count::Exactly(1), "under the role"),
    call("ssm", "PutParameter", Count::Exactly(1), "under the role: publish the copy in a parameter"),
    call("ssm", "GetParameter", Count::Exactly(3), "under the role; one must be refused"),
    call("events", "PutEvents", Count::Exactly(2), "under the role: an event; one of another source must be refused"),
    call("ec2", "DeregisterImage", Count::Exactly(1), "under the role"),
    call("iam", "ListRoles", Count::AsNeeded, "find what to remove"),
    call("iam", "DeleteRolePolicy", Count::AsNeeded, "remove the policy"),
    call("iam", "DeleteRole", Count::AsNeeded, "remove the role"),
    call("ssm", "DescribeParameters", Count::AsNeeded, "find what to remove"),
    call("ssm", "DeleteParameter", Count::AsNeeded, "remove the parameter"),
];

/// What `--long` adds.
pub const CALLS_FOR_LONG: &[Call] = &[call("ec2", "CopyImage", Count::Exactly(2), "a day later: repeat tokens")];

/// The calls as a list.
#[must_use]
pub fn calls(plan: &Plan, with_permissions: bool, is_long: bool) -> String {
    let of_permissions = if with_permissions { CALLS_FOR_PERMISSIONS } else { &[] };
    let of_long = if is_long { CALLS_FOR_LONG } else { &[] };
    let lines: Vec<String> = CALLS
        .iter()
        .chain(of_permissions)
        .chain(of_long)
        .map(|call| {
            let count = match call.count {
                Count::Exactly(count) => format!("{count} x"),
                Count::CopiesAnd(more) => format!("{} x", plan.copies + more),
                Count::AsNeeded => "as needed".to_owned(),
            };
            let name = format!("{}:{}", call.service, call.action);
            format!("  {count:>9}  {name:<41} {}", call.purpose)
        })
        .collect();
    lines.join("\n")
}

/// What is made, for how long, and what it costs.
#[must_use]
pub fn summary(plan: &Plan, with_permissions: bool, long: bool) -> String {
    let Plan { region, source_region, copies, .. } = plan;
    // Every wait has an end: six of an hour and some of minutes.
    let hours = if long { 31.0 } else { 7.0 };
    let time = if long { "more than a day" } else { "as long as AWS needs for some copies and a usage report" };
    // One AMI and its copies, each with a snapshot; taken as if all were full.
    let snapshots = copies + 10;
    let cost = cost(snapshots, hours, source_region != region);
    format!(
        "It makes one snapshot of 1 GiB with one block of data (512 KiB) and one AMI in {source_region}, and up to {snapshots} copies of it in {region}, \
         with a rule of EventBridge and a queue for their events{}.\n\
         All of it has the tag `{}`. The run takes {time}, at the most {hours} hours. It removes everything in the end.\n\
         It costs less than {cost:.2} US dollars. ({snapshots} full snapshots of 1 GiB for {hours} hours, at 0.10 dollars for a GiB and month{}, and up to {REQUESTS} requests to SQS. \
         Each holds one block only, so it costs less. Look up the prices of your Region.)\n",
        if with_permissions { "; for --permissions a role, two queues, and a parameter (without the tag)" } else { "" },
        crate::lab::RUN_TAG,
        if source_region == region { "" } else { ", and 0.10 dollars for each GiB between Regions" },
    )
}

/// More than one look in each five seconds of an hour, and the removal. Events of AWS services are free.
const REQUESTS: f64 = 1000.0;

/// An upper bound in US dollars, rounded up to cents. The prices are assumed, and higher than those of most Regions:
/// <https://aws.amazon.com/ebs/pricing/>, <https://aws.amazon.com/sqs/pricing/>.
fn cost(snapshots: usize, hours: f64, between_regions: bool) -> f64 {
    let gib = f64::from(u32::try_from(snapshots).unwrap_or(u32::MAX));
    let storage = gib * 0.10 * hours / (30.0 * 24.0);
    // One block of each copy crosses Regions.
    let transfer = if between_regions { gib / 2048.0 * 0.10 } else { 0.0 };
    ((storage + transfer + REQUESTS * 0.50e-6) * 100.0).ceil() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_rounded_up_to_cents() {
        assert!((cost(30, 7.0, false) - 0.03).abs() < 1e-9);
        assert!((cost(30, 31.0, true) - 0.14).abs() < 1e-9);
    }
}
