//! Time: real time, or the time of an AWS on loopback that runs faster.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// A future on the heap, for calls through a table or a trait.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The time that passes in the AWS that is asked.
pub trait Clock: Debug + Send + Sync {
    /// The time since the clock was made.
    fn elapsed(&self) -> Duration;

    /// Waits until this much time has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// Real time, times a factor.
#[derive(Debug)]
pub struct RealTime {
    since: Instant,
    rate: f64,
}

impl RealTime {
    /// `rate` is how many seconds pass in the AWS that is asked for each real second: 1 for AWS itself.
    #[must_use]
    pub fn at_rate(rate: f64) -> Self {
        RealTime { since: Instant::now(), rate }
    }
}

impl Clock for RealTime {
    fn elapsed(&self) -> Duration {
        self.since.elapsed().mul_f64(self.rate)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration.div_f64(self.rate)))
    }
}
