//! A function that does what the event says. The tests of the Lambda host run it in place of ami-courier.
//!
//! Events: `{"echo": any}`, `{"fail": "message"}`, `{"sleep_ms": n}`, `{"exit": code}`, `{"environment": "NAME"}`,
//! `{"context": null}`, `{"say": "text"}` (a line on stdout, then one on stderr). With `FAIL_INIT`
//! it ends in its init phase; with `REPORT_INIT_ERROR` it reports an init error to the Runtime API.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    if let Ok(message) = std::env::var("FAIL_INIT") {
        return Err(message.into());
    }
    // A setting, for the command line, which refuses other names.
    if let Some(message) = std::env::var("COPY_DESCRIPTION").ok().filter(|text| text.starts_with("fail: ")) {
        return Err(message.into());
    }
    if let Ok(message) = std::env::var("REPORT_INIT_ERROR") {
        return report_init_error(&message);
    }
    run(service_fn(answer)).await
}

/// `lambda_runtime` has no function for this call.
fn report_init_error(message: &str) -> Result<(), Error> {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let body = json!({"errorType": "Settings", "errorMessage": message}).to_string();
    let mut stream = TcpStream::connect(&address)?;
    write!(
        stream,
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.read_to_string(&mut String::new())?;
    Ok(())
}

async fn answer(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (payload, context) = event.into_parts();
    let Some((verb, object)) = payload.as_object().and_then(|event| event.iter().next()) else {
        return Err("the event is not an object".into());
    };
    Ok(match verb.as_str() {
        "echo" => object.clone(),
        "fail" => return Err(object.as_str().unwrap_or_default().into()),
        "sleep_ms" => {
            tokio::time::sleep(Duration::from_millis(object.as_u64().unwrap_or_default())).await;
            json!("slept")
        }
        "exit" => std::process::exit(object.as_i64().and_then(|code| code.try_into().ok()).unwrap_or(1)),
        "environment" => json!(std::env::var(object.as_str().unwrap_or_default()).ok()),
        "context" => json!({
            "request_id": context.request_id,
            "deadline": context.deadline,
            "arn": context.invoked_function_arn,
            "trace_id": context.xray_trace_id,
        }),
        "say" => {
            println!("{} out", object.as_str().unwrap_or_default());
            eprintln!("{} err", object.as_str().unwrap_or_default());
            Value::Null
        }
        other => return Err(format!("unknown verb {other}").into()),
    })
}
