//! The Runtime API of one process. It records the time of each call of the process.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use crate::Outcome;
use crate::aws::{ACCOUNT, REGION};

/// The function's timeout: the longest that Lambda allows.
const TIMEOUT: Duration = Duration::from_mins(15);

/// A call of the process.
pub(crate) enum Progress {
    AskedForWork(Instant),
    Answered(Instant, Bytes),
    Failed(Bytes),
}

pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    work: mpsc::UnboundedSender<Bytes>,
    progress: mpsc::UnboundedReceiver<Progress>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Shared {
    work: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    progress: mpsc::UnboundedSender<Progress>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (work, queue) = mpsc::unbounded_channel();
        let (report, progress) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { work: Mutex::new(queue), progress: report });
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(&shared, request));
                    // It ends when the process does.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, work, progress, server })
    }

    /// Gives the process an event.
    pub(crate) fn send(&self, event: &Bytes) {
        let _ = self.work.send(event.clone());
    }

    /// When the process asks for work. An error if it does not within a minute.
    pub(crate) async fn asked(&mut self) -> Outcome<Instant> {
        match self.next(Duration::from_mins(1)).await? {
            Progress::AskedForWork(at) => Ok(at),
            Progress::Answered(..) => Err("an answer without an event".into()),
            Progress::Failed(why) => Err(format!("the function failed: {}", String::from_utf8_lossy(&why)).into()),
        }
    }

    /// When the process answered, and its answer.
    pub(crate) async fn answered(&mut self) -> Outcome<(Instant, Bytes)> {
        match self.next(TIMEOUT).await? {
            Progress::Answered(at, answer) => Ok((at, answer)),
            Progress::AskedForWork(_) => Err("the function asked for work before it answered".into()),
            Progress::Failed(why) => Err(format!("the function failed: {}", String::from_utf8_lossy(&why)).into()),
        }
    }

    async fn next(&mut self, within: Duration) -> Outcome<Progress> {
        tokio::time::timeout(within, self.progress.recv()).await?.ok_or_else(|| "the Runtime API ended".into())
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/next") {
        let _ = shared.progress.send(Progress::AskedForWork(Instant::now()));
        let Some(event) = shared.work.lock().await.recv().await else { return std::future::pending().await };
        let deadline = (SystemTime::now() + TIMEOUT).duration_since(UNIX_EPOCH).unwrap_or_default();
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header(
                "lambda-runtime-invoked-function-arn",
                format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:ami-courier"),
            )
            .header(
                "lambda-runtime-trace-id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
            );
        return Ok(response.body(Full::from(event)).unwrap_or_default());
    }
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let progress =
        if path.ends_with("/response") { Progress::Answered(Instant::now(), body) } else { Progress::Failed(body) };
    let _ = shared.progress.send(progress);
    Ok(Response::builder().status(202).body(Full::default()).unwrap_or_default())
}
