//! The records of a batch, several at once. A record that panics or runs out of time fails alone.

use std::panic::AssertUnwindSafe;

use courier_core::error::{Error, RetryAfter, code};
use futures_util::future::FutureExt;
use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, info_span, warn};

use super::record::Record;

/// Records of a batch that are worked on at the same time: the stack's batch size.
const AT_ONCE: usize = 10;

/// The records of a batch that `work` does not do.
pub(super) async fn not_done<'a>(
    records: &'a [Record],
    deadline: Instant,
    work: impl AsyncFn(&'a Record) -> bool,
) -> Vec<&'a Record> {
    let work = async |record: &'a Record| {
        let span = info_span!("message", id = record.id.as_deref().unwrap_or_default());
        let ended = async {
            let done = in_time(deadline, work(record)).await;
            done.inspect_err(|error| warn!(%error, "not done")).unwrap_or(false)
        };
        (!ended.instrument(span).await).then_some(record)
    };
    stream::iter(records).map(work).buffer_unordered(AT_ONCE).filter_map(async |failed| failed).collect().await
}

/// What `work` comes to, unless it panics or takes too long.
pub(super) async fn in_time<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Error> {
    match timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => {
            let message = "the function panicked over this message; its log has the place in the code";
            Err(Error::retry(RetryAfter::Seconds, code::PANIC, message))
        }
        Err(_) => {
            let message = "there was no time left before the function's timeout";
            Err(Error::retry(RetryAfter::Seconds, code::OUT_OF_TIME, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn records(ids: &[&str]) -> Vec<Record> {
        let record = |id: &&str| json!({ "eventSource": "aws:sqs", "messageId": id, "body": "", "attributes": {} });
        crate::delivery::record::batch(&json!({ "Records": ids.iter().map(record).collect::<Vec<_>>() })).unwrap()
    }

    fn id(record: &Record) -> &str {
        record.id.as_deref().unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_its_own_record_and_of_no_other() {
        let records = records(&["a", "b", "c"]);
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
    async fn what_there_is_no_time_for_is_a_failure_and_what_is_done_by_then_is_not() {
        let records = records(&["quick", "slow", "other"]);
        let at_once = Instant::now() + Duration::from_millis(1);
        let failed = not_done(&records, at_once, async |record| {
            if id(record) == "slow" {
                std::future::pending::<()>().await;
            }
            true
        })
        .await;
        assert_eq!(failed.into_iter().map(id).collect::<Vec<_>>(), ["slow"]);
    }

    #[tokio::test]
    async fn more_records_than_are_worked_on_at_once_are_all_done() {
        let ids: Vec<String> = (0..3 * AT_ONCE).map(|n| format!("m{n}")).collect();
        let records = records(&ids.iter().map(String::as_str).collect::<Vec<_>>());
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
