//! Client tokens of `CopyImage`.

use std::time::Duration;

use crate::aws::{CallError, Parameters};
use crate::finding::{Answer, Finding};
use crate::lab::{Copy, Lab};

const MISMATCH: &str = "IdempotentParameterMismatch";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The courier's epoch is 23 hours; it needs a token for 24 at most.
const JUST_BEFORE_A_DAY: Duration = Duration::from_secs(24 * 60 * 60 - 10 * 60);

/// The answer to a call with a token that was used before.
enum Repeated {
    SameId,
    OtherId,
    Refused(String),
}

async fn repeat(lab: &Lab, first: &Copy, parameters: &Parameters) -> Result<Repeated, CallError> {
    match lab.copy(parameters).await {
        Ok(id) if id == first.image_id => Ok(Repeated::SameId),
        Ok(_) => Ok(Repeated::OtherId),
        Err(CallError::Refused(refusal)) => Ok(Repeated::Refused(refusal.code)),
        Err(error) => Err(error),
    }
}

const NEW_COPY: &str = "a new copy: the token is not remembered";

pub(crate) async fn does_the_same_token_make_nothing_further(lab: &Lab) -> Answer {
    let first = lab.first_copy().await?;
    Ok(match repeat(lab, first, &lab.copy_of_source(&first.name, &first.token).await?).await? {
        Repeated::SameId => Finding::expected("the id of the first call"),
        Repeated::OtherId => Finding::different(NEW_COPY),
        Repeated::Refused(code) => Finding::different(format!("refused: {code}")),
    })
}

pub(crate) async fn is_the_same_token_with_other_parameters_refused(lab: &Lab) -> Answer {
    let first = lab.first_copy().await?;
    let other = lab.copy_of_source(&first.name, &first.token).await?.with("Description", "another description");
    Ok(match repeat(lab, first, &other).await? {
        Repeated::Refused(code) if code == MISMATCH => Finding::expected(format!("refused: {code}")),
        Repeated::Refused(code) => Finding::different(format!("refused: {code}")),
        Repeated::SameId => Finding::different("the id of the first call: EC2 ignores the parameters"),
        Repeated::OtherId => Finding::different(NEW_COPY),
    })
}

pub(crate) async fn what_does_a_token_answer_with_tags_in_another_order(lab: &Lab) -> Answer {
    let first = lab.first_copy().await?;
    let mut tags = lab.tags();
    tags.reverse();
    let reordered = lab.copy_of_source_tagged(&first.name, &first.token, &tags).await?;
    Ok(match repeat(lab, first, &reordered).await? {
        Repeated::SameId => Finding::expected("the id of the first call: the order is ignored"),
        Repeated::Refused(code) if code == MISMATCH => Finding::expected(format!("refused: {code}: the order matters")),
        Repeated::Refused(code) => Finding::different(format!("refused: {code}")),
        Repeated::OtherId => Finding::different(NEW_COPY),
    })
}

pub(crate) async fn is_a_token_remembered_for_a_day(lab: &Lab) -> Answer {
    let first = lab.first_copy().await?;
    lab.sleep_until(first.accepted_at + JUST_BEFORE_A_DAY).await?;
    does_the_same_token_make_nothing_further(lab).await
}

pub(crate) async fn what_does_a_token_answer_once_its_ami_is_deregistered(lab: &Lab) -> Answer {
    of_a_dead_copy(lab, Duration::ZERO).await
}

pub(crate) async fn what_does_a_token_answer_a_minute_after_its_ami_was_deregistered(lab: &Lab) -> Answer {
    of_a_dead_copy(lab, Duration::from_secs(60)).await
}

pub(crate) async fn what_does_a_token_answer_a_day_after_its_ami_was_deregistered(lab: &Lab) -> Answer {
    let answer = of_a_dead_copy(lab, DAY).await?;
    // Longer than the time for which the courier needs the token.
    Ok(Finding { is_expected: true, ..answer })
}

async fn of_a_dead_copy(lab: &Lab, after: Duration) -> Answer {
    let dead = lab.dead_copy().await?;
    lab.sleep_until(dead.at + after).await?;
    let again = lab.copy_of_source(&dead.copy.name, &dead.copy.token).await?;
    Ok(of_a_dead_token(repeat(lab, &dead.copy, &again).await?))
}

pub(crate) async fn what_does_a_token_answer_once_its_copy_has_failed(lab: &Lab) -> Answer {
    let failed = lab.failed_copy().await?;
    lab.wait_until_ended(&failed.image_id).await?;
    let again = lab.copy_under_no_key(&failed.name, &failed.token).await?;
    Ok(of_a_dead_token(repeat(lab, failed, &again).await?))
}

fn of_a_dead_token(answer: Repeated) -> Finding {
    match answer {
        Repeated::SameId => Finding::expected("the id of the dead AMI"),
        Repeated::Refused(code) => Finding::expected(format!("refused: {code}")),
        Repeated::OtherId => Finding::different(NEW_COPY),
    }
}
