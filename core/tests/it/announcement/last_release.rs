//! An update of the stack finds messages of the last release in its queues: of its rules, of its users, and its dead letters.

use std::fs;
use std::path::Path;

use courier_core::announcement::read_text;
use serde::Deserialize;

use super::corpus::{lines, stack};

/// `tests/release/last/messages.json`: recorded from the last release.
#[derive(Deserialize)]
struct Recorded {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    from: String,
    body: String,
    /// As the last release read it.
    reads: Vec<String>,
}

#[test]
fn a_message_in_the_queues_of_the_last_release_is_read_as_that_release_read_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/release/last/messages.json");
    let recorded: Recorded = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(!recorded.messages.is_empty());
    for Message { from, body, reads } in recorded.messages {
        let now = lines(&read_text(&body, &stack()));
        assert_eq!(
            now.iter().map(meaning).collect::<Vec<_>>(),
            reads.iter().map(meaning).collect::<Vec<_>>(),
            "{from}"
        );
    }
}

/// The words of a reason may change.
fn meaning(line: &String) -> &str {
    if line.starts_with("Nothing") { "Nothing" } else { line }
}
