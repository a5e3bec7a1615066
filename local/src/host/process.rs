//! One process of the function, from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Child;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::error::{Ending, InvokeError};
use super::runtime_api::{Invocation, Progress, RuntimeApi};

/// A process with its own Runtime API. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) handle: Handle,
    api: RuntimeApi,
}

/// What a process did while the host waited for it.
pub(super) enum Waited {
    Progress(Progress),
    Ended(Ending),
    TooLong,
}

impl Process {
    pub(super) fn new(child: Child, api: RuntimeApi) -> Self {
        Self { handle: Handle::watch(child), api }
    }

    pub(super) async fn invoke(&mut self, timeout: Duration, invocation: Invocation) -> Result<Value, InvokeError> {
        let deadline = Instant::now() + timeout;
        self.api.hand_over(invocation);
        loop {
            match self.wait(deadline).await {
                Waited::Progress(Progress::AskedForWork) => {}
                Waited::Progress(Progress::Answered(Ok(body))) => return read_answer(&body),
                Waited::Progress(Progress::Answered(Err(report)) | Progress::InitFailed(report)) => {
                    return Err(InvokeError::Function { error_type: report.error_type, message: report.error_message });
                }
                Waited::Ended(ending) => return Err(InvokeError::Died(ending)),
                Waited::TooLong => return Err(InvokeError::TimedOut(timeout)),
            }
        }
    }

    /// The next thing that the process does. What it reported before its end comes before its end.
    pub(super) async fn wait(&mut self, deadline: Instant) -> Waited {
        let mut ending = self.handle.ending.clone();
        tokio::select! {
            biased;
            progress = self.api.progress() => Waited::Progress(progress),
            ended = ending.wait_for(Option::is_some) => {
                let ending = ended.ok().and_then(|ending| *ending);
                Waited::Ended(ending.unwrap_or(Ending { status: None }))
            }
            () = tokio::time::sleep_until(deadline) => Waited::TooLong,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.handle.kill.notify_one();
    }
}

/// Watches and kills a process, also while another task waits for its answer.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    pub(super) pid: u32,
    kill: Arc<Notify>,
    ending: watch::Receiver<Option<Ending>>,
    pub(super) init_duration: Duration,
}

impl Handle {
    /// Starts a task that waits for the end of the child, and kills it on request.
    fn watch(mut child: Child) -> Self {
        let kill = Arc::new(Notify::new());
        let (sender, ending) = watch::channel(None);
        let handle = Self {
            pid: child.id().unwrap_or_default(),
            kill: Arc::clone(&kill),
            ending,
            init_duration: Duration::ZERO,
        };
        tokio::spawn(async move {
            let ended = tokio::select! {
                status = child.wait() => status,
                () = kill.notified() => {
                    // It fails only for a process that has just ended, which needs no kill.
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            sender.send_replace(Some(Ending { status: ended.ok() }));
        });
        handle
    }

    pub(super) fn ended(&self) -> bool {
        self.ending.borrow().is_some()
    }

    pub(super) async fn kill(&self) {
        self.kill.notify_one();
        // An error means that the watching task has ended, and so has the process.
        let _ = self.ending.clone().wait_for(Option::is_some).await;
    }
}

fn read_answer(body: &[u8]) -> Result<Value, InvokeError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|error| InvokeError::Function {
        error_type: "Runtime.InvalidResponse".to_owned(),
        message: format!("the answer is not JSON ({error}): {}", String::from_utf8_lossy(body)),
    })
}
