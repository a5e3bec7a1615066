//! The output after a run: the AMIs of the Regions involved, and the failed messages.

use std::collections::BTreeMap;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde_json::Value;

use super::output;
use crate::aws::{Image, Message, Snapshot};

/// The tag of a finished copy. Only the AMI gets it, not its snapshots.
pub(super) const FINISHED: &str = "ami-courier:finished";

/// The least width of each column, with the space around it. Together they are `output::TABLE`.
const LEAST: [u16; 6] = [16, 23, 11, 23, 18, 24];

/// A table of AMIs, each with its Region. On a narrow terminal, a block for each.
pub(super) fn images(rows: &[(String, Image)], width: Option<u16>) -> String {
    match width {
        Some(width) if width < output::TABLE => blocks(rows, width),
        _ => table(rows, width),
    }
}

fn blocks(rows: &[(String, Image)], width: u16) -> String {
    let blocks = rows.iter().map(|(region, image)| {
        let snapshots = image.snapshots.iter().map(|snapshot| snapshot_and_tags(snapshot, &image.tags));
        let fields = [
            ("name", image.name.clone()),
            ("reason", image.state_reason.as_ref().map(|reason| reason.message.clone()).unwrap_or_default()),
            ("source", if image.source_image_id.is_some() { source(image).replace('\n', " ") } else { String::new() }),
            ("tags", tags(&image.tags)),
            ("snapshots", lines(snapshots)),
        ];
        output::block(&format!("{region}  {}  {}", image.id, image.state), &fields, width)
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn table(rows: &[(String, Image)], width: Option<u16>) -> String {
    let mut table = Table::new();
    if let Some(width) = width {
        table.set_width(width);
    }
    table.load_style(presets::UTF8_FULL).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["Region", "AMI", "State", "Source", "Tags", "Snapshots"]);
    for (region, image) in rows {
        table.add_row([
            region.clone(),
            format!("{}\n{}", image.id, image.name),
            state(image),
            source(image),
            tags(&image.tags),
            lines(image.snapshots.iter().map(|snapshot| snapshot_and_tags(snapshot, &image.tags))),
        ]);
    }
    // Long names and tags are wrapped, and ids and states are not.
    for (number, least) in LEAST.into_iter().enumerate() {
        if let Some(column) = table.column_mut(number) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
    table.to_string()
}

fn state(image: &Image) -> String {
    match &image.state_reason {
        Some(reason) => format!("{}\n{}", image.state, reason.message),
        None => image.state.to_string(),
    }
}

fn source(image: &Image) -> String {
    match (&image.source_image_region, &image.source_image_id) {
        (Some(region), Some(id)) => format!("{region}\n{id}"),
        _ => "-".to_owned(),
    }
}

fn tags(tags: &BTreeMap<String, String>) -> String {
    if tags.is_empty() { "none".to_owned() } else { lines(tags.iter().map(|(key, value)| format!("{key}={value}"))) }
}

/// A snapshot: whether it is encrypted, and its tags compared with the AMI's.
fn snapshot_and_tags(snapshot: &Snapshot, of_image: &BTreeMap<String, String>) -> String {
    let encrypted = if snapshot.encrypted { ", encrypted" } else { "" };
    let lacks = |key: &str| key != FINISHED && !snapshot.tags.contains_key(key);
    let tags = match &snapshot.tags {
        tags if tags.is_empty() => "no tags".to_owned(),
        tags if tags.iter().all(|tag| of_image.get(tag.0) == Some(tag.1)) && !of_image.keys().any(|key| lacks(key)) => {
            "the AMI's tags".to_owned()
        }
        tags => self::tags(tags),
    };
    let message = snapshot.state_message.as_ref().map(|message| format!("\n{message}")).unwrap_or_default();
    format!("{}{encrypted}\n{tags}{message}", snapshot.id)
}

fn lines(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join("\n")
}

/// The ids of the messages that an SQS batch's answer reports as failed; empty for any other answer.
pub(super) fn failed_messages(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().into_iter().flatten();
    failures.filter_map(|failure| failure["itemIdentifier"].as_str()).collect()
}

/// One line about the failed messages of a batch, if there are any.
pub(super) fn batch_failures(event: &Value, answer: &Value) -> Option<String> {
    let failed = failed_messages(answer);
    let sent = event["Records"].as_array().map_or(0, Vec::len);
    (!failed.is_empty()).then(|| {
        format!("{} of {sent} messages failed and would be delivered again: {}", failed.len(), failed.join(", "))
    })
}

/// A message in the dead-letter queue: first the reasons, then its body.
pub(super) fn dead_letter(message: &Message) -> String {
    let reasons = message
        .attributes
        .iter()
        .filter_map(|(name, attribute)| Some(format!("  {name}: {}", attribute.string_value.as_deref()?)));
    let heading = "In the dead-letter queue:".to_owned();
    let lines: Vec<_> = std::iter::once(heading).chain(reasons).chain([format!("  {}", message.body)]).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::{Attribute, Queue, World};

    fn copy() -> Image {
        Image::new("ami-0123456789abcdef0", "golden-2026-01")
            .tag("team", "platform")
            .copy_of("ami-0aaaaaaaaaaaaaaaa", "us-east-1")
    }

    #[test]
    fn the_table_shows_region_id_name_state_source_and_tags() {
        for width in [None, Some(80), Some(160)] {
            let table = images(&[("eu-west-1".to_owned(), copy())], width);
            let widest = table.lines().map(|line| line.chars().count()).max();
            assert!(width.is_none() || widest <= width.map(usize::from), "{table}");
            for shown in [
                "eu-west-1",
                "ami-0123456789abcdef0",
                "golden-2026-01",
                "available",
                "us-east-1",
                "ami-0aaaaaaaaaaaaaaaa",
                "team=platform",
            ] {
                assert!(table.contains(shown), "{shown} is not in\n{table}");
            }
        }
    }

    #[test]
    fn eighty_columns_show_whole_ids_states_and_tags() {
        let mut copy = copy();
        copy.name = "n".repeat(128);
        copy.tags.insert("ami-courier:source-image".to_owned(), "ami-0aaaaaaaaaaaaaaaa".to_owned());
        let shown = images(&[("ap-southeast-2".to_owned(), copy.clone()), ("us-east-1".to_owned(), copy)], Some(80));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(shown.lines().count() < 30, "{shown}");
        assert!(shown.contains("ap-southeast-2  ami-0123456789abcdef0  available"), "{shown}");
        assert!(shown.contains("ami-courier:source-image=ami-0aaaaaaaaaaaaaaaa"), "{shown}");
    }

    #[test]
    fn the_table_shows_whether_the_snapshots_have_the_tags() {
        let untagged = copy();
        let mut tagged = copy();
        tagged.snapshots[0].tags.clone_from(&tagged.tags);
        let mut finished = tagged.clone();
        finished.tags.insert(FINISHED.to_owned(), "2026-01-01T00:20:00Z".to_owned());
        let mut other = copy();
        other.snapshots[0].tags = BTreeMap::from([("only".to_owned(), "here".to_owned())]);
        for (image, expected) in
            [(untagged, "no tags"), (tagged, "the AMI's tags"), (finished, "the AMI's tags"), (other, "only=here")]
        {
            let table = images(&[("eu-west-1".to_owned(), image)], None);
            assert!(table.contains(expected), "{expected} is not in\n{table}");
        }
    }

    #[test]
    fn a_partial_failure_is_counted_and_named() {
        let event = json!({"Records": [{"messageId": "m1"}, {"messageId": "m2"}]});
        let answer = json!({"batchItemFailures": [{"itemIdentifier": "m2"}]});
        assert_eq!(
            batch_failures(&event, &answer).as_deref(),
            Some("1 of 2 messages failed and would be delivered again: m2")
        );
        assert_eq!(batch_failures(&event, &json!({"batchItemFailures": []})), None);
        assert_eq!(batch_failures(&event, &Value::Null), None);
    }

    #[test]
    fn a_dead_letter_shows_its_reason_and_its_body() {
        let mut world = World::default();
        let url = world.add_queue("eu-west-1", "dead", Queue::default());
        world.send(&url, "not a known message");
        let mut message = world.messages(&url).remove(0);
        message.attributes.insert("Reason".to_owned(), Attribute::text("no such announcement"));
        let shown = dead_letter(&message);
        assert_eq!(shown, "In the dead-letter queue:\n  Reason: no such announcement\n  not a known message");
    }
}
