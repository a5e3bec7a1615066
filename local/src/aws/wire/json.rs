//! The answers of the services that speak awsJson 1.0 and 1.1.
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>

use hyper::body::Bytes;
use hyper::{Response, header};
use serde_json::json;

use super::status::status;
use crate::aws::request::Answer;

pub(super) fn respond(content_type: &str, service: &str, request_id: &str, answer: &Answer) -> Response<Bytes> {
    let mut response = Response::builder()
        .status(status(answer))
        .header(header::CONTENT_TYPE, content_type)
        .header("x-amzn-requestid", request_id);
    let body = match answer {
        Ok(body) => body.to_string(),
        Err(error) => {
            response = response.header("x-amzn-errortype", &error.code);
            let mut kind = error.code.clone();
            if service == "sqs" {
                response = response.header("x-amzn-query-error", query_error(&error.code, error.status));
                kind = format!("com.amazonaws.sqs#{}", error.code);
            }
            json!({ "__type": kind, "message": error.message }).to_string()
        }
    };
    response.body(Bytes::from(body)).expect("the parts of the answer are valid")
}

/// The code of an error in SQS's older Query protocol; older clients know only that one.
/// <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#awsquerycompatible-trait>
fn query_error(code: &str, status: u16) -> String {
    let code = match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue",
        "QueueNameExists" => "QueueAlreadyExists",
        "MessageNotInflight" => "AWS.SimpleQueueService.MessageNotInflight",
        "UnsupportedOperation" => "AWS.SimpleQueueService.UnsupportedOperation",
        "BatchEntryIdsNotDistinct" => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "BatchRequestTooLong" => "AWS.SimpleQueueService.BatchRequestTooLong",
        "EmptyBatchRequest" => "AWS.SimpleQueueService.EmptyBatchRequest",
        "InvalidBatchEntryId" => "AWS.SimpleQueueService.InvalidBatchEntryId",
        "TooManyEntriesInBatchRequest" => "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        code => code,
    };
    let blame = if status < 500 { "Sender" } else { "Receiver" };
    format!("{code};{blame}")
}
