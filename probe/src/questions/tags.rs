//! Tags that other accounts can see.

use crate::aws::{CallError, Parameters};
use crate::finding::{Answer, Finding};
use crate::lab::{Lab, SHARED_TAG};

pub(crate) async fn does_ec2_accept_a_shared_tag_on_an_image(lab: &Lab) -> Answer {
    match &lab.source().await?.shared_tag {
        Ok(()) => Ok(Finding::expected("accepted")),
        Err(CallError::Refused(refusal)) => Ok(Finding::different(format!("refused: {}", refusal.code))),
        Err(error) => Err(error.clone()),
    }
}

pub(crate) async fn is_a_shared_tag_on_a_snapshot_refused(lab: &Lab) -> Answer {
    let parameters =
        Parameters::default().with("ResourceId.1", &lab.source().await?.snapshot_id).tags(&[(SHARED_TAG, "probe")]);
    match lab.aws.ec2(&lab.plan.source_region, "CreateTags", &parameters).await {
        Ok(_) => Ok(Finding::different("accepted")),
        Err(CallError::Refused(refusal)) => Ok(Finding::expected(format!("refused: {}", refusal.code))),
        Err(error) => Err(error),
    }
}

pub(crate) async fn does_copy_image_copy_shared_tags_unasked(lab: &Lab) -> Answer {
    lab.source().await?.shared_tag.as_ref().map_err(Clone::clone)?;
    let carries = lab.finished_copy().await?.has_tag(SHARED_TAG);
    Ok(Finding::expected(if carries { "yes" } else { "no" }))
}
