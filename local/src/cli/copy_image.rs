//! `aws ec2 copy-image`, flag for flag, with the function in between.
//!
//! The arguments become the document of `--cli-input-json`, the function gets it as a direct request, and its
//! answer is printed as the AWS CLI prints EC2's: layout, streams and exit codes are the AWS CLI's
//! (<https://docs.aws.amazon.com/cli/latest/reference/ec2/copy-image.html>).

mod document;
mod shorthand;

use std::process::ExitCode;

use clap::{ArgAction, Args, ValueEnum};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};

use super::options::{self, FunctionOptions};
use super::output;
use super::seeding::Seeding;
use crate::aws::Aws;
use crate::host::{Host, InvokeError};
use document::Document;

/// The AWS CLI's exit code when the arguments cannot be right.
pub(super) const USAGE_ERROR: u8 = 252;
/// The AWS CLI's exit code when the service answers with an error.
const SERVICE_ERROR: u8 = 254;

/// Copy an AMI into a Region, as `aws ec2 copy-image` does, through the function.
///
/// The source AMI is put into an AWS on loopback first, unless --endpoint-url names a server that has it. All
/// that is printed on stdout is the answer; errors go to stderr, with exit code 254 if they come from the
/// service and 252 if they come from the arguments.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo run -p local -- copy-image --source-image-id ami-5731123e --source-region us-east-1 --region ap-northeast-1 --name \"My server\"
  cargo run -p local -- copy-image --generate-cli-skeleton > request.json
  cargo run -p local -- copy-image --cli-input-json file://request.json --name \"this name wins\"
  cargo run -p local -- copy-image --name web --source-image-id ami-5731123e --source-region us-east-1 \\
      --tag-specifications 'ResourceType=image,Tags=[{Key=team,Value=web}]' 'ResourceType=snapshot,Tags=[{Key=team,Value=web}]'")]
#[allow(clippy::struct_excessive_bools, reason = "the AWS CLI has its boolean flags in pairs")]
#[allow(clippy::doc_markdown, reason = "these lines are printed by --help as they are")]
pub(super) struct Arguments {
    /// Identifier that makes a repeated request the same request; at most 64 ASCII characters.
    #[arg(long, value_name = "TOKEN")]
    client_token: Option<String>,

    /// Description of the new AMI; at most 255 characters.
    #[arg(long)]
    description: Option<String>,

    /// Encrypt the snapshots of the copy.
    #[arg(long, overrides_with = "no_encrypted")]
    encrypted: bool,
    /// Leave the snapshots as they are.
    #[arg(long)]
    no_encrypted: bool,

    /// KMS key in the destination Region: key id, key ARN, alias/NAME or alias ARN. Needs --encrypted.
    #[arg(long, value_name = "KEY")]
    kms_key_id: Option<String>,

    /// Name of the new AMI; 3 to 128 characters. Required.
    #[arg(long)]
    name: Option<String>,

    /// The AMI to copy. Required.
    #[arg(long, value_name = "AMI-ID")]
    source_image_id: Option<String>,

    /// The Region that the AMI is in. Required.
    #[arg(long, value_name = "REGION")]
    source_region: Option<String>,

    /// Outpost for the new AMI.
    #[arg(long, value_name = "ARN")]
    destination_outpost_arn: Option<String>,

    /// Carry the source's user tags to the copy.
    #[arg(long, overrides_with = "no_copy_image_tags")]
    copy_image_tags: bool,
    /// Leave the source's tags behind.
    #[arg(long)]
    no_copy_image_tags: bool,

    /// Tags for the copy and its snapshots: shorthand, one argument a resource type, or a JSON list.
    #[arg(long, value_name = "SPECIFICATION", num_args = 1..)]
    tag_specifications: Option<Vec<String>>,

    /// Finish the snapshots within this time: 15 to 2880, in steps of 15.
    #[arg(long, value_name = "MINUTES")]
    snapshot_copy_completion_duration_minutes: Option<i64>,

    /// Local Zone for the new AMI, by name.
    #[arg(long, value_name = "ZONE")]
    destination_availability_zone: Option<String>,

