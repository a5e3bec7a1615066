//! A Lambda host: the Runtime API on loopback, and the real binary as its child process.
//!
//! The tests and the command line run the same binary as Lambda, over the interface of Lambda. So start-up, wrong
//! settings, timeouts and crashes behave as in production. A [`Function`] says what to run; started, it is a [`Host`]
//! that takes events. As on Lambda, a process gets one event at a time, is killed after its timeout, and is replaced
//! by a new one for the next event.
//!
//! `function` is the configuration, `process` one process of it, `runtime_api` the server that it talks to, `build`
//! its binary.
//!
//! The Runtime API: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

mod build;
mod error;
mod function;
mod process;
mod runtime_api;

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::process::Command;
use tokio::time::Instant;

use process::{Handle, Process, Waited};
use runtime_api::{Invocation, Progress, RuntimeApi};

use crate::aws::lineage::invocations;

pub use build::{build, is_built};
pub use error::{Ending, InitError, InvokeError};
pub use function::Function;

/// How long a process may take until it asks for its first event. Lambda allows 10 seconds; a debug build on a busy
/// machine may need longer.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

impl Function {
    /// Starts the process and waits until it asks for its first event.
    ///
    /// # Errors
    /// The process could not be started, reported `/init/error`, or ended or stalled before it asked for work.
    pub async fn start(self) -> Result<Host, InitError> {
        let log = NamedTempFile::with_prefix("ami-courier-log-")
            .map_err(|error| InitError::host("cannot create the log file", &error))?;
        let host = Host {
            function: self,
            log,
            requests: AtomicU64::new(0),
            idle: tokio::sync::Mutex::new(None),
            latest: Mutex::default(),
        };
        let process = host.start_process().await?;
        *host.idle.lock().await = Some(process);
        Ok(host)
    }
}

/// A started function. Dropping it kills the process.
#[derive(Debug)]
pub struct Host {
    function: Function,
    /// stdout and stderr of all its processes. A file: the reader of a pipe may be late when the answer arrives.
    log: NamedTempFile,
    requests: AtomicU64,
    /// The process that waits for work; `None` while it is busy and after its end. The lock admits one invocation at a
    /// time.
    idle: tokio::sync::Mutex<Option<Process>>,
    /// The process started last, busy or not: for [`Host::kill`] and the measurements.
    latest: Mutex<Option<Handle>>,
}

impl Host {
    /// Hands over one event and waits for the answer. If the process has ended, it is replaced first.
    pub async fn invoke(&self, event: &Value) -> Result<Value, InvokeError> {
        self.invoke_raw(event.to_string().as_bytes()).await
    }

    /// As [`Host::invoke`], with any bytes as payload. An empty answer is `null`.
    ///
    /// If the caller stops waiting (drops the future), the process is killed and its work is lost, as when Lambda loses
    /// a worker.
    pub async fn invoke_raw(&self, payload: &[u8]) -> Result<Value, InvokeError> {
        let mut idle = self.idle.lock().await;
        let mut process = match idle.take() {
            Some(process) if !process.handle.ended() => process,
            _ => self.start_process().await.map_err(InvokeError::Init)?,
        };
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let answer = process.invoke(self.function.timeout, self.invocation(number, payload)).await;
        let answered = matches!(answer, Ok(_) | Err(InvokeError::Function { .. }));
        if answered {
            *idle = Some(process);
        } else {
            process.handle.kill().await;
        }
        answer
    }

    /// Kills the process at once with SIGKILL, busy or not, and returns when it has ended. An invocation under way ends
    /// with [`InvokeError::Died`]; the next one gets a new process.
    pub async fn kill(&self) {
        let latest = self.latest_handle();
        if let Some(handle) = latest {
            handle.kill().await;
        }
    }

    /// Every line that the function has written to stdout and stderr so far, in order. It includes everything that the
    /// function wrote before its last answer.
    pub fn logs(&self) -> Vec<String> {
        lines_of(self.log.path())
    }

    /// The process id of the process started last, or `None` if it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.latest_handle().filter(|handle| !handle.ended()).map(|handle| handle.pid)
    }

    /// The most memory that the process has had resident, in bytes (`VmHWM`). `None` where there is no `/proc`, or
    /// when the process has ended.
    pub fn peak_rss(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        kibibytes.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// From the start of the latest process until it asked for its first event.
    pub fn init_duration(&self) -> Option<Duration> {
        self.latest_handle().map(|handle| handle.init_duration)
    }

    fn latest_handle(&self) -> Option<Handle> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn invocation(&self, number: u64, payload: &[u8]) -> Invocation {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Invocation {
            request_id: format!("00000000-0000-4000-8000-{number:012}"),
            deadline_ms: (since_epoch + self.function.timeout).as_millis(),
            function_arn: self.function.arn(),
            trace_id: format!(
                "Root=1-{:08x}-{number:024x};Parent={number:016x};Sampled=0;Lineage={:08x}:{}",
                since_epoch.as_secs(),
                self.function.lineage(),
                invocations_before(payload) + 1
            ),
            payload: payload.to_vec(),
        }
    }

    /// Starts a process and waits until it is idle.
    async fn start_process(&self) -> Result<Process, InitError> {
        let started = Instant::now();
        let mut process = self.spawn().await?;
        match process.wait(started + INIT_TIMEOUT).await {
            Waited::Progress(Progress::AskedForWork) => {
                process.handle.init_duration = started.elapsed();
                *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(process.handle.clone());
                Ok(process)
            }
            other => {
                process.handle.kill().await;
                let (error_type, message) = init_failure(other);
                Err(InitError { error_type, message, logs: self.logs() })
            }
        }
    }

    async fn spawn(&self) -> Result<Process, InitError> {
        let failed = |what: &str, error: &io::Error| InitError::host(what, error);
        let log = || append_to(self.log.path()).map_err(|error| failed("cannot open the log file", &error));
        let (api, address) =
            RuntimeApi::serve().await.map_err(|error| failed("cannot open the Runtime API on loopback", &error))?;
        let child = Command::new(&self.function.binary)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.function.variables(&address.to_string()))
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&format!("cannot run {}", self.function.binary.display()), &error))?;
        Ok(Process::new(child, api))
    }
}

/// The error type and message of a process that did something else than to ask for work.
fn init_failure(waited: Waited) -> (String, String) {
    let (error_type, message) = match waited {
        Waited::Progress(Progress::InitFailed(report)) => return (report.error_type, report.error_message),
        Waited::Progress(Progress::Answered(_) | Progress::AskedForWork) => {
            ("Runtime.InvalidAnswer", "the function answered before it asked for work".to_owned())
        }
        Waited::Ended(ending) => ("Runtime.ExitError", format!("the function ended in its init phase: {ending}")),
        Waited::TooLong => {
            ("Sandbox.Timedout", format!("the function did not ask for work within {} seconds", INIT_TIMEOUT.as_secs()))
        }
    };
    (error_type.to_owned(), message)
}

/// How often the chain that a batch continues has invoked the function before: of several chains, the longest.
fn invocations_before(payload: &[u8]) -> u32 {
    let event: Value = serde_json::from_slice(payload).unwrap_or_default();
    let records = event["Records"].as_array().into_iter().flatten();
    records.filter_map(|record| record["attributes"]["AWSTraceHeader"].as_str()).map(invocations).max().unwrap_or(0)
}

fn append_to(log: &Path) -> io::Result<std::fs::File> {
    std::fs::File::options().append(true).open(log)
}

fn lines_of(log: &Path) -> Vec<String> {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}
