//! What a run does and costs, before it does anything. Its lines have at most 100 columns.

use crate::lab::{Plan, RUN_TAG};

/// One kind of call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub service: &'static str,
    pub action: &'static str,
    pub count: Count,
    purpose: &'static str,
}

/// How often it is made.
#[derive(Clone, Copy, Debug)]
pub enum Count {
    Exactly(usize),
    /// Once for each of the equal copies, and so many times more.
    CopiesAnd(usize),
    /// Until AWS gives the awaited answer, or for each thing to remove.
    AsNeeded,
}

use Count::{AsNeeded, CopiesAnd, Exactly};

const fn call(service: &'static str, action: &'static str, count: Count, purpose: &'static str) -> Call {
    Call { service, action, count, purpose }
}

/// Every call of a run without options, in the order in which each comes for the first time.
pub const CALLS: &[Call] = &[
    call("sts", "GetCallerIdentity", Exactly(1), "show the account"),
    call("ebs", "StartSnapshot", Exactly(1), "make a snapshot of 1 GiB"),
    call("ebs", "PutSnapshotBlock", Exactly(1), "write one block of it"),
    call("ebs", "CompleteSnapshot", Exactly(1), "complete it"),
    call("ec2", "DescribeSnapshots", AsNeeded, "wait; why a copy failed; what to remove"),
    call("ec2", "RegisterImage", Exactly(1), "make the source AMI"),
    call("ec2", "DescribeImages", AsNeeded, "look for AMIs; what to remove"),
    call("ec2", "CreateTags", Exactly(2), "try a shared tag on the AMI and its snapshot"),
    call("ec2", "CopyImage", CopiesAnd(10), "make copies: equal, failing; repeat tokens"),
    call("events", "PutRule", Exactly(1), "make a rule for events of AMIs and parameters"),
    call("sqs", "CreateQueue", Exactly(1), "make a queue for them"),
    call("events", "PutTargets", Exactly(1), "let the rule send to the queue"),
    call("sqs", "ReceiveMessage", AsNeeded, "wait for the events"),
    call("ssm", "PutParameter", Exactly(3), "write a text; try an AMI in its place"),
    call("ec2", "DisableImage", Exactly(1), "disable a copy"),
    call("ec2", "EnableImage", Exactly(1), "enable it"),
    call("ec2", "CreateImageUsageReport", Exactly(2), "order a usage report"),
    call("ec2", "DescribeImageUsageReports", AsNeeded, "wait for it; what to remove"),
    call("ec2", "DeleteImageUsageReport", AsNeeded, "remove it"),
    call("ec2", "DeregisterImage", AsNeeded, "remove every AMI of the run, with snapshots"),
    call("ec2", "DeleteSnapshot", AsNeeded, "remove snapshots that are left"),
    call("events", "ListRules", AsNeeded, "what to remove"),
    call("events", "RemoveTargets", AsNeeded, "remove the rule"),
    call("events", "DeleteRule", AsNeeded, "remove the rule"),
    call("sqs", "ListQueues", AsNeeded, "what to remove"),
    call("sqs", "DeleteQueue", AsNeeded, "remove the queue"),
    call("ssm", "DescribeParameters", AsNeeded, "what to remove"),
    call("ssm", "DeleteParameter", AsNeeded, "remove the parameter"),
];

/// What `--permissions` adds: with the user's own credentials, and, where the purpose says so, under the role.
pub const CALLS_FOR_PERMISSIONS: &[Call] = &[
    call("sts", "GetCallerIdentity", Exactly(1), "the account of the role"),
    call("sqs", "CreateQueue", Exactly(2), "make a queue, and one for its dead letters"),
    call("iam", "CreateRole", Exactly(1), "make a role"),
    call("iam", "PutRolePolicy", Exactly(1), "give it the policy of the template"),
    call("sts", "AssumeRole", AsNeeded, "use it"),
    call("ec2", "CopyImage", Exactly(1), "role: make a copy"),
    call("ec2", "ModifyImageAttribute", Exactly(1), "role: take a permission away that nobody has"),
    call("ec2", "ModifySnapshotAttribute", Exactly(1), "role: the same for its snapshot"),
    call("ec2", "EnableImageDeprecation", Exactly(1), "role"),
    call("ec2", "EnableImageDeregistrationProtection", Exactly(1), "role"),
    call("ec2", "DisableImageDeregistrationProtection", AsNeeded, "take the protection away"),
    call("ec2", "CreateTags", Exactly(3), "role: marks; one of them must be refused"),
    call("ec2", "DisableImage", Exactly(1), "role"),
    call("ec2", "EnableImage", Exactly(1), "role"),
    call("ec2", "DeleteTags", Exactly(1), "role: remove a mark"),
    call("ec2", "DescribeImageAttribute", Exactly(1), "role"),
    call("ec2", "DescribeImageReferences", Exactly(1), "role"),
    call("ec2", "CreateImageUsageReport", Exactly(1), "role"),
    call("ec2", "DescribeImageUsageReportEntries", Exactly(1), "role"),
    call("ec2", "DeleteImageUsageReport", Exactly(1), "role"),
    call("sqs", "SendMessage", Exactly(2), "role"),
    call("sqs", "GetQueueAttributes", Exactly(1), "role"),
    call("sqs", "ReceiveMessage", AsNeeded, "role; dead letters must be refused"),
    call("sqs", "ChangeMessageVisibility", Exactly(1), "role"),
    call("sqs", "DeleteMessage", Exactly(1), "role"),
    call("ssm", "PutParameter", Exactly(1), "role: publish the copy in a parameter"),
    call("ssm", "GetParameter", Exactly(3), "role; one must be refused"),
    call("events", "PutEvents", Exactly(2), "role; one must be refused"),
    call("ec2", "DeregisterImage", Exactly(1), "role"),
    call("iam", "ListRoles", AsNeeded, "what to remove"),
    call("iam", "DeleteRolePolicy", AsNeeded, "remove the policy"),
    call("iam", "DeleteRole", AsNeeded, "remove the role"),
];

