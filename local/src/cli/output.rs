//! How commands write to the terminal and end.

use std::io::Write;
use std::process::ExitCode;

/// Prints a line to stdout. A reader that has gone (`| head`) is no error.
pub(super) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints to stderr why the command ends. Exit code 1.
pub(super) fn fail(reason: impl std::fmt::Display) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::FAILURE
}
