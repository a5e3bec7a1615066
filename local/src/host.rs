//! A Lambda host: the Runtime API on loopback, and the real binary as its child process.
//!
//! The tests and the command line run the very binary that Lambda runs, over the interface that Lambda has, so
//! that start-up, wrong settings, time-outs and sudden death are seen as they are in production. A [`Function`]
//! says what to run; started, it is a [`Host`] that takes events. As on Lambda, a process gets one event at a
//! time, is killed when it exceeds its time, and is replaced by a fresh one for the next event.
//!
//! The Runtime API: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

mod runtime_api;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::aws::ACCOUNT;
use runtime_api::{Invocation, Progress, RuntimeApi};

/// How long a process may take until it asks for its first event. Lambda gives 10 seconds; a debug build on a
/// busy machine may need longer.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// What `Lambda-Runtime-Invoked-Function-Arn` and `AWS_LAMBDA_FUNCTION_NAME` say.
const FUNCTION_NAME: &str = "ami-courier";

/// A function as it would be configured on Lambda; nothing runs yet.
#[derive(Debug, Clone)]
pub struct Function {
    /// The runtime client to execute (`bootstrap` on Lambda).
    pub binary: PathBuf,
    /// The Region that the function believes to stand in.
    pub region: String,
    /// The account whose credentials it gets, 12 digits.
    pub account: String,
    /// Its environment variables, on top of those that Lambda sets itself. A later one wins.
    pub environment: Vec<(String, String)>,
    /// How long one invocation may take.
    pub timeout: Duration,
}

impl Function {
    /// A function in the default account with a time-out of 60 seconds and no variables of its own.
    pub fn new(binary: impl Into<PathBuf>, region: impl Into<String>) -> Self {
        Self {
            binary: binary.into(),
            region: region.into(),
            account: ACCOUNT.to_owned(),
            environment: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sends every AWS call of the function to this URL.
    #[must_use]
    pub fn endpoint_url(self, url: &str) -> Self {
        self.set("AWS_ENDPOINT_URL", url)
    }

    /// Runs the function in another account: its credentials and its ARN.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// How long one invocation may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

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

    /// The ARN that the function sees as its own.
    fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:{}:function:{FUNCTION_NAME}", self.region, self.account)
    }

    /// What Lambda sets in a function's environment, then the function's own variables.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
    fn variables(&self, runtime_api: &str) -> Vec<(String, String)> {
        let access_key_id = format!("AKIA{}LOCL", self.account);
        let log_group = format!("/aws/lambda/{FUNCTION_NAME}");
        let lambda = [
            ("AWS_LAMBDA_RUNTIME_API", runtime_api),
            ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION_NAME),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &log_group),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
            ("AWS_REGION", &self.region),
            ("AWS_DEFAULT_REGION", &self.region),
            ("AWS_ACCESS_KEY_ID", &access_key_id),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_SESSION_TOKEN", "local"),
            ("_HANDLER", "bootstrap"),
            ("TZ", ":UTC"),
        ];
        lambda
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(self.environment.iter().cloned())
            .collect()
    }
}

/// A started function. Dropping it kills the process.
#[derive(Debug)]
pub struct Host {
    function: Function,
    /// stdout and stderr of all its processes. A file, for a pipe's reader may lag behind the answer.
    log: NamedTempFile,
    requests: AtomicU64,
    /// The process that waits for work; `None` while it is busy and after its end. The lock is what lets one
    /// invocation in at a time.
    idle: tokio::sync::Mutex<Option<Process>>,
    /// The process started last, busy or not: what [`Host::kill`] and the measurements reach for.
    latest: Mutex<Option<Handle>>,
}

impl Host {
    /// Hands over one event and waits for the answer. A process that has ended meanwhile is replaced first.
    ///
    /// # Errors
    /// See [`InvokeError`].
    pub async fn invoke(&self, event: &Value) -> Result<Value, InvokeError> {
        self.invoke_raw(event.to_string().as_bytes()).await
    }

    /// As [`Host::invoke`], with any bytes as payload. An empty answer is `null`.
    ///
    /// If the caller stops waiting (drops the future), the process is killed: what it was doing is lost, as when
    /// Lambda loses a worker.
    ///
    /// # Errors
    /// See [`InvokeError`].
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

    /// Kills the process at once with SIGKILL, busy or not, and returns when it is gone. An invocation under way
    /// ends as [`InvokeError::Died`]; the next one gets a fresh process.
    pub async fn kill(&self) {
        let latest = self.latest_handle();
        if let Some(handle) = latest {
            handle.kill().await;
        }
    }

    /// Every line that the function has written to stdout and stderr so far, in order. All that it wrote before an
    /// answer is there when the answer is.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        lines_of(self.log.path())
    }

    /// The process id of the process started last, or `None` if it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.latest_handle().filter(|handle| !handle.ended()).map(|handle| handle.pid)
    }

    /// The most memory that the process has had resident, in bytes (`VmHWM`). `None` where there is no `/proc`, or
    /// when the process has ended.
    #[must_use]
    pub fn peak_rss(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        kibibytes.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// From the start of the latest process until it asked for its first event.
    #[must_use]
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
            trace_id: format!("Root=1-{:08x}-{number:024x};Parent={number:016x};Sampled=0", since_epoch.as_secs()),
            payload: payload.to_vec(),
        }
    }

    /// Starts a process and waits until it is idle.
    async fn start_process(&self) -> Result<Process, InitError> {
        let failed = |what: &str, error: &io::Error| InitError::host(what, error);
        let log = || append_to(self.log.path()).map_err(|error| failed("cannot open the log file", &error));
        let started = Instant::now();
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
        let mut process = Process { handle: Handle::watch(child), api };
        let (error_type, message) = match process.wait(started + INIT_TIMEOUT).await {
            Waited::Progress(Progress::AskedForWork) => {
                process.handle.init_duration = started.elapsed();
                *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(process.handle.clone());
                return Ok(process);
            }
            Waited::Progress(Progress::InitFailed(report)) => (report.error_type, report.error_message),
            Waited::Progress(Progress::Answered(_)) => {
                ("Runtime.InvalidAnswer".to_owned(), "the function answered before it asked for work".to_owned())
            }
            Waited::Ended(status) => {
                ("Runtime.ExitError".to_owned(), format!("the function ended in its init phase: {status}"))
            }
            Waited::TooLong => (
                "Sandbox.Timedout".to_owned(),
                format!("the function did not ask for work within {} seconds", INIT_TIMEOUT.as_secs()),
            ),
        };
        process.handle.kill().await;
        Err(InitError { error_type, message, logs: self.logs() })
    }
}

