//! Calls that the template's policy must refuse, one of each service. None of them changes anything that matters if it is allowed.

use serde_json::json;

use crate::aws::{CallError, Parameters};
use crate::finding::{Answer, Finding};
use crate::lab::Lab;

/// No name that the template lets the function read.
const ELSEWHERE: &str = "/ami-courier-elsewhere";

pub(crate) async fn is_each_other_call_refused_to_the_role(lab: &Lab) -> Answer {
    let role = lab.role().await?;
    let (aws, region) = (&role.aws, lab.plan.region.as_str());
    // The source is no copy: the mark is for copies only.
    let mark = Parameters::default()
        .with("ResourceId.1", &lab.source().await?.image_id)
        .tags(&[("ami-courier:finished", "probe")]);
    let event = json!({ "Outcome": "Probe" });
    let answers = [
        ("CreateTags on the source AMI", aws.ec2(&lab.plan.source_region, "CreateTags", &mark).await.map(drop)),
        ("ReceiveMessage from the dead-letter queue", aws.receive(region, &role.dead_letters).await.map(drop)),
        ("GetParameter", aws.ssm(region, "GetParameter", &json!({ "Name": ELSEWHERE })).await.map(drop)),
        ("PutEvents of another source", aws.put_event(region, "ami-courier-probe", "Probe", &event).await),
    ];
    let count = answers.len();
    let mut allowed = Vec::new();
    for (call, answer) in answers {
        match answer {
            Err(CallError::Refused(refusal)) if is_denial(&refusal.code) => {}
            // Any other error comes after the permission.
            Ok(()) | Err(CallError::Refused(_)) => allowed.push(call),
            Err(error) => return Err(error),
        }
    }
    Ok(match allowed.as_slice() {
        [] => Finding::expected(format!("refused: each of {count} calls")),
        calls => Finding::different(format!("{} of {count} calls allowed: {}", calls.len(), calls.join(", "))),
    })
}

/// EC2 has a code of its own.
fn is_denial(code: &str) -> bool {
    matches!(code, "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException")
}
