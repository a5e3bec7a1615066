//! What the courier tells of its work: one structured line for each outcome.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::courier::{Report, Tally};
use crate::identity::Region;
use crate::outcome::Error;

/// Logs what became of one AMI. `message_id` is empty for what did not come through a queue.
pub fn reported(message_id: &str, here: &Region, report: &Report, took: Duration) {
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let route = report.route.as_ref();
    let source_image = route.map_or("", |route| route.source_image_id.as_str());
    let source_region = route.map_or("", |route| route.source_region.as_str());
    let region = here.as_str();
    match &report.result {
        Ok(outcome) => {
            let copy = outcome.copy().map_or("", |copy| copy.as_str());
            let outcome_name = outcome.name();
            let reason = match outcome {
                crate::outcome::Outcome::Ignored { reason, .. } | crate::outcome::Outcome::Retired { reason, .. } => {
                    reason.as_str()
                }
                _ => "",
            };
            info!(
                message_id,
                source_image,
                source_region,
                region,
                copy,
                outcome = outcome_name,
                reason,
                milliseconds,
                "done"
            );
        }
        Err(Error::Retry(retry)) => {
            let (code, words) = (&retry.code, &retry.words);
            warn!(
                message_id,
                source_image,
                source_region,
                region,
                outcome = "Retry",
                code,
                words,
                milliseconds,
                "not yet"
            );
        }
        Err(Error::Rejected(rejection)) => {
            let (code, words, advice) = (&rejection.code, &rejection.words, &rejection.advice);
            error!(
                message_id,
                source_image,
                source_region,
                region,
                outcome = "Rejected",
                code,
                words,
                advice,
                milliseconds,
                "rejected"
            );
        }
    }
}

/// Logs what a sweep found.
pub fn swept(here: &Region, tally: &Tally) {
    let Tally { in_progress, oldest_in_progress_seconds, missed, unfinished, failed, left, complete } = tally;
    let region = here.as_str();
    info!(region, in_progress, oldest_in_progress_seconds, missed, unfinished, failed, left, complete, "swept");
}
