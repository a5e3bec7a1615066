//! Image usage reports.

use std::time::Duration;

use crate::aws::{CallError, Parameters};
use crate::finding::{Answer, Finding};
use crate::lab::Lab;

const GIVE_UP_AFTER: Duration = Duration::from_secs(60 * 60);
const POLL: Duration = Duration::from_secs(15);

pub(crate) async fn does_a_usage_report_become_available(lab: &Lab) -> Answer {
    let image_id = lab.finished_copy().await?.id();
    let parameters = Parameters::default()
        .with("ImageId", image_id)
        .with("ResourceType.1.ResourceType", "ec2:Instance")
        .with("ClientToken", lab.token("report"))
        .tagged("image-usage-report", &lab.tags());
    let answer = lab.order_report(&lab.aws, &parameters).await?;
    let id = answer.text_of("reportId").ok_or_else(|| CallError::Lost("the answer has no reportId".to_owned()))?;
    let begun = lab.elapsed();
    let mut states: Vec<String> = Vec::new();
    loop {
        let state = state(lab, id).await?;
        if states.last() != Some(&state) {
            states.push(state.clone());
        }
        let after = lab.elapsed().saturating_sub(begun);
        if state != "pending" && state != "not visible" || after >= GIVE_UP_AFTER {
            let seen = format!("{} after {} s", states.join(", "), after.as_secs());
            return Ok(Finding::of(state == "available", seen));
        }
        lab.aws.sleep(POLL).await?;
    }
}

async fn state(lab: &Lab, id: &str) -> Result<String, CallError> {
    let parameters = Parameters::default().with("ReportId.1", id);
    let answer = match lab.aws.ec2(&lab.plan.region, "DescribeImageUsageReports", &parameters).await {
        // It may be too young to be visible.
        Err(CallError::Refused(refusal)) if refusal.code.ends_with(".NotFound") => return Ok("not visible".to_owned()),
        answer => answer?,
    };
    let report = answer.items("imageUsageReportSet").next();
    Ok(report.and_then(|report| report.text_of("state")).unwrap_or("not visible").to_owned())
}
