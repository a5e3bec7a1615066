//! A deployed stack, asked through the AWS CLI: it has the caller's credentials, profiles, single sign-on and proxies, and the person
//! who deployed the stack has it already.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::NamedTempFile;

/// All pages of the stack in one Region.
pub(super) fn ask(stack: &str, region: &str, question: impl Fn(&Value) -> Value) -> Result<Vec<Value>, String> {
    let resource = ["--stack-name", stack, "--logical-resource-id", "Function"];
    let shown = ["--query", "StackResourceDetail.PhysicalResourceId", "--output", "text", "--region", region];
    let function = aws(&[&["cloudformation", "describe-stack-resource"], &resource[..], &shown].concat())?;
    let file = || NamedTempFile::new().map_err(|error| format!("cannot write a temporary file: {error}"));
    let (mut pages, mut token) = (Vec::new(), Value::Null);
    loop {
        let (mut asked, answered) = (file()?, file()?);
        write!(asked, "{}", question(&token)).map_err(|error| format!("cannot write a temporary file: {error}"))?;
        // `fileb://` is the payload as it is, for version 1 and 2 of the AWS CLI.
        let (payload, answer) = (format!("fileb://{}", asked.path().display()), answered.path().display().to_string());
        aws(&[
            "lambda",
            "invoke",
            "--function-name",
            function.trim(),
            "--payload",
            &payload,
            "--region",
            region,
            &answer,
        ])?;
        let text = std::fs::read_to_string(&answer).unwrap_or_default();
        let page: Value = serde_json::from_str(&text).map_err(|_| format!("the answer is not JSON: {text}"))?;
        if let Some(error) = page["errorMessage"].as_str() {
            return Err(error.to_owned());
        }
        token = page["NextToken"].clone();
        pages.push(page);
        if token.is_null() {
            return Ok(pages);
        }
    }
}

/// Runs a command of the AWS CLI, and returns what it prints.
fn aws(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("aws").args(arguments).env("AWS_PAGER", "").stdin(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            "there is no `aws`: --stack asks through the AWS CLI, with its credentials. Install it: \
                                https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
                .to_owned()
        }
        _ => format!("cannot run the AWS CLI: {error}"),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("`aws {}` failed: {why}", arguments[..2].join(" ")))
}
