//! The third rule: only an AMI that is seen dead is dead; the courier looks again at one that is not visible.

use local::aws::{Behaviour, Fault, HiddenAs, ImageState};
use serde_json::{Value, json};

use super::{AMI, DONE, MINUTE, announced, copy_by_hand, message, own_messages};
use crate::stage::{HERE, Stage, THERE, batch, failures, request};

#[tokio::test]
async fn a_copy_that_ec2_does_not_show_is_started_once_and_looked_at_again_after_fifteen_minutes() {
    for invisible_as in [HiddenAs::NotFound, HiddenAs::Empty, HiddenAs::Unavailable] {
        let stage = Stage::new().await.source(AMI, "golden-1");
        stage.aws.world().behaviour.hide_new_images_for(15 * MINUTE);
        stage.aws.world().behaviour.invisible_as = invisible_as;
        let function = stage.function().await;
        for _ in 0..3 {
            assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE, "{invisible_as:?}");
        }
        let copies = stage.copies();
        assert_eq!(copies.len(), 1, "{invisible_as:?}");
        let expected = json!({ "AmiCourier": { "SecondLook": {
            "SourceImageId": AMI, "SourceRegion": THERE, "Epoch": 0, "Try": 1, "AcceptedImageId": copies[0].id,
            "AnnouncedBy": "Ec2", "Hops": 1,
        } } });
        assert_eq!(own_messages(&stage), vec![expected.clone(); 3]);
        let sends = stage.aws.world().calls().into_iter().filter(|call| call.action == "SendMessageBatch");
        let delays: Vec<Value> = sends.map(|call| call.parameters["Entries"][0]["DelaySeconds"].clone()).collect();
        assert_eq!(delays, [900, 900, 900]);
        stage.aws.world().advance(15 * MINUTE);
        let second_look = batch([("m2", expected.to_string())]);
        assert_eq!(failures(&function.invoke(&second_look).await.unwrap()), DONE);
        assert_eq!((stage.copies().len(), stage.copy_image_calls().len()), (1, 3), "the second look sees the copy");
    }
}

#[tokio::test]
async fn a_direct_request_on_an_ec2_that_shows_nothing_makes_one_copy_too() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| world.behaviour = Behaviour::weakest());
    let function = stage.function().await;
    for _ in 0..5 {
        let answer = function.invoke(&request(AMI, "golden-1")).await.unwrap();
        assert_eq!((&answer["Outcome"], &answer["ImageId"]), (&json!("Started"), &json!(stage.copies()[0].id)));
    }
    assert_eq!(stage.copies().len(), 1);
    let message = &own_messages(&stage)[0]["AmiCourier"]["SecondLook"];
    assert_eq!(message["Request"], request(AMI, "golden-1"), "the second look knows the request");
}

#[tokio::test]
async fn a_second_look_that_could_not_be_sent_brings_the_message_back() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.behaviour = Behaviour::weakest();
        world.fault(Fault::on("SendMessageBatch").first(3).error(
            500,
            "InternalError",
            "An internal error has occurred",
        ));
    });
    let function = stage.function().await;
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), ["m1"]);
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE);
    assert_eq!((stage.copies().len(), own_messages(&stage).len()), (1, 1));
}

#[tokio::test]
async fn without_a_queue_of_its_own_a_copy_that_is_not_visible_is_retried_and_never_made_twice() {
    let stage = Stage::new().await.source(AMI, "golden-1").set("QUEUE_URL", "");
    stage.aws.world().behaviour.hide_new_images_for(10 * MINUTE);
    let function = stage.function().await;
    for _ in 0..2 {
        assert_eq!(failures(&function.invoke(&message()).await.unwrap()), ["m1"]);
        assert_eq!(stage.copies().len(), 1);
    }
    stage.aws.world().advance(11 * MINUTE);
    assert_eq!(failures(&function.invoke(&message()).await.unwrap()), DONE);
    assert_eq!((stage.copies().len(), stage.dead().len()), (1, 0));
}

#[tokio::test]
async fn a_pending_copy_of_somebody_else_is_looked_at_again_since_it_may_fail() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({}));
    let function = stage.function().await;
    let answer = function.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &json!(by_hand)));
    let second_look = own_messages(&stage)[0].to_string();
    stage.aws.world().image_mut(HERE, &by_hand).unwrap().state = ImageState::Failed;
    function.invoke(&batch([("m2", second_look)])).await.unwrap();
    let copies = stage.copies();
    assert_eq!(copies.iter().filter(|copy| copy.state == ImageState::Pending).count(), 1, "now it is copied");
    assert!(!copies.iter().any(|copy| copy.tags.contains_key("ami-courier:try")), "by the very first try");
}
