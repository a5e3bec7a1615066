//! The command line of development: `cargo run -p local -- <command>`.
//!
//! Five commands, a module each: `invoke` runs the function on an event, `copy_image` is the AWS CLI's command of
//! that name with the function in between, `serve` is the embedded AWS alone, `status` asks what became of the copies, `probe` asks
//! the real AWS. `seeding` finds out which AMIs an event needs; `report`, `timeline` and `picture` are the output.

mod copy_image;
mod events_to;
mod invoke;
mod options;
mod output;
mod picture;
mod probe;
mod report;
mod seeding;
mod serve;
mod status;
mod timeline;

pub use seeding::plant_for;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Run ami-courier here, without an AWS account.
#[derive(Debug, Parser)]
#[command(
    name = "local",
    bin_name = "cargo run -p local --",
    version,
    after_help = "Each command has its own --help, with examples."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Invoke(invoke::Arguments),
    CopyImage(Box<copy_image::Arguments>),
    Serve(serve::Arguments),
    Status(status::Arguments),
    Probe(probe::Arguments),
}

/// Parses the process's arguments and runs the command.
pub async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stdout or stderr does not change the exit code.
            let _ = error.print();
            let is_help = !error.use_stderr();
            return if is_help { ExitCode::SUCCESS } else { usage_error() };
        }
    };
    match cli.command {
        Command::Invoke(arguments) => invoke::run(arguments).await,
        Command::CopyImage(arguments) => copy_image::run(*arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Status(arguments) => status::run(arguments).await,
        Command::Probe(arguments) => probe::run(&arguments),
    }
}

/// The AWS CLI's exit code for its own command, the usual 2 for the others.
fn usage_error() -> ExitCode {
    let is_copy_image = std::env::args().nth(1).is_some_and(|command| command == "copy-image");
    ExitCode::from(if is_copy_image { copy_image::USAGE_ERROR } else { 2 })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
