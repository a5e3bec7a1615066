//! The records of a batch, several at once. What there is no time for, and what panics, is a failure of its own record alone.

use std::panic::AssertUnwindSafe;

use courier_core::error::{Error, RetryAfter, code};
use futures_util::future::FutureExt;
use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, error, info_span, warn};

use super::record::{Record, lanes};

/// Records of a batch that are worked on at the same time: the stack's batch size.
const AT_ONCE: usize = 10;

/// The records of a batch that `work` does not do. Lanes run at the same time; within a lane, one record after the other,
/// until one fails.
pub(super) async fn not_done<'a>(
    records: &'a [Record],
    deadline: Instant,
    work: impl AsyncFn(&'a Record) -> bool,
) -> Vec<&'a Record> {
    let lanes = lanes(records);
    stream::iter(&lanes)
        .map(|lane| not_done_in_order(lane, deadline, &work))
        .buffer_unordered(AT_ONCE)
        .flat_map(stream::iter)
        .collect()
        .await
}

/// The records of a lane that are not done: the first that fails, and all after it.
async fn not_done_in_order<'a>(
    lane: &[&'a Record],
    deadline: Instant,
    work: impl AsyncFn(&'a Record) -> bool,
) -> Vec<&'a Record> {
    for (done, record) in lane.iter().enumerate() {
        let span = info_span!("message", id = record.id.as_deref().unwrap_or_default());
        let work = timeout_at(deadline, AssertUnwindSafe(work(record)).catch_unwind());
        let ended = async {
            match work.await {
                Ok(Ok(is_done)) => is_done,
                Ok(Err(_)) => {
                    error!(error = %panicked(), "not done");
                    false
                }
                Err(_) => {
                    warn!(error = %out_of_time(), "not done");
                    false
                }
            }
        };
        let is_done = ended.instrument(span).await;
        if !is_done {
            return lane[done..].to_vec();
        }
    }
    Vec::new()
}

pub(super) fn panicked() -> Error {
    let message = "the function panicked over this message; its log has the place in the code";
    Error::retry(RetryAfter::Seconds, code::PANIC, message)
}

pub(super) fn out_of_time() -> Error {
    let message = "there was no time left before the function's timeout";
    Error::retry(RetryAfter::Seconds, code::OUT_OF_TIME, message)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// A batch: (message id, group of a FIFO queue, or none in a standard queue).
    fn records(of: &[(&str, Option<&str>)]) -> Vec<Record> {
        let record = |(id, group): &(&str, Option<&str>)| {
            let queue = if group.is_some() { "queue.fifo" } else { "queue" };
            json!({ "eventSource": "aws:sqs", "messageId": id, "body": "", "attributes": { "MessageGroupId": group.unwrap_or_default() },
                    "eventSourceARN": format!("arn:aws:sqs:eu-west-1:123456789012:{queue}") })
        };
        crate::delivery::record::batch(&json!({ "Records": of.iter().map(record).collect::<Vec<_>>() })).unwrap()
    }

    fn id(record: &Record) -> &str {
        record.id.as_deref().unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_its_own_record_and_of_no_other() {
        let records = records(&[("a", None), ("b", None), ("c", None)]);
        let done = RefCell::new(Vec::new());
        let failed = not_done(&records, soon(), async |record| {
            tokio::task::yield_now().await;
            assert!(id(record) != "b", "a bug");
            done.borrow_mut().push(id(record));
            true
        })
        .await;
        assert_eq!(failed.into_iter().map(id).collect::<Vec<_>>(), ["b"]);
        let mut done = done.into_inner();
        done.sort_unstable();
        assert_eq!(done, ["a", "c"]);
    }

    #[tokio::test]
    async fn in_a_message_group_a_panic_stops_what_is_behind_it_and_nothing_else() {
        let records = records(&[("a1", Some("a")), ("b1", Some("b")), ("a2", Some("a")), ("a3", Some("a"))]);
        let failed = not_done(&records, soon(), async |record| {
            assert!(id(record) != "a2", "a bug");
            true
        })
        .await;
        assert_eq!(failed.into_iter().map(id).collect::<Vec<_>>(), ["a2", "a3"]);
    }

    #[tokio::test]
    async fn what_there_is_no_time_for_is_a_failure_and_what_is_done_by_then_is_not() {
        let slow_and_behind = [("quick", None), ("slow", Some("a")), ("behind", Some("a")), ("other", Some("b"))];
        let records = records(&slow_and_behind);
        let at_once = Instant::now() + Duration::from_millis(1);
        let failed = not_done(&records, at_once, async |record| {
            if id(record) == "slow" {
                std::future::pending::<()>().await;
            }
            true
        })
        .await;
        assert_eq!(failed.into_iter().map(id).collect::<Vec<_>>(), ["slow", "behind"]);
    }

    #[tokio::test]
    async fn more_records_than_are_worked_on_at_once_are_all_done() {
        let ids: Vec<String> = (0..3 * AT_ONCE).map(|n| format!("m{n}")).collect();
        let records = records(&ids.iter().map(|id| (id.as_str(), None)).collect::<Vec<_>>());
        let under_way = RefCell::new((0, 0));
        let failed = not_done(&records, soon(), async |_| {
            let (now, most) = *under_way.borrow();
            *under_way.borrow_mut() = (now + 1, most.max(now + 1));
            tokio::task::yield_now().await;
            under_way.borrow_mut().0 -= 1;
            true
        })
        .await;
        assert!(failed.is_empty());
        assert_eq!(*under_way.borrow(), (0, AT_ONCE));
    }
}
