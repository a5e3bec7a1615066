//! Two kinds of error, never a third: what EC2 answers decides whether the message comes back or an operator reads it.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use local::aws::{Fault, Image, START};
use local::host::InvokeError;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::{HERE, Stage, THERE, batch, failures, state_change};

const AMI: &str = "ami-0abcdef1234567890";
const MINUTE: Duration = Duration::from_secs(60);

/// What is to become of an error.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    RetrySoon,
    RetryInMinutes,
    Rejected,
}

use Kind::{Rejected, RetryInMinutes, RetrySoon};

fn announced() -> Value {
    state_change(THERE, AMI, "available")
}

fn kind(answer: Result<Value, InvokeError>) -> (Kind, String) {
    match answer {
        Err(InvokeError::Function { error_type, message }) => match error_type.as_str() {
            "Retry" if message.ends_with(" Temporary: will be retried in seconds.") => (RetrySoon, message),
            "Retry" if message.ends_with(" Temporary: will be retried in minutes.") => (RetryInMinutes, message),
            "Rejected" => (Rejected, message),
            _ => panic!("{error_type}: {message}"),
        },
        other => panic!("no error: {other:?}"),
    }
}

/// Each status, code and message of EC2's that `CopyImage` can answer with, and what is to become of it.
const CODES: [(u16, &str, &str, Kind); 36] = [
    (503, "RequestLimitExceeded", "Request limit exceeded.", RetrySoon),
    (400, "Throttling", "Rate exceeded", RetrySoon),
    (503, "EC2ThrottledException", "throttled", RetrySoon),
    (500, "InternalError", "An internal error has occurred", RetrySoon),
    (500, "InternalFailure", "It failed", RetrySoon),
    (503, "Unavailable", "The server is overloaded", RetrySoon),
    (503, "ServiceUnavailable", "Service unavailable", RetrySoon),
    (400, "ConcurrentTagAccess", "Tags are being changed", RetrySoon),
    (502, "BadGateway", "", RetrySoon),
    (400, "SomethingThatNobodyKnowsYet", "it is new", RetrySoon),
    (
        400,
        "ResourceLimitExceeded",
        "Too many snapshot copies in progress. The limit is 20 for this destination region.",
        RetryInMinutes,
    ),
    (400, "PendingSnapshotLimitExceeded", "Too many pending snapshots", RetryInMinutes),
    (400, "SnapshotLimitExceeded", "Too many snapshots", RetryInMinutes),
    (400, "ConcurrentSnapshotLimitExceeded", "Too many at once", RetryInMinutes),
    (400, "MaxSnapshotCopiesInProgress", "Too many", RetryInMinutes),
    (400, "InvalidAMIID.Unavailable", "The image ID is not available", RetryInMinutes),
    (400, "IncorrectState", "It is pending", RetryInMinutes),
    (403, "UnauthorizedOperation", "You are not authorized. Encoded authorization failure message: Zm9vYmFy", Rejected),
    (403, "AuthFailure", "Not authorized for images", Rejected),
    (400, "InvalidRequest", "The storage for the ami is not available", Rejected),
    (400, "InvalidAMIID.Malformed", "Invalid id", Rejected),
    (400, "InvalidAMIID.NotFound", "The image id does not exist", Rejected),
    (400, "InvalidAMIName.Malformed", "AMI names must be", Rejected),
    (400, "InvalidParameter", "no", Rejected),
    (400, "InvalidParameterValue", "no", Rejected),
    (400, "InvalidParameterCombination", "no", Rejected),
    (400, "InvalidParameterDependency", "no", Rejected),
    (400, "MissingParameter", "The request must contain", Rejected),
    (400, "TagPolicyViolation", "The tag policy does not allow it", Rejected),
    (400, "TagLimitExceeded", "More than 50", Rejected),
    (400, "SnapshotCopyUnsupported.InterRegion", "Not between these", Rejected),
    (401, "OptInRequired", "You are not subscribed", Rejected),
    (400, "UnsupportedOperation", "Not supported", Rejected),
    (400, "OperationNotPermitted", "It is protected", Rejected),
    (403, "Blocked", "This account is currently blocked", Rejected),
    (400, "PendingVerification", "Your account is currently being verified", Rejected),
];

