//! The log, and the metrics beside it. What a report says, `courier/log` writes.
//!
//! Metrics are log lines too, in CloudWatch's embedded format: no call, no permission, no waiting.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::stdout;
use std::sync::OnceLock;

use metrics::histogram;
use metrics_cloudwatch_embedded::{Builder, Collector};
use time::OffsetDateTime;
use tracing::level_filters::LevelFilter;
use tracing::{info, warn};
use tracing_subscriber::fmt::time::UtcTime;

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

/// Measures how old a message is that will be retried.
pub fn record_retry_age(sent_at: Option<OffsetDateTime>, now: OffsetDateTime) {
    if let Some(sent_at) = sent_at {
        histogram!("RetriedMessageAgeSeconds").record(as_f64((now - sent_at).whole_seconds()));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers; seconds and counts are far below 2^52"
)]
pub(crate) fn as_f64(number: i64) -> f64 {
    number as f64
}
