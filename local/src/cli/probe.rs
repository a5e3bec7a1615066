//! `probe` is a program of its own: it needs the SDK, which would make this crate slow to build.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use clap::Args;

use super::output;
use crate::host;

/// Ask AWS itself whether it does what ami-courier assumes; --help lists the options.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

/// Builds the program with cargo, and runs it in place of this one.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let program = match host::build("probe") {
        Ok(program) => program,
        Err(error) => return output::fail(error),
    };
    let mut command = Command::new(program);
    command.args(&arguments.options);
    let error = start(command);
    output::fail(format!("cannot run the probe: {error}"))
}

/// Returns only if the program cannot be started, or, where a process cannot be replaced, never.
fn start(mut command: Command) -> std::io::Error {
    #[cfg(unix)]
    {
        std::os::unix::process::CommandExt::exec(&mut command)
    }
    #[cfg(not(unix))]
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}
