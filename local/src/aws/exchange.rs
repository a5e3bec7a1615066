//! One HTTP request and its answer: hands the call to the world, and applies the fault that hits it.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{DATE, HeaderValue};

use super::batch::{all_entries_failed, one_entry_failed};
use super::error::ApiError;
use super::fault::{Effect, throttling};
use super::region::exists;
use super::request::{Answer, Request};
use super::shared::SharedWorld;
use super::timestamp::http_date;
use super::wire::{parse, respond};

/// There is no answer: hyper closes the connection.
#[derive(Debug)]
pub(super) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was dropped without an answer")
    }
}

impl std::error::Error for Dropped {}

impl From<Infallible> for Dropped {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

pub(super) async fn answer(
    world: SharedWorld,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Dropped> {
    let mut response = answer_by_world(&world, request).await?;
    // Clients may count by AWS's clock: it is the world's.
    if let Ok(date) = HeaderValue::from_str(&http_date(world.lock().now())) {
        response.headers_mut().insert(DATE, date);
    }
    Ok(response.map(Full::new))
}

async fn answer_by_world(
    world: &SharedWorld,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Bytes>, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let request_id = world.lock().new_uuid();
    let request = match parse(&head, &body) {
        Ok(request) => request,
        Err(error) => return Ok(respond("", "", &request_id, &Err(error))),
    };
    let (number, effect) = world.lock().arrive(&request);
    let answer = carry_out(world, &request, effect).await?;
    world.lock().record_answer(number, &answer);
    Ok(respond(&request.service, &request.action, &request_id, &answer))
}

async fn carry_out(world: &SharedWorld, request: &Request, effect: Option<Effect>) -> Result<Answer, Dropped> {
    if !has_endpoint(request) {
        return Err(Dropped);
    }
    let carry_out = || world.lock().carry_out(request);
    let failed = |error: ApiError| Ok(Err(error));
    match effect {
        None => Ok(carry_out()),
        Some(Effect::Error(error)) => failed(error),
        Some(Effect::ErrorAfterEffect(error)) => {
            let _ = carry_out();
            failed(error)
        }
        Some(Effect::Throttle) => failed(throttling(&request.service)),
        Some(Effect::DropConnection) => Err(Dropped),
        Some(Effect::DropAfterEffect) => {
            let _ = carry_out();
            Err(Dropped)
        }
        Some(Effect::Slow(by)) => {
            tokio::time::sleep(by).await;
            Ok(carry_out())
        }
        Some(Effect::SlowAfterEffect(by)) => {
            let answer = carry_out();
            tokio::time::sleep(by).await;
            Ok(answer)
        }
        Some(Effect::FailEntries { code, message }) => Ok(Ok(all_entries_failed(request, &code, &message))),
        Some(Effect::FailEntry { at, code, message }) => {
            Ok(one_entry_failed(request, at, &code, &message, |rest| world.lock().carry_out(rest)))
        }
    }
}

/// Whether the service has an endpoint in the Region. For a Region that AWS does not have, DNS has no
/// `ec2.REGION.amazonaws.com`, and a client gets no answer. Here it reaches this server, which drops the connection.
fn has_endpoint(request: &Request) -> bool {
    request.service != "ec2" || exists(&request.caller.region)
}
