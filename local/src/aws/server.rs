//! The HTTP server: hands calls to the world, and breaks those that a fault hits.
//!
//! It stands on hyper alone: a framework would insist on answering, and a dropped connection must not be answered.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::error::ApiError;
use super::events::all_entries_failed;
use super::fault::{Effect, throttling};
use super::lock;
use super::wire::{Answer, Request, respond};
use super::world::World;

type Shared = Arc<Mutex<World>>;

/// Serves until the task is aborted; its connections end with it.
pub(super) async fn serve(listener: TcpListener, world: Shared) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve_connection(stream, Arc::clone(&world)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, world: Shared) {
    // Small answers must not wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&world), request));
    // It ends in an error when a fault cuts it and when the client hangs up: both are the client's matter.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Nobody gets an answer: hyper closes the connection.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was dropped by a fault")
    }
}

impl std::error::Error for Dropped {}

impl From<Infallible> for Dropped {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

async fn answer(world: Shared, request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let request_id = lock(&world).new_uuid();
    let request = match Request::parse(&head, &body) {
        Ok(request) => request,
        Err(error) => return Ok(respond("", "", &request_id, &Err(error)).map(Full::new)),
    };
    let (number, effect) = lock(&world).arrive(&request);
    let answer = carry_out(&world, &request, effect).await;
    let answer = match answer {
        Outcome::Answered(answer) => answer,
        Outcome::Dropped => return Err(Dropped),
    };
    lock(&world).answered(number, &answer);
    Ok(respond(&request.service, &request.action, &request_id, &answer).map(Full::new))
}

enum Outcome {
    Answered(Answer),
    Dropped,
}

async fn carry_out(world: &Shared, request: &Request, effect: Option<Effect>) -> Outcome {
    let carry_out = || lock(world).carry_out(request);
    let failed = |error: ApiError| Outcome::Answered(Err(error));
    match effect {
        None => Outcome::Answered(carry_out()),
        Some(Effect::Error(error)) => failed(error),
        Some(Effect::ErrorAfterEffect(error)) => {
            let _ = carry_out();
            failed(error)
        }
        Some(Effect::Throttle) => failed(throttling(&request.service)),
        Some(Effect::DropConnection) => Outcome::Dropped,
        Some(Effect::DropAfterEffect) => {
            let _ = carry_out();
            Outcome::Dropped
        }
        Some(Effect::Slow(by)) => {
            tokio::time::sleep(by).await;
            Outcome::Answered(carry_out())
        }
        Some(Effect::SlowAfterEffect(by)) => {
            let answer = carry_out();
            tokio::time::sleep(by).await;
            Outcome::Answered(answer)
        }
        Some(Effect::FailEntries { code, message }) => {
            Outcome::Answered(Ok(all_entries_failed(&request.parameters, &code, &message)))
        }
    }
}
