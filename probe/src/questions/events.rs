//! EC2's events about the end of a copy.

use crate::finding::{Answer, Finding};
use crate::lab::{Event, Lab};

const NONE: &str = "no event within 10 minutes";

pub(crate) async fn does_ec2_send_an_event_when_a_copy_is_available(lab: &Lab) -> Answer {
    Ok(with_state("available", lab.events().await?.available.clone()?))
}

pub(crate) async fn does_ec2_send_an_event_when_a_copy_has_failed(lab: &Lab) -> Answer {
    Ok(with_state("failed", lab.events().await?.failed.clone()?))
}

pub(crate) async fn does_the_event_of_a_failed_copy_say_why(lab: &Lab) -> Answer {
    Ok(match lab.events().await?.failed.clone()? {
        None => Finding::different(NONE),
        Some(event) if event.error_message.is_empty() => Finding::different("the event has no ErrorMessage"),
        Some(event) => Finding::expected(format!("ErrorMessage: {}", event.error_message)),
    })
}

fn with_state(state: &str, event: Option<Event>) -> Finding {
    let Some(event) = event else { return Finding::different(NONE) };
    let when = match event.after {
        Some(after) => format!("{} s after DescribeImages showed that state", after.as_secs()),
        None => "before DescribeImages showed that state".to_owned(),
    };
    Finding::of(event.state == state, format!("State {}, {when}", event.state))
}
