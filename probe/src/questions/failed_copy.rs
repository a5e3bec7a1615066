//! A copy under a key that does not exist. Here AWS's own words count; the report removes ids from them.

use crate::aws::{CallError, Parameters};
use crate::finding::{Answer, Finding};
use crate::lab::Lab;

pub(crate) async fn is_a_bad_key_noticed_only_after_the_call(lab: &Lab) -> Answer {
    match lab.failed_copy().await {
        Ok(_) => Ok(Finding::expected("CopyImage succeeds")),
        Err(CallError::Refused(refusal)) => Ok(Finding::different(format!("refused: {}", refusal.code))),
        Err(error) => Err(error),
    }
}

pub(crate) async fn which_state_has_a_failed_copy(lab: &Lab) -> Answer {
    let copy = lab.failed_copy().await?;
    let image = lab.wait_until_ended(&copy.image_id).await?;
    let reason = image.state_reason().map_or("without a reason".to_owned(), |words| format!("reason: {words}"));
    Ok(Finding::of(image.state() == "failed", format!("{}, {reason}", image.state())))
}

pub(crate) async fn does_a_snapshot_say_why_its_copy_failed(lab: &Lab) -> Answer {
    let copy = lab.failed_copy().await?;
    let image = lab.wait_until_ended(&copy.image_id).await?;
    let ids: Vec<&str> = image.snapshot_ids().collect();
    if ids.is_empty() {
        return Ok(Finding::different("the failed copy shows no snapshot ids"));
    }
    let parameters = (1..)
        .zip(ids)
        .fold(Parameters::default(), |parameters, (n, id)| parameters.with(format!("SnapshotId.{n}"), id));
    let answer = match lab.aws.ec2(&lab.plan.region, "DescribeSnapshots", &parameters).await {
        Err(error) if error.code() == Some("InvalidSnapshot.NotFound") => {
            return Ok(Finding::different("the snapshot of the failed copy does not exist"));
        }
        answer => answer?,
    };
    let messages = answer.items("snapshotSet").filter_map(|snapshot| snapshot.text_of("statusMessage"));
    match messages.into_iter().find(|message| !message.is_empty()) {
        None => Ok(Finding::different("the snapshot has no StateMessage")),
        Some(words) => Ok(Finding::of(words.to_lowercase().contains("key"), format!("StateMessage: {words}"))),
    }
}
