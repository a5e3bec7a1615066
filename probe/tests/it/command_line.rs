//! The command as it is typed: streams, exit codes, the file, Ctrl-C.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use local::aws::{Aws, Behaviour};
use serde_json::Value;

const REGION: &str = "eu-west-1";
/// Seconds that pass there for each real second: a copy takes a third of a second.
const RATE: &str = "3600";

async fn aws() -> Aws {
    let aws = Aws::start().await.expect("a free port on loopback");
    aws.world().set_rate(RATE.parse().expect("a number"));
    aws
}

fn probe(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "AKIA111122223333TEST")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(["--region", REGION])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the command against this AWS, with its report in `folder`.
async fn run(aws: &Aws, folder: &Path, arguments: &[&str]) -> Output {
    let report = folder.join("probe.json").display().to_string();
    let endpoint = aws.endpoint();
    let all: Vec<&str> = ["--endpoint-url", &endpoint, "--rate", RATE, "--report", &report]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let mut command = probe(&all);
    tokio::task::spawn_blocking(move || command.output().expect("the command runs")).await.expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn everything(aws: &Aws) -> Vec<String> {
    let world = aws.world();
    world.images(REGION).into_iter().map(|image| image.id).chain(world.snapshots(REGION)).collect()
}

async fn until_copies_are_made(aws: &Aws) {
    let begun = Instant::now();
    while !aws.world().calls().iter().any(|call| call.action == "DeregisterImage") {
        assert!(begun.elapsed() < Duration::from_secs(30), "no copy was made");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_prints_the_table_and_writes_a_report_without_ids_accounts_and_names() {
    let aws = aws().await;
    aws.world().behaviour.copy_image_refuses_taken_names = true;
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(&aws, folder.path(), &["--yes", "--copies", "3"]).await;
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "one answer is different\n{stdout}{}", text(&output.stderr));
    assert!(
        stdout.starts_with("Account 111122223333, Region eu-west-1, as arn:aws:iam::111122223333:user/local"),
        "{stdout}"
    );
    assert!(stdout.contains("refused: InvalidAMIName.Duplicate") && stdout.contains("DIFFERENT"), "{stdout}");
    assert!(stdout.contains("For the courier: two source AMIs with one `COPY_NAME`"), "{stdout}");
    assert!(stdout.contains("Nothing is left."), "{stdout}");
    assert!(everything(&aws).is_empty());

    let report = std::fs::read_to_string(folder.path().join("probe.json")).expect("the report");
    for secret in ["111122223333", "ami-0", "snap-0", "ami-courier-probe", "arn:"] {
        assert!(!report.contains(secret), "{secret} is in the report:\n{report}");
    }
    let report: Value = serde_json::from_str(&report).expect("the report is JSON");
    let taken = report["Answers"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|it| it["Name"] == "does_copy_image_accept_a_taken_name");
    assert_eq!(taken.expect("the question")["Verdict"], "DIFFERENT");
    let visible = report["Answers"][3]["Seen"].as_str().expect("a text");
    assert_eq!(visible.matches(", ").count(), 2, "the time of each copy: {visible}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_yes_it_says_what_it_would_make_and_makes_nothing() {
    let aws = aws().await;
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(&aws, folder.path(), &[]).await;
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        stdout.contains("Account 111122223333") && stdout.contains("US dollars") && stdout.contains("Add --yes"),
        "{stdout}"
    );
    let calls: Vec<String> = aws.world().calls().into_iter().map(|call| call.action).collect();
    assert_eq!(calls, ["GetCallerIdentity"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_lists_calls_and_cost_and_makes_no_call() {
    let aws = aws().await;
    let folder = tempfile::tempdir().expect("a folder");
    let all = ["--dry-run", "--permissions", "--long", "--source-region", "ap-southeast-7"];
    let output = run(&aws, folder.path(), &all).await;
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(stdout.contains("30 x  ec2:CopyImage") && stdout.contains("US dollars"), "{stdout}");
    assert!(stdout.lines().all(|line| line.len() <= 100), "{stdout}");
    assert!(aws.world().calls().is_empty());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn after_ctrl_c_it_removes_everything_and_still_reports() {
    let aws = aws().await;
    aws.world().behaviour.copy_duration = Duration::from_secs(10 * 60 * 60);
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("probe.json");
    let child = probe(&["--endpoint-url", &aws.endpoint(), "--rate", RATE, "--yes", "--copies", "3", "--report"])
        .arg(&report)
        .spawn()
        .expect("the command runs");
    until_copies_are_made(&aws).await;
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let output =
        tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends")).await.expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("Nothing is left."), "{}", text(&output.stdout));
    assert!(everything(&aws).is_empty(), "{:?}", everything(&aws));
    assert!(report.exists());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_behind_is_removed_by_clean() {
    let aws = aws().await;
    aws.world().behaviour = Behaviour { copy_duration: Duration::from_secs(10 * 60 * 60), ..Behaviour::default() };
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = probe(&["--endpoint-url", &aws.endpoint(), "--rate", RATE, "--yes", "--copies", "3"])
        .current_dir(folder.path())
        .spawn()
        .expect("the command runs");
    until_copies_are_made(&aws).await;
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
    assert!(!everything(&aws).is_empty(), "it left something behind");
    let output = run(&aws, folder.path(), &["--clean"]).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("Nothing is left."), "{}", text(&output.stdout));
    assert!(everything(&aws).is_empty(), "{:?}", everything(&aws));
}