    /// Local Zone for the new AMI, by id.
    #[arg(long, value_name = "ZONE-ID")]
    destination_availability_zone_id: Option<String>,

    /// Only ask whether the copy would be permitted: the answer is the error DryRunOperation.
    #[arg(long, overrides_with = "no_dry_run")]
    dry_run: bool,
    /// Copy in earnest.
    #[arg(long)]
    no_dry_run: bool,

    /// The request as JSON, or file://PATH to it. Arguments win over what it says.
    #[arg(long, value_name = "JSON")]
    cli_input_json: Option<String>,

    /// Print a skeleton of --cli-input-json, or, with `output`, check the arguments and print a sample answer. Nothing is sent.
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "input", action = ArgAction::Set)]
    generate_cli_skeleton: Option<Skeleton>,

    #[command(flatten)]
    function: FunctionOptions,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Skeleton {
    Input,
    Output,
}

/// What the arguments ask for.
#[derive(Debug, PartialEq)]
enum Request {
    /// Print this, send nothing.
    Print(Value),
    /// Hand this document to the function.
    Send(Document),
}

/// Runs the command.
pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let document = match arguments.request() {
        Ok(Request::Print(value)) => return print(&value),
        Ok(Request::Send(document)) => document,
        Err(reason) => return fail(USAGE_ERROR, &reason),
    };
    match send(&arguments.function, &Value::Object(document)).await {
        Ok(Ok(answer)) => match reading_of(&answer) {
            Reading::Copy(image_id) => print(&json!({ "ImageId": image_id })),
            Reading::Error(error) => fail(SERVICE_ERROR, &error),
        },
        Ok(Err((InvokeError::Function { message, .. }, _))) => fail(SERVICE_ERROR, &service_error(&message)),
        Ok(Err((error, logs))) => output::fail(options::explain(&error, &logs)),
        Err(reason) => output::fail(reason),
    }
}

/// An answer, or an error with the function's log.
type Answer = Result<Value, (InvokeError, Vec<String>)>;

/// Runs the function on the document; an `Err` is a function that did not even start.
async fn send(options: &FunctionOptions, document: &Value) -> Result<Answer, String> {
    let function = options.function()?;
    let seeding = Seeding::of(document, options);
    let aws = match options.endpoint_url {
        Some(_) => None,
        None => Some(Aws::start().await.map_err(|error| format!("cannot open a port on loopback: {error}"))?),
    };
    let endpoint = match (&aws, &options.endpoint_url) {
        (Some(aws), _) => {
            seeding.plant(&mut aws.world(), &options.region);
            aws.endpoint()
        }
        (None, url) => url.clone().unwrap_or_default(),
    };
    let host: Host = function
        .endpoint_url(&endpoint)
        .account(&seeding.account)
        .start()
        .await
        .map_err(|error| options::with_logs(&error, &error.logs))?;
    let answer = host.invoke(document).await.map_err(|error| (error, host.logs()));
    if options.logs {
        host.logs().iter().for_each(|line| eprintln!("{line}"));
    }
    Ok(answer)
}

impl Arguments {
    fn request(&self) -> Result<Request, String> {
        if matches!(self.generate_cli_skeleton, Some(Skeleton::Input)) {
            return Ok(Request::Print(Value::Object(document::skeleton())));
        }
        let input = self.cli_input_json.as_deref().map(input_document).transpose()?.unwrap_or_default();
        let document = document::merge(input, self.document()?);
        let missing = document::missing(&document);
        if !missing.is_empty() {
            return Err(format!("the following arguments are required: {}", missing.join(", ")));
        }
        if matches!(self.generate_cli_skeleton, Some(Skeleton::Output)) {
            let errors = document::type_errors(&document);
            if !errors.is_empty() {
                return Err(format!("Parameter validation failed:\n{}", errors.join("\n")));
            }
            return Ok(Request::Print(json!({ "ImageId": "ImageId" })));
        }
        Ok(Request::Send(document))
    }

