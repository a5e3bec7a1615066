//! One structured log line for each outcome, and metrics beside it.
//!
//! Metrics are log lines too, in CloudWatch's embedded format: no call, no permission, no waiting.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::error::Error as _;
use std::io::stdout;
use std::sync::OnceLock;
use std::time::Duration;

use courier_core::error::{Error, Rejection, Retry};
use courier_core::identity::Region;
use courier_core::outcome::Outcome;
use metrics::{counter, histogram};
use metrics_cloudwatch_embedded::{Builder, Collector};
use time::OffsetDateTime;
use tracing::level_filters::LevelFilter;
use tracing::{error, info, warn};
use tracing_subscriber::fmt::time::UtcTime;

use crate::courier::{Report, Tally};

/// The namespace of the metrics in CloudWatch.
pub const NAMESPACE: &str = "ami-courier";

static METRICS: OnceLock<&'static Collector> = OnceLock::new();

/// Starts the log as Lambda's own settings say: `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL`. Each line has an RFC 3339
/// `timestamp` and a `level`, which Lambda filters by. (The runtime's own subscriber also takes filters of `RUST_LOG`, and a
/// regular-expression engine for them.)
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html>
pub fn start_log(variable: impl Fn(&str) -> Option<String>) {
    let level = variable("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt().with_target(false).with_timer(UtcTime::rfc_3339()).with_max_level(level);
    if variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().init();
    } else {
        lines.init();
    }
}

/// Starts the collection of metrics, and logs which version starts. `function` is the only dimension that all have.
pub fn start(function: String) {
    if let Ok(collector) =
        Builder::new().cloudwatch_namespace(NAMESPACE).with_dimension("FunctionName", function).init()
    {
        let _ = METRICS.set(collector);
    }
    info!(version = env!("CARGO_PKG_VERSION"), "ami-courier starts");
}

/// Writes the metrics collected so far to the log.
pub fn flush() {
    if let Some(Err(error)) = METRICS.get().map(|collector| collector.flush(stdout())) {
        warn!(%error, "the metrics were not written");
    }
}

/// Whether only a sweep has announced an AMI: its rejection is no dead letter, so a metric with an alarm counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnouncedBySweep(pub bool);

/// Logs and counts what became of one AMI.
pub fn reported(stack_region: &Region, report: &Report, took: Duration, by_sweep: AnnouncedBySweep) {
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let route = report.route.as_ref();
    let source_image = route.map_or("", |route| route.source_image_id.as_str());
    let source_region = route.map_or("", |route| route.source_region.as_str());
    let region = stack_region.as_str();
    match &report.result {
        Ok(done) => {
            let outcome = done.name();
            let copy = done.copy().map_or("", |copy| copy.as_str());
            let reason = reason(done);
            info!(source_image, source_region, region, copy, outcome, reason, milliseconds, "done");
            count(done);
            if let Some(days) = report.held_days {
                histogram!("RetirementHeldDays").record(as_f64(days));
            }
        }
        Err(error @ Error::Retry(Retry { code, message: explanation, .. })) => {
            let (outcome, cause) = (error.name(), cause(error));
            warn!(
                source_image,
                source_region, region, outcome, code, explanation, cause, milliseconds, "will be retried"
            );
            counter!("Retried").increment(1);
        }
        Err(error @ Error::Rejected(Rejection { code, message: explanation, advice, .. })) => {
            let (outcome, cause) = (error.name(), cause(error));
            error!(
                source_image,
                source_region, region, outcome, code, explanation, advice, cause, milliseconds, "rejected"
            );
            counter!("Rejected").increment(1);
            counter!("Rejected", "Code" => code.clone()).increment(1);
            if by_sweep.0 && report.failed_copy().is_none() {
                counter!("RejectedFound").increment(1);
            }
        }
    }
}

fn reason(done: &Outcome) -> &str {
    match done {
        Outcome::Ignored { reason, .. } | Outcome::Retired { reason, .. } => reason,
        _ => "",
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

/// What lies behind an error, down to its origin.
fn cause(error: &Error) -> Option<String> {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(behind) = cause {
        causes.push(behind.to_string());
        cause = behind.source();
    }
    (!causes.is_empty()).then(|| causes.join(": "))
}

/// Measures how old a message is that will be retried.
pub fn record_retry_age(sent_at: Option<OffsetDateTime>, now: OffsetDateTime) {
    if let Some(sent_at) = sent_at {
        histogram!("RetriedMessageAgeSeconds").record(as_f64((now - sent_at).whole_seconds()));
    }
}

/// Logs and measures what a sweep found.
pub fn swept(stack_region: &Region, tally: &Tally) {
    let Tally { in_progress, oldest_in_progress_seconds, missed, unfinished, failed, left, complete } = tally;
    let region = stack_region.as_str();
    info!(region, in_progress, oldest_in_progress_seconds, missed, unfinished, failed, left, complete, "swept");
    // Single values, not gauges: those would be written again with every later invocation.
    let count = |number: usize| as_f64(i64::try_from(number).unwrap_or(i64::MAX));
    histogram!("CopiesInProgress").record(count(*in_progress));
    histogram!("OldestCopyInProgressSeconds").record(as_f64(*oldest_in_progress_seconds));
    histogram!("MissedFound").record(count(*missed));
    histogram!("UnfinishedFound").record(count(*unfinished));
    if *complete {
        counter!("SweepCompleted").increment(1);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers; seconds and counts are far below 2^52"
)]
fn as_f64(number: i64) -> f64 {
    number as f64
}
