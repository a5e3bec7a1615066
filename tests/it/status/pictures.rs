//! The pages of which `docs/` has screenshots: the widget's HTML of 0, 5 and 500 AMIs, in both themes, in a frame like a
//! dashboard's.
//!
//! The test writes them into `target/widget/`, and `tests/screenshots.sh` takes the pictures.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use local::aws::{Image, ImageState, START, StateReason};
use serde_json::json;

use super::widget::call;
use super::{DAY, HOUR, MINUTE, asked, copied, copy, finished, source, source_id, stage};
use crate::stage::{HERE, Stage, THERE};

/// What CloudWatch's dashboards have around a widget, as far as it changes the picture.
const FRAME: [(&str, &str, &str); 2] = [("light", "#ffffff", "#16191f"), ("dark", "#161d26", "#e6eaee")];

fn five(stage: &Stage) {
    let mut failed = copy(1).state(ImageState::Failed);
    failed.state_reason =
        Some(StateReason::new("Client.InternalError", "The KMS key of the source snapshot is not accessible"));
    copied(stage, 1, failed);
    copied(stage, 2, copy(2).state(ImageState::Pending).created(START - 25 * MINUTE));
    copied(stage, 3, finished(copy(3)));
    let mut behind = finished(copy(4)).tag("ami-courier:stack", "ami-courier");
    behind = behind.tag("ami-courier:source-created", "2025-12-29T22:00:00Z");
    behind.description = Some(format!("Copied from {} in {THERE}", source_id(4)));
    copied(stage, 4, behind);
    for (key, value) in [("Release", "7"), ("Channel", "beta")] {
        stage.aws.world().image_mut(THERE, &source_id(4)).unwrap().tags.insert(key.to_owned(), value.to_owned());
    }
    stage.aws.world().add_image(THERE, source(5, 23 * HOUR + 10 * MINUTE));
}

fn five_hundred(stage: &Stage) {
    five(stage);
    {
        let mut world = stage.aws.world();
        let marked = |number: usize, since: &str| finished(copy(number)).tag("ami-courier:source-gone-since", since);
        world.add_image(HERE, marked(6, "2025-12-01T00:00:00Z"));
        world.add_image(HERE, marked(7, "2025-12-30T00:00:00Z"));
        let retired = finished(copy(8)).state(ImageState::Disabled);
        world.add_image(HERE, retired.tag("ami-courier:disabled-with-source", "2025-12-31T00:00:00Z"));
        world.add_image(THERE, source(9, 20 * MINUTE));
        let by_hand =
            Image::new(format!("ami-{:017x}", 0xc00a), "by-hand").copy_of(&format!("ami-{:017x}", 0xa00a), THERE);
        world.add_image(THERE, source(10, 30 * HOUR));
        world.add_image(HERE, by_hand);
        let mut long = source(11, 3 * DAY);
        long.name = format!("golden-web-al2023-x86_64-hardened-{}", "with-a-very-long-name-".repeat(4));
        world.add_image(THERE, long);
        world.add_image(THERE, source(12, 40 * HOUR));
        world.add_image(HERE, finished(copy(12)).state(ImageState::Disabled));
    }
    for number in 13..=500 {
        copied(stage, number, if number % 40 == 0 { copy(number) } else { finished(copy(number)) });
    }
}

/// How many AMIs the page counts, by state.
fn counts(html: &str) -> BTreeMap<&str, usize> {
    let counted = html.split("</svg> <b>").skip(1).filter_map(|after| {
        let (count, after) = after.split_once("</b> ")?;
        Some((after.split_once('<')?.0, count.parse().ok()?))
    });
    counted.collect()
}

#[tokio::test]
async fn the_pages_of_the_screenshots_count_every_ami_and_show_every_state() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("widget");
    fs::create_dir_all(&folder).unwrap();
    for (count, states, fill) in [(0, 0, (|_| {}) as fn(&Stage)), (5, 5, five), (500, 12, five_hundred)] {
        let stage = stage().await.set("RETIRE_WITH_SOURCE", "true");
        fill(&stage);
        let function = stage.function().await;
        for (theme, background, text) in FRAME {
            let html = asked(&stage, &function, call(json!({}), json!({}), theme)).await;
            let html = html.as_str().unwrap();
            let counts = counts(html);
            assert_eq!((counts.values().sum::<usize>(), counts.len()), (count, states), "{counts:?}");
            assert_eq!(html.contains("<div class=\"ami-courier dark\">"), theme == "dark");
            let button = "a.btn{border:1px solid;border-radius:16px;padding:3px 16px}";
            let page = format!(
                "<!doctype html><meta charset=\"utf-8\"><style>body{{margin:0;padding:12px 16px;background:{background};color:{text};\
                 font-family:\"Open Sans\",\"DejaVu Sans\",sans-serif}}{button}cwdb-action{{display:none}}</style>{html}"
            );
            fs::write(folder.join(format!("{count}-{theme}.html")), page).unwrap();
        }
    }
}
