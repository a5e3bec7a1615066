//! What remains of a deregistered AMI.

use std::time::Duration;

use crate::finding::{Answer, Finding};
use crate::lab::{Lab, Look};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) async fn how_does_a_deregistered_ami_look_by_id(lab: &Lab) -> Answer {
    let dead = lab.dead_copy().await?;
    let mut seen = Vec::new();
    let mut last = Look::Empty;
    for (seconds, when) in [(0, "at once"), (10, "10 s"), (60, "1 min"), (120, "2 min"), (300, "5 min")] {
        lab.sleep_until(dead.at + Duration::from_secs(seconds)).await?;
        let look = lab.look(&dead.copy.image_id).await?;
        if seen.is_empty() || look != last {
            seen.push(format!("{look} ({when})"));
        }
        last = look;
    }
    Ok(Finding::of(is_dead(&last), seen.join(", then ")))
}

pub(crate) async fn how_does_a_deregistered_ami_look_a_day_later(lab: &Lab) -> Answer {
    let dead = lab.dead_copy().await?;
    lab.sleep_until(dead.at + DAY).await?;
    let look = lab.look(&dead.copy.image_id).await?;
    Ok(Finding::of(is_dead(&look), look.to_string()))
}

/// Whether nobody can take the AMI for a live one.
fn is_dead(look: &Look) -> bool {
    match look {
        Look::Shown(image) => image.state() == "deregistered",
        Look::Empty | Look::Refused(_) => true,
    }
}

pub(crate) async fn are_the_snapshots_deleted_with_their_ami(lab: &Lab) -> Answer {
    let dead = lab.dead_copy().await?;
    let codes = &dead.snapshot_codes;
    let seen = if codes.is_empty() { "no result for any snapshot".to_owned() } else { codes.join(", ") };
    Ok(Finding::of(!codes.is_empty() && codes.iter().all(|code| code == "success"), seen))
}
