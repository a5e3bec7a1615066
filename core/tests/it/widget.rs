//! The widget of a dashboard: what its page says, and that nobody's text becomes markup.

use courier_core::announcement::{Question, WidgetRequest};
use courier_core::copy_state::CopyState;
use courier_core::identity::{Identity, ImageId};
use courier_core::settings::Settings;
use courier_core::status::{NotListed, Row, Status};
use courier_core::widget::{DOCUMENTATION, Html, MOST_ROWS, Widget};
use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;

use crate::status::{asked, question};

#[allow(clippy::needless_pass_by_value, reason = "`json!(…)` is handed over where it is written")]
fn widget(payload: Value) -> WidgetRequest {
    match question(&payload) {
        Ok(Some(Question::Widget(request))) => *request,
        other => panic!("{payload}: {other:?}"),
    }
}

proptest! {
    #[test]
    fn whatever_the_text_is_it_stays_text(text in any::<String>()) {
        let mut html = Html::default();
        html.text(&text);
        let html = html.into_string();
        let has_markup = html.contains(['<', '>', '"', '\'', '`', '\u{202E}']);
        prop_assert!(!has_markup, "{}", html);
        prop_assert!(!html.chars().any(char::is_control), "{}", html);
        // An ampersand begins one of the references that the writer makes, and nothing else.
        for reference in html.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;", "#39;", "#96;"];
            prop_assert!(known.iter().any(|known| reference.starts_with(known)), "{}", html);
        }
        let read = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&#96;", "`").replace("&amp;", "&");
        let plain = |c: char| !c.is_control() && c != '\u{FFFD}' && c != ' ';
        let kept: String = text.chars().filter(|c| plain(*c)).collect();
        let kept_in_html: String = read.chars().filter(|c| plain(*c)).collect();
        prop_assert!(kept_in_html.chars().all(|c| kept.contains(c)));
    }

    #[test]
    fn any_call_of_a_dashboard_is_answered(theme in "\\PC{0,9}", filter in "\\PC{0,40}", extra in "\\PC{1,9}") {
        let request = widget(json!({ "widgetContext": { "theme": theme, "forms": { "all": { "name": filter } }, "params": { extra: 1 } } }));
        prop_assert!(request.status.is_err() || request.filter.is_empty());
    }
}

#[test]
fn what_the_dashboard_does_not_send_has_a_default() {
    for context in
        [json!({}), json!({ "forms": null, "params": [], "theme": 5 }), json!({ "forms": { "all": { "name": 5 } } })]
    {
        let request = widget(json!({ "widgetContext": context }));
        assert_eq!((request.is_dark, request.filter.as_str()), (false, ""));
        assert_eq!(request.status.unwrap().days, None);
    }
}

#[test]
fn a_parameter_of_the_call_wins_over_the_widgets_own() {
    let request = widget(json!({ "Days": 5, "widgetContext": { "params": { "Days": 30, "NamePatterns": ["a*"] } } }));
    let status = request.status.unwrap();
    assert_eq!((status.days, status.name_patterns.len()), (Some(5), 1));
}

#[test]
fn the_documentation_names_each_parameter_that_the_widget_takes() {
    let context = |parameters: Value| widget(json!({ "widgetContext": { "params": parameters } })).status;
    for (parameter, value) in [("Days", json!(3)), ("NamePatterns", json!(["golden-*"]))] {
        assert!(DOCUMENTATION.contains(&format!("**{parameter}**")));
        assert!(context(json!({ parameter: value })).is_ok());
    }
}

fn id(number: usize) -> ImageId {
    format!("ami-{number:08}").parse().unwrap()
}

fn row(number: usize, state: CopyState) -> Row {
    Row {
        state,
        name: format!("golden-{number}"),
        source: Identity { region: "us-east-1".parse().unwrap(), image: id(number) },
        created: Some(datetime!(2026-03-09 12:00 UTC)),
        age_seconds: Some(24 * 60 * 60),
        copy: Some(id(1000 + number)),
        since: None,
        explanation: None,
        parameter: None,
        other_copies: Vec::new(),
    }
}

/// The status of a stack in `region` that copies from us-east-1.
fn status(region: &str, rows: Vec<Row>, not_listed: Vec<NotListed>) -> Status {
    let settings = Settings::read(|name| (name == "AWS_REGION").then(|| region.to_owned())).unwrap();
    let now = datetime!(2026-03-10 12:00:07 UTC);
    Status::page(&asked(json!({})), rows, &settings, now, (vec!["us-east-1".parse().unwrap()], not_listed))
}

fn page(status: &Status) -> String {
    let request = widget(json!({ "widgetContext": {} }));
    Widget { request: &request, function_arn: "arn:aws:lambda:x", status: Ok(status) }.html().into_string()
}

/// The page with this one row.
fn page_of(row: Row) -> String {
    page(&status("eu-west-1", vec![row], Vec::new()))
}

