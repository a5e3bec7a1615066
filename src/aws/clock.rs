//! AWS's clock: the time in the `Date` header of its latest answer.
//!
//! The epochs of the copy protocol are worth as much as the clocks of the functions that count them. So all functions
//! count by one clock, AWS's, and the host's only fills the time between two answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_types::date_time::{DateTime, Format};
use time::{Duration, OffsetDateTime};

/// Clones share the time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Seconds by which AWS's clock is ahead of the host's.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// AWS's time; the host's until AWS has answered for the first time.
    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + Duration::seconds(self.ahead.load(Ordering::Relaxed))
    }

    /// Takes the time over from a `Date` header. One that cannot be read changes nothing.
    pub(super) fn set(&self, date: &str) {
        if let Ok(date) = DateTime::from_str(date, Format::HttpDate) {
            self.ahead.store(date.secs() - OffsetDateTime::now_utc().unix_timestamp(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_the_latest_date_header_and_runs_on() {
        let clock = Clock::default();
        let off = |expected: i64| (clock.now().unix_timestamp() - expected).abs();
        assert!(off(OffsetDateTime::now_utc().unix_timestamp()) <= 1);
        clock.clone().set("Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(off(784_111_777) <= 1, "{}", clock.now());
        clock.set("yesterday");
        assert!(off(784_111_777) <= 1, "{}", clock.now());
    }
}