/// A process between two events, with the Runtime API that serves it alone. Dropped, it is killed.
#[derive(Debug)]
struct Process {
    handle: Handle,
    api: RuntimeApi,
}

/// What a process did while the host waited for it.
enum Waited {
    Progress(Progress),
    Ended(Ending),
    TooLong,
}

impl Process {
    async fn invoke(&mut self, timeout: Duration, invocation: Invocation) -> Result<Value, InvokeError> {
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

    /// The next thing that the process does. What it said before its end comes before its end.
    async fn wait(&mut self, deadline: Instant) -> Waited {
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

/// Sees and ends a process, also while somebody else waits for its answer.
#[derive(Debug, Clone)]
struct Handle {
    pid: u32,
    kill: Arc<Notify>,
    ending: watch::Receiver<Option<Ending>>,
    init_duration: Duration,
}

impl Handle {
    /// Leaves the child to a task that reaps it, or kills it when told to.
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
                    // Fails only for a process that has just ended by itself: then there is nothing left to kill.
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            sender.send_replace(Some(Ending { status: ended.ok() }));
        });
        handle
    }

    fn ended(&self) -> bool {
        self.ending.borrow().is_some()
    }

    async fn kill(&self) {
        self.kill.notify_one();
        // An error means that the watching task is gone, and the process with it.
        let _ = self.ending.clone().wait_for(Option::is_some).await;
    }
}

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Its exit status or signal; `None` if the system would not tell.
    pub status: Option<ExitStatus>,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("status unknown"),
        }
    }
}

/// Why a function did not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitError {
    /// What the function reported, `Runtime.ExitError` if it just ended, `Sandbox.Timedout` if it stalled, or
    /// `Host.Error` if it could not even be started.
    pub error_type: String,
    /// What is wrong, in the function's words if it had any.
    pub message: String,
    /// All that it wrote to stdout and stderr.
    pub logs: Vec<String>,
}

impl InitError {
    fn host(what: &str, error: &io::Error) -> Self {
        Self { error_type: "Host.Error".to_owned(), message: format!("{what}: {error}"), logs: Vec::new() }
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the function did not start: {}: {}", self.error_type, self.message)
    }
}

impl std::error::Error for InitError {}

/// Why an invocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvokeError {
    /// The function answered with an error; it goes on.
    Function {
        /// `errorType` of the report.
        error_type: String,
        /// `errorMessage` of the report.
        message: String,
    },
    /// It took longer than this, and was killed.
    TimedOut(Duration),
    /// Its process ended, by itself or by [`Host::kill`], before it had answered.
    Died(Ending),
    /// The process that should replace an ended one did not start.
    Init(InitError),
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { error_type, message } => write!(f, "{error_type}: {message}"),
            Self::TimedOut(after) => {
                write!(
                    f,
                    "Sandbox.Timedout: the function took more than {:.2} seconds and was killed",
                    after.as_secs_f64()
                )
            }
            Self::Died(ending) => write!(f, "Runtime.ExitError: the function ended before it had answered: {ending}"),
            Self::Init(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InvokeError {}

/// Builds the function as `cargo build` does, in the profile of this crate, and returns the path of its binary.
/// Cargo's progress goes to stderr.
///
/// # Errors
/// Cargo cannot be run, or the build fails (its messages are on stderr).
pub fn build() -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
    // `-p local` beside it: the same set of features as in `cargo test`, hence the same artefacts.
    let mut command = std::process::Command::new(cargo);
    command
        .args(["build", "-p", "ami-courier", "-p", "local", "--bin", "ami-courier"])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(manifest)
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("cargo could not build ami-courier ({})", output.status)));
    }
    executable(&output.stdout).ok_or_else(|| io::Error::other("cargo built no binary named ami-courier"))
}

/// Where cargo says that it put the binary. <https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>
fn executable(messages: &[u8]) -> Option<PathBuf> {
    serde_json::Deserializer::from_slice(messages)
        .into_iter::<Value>()
        .filter_map(Result::ok)
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "ami-courier")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
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

fn append_to(log: &Path) -> io::Result<std::fs::File> {
    std::fs::File::options().append(true).open(log)
}

fn lines_of(log: &Path) -> Vec<String> {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"ami_courier","kind":["lib"]},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"ami-courier","kind":["bin"]},"executable":"/t/ami-courier"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages.as_bytes()), Some(PathBuf::from("/t/ami-courier")));
        assert_eq!(executable(br#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn the_account_of_a_function_is_in_its_arn_and_its_access_key() {
        let function = Function::new("f", "eu-west-1").account("111122223333");
        assert_eq!(function.arn(), "arn:aws:lambda:eu-west-1:111122223333:function:ami-courier");
        let variables = function.variables("127.0.0.1:1");
        assert!(variables.contains(&("AWS_ACCESS_KEY_ID".to_owned(), "AKIA111122223333LOCL".to_owned())));
    }
}
