//! How a copy ends, above all one under a key that does not exist. Here AWS's own words count; the report removes ids from them.

use super::{Answer, refused};
use crate::aws::{CallError, answered};
use crate::lab::{EndOfCopy, Lab, NO_EVENT, snapshot_ids, state, state_reason};

pub(crate) async fn is_a_bad_key_noticed_only_after_the_call(lab: &Lab) -> Answer {
    Ok(answered(lab.failed_copy().await)?.map_or_else(refused, |_| "CopyImage succeeds".to_owned()))
}

pub(crate) async fn which_state_has_a_failed_copy(lab: &Lab) -> Answer {
    let image = lab.wait_until_ended(&lab.failed_copy().await?.image_id).await?;
    let reason = state_reason(&image).map_or("without a reason".to_owned(), |words| format!("reason: {words}"));
    Ok(format!("{}, {reason}", state(&image)))
}

pub(crate) async fn does_a_snapshot_say_why_its_copy_failed(lab: &Lab) -> Answer {
    let image = lab.wait_until_ended(&lab.failed_copy().await?.image_id).await?;
    let ids = snapshot_ids(&image);
    if ids.is_empty() {
        return Ok("the failed copy shows no snapshot ids".to_owned());
    }
    let answer = lab.ec2().describe_snapshots().set_snapshot_ids(Some(ids)).send().await.map_err(CallError::from);
    if answer.as_ref().is_err_and(|error| error.code() == Some("InvalidSnapshot.NotFound")) {
        return Ok("the snapshot of the failed copy does not exist".to_owned());
    }
    let answer = answer?;
    let mut messages = answer.snapshots().iter().filter_map(|snapshot| snapshot.state_message());
    Ok(match messages.find(|message| !message.is_empty()) {
        None => "the snapshot has no StateMessage".to_owned(),
        Some(words) if words.to_lowercase().contains("key") => format!("the StateMessage names the key: {words}"),
        Some(words) => format!("another StateMessage: {words}"),
    })
}

pub(crate) async fn does_ec2_send_an_event_when_a_copy_is_available(lab: &Lab) -> Answer {
    state_of_event(&lab.ends_of_copies().await?[0])
}

pub(crate) async fn does_ec2_send_an_event_when_a_copy_has_failed(lab: &Lab) -> Answer {
    state_of_event(&lab.ends_of_copies().await?[1])
}

fn state_of_event(end: &EndOfCopy) -> Answer {
    end.image_id.clone()?;
    let state = end.event.as_ref().map(|event| event["State"].as_str().unwrap_or_default());
    Ok(state.map_or(NO_EVENT.to_owned(), |state| format!("an event with State {state}")))
}

pub(crate) async fn does_the_event_of_a_failed_copy_say_why(lab: &Lab) -> Answer {
    let end = &lab.ends_of_copies().await?[1];
    end.image_id.clone()?;
    Ok(match end.event.as_ref().map(|event| event["ErrorMessage"].as_str().unwrap_or_default()) {
        None => NO_EVENT.to_owned(),
        Some("") => "the event has no ErrorMessage".to_owned(),
        Some(words) => format!("an ErrorMessage: {words}"),
    })
}
