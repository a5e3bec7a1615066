//! Every AMI is copied exactly once, whatever is delivered, repeated, killed or failed.

use std::time::Duration;

use local::aws::{Fate, Fault};
use serde_json::json;

use crate::stage::{HERE, Stage, THERE, batch, failures, state_change};

const AMI: &str = "ami-0abcdef1234567890";

#[tokio::test]
async fn an_announced_ami_is_copied_with_its_tags_on_ami_and_snapshots_in_four_calls() {
    let stage = Stage::new().await.set("EVENT_BUS_NAME", "").with(|world| {
        world.add_image(THERE, local::aws::Image::new(AMI, "golden-1").tag("team", "platform"));
    });
    let function = stage.function().await;
    let answer = function.invoke(&state_change(THERE, AMI, "available")).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    let copies = stage.copies();
    assert_eq!(copies.len(), 1);
    assert_eq!(answer[0]["ImageId"], copies[0].id.as_str());
    assert_eq!(stage.actions().len(), 4, "{:?}", stage.actions());
    for tags in std::iter::once(&copies[0].tags).chain(copies[0].snapshots.iter().map(|snapshot| &snapshot.tags)) {
        assert_eq!(tags["ami-courier:source-image"], AMI);
        assert_eq!(tags["ami-courier:source-region"], THERE);
        assert_eq!(tags["team"], "platform");
    }
}

#[tokio::test]
async fn five_deliveries_of_a_message_and_five_of_it_in_one_batch_make_one_copy() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let function = stage.function().await;
    let body = state_change(THERE, AMI, "available").to_string();
    let five = batch(["m1", "m2", "m3", "m4", "m5"].map(|id| (id, body.clone())));
    for _ in 0..5 {
        let answer = function.invoke(&five).await.unwrap();
        assert_eq!(failures(&answer), Vec::<String>::new());
    }
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_function_killed_between_copy_image_and_its_answer_makes_no_second_copy() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.fault(Fault::on("CopyImage").nth(1).slow_after_effect(Duration::from_secs(20)));
    });
    let function = stage.function().await;
    let message = batch([("m1", state_change(THERE, AMI, "available").to_string())]);
    let killed = async {
        while stage.copies().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        function.kill().await;
    };
    let (died, ()) = tokio::join!(function.invoke(&message), killed);
    assert!(died.is_err());
    let function = stage.function().await;
    assert_eq!(failures(&function.invoke(&message).await.unwrap()), Vec::<String>::new());
    assert_eq!(stage.copies().len(), 1);
}

#[tokio::test]
async fn a_failed_copy_is_tried_again_with_the_next_token_even_when_it_is_deregistered_and_forgotten() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| world.doom(AMI, Fate::key_not_accessible()));
    let function = stage.function().await;
    let first = function.invoke(&state_change(THERE, AMI, "available")).await.unwrap();
    stage.aws.world().advance(Duration::from_secs(3600));
    assert_eq!(stage.copies()[0].state.as_str(), "failed");
    let failed = stage.copies()[0].id.clone();
    let second = function.invoke(&state_change(THERE, AMI, "available")).await.unwrap();
    assert_eq!(second[0]["Outcome"], "Started", "{second}");
    assert_ne!(second[0]["ImageId"], first[0]["ImageId"]);
    assert_ne!(second[0]["ClientToken"], first[0]["ClientToken"]);
    assert!(stage.aws.world().image(HERE, &failed).is_none(), "the failed copy held the name");
}

#[tokio::test]
async fn a_name_taken_by_an_ami_that_is_no_copy_is_rejected_with_its_id() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.add_image(HERE, local::aws::Image::new("ami-0123456789abcdef0", "golden-1"));
    });
    let function = stage.function().await;
    let error = function.invoke(&state_change(THERE, AMI, "available")).await.unwrap_err().to_string();
    assert!(error.contains("InvalidAMIName.Duplicate") && error.contains("ami-0123456789abcdef0"), "{error}");
    let request = json!({ "Name": "golden-1", "SourceImageId": AMI, "SourceRegion": THERE });
    let error = function.invoke(&request).await.unwrap_err().to_string();
    assert!(error.contains("ami-0123456789abcdef0"), "{error}");
}