    /// The document that the arguments alone make.
    fn document(&self) -> Result<Document, String> {
        let text = |value: &Option<String>| value.clone().map(Value::String);
        let flag = |yes: bool, no: bool| (yes || no).then_some(Value::Bool(yes));
        let tags = self.tag_specifications.as_deref().map(tag_specifications).transpose()?;
        let fields = [
            ("ClientToken", text(&self.client_token)),
            ("Description", text(&self.description)),
            ("Encrypted", flag(self.encrypted, self.no_encrypted)),
            ("KmsKeyId", text(&self.kms_key_id)),
            ("Name", text(&self.name)),
            ("SourceImageId", text(&self.source_image_id)),
            ("SourceRegion", text(&self.source_region)),
            ("DestinationOutpostArn", text(&self.destination_outpost_arn)),
            ("CopyImageTags", flag(self.copy_image_tags, self.no_copy_image_tags)),
            ("TagSpecifications", tags),
            ("SnapshotCopyCompletionDurationMinutes", self.snapshot_copy_completion_duration_minutes.map(Value::from)),
            ("DestinationAvailabilityZone", text(&self.destination_availability_zone)),
            ("DestinationAvailabilityZoneId", text(&self.destination_availability_zone_id)),
            ("DryRun", flag(self.dry_run, self.no_dry_run)),
        ];
        Ok(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }
}

/// Reads `--cli-input-json`.
fn input_document(argument: &str) -> Result<Document, String> {
    let text = text_or_file("--cli-input-json", argument)?;
    serde_json::from_str(&text).map_err(|error| {
        format!("Error parsing parameter '--cli-input-json': Invalid JSON object: {error}\nJSON received: {text}")
    })
}

/// Reads `--tag-specifications`: JSON if it looks like it, else shorthand, one specification an argument.
fn tag_specifications(arguments: &[String]) -> Result<Value, String> {
    const NAME: &str = "--tag-specifications";
    let parse_error = |reason: &str| format!("Error parsing parameter '{NAME}': {reason}");
    let read_json = |text: &str| {
        serde_json::from_str::<Value>(text)
            .map_err(|error| parse_error(&format!("Invalid JSON: {error}\nJSON received: {text}")))
    };
    let mut specifications = Vec::new();
    for argument in arguments {
        let text = text_or_file(NAME, argument)?;
        match text.trim_start().chars().next() {
            Some('[') => match read_json(&text)? {
                Value::Array(list) => specifications.extend(list),
                other => specifications.push(other),
            },
            Some('{') => specifications.push(read_json(&text)?),
            _ => specifications
                .push(shorthand::parse(&text).map_err(|reason| parse_error(&format!("{reason} in: {text}")))?),
        }
    }
    Ok(Value::Array(specifications))
}

/// The argument itself, or the content of the file that it names with `file://`.
fn text_or_file(name: &str, argument: &str) -> Result<String, String> {
    match argument.strip_prefix("file://") {
        None => Ok(argument.to_owned()),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("Error parsing parameter '{name}': Unable to load paramfile {argument}: {error}")),
    }
}

/// What the function's answer would be on the AWS CLI.
#[derive(Debug, PartialEq)]
enum Reading {
    Copy(String),
    Error(String),
}

fn reading_of(answer: &Value) -> Reading {
    match (answer["Outcome"].as_str(), answer["ImageId"].as_str()) {
        (Some("DryRun"), _) => {
            Reading::Error(service_error("DryRunOperation: Request would have succeeded, but DryRun flag is set."))
        }
        (_, Some(image_id)) => Reading::Copy(image_id.to_owned()),
        (Some("Ignored"), None) => {
            let reason = answer["Reason"].as_str().unwrap_or("no reason given");
            Reading::Error(format!("Nothing was copied: {reason}"))
        }
        _ => Reading::Error(format!("The function's answer has no ImageId: {answer}")),
    }
}

/// The function's `CODE: words` as the AWS CLI shows an error of the service.
fn service_error(message: &str) -> String {
    match message.split_once(": ") {
        Some((code, words)) if is_error_code(code) => {
            format!("An error occurred ({code}) when calling the CopyImage operation: {words}")
        }
        _ => format!("An error occurred when calling the CopyImage operation: {message}"),
    }
}

