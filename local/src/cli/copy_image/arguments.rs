//! The arguments of `aws ec2 copy-image`, and the request that they make.

use clap::{ArgAction, Args, ValueEnum};
use serde_json::{Value, json};

use super::document::{self, Document};
use super::input::{input_document, tag_specifications};
use crate::cli::options::FunctionOptions;

/// Copy an AMI into a Region, as `aws ec2 copy-image` does, through the function.
///
/// The source AMI is added to an AWS on loopback first, unless --endpoint-url names a server that has it. Only the
/// answer goes to stdout. Errors go to stderr, with exit code 254 if they come from the service and 252 if they
/// come from the arguments.
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
pub(in crate::cli) struct Arguments {
    /// Identifier that makes a repeated request the same request; at most 128 ASCII characters.
    #[arg(long, value_name = "TOKEN")]
    client_token: Option<String>,

    /// Description of the new AMI; at most 255 characters.
    #[arg(long)]
    description: Option<String>,

    /// Encrypt the snapshots of the copy.
    #[arg(long, overrides_with = "no_encrypted")]
    encrypted: bool,
    /// Do not encrypt unencrypted snapshots.
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

    /// Copy the source's user tags to the copy.
    #[arg(long, overrides_with = "no_copy_image_tags")]
    copy_image_tags: bool,
    /// Do not copy the source's tags.
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

    /// Only check the permission: the answer is the error DryRunOperation.
    #[arg(long, overrides_with = "no_dry_run")]
    dry_run: bool,
    /// Make the copy.
    #[arg(long)]
    no_dry_run: bool,

    /// The request as JSON, or file://PATH to it. Arguments win over its fields.
    #[arg(long, value_name = "JSON")]
    cli_input_json: Option<String>,

    /// Print a skeleton of --cli-input-json, or, with `output`, check the arguments and print a sample answer. Nothing is sent.
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "input", action = ArgAction::Set)]
    generate_cli_skeleton: Option<Skeleton>,

    #[command(flatten)]
    pub(super) function: FunctionOptions,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Skeleton {
    Input,
    Output,
}

/// What the arguments ask for.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    /// Print this, send nothing.
    Print(Value),
    /// Hand this document to the function.
    Send(Document),
}

impl Arguments {
    /// What the arguments ask for.
    ///
    /// # Errors
    /// The reason, as the AWS CLI words it, if they cannot be right.
    pub(super) fn request(&self) -> Result<Request, String> {
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
        let line = std::iter::once("copy-image").chain(arguments.iter().copied());
        Command::try_parse_from(line).map_err(|error| error.to_string())?.arguments.request()
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
    fn invalid_arguments_are_refused_before_anything_runs() {
        for (arguments, expected) in [
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
            assert!(error.contains(expected), "{arguments:?}: {error}");
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
}
