//! Back-off: a record that is to be tried again is hidden for a while, longer each time.
//!
//! Without it SQS shows a failed record again only after the queue's whole visibility time-out; and a handful of
//! receives in a row would spend the queue's redrive on a cause that passes in an hour.

use std::time::Duration;

use tracing::warn;

use super::{Delivery, Record};
use courier_core::outcome::{Error, Pace};

impl Delivery {
    /// Hides a record until its next try. If that fails, the queue's own time-out does it.
    pub(super) async fn hide(&self, record: &Record, pace: Pace) {
        let (Some(url), Some(handle)) = (&self.courier.settings.queue_url, &record.receipt_handle) else { return };
        let visible_in = full_jitter(longest(pace, record.deliveries), fastrand::f64());
        if let Err(failed) = self.courier.aws.queue(url).hide(handle, visible_in).await {
            let error = Error::from_aws("moving the visibility of the message", &failed);
            warn!(message_id = record.id, %error, "the message is seen again after the queue's own time-out");
        }
    }
}

/// The longest pause before the next try: doubled with each delivery, up to a bound.
///
/// A pause is then never longer than what was waited before, so a small burst is done soon; and a thousand messages that
/// wait for EC2's limit ask for it every other second, not thirty times as often.
fn longest(pace: Pace, deliveries: u32) -> Duration {
    let (first, bound) = match pace {
        Pace::Seconds => (Duration::from_secs(4), Duration::from_secs(15 * 60)),
        Pace::Minutes => (Duration::from_secs(2 * 60), Duration::from_secs(60 * 60)),
    };
    let doublings = deliveries.saturating_sub(1).min(16);
    (first * 2_u32.pow(doublings)).min(bound)
}

/// Anything from one second up to `longest`: many records that failed together must not come back together.
/// <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>
fn full_jitter(longest: Duration, random: f64) -> Duration {
    longest.mul_f64(random.clamp(0.0, 1.0)).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_are_longer_for_what_passes_in_minutes() {
        let seconds = |n| longest(Pace::Seconds, n).as_secs();
        let minutes = |n| longest(Pace::Minutes, n).as_secs();
        assert_eq!(
            [seconds(0), seconds(1), seconds(2), seconds(5), seconds(9), seconds(u32::MAX)],
            [4, 4, 8, 64, 900, 900]
        );
        assert_eq!(
            [minutes(1), minutes(2), minutes(3), minutes(5), minutes(6), minutes(99)],
            [120, 240, 480, 1920, 3600, 3600]
        );
    }

    proptest! {
        #[test]
        fn jitter_stays_between_one_second_and_the_longest_pause(deliveries in 0..1000_u32, random in 0.0..1.0_f64) {
            for pace in [Pace::Seconds, Pace::Minutes] {
                let pause = full_jitter(longest(pace, deliveries), random);
                prop_assert!(pause >= Duration::from_secs(1) && pause <= longest(pace, deliveries));
            }
        }
    }
}
