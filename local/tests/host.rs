//! The Lambda host, seen by a real runtime client (`examples/fake_function.rs`).

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use local::host::{Function, InvokeError};
use serde_json::{Value, json};

fn function() -> Function {
    let mut target = std::env::current_exe().expect("a test has a path");
    target.pop();
    target.pop();
    let binary: PathBuf = target.join("examples").join("fake_function");
    assert!(
        binary.exists(),
        "run `cargo build -p local --example fake_function` first: {} is missing",
        binary.display()
    );
    Function::new(binary, "eu-west-1")
}

#[tokio::test]
async fn an_event_goes_in_and_its_answer_comes_out() {
    let host = function().start().await.expect("starts");
    for n in 0..3 {
        let answer = host.invoke(&json!({"echo": {"n": n}})).await;
        assert_eq!(answer, Ok(json!({"n": n})));
    }
}

#[tokio::test]
async fn an_error_of_the_function_is_an_answer_and_leaves_it_running() {
    let host = function().start().await.expect("starts");
    let pid = host.pid();
    let Err(InvokeError::Function { message, .. }) = host.invoke(&json!({"fail": "no such AMI"})).await else {
        panic!("the error was not reported");
    };
    assert_eq!(message, "no such AMI");
    assert_eq!(host.invoke(&json!({"echo": 1})).await, Ok(json!(1)));
    assert_eq!(host.pid(), pid);
}

#[tokio::test]
async fn a_payload_may_be_any_bytes() {
    let host = function().start().await.expect("starts");
    let answer = host.invoke_raw(b"\xff not JSON").await;
    assert!(matches!(answer, Err(InvokeError::Function { .. })), "{answer:?}");
    assert_eq!(host.invoke(&json!({"echo": "still here"})).await, Ok(json!("still here")));
}

#[tokio::test]
async fn the_context_has_request_id_deadline_arn_and_trace() {
    let host = function().timeout(Duration::from_secs(7)).start().await.expect("starts");
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let context = host.invoke(&json!({"context": null})).await.expect("answers");
    let deadline = u128::from(context["deadline"].as_u64().expect("a number"));
    assert!((before + 7_000..before + 12_000).contains(&deadline), "{deadline} is not 7 seconds after {before}");
    assert_eq!(context["arn"], "arn:aws:lambda:eu-west-1:123456789012:function:ami-courier");
    assert_ne!(context["request_id"], Value::Null);
    assert!(context["trace_id"].as_str().is_some_and(|id| id.starts_with("Root=1-")), "{context}");
    let second = host.invoke(&json!({"context": null})).await.expect("answers");
    assert_ne!(second["request_id"], context["request_id"]);
}

#[tokio::test]
async fn nothing_of_the_callers_environment_but_path_is_inherited() {
    let host = function().set("COPY_TAGS", "false").endpoint_url("http://127.0.0.1:9").start().await.expect("starts");
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "cargo sets it for tests");
    for (name, value) in [
        ("CARGO_MANIFEST_DIR", Value::Null),
        ("HOME", Value::Null),
        ("COPY_TAGS", json!("false")),
        ("AWS_ENDPOINT_URL", json!("http://127.0.0.1:9")),
        ("AWS_REGION", json!("eu-west-1")),
        ("AWS_ACCESS_KEY_ID", json!("AKIA123456789012LOCL")),
        ("PATH", json!(std::env::var("PATH").ok())),
    ] {
        assert_eq!(host.invoke(&json!({"environment": name})).await, Ok(value), "{name}");
    }
}

#[tokio::test]
async fn after_its_timeout_the_process_is_killed_and_the_next_event_gets_a_new_one() {
    let host = function().timeout(Duration::from_millis(300)).start().await.expect("starts");
    let pid = host.pid();
    let started = Instant::now();
    let answer = host.invoke(&json!({"sleep_ms": 60_000})).await;
    assert_eq!(answer, Err(InvokeError::TimedOut(Duration::from_millis(300))));
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(host.pid(), None);
    assert_eq!(host.invoke(&json!({"echo": 1})).await, Ok(json!(1)));
    assert_ne!(host.pid(), pid);
}

#[tokio::test]
async fn the_event_of_a_process_that_ends_has_no_answer() {
    let host = function().start().await.expect("starts");
    let Err(InvokeError::Died(ending)) = host.invoke(&json!({"exit": 3})).await else {
        panic!("the host did not notice the end of the process");
    };
    assert_eq!(ending.status.and_then(|status| status.code()), Some(3));
    assert_eq!(host.invoke(&json!({"echo": 1})).await, Ok(json!(1)));
}

#[tokio::test]
async fn kill_ends_a_busy_process_at_once() {
    let host = function().start().await.expect("starts");
    let event = json!({"sleep_ms": 60_000});
    let (answer, ()) = tokio::join!(host.invoke(&event), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        host.kill().await;
    });
    assert!(matches!(answer, Err(InvokeError::Died(_))), "{answer:?}");
    assert_eq!(host.pid(), None);
}

#[tokio::test]
async fn a_caller_that_stops_waiting_loses_the_process_but_not_the_host() {
    let host = function().start().await.expect("starts");
    let event = json!({"sleep_ms": 60_000});
    let waited = tokio::time::timeout(Duration::from_millis(100), host.invoke(&event)).await;
    assert!(waited.is_err());
    assert_eq!(host.invoke(&json!({"echo": 1})).await, Ok(json!(1)));
}

#[tokio::test]
async fn two_events_at_once_are_handled_one_after_the_other() {
    let host = function().start().await.expect("starts");
    let pid = host.pid();
    let (slow, fast) = (json!({"sleep_ms": 200}), json!({"echo": 2}));
    let started = Instant::now();
    let (first, second) = tokio::join!(host.invoke(&slow), host.invoke(&fast));
    assert_eq!((first, second), (Ok(json!("slept")), Ok(json!(2))));
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(host.pid(), pid);
}

#[tokio::test]
async fn the_log_of_an_invocation_is_complete_and_in_order_with_its_answer() {
    let host = function().start().await.expect("starts");
    for word in ["one", "two"] {
        host.invoke(&json!({"say": word})).await.expect("answers");
    }
    assert_eq!(host.logs(), ["one out", "one err", "two out", "two err"]);
}

#[tokio::test]
async fn the_log_of_a_function_that_ends_in_its_init_phase_has_the_reason() {
    let error = function().set("FAIL_INIT", "KMS_KEY_ID=x cannot be right").start().await.expect_err("must not start");
    assert!(error.logs.iter().any(|line| line.contains("KMS_KEY_ID=x cannot be right")), "{error:?}");
    assert!(error.message.contains("exit status: 1"), "{error:?}");
}

#[tokio::test]
async fn the_init_error_is_the_one_that_the_function_reports() {
    let error =
        function().set("REPORT_INIT_ERROR", "KMS_KEY_ID=x cannot be right").start().await.expect_err("must not start");
    assert_eq!((error.error_type.as_str(), error.message.as_str()), ("Settings", "KMS_KEY_ID=x cannot be right"));
}

#[tokio::test]
async fn a_missing_binary_is_named() {
    let error = Function::new("/nowhere/function", "eu-west-1").start().await.expect_err("must not start");
    assert!(error.message.contains("/nowhere/function"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn dropping_the_host_kills_the_process() {
    let host = function().start().await.expect("starts");
    let pid = host.pid().expect("runs");
    assert!(host.peak_rss().is_some_and(|bytes| bytes > 100_000));
    drop(host);
    let gone = || !std::path::Path::new(&format!("/proc/{pid}")).exists();
    for _ in 0..100 {
        if gone() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {pid} is still there");
}
