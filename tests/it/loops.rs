//! No loops: copies announce themselves as any AMI does, and stacks that are each other's source still fall silent.

use std::time::Duration;

use local::aws::{Aws, Image};
use local::host::Host;

use crate::stage::{HERE, Stage, THERE};

const TOKYO: &str = "ap-northeast-1";
const AMI: &str = "ami-0abcdef1234567890";

#[tokio::test]
async fn two_stacks_that_are_each_others_source_make_one_copy_and_fall_silent() {
    falls_silent(&[THERE, HERE], 1).await;
}

#[tokio::test]
async fn three_stacks_in_a_ring_make_a_copy_in_each_other_region_and_fall_silent() {
    falls_silent(&[THERE, HERE, TOKYO], 1).await;
}

#[tokio::test]
async fn each_of_five_amis_in_a_ring_of_three_gets_a_copy_in_each_other_region() {
    falls_silent(&[THERE, HERE, TOKYO], 5).await;
}

/// Every event of AWS is sent to the stacks of all Regions, until there is none.
async fn falls_silent(regions: &[&str], amis: usize) {
    // The same list for all, as a StackSet has it.
    let stage = Stage::new().await.set("SOURCE_REGIONS", &regions.join(","));
    let ids: Vec<String> = (0..amis).map(|n| format!("{}{n:x}", &AMI[..AMI.len() - 1])).collect();
    let mut events = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let region = regions[n % regions.len()];
        stage.aws.world().add_image(region, Image::new(id, format!("golden-{n}")));
        events.push(crate::stage::state_change(region, id, "available"));
    }
    let mut stacks: Vec<Host> = Vec::new();
    for region in regions {
        stacks.push(stage.function_in(region).start().await.expect("the stack starts"));
    }
    let mut rounds = 0;
    while !events.is_empty() {
        rounds += 1;
        assert!(rounds < 20, "no silence; still told: {events:?}");
        for event in &events {
            for stack in &stacks {
                stack.invoke(event).await.unwrap_or_else(|error| panic!("{event}: {error}"));
            }
        }
        events = what_happens_next(&stage.aws);
    }
    let mut copies = 0;
    for region in regions {
        let images = stage.aws.world().images(region);
        assert_eq!(images.len(), amis, "{region}: {images:#?}");
        let ours = images.iter().filter(|image| image.tags.contains_key("ami-courier:finished"));
        copies += ours.inspect(|image| assert_eq!(image.state.as_str(), "available", "{image:?}")).count();
    }
    assert_eq!(copies, amis * (regions.len() - 1), "N Regions, N-1 copies of each AMI, all of them finished");
}

fn what_happens_next(aws: &Aws) -> Vec<serde_json::Value> {
    let mut world = aws.world();
    world.advance(Duration::from_secs(3600));
    world.take_events()
}
