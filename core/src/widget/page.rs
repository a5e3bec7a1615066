//! The page that the widget shows: how many AMIs are in each state, a filter, and a table with the worst first.
//!
//! A state is a shape, a word and a colour, so that nobody needs the colour. The page is limited in rows and bytes, and says how
//! many AMIs it does not show.

use std::fmt;

use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::html::Html;
use crate::announcement::{FILTER, WidgetRequest};
use crate::copy_state::CopyState;
use crate::identity::{ImageId, Region};
use crate::status::{Row, Status};

/// How many AMIs the page shows.
pub const MOST_ROWS: usize = 200;
/// From this length on, the page gets no further rows.
const MOST_BYTES: usize = 200_000;
/// The styles: of both themes, and of each state.
const STYLE: &str = include_str!("style.css");

/// What the page is made of.
pub struct Widget<'a> {
    pub request: &'a WidgetRequest,
    /// The function's own ARN: the filter calls it.
    pub function_arn: &'a str,
    /// The status; or why there is none.
    pub status: Result<&'a Status, String>,
}

impl Widget<'_> {
    pub fn html(&self) -> Html {
        let mut html = Html::default();
        html.markup("<style>").markup(STYLE).markup("</style><div class=\"ami-courier");
        html.markup(if self.request.is_dark { " dark\">" } else { "\">" });
        match &self.status {
            Ok(status) => {
                self.heading(&mut html, status);
                self.filter(&mut html);
                notes(&mut html, status);
                counts(&mut html, status);
                table(&mut html, status);
            }
            Err(reason) => {
                self.filter(&mut html);
                html.markup("<p class=\"note\" role=\"alert\">").text(reason).markup("</p>");
            }
        }
        html.markup("</div>");
        html
    }

    fn heading(&self, html: &mut Html, status: &Status) {
        html.markup("<p class=\"heading\">AMIs up to ").text(status.days).markup(" days old, wanted in <b>");
        html.text(&status.region).markup("</b>");
        if !status.source_regions.is_empty() {
            html.markup(" from ").text(joined(&status.source_regions));
        }
        if !self.request.filter.is_empty() {
            html.markup(", with <q>").text(&self.request.filter).markup("</q> in the name");
        }
        html.markup(". As of <time>").text(Utc(status.as_of)).markup("</time>.</p>");
    }

    /// A field and a button. The button calls the function again, with the content of the field in `widgetContext.forms`.
    fn filter(&self, html: &mut Html) {
        html.markup("<form class=\"filter\"><input type=\"text\" maxlength=\"128\" aria-label=\"Filter by name\" placeholder=\"Part of a name, or a glob\" name=\"");
        html.text(FILTER)
            .markup("\" value=\"")
            .text(&self.request.filter)
            .markup("\"></form><a class=\"btn\">Filter</a>");
        html.markup("<cwdb-action action=\"call\" display=\"widget\" endpoint=\"").text(self.function_arn);
        html.markup("\">{}</cwdb-action>");
    }
}

fn table(html: &mut Html, status: &Status) {
    if status.total == 0 {
        html.markup("<p class=\"empty\">No AMI is wanted here, and no copy needs a look.</p>");
        return;
    }
    html.markup("<table><thead><tr><th>State</th><th>AMI</th><th>Age</th><th>Copy</th></tr></thead><tbody>");
    let mut shown = 0;
    for image in status.images.iter().take(MOST_ROWS) {
        let mut row = Html::default();
        self::row(&mut row, image, &status.region);
        if html.len() + row.len() > MOST_BYTES {
            break;
        }
        html.add(&row);
        shown += 1;
    }
    html.markup("</tbody></table>");
    if shown < status.total {
        html.markup("<p class=\"more\">").text(shown).markup(" of ").text(status.total);
        html.markup(" are shown, the worst first; ")
            .text(status.total - shown)
            .markup(" are not. Filter by name to see others.</p>");
    }
}

/// What the table does not have.
fn notes(html: &mut Html, status: &Status) {
    if status.source_regions.is_empty() && status.not_listed.is_empty() {
        html.markup("<p class=\"note\">SOURCE_REGIONS is not set, so no Region is searched for AMIs without a copy. Only copies are shown.</p>");
    }
    for missing in &status.not_listed {
        html.markup("<p class=\"note\" role=\"alert\">The AMIs of ").text(&missing.region);
        html.markup(" could not be listed: ").text(&missing.reason).markup("</p>");
    }
}

fn counts(html: &mut Html, status: &Status) {
    let present = || status.counts.iter().filter(|(_, count)| **count > 0);
    if present().next().is_none() {
        return;
    }
    html.markup("<div class=\"bar\" aria-hidden=\"true\">");
    for (state, count) in present() {
        html.markup("<i class=\"").markup(class(*state)).markup("\" style=\"flex-grow:").text(count).markup("\"></i>");
    }
    html.markup("</div><ul class=\"counts\">");
    for (state, count) in present() {
        html.markup("<li title=\"").text(state.meaning()).markup("\">");
        mark(html, *state);
        html.markup(" <b>").text(count).markup("</b> ").markup(label(*state)).markup("</li>");
    }
    html.markup("</ul>");
}

