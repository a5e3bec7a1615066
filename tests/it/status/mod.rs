//! The status: which AMIs are wanted here, and what became of the copy of each. Asking changes nothing.
//!
//! A module for each of its sides: the states, the questions that are rejected, the pages of a large answer, the widget of a
//! dashboard, and the pages of which `docs/` has pictures.

mod pages;
mod pictures;
mod rejected;
mod states;
mod widget;

use std::time::Duration;

use local::aws::{Image, START};
use local::host::Host;
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A stack that knows its source Region.
async fn stage() -> Stage {
    Stage::new().await.set("SOURCE_REGIONS", THERE)
}

fn source_id(number: usize) -> String {
    format!("ami-{:017x}", 0xa000 + number)
}

fn copy_id(number: usize) -> String {
    format!("ami-{:017x}", 0xc000 + number)
}

/// An AMI of this account in the source Region, so old.
fn source(number: usize, age: Duration) -> Image {
    Image::new(source_id(number), format!("golden-{number}")).created(START - age)
}

/// A copy of it that the courier made: available, not finished.
fn copy(number: usize) -> Image {
    Image::new(copy_id(number), format!("golden-{number}"))
        .created(START - HOUR)
        .copy_of(&source_id(number), THERE)
        .tag("ami-courier:source-image", &source_id(number))
        .tag("ami-courier:source-region", THERE)
}

fn finished(copy: Image) -> Image {
    copy.tag("ami-courier:finished", "2025-12-31T23:30:00Z")
}

/// Puts a source AMI of two days and its copy into the world.
fn copied(stage: &Stage, number: usize, copy: Image) {
    let mut world = stage.aws.world();
    world.add_image(THERE, source(number, 2 * DAY + 2 * HOUR));
    world.add_image(HERE, copy);
}

/// The answer to a question. Nothing changes, whatever is asked.
async fn asked(stage: &Stage, function: &Host, question: Value) -> Value {
    let answer = function.invoke(&question).await.unwrap_or_else(|error| panic!("{question}: {error}"));
    assert_eq!(stage.changes(), Vec::<String>::new());
    assert!(stage.actions().iter().all(|action| action == "DescribeImages"), "{:?}", stage.actions());
    answer
}

async fn status(stage: &Stage, function: &Host, parameters: Value) -> Value {
    asked(stage, function, json!({ "Status": parameters })).await
}

/// The only AMI of the answer.
fn only(status: &Value) -> &Value {
    let images = status["Images"].as_array().expect("a list");
    assert_eq!(images.len(), 1, "{status}");
    &images[0]
}
