//! Arguments that hold JSON, shorthand, or the path of a file with either.

use serde_json::Value;

use super::document::Document;
use super::shorthand;

/// Reads `--cli-input-json`.
pub(super) fn input_document(argument: &str) -> Result<Document, String> {
    let text = text_or_file("--cli-input-json", argument)?;
    serde_json::from_str(&text).map_err(|error| {
        format!("Error parsing parameter '--cli-input-json': Invalid JSON object: {error}\nJSON received: {text}")
    })
}

/// Reads `--tag-specifications`: JSON if it begins like JSON, else shorthand, one specification in each argument.
pub(super) fn tag_specifications(arguments: &[String]) -> Result<Value, String> {
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