#[test]
fn the_page_says_which_regions_it_does_not_show() {
    const UNSET: &str = "SOURCE_REGIONS is not set";
    let complete = status("eu-west-1", vec![row(1, CopyState::Finished)], Vec::new());
    assert!(!page(&complete).contains(UNSET) && !page(&complete).contains("role=\"alert\""));
    let not_listed =
        NotListed { region: "us-west-2".parse().unwrap(), reason: "UnauthorizedOperation: <no>".to_owned() };
    let lacking = Status { not_listed: vec![not_listed], ..complete.clone() };
    let note = "role=\"alert\">The AMIs of us-west-2 could not be listed: UnauthorizedOperation: &lt;no&gt;</p>";
    assert!(page(&lacking).contains(note), "{}", page(&lacking));
    let none_listed = Status { source_regions: Vec::new(), ..lacking };
    assert!(page(&none_listed).contains(note) && !page(&none_listed).contains(UNSET), "SOURCE_REGIONS is set");
    let without_regions = Status { source_regions: Vec::new(), ..complete };
    assert!(page(&without_regions).contains(UNSET));
}

#[test]
fn the_counts_show_each_state_that_an_ami_is_in_and_no_other() {
    let rows = vec![row(1, CopyState::Failed), row(2, CopyState::AlreadyCopied), row(3, CopyState::AlreadyCopied)];
    let html = page(&status("eu-west-1", rows, Vec::new()));
    let counts = html.split_once("<ul class=\"counts\">").unwrap().1.split_once("</ul>").unwrap().0;
    assert_eq!(counts.matches("<li").count(), 2, "{counts}");
    assert!(counts.contains("<b>1</b> Failed") && counts.contains("<b>2</b> Copied by others"), "{counts}");
    assert!(html.contains("<i class=\"failed\" style=\"flex-grow:1\">"), "{html}");
    let empty = page(&status("eu-west-1", Vec::new(), Vec::new()));
    assert!(!empty.contains("class=\"counts\"") && !empty.contains("<table>"), "{empty}");
    assert!(empty.contains("No AMI is wanted here, and no copy needs a look."), "{empty}");
}

#[test]
fn each_state_has_its_own_word_shape_and_colour() {
    let shown: Vec<String> = CopyState::ALL.map(|state| page_of(row(1, state))).to_vec();
    let cell =
        |html: &String| html.split_once("<td class=\"state\"").unwrap().1.split_once("</td>").unwrap().0.to_owned();
    for (state, html) in CopyState::ALL.into_iter().zip(&shown) {
        let word = match state {
            CopyState::AlreadyCopied => "Copied by others",
            CopyState::OutOfStep => "Out of step",
            _ => state.name(),
        };
        let cell = cell(html);
        assert!(cell.starts_with(&format!(" title=\"{}\">", state.meaning())), "{cell}");
        assert!(cell.ends_with(&format!("</svg> {word}")), "{cell}");
    }
    for part in ["<path", "<circle", "class=\""] {
        assert!(shown.iter().any(|html| cell(html).contains(part)), "{part}");
    }
    let marks: std::collections::BTreeSet<String> = shown
        .iter()
        .map(|html| cell(html).split_once("<svg").unwrap().1.split_once("</svg>").unwrap().0.to_owned())
        .collect();
    assert_eq!(marks.len(), CopyState::ALL.len(), "two states look alike");
    let styles = include_str!("../../src/widget/style.css");
    for mark in marks {
        let class = mark.split('"').nth(1).unwrap();
        assert!(styles.contains(&format!(".{class}")), "no style for {class}");
    }
}

#[test]
fn other_copies_follow_the_copy_that_counts() {
    let two = Row { other_copies: vec![id(7), id(8)], ..row(1, CopyState::Finished) };
    let html = page_of(two);
    let cell = html.split_once("<td class=\"copy\">").unwrap().1.split_once("</td>").unwrap().0;
    let shown: Vec<&str> = cell.split("<br>also ").collect();
    assert_eq!(shown.len(), 3, "{cell}");
    for (shown, number) in shown.iter().zip([1001, 7, 8]) {
        assert!(shown.starts_with("<a ") && shown.ends_with(&format!(">{}</a>", id(number))), "{shown}");
    }
    assert!(!page_of(row(1, CopyState::Finished)).contains("also"));
}

#[test]
fn a_link_leads_to_the_console_of_the_amis_own_region_and_partition() {
    for (region, source, host) in [
        ("eu-west-1", "us-east-1", "console.aws.amazon.com"),
        ("cn-north-1", "cn-northwest-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-east-1", "console.amazonaws-us-gov.com"),
    ] {
        let ami = Identity { region: source.parse().unwrap(), image: id(1) };
        let html = page(&status(region, vec![Row { source: ami, ..row(1, CopyState::Finished) }], Vec::new()));
        for (region, id) in [(source, id(1)), (region, id(1001))] {
            let link = format!("href=\"https://{host}/ec2/home?region={region}#ImageDetails:imageId={id}\">{id}</a>");
            assert!(html.contains(&link), "{link} is not in {html}");
        }
    }
    // Where the console of a partition is not known, there is no link.
    let elsewhere = page(&status("us-iso-east-1", vec![row(1, CopyState::Finished)], Vec::new()));
    assert!(elsewhere.contains(&format!("<span class=\"id\">{}</span>", id(1001))), "{elsewhere}");
}

