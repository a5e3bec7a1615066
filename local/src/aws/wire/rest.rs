//! The protocol of the EBS direct API: the action is in the method and the path.
//! <https://docs.aws.amazon.com/ebs/latest/APIReference/API_Operations.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::status::status;
use crate::aws::error::ApiError;
use crate::aws::request::Answer;

/// The action and its parameters. Of a block, its length and its checksum stand for the data.
///
/// # Errors
/// `ValidationException`
pub(super) fn call(head: &Parts, body: &[u8]) -> Result<(String, Value), ApiError> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
    let (action, parameters) = match (&head.method, path.as_slice()) {
        (&Method::POST, ["snapshots"]) => ("StartSnapshot", serde_json::from_slice(body).unwrap_or_default()),
        (&Method::PUT, ["snapshots", id, "blocks", index]) => (
            "PutSnapshotBlock",
            json!({
                "SnapshotId": id,
                "BlockIndex": index,
                "DataLength": header("x-amz-data-length"),
                "Checksum": header("x-amz-checksum"),
                "ChecksumAlgorithm": header("x-amz-checksum-algorithm"),
                "ActualLength": body.len(),
                "ActualChecksum": STANDARD.encode(Sha256::digest(body)),
            }),
        ),
        (&Method::POST, ["snapshots", "completion", id]) => {
            ("CompleteSnapshot", json!({ "SnapshotId": id, "ChangedBlocksCount": header("x-amz-changedblockscount") }))
        }
        (method, _) => {
            let path = head.uri.path();
            return Err(ApiError::client(
                "ValidationException",
                format!("The EBS direct API has no {method} {path} here"),
            ));
        }
    };
    Ok((action.to_owned(), parameters))
}

pub(super) fn respond(action: &str, request_id: &str, answer: &Answer) -> Response<Bytes> {
    let status = match action {
        _ if answer.is_err() => status(answer),
        "CompleteSnapshot" => StatusCode::ACCEPTED,
        _ => StatusCode::CREATED,
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-amzn-requestid", request_id);
    let body = match answer {
        Ok(body) => body.clone(),
        Err(error) => {
            response = response.header("x-amzn-errortype", &error.code);
            json!({ "__type": error.code, "Message": error.message })
        }
    };
    response.body(Bytes::from(body.to_string())).expect("the parts of the answer are valid")
}
