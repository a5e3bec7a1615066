//! One process of a function, and the resources that it used.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use crate::Outcome;
use crate::runtime_api::RuntimeApi;

/// A function's process. It is killed when dropped, as Lambda does.
pub(crate) struct Process {
    child: Child,
    id: u32,
    api: RuntimeApi,
    log: NamedTempFile,
    pub(crate) started: Instant,
    /// From the start of the process until it asked for its first event.
    pub(crate) init: Duration,
}

impl Process {
    /// Starts it and waits until it asks for work.
    pub(crate) async fn start(mut command: Command) -> Outcome<Self> {
        let mut api = RuntimeApi::start().await?;
        let log = NamedTempFile::new()?;
        command
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .stdin(Stdio::null())
            .stdout(log.reopen()?)
            .stderr(log.reopen()?)
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn()?;
        let id = child.id().ok_or("the function ended at once")?;
        match api.asked().await {
            Ok(asked) => Ok(Self { child, id, api, log, started, init: asked - started }),
            Err(why) => Err(format!("{why}\n{}", fs::read_to_string(log.path())?).into()),
        }
    }

    /// One invocation: from the event to the answer. It ends when the process asks for the next event.
    pub(crate) async fn invoke(&mut self, event: &Bytes) -> Outcome<(Duration, Bytes)> {
        let handed_over = Instant::now();
        self.api.send(event);
        let answered = self.api.answered().await;
        match answered {
            Ok((at, answer)) => {
                self.api.asked().await?;
                Ok((at - handed_over, answer))
            }
            Err(why) => Err(format!("{why}\n{}", fs::read_to_string(self.log.path())?).into()),
        }
    }

    /// CPU time of all threads so far. <https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat>
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.id))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The peak of its resident memory, in MiB.
    pub(crate) fn peak_memory(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }

    /// Limits the process to a share of a CPU.
    pub(crate) fn throttle(&self, share: &Share) -> io::Result<()> {
        fs::write(share.folder.join("cgroup.procs"), self.id.to_string())
    }

    pub(crate) async fn end(mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Lets it, or the tool that runs it, end by itself.
    pub(crate) async fn terminate(mut self) -> Outcome<()> {
        Command::new("kill").arg(self.id.to_string()).status().await?;
        self.child.wait().await?;
        Ok(())
    }
}

/// A share of a CPU, as a control group.
pub(crate) struct Share {
    folder: std::path::PathBuf,
}

impl Share {
    /// The share of a function of 128 MB outside of its init phase: 1769 MB get one CPU.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
    pub(crate) fn of_128_mb() -> io::Result<Self> {
        const PERIOD: u32 = 20_000;
        const QUOTA: u32 = PERIOD * 128 / 1769;
        let name = format!("ami-courier-bench-{}", std::process::id());
        if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            let share = Self { folder: Path::new("/sys/fs/cgroup").join(name) };
            fs::create_dir(&share.folder)?;
            fs::write(share.folder.join("cpu.max"), format!("{QUOTA} {PERIOD}"))?;
            return Ok(share);
        }
        let share = Self { folder: Path::new("/sys/fs/cgroup/cpu").join(name) };
        fs::create_dir(&share.folder)?;
        fs::write(share.folder.join("cpu.cfs_period_us"), PERIOD.to_string())?;
        fs::write(share.folder.join("cpu.cfs_quota_us"), QUOTA.to_string())?;
        Ok(share)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Its processes have ended. If one has not, the group stays behind.
        let _ = fs::remove_dir(&self.folder);
    }
}
