//! How commands write to the terminal and end.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use comfy_table::Table;

/// Prints a line to stdout. A reader that has gone (`| head`) is no error.
pub(super) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// How wide the output may be: as COLUMNS says, else as the terminal is. `None` for a file or a pipe.
pub(super) fn width() -> Option<u16> {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    said.or_else(|| Table::new().width())
}

/// The narrowest terminal that a table of AMIs fits on. On a narrower one, each AMI is a block.
pub(super) const TABLE: u16 = 122;

/// A block: a heading, and a line for each field. Its lines have at most `width` columns, but for words that are longer.
pub(super) fn block(heading: &str, fields: &[(&str, String)], width: u16) -> String {
    const NAMES: usize = 13;
    let room = usize::from(width).saturating_sub(NAMES + 2).max(20);
    let mut lines = wrapped(heading, usize::from(width));
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let mut name = *name;
        for line in value.lines().flat_map(|line| wrapped(line, room)) {
            lines.push(format!("  {name:<NAMES$}{line}"));
            name = "";
        }
    }
    lines.join("\n")
}

/// A line in lines of at most `width` characters, between words where there are some.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let mut word = word;
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() <= width {
            if let Some(line) = lines.last_mut() {
                line.push(' ');
                line.push_str(word);
            }
            continue;
        }
        if last > 0 {
            lines.push(String::new());
        }
        while let Some((end, _)) = word.char_indices().nth(width) {
            if let Some(line) = lines.last_mut() {
                line.push_str(&word[..end]);
            }
            lines.push(String::new());
            word = &word[end..];
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    lines
}

/// A line about an outcome, in its colour where stdout is a terminal that has colours. <https://no-color.org>
pub(super) fn coloured(line: String, outcome: &str) -> String {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
        || !std::io::stdout().is_terminal();
    match colour(outcome).filter(|_| !is_plain) {
        Some(colour) => format!("\u{1b}[{colour}m{line}\u{1b}[0m"),
        None => line,
    }
}

fn colour(outcome: &str) -> Option<u8> {
    const RED: u8 = 31;
    const GREEN: u8 = 32;
    const YELLOW: u8 = 33;
    match outcome.split([' ', ':']).next().unwrap_or_default() {
        "Rejected" | "Failed" | "error" => Some(RED),
        "Started" | "Finished" | "Updated" | "Retired" | "AlreadyCopied" | "DryRun" => Some(GREEN),
        "Ignored" | "Missing" | "Held" | "Unfinished" => Some(YELLOW),
        _ => None,
    }
}

/// Prints to stderr why the command ends. Exit code 1.
pub(super) fn fail(reason: impl std::fmt::Display) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_stays_within_its_columns() {
        let long = "the KMS key is not in the copy's Region, or the function's role may not use it";
        let fields =
            [("tags", format!("a=b\n{}", "x".repeat(100))), ("explanation", long.to_owned()), ("none", String::new())];
        let shown = block("eu-west-1  ami-0123456789abcdef0", &fields, 60);
        assert!(shown.lines().all(|line| line.chars().count() <= 60), "{shown}");
        assert!(
            shown.starts_with("eu-west-1  ami-0123456789abcdef0\n  tags         a=b\n               xxx"),
            "{shown}"
        );
        assert!(!shown.contains("none"), "{shown}");
        assert_eq!(shown.replace(['\n', ' '], "").matches(&long.replace(' ', "")).count(), 1, "{shown}");
    }

    #[test]
    fn an_outcome_has_a_colour_and_other_text_has_none() {
        assert_eq!((colour("Rejected CopyFailed"), colour("Finished ami-1")), (Some(31), Some(32)));
        assert_eq!((colour("acknowledged"), colour("")), (None, None));
        // The tests' output is no terminal.
        assert_eq!(coloured("line".to_owned(), "Finished"), "line");
    }
}