#[tokio::test]
async fn each_code_of_ec2_is_retried_soon_retried_in_minutes_or_rejected_and_nothing_is_copied() {
    let wrong: Vec<String> = stream::iter(CODES)
        .map(async |(status, code, message, expected)| {
            let stage = Stage::new().await.source(AMI, "golden-1").set("EVENT_BUS_NAME", "").with(|world| {
                world.fault(Fault::on("CopyImage").error(status, code, message));
            });
            let (kind, error) = kind(stage.function().await.invoke(&announced()).await);
            let names_all = [code, message, AMI, THERE, HERE, "golden-1"].iter().all(|part| error.contains(part));
            assert_eq!(stage.copies().len(), 0);
            (kind != expected || !names_all).then(|| format!("{code} is {kind:?}: {error}"))
        })
        .buffer_unordered(8)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_refusal_whose_words_say_that_it_passes_or_say_nothing_is_retried_for_an_hour() {
    const STORAGE: &str = "The storage for the ami is not available in the source Region.";
    for words in [STORAGE, "Words that nobody has seen yet"] {
        let refused = Image::new(AMI, "golden-1").copies_refused("InvalidRequest", words, Some(START + 30 * MINUTE));
        let stage = Stage::new().await.with(|world| drop(world.add_image(THERE, refused)));
        let function = stage.function().await;
        let records = batch([("m1", announced().to_string())]);
        assert_eq!(failures(&function.invoke(&records).await.unwrap()), ["m1"], "{words}");
        stage.aws.world().advance(31 * MINUTE);
        assert_eq!(failures(&function.invoke(&records).await.unwrap()), Vec::<String>::new(), "{words}");
        assert_eq!((stage.copies().len(), stage.dead().len()), (1, 0), "{words}");

        let refused = Image::new(AMI, "golden-1").copies_refused("InvalidRequest", words, None);
        let stage = Stage::new().await.with(|world| drop(world.add_image(THERE, refused)));
        let function = stage.function().await;
        stage.aws.world().advance(59 * MINUTE);
        assert_eq!(failures(&function.invoke(&records).await.unwrap()), ["m1"], "{words}");
        stage.aws.world().advance(MINUTE);
        assert_eq!(failures(&function.invoke(&records).await.unwrap()), Vec::<String>::new(), "{words}");
        let why = &stage.dead()[0].1;
        assert_eq!(why["Code"], "InvalidRequest");
        assert!(why["Explanation"].contains(words), "{why:?}");
    }
}

#[tokio::test]
async fn a_refusal_whose_words_say_that_it_is_for_good_is_rejected_at_once_with_how_to_leave_the_ami_out() {
    for words in [
        "Images from AWS Marketplace cannot be copied to another AWS account",
        "Images with EC2 BillingProduct codes cannot be copied to another AWS account",
    ] {
        let refused = Image::new(AMI, "golden-1").copies_refused("InvalidRequest", words, None);
        let stage = Stage::new().await.with(|world| drop(world.add_image(THERE, refused)));
        let records = batch([("m1", announced().to_string())]);
        assert_eq!(failures(&stage.function().await.invoke(&records).await.unwrap()), Vec::<String>::new());
        let why = &stage.dead()[0].1;
        assert!(why["Explanation"].contains(words), "{why:?}");
        assert!(why["Advice"].contains("ami-courier:skip") && why["Advice"].contains("NAME_PATTERNS"), "{why:?}");
        assert!(!why["Advice"].contains("KMS"), "{why:?}");
    }
}

#[tokio::test]
async fn a_call_that_a_policy_outside_of_the_stack_denies_names_that_policy() {
    let user = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to \
                perform: ec2:CopyImage on resource: arn:aws:ec2:eu-west-1::image/*";
    for (words, names) in [
        ("with an explicit deny in a service control policy", "service control policy"),
        ("because no permissions boundary allows the ec2:CopyImage action", "PermissionsBoundaryArn"),
        ("because no VPC endpoint policy allows the ec2:CopyImage action", "VPC endpoint"),
    ] {
        let words = format!("{user} {words}");
        let denied = Image::new(AMI, "golden-1").copies_refused("UnauthorizedOperation", &words, None);
        let stage = Stage::new().await.with(|world| drop(world.add_image(THERE, denied)));
        let (seen, message) = kind(stage.function().await.invoke(&announced()).await);
        let advice = message
            .strip_prefix("UnauthorizedOperation: ")
            .and_then(|rest| rest.split_once(" What to do: "))
            .unwrap()
            .1;
        assert!(seen == Rejected && advice.contains(names), "{message}");
        assert!(!advice.contains("decode-authorization-message"), "{message}");
    }
}

#[tokio::test]
async fn an_encoded_authorization_message_is_kept_for_the_operator_with_how_to_read_it() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        let message =
            "You are not authorized to perform this operation. Encoded authorization failure message: Zm9vYmFy-_";
        world.fault(Fault::on("CopyImage").error(403, "UnauthorizedOperation", message));
    });
    let records = batch([("m1", announced().to_string())]);
    assert_eq!(failures(&stage.function().await.invoke(&records).await.unwrap()), Vec::<String>::new());
    let [(body, why)] = stage.dead().try_into().unwrap();
    assert_eq!(body, announced().to_string());
    assert!(why["Explanation"].contains("message: Zm9vYmFy-_"), "{why:?}");
    assert!(why["Advice"].contains("aws sts decode-authorization-message"), "{why:?}");
}

#[tokio::test]
async fn an_error_that_ends_within_the_sdks_own_attempts_is_not_visible_outside() {
    for fault in [
        Fault::on("CopyImage").first(2).throttle(),
        Fault::on("CopyImage").nth(1).error(500, "InternalError", "oops"),
        Fault::on("CopyImage").nth(1).drop_connection(),
        Fault::on("DescribeImages").nth(1).drop_connection(),
    ] {
        let stage = Stage::new().await.source(AMI, "golden-1").with(|world| world.fault(fault));
        let answer = stage.function().await.invoke(&announced()).await.unwrap();
        assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
        assert_eq!(stage.copies().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_is_dropped_again_and_again_is_retried() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.fault(Fault::on("CopyImage").drop_connection());
    });
    let function = stage.function().await;
    let (seen, message) = kind(function.invoke(&announced()).await);
    assert_eq!(seen, RetrySoon, "{message}");
    assert!(message.starts_with("NoAnswer: ") && message.contains(AMI) && message.contains(HERE), "{message}");
    stage.aws.world().clear_faults();
    assert_eq!(function.invoke(&announced()).await.unwrap()[0]["Outcome"], "Started");
}

#[tokio::test]
async fn a_call_without_an_answer_is_made_again_within_one_delivery() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.fault(Fault::on("CopyImage").nth(1).slow_after_effect(Duration::from_secs(50)));
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    let calls = stage.copy_image_calls();
    assert_eq!((calls.len(), stage.copies().len()), (2, 1));
    assert_eq!(calls[0], calls[1], "the same call, with the same token");
}

/// The SDK could watch for that. The time of an attempt, eight seconds, ends it as well.
#[tokio::test]
async fn an_answer_that_stops_in_its_middle_ends_with_the_time_of_its_attempt_and_is_retried() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let stage = Stage::new().await;
    let function = stage.function_in(HERE).endpoint_url(&endpoint).set("AWS_MAX_ATTEMPTS", "1").start().await.unwrap();
    tokio::spawn(async move {
        let mut stalled = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 9000\r\n\r\n<DescribeImagesResponse>";
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(head.as_bytes()).await;
            stalled.push(stream);
        }
    });
    let began = Instant::now();
    let (seen, message) = kind(function.invoke(&announced()).await);
    assert_eq!(seen, RetrySoon, "{message}");
    assert!((8..12).contains(&began.elapsed().as_secs()), "{:?}: {message}", began.elapsed());
}

#[tokio::test]
async fn the_function_answers_before_its_own_timeout_whatever_ec2_does() {
    for action in ["DescribeImages", "CopyImage"] {
        let stage = Stage::new().await.source(AMI, "golden-1").timeout(Duration::from_secs(4)).with(|world| {
            world.fault(Fault::on(action).slow(Duration::from_secs(60)));
        });
        let function = stage.function().await;
        let (seen, message) = kind(function.invoke(&announced()).await);
        assert_eq!(seen, RetrySoon, "{action}: {message}");
        assert!(message.contains("timeout"), "{action}: {message}");
        let records = batch([("m1", announced().to_string())]);
        assert_eq!(failures(&function.invoke(&records).await.unwrap()), ["m1"], "{action}");
    }
}

/// The source was visible a moment before, so EC2 of this Region may learn of it later.
#[tokio::test]
async fn a_source_that_copy_image_does_not_find_is_retried_for_an_hour_and_rejected_to_a_caller_who_waits() {
    let stage = Stage::new().await.source(AMI, "golden-1").set("AWS_LAMBDA_LOG_FORMAT", "JSON").with(|world| {
        world.fault(Fault::on("CopyImage").error(400, "InvalidAMIID.NotFound", "The image id does not exist"));
    });
    let function = stage.function().await;
    let (seen, message) = kind(function.invoke(&announced()).await);
    assert_eq!(seen, Rejected, "{message}");
    let records = batch([("m1", announced().to_string())]);
    stage.aws.world().advance(59 * MINUTE);
    assert_eq!(failures(&function.invoke(&records).await.unwrap()), ["m1"]);
    let calls = stage.aws.world().calls();
    let hidden = calls.iter().find(|call| call.action == "ChangeMessageVisibility").expect("it is hidden");
    assert!(hidden.parameters["VisibilityTimeout"].as_u64().is_some_and(|seconds| seconds <= 4), "{hidden:?}");
    stage.aws.world().advance(MINUTE);
    assert_eq!(failures(&function.invoke(&records).await.unwrap()), Vec::<String>::new());
    assert_eq!(stage.dead()[0].1["Code"], "InvalidAMIID.NotFound");
    stage.aws.world().clear_faults();
    assert_eq!(function.invoke(&announced()).await.unwrap()[0]["Outcome"], "Started");
}

#[tokio::test]
async fn a_client_token_that_ec2_refuses_is_no_error_where_a_second_look_can_follow_and_else_retried_in_minutes() {
    let refusing = async || {
        Stage::new().await.source(AMI, "golden-1").with(|world| {
            let message = "Arguments are inconsistent";
            world.fault(Fault::on("CopyImage").error(400, "IdempotentParameterMismatch", message));
        })
    };
    let stage = refusing().await;
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Ignored", "{answer}");
    assert!(answer[0]["Reason"].as_str().unwrap().contains("looks again in 15 minutes"), "{answer}");
    let [second_look] = stage.aws.world().messages(&stage.queue).try_into().unwrap();
    assert!(second_look.body.contains("SecondLook") && second_look.body.contains(AMI), "{second_look:?}");
    let stage = refusing().await.set("QUEUE_URL", "");
    let (seen, message) = kind(stage.function().await.invoke(&announced()).await);
    assert_eq!(seen, RetryInMinutes, "{message}");
    assert!(message.starts_with("NotVisibleYet: ") && message.contains(AMI) && message.contains(HERE), "{message}");
    assert_eq!(stage.copies().len(), 0);
}

#[tokio::test]
async fn an_answer_to_a_dry_run_that_nobody_asked_for_is_a_bug_and_is_retried() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.fault(Fault::on("CopyImage").error(412, "DryRunOperation", "Request would have succeeded"));
    });
    let (seen, message) = kind(stage.function().await.invoke(&announced()).await);
    assert_eq!(seen, RetryInMinutes, "{message}");
    assert!(message.starts_with("InternalError: ") && message.contains("DryRun was not set"), "{message}");
}

#[tokio::test]
async fn an_error_of_a_look_is_sorted_as_well_and_names_the_look() {
    for (region, looking) in [(THERE, "describing the source AMI"), (HERE, "looking for copies of")] {
        for (status, code, expected) in [
            (403, "UnauthorizedOperation", Rejected),
            (503, "RequestLimitExceeded", RetrySoon),
            (401, "OptInRequired", Rejected),
        ] {
            let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
                world.fault(Fault::on("DescribeImages").in_region(region).error(status, code, "no"));
            });
            let (seen, message) = kind(stage.function().await.invoke(&announced()).await);
            assert_eq!(seen, expected, "{message}");
            assert!(message.contains(code) && message.contains(looking) && message.contains(AMI), "{message}");
            assert_eq!(stage.copy_image_calls().len(), 0);
        }
    }
}

#[tokio::test]
async fn the_limit_of_copies_in_progress_is_retried_in_minutes_until_copies_are_done() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| world.behaviour.snapshot_copies_limit = 0);
    let function = stage.function().await;
    let (seen, message) = kind(function.invoke(&announced()).await);
    assert_eq!(seen, RetryInMinutes, "{message}");
    assert!(message.contains("Too many snapshot copies in progress"), "{message}");
    stage.aws.world().behaviour.snapshot_copies_limit = 20;
    assert_eq!(function.invoke(&announced()).await.unwrap()[0]["Outcome"], "Started");
}
