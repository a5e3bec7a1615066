//! The first rule: a copy of the source that exists is the answer.

use local::aws::{Fault, Image, ImageState};
use serde_json::{Value, json};

use super::{AMI, DONE, HOUR, announced, copy_by_hand, own_messages, rejection};
use crate::stage::{HERE, Stage, THERE, ami, request};

#[tokio::test]
async fn a_copy_that_somebody_else_made_is_the_answer_when_it_is_available_or_disabled() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({}));
    let function = stage.function().await;
    for state in [ImageState::Available, ImageState::Disabled] {
        stage.aws.world().image_mut(HERE, &by_hand).unwrap().state = state;
        let answer = function.invoke(&announced()).await.unwrap();
        let expected = json!([{
            "Outcome": "AlreadyCopied", "ImageId": by_hand, "Name": "made-by-hand", "SourceImageId": AMI,
            "SourceRegion": THERE, "Region": HERE,
        }]);
        assert_eq!(answer, expected, "{state}");
    }
    assert_eq!(stage.changes(), DONE, "nothing was changed");
}

#[tokio::test]
async fn a_copy_of_the_same_image_id_in_another_region_is_no_copy_of_this_source() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        world.add_image(HERE, Image::new(ami(1), "elsewhere").copy_of(AMI, "us-west-2"));
        world.add_image(HERE, Image::new(ami(2), "not-mine").owner("111122223333").copy_of(AMI, THERE).public());
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn a_failed_copy_that_somebody_else_made_does_not_count() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({}));
    stage.aws.world().image_mut(HERE, &by_hand).unwrap().state = ImageState::Failed;
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    assert!(stage.aws.world().image(HERE, &by_hand).is_some(), "what is not ours is left alone");
}

#[tokio::test]
async fn of_several_copies_the_available_one_is_the_answer() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        for (n, state) in [ImageState::Failed, ImageState::Disabled, ImageState::Pending, ImageState::Available]
            .into_iter()
            .enumerate()
        {
            world.add_image(HERE, Image::new(ami(n), format!("copy-{n}")).copy_of(AMI, THERE).state(state));
        }
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!(answer[0]["ImageId"], ami(3), "{answer}");
}

/// Requests alone ask for a copy that is encrypted. The setting is for copies that are made from now on.
#[tokio::test]
async fn an_announcement_is_answered_by_an_unencrypted_copy_of_the_time_before_the_setting() {
    let stage = Stage::new().await.set("ENCRYPTED", "true").source(AMI, "golden-1").with(|world| {
        world.add_image(HERE, Image::new(ami(1), "golden-1").copy_of(AMI, THERE));
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &json!(ami(1))), "{answer}");
}

/// Another delivery was first: its copy has become visible between the look and the call.
#[tokio::test]
async fn a_copy_that_is_visible_once_ec2_refuses_the_token_is_the_answer() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        let made_meanwhile = Fault::on("CopyImage").nth(1);
        world.fault(made_meanwhile.error_after_effect(
            400,
            "IdempotentParameterMismatch",
            "Arguments are inconsistent",
        ));
    });
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    let [copy] = stage.copies().try_into().expect("one copy");
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &json!(copy.id)), "{answer}");
    assert_eq!(own_messages(&stage).len(), 0, "no second look is needed");
}

#[tokio::test]
async fn a_request_is_answered_only_by_a_copy_of_its_own_name() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({}));
    let function = stage.function().await;
    let same = function.invoke(&request(AMI, "made-by-hand")).await.unwrap();
    assert_eq!((&same["Outcome"], &same["ImageId"]), (&json!("AlreadyCopied"), &json!(by_hand)));
    let other = function.invoke(&request(AMI, "golden-1")).await.unwrap();
    assert_eq!(other["Outcome"], "Started");
    let again = function.invoke(&request(AMI, "golden-1")).await.unwrap();
    assert_eq!((&again["Outcome"], &again["ImageId"]), (&json!("AlreadyCopied"), &other["ImageId"]));
    assert_eq!(stage.copies().len(), 2);
}

#[tokio::test]
async fn a_request_that_asks_for_encryption_is_not_answered_by_an_available_unencrypted_copy_of_its_name() {
    let stage = Stage::new().await.source(AMI, "golden-1");
    let by_hand = copy_by_hand(&stage, json!({ "Name": "golden-1" }));
    stage.aws.world().advance(HOUR);
    let function = stage.function().await;
    let mut encrypted = request(AMI, "golden-1");
    encrypted["Encrypted"] = json!(true);
    let message = rejection(function.invoke(&encrypted).await);
    assert!(
        message.contains(&by_hand) && message.contains("not encrypted") && message.contains("`golden-1`"),
        "{message}"
    );
    assert!(message.contains("deregister that copy, or request another name"), "{message}");
    for encryption in [Value::Null, json!(false)] {
        let mut request = request(AMI, "golden-1");
        request["Encrypted"] = encryption;
        assert_eq!(function.invoke(&request).await.unwrap()["Outcome"], "AlreadyCopied");
    }
    assert_eq!(stage.changes().iter().filter(|action| *action == "CopyImage").count(), 0);
    stage.aws.world().forget_image(HERE, &by_hand);
    let by_hand = copy_by_hand(&stage, json!({ "Name": "golden-1", "Encrypted": "true" }));
    let answer = function.invoke(&encrypted).await.unwrap();
    assert_eq!((&answer["Outcome"], &answer["ImageId"]), (&json!("AlreadyCopied"), &json!(by_hand)));
}
