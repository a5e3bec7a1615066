//! How Lambda hands work over and takes answers: an SQS batch, an EventBridge or SNS event, a direct request.
//!
//! Each has rules of its own for what is done, retried or rejected:
//!
//! | | done | Retry | Rejected |
//! |---|---|---|---|
//! | SQS record | acknowledged | a batch failure, hidden for the back-off | to the dead-letter queue, then acknowledged |
//! | EventBridge, SNS | list of outcomes | an error, so that Lambda retries | an error with the reason |
//! | direct request | the one outcome | an error | an error |
//!
//! `function` is what Lambda calls, `batch` works on the records of a batch; `outbox` has the only doors to the event
//! bus, the dead-letter queue and the courier's own queue.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

mod back_off;
mod batch;
mod function;
mod outbox;
mod record;

pub use function::{Failure, Function};
pub use outbox::Outbox;