/// Whether a word may be one of EC2's error codes, such as `InvalidAMIID.NotFound`.
fn is_error_code(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

fn print(value: &Value) -> ExitCode {
    output::say(in_cli_layout(value));
    ExitCode::SUCCESS
}

fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("\n{message}");
    ExitCode::from(code)
}

/// JSON with the AWS CLI's indentation of four spaces.
fn in_cli_layout(value: &Value) -> String {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer).expect("a JSON value is written to memory");
    String::from_utf8(text).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn request(arguments: &[&str]) -> Result<Request, String> {
        let words = std::iter::once("copy-image").chain(arguments.iter().copied());
        Command::try_parse_from(words).map_err(|error| error.to_string())?.arguments.request()
    }

    fn document(arguments: &[&str]) -> Value {
        match request(arguments) {
            Ok(Request::Send(document)) => Value::Object(document),
            other => panic!("{arguments:?} is no request to send: {other:?}"),
        }
    }

    const REQUIRED: [&str; 6] =
        ["--name", "My server", "--source-image-id", "ami-5731123e", "--source-region", "us-east-1"];

    fn with(more: &[&'static str]) -> Vec<&'static str> {
        REQUIRED.iter().chain(more).copied().collect()
    }

    #[test]
    fn the_seed_s_example_makes_a_document_of_what_was_given_and_no_more() {
        let expected = json!({"Name": "My server", "SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1"});
        assert_eq!(document(&with(&["--region", "ap-northeast-1"])), expected);
    }

    #[test]
    fn every_argument_has_its_field() {
        let arguments = with(&[
            "--client-token",
            "t",
            "--description",
            "d",
            "--encrypted",
            "--kms-key-id",
            "alias/k",
            "--destination-outpost-arn",
            "o",
            "--no-copy-image-tags",
            "--tag-specifications",
            "ResourceType=image,Tags=[{Key=a,Value=b}]",
            r#"{"ResourceType":"snapshot","Tags":[]}"#,
            "--snapshot-copy-completion-duration-minutes",
            "30",
            "--destination-availability-zone",
            "z",
            "--destination-availability-zone-id",
            "i",
            "--dry-run",
        ]);
        let expected = json!({
            "ClientToken": "t", "Description": "d", "Encrypted": true, "KmsKeyId": "alias/k",
            "Name": "My server", "SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1",
            "DestinationOutpostArn": "o", "CopyImageTags": false,
            "TagSpecifications": [
                {"ResourceType": "image", "Tags": [{"Key": "a", "Value": "b"}]},
                {"ResourceType": "snapshot", "Tags": []},
            ],
            "SnapshotCopyCompletionDurationMinutes": 30,
            "DestinationAvailabilityZone": "z", "DestinationAvailabilityZoneId": "i", "DryRun": true,
        });
        let document = document(&arguments);
        assert_eq!(document, expected);
        let skeleton = document::skeleton();
        assert!(skeleton.keys().eq(document.as_object().expect("an object").keys()), "a field has no argument");
    }

    #[test]
    fn of_a_pair_of_flags_the_last_one_wins() {
        assert_eq!(document(&with(&["--encrypted", "--no-encrypted"]))["Encrypted"], false);
        assert_eq!(document(&with(&["--no-encrypted", "--encrypted"]))["Encrypted"], true);
        assert_eq!(document(&with(&["--no-dry-run"]))["DryRun"], false);
    }

    #[test]
    fn a_json_list_of_tag_specifications_is_taken_as_it_is() {
        let list = r#"[{"ResourceType":"image","Tags":[{"Key":"a","Value":"b"}]}]"#;
        let document = document(&with(&["--tag-specifications", list]));
        assert_eq!(document["TagSpecifications"].to_string(), list);
    }

    #[test]
    fn arguments_win_over_the_input_document_which_may_hold_the_required_ones() {
        let input =
            r#"{"Name":"from the document","SourceImageId":"ami-1","SourceRegion":"us-west-2","Encrypted":true}"#;
        let document = document(&["--cli-input-json", input, "--name", "from the argument"]);
        assert_eq!(
            document,
            json!({"Name": "from the argument", "SourceImageId": "ami-1", "SourceRegion": "us-west-2", "Encrypted": true})
        );
    }

    #[test]
    fn the_input_document_may_be_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, r#"{"Name":"n","SourceImageId":"ami-1","SourceRegion":"us-west-2"}"#).expect("written");
        let url = format!("file://{}", file.path().display());
        assert_eq!(document(&["--cli-input-json", &url])["Name"], "n");
        let error = request(&["--cli-input-json", "file:///nowhere/request.json"]).expect_err("no such file");
        assert!(error.contains("Unable to load paramfile file:///nowhere/request.json"), "{error}");
    }

    #[test]
    fn what_cannot_be_right_is_told_before_anything_runs() {
        for (arguments, words) in [
            (vec!["--name", "x"], "the following arguments are required: --source-image-id, --source-region"),
            (with(&["--cli-input-json", "{bad"]), "Error parsing parameter '--cli-input-json': Invalid JSON"),
            (with(&["--cli-input-json", "[]"]), "Error parsing parameter '--cli-input-json': Invalid JSON"),
            (
                with(&["--tag-specifications", "ResourceType"]),
                "Error parsing parameter '--tag-specifications': Expected: '='",
            ),
            (with(&["--snapshot-copy-completion-duration-minutes", "soon"]), "invalid value 'soon'"),
            (with(&["--bogus"]), "unexpected argument '--bogus'"),
            (with(&["--generate-cli-skeleton", "yaml"]), "invalid value 'yaml'"),
        ] {
            let error = request(&arguments).expect_err("must be refused");
            assert!(error.contains(words), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn a_skeleton_needs_no_other_argument_and_a_sample_answer_needs_the_required_ones() {
        let skeleton = Request::Print(Value::Object(document::skeleton()));
        assert_eq!(request(&["--generate-cli-skeleton"]), Ok(Request::Print(Value::Object(document::skeleton()))));
        assert_eq!(request(&["--generate-cli-skeleton", "input"]), Ok(skeleton));
        let sample = Request::Print(json!({"ImageId": "ImageId"}));
        assert_eq!(request(&with(&["--generate-cli-skeleton", "output"])), Ok(sample));
        assert!(request(&["--generate-cli-skeleton", "output"]).expect_err("lacks all").contains("--name"));
        let error = request(&with(&["--generate-cli-skeleton", "output", "--cli-input-json", r#"{"Nme":"x"}"#]));
        assert!(error.expect_err("unknown field").starts_with("Parameter validation failed:\nUnknown parameter"));
    }

    #[test]
    fn the_answer_has_the_aws_cli_s_layout() {
        assert_eq!(in_cli_layout(&json!({"ImageId": "ami-438bea42"})), "{\n    \"ImageId\": \"ami-438bea42\"\n}");
    }

    #[test]
    fn outcomes_read_as_the_aws_cli_would_tell_them() {
        for outcome in ["Started", "AlreadyCopied"] {
            assert_eq!(reading_of(&json!({"Outcome": outcome, "ImageId": "ami-1"})), Reading::Copy("ami-1".to_owned()));
        }
        for (answer, words) in [
            (
                json!({"Outcome": "DryRun"}),
                "An error occurred (DryRunOperation) when calling the CopyImage operation: ",
            ),
            (
                json!({"Outcome": "Ignored", "Reason": "the Region is not trusted"}),
                "Nothing was copied: the Region is not trusted",
            ),
            (json!(null), "has no ImageId: null"),
        ] {
            let Reading::Error(error) = reading_of(&answer) else { panic!("{answer} is no copy") };
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn an_error_of_the_function_shows_its_code_as_the_aws_cli_does() {
        assert_eq!(
            service_error("InvalidAMIID.NotFound: ami-1 is not in us-east-1; check the Region"),
            "An error occurred (InvalidAMIID.NotFound) when calling the CopyImage operation: ami-1 is not in us-east-1; check the Region"
        );
        assert_eq!(
            service_error("not understood: no such message"),
            "An error occurred when calling the CopyImage operation: not understood: no such message"
        );
    }
}
