//! Wiring only: telemetry, settings, clients, run.

use ami_courier::aws::Aws;
use ami_courier::courier::Courier;
use ami_courier::delivery::Delivery;
use ami_courier::settings::Settings;
use ami_courier::telemetry;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::start_log(|name| std::env::var(name).ok());
    telemetry::start(std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default());
    let settings = Settings::read(|name| std::env::var(name).ok()).map_err(|wrong| does_not_start(&wrong))?;
    let aws = Aws::connect(&settings.here).map_err(|wrong| does_not_start(&wrong))?;
    let delivery = Delivery { courier: Courier { settings, aws } };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| delivery.handle(event).await)).await
}

/// Said in the log as well, where every line has its level and its request.
fn does_not_start(wrong: &impl std::fmt::Display) -> String {
    tracing::error!(error = %wrong, "the function does not start");
    wrong.to_string()
}
