//! The function's status as a table, for one Region or many: the same that the widget of a dashboard shows.

mod deployed;

use std::process::ExitCode;

use clap::Args;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde_json::{Value, json};

use super::options::{self, FunctionOptions, region_that_exists, whole};
use super::output;

/// Where `local serve` listens by default.
const SERVED: &str = "http://127.0.0.1:4566";

/// Ask the function which AMIs are wanted, and what became of their copies, in one Region or in many.
///
/// The AWS is the one of `local serve`, or another that --endpoint-url names; with --stack, the function of a deployed stack answers.
/// Asking changes nothing. The worst comes first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples, beside a running `cargo run -p local -- serve --source us-east-1:ami-5731123e:golden`:
  cargo run -p local -- status --set SOURCE_REGIONS=us-east-1
  cargo run -p local -- status --set SOURCE_REGIONS=us-east-1 --region eu-west-1 --also-in eu-north-1 --also-in ap-south-1
  cargo run -p local -- status --set SOURCE_REGIONS=us-east-1 --days 30 --name 'golden-*' --json
A stack in your account, with the AWS CLI and its credentials:
  cargo run -p local -- status --stack ami-courier --region eu-west-1 --days 30

Exit code: 0 if the function answered in each Region, else 1.")]
pub(super) struct Arguments {
    /// A further Region with a stack; can be repeated.
    #[arg(long, value_name = "REGION", value_parser = region_that_exists)]
    also_in: Vec<String>,

    /// Ask the deployed stack of this name in each of these Regions, through the AWS CLI and with its credentials.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["endpoint_url", "function", "settings"])]
    stack: Option<String>,

    /// List source AMIs up to this age, in days. Without it, the function's settings decide.
    #[arg(long, value_name = "DAYS", value_parser = whole::<u16>)]
    days: Option<u16>,

    /// List AMIs whose name matches this glob; can be repeated.
    #[arg(long = "name", value_name = "GLOB")]
    names: Vec<String>,

    /// Print the answers as JSON, one line for each page of each Region.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    function: FunctionOptions,
}

/// Runs the command.
pub(super) async fn run(arguments: Arguments) -> ExitCode {
    match print(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => output::fail(reason),
    }
}

async fn print(arguments: &Arguments) -> Result<(), String> {
    let mut pages = Vec::new();
    if arguments.stack.is_none() {
        options::reach(arguments.function.endpoint_url.as_deref().unwrap_or(SERVED)).await?;
    }
    for region in std::iter::once(&arguments.function.region).chain(&arguments.also_in) {
        let answered = match &arguments.stack {
            Some(stack) => deployed::ask(stack, region, |token| question(arguments, token)),
            None => ask(arguments, region).await,
        };
        pages.extend(answered.map_err(|reason| format!("{region}: {reason}"))?);
    }
    if arguments.json {
        pages.iter().for_each(output::say);
        return Ok(());
    }
    output::say(table(&pages, output::width()));
    summaries(&pages).iter().for_each(output::say);
    Ok(())
}

fn question(arguments: &Arguments, token: &Value) -> Value {
    let names = (!arguments.names.is_empty()).then_some(&arguments.names);
    json!({ "Status": { "Days": arguments.days, "NamePatterns": names, "NextToken": token } })
}

/// All pages of one Region.
async fn ask(arguments: &Arguments, region: &str) -> Result<Vec<Value>, String> {
    let options = &arguments.function;
    let mut function = options.function()?.endpoint_url(options.endpoint_url.as_deref().unwrap_or(SERVED));
    region.clone_into(&mut function.region);
    let host = function.start().await.map_err(|error| options::why_not_started(&error))?;
    let mut pages = Vec::new();
    let mut token = Value::Null;
    loop {
        let answer = host.invoke(&question(arguments, &token)).await;
        if options.logs {
            host.logs().iter().for_each(|line| eprintln!("{line}"));
        }
        let page = answer.map_err(|error| options::explain(&error, &host.logs()))?;
        token = page["NextToken"].clone();
        pages.push(page);
        if token.is_null() {
            return Ok(pages);
        }
    }
}

/// The least width of each column, with the space around it.
const LEAST: [u16; 6] = [16, 15, 23, 9, 29, 20];

/// All AMIs of all Regions. On a narrow terminal, a block for each.
fn table(pages: &[Value], width: Option<u16>) -> String {
    if let Some(width) = width.filter(|width| *width < output::TABLE) {
        return blocks(pages, width);
    }
    let mut table = Table::new();
    if let Some(width) = width {
        table.set_width(width);
    }
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["Copied to", "State", "AMI", "Age", "Copy", "Explanation"]);
    for Row { region, state, name, source, age, copies, explanation } in rows(pages) {
        table.add_row([region, state, format!("{name}\n{source}"), age, copies, explanation]);
    }
    // Names and explanations are wrapped, and ids and states are not.
    for (number, least) in LEAST.into_iter().enumerate() {
        if let Some(column) = table.column_mut(number) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
    table.to_string()
}

