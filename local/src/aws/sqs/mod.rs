//! SQS: standard queues with visibility timeouts, receive counts and redrive, on the world's clock.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/>
//!
//! `queue` has the rules; `queues`, `send`, `send_batch` and `receive` the actions; `policy` is who may send from outside; `checksum` has
//! the digests that SDKs verify.

mod address;
mod checksum;
mod policy;
pub(super) mod queue;
mod queues;
mod receive;
mod send;
mod send_batch;

use super::error::ApiError;
use super::request::{Answer, Request, typed};
use super::world::World;

pub(super) fn dispatch(world: &mut World, request: &Request) -> Answer {
    let Request { action, caller, parameters, trace, .. } = request;
    match action.as_str() {
        "ListQueues" => Ok(queues::list_queues(world, caller, &typed(parameters)?)),
        "DeleteQueue" => queues::delete_queue(world, caller, &typed(parameters)?),
        "CreateQueue" => queues::create_queue(world, caller, &typed(parameters)?),
        "GetQueueUrl" => queues::get_queue_url(world, caller, &typed(parameters)?),
        "GetQueueAttributes" => queues::get_queue_attributes(world, caller, &typed(parameters)?),
        "SendMessage" => send::send_message(world, caller, trace.as_deref(), typed(parameters)?),
        "SendMessageBatch" => send_batch::send_message_batch(world, caller, trace.as_deref(), typed(parameters)?),
        "ReceiveMessage" => receive::receive_message(world, caller, &typed(parameters)?),
        "DeleteMessage" => receive::delete_message(world, caller, &typed(parameters)?),
        "ChangeMessageVisibility" => receive::change_message_visibility(world, caller, &typed(parameters)?),
        _ => Err(ApiError::client("UnsupportedOperation", format!("The embedded SQS has no {action}"))),
    }
}