fn row(html: &mut Html, row: &Row, region: &Region) {
    html.markup("<tr><td class=\"state\" title=\"").text(row.state.meaning()).markup("\">");
    mark(html, row.state);
    html.markup(" ").markup(label(row.state)).markup("</td><td class=\"name\"><b>").text(&row.name).markup("</b><br>");
    image(html, &row.source.image, &row.source.region);
    html.markup(" <span class=\"weak id\">in ").text(&row.source.region).markup("</span>");
    if let Some(explanation) = &row.explanation {
        html.markup("<br>").text(explanation);
    }
    html.markup("</td><td class=\"age\">");
    if let Some(seconds) = row.age_seconds {
        html.text(Age(seconds));
    }
    html.markup("</td><td class=\"copy\">");
    for (number, copy) in row.copy.iter().chain(&row.other_copies).enumerate() {
        html.markup(if number == 0 { "" } else { "<br>also " });
        image(html, copy, region);
    }
    if let Some(since) = row.since {
        html.markup("<br><span class=\"weak id\">since ").text(Minute(since)).markup("</span>");
    }
    html.markup("</td></tr>");
}

/// An AMI's id, with a link to its page in the console of its Region.
fn image(html: &mut Html, id: &ImageId, region: &Region) {
    let Some(console) = console(region) else {
        html.markup("<span class=\"id\">").text(id).markup("</span>");
        return;
    };
    html.markup("<a class=\"id\" target=\"_blank\" rel=\"noopener\" href=\"https://")
        .markup(console)
        .markup("/ec2/home?region=");
    html.text(region).markup("#ImageDetails:imageId=").text(id).markup("\">").text(id).markup("</a>");
}

/// The host of the console. Of other partitions it is not known here.
fn console(region: &Region) -> Option<&'static str> {
    match region.partition() {
        "aws" => Some("console.aws.amazon.com"),
        "aws-cn" => Some("console.amazonaws.cn"),
        "aws-us-gov" => Some("console.amazonaws-us-gov.com"),
        _ => None,
    }
}

fn label(state: CopyState) -> &'static str {
    match state {
        CopyState::AlreadyCopied => "Copied by others",
        CopyState::OutOfStep => "Out of step",
        other => other.name(),
    }
}

fn class(state: CopyState) -> &'static str {
    match state {
        CopyState::Failed => "failed",
        CopyState::Missing => "missing",
        CopyState::Held => "held",
        CopyState::Unfinished => "unfinished",
        CopyState::OutOfStep => "out-of-step",
        CopyState::Awaited => "awaited",
        CopyState::Pending => "pending",
        CopyState::Retiring => "retiring",
        CopyState::Disabled => "disabled",
        CopyState::AlreadyCopied => "others",
        CopyState::Finished => "finished",
        CopyState::Retired => "retired",
    }
}

/// The shape of a state, in a square of 12.
fn mark(html: &mut Html, state: CopyState) {
    html.markup("<svg class=\"").markup(class(state)).markup("\" viewBox=\"0 0 12 12\" aria-hidden=\"true\">");
    html.markup(match state {
        CopyState::Failed => "<path class=\"l\" d=\"M2 2L10 10M10 2L2 10\"/>",
        CopyState::Missing => "<path d=\"M6 0L12 6L6 12L0 6Z\"/>",
        CopyState::Held => "<path d=\"M1 1H11V11H1Z\"/>",
        CopyState::Unfinished => "<path d=\"M6 1L12 11H0Z\"/>",
        CopyState::OutOfStep => "<path class=\"l\" d=\"M1 4H11M1 8H8\"/>",
        CopyState::Awaited => "<circle class=\"l\" cx=\"6\" cy=\"6\" r=\"4.5\"/>",
        CopyState::Pending => "<circle class=\"l\" cx=\"6\" cy=\"6\" r=\"4.5\"/><path d=\"M6 2A4 4 0 0 1 6 10Z\"/>",
        CopyState::Retiring => "<path class=\"l\" d=\"M6 1V10M2 6L6 10L10 6\"/>",
        CopyState::Disabled => "<path class=\"l\" d=\"M1 1H11V11H1ZM1 11L11 1\"/>",
        CopyState::AlreadyCopied => "<path class=\"l\" d=\"M1 4H8V11H1ZM4 4V1H11V8H8\"/>",
        CopyState::Finished => "<path class=\"l\" d=\"M1 6L5 10L11 2\"/>",
        CopyState::Retired => "<path class=\"l\" d=\"M1 6H11\"/>",
    });
    html.markup("</svg>");
}

fn joined(regions: &[Region]) -> String {
    regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ")
}

/// `2026-01-31 09:30:07 UTC`.
struct Utc(OffsetDateTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
        f.write_str(&self.0.to_offset(UtcOffset::UTC).format(format).map_err(|_| fmt::Error)?)
    }
}

/// `2026-01-31 09:30`, in UTC as the heading.
struct Minute(OffsetDateTime);

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
        f.write_str(&self.0.to_offset(UtcOffset::UTC).format(format).map_err(|_| fmt::Error)?)
    }
}

/// An age in its largest unit that is at least two.
struct Age(i64);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(i64, &str); 3] = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "min")];
        match UNITS.iter().find(|(seconds, _)| self.0 >= 2 * seconds) {
            Some((seconds, unit)) => write!(f, "{} {unit}", self.0 / seconds),
            None => write!(f, "{} s", self.0.max(0)),
        }
    }
}