/// What `--long` adds.
pub const CALLS_FOR_LONG: &[Call] = &[call("ec2", "CopyImage", Exactly(2), "a day later: repeat tokens")];

/// The calls as a list. `role` in front of a purpose: under the role.
pub fn calls(plan: &Plan, with_permissions: bool, is_long: bool) -> String {
    let of_permissions = if with_permissions { CALLS_FOR_PERMISSIONS } else { &[] };
    let of_long = if is_long { CALLS_FOR_LONG } else { &[] };
    let line = |call: &Call| {
        let count = match call.count {
            Exactly(count) => format!("{count} x"),
            CopiesAnd(more) => format!("{} x", plan.copies + more),
            AsNeeded => "as needed".to_owned(),
        };
        format!("  {count:>9}  {:<41} {}", format!("{}:{}", call.service, call.action), call.purpose)
    };
    CALLS.iter().chain(of_permissions).chain(of_long).map(line).collect::<Vec<_>>().join("\n")
}

/// What is made, for how long, and what it costs.
pub fn summary(plan: &Plan, with_permissions: bool, is_long: bool) -> String {
    let Plan { region, source_region, copies, .. } = plan;
    // Every wait has an end: six of an hour and some of minutes.
    let (hours, time) = if is_long { (31.0, "more than a day") } else { (7.0, "as long as AWS needs for some copies") };
    // One AMI and its copies, each with a snapshot; taken as if all were full.
    let snapshots = copies + 10;
    let is_between_regions = source_region != region;
    let cost = cost(snapshots, hours, is_between_regions);
    let permissions = "--permissions also makes a role, two queues, and a second parameter.\n";
    let transfer = "The price of a GiB from Region to Region is taken as 0.10 dollars.\n";
    format!(
        "It makes one snapshot of 1 GiB with one block of data (512 KiB) and one AMI in {source_region}, up to\n\
         {snapshots} copies of it in {region}, a rule of EventBridge with a queue for events, and a parameter.\n\
         {}All of it but parameters has the tag `{RUN_TAG}`. In the end, it removes everything.\n\
         The run takes {time}, {hours} hours at the most.\n\n\
         It costs less than {cost:.2} US dollars: {snapshots} full snapshots of 1 GiB for {hours} hours, at 0.10 dollars for\n\
         a GiB and month, and up to {REQUESTS} requests to SQS. Each snapshot holds one block only, so it\n\
         costs less. Look up the prices of your Region.\n{}",
        if with_permissions { permissions } else { "" },
        if is_between_regions { transfer } else { "" },
    )
}

/// More than one look in each five seconds of an hour, and the removal. Events of AWS services are free.
const REQUESTS: f64 = 1000.0;

/// An upper bound in US dollars, rounded up to cents. The prices are assumed, and higher than those of most Regions:
/// <https://aws.amazon.com/ebs/pricing/>, <https://aws.amazon.com/sqs/pricing/>.
fn cost(snapshots: usize, hours: f64, is_between_regions: bool) -> f64 {
    let gib = f64::from(u32::try_from(snapshots).unwrap_or(u32::MAX));
    let storage = gib * 0.10 * hours / (30.0 * 24.0);
    // One block of each copy crosses Regions.
    let transfer = if is_between_regions { gib / 2048.0 * 0.10 } else { 0.0 };
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
