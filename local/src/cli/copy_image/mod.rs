//! `aws ec2 copy-image`, flag for flag, with the function in between.
//!
//! The arguments become the document of `--cli-input-json`, and the function gets it as a direct request. Its answer is
//! printed as the AWS CLI prints EC2's, with the same layout, streams and exit codes
//! (<https://docs.aws.amazon.com/cli/latest/reference/ec2/copy-image.html>).

mod answer;
mod arguments;
mod document;
mod input;
mod shorthand;

use std::process::ExitCode;

use serde_json::{Value, json};

use super::options::{self, FunctionOptions};
use super::output;
use super::seeding::Seeding;
use crate::aws::Aws;
use crate::host::InvokeError;
use answer::{Printed, in_cli_layout, printed, service_error};
use arguments::Request;

pub(super) use arguments::Arguments;

/// The AWS CLI's exit code when the arguments cannot be right.
pub(super) const USAGE_ERROR: u8 = 252;
/// The AWS CLI's exit code when the service answers with an error.
const SERVICE_ERROR: u8 = 254;

/// Runs the command.
pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let document = match arguments.request() {
        Ok(Request::Print(value)) => return print(&value),
        Ok(Request::Send(document)) => document,
        Err(reason) => return fail(USAGE_ERROR, &reason),
    };
    match send(&arguments.function, &Value::Object(document)).await {
        Ok(Ok(answer)) => match printed(&answer) {
            Printed::Copy(image_id) => print(&json!({ "ImageId": image_id })),
            Printed::Error(error) => fail(SERVICE_ERROR, &error),
        },
        Ok(Err((InvokeError::Function { message, .. }, _))) => fail(SERVICE_ERROR, &service_error(&message)),
        Ok(Err((error, logs))) => output::fail(options::explain(&error, &logs)),
        Err(reason) => output::fail(reason),
    }
}

/// An answer, or an error with the function's log.
type Answer = Result<Value, (InvokeError, Vec<String>)>;

/// Runs the function on the document.
async fn send(options: &FunctionOptions, document: &Value) -> Result<Answer, String> {
    if let Some(url) = &options.endpoint_url {
        options::reach(url).await?;
    }
    let function = options.function()?;
    let seeding = Seeding::of(document, options);
    let embedded = match &options.endpoint_url {
        Some(_) => None,
        None => Some(embedded_aws(&seeding, options).await?),
    };
    let endpoint = embedded.as_ref().map(Aws::endpoint).or_else(|| options.endpoint_url.clone()).unwrap_or_default();
    let host = function
        .endpoint_url(&endpoint)
        .account(&seeding.account)
        .start()
        .await
        .map_err(|error| options::why_not_started(&error))?;
    let answer = host.invoke(document).await.map_err(|error| (error, host.logs()));
    if options.logs {
        host.logs().iter().for_each(|line| eprintln!("{line}"));
    }
    Ok(answer)
}

/// An AWS on loopback that has what the request names.
async fn embedded_aws(seeding: &Seeding, options: &FunctionOptions) -> Result<Aws, String> {
    let aws = Aws::start().await.map_err(|error| format!("cannot open a port on loopback: {error}"))?;
    seeding.plant(&mut aws.world(), &options.region);
    Ok(aws)
}

fn print(value: &Value) -> ExitCode {
    output::say(in_cli_layout(value));
    ExitCode::SUCCESS
}

fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("\n{message}");
    ExitCode::from(code)
}
