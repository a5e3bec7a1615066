//! The options of every command that runs the function.

use std::path::PathBuf;

use clap::Args;

use crate::host::{self, Function, InvokeError};

/// How the function runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "How the function runs")]
pub(super) struct FunctionOptions {
    /// Region that the function runs in: it makes copies here.
    #[arg(long, value_name = "REGION", default_value = "eu-west-1")]
    pub(super) region: String,

    /// A setting of the function, such as ENCRYPTED=true; can be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(super) settings: Vec<(String, String)>,

    /// Send the function's AWS calls to this server (`local serve`, moto) instead of the AWS of this command.
    #[arg(long, value_name = "URL")]
    pub(super) endpoint_url: Option<String>,

    /// Run this binary instead of building the function.
    #[arg(long, value_name = "PATH")]
    function: Option<PathBuf>,

    /// Print the function's log to stderr as well.
    #[arg(long)]
    pub(super) logs: bool,
}

impl FunctionOptions {
    /// The function with these settings; built first, unless a binary was named.
    pub(super) fn function(&self) -> Result<Function, String> {
        let binary = if let Some(path) = &self.function {
            path.clone()
        } else {
            eprintln!("Building the function with cargo (the first time takes minutes) ...");
            host::build("ami-courier").map_err(|error| error.to_string())?
        };
        let function = Function::new(binary, &self.region);
        Ok(self.settings.iter().fold(function, |function, (name, value)| function.set(name, value)))
    }

    /// The value of a setting; the last one wins.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// What to print for a function that did not answer: the error, and the log if it says more than the error.
pub(super) fn explain(error: &InvokeError, logs: &[String]) -> String {
    match error {
        InvokeError::Function { .. } | InvokeError::RecursiveLoop => error.to_string(),
        InvokeError::TimedOut(_) | InvokeError::Died(_) => with_logs(error, logs),
        InvokeError::Init(error) => with_logs(error, &error.logs),
    }
}

/// An error, and the function's log below it.
pub(super) fn with_logs(error: &impl std::fmt::Display, logs: &[String]) -> String {
    if logs.is_empty() { error.to_string() } else { format!("{error}\nIts log:\n  {}", logs.join("\n  ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_split_at_its_first_equals_sign() {
        let split = name_and_value("REQUIRED_TAGS=approved=true");
        assert_eq!(split, Ok(("REQUIRED_TAGS".to_owned(), "approved=true".to_owned())));
        assert!(name_and_value("ENCRYPTED").is_err());
        assert!(name_and_value("=true").is_err());
    }
}
