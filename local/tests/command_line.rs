//! The command line as it is typed: streams and exit codes. The function is `examples/fake_function.rs`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

fn local() -> Command {
    Command::new(env!("CARGO_BIN_EXE_local"))
}

fn fake_function() -> PathBuf {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_local")).with_file_name("examples").join("fake_function");
    assert!(
        binary.exists(),
        "run `cargo build -p local --example fake_function` first: {} is missing",
        binary.display()
    );
    binary
}

/// `local invoke - --function fake_function`, with the event on stdin.
fn invoke(event: &str, more: &[&str]) -> Output {
    let mut child = local()
        .args(["invoke", "-", "--function"])
        .arg(fake_function())
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    child.stdin.take().expect("piped").write_all(event.as_bytes()).expect("takes the event");
    child.wait_with_output().expect("ends")
}

fn copy_image(arguments: &[&str]) -> Output {
    local().args(["copy-image", "--function"]).arg(fake_function()).args(arguments).output().expect("runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn invoke_prints_the_answer_and_then_the_amis_that_the_event_names() {
    let output = invoke(r#"{"echo": {"SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1"}}"#, &[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (answer, table) = stdout.split_once("\n\n").expect("an empty line between answer and table");
    let answer: Value = serde_json::from_str(answer).expect("the answer is JSON");
    assert_eq!(answer["SourceImageId"], "ami-5731123e");
    assert!(table.contains("ami-5731123e") && table.contains("golden-2026-01"), "{table}");
}

#[test]
fn an_error_of_the_function_goes_to_stderr_with_exit_code_1() {
    let output = invoke(r#"{"fail": "InvalidAMIID.NotFound: no such AMI"}"#, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("InvalidAMIID.NotFound: no such AMI"));
}

#[test]
fn an_event_that_fails_and_changes_nothing_shows_no_table() {
    let output =
        invoke(r#"{"fail": "no such AMI", "SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1"}"#, &[]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{output:?}");
}

#[test]
fn without_amis_there_is_no_empty_table() {
    let output = invoke(r#"{"echo": {"Name": "golden"}}"#, &[]);
    assert!(!text(&output.stdout).contains("Snapshots"), "{output:?}");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_function_that_does_not_start_shows_its_log_with_exit_code_1() {
    let output = invoke(r#"{"echo": 1}"#, &["--set", "COPY_DESCRIPTION=fail: ENCRYPTED=maybe cannot be right"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("ENCRYPTED=maybe cannot be right"));
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_payload_that_is_not_json_is_sent_unchanged() {
    let output = invoke("not JSON", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("The event is not JSON: "), "{output:?}");
    assert!(text(&output.stderr).lines().count() > 1, "the function's own words: {output:?}");
    assert_eq!(text(&output.stdout), "", "there are no AMIs to show");
}

#[test]
fn a_partial_failure_of_a_batch_is_visible_and_no_failure_of_the_command() {
    let event = r#"{"echo": {"batchItemFailures": [{"itemIdentifier": "m2"}]}}"#;
    let output = invoke(event, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("\"itemIdentifier\": \"m2\""));
    assert!(text(&output.stderr).contains("failed and would be delivered again: m2"));
}

#[test]
fn a_picture_needs_until() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("life.svg");
    let output = invoke(r#"{"echo": 1}"#, &["--picture", picture.to_str().expect("UTF-8")]);
    assert_eq!((output.status.code(), picture.exists()), (Some(1), false));
    assert!(text(&output.stderr).contains("add --until finished"));
}

#[test]
fn a_tag_that_follows_needs_until_finished_and_the_form_of_a_tag() {
    let output = invoke(r#"{"echo": 1}"#, &["--then-tag", "Channel=prod"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("add --until finished"), "{}", text(&output.stderr));
    let output = invoke(r#"{"echo": 1}"#, &["--until", "finished", "--then-tag", "prod"]);
    assert!(text(&output.stderr).contains("KEY=VALUE"), "{}", text(&output.stderr));
}

#[test]
fn status_names_the_region_whose_function_did_not_answer_with_exit_code_1() {
    let server = Server::start(&[]);
    let endpoint = format!("http://127.0.0.1:{}", server.port);
    let output = local()
        .args(["status", "--region", "eu-north-1", "--endpoint-url", &endpoint, "--function"])
        .arg(fake_function())
        .output()
        .expect("runs");
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("eu-north-1: ") && stderr.contains("unknown verb Status"), "{stderr}");
}

#[test]
fn until_without_a_copy_ends_with_the_reason() {
    let output = invoke(r#"{"echo": 1}"#, &["--until", "available"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("0:00:00  answer    1"), "{}", text(&output.stdout));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("the copy did not become available: the function's last word is `1`. Change the event"),
        "{stderr}"
    );
    assert!(text(&output.stdout).starts_with("   (time since the start; message: what the function gets"));
}

#[test]
fn what_cannot_work_is_said_in_a_sentence_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.json");
    std::fs::write(&empty, "\n").expect("written");
    let empty = empty.to_str().expect("UTF-8");
    let event = "events/sweep.json";
    let nowhere = "http://127.0.0.1:9";
    for (arguments, sentence) in [
        (vec!["invoke", "-", "--set", "ENCRYPTD=true"], "there is no setting ENCRYPTD: did you mean ENCRYPTED?"),
        (vec!["invoke", "-", "--set", "SourceRegions=us-east-1"], "did you mean SOURCE_REGIONS?"),
        (
            vec!["invoke", "-", "--set", "SenderOrganizationId=o-a1b2c3d4e5"],
            "there is no setting SenderOrganizationId of the function; a parameter of the stack alone",
        ),
        (vec!["serve", "--port", "4566x"], "expected a whole number that is not negative"),
        (vec!["status", "--days", "70000"], "this number is too large"),
        (vec!["invoke", "-", "--region", "eu-wset-1"], "AWS has no Region `eu-wset-1`: did you mean `eu-west-1`?"),
        (vec!["status", "--also-in", "Ireland"], "`Ireland` is no Region; one is eu-west-1"),
        (vec!["invoke", "no-such.json"], "there is no file no-such.json: events/ has samples"),
        (vec!["invoke", empty], "empty.json is empty: give an event as JSON"),
        (
            vec!["invoke", event, "--until", "finished", "--picture", "x.png"],
            "x.png ends neither in .svg nor in .html: name it x.svg",
        ),
        (
            vec!["invoke", event, "--endpoint-url", nowhere],
            "nothing answers at http://127.0.0.1:9: start `cargo run -p local -- serve`",
        ),
        (vec!["status", "--endpoint-url", nowhere], "nothing answers at http://127.0.0.1:9"),
        (vec!["invoke", event, "--endpoint-url", "localhost"], "it must begin with http:// or https://"),
        (vec!["invoke", event, "--function", "no-such-function"], "there is no function at no-such-function"),
    ] {
        let output = local().args(&arguments).current_dir("..").stdin(Stdio::null()).output().expect("runs");
        let stderr = text(&output.stderr);
        assert!(!output.status.success() && stderr.contains(sentence), "{arguments:?}: {stderr}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert!(!stderr.contains("os error") && stderr.lines().count() < 6, "{arguments:?}: {stderr}");
    }
}

#[test]
fn without_cargo_the_command_says_how_to_get_it() {
    let output = local()
        .args(["invoke", "events/sweep.json"])
        .current_dir("..")
        .env("PATH", "/nowhere")
        .env_remove("CARGO")
        .output()
        .expect("runs");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("install Rust (https://rustup.rs), or name a built function with --function"), "{stderr}");
    assert!(!stderr.contains("os error"), "{stderr}");
}

#[test]
fn eighty_columns_are_enough_for_the_amis_of_a_run() {
    let event = r#"{"echo": {"SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1"}}"#;
    let mut child = local()
        .args(["invoke", "-", "--function"])
        .arg(fake_function())
        .env("COLUMNS", "80")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    child.stdin.take().expect("piped").write_all(event.as_bytes()).expect("takes the event");
    let stdout = text(&child.wait_with_output().expect("ends").stdout);
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
    assert!(stdout.contains("us-east-1  ami-5731123e  available") && stdout.lines().count() < 40, "{stdout}");
}

/// An AWS CLI that answers for a stack in one Region.
fn aws_cli(folder: &std::path::Path) -> std::ffi::OsString {
    use std::os::unix::fs::PermissionsExt;
    let script = r#"#!/bin/sh
case "$*" in
    *"--region eu-north-1"*) echo "Stack 'ami-courier' does not exist" >&2; exit 255 ;;
    "cloudformation describe-stack-resource --stack-name ami-courier --logical-resource-id Function "*) echo the-function ;;
    "lambda invoke --function-name the-function --payload fileb://"*)
        for answer; do :; done
        cat > "$answer" <<'PAGE'
{"Region": "eu-west-1", "Days": 7, "AsOf": "2026-01-01T00:00:00Z", "SourceRegions": ["us-east-1"], "Counts": {"Missing": 1},
 "Images": [{"State": "Missing", "Name": "golden-1", "SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1", "AgeSeconds": 7300}]}
PAGE
        ;;
    *) echo "unknown: $*" >&2; exit 2 ;;
esac
"#;
    let program = folder.join("aws");
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
    format!("{}:/usr/bin:/bin", folder.display()).into()
}

#[test]
fn status_of_a_deployed_stack_is_the_same_table_through_the_aws_cli() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = aws_cli(folder.path());
    let status = |more: &[&str], path: &std::ffi::OsStr| {
        local().args(["status", "--stack", "ami-courier"]).args(more).env("PATH", path).output().expect("runs")
    };
    let output = status(&[], &path);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for shown in ["Missing", "golden-1", "ami-5731123e in us-east-1", "eu-west-1: 1 Missing; AMIs up to 7 days old"] {
        assert!(stdout.contains(shown), "{stdout}");
    }
    let elsewhere = status(&["--region", "eu-north-1"], &path);
    assert_eq!(elsewhere.status.code(), Some(1));
    let stderr = text(&elsewhere.stderr);
    assert!(
        stderr.contains(
            "eu-north-1: `aws cloudformation describe-stack-resource` failed: Stack 'ami-courier' does not exist"
        ),
        "{stderr}"
    );
    let without = status(&[], std::ffi::OsStr::new("/nowhere"));
    assert!(text(&without.stderr).contains("there is no `aws`: --stack asks through the AWS CLI"), "{without:?}");
}

#[test]
fn the_skeleton_alone_is_on_stdout_in_the_aws_clis_layout() {
    let output = copy_image(&["--generate-cli-skeleton"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let stdout = text(&output.stdout);
    assert!(
        stdout.starts_with("{\n    \"ClientToken\": \"\",\n    \"Description\": \"\",\n    \"Encrypted\": true,\n"),
        "{stdout}"
    );
    serde_json::from_str::<Value>(&stdout).expect("it is JSON");
}

#[test]
fn usage_errors_of_copy_image_have_the_aws_clis_exit_code() {
    for (arguments, message) in [
        (vec!["--name", "n"], "the following arguments are required: --source-image-id, --source-region"),
        (vec!["--bogus"], "--bogus"),
        (vec!["--cli-input-json", "{"], "Error parsing parameter '--cli-input-json'"),
    ] {
        let output = copy_image(&arguments);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(252), String::new()), "{arguments:?}");
        assert!(text(&output.stderr).contains(message), "{}", text(&output.stderr));
    }
}

#[test]
fn an_error_of_the_service_has_the_aws_clis_message_and_exit_code() {
    let output = copy_image(&["--name", "fail", "--source-image-id", "ami-5731123e", "--source-region", "us-east-1"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(254), String::new()));
    assert!(text(&output.stderr).contains("An error occurred"), "{}", text(&output.stderr));
}

/// A `local serve` on a free port, ended with the value.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut process = local()
            .args(["serve", "--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let endpoint = lines.find_map(|line| line.strip_prefix("AWS_ENDPOINT_URL=http://").map(str::to_owned));
        let port = endpoint.as_deref().and_then(|endpoint| endpoint.rsplit(':').next()?.parse().ok());
        Server { process, port: port.expect("it prints its endpoint") }
    }

    /// A call of EC2 in eu-west-1: the answer as it is on the wire.
    fn ec2(&self, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let credential = "AKIAEXAMPLE/20260101/eu-west-1/ec2/aws4_request";
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0\r\n\r\n{body}",
            body.len()
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
    }
}

#[test]
fn serve_prints_its_endpoint_and_listens_there() {
    for host in ["127.0.0.1", "0.0.0.0"] {
        let server = Server::start(&["--host", host]);
        let answer = server.ec2("Action=DescribeImages");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{host}: {answer}");
    }
}

/// The id of the image that a call made.
fn made(answer: &str) -> &str {
    answer.split_once("<imageId>").and_then(|(_, rest)| rest.split_once('<')).expect("an image").0
}

#[test]
fn serve_shows_a_new_copy_at_once_or_with_a_lag_only_after_a_while() {
    let cases: [(&[&str], &str); 4] = [
        (&[], "<imageState>pending"),
        (&["--weak"], "InvalidAMIID.NotFound"),
        (&["--lag", "600"], "InvalidAMIID.NotFound"),
        (&["--copy-takes", "0"], "<imageState>available"),
    ];
    for (arguments, expected) in cases {
        let server = Server::start(&[&["--source", "us-east-1:ami-5731123e"], arguments].concat());
        let copied = server.ec2("Action=CopyImage&Name=copy&SourceImageId=ami-5731123e&SourceRegion=us-east-1");
        let answer = server.ec2(&format!("Action=DescribeImages&ImageId.1={}", made(&copied)));
        assert!(answer.contains(expected), "{arguments:?}: {answer}");
    }
}

#[test]
fn serve_makes_copies_with_the_keys_that_it_was_given() {
    let arguments = ["--source", "us-east-1:ami-5731123e", "--copy-takes", "0", "--key", "eu-west-1:alias/golden"];
    let server = Server::start(&arguments);
    for (key, expected) in [("alias/golden", "<imageState>available"), ("alias/missing", "<imageState>failed")] {
        let copied = server.ec2(&format!(
            "Action=CopyImage&Name=copy&SourceImageId=ami-5731123e&SourceRegion=us-east-1&Encrypted=true&KmsKeyId={key}"
        ));
        let answer = server.ec2(&format!("Action=DescribeImages&ImageId.1={}", made(&copied)));
        assert!(answer.contains(expected), "{key}: {answer}");
    }
}

#[test]
fn serve_puts_the_events_of_ec2_onto_another_event_bridge_but_for_those_that_it_is_to_lose() {
    let bus = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    let address = format!("http://{}", bus.local_addr().expect("it listens"));
    let server = Server::start(&["--events-to", &address, "--lose", "unheard-"]);
    let register = |name: &str| {
        let device = "BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=8";
        server.ec2(&format!("Action=RegisterImage&Name={name}&RootDeviceName=/dev/xvda&{device}"))
    };
    register("unheard-1");
    let heard = register("golden-1");
    let (mut stream, _) = bus.accept().expect("it puts the event");
    let request = whole_request(&mut stream);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"FailedEntryCount\":0}").expect("answered");
    let (headers, body) = request.split_once("\r\n\r\n").expect("a body");
    assert!(headers.contains("x-amz-target: AWSEvents.PutEvents"), "{headers}");
    assert!(headers.contains("Credential=123456789012/20260101/eu-west-1/events/aws4_request"), "{headers}");
    let entry = &serde_json::from_str::<Value>(body).expect("JSON")["Entries"][0];
    assert_eq!((&entry["Source"], &entry["DetailType"]), (&json!("aws.ec2"), &json!("EC2 AMI State Change")));
    assert!(entry["Detail"].as_str().expect("text").contains(made(&heard)), "{entry}");
}

/// A request with its whole body.
fn whole_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if let (Some((_, body)), Some(length)) = (text.split_once("\r\n\r\n"), length)
            && body.len() >= length
        {
            return text;
        }
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).expect("a request");
        assert_ne!(count, 0, "it ended early: {text}");
        read.extend_from_slice(&buffer[..count]);
    }
}

#[test]
fn weak_needs_the_aws_of_the_command() {
    let output = invoke(r#"{"echo": 1}"#, &["--weak", "--endpoint-url", "http://127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("leave out --endpoint-url"), "{}", text(&output.stderr));
}
