//! The answers, as a table for the terminal and as JSON for the issue template "What AWS does".

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::lab::Plan;
use crate::run::{Answered, Verdict};

/// The table (question, expected, seen, verdict), and what each difference means.
pub fn table(answers: &[Answered]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["question", "expected", "seen", "verdict"]);
    for answered in answers {
        let assumption = answered.assumption;
        table.add_row([
            assumption.question,
            assumption.expected,
            &redacted(&answered.seen()),
            answered.verdict().as_str(),
        ]);
    }
    let different = answers.iter().filter(|answered| answered.verdict() == Verdict::Different);
    let meanings = different.map(|answered| {
        format!("\n{}\n  For the courier: {}.\n", answered.assumption.question, answered.assumption.otherwise)
    });
    std::iter::once(format!("{table}\n")).chain(meanings).collect()
}

/// The report to publish. It has no id, account or name in it.
pub fn json(answers: &[Answered], plan: &Plan, date: &str) -> Value {
    let answers: Vec<Value> = answers
        .iter()
        .map(|answered| {
            json!({
                "Name": answered.assumption.name,
                "Question": answered.assumption.question,
                "Expected": answered.assumption.expected,
                "Seen": redacted(&answered.seen()),
                "Verdict": answered.verdict().as_str(),
            })
        })
        .collect();
    json!({
        "Probe": env!("CARGO_PKG_VERSION"),
        "Date": date,
        "Region": plan.region,
        "SourceRegion": plan.source_region,
        "Answers": answers,
    })
}

/// The text without ARNs, which can contain names, and without ids of resources and accounts.
pub fn redacted(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.contains("arn:") { "…".to_owned() } else { without_ids(word) });
    words.collect::<Vec<_>>().join(" ")
}

fn without_ids(text: &str) -> String {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, word) = rest.split_at(start);
        let (word, after) = word.split_at(word.find(|character| !is_part(character)).unwrap_or(word.len()));
        out += before;
        out += if is_id(word) { "…" } else { word };
        rest = after;
    }
    out + rest
}

/// `ami-0123456789abcdef0`, `123456789012`, a UUID.
fn is_id(word: &str) -> bool {
    let hexadecimal = |text: &str| !text.is_empty() && text.chars().all(|it| it.is_ascii_hexdigit());
    let is_account = word.len() == 12 && word.chars().all(|it| it.is_ascii_digit());
    let is_uuid = word.len() == 36 && word.split('-').all(hexadecimal);
    let is_resource = word.rsplit_once('-').is_some_and(|(_, id)| (8..=17).contains(&id.len()) && hexadecimal(id));
    is_account || is_uuid || is_resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_accounts_are_removed_from_a_text() {
        let text =
            "The image id '[ami-0123456789abcdef0]' of 123456789012 (key 12345678-1234-1234-1234-123456789012), 404";
        assert_eq!(redacted("User: arn:aws:iam::123456789012:user/alice is not"), "User: … is not");
        assert_eq!(redacted(text), "The image id '[…]' of … (key …), 404");
        assert_eq!(
            redacted("state deregistered (at once), then InvalidAMIID.NotFound (5 min)"),
            "state deregistered (at once), then InvalidAMIID.NotFound (5 min)"
        );
    }
}
