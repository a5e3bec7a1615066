//! The Runtime API as Lambda serves it: one server for each process, so that nothing of a killed process reaches the next.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The largest answer that Lambda takes, in bytes.
const ANSWER_LIMIT: usize = 6_291_556;

/// One event on its way to the function.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) request_id: String,
    /// When the timeout is reached, in milliseconds since 1970.
    pub(super) deadline_ms: u128,
    pub(super) function_arn: String,
    pub(super) trace_id: String,
    pub(super) payload: Vec<u8>,
}

/// What a function does, as the Runtime API sees it.
#[derive(Debug)]
pub(super) enum Progress {
    AskedForWork,
    Answered(Result<Bytes, ErrorReport>),
    InitFailed(ErrorReport),
}

/// An error as a function reports it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ErrorReport {
    pub(super) error_type: String,
    pub(super) error_message: String,
}

impl Default for ErrorReport {
    fn default() -> Self {
        Self { error_type: "Unhandled".to_owned(), error_message: String::new() }
    }
}

/// The host's side of the Runtime API of one process.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    work: mpsc::UnboundedSender<Invocation>,
    progress: mpsc::UnboundedReceiver<Progress>,
    /// Stops when this value is dropped.
    _server: JoinSet<()>,
}

impl RuntimeApi {
    /// Opens a free port on loopback.
    pub(super) async fn serve() -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (work, queue) = mpsc::unbounded_channel();
        let (report, progress) = mpsc::unbounded_channel();
        let function =
            FunctionSide { queue: Arc::new(tokio::sync::Mutex::new(queue)), current: Arc::default(), report };
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{request_id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{request_id}/error", post(invocation_error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(ANSWER_LIMIT))
            .with_state(function);
        let mut server = JoinSet::new();
        server.spawn(async move {
            // axum's server has no error of its own to return.
            let _ = axum::serve(listener, routes).await;
        });
        Ok((Self { work, progress, _server: server }, address))
    }

    /// Gives the function its next event.
    pub(super) fn hand_over(&self, invocation: Invocation) {
        // It fails only if the server has stopped. Then the process has ended too, and the host notices that.
        let _ = self.work.send(invocation);
    }

    /// The next thing that the function does. It never returns if there is none.
    pub(super) async fn progress(&mut self) -> Progress {
        match self.progress.recv().await {
            Some(progress) => progress,
            None => std::future::pending().await,
        }
    }
}

/// What the handlers share.
#[derive(Debug, Clone)]
struct FunctionSide {
    queue: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>>,
    /// The request id of the event that the function works on. Only that event can be answered, and only once.
    current: Arc<Mutex<Option<String>>>,
    report: mpsc::UnboundedSender<Progress>,
}

impl FunctionSide {
    fn notify(&self, progress: Progress) {
        // It fails once the host has given up on the process: then the host needs no news.
        let _ = self.report.send(progress);
    }

    fn answer(&self, request_id: &str, answer: Result<Bytes, ErrorReport>) -> Response {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_deref() != Some(request_id) {
            let message = format!("no invocation {request_id} is waiting for an answer");
            return refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", &message);
        }
        *current = None;
        self.notify(Progress::Answered(answer));
        accepted()
    }
}

async fn next(State(function): State<FunctionSide>) -> Response {
    function.notify(Progress::AskedForWork);
    let Some(invocation) = function.queue.lock().await.recv().await else {
        return refuse(StatusCode::GONE, "Gone", "the host has ended");
    };
    *function.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(invocation.request_id.clone());
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
        ("Lambda-Runtime-Deadline-Ms", invocation.deadline_ms.to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", invocation.function_arn),
        ("Lambda-Runtime-Trace-Id", invocation.trace_id),
    ];
    (headers, invocation.payload).into_response()
}

async fn response(
    State(function): State<FunctionSide>,
    Path(request_id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match body {
        Ok(body) => function.answer(&request_id, Ok(body)),
        Err(rejection) => {
            let report = ErrorReport {
                error_type: "Function.ResponseSizeTooLarge".to_owned(),
                error_message: format!("the answer is larger than {ANSWER_LIMIT} bytes, or incomplete"),
            };
            function.answer(&request_id, Err(report));
            rejection.into_response()
        }
    }
}

async fn invocation_error(
    State(function): State<FunctionSide>,
    Path(request_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    function.answer(&request_id, Err(read_report(&headers, &body)))
}

async fn init_error(State(function): State<FunctionSide>, headers: HeaderMap, body: Bytes) -> Response {
    function.notify(Progress::InitFailed(read_report(&headers, &body)));
    accepted()
}

/// The report is in the body. If the body is no report, the header has the error type.
fn read_report(headers: &HeaderMap, body: &[u8]) -> ErrorReport {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let header = headers.get("Lambda-Runtime-Function-Error-Type").and_then(|value| value.to_str().ok());
        ErrorReport {
            error_type: header.unwrap_or("Unhandled").to_owned(),
            error_message: String::from_utf8_lossy(body).into_owned(),
        }
    })
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, axum::Json(json!({"status": "OK"}))).into_response()
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> Response {
    let body: Value = json!({"errorType": error_type, "errorMessage": message});
    (status, axum::Json(body)).into_response()
}
