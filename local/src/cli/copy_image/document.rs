//! From arguments to the `CopyImage` request document, and back to its skeleton. Pure.
//!
//! One table, [`FIELDS`], has the name, the flag and the type of each parameter, and whether it is required.

use serde_json::{Map, Value, json};

/// The document of `aws ec2 copy-image --cli-input-json`: fields in `PascalCase`, only those that were given.
pub(super) type Document = Map<String, Value>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    Number,
    TagSpecifications,
}

struct Field {
    name: &'static str,
    flag: &'static str,
    kind: Kind,
    required: bool,
}

const fn field(name: &'static str, flag: &'static str, kind: Kind) -> Field {
    Field { name, flag, kind, required: false }
}

const fn required(name: &'static str, flag: &'static str) -> Field {
    Field { name, flag, kind: Kind::Text, required: true }
}

/// Every parameter of `CopyImage`, in the order of the AWS CLI's skeleton.
const FIELDS: [Field; 14] = [
    field("ClientToken", "--client-token", Kind::Text),
    field("Description", "--description", Kind::Text),
    field("Encrypted", "--encrypted", Kind::Flag),
    field("KmsKeyId", "--kms-key-id", Kind::Text),
    required("Name", "--name"),
    required("SourceImageId", "--source-image-id"),
    required("SourceRegion", "--source-region"),
    field("DestinationOutpostArn", "--destination-outpost-arn", Kind::Text),
    field("CopyImageTags", "--copy-image-tags", Kind::Flag),
    field("TagSpecifications", "--tag-specifications", Kind::TagSpecifications),
    field("SnapshotCopyCompletionDurationMinutes", "--snapshot-copy-completion-duration-minutes", Kind::Number),
    field("DestinationAvailabilityZone", "--destination-availability-zone", Kind::Text),
    field("DestinationAvailabilityZoneId", "--destination-availability-zone-id", Kind::Text),
    field("DryRun", "--dry-run", Kind::Flag),
];

/// The document with every field, as `--generate-cli-skeleton` prints it.
pub(super) fn skeleton() -> Document {
    FIELDS
        .iter()
        .map(|field| {
            let sample = match field.kind {
                Kind::Text => json!(""),
                Kind::Flag => json!(true),
                Kind::Number => json!(0),
                Kind::TagSpecifications => json!([{"ResourceType": "image", "Tags": [{"Key": "", "Value": ""}]}]),
            };
            (field.name.to_owned(), sample)
        })
        .collect()
}

/// The document of `--cli-input-json` with the arguments: an argument wins, field by field.
pub(super) fn merge(input: Document, arguments: Document) -> Document {
    let mut merged = input;
    merged.extend(arguments);
    merged
}

/// The flags of the required parameters that the document lacks.
pub(super) fn missing(document: &Document) -> Vec<&'static str> {
    FIELDS.iter().filter(|field| field.required && !document.contains_key(field.name)).map(|field| field.flag).collect()
}

/// The errors in the names and types of a document, one sentence each, as the AWS CLI reports them. The function checks
/// EC2's own rules (lengths, characters, parameters that exclude each other).
pub(super) fn type_errors(document: &Document) -> Vec<String> {
    document
        .iter()
        .filter_map(|(name, value)| {
            let Some(field) = FIELDS.iter().find(|field| field.name == name) else {
                let known: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
                return Some(format!("Unknown parameter in input: \"{name}\", must be one of: {}", known.join(", ")));
            };
            let (fits, wanted) = match field.kind {
                Kind::Text => (value.is_string(), "a string"),
                Kind::Flag => (value.is_boolean(), "true or false"),
                Kind::Number => (value.is_i64(), "a whole number"),
                Kind::TagSpecifications => (
                    value.as_array().is_some_and(|items| items.iter().all(is_tag_specification)),
                    "a list of {\"ResourceType\": string, \"Tags\": [{\"Key\": string, \"Value\": string}]}",
                ),
            };
            (!fits).then(|| format!("Invalid type for parameter {name}, value: {value}, must be {wanted}"))
        })
        .collect()
}

fn is_tag_specification(value: &Value) -> bool {
    let has_only = |value: &Value, fits: fn(&str, &Value) -> bool| {
        value.as_object().is_some_and(|fields| fields.iter().all(|(name, value)| fits(name, value)))
    };
    has_only(value, |name, value| match name {
        "ResourceType" => value.is_string(),
        "Tags" => value.as_array().is_some_and(|tags| {
            tags.iter().all(|tag| {
                tag.as_object().is_some_and(|tag| {
                    tag.iter().all(|(name, value)| matches!(name.as_str(), "Key" | "Value") && value.is_string())
                })
            })
        }),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(value: Value) -> Document {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn the_skeleton_is_a_valid_document_with_every_field_in_the_cli_s_order() {
        let skeleton = skeleton();
        assert_eq!(type_errors(&skeleton), Vec::<String>::new());
        assert_eq!(missing(&skeleton), Vec::<&str>::new());
        let names: Vec<_> = skeleton.keys().map(String::as_str).collect();
        assert_eq!(names[..5], ["ClientToken", "Description", "Encrypted", "KmsKeyId", "Name"]);
        assert_eq!(names.len(), 14);
    }

    #[test]
    fn an_argument_wins_over_the_input_document_and_the_rest_stays() {
        let merged = merge(
            document(json!({"Name": "from the document", "SourceRegion": "us-east-1"})),
            document(json!({"Name": "from the argument", "Encrypted": true})),
        );
        let expected = json!({"Name": "from the argument", "SourceRegion": "us-east-1", "Encrypted": true});
        assert_eq!(Value::Object(merged), expected);
    }

    #[test]
    fn the_missing_required_parameters_are_named_by_their_flags() {
        assert_eq!(missing(&document(json!({"Name": "n"}))), ["--source-image-id", "--source-region"]);
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_named() {
        for (wrong, expected) in [
            (json!({"Nme": "x"}), "Unknown parameter in input: \"Nme\", must be one of: ClientToken, "),
            (json!({"Name": 5}), "Invalid type for parameter Name, value: 5, must be a string"),
            (json!({"DryRun": "true"}), "must be true or false"),
            (json!({"SnapshotCopyCompletionDurationMinutes": 15.5}), "must be a whole number"),
            (json!({"TagSpecifications": [{"Tags": [{"Key": 1}]}]}), "must be a list of"),
            (json!({"TagSpecifications": [{"Resource": "image"}]}), "must be a list of"),
        ] {
            let errors = type_errors(&document(wrong.clone()));
            assert!(errors.len() == 1 && errors[0].contains(expected), "{wrong}: {errors:?}");
        }
    }
}