#[test]
fn an_age_is_shown_in_its_largest_unit_of_which_there_are_two() {
    for (seconds, shown) in [
        (-5, "0 s"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
        (864_000, "10 d"),
    ] {
        let html = page_of(Row { age_seconds: Some(seconds), ..row(1, CopyState::Finished) });
        assert!(html.contains(&format!("<td class=\"age\">{shown}</td>")), "{seconds} seconds: {html}");
    }
    let unknown = page_of(Row { age_seconds: None, ..row(1, CopyState::Finished) });
    assert!(unknown.contains("<td class=\"age\"></td>"), "{unknown}");
}

#[test]
fn a_row_says_why_and_since_when() {
    let since = datetime!(2026-01-31 23:30:59 -1);
    let row = Row { since: Some(since), explanation: Some("a <reason>".to_owned()), ..row(1, CopyState::Held) };
    let html = page_of(row);
    assert!(html.contains("<br>a &lt;reason&gt;</td>") && html.contains("since 2026-02-01 00:30</span>"), "{html}");
}

#[test]
fn the_heading_says_what_is_listed_and_when() {
    let html = page(&status("eu-west-1", Vec::new(), Vec::new()));
    let heading =
        "AMIs up to 7 days old, wanted in <b>eu-west-1</b> from us-east-1. As of <time>2026-03-10 12:00:07 UTC</time>.";
    assert!(html.contains(heading), "{html}");
    let mut status = status("eu-west-1", Vec::new(), Vec::new());
    status.source_regions.push("us-west-2".parse().unwrap());
    assert!(page(&status).contains(" from us-east-1, us-west-2. As of"));
    status.source_regions.clear();
    assert!(page(&status).contains("wanted in <b>eu-west-1</b>. As of"));
    let request = widget(json!({ "widgetContext": { "forms": { "all": { "name": "web" } } } }));
    let filtered = Widget { request: &request, function_arn: "arn:x", status: Ok(&status) }.html().into_string();
    assert!(filtered.contains("</b>, with <q>web</q> in the name. As of"), "{filtered}");
    assert!(filtered.contains("name=\"name\" value=\"web\">"), "{filtered}");
    assert!(filtered.contains("endpoint=\"arn:x\">{}</cwdb-action>"), "{filtered}");
}

#[test]
fn a_status_that_failed_leaves_the_filter_and_the_reason() {
    let request = widget(json!({ "widgetContext": { "theme": "dark" } }));
    let html = Widget { request: &request, function_arn: "arn:x", status: Err("a <reason>".to_owned()) }.html();
    assert!(!html.is_empty() && Html::default().is_empty());
    let html = html.into_string();
    assert!(html.contains("role=\"alert\">a &lt;reason&gt;</p>") && html.contains("<form"), "{html}");
    assert!(html.contains("<div class=\"ami-courier dark\">") && !html.contains("<table>"), "{html}");
    assert!(page(&status("eu-west-1", Vec::new(), Vec::new())).contains("<div class=\"ami-courier\">"));
}

#[test]
fn the_page_is_limited_in_rows_and_bytes_and_says_how_many_are_left_out() {
    let many = |rows: usize, explanation: usize| -> String {
        let row = |number| Row { explanation: Some("x".repeat(explanation)), ..row(number, CopyState::Finished) };
        page(&status("eu-west-1", (1..=rows).map(row).collect(), Vec::new()))
    };
    let shown = |html: &str| html.matches("<tr><td").count();
    let all = many(MOST_ROWS, 0);
    assert!(shown(&all) == MOST_ROWS && !all.contains("are shown"), "{all}");
    let one_more = many(MOST_ROWS + 1, 0);
    assert!(one_more.contains("200 of 201 are shown, the worst first; 1 are not."), "{one_more}");
    let long = many(60, 10_000);
    assert!((15..20).contains(&shown(&long)), "{}", shown(&long));
    assert!((180_000..210_000).contains(&long.len()), "{}", long.len());
    let left_out = 60 - shown(&long);
    assert!(long.contains(&format!("{} of 60 are shown, the worst first; {left_out} are not.", shown(&long))));
}

#[test]
fn what_nobody_sees_or_what_turns_the_text_around_is_shown_as_such() {
    let shown = |text: &str| {
        let mut html = Html::default();
        html.text(text);
        html.into_string()
    };
    assert_eq!(shown("a\u{202E}b\u{0}c\u{200B}\td"), "a\u{FFFD}b\u{FFFD}c\u{FFFD} d");
}

#[test]
fn a_filter_without_wildcards_is_a_part_of_a_name() {
    let has = |filter: &str, name: &str| {
        let context = json!({ "forms": { "all": { "name": filter } } });
        widget(json!({ "widgetContext": context })).status.unwrap().has_name(name)
    };
    assert!(has("web", "golden-web-1") && !has("web", "golden-db-1"));
    assert!(has("golden-*", "golden-web-1") && !has("web-*", "golden-web-1"));
    assert!(has("", "anything"));
}
