//! See [`probe::cli`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    probe::cli::main().await
}
