//! One structured log line for each report, and metrics beside it.

use std::time::Duration;

use courier_core::error::{Error, Remedy};
use courier_core::identity::{ImageId, Region};
use courier_core::outcome::Outcome;
use metrics::{counter, histogram};
use tracing::{error, info, warn};

use super::report::{Figures, Report, Tally};
use crate::telemetry::as_f64;

/// Logs and counts what became of one AMI, or of a sweep.
pub(super) fn reported(stack_region: &Region, report: &Report, took: Duration) {
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let route = report.route.as_ref();
    // A field without a value is left out of the line.
    let source_image = route.map(|route| route.source_image_id.as_str());
    let source_region = route.map(|route| route.source_region.as_str());
    let region = stack_region.as_str();
    match &report.figures {
        Some(Figures::Sweep(tally)) => swept(stack_region, tally),
        Some(Figures::HeldDays(days)) if report.result.is_ok() => {
            histogram!("RetirementHeldDays").record(as_f64(*days));
        }
        Some(Figures::NeverVisible) => counter!("NeverVisible").increment(1),
        Some(Figures::HeldDays(_)) | None => {}
    }
    match &report.result {
        Ok(None) => {}
        Ok(Some(done)) => {
            let outcome = done.name();
            let copy = done.copy().map(ImageId::as_str);
            let reason = reason(done);
            info!(source_image, source_region, region, copy, outcome, reason, milliseconds, "done");
            count(done);
        }
        Err(error) => {
            let (outcome, Error { code, message: explanation, remedy, cause }) = (error.name(), error);
            match remedy {
                Remedy::Retry(_) => {
                    warn!(
                        source_image,
                        source_region, region, outcome, code, explanation, cause, milliseconds, "will be retried"
                    );
                    counter!("Retried").increment(1);
                }
                Remedy::Advice(advice) | Remedy::AdviceIfItStays(advice) => {
                    error!(
                        source_image,
                        source_region, region, outcome, code, explanation, advice, cause, milliseconds, "rejected"
                    );
                    counter!("Rejected").increment(1);
                    counter!("Rejected", "Code" => code.clone()).increment(1);
                    if report.is_from_sweep && report.failed_copy().is_none() {
                        counter!("RejectedFound").increment(1);
                    }
                }
            }
        }
    }
}

fn reason(done: &Outcome) -> Option<&str> {
    match done {
        Outcome::Ignored { reason, .. } | Outcome::Retired { reason, .. } => Some(reason),
        Outcome::Finished { parameter, .. } | Outcome::Updated { parameter, .. } => parameter.as_deref(),
        _ => None,
    }
}

fn count(done: &Outcome) {
    counter!(done.name()).increment(1);
    if let Outcome::Finished { duration_seconds, lag_seconds, .. } = done {
        let durations = [("CopyDurationSeconds", duration_seconds), ("SourceToAvailableSeconds", lag_seconds)];
        for (metric, seconds) in durations.into_iter().filter_map(|(name, seconds)| Some((name, (*seconds)?))) {
            histogram!(metric).record(as_f64(seconds));
        }
    }
}

/// Logs and measures what a sweep found.
fn swept(stack_region: &Region, tally: &Tally) {
    let Tally { in_progress, oldest_in_progress_seconds, missed, unfinished, failed, out_of_step, left, complete } =
        tally;
    let region = stack_region.as_str();
    info!(
        region,
        in_progress, oldest_in_progress_seconds, missed, unfinished, failed, out_of_step, left, complete, "swept"
    );
    // Single values, not gauges: those would be written again with every later invocation.
    let count = |number: usize| as_f64(i64::try_from(number).unwrap_or(i64::MAX));
    histogram!("CopiesInProgress").record(count(*in_progress));
    histogram!("OldestCopyInProgressSeconds").record(as_f64(*oldest_in_progress_seconds));
    histogram!("MissedFound").record(count(*missed));
    histogram!("UnfinishedFound").record(count(*unfinished));
    histogram!("OutOfStepFound").record(count(*out_of_step));
    if *complete {
        counter!("SweepCompleted").increment(1);
    }
}
