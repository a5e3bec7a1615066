//! Many copies out of step at once: what is missing comes first, and nothing starves.

use std::collections::BTreeSet;

use local::aws::Image;
use serde_json::{Value, json};

use super::{MINUTE, OLD};
use crate::life::{ago, built};
use crate::stage::{HERE, Stage, THERE};

/// How many copies are out of step: `OUT_OF_STEP`.
fn size() -> u32 {
    std::env::var("OUT_OF_STEP").map_or(2_500, |size| size.parse().expect("OUT_OF_STEP is a number"))
}

const MISSED: u32 = 50;

fn source_id(number: u32) -> String {
    format!("ami-{number:017x}")
}

fn copy(number: u32) -> Image {
    let created = "2025-12-01T00:00:00Z";
    let finished = "2025-12-01T00:20:00Z share=0000000000000000";
    built(&format!("ami-c{number:016x}"), &format!("golden-{number}"), OLD)
        .copy_of(&source_id(number), THERE)
        .tag("ami-courier:source-image", &source_id(number))
        .tag("ami-courier:source-region", THERE)
        .tag("ami-courier:source-created", created)
        .tag("ami-courier:stack", "ami-courier")
        .tag("ami-courier:finished", finished)
}

#[tokio::test]
async fn after_one_change_of_share_with_missed_amis_come_first_and_every_copy_has_its_turn() {
    let size = size();
    let stage = Stage::new().await.set("SOURCE_REGIONS", THERE).set("SHARE_WITH", "111122223333").with(|world| {
        for number in 1..=size {
            world.add_image(HERE, copy(number));
        }
        for number in 0..MISSED {
            let id = source_id(1_000_000 + number);
            world.add_image(THERE, Image::new(id, format!("missed-{number}")).created(ago(120)));
        }
    });
    let function = stage.function().await;
    let mut announced = BTreeSet::new();
    let mut sweeps = 0;
    while announced.len() < size as usize {
        function.invoke(&json!({ "Sweep": {} })).await.expect("a sweep");
        sweeps += 1;
        // Also those of the sources that this sweep has no calls left to look for.
        assert_eq!(crate::sweep::figure(&function, "out_of_step"), size.to_string());
        assert!(sweeps <= 2 * size / 950 + 2, "{} of {size} had their turn in {sweeps} sweeps", announced.len());
        stage.aws.world().advance(MINUTE);
        let messages: Vec<Value> = {
            let mut world = stage.aws.world();
            let messages = world.receive(&stage.queue, 2000);
            for message in &messages {
                world.delete(&stage.queue, &message.receipt_handle);
            }
            messages.iter().map(|message| serde_json::from_str(&message.body).expect("JSON")).collect()
        };
        assert!(messages.len() <= 1000, "{}", messages.len());
        let kind = |message: &Value| message["AmiCourier"].as_object().expect("a kind").keys().next().cloned();
        let first = messages.iter().take(MISSED as usize).all(|message| kind(message).as_deref() == Some("Missed"));
        assert!(first, "what is missing comes first, sweep after sweep");
        let copies = messages.iter().filter_map(|message| message["AmiCourier"]["Unfinished"]["ImageId"].as_str());
        announced.extend(copies.map(str::to_owned));
        stage.aws.world().advance(59 * MINUTE);
    }
    println!(
        "{size} copies out of step, {MISSED} missed AMIs that stay so: every copy had its turn in {sweeps} hourly sweeps"
    );
}
