//! Many AMIs: all of them, on pages that Lambda can answer.

use std::collections::BTreeSet;

use serde_json::json;

use super::{DAY, HOUR, copy, finished, source, source_id, stage, status};
use crate::stage::{HERE, THERE};

#[tokio::test]
async fn every_ami_is_on_exactly_one_page_and_each_page_is_far_below_lambdas_limit() {
    // A row has some 300 bytes, a page has 2 MB.
    const COUNT: usize = 12_000;
    let stage = stage().await;
    {
        let mut world = stage.aws.world();
        for number in 1..=COUNT {
            let mut image = source(number, 2 * DAY);
            image.name = format!("golden-{number}-{}", "n".repeat(100));
            world.add_image(THERE, image);
            if number % 2 == 0 {
                world.add_image(HERE, finished(copy(number)));
            }
        }
    }
    let function = stage.function().await;
    let mut seen = BTreeSet::new();
    let mut pages = 0;
    let mut token = json!(null);
    loop {
        let page = status(&stage, &function, json!({ "NextToken": token })).await;
        pages += 1;
        assert!(page.to_string().len() < 3_000_000);
        assert_eq!(
            (&page["Total"], &page["Counts"]["Missing"], &page["Counts"]["Finished"]),
            (&json!(COUNT), &json!(COUNT / 2), &json!(COUNT / 2))
        );
        for image in page["Images"].as_array().unwrap() {
            assert!(seen.insert(image["SourceImageId"].as_str().unwrap().to_owned()), "{image} comes twice");
        }
        match page.get("NextToken") {
            Some(next) => token = next.clone(),
            None => break,
        }
    }
    assert_eq!(seen, (1..=COUNT).map(source_id).collect::<BTreeSet<_>>());
    assert!(pages > 1, "one page has them all");
}

#[tokio::test]
async fn the_worst_comes_first_and_of_the_same_state_the_one_that_waits_longest() {
    let stage = stage().await;
    {
        let mut world = stage.aws.world();
        for (number, age) in [(1, 5 * HOUR), (2, 9 * HOUR), (3, 7 * HOUR), (4, 3 * HOUR), (5, 4 * HOUR)] {
            world.add_image(THERE, source(number, age));
        }
        world.add_image(HERE, finished(copy(4)));
        world.add_image(HERE, finished(copy(5)));
        world.add_image(HERE, copy(3));
    }
    let answer = status(&stage, &stage.function().await, json!({})).await;
    let rows: Vec<String> = answer["Images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| format!("{} {}", image["State"].as_str().unwrap(), image["Name"].as_str().unwrap()))
        .collect();
    let expected =
        ["Missing golden-2", "Missing golden-1", "Unfinished golden-3", "Finished golden-4", "Finished golden-5"];
    assert_eq!(rows, expected);
}
