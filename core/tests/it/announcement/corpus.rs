//! The files in `events/`, and what `tests/events.json` says of each: how it is read, and (for the function's own tests)
//! what the function answers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use courier_core::announcement::{AnnouncedBy, Announcement, OwnMessage, Pointer, Question, TagChange, Why};
use courier_core::error::Error;
use courier_core::identity::{Identity, Stack};

/// The stack that the files are meant for.
pub(super) fn stack() -> Stack {
    Stack { region: "eu-west-1".parse().unwrap(), account: "123456789012".parse().ok() }
}

/// The files, by name without `.json`.
pub(super) fn files() -> BTreeMap<String, Value> {
    let paths = fs::read_dir(in_repository("events")).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths.map(name).map(|name| (name.clone(), file(&name))).collect()
}

/// One of them.
pub(super) fn file(name: &str) -> Value {
    let path = in_repository("events").join(name).with_extension("json");
    serde_json::from_str(&text(&path)).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// What a file leads to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// How it is read, in a line for each announcement; an SQS batch record by record.
    pub(super) reads: Vec<String>,
    /// What the function makes of it. The function's own tests check this.
    ends: Value,
}

/// The table, by file.
pub(super) fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_str(&text(&table())).unwrap_or_else(|why| panic!("tests/events.json: {why}"))
}

fn table() -> PathBuf {
    in_repository("tests").join("events.json")
}

fn in_repository(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

#[test]
fn the_table_is_sorted_and_has_each_file_once() {
    let as_it_should_be = serde_json::to_string_pretty(&expected()).unwrap() + "\n";
    assert!(text(&table()) == as_it_should_be, "tests/events.json should be\n{as_it_should_be}");
}

/// An answer, in a line for each announcement.
pub(super) fn lines(answer: &Result<Vec<Announcement>, Error>) -> Vec<String> {
    match answer {
        Ok(announcements) => announcements.iter().map(line).collect(),
        Err(Error { code, message, .. }) => vec![format!("{code}: {message}")],
    }
}

fn line(announcement: &Announcement) -> String {
    let identities = |amis: &[Identity]| amis.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match announcement {
        Announcement::Built { ami: Pointer::Images(amis), announced_by } => {
            format!("{announced_by:?}: {}", identities(amis))
        }
        Announcement::Built { ami: Pointer::ImageBuilder { region, arn }, announced_by } => {
            format!("{announced_by:?}: tagged {arn} in {region}")
        }
        Announcement::Built { ami: Pointer::Parameter { region, name }, announced_by } => {
            format!("{announced_by:?}: in parameter {name} in {region}")
        }
        Announcement::StateChanged { ami, state, error_message, announced_by } => {
            let by = if *announced_by == AnnouncedBy::Ec2 { String::new() } else { format!("{announced_by:?}: ") };
            format!("{by}{state:?} {ami} {error_message}").trim_end().to_owned()
        }
        Announcement::TagsChanged { ami, changed, announced_by } => {
            let changed = changed.iter().map(|TagChange { key, value }| {
                value.as_ref().map_or_else(|| format!("{key} removed"), |value| format!("{key}={value}"))
            });
            format!("{announced_by:?}: tags of {ami}: {}", changed.collect::<Vec<_>>().join(", "))
        }
        Announcement::Request(request) => format!("Request {} as {}", request.source, request.name),
        Announcement::Own { message, .. } => own_line(message),
        Announcement::Sweep => "Sweep".to_owned(),
        Announcement::Question(Question::Status(Ok(_))) => "Question: status".to_owned(),
        Announcement::Question(Question::Status(Err(wrong))) => format!("Question: {}", wrong.message),
        Announcement::Question(Question::Documentation) => "Question: documentation of the widget".to_owned(),
        Announcement::Question(Question::Widget(_)) => "Question: widget".to_owned(),
        Announcement::Nothing { ami: None, reason } => format!("Nothing: {reason}"),
        Announcement::Nothing { ami: Some(ami), reason } => format!("Nothing of {ami}: {reason}"),
    }
}

fn own_line(message: &OwnMessage) -> String {
    match message {
        OwnMessage::Missed { source } => format!("Missed {source}"),
        OwnMessage::Unfinished { copy } => format!("Unfinished {copy}"),
        OwnMessage::SourceGone { copy } => format!("SourceGone {copy}"),
        OwnMessage::SourceBack { copy } => format!("SourceBack {copy}"),
        OwnMessage::Elect { name } => format!("Elect {name}"),
        OwnMessage::NextTry { source, next, request: None } => format!("NextTry {next} of {source}"),
        OwnMessage::NextTry { source, next, request: Some(request) } => {
            format!("NextTry {next} of {source} as {}", request.name)
        }
        OwnMessage::SecondLook { source, resume, accepted, why } => {
            let why = match why {
                Why::Announced(announced_by) => format!("{announced_by:?}"),
                Why::Requested(request) => format!("Request as {}", request.name),
            };
            let accepted = accepted.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            format!("SecondLook at {source}, then try {resume}, after {accepted}: {why}")
        }
    }
}
