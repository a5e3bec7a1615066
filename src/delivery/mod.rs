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
//! A question (the status, or what CloudWatch asks of a custom widget) is a direct request as well: it is answered, and
//! changes nothing.
//!
//! `function` is what Lambda calls, `batch` works on the records of a batch. Nothing here calls EC2: the courier does what a message
//! asks for, and closes it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

mod back_off;
mod batch;
mod function;
mod record;

pub use function::{Failure, Function};