fn blocks(pages: &[Value], width: u16) -> String {
    let blocks = rows(pages).map(|Row { region, state, name, source, age, copies, explanation }| {
        let age = if age.is_empty() { age } else { format!(", {age} old") };
        let fields = [("AMI", format!("{source}{age}")), ("copy", copies), ("explanation", explanation)];
        output::coloured(output::block(&format!("{state}  {name}  to {region}"), &fields, width), &state)
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

/// A row of the table, as text.
struct Row {
    region: String,
    state: String,
    name: String,
    source: String,
    age: String,
    copies: String,
    explanation: String,
}

fn rows(pages: &[Value]) -> impl Iterator<Item = Row> {
    let images = |page: &Value| page["Images"].as_array().cloned().unwrap_or_default();
    pages.iter().flat_map(move |page| images(page).into_iter().map(|image| row(page, &image)))
}

fn row(page: &Value, image: &Value) -> Row {
    let text = |field: &str| shown(image[field].as_str().unwrap_or_default());
    let others = image["OtherImageIds"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let copies: Vec<String> = std::iter::once(text("ImageId"))
        .chain(image["Since"].as_str().map(|since| format!("since {}", shown(since))))
        .chain(others.map(|id| format!("also {}", shown(id))))
        .filter(|line| !line.is_empty())
        .collect();
    Row {
        region: shown(page["Region"].as_str().unwrap_or_default()),
        state: text("State"),
        name: text("Name"),
        source: format!("{} in {}", text("SourceImageId"), text("SourceRegion")),
        age: image["AgeSeconds"].as_i64().map(age).unwrap_or_default(),
        copies: copies.join("\n"),
        explanation: text("Explanation"),
    }
}

/// A line for each Region: how many AMIs are in each state. Then what could not be listed.
fn summaries(pages: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    for page in pages.iter().filter(|page| page["NextToken"].is_null()) {
        let region = page["Region"].as_str().unwrap_or_default();
        let counts = page["Counts"].as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
        let mut counts: Vec<String> = counts.map(|(state, count)| format!("{count} {state}")).collect();
        if counts.is_empty() {
            counts.push("no AMI".to_owned());
        }
        let as_of = page["AsOf"].as_str().unwrap_or_default();
        let days = &page["Days"];
        lines.push(format!("{region}: {}; AMIs up to {days} days old, as of {as_of}", counts.join(", ")));
        for missing in page["NotListed"].as_array().into_iter().flatten() {
            let text = |field: &str| shown(missing[field].as_str().unwrap_or_default());
            lines.push(format!("{region}: the AMIs of {} could not be listed: {}", text("Region"), text("Reason")));
        }
        if page["SourceRegions"].as_array().is_some_and(Vec::is_empty) && page["NotListed"].is_null() {
            lines.push(format!("{region}: SOURCE_REGIONS is not set, so AMIs without a copy are not known"));
        }
    }
    lines
}

/// An age in its largest unit that is at least two.
fn age(seconds: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "min")];
    match UNITS.iter().find(|(unit, _)| seconds >= 2 * unit) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} s"),
    }
}

/// Names are strangers' words: a terminal would obey a control character.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Value {
        json!({
            "Region": "eu-west-1", "AsOf": "2026-01-01T00:00:00Z", "Days": 7, "SourceRegions": ["us-east-1"],
            "Counts": { "Missing": 1, "Finished": 0, "Pending": 1 }, "Total": 2, "Images": [
                { "State": "Missing", "Name": "golden\u{1b}[2J-1", "SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1",
                  "AgeSeconds": 7300, "Explanation": "quiet time" },
                { "State": "Pending", "Name": "golden-2", "SourceImageId": "ami-5731123f", "SourceRegion": "us-east-1",
                  "AgeSeconds": 7100, "ImageId": "ami-0123456789abcdef0", "Since": "2025-12-31T23:00:00Z",
                  "OtherImageIds": ["ami-0123456789abcdef1"] },
            ],
        })
    }

    #[test]
    fn the_table_shows_each_ami_with_state_age_copy_and_explanation() {
        let narrow = table(&[page()], Some(80));
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(narrow.contains("Pending  golden-2  to eu-west-1"), "{narrow}");
        let table = table(&[page()], None);
        for shown in [
            "eu-west-1",
            "Missing",
            "ami-5731123e",
            "2 h",
            "quiet time",
            "Pending",
            "golden-2",
            "118 min",
            "ami-0123456789abcdef0",
            "since 2025-12-31T23:00:00Z",
            "also ami-0123456789abcdef1",
        ] {
            assert!(table.contains(shown), "{shown} is not in\n{table}");
        }
        assert!(!table.contains('\u{1b}') && table.contains("golden\u{FFFD}[2J-1"), "{table}");
    }

    #[test]
    fn the_summary_has_a_line_for_each_region_not_for_each_page() {
        let first = json!({ "Region": "eu-west-1", "NextToken": "t", "Images": [], "Counts": { "Missing": 1 } });
        let mut elsewhere = page();
        elsewhere["Region"] = json!("eu-north-1");
        elsewhere["Counts"] = json!({ "Missing": 0 });
        elsewhere["NotListed"] = json!([{ "Region": "us-west-2", "Reason": "denied" }]);
        let mut without = page();
        without["SourceRegions"] = json!([]);
        let lines = summaries(&[first, page(), elsewhere, without]);
        assert_eq!(
            lines,
            [
                "eu-west-1: 1 Missing, 1 Pending; AMIs up to 7 days old, as of 2026-01-01T00:00:00Z",
                "eu-north-1: no AMI; AMIs up to 7 days old, as of 2026-01-01T00:00:00Z",
                "eu-north-1: the AMIs of us-west-2 could not be listed: denied",
                "eu-west-1: 1 Missing, 1 Pending; AMIs up to 7 days old, as of 2026-01-01T00:00:00Z",
                "eu-west-1: SOURCE_REGIONS is not set, so AMIs without a copy are not known",
            ]
        );
    }
}
