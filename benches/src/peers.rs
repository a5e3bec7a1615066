//! The measured programs: the floor, the least with the same calls, ami-courier, and the same work in Python.

use std::fs;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::Outcome;
use crate::aws::{ACCOUNT, Aws, REGION, SOURCE_REGION};

/// A program that runs as a Lambda function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Floor,
    Least,
    Courier,
    Python,
}

/// A program and its work.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) event: Bytes,
    pub(crate) announcements: u32,
}

/// The size of a deployed function, in bytes.
pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) file: u64,
    pub(crate) archive: u64,
}

/// The programs, built.
pub(crate) struct Peers {
    floor: PathBuf,
    least: PathBuf,
    courier: PathBuf,
    python: Option<PathBuf>,
}

impl Peers {
    /// The programs in the folder where cargo puts them: that of the benchmark itself.
    pub(crate) fn beside(benchmark: &Path, courier: Option<PathBuf>, with_python: bool) -> Outcome<Self> {
        let folder = benchmark.parent().ok_or("the benchmark's own path has no folder")?;
        Ok(Self {
            floor: folder.join("floor"),
            least: folder.join("least"),
            courier: courier.unwrap_or_else(|| folder.join(COURIER)),
            python: with_python.then(|| folder.join("bench-python")),
        })
    }

    /// Builds the missing programs.
    pub(crate) fn build(&self) -> Outcome<()> {
        cargo(&["--package", "floor"])?;
        cargo(&["--package", "least"])?;
        if self.courier.file_name() == Some(COURIER.as_ref()) && self.courier.parent() == self.floor.parent() {
            cargo(&["--bin", COURIER])?;
        }
        self.python.as_deref().map_or(Ok(()), install_python)
    }

    /// Each program with each kind of work.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let subject = |name, program, event: Value, announcements| Subject {
            name,
            program,
            event: event.to_string().into(),
            announcements,
        };
        let mut subjects = vec![
            subject("`lambda_runtime` alone, a constant", Program::Floor, request(), 1),
            subject("the least with the same calls", Program::Least, request(), 1),
            subject("ami-courier, a direct request", Program::Courier, request(), 1),
            subject("ami-courier, a batch of one", Program::Courier, batch(1), 1),
            subject("ami-courier, a batch of ten", Program::Courier, batch(10), 10),
        ];
        if self.python.is_some() {
            subjects.push(subject("Python, a direct request", Program::Python, request(), 1));
            subjects.push(subject("Python, a batch of one", Program::Python, batch(1), 1));
            subjects.push(subject("Python, a batch of ten", Program::Python, batch(10), 10));
        }
        subjects
    }

    /// The program with Lambda's environment. It uses `aws` as AWS.
    pub(crate) fn command(&self, program: Program, aws: &Aws) -> tokio::process::Command {
        let mut command = match (program, &self.python) {
            (Program::Floor, _) => tokio::process::Command::new(&self.floor),
            (Program::Least, _) => tokio::process::Command::new(&self.least),
            (Program::Python, Some(python)) => {
                let mut command = tokio::process::Command::new(python.join(INTERPRETER));
                command.args(["-m", "awslambdaric", "handler.handler"]).current_dir(PYTHON);
                command
            }
            _ => tokio::process::Command::new(&self.courier),
        };
        let bundle = aws.certificates.bundle();
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "en_US.UTF-8")
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
            .env("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjEXAMPLE")
            .env("AWS_LAMBDA_FUNCTION_NAME", "ami-courier")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/ami-courier")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/23/[$LATEST]0")
            .env("LAMBDA_TASK_ROOT", PYTHON)
            .env("_HANDLER", "handler.handler")
            .env("SSL_CERT_FILE", &bundle)
            .env("AWS_CA_BUNDLE", &bundle)
            // As in the README's deployment: one source Region.
            .env("SOURCE_REGIONS", SOURCE_REGION);
        command
    }

    pub(crate) fn sizes(&self) -> Outcome<Vec<Size>> {
        let mut sizes = Vec::new();
        for (name, file) in [
            ("`lambda_runtime` alone", &self.floor),
            ("the least with the same calls", &self.least),
            ("ami-courier", &self.courier),
        ] {
            let contents = fs::read(file)?;
            let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            archive.start_file("bootstrap", zip::write::SimpleFileOptions::default())?;
            archive.write_all(&contents)?;
            sizes.push(Size {
                name,
                file: contents.len().try_into()?,
                archive: archive.finish()?.into_inner().len().try_into()?,
            });
        }
        Ok(sizes)
    }
}

const COURIER: &str = "ami-courier";
const INTERPRETER: &str = "bin/python";
/// The folder of the Python function.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");

/// A Python with the packages that AWS's own runtime has.
fn install_python(folder: &Path) -> Outcome<()> {
    let interpreter = folder.join(INTERPRETER);
    if !interpreter.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    }
    run(Command::new(&interpreter)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(Path::new(PYTHON).join("requirements.txt")))
}

fn cargo(what: &[&str]) -> Outcome<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    run(Command::new(cargo).current_dir(workspace).args(["build", "--release"]).args(what))
}

fn run(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// The document of `aws ec2 copy-image --cli-input-json`.
fn request() -> Value {
    json!({ "Name": "golden-2026-11-20", "SourceImageId": "ami-067cc340229463eba", "SourceRegion": SOURCE_REGION })
}

/// The batches in which Lambda passes a burst of so many announcements to a function: ten messages each, as the template says.
pub(crate) fn burst(announcements: usize) -> Vec<Bytes> {
    (0..announcements)
        .step_by(10)
        .map(|first| batch_of(first + 1..=announcements.min(first + 10)).to_string().into())
        .collect()
}

fn batch(announcements: usize) -> Value {
    batch_of(1..=announcements)
}

/// EC2's announcements of these AMIs, in an SQS batch as Lambda passes it to a function.
fn batch_of(announcements: RangeInclusive<usize>) -> Value {
    let record = |number: usize| {
        let body = json!({
            "version": "0", "id": "7a5e8f4c-0000-4000-8000-000000000001", "detail-type": "EC2 AMI State Change",
            "source": "aws.ec2", "account": ACCOUNT, "time": "2026-11-20T06:20:00Z", "region": SOURCE_REGION,
            "resources": [format!("arn:aws:ec2:{SOURCE_REGION}::image/ami-{number:017x}")],
            "detail": { "RequestId": "b1c7", "ImageId": format!("ami-{number:017x}"), "State": "available", "ErrorMessage": "" },
        });
        json!({
            "messageId": format!("059f36b4-87a3-44ab-83d2-6619{number:08}"), "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": body.to_string(),
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1795155600000", "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                            "ApproximateFirstReceiveTimestamp": "1795155600001" },
            "messageAttributes": {}, "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:announcements"), "awsRegion": REGION,
        })
    };
    json!({ "Records": announcements.map(record).collect::<Vec<_>>() })
}

/// The scheduled event that starts a sweep.
pub(crate) fn sweep() -> Bytes {
    json!({ "Sweep": {} }).to_string().into()
}

/// A direct caller asks for the status.
pub(crate) fn status() -> Bytes {
    json!({ "Status": {} }).to_string().into()
}

/// A CloudWatch dashboard asks for the widget.
pub(crate) fn widget() -> Bytes {
    json!({ "widgetContext": { "theme": "light", "forms": { "all": {} }, "params": {} } }).to_string().into()
}
