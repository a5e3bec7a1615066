use courier_core::announcement::{Question, WidgetRequest};
use courier_core::widget::{DOCUMENTATION, Html};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::status::question;

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
