//! See [`local::cli`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    local::cli::main().await
}
