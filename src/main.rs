//! Wiring only: telemetry, settings, clients, run.

use ami_courier::aws::Aws;
use ami_courier::delivery::Function;
use ami_courier::telemetry;
use courier_core::settings::Settings;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start_log(|name| std::env::var(name).ok());
    telemetry::start(std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default());
    let settings = Settings::read(|name| std::env::var(name).ok()).map_err(|wrong| does_not_start(&wrong))?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let aws = Aws::connect(&settings.stack_region).map_err(|wrong| does_not_start(&wrong))?;
    let function = Function::new(settings, aws);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| function.handle(event).await)).await
}

/// In the log as well, where every line has its level and its request.
fn does_not_start(wrong: &impl std::fmt::Display) -> String {
    tracing::error!(error = %wrong, "the function does not start");
    wrong.to_string()
}
