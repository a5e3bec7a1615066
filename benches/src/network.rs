//! The benchmark's own network. It has only loopback, and AWS's host names resolve to it.

use std::process::Command;

use crate::Outcome;
use crate::aws::HOSTS;

/// Continues as a fresh process that has its own network and its own file of host names, with the help of `unshare`.
pub(crate) fn enter() -> Outcome<()> {
    const ENTER: &str = r#"ip link set lo up && mount --bind "$0" /etc/hosts && exec "$@" --inside"#;
    let names = tempfile::NamedTempFile::new()?;
    std::fs::write(names.path(), format!("127.0.0.1 localhost {}\n", HOSTS.join(" ")))?;
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "--net", "sh", "-c", ENTER]).arg(names.path());
    let status = unshare.args(std::env::args_os()).status()?;
    if status.success() { Ok(()) } else { Err(format!("the benchmark in its own network failed: {status}").into()) }
}
