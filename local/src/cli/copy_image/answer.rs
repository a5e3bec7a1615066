//! The function's answer, as the AWS CLI prints EC2's.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// What the AWS CLI would print for an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Printed {
    Copy(String),
    Error(String),
}

pub(super) fn printed(answer: &Value) -> Printed {
    match (answer["Outcome"].as_str(), answer["ImageId"].as_str()) {
        (Some("DryRun"), _) => {
            Printed::Error(service_error("DryRunOperation: Request would have succeeded, but DryRun flag is set."))
        }
        (_, Some(image_id)) => Printed::Copy(image_id.to_owned()),
        (Some("Ignored"), None) => {
            let reason = answer["Reason"].as_str().unwrap_or("no reason given");
            Printed::Error(format!("Nothing was copied: {reason}"))
        }
        _ => Printed::Error(format!("The function's answer has no ImageId: {answer}")),
    }
}

/// The function's `CODE: message` as the AWS CLI prints an error of the service.
pub(super) fn service_error(message: &str) -> String {
    match message.split_once(": ") {
        Some((code, text)) if is_error_code(code) => {
            format!("An error occurred ({code}) when calling the CopyImage operation: {text}")
        }
        _ => format!("An error occurred when calling the CopyImage operation: {message}"),
    }
}

/// Whether a word has the form of EC2's error codes, such as `InvalidAMIID.NotFound`.
fn is_error_code(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// JSON with the AWS CLI's indentation of four spaces.
pub(super) fn in_cli_layout(value: &Value) -> String {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer).expect("a JSON value is written to memory");
    String::from_utf8(text).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_has_the_aws_cli_s_layout() {
        assert_eq!(in_cli_layout(&json!({"ImageId": "ami-438bea42"})), "{\n    \"ImageId\": \"ami-438bea42\"\n}");
    }

    #[test]
    fn an_outcome_is_printed_as_the_aws_cli_prints_ec2s_answer() {
        for outcome in ["Started", "AlreadyCopied"] {
            assert_eq!(printed(&json!({"Outcome": outcome, "ImageId": "ami-1"})), Printed::Copy("ami-1".to_owned()));
        }
        for (answer, expected) in [
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
            let Printed::Error(error) = printed(&answer) else { panic!("{answer} is no copy") };
            assert!(error.contains(expected), "{error}");
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
