//! Back-off: a record that is retried is hidden for a while, longer each time.
//!
//! Without it, SQS would show a failed record again only after the queue's whole visibility timeout; and a few receives in a
//! row would use up the queue's redrive for a cause that lasts an hour.

use std::time::Duration;

use courier_core::error::RetryAfter;
use time::OffsetDateTime;

/// The most that SQS hides a message. <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// How long a record is hidden that was delivered this often. `random` is from 0 to 1.
pub(super) fn pause(after: RetryAfter, deliveries: u32, now: OffsetDateTime, random: f64) -> Duration {
    match after {
        RetryAfter::Seconds => {
            full_jitter(doubled(Duration::from_secs(4), Duration::from_secs(15 * 60), deliveries), random)
        }
        RetryAfter::Minutes => {
            full_jitter(doubled(Duration::from_secs(2 * 60), Duration::from_secs(60 * 60), deliveries), random)
        }
        RetryAfter::Until(time) => {
            let left = Duration::try_from(time - now).unwrap_or_default();
            // Whatever waits for the same time must not come back at the same moment.
            (left + full_jitter(Duration::from_secs(60), random)).min(LONGEST)
        }
    }
}

/// The longest pause before the next attempt: doubled with each delivery, up to a bound.
///
/// A pause is then never longer than the time waited before, so a small burst is done soon; and a thousand messages that
/// wait for EC2's limit do not keep calling it.
fn doubled(first: Duration, bound: Duration, deliveries: u32) -> Duration {
    let doublings = deliveries.saturating_sub(1).min(16);
    (first * 2_u32.pow(doublings)).min(bound)
}

/// From one second up to `longest`: records that failed together must not come back together.
/// <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>
fn full_jitter(longest: Duration, random: f64) -> Duration {
    longest.mul_f64(random.clamp(0.0, 1.0)).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn pauses_double_up_to_a_bound_and_are_longer_for_a_cause_that_lasts_minutes() {
        let seconds = |n| pause(RetryAfter::Seconds, n, NOW, 1.0).as_secs();
        let minutes = |n| pause(RetryAfter::Minutes, n, NOW, 1.0).as_secs();
        assert_eq!(
            [seconds(0), seconds(1), seconds(2), seconds(5), seconds(9), seconds(u32::MAX)],
            [4, 4, 8, 64, 900, 900]
        );
        assert_eq!(
            [minutes(1), minutes(2), minutes(3), minutes(5), minutes(6), minutes(99)],
            [120, 240, 480, 1920, 3600, 3600]
        );
    }

    #[test]
    fn a_record_that_waits_for_a_time_is_hidden_until_then_and_at_most_for_what_sqs_allows() {
        let until =
            |seconds: i64| pause(RetryAfter::Until(NOW + time::Duration::seconds(seconds)), 7, NOW, 0.5).as_secs();
        assert_eq!([until(600), until(-600), until(100_000)], [630, 30, 43_200]);
    }

    proptest! {
        #[test]
        fn jitter_stays_between_one_second_and_the_longest_pause(deliveries in 0..1000_u32, random in 0.0..1.0_f64) {
            for after in [RetryAfter::Seconds, RetryAfter::Minutes] {
                let jittered = pause(after, deliveries, NOW, random);
                prop_assert!(jittered >= Duration::from_secs(1) && jittered <= pause(after, deliveries, NOW, 1.0));
            }
        }
    }
}
