//! Client tokens of `CopyImage`.

use std::time::Duration;

use aws_sdk_ec2::operation::copy_image::builders::CopyImageFluentBuilder as CopyImage;

use super::{Answer, refused};
use crate::aws::answered;
use crate::lab::{Copy, Lab};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The courier's epoch is 23 hours; it needs a token for 24 at most.
const JUST_BEFORE_A_DAY: Duration = Duration::from_secs(24 * 60 * 60 - 10 * 60);

/// What a call with the token of this copy answers.
async fn repeat(lab: &Lab, first: &Copy, call: CopyImage) -> Answer {
    Ok(match answered(lab.copy(call).await)? {
        Ok(id) if id == first.image_id => "the id of the first call".to_owned(),
        Ok(_) => "a new copy: the token is not remembered".to_owned(),
        Err(code) => refused(code),
    })
}

pub(crate) async fn does_the_same_token_make_nothing_further(lab: &Lab) -> Answer {
    let first = lab.first_copy().await?;
    repeat(lab, first, lab.copy_of_source(&first.name, &first.token).await?).await
}

pub(crate) async fn is_the_same_token_with_other_parameters_refused(lab: &Lab) -> Answer {
    let first = lab.first_copy().await?;
    let other = lab.copy_of_source(&first.name, &first.token).await?.description("another description");
    repeat(lab, first, other).await
}

pub(crate) async fn what_does_a_token_answer_with_tags_in_another_order(lab: &Lab) -> Answer {
    let first = lab.first_copy().await?;
    let [run, skip] = lab.tags();
    let reordered = lab.copy_of_source_by(&lab.aws, &first.name, &first.token, &[skip, run]).await?;
    repeat(lab, first, reordered).await
}

pub(crate) async fn is_a_token_remembered_for_a_day(lab: &Lab) -> Answer {
    lab.sleep_until(lab.first_copy().await?.accepted_at + JUST_BEFORE_A_DAY).await?;
    does_the_same_token_make_nothing_further(lab).await
}

pub(crate) async fn what_does_a_token_answer_once_its_ami_is_deregistered(lab: &Lab) -> Answer {
    after_deregistration(lab, Duration::ZERO).await
}

pub(crate) async fn what_does_a_token_answer_a_minute_after_its_ami_was_deregistered(lab: &Lab) -> Answer {
    after_deregistration(lab, MINUTE).await
}

pub(crate) async fn what_does_a_token_answer_a_day_after_its_ami_was_deregistered(lab: &Lab) -> Answer {
    after_deregistration(lab, DAY).await
}

async fn after_deregistration(lab: &Lab, time: Duration) -> Answer {
    let dead = lab.dead_copy().await?;
    lab.sleep_until(dead.at + time).await?;
    repeat(lab, &dead.copy, lab.copy_of_source(&dead.copy.name, &dead.copy.token).await?).await
}

pub(crate) async fn what_does_a_token_answer_once_its_copy_has_failed(lab: &Lab) -> Answer {
    let failed = lab.failed_copy().await?;
    lab.wait_until_ended(&failed.image_id).await?;
    repeat(lab, failed, lab.copy_under_no_key(&failed.name, &failed.token).await?).await
}
