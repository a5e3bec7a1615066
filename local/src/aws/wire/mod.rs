//! From HTTP to a request, and from an answer to HTTP, for each protocol that the services speak.

mod json;
mod parse;
mod rest;
mod status;
mod xml;

use hyper::Response;
use hyper::body::Bytes;

use super::request::Answer;

pub(super) use parse::parse;

/// The HTTP answer, in the protocol that the service speaks.
pub(super) fn respond(service: &str, action: &str, request_id: &str, answer: &Answer) -> Response<Bytes> {
    match service {
        "ssm" | "events" => json::respond("application/x-amz-json-1.1", service, request_id, answer),
        "sqs" => json::respond("application/x-amz-json-1.0", service, request_id, answer),
        "ebs" => rest::respond(action, request_id, answer),
        "iam" => xml::respond_with_result("https://iam.amazonaws.com/doc/2010-05-08/", action, request_id, answer),
        "sts" => xml::respond_with_result("https://sts.amazonaws.com/doc/2011-06-15/", action, request_id, answer),
        _ => xml::respond(action, request_id, answer),
    }
}
