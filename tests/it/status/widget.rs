//! The widget of a CloudWatch dashboard: HTML that shows strangers' words as text, and nothing that a dashboard would remove.

use local::aws::{Image, ImageState, StateReason};
use local::host::Host;
use serde_json::{Value, json};

use super::{DAY, HOUR, asked, copied, copy, copy_id, finished, source, source_id, stage};
use crate::stage::{HERE, Stage, THERE};

/// CloudWatch's call, with these parameters of the widget, this content of its form, and this theme.
pub(super) fn call(parameters: Value, form: Value, theme: &str) -> Value {
    let mut call = parameters.clone();
    call["widgetContext"] = json!({
        "dashboardName": "golden", "widgetId": "widget-1", "accountId": "123456789012", "locale": "en", "theme": theme,
        "forms": { "all": form }, "params": parameters, "width": 588, "height": 369,
    });
    call
}

async fn shown(stage: &Stage, function: &Host, parameters: Value, form: Value) -> String {
    let answer = asked(stage, function, call(parameters, form, "light")).await;
    answer.as_str().expect("HTML is a string").to_owned()
}

#[tokio::test]
async fn cloudwatchs_call_for_a_description_is_answered_with_documentation() {
    let stage = stage().await;
    let function = stage.function().await;
    let mut called_by_a_widget = call(json!({}), json!({}), "dark");
    called_by_a_widget["describe"] = json!(true);
    for question in [json!({ "describe": true }), called_by_a_widget] {
        let answer = asked(&stage, &function, question).await;
        let documentation = answer.as_str().expect("a string of Markdown");
        for part in ["## ami-courier", "### Widget parameters", "**Days**", "**NamePatterns**", "``` yaml"] {
            assert!(documentation.contains(part), "{documentation}");
        }
    }
    assert_eq!(stage.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn the_widget_shows_name_state_links_and_the_age_of_the_data() {
    let stage = stage().await;
    copied(&stage, 1, finished(copy(1)));
    let html = shown(&stage, &stage.function().await, json!({}), json!({})).await;
    let source =
        format!("https://console.aws.amazon.com/ec2/home?region={THERE}#ImageDetails:imageId={}", source_id(1));
    let copy = format!("https://console.aws.amazon.com/ec2/home?region={HERE}#ImageDetails:imageId={}", copy_id(1));
    let parts = [
        "<b>golden-1</b>",
        "</svg> Finished",
        &source,
        &copy,
        "As of <time>2026-01-01 00:00:",
        "<td class=\"age\">2 d</td>",
    ];
    for part in parts {
        assert!(html.contains(part), "{part} is not in {html}");
    }
}

#[tokio::test]
async fn the_widget_has_both_themes() {
    let stage = stage().await;
    let function = stage.function().await;
    for (theme, class) in [("light", "class=\"ami-courier\""), ("dark", "class=\"ami-courier dark\"")] {
        let html = asked(&stage, &function, call(json!({}), json!({}), theme)).await;
        assert!(html.as_str().unwrap().contains(class), "{html}");
    }
}

fn named(name: &str, mut image: Image) -> Image {
    name.clone_into(&mut image.name);
    image
}

/// AMI names of other accounts, and EC2's words about a failure. EC2 does not take such names today.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><cwdb-action action=\"call\" endpoint=\"arn:evil\">{}</cwdb-action>",
    "</td></tr></table><style>*{display:none}</style>",
    "javascript:alert(1)//`${1}`",
    "golden\u{202E}gpj.exe",
];

#[tokio::test]
async fn hostile_names_and_explanations_are_shown_as_text() {
    let stage = stage().await;
    let function = stage.function().await;
    let empty = shown(&stage, &function, json!({}), json!({})).await;
    for (number, hostile) in HOSTILE.iter().enumerate() {
        let mut failed = copy(number).state(ImageState::Failed);
        failed.state_reason = Some(StateReason::new("Client.InternalError", hostile));
        let mut world = stage.aws.world();
        world.add_image(THERE, named(hostile, source(number, 3 * HOUR)));
        world.add_image(HERE, failed);
    }
    // What the viewer types is a stranger's word as well.
    for filter in ["", "<script>alert(1)</script>", "\"onfocus=alert(1) autofocus=\""] {
        let html = shown(&stage, &function, json!({}), json!({ "name": filter })).await;
        for markup in
            ["<script", "<img", "<td></td></tr></table><style", "\u{202E}", "onfocus=alert(1) autofocus=\"\"", "`"]
        {
            assert!(!html.contains(markup), "{markup:?} is in {html}");
        }
        for tag in ["<style", "<cwdb-action", "<form", "<input"] {
            assert_eq!(html.matches(tag).count(), empty.matches(tag).count(), "{tag} in {html}");
        }
        if filter.is_empty() {
            assert_eq!(html.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count(), 2, "{html}");
            assert_eq!(html.matches("golden\u{FFFD}gpj.").count(), 2, "{html}");
        } else {
            assert!(html.contains("the filter &#96;") && html.contains("InvalidParameterValue"), "{html}");
        }
    }
}

#[tokio::test]
async fn a_filter_without_wildcards_is_a_part_of_the_name_and_the_widgets_own_parameters_still_hold() {
    let stage = stage().await;
    {
        let mut world = stage.aws.world();
        for (number, name) in [(1, "golden-web-1"), (2, "golden-db-1"), (3, "silver-web-1"), (4, "golden-web-old")] {
            let age = if number == 4 { 30 * DAY } else { 3 * HOUR };
            world.add_image(THERE, named(name, source(number, age)));
        }
    }
    let function = stage.function().await;
    let golden = json!({ "NamePatterns": ["golden-*"] });
    for (form, listed) in [
        (json!({}), vec!["golden-web-1", "golden-db-1"]),
        (json!({ "name": "  " }), vec!["golden-web-1", "golden-db-1"]),
        (json!({ "name": " web " }), vec!["golden-web-1"]),
        (json!({ "name": "*-1" }), vec!["golden-web-1", "golden-db-1"]),
        (json!({ "name": "web*" }), vec![]),
    ] {
        // A click on the button: the parameters are in `params` alone.
        let mut click = call(golden.clone(), form.clone(), "light");
        click.as_object_mut().unwrap().remove("NamePatterns");
        for question in [call(golden.clone(), form.clone(), "light"), click] {
            let html = asked(&stage, &function, question).await;
            let html = html.as_str().unwrap();
            for name in ["golden-web-1", "golden-db-1", "silver-web-1", "golden-web-old"] {
                assert_eq!(
                    html.contains(&format!("<b>{name}</b>")),
                    listed.contains(&name),
                    "{form}: {name} in {html}"
                );
            }
        }
    }
    let html = shown(&stage, &function, json!({ "Days": 60 }), json!({ "name": "old" })).await;
    assert!(html.contains("<b>golden-web-old</b>") && html.contains("value=\"old\""), "{html}");
    assert!(
        html.contains("endpoint=\"arn:aws:lambda:eu-west-1:123456789012:function:ami-courier\">{}</cwdb-action>"),
        "{html}"
    );
}

#[tokio::test]
async fn a_wrong_parameter_is_explained_in_the_widget_and_is_no_error_of_the_function() {
    let stage = stage().await;
    let function = stage.function().await;
    for (parameters, reason) in [
        (json!({ "Day": 5 }), "a status has no parameter `Day`"),
        (json!({ "Days": "many" }), "`Days` is `many`; it must be a number of days"),
    ] {
        let html = shown(&stage, &function, parameters, json!({})).await;
        let reason = reason.replace('`', "&#96;");
        assert!(html.contains(&reason) && html.contains("role=\"alert\""), "{html}");
    }
    assert_eq!(stage.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn of_many_amis_the_worst_are_shown_and_the_rest_is_counted() {
    let stage = stage().await;
    {
        let mut world = stage.aws.world();
        for number in 1..=500 {
            world.add_image(THERE, source(number, 2 * DAY));
            if number != 123 {
                world.add_image(HERE, finished(copy(number)));
            }
        }
    }
    let html = shown(&stage, &stage.function().await, json!({}), json!({})).await;
    assert_eq!(html.matches("<tr><td").count(), courier_core::widget::MOST_ROWS);
    assert!(html.contains("200 of 500 are shown, the worst first; 300 are not."), "{html}");
    assert!(html.find("<b>golden-123</b>").is_some_and(|place| place < html.find("</svg> Finished</td>").unwrap()));
    assert!(html.contains("<b>499</b> Finished") && html.contains("<b>1</b> Missing"), "{html}");
    assert!(html.len() < 250_000, "{} bytes", html.len());
}

#[tokio::test]
async fn a_failed_look_is_explained_in_the_widget() {
    let stage = stage().await.set("AWS_MAX_ATTEMPTS", "1");
    stage.aws.world().fault(local::aws::Fault::on("DescribeImages").error(403, "UnauthorizedOperation", "<b>no</b>"));
    let html = shown(&stage, &stage.function().await, json!({}), json!({})).await;
    assert!(html.contains("UnauthorizedOperation") && html.contains("&lt;b&gt;no&lt;/b&gt;"), "{html}");
}
