//! The binary of the function, or of another package here, from cargo.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

/// Builds the package as `cargo build` does, in the profile of this crate, and returns the path of its binary of the same name.
/// Cargo's progress goes to stderr.
///
/// # Errors
/// Cargo cannot be run, or the build fails (its messages are on stderr).
pub fn build(package: &str) -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
    // With these packages, features are the same as in `cargo test`, so that neither throws away what the other built.
    let mut command = std::process::Command::new(cargo);
    command
        .args(["build", "-p", "ami-courier", "-p", "local", "-p", package, "--bin", package])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(manifest)
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other(
            "there is no cargo to build the function with: install Rust (https://rustup.rs), or name a built function with --function",
        ),
        _ => error,
    })?;
    if !output.status.success() {
        return Err(io::Error::other(format!("cargo could not build {package} ({})", output.status)));
    }
    executable(&output.stdout, package)
        .ok_or_else(|| io::Error::other(format!("cargo built no binary named {package}")))
}

/// Whether the binary is there, perhaps an old one: beside the program that runs.
pub fn is_built(name: &str) -> bool {
    std::env::current_exe().is_ok_and(|program| program.with_file_name(name).is_file())
}

/// The path of the binary, from cargo's messages. <https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>
fn executable(messages: &[u8], name: &str) -> Option<PathBuf> {
    serde_json::Deserializer::from_slice(messages)
        .into_iter::<Value>()
        .filter_map(Result::ok)
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
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
        assert_eq!(executable(messages.as_bytes(), "ami-courier"), Some(PathBuf::from("/t/ami-courier")));
        assert_eq!(executable(br#"{"reason":"build-finished","success":true}"#, "ami-courier"), None);
    }
}
