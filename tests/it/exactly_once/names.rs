//! Names: EC2 does not document that `CopyImage` refuses one that is taken. If it does, no copy is lost.

use std::time::Duration;

use local::aws::{CopyFailure, Image, ImageState};
use serde_json::json;

use super::{AMI, HOUR, MINUTE, announced, error, message, own_messages, rejection};
use crate::stage::{HERE, Stage, THERE, ami, batch, failures, request};

async fn where_names_are_unique() -> Stage {
    let stage = Stage::new().await.source(AMI, "golden-1");
    stage.aws.world().behaviour.copy_image_refuses_taken_names = true;
    stage
}

#[tokio::test]
async fn where_names_are_not_unique_an_ami_of_the_same_name_is_no_obstacle() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.add_image(HERE, Image::new(ami(1), "golden-1"));
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn a_live_copy_with_only_the_couriers_tags_is_found_through_its_name() {
    let stage = where_names_are_unique().await.with(|world| {
        // Made before EC2 recorded the source of a copy.
        let copy = Image::new(ami(1), "golden-1").tag("ami-courier:source-image", AMI);
        world.add_image(HERE, copy.tag("ami-courier:source-region", THERE));
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &json!(ami(1))));
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_name_taken_by_an_ami_that_is_no_live_copy_of_the_source_is_rejected_with_its_id() {
    for holder in [
        Image::new(ami(1), "golden-1"),
        Image::new(ami(1), "golden-1").copy_of(&ami(2), THERE),
        Image::new(ami(1), "golden-1").copy_of(AMI, THERE).state(ImageState::Failed),
    ] {
        let stage = where_names_are_unique().await.with(|world| {
            world.add_image(HERE, holder);
        });
        let function = stage.function().await;
        for message in [announced(), request(AMI, "golden-1")] {
            let message = rejection(function.invoke(&message).await);
            assert!(message.starts_with("InvalidAMIName.Duplicate: "), "{message}");
            assert!(message.contains(&ami(1)) && message.contains("COPY_NAME"), "{message}");
        }
        assert_eq!(stage.copies().len(), 1);
    }
}

#[tokio::test]
async fn a_name_taken_by_an_ami_that_is_not_visible_is_retried() {
    let stage = where_names_are_unique().await.with(|world| {
        world.behaviour.name_lingers_for = HOUR;
        world.add_image(HERE, Image::new(ami(1), "golden-1"));
        world.deregister(HERE, &ami(1));
    });
    let function = stage.function().await;
    for wait in [Duration::ZERO, 30 * MINUTE] {
        stage.aws.world().advance(wait);
        let (kind, message) = error(function.invoke(&announced()).await);
        assert_eq!(kind, "Retry", "{message}");
        assert!(message.starts_with("InvalidAMIName.Duplicate: ") && message.contains("in seconds"), "{message}");
    }
    stage.aws.world().advance(HOUR);
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn a_name_taken_by_a_failed_copy_of_the_couriers_is_explained_and_freed_for_the_next_delivery() {
    let stage = where_names_are_unique().await;
    stage.aws.world().fail_next_copy(AMI, CopyFailure::key_not_accessible());
    let function = stage.function().await;
    function.invoke(&message()).await.unwrap();
    stage.aws.world().advance(HOUR);
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), ["m1"]);
    assert_eq!((stage.copies().len(), stage.dead().len()), (0, 1));
    let mut deliveries = 0;
    while stage.copies().is_empty() {
        stage.aws.world().advance(15 * MINUTE);
        let next = own_messages(&stage).pop().map_or_else(message, |own| batch([("m2", own.to_string())]));
        function.invoke(&next).await.unwrap();
        deliveries += 1;
        assert!(deliveries < 3);
    }
    assert_eq!(stage.copies()[0].tags["ami-courier:try"], "0.1");
}
