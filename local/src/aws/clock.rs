//! The world's clock: a test advances it, or it runs at a chosen rate.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::datetime;

/// When every world begins.
pub const START: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// The world's time when the rate was last set, plus every advance since.
    base: OffsetDateTime,
    since: Instant,
    rate: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { base: START, since: Instant::now(), rate: 0.0 }
    }
}

impl Clock {
    pub(super) fn now(&self) -> OffsetDateTime {
        self.base + self.since.elapsed().mul_f64(self.rate)
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.base += by;
    }

    pub(super) fn set_rate(&mut self, rate: f64) {
        self.base = self.now();
        self.since = Instant::now();
        self.rate = rate;
    }
}
