//! The HTTP status of an answer, the same in each protocol.

use hyper::StatusCode;

use crate::aws::request::Answer;

pub(super) fn status(answer: &Answer) -> StatusCode {
    answer.as_ref().map_or_else(
        |error| StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        |_| StatusCode::OK,
    )
}
