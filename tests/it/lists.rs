//! One message, several AMIs: of a list that a builder made, one AMI is copied, and a list of records is a batch.

use std::time::Duration;

use local::aws::{ACCOUNT, Image, ImageState};
use serde_json::{Value, json};

use crate::stage::{HERE, Stage, THERE, ami, batch, failures, state_change, words};

const ALSO_THERE: &str = "us-west-2";
const BUILDER: &str = "444455556666";
const TRUSTED: &str = "111122223333";
const MINUTE: Duration = Duration::from_secs(60);

/// Image Builder's notification: (Region, AMI, account).
fn notification(amis: &[(&str, String, &str)]) -> Value {
    let amis: Vec<Value> = amis
        .iter()
        .map(|(region, image, account)| json!({ "region": region, "image": image, "name": "golden", "accountId": account }))
        .collect();
    json!({ "versionlessArn": "arn:aws:imagebuilder:us-east-1:444455556666:image/golden", "type": "AMI",
            "arn": "arn:aws:imagebuilder:us-east-1:444455556666:image/golden/1.0.0/3", "name": "golden",
            "state": { "status": "AVAILABLE" }, "outputResources": { "amis": amis } })
}

/// A list of AMIs of other accounts, of which the second is trusted.
fn of_two_accounts() -> Value {
    notification(&[(THERE, ami(1), BUILDER), (THERE, ami(2), TRUSTED), (ALSO_THERE, ami(3), TRUSTED)])
}

fn of(id: String, owner: &str) -> Image {
    Image::new(id, "golden").owner(owner).shared_with(ACCOUNT)
}

async fn stage() -> Stage {
    Stage::new().await.set("SOURCE_OWNERS", &format!("self,{TRUSTED}"))
}

fn in_queue(message: &Value) -> Value {
    batch([("m1", message.to_string())])
}

async fn is_done(stage: &Stage, message: &Value) -> bool {
    failures(&stage.function().await.invoke(&in_queue(message)).await.expect("an answer")).is_empty()
}

#[tokio::test]
async fn of_a_list_the_first_that_is_visible_and_trusted_is_copied() {
    let stage = stage().await.with(|world| {
        world.add_image(THERE, of(ami(1), BUILDER));
        world.add_image(THERE, of(ami(2), TRUSTED));
        world.add_image(ALSO_THERE, of(ami(3), TRUSTED));
    });
    assert!(is_done(&stage, &of_two_accounts()).await);
    assert_eq!(stage.copied(), [ami(2)].into());
}

#[tokio::test]
async fn a_copy_of_any_ami_of_the_list_answers_it() {
    let stage = stage().await.with(|world| {
        world.add_image(THERE, of(ami(2), TRUSTED));
        world.add_image(ALSO_THERE, of(ami(3), TRUSTED));
        world.add_image(HERE, Image::new(ami(9), "golden").copy_of(&ami(3), ALSO_THERE));
    });
    let answer = stage.function().await.invoke(&of_two_accounts()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["ImageId"]), (&json!("AlreadyCopied"), &json!(ami(9))));
}

#[tokio::test]
async fn an_ami_that_is_not_visible_is_passed_over_once_the_message_is_15_minutes_old() {
    let stage = stage().await.with(|world| {
        world.add_image(ALSO_THERE, of(ami(3), TRUSTED));
    });
    for (minutes, more, done) in [(0, 0, false), (14, 14, false), (15, 1, true)] {
        stage.aws.world().advance(more * MINUTE);
        assert_eq!(is_done(&stage, &of_two_accounts()).await, done, "after {minutes} minutes");
    }
    assert_eq!(stage.copied(), [ami(3)].into());
    // Nobody else delivers a direct call again.
    let stage = self::stage().await.with(|world| {
        world.add_image(ALSO_THERE, of(ami(3), TRUSTED));
    });
    let answer = stage.function().await.invoke(&of_two_accounts()).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
}

#[tokio::test]
async fn a_list_of_which_none_is_left_is_retried_for_an_hour_and_rejected_with_the_reason_of_each() {
    let stage = stage().await.with(|world| {
        world.add_image(THERE, of(ami(1), BUILDER));
    });
    assert!(!is_done(&stage, &of_two_accounts()).await);
    stage.aws.world().advance(61 * MINUTE);
    assert!(is_done(&stage, &of_two_accounts()).await);
    let why = words(&stage.dead()[0].1);
    for reason in
        ["its owner 444455556666 is not one of SOURCE_OWNERS", &ami(2), &ami(3), "not visible to this account"]
    {
        assert!(why.contains(reason), "{why}");
    }
}

#[tokio::test]
async fn of_packers_list_the_origin_is_copied_at_once_wherever_it_stands() {
    let artifact = format!("{THERE}:{},{ALSO_THERE}:{}", ami(1), ami(2));
    let manifest = json!({ "last_run_uuid": "r", "builds": [
        { "packer_run_uuid": "r", "builder_type": "amazon-ebs", "artifact_id": artifact } ] });
    let stage = Stage::new().await.with(|world| {
        // Made in us-west-2, and copied to us-east-1 a moment ago.
        world.add_image(THERE, Image::new(ami(1), "golden").copy_of(&ami(2), ALSO_THERE));
        world.add_image(ALSO_THERE, Image::new(ami(2), "golden"));
    });
    assert!(is_done(&stage, &manifest).await);
    assert_eq!(stage.copied(), [ami(2)].into());
}

#[tokio::test]
async fn a_pipe_hands_over_a_list_of_records_and_one_that_is_not_done_comes_again_with_the_others() {
    let record = |id: &str| {
        let mut records = batch([(id, state_change(THERE, id, "available").to_string())])["Records"].clone();
        records[0].take()
    };
    let (there, missing) = (ami(1), ami(2));
    let stage = Stage::new().await.source(&there, "golden");
    let function = stage.function().await;
    let both = json!([record(&there), record(&missing)]);
    let error = function.invoke(&both).await.expect_err("one is not visible yet").to_string();
    assert!(error.contains("1 of 2 records"), "{error}");
    assert_eq!(stage.copied(), [there.clone()].into());
    stage.aws.world().add_image(THERE, Image::new(&missing, "golden-2"));
    let answer = function.invoke(&both).await.expect("all are done");
    assert_eq!(failures(&answer), Vec::<String>::new());
    assert_eq!(stage.copied(), [there, missing].into());
}

#[tokio::test]
async fn a_record_in_the_body_of_a_record_is_unwrapped_and_a_bad_one_is_a_dead_letter_of_its_own() {
    let stage = Stage::new().await.source(&ami(1), "golden");
    let function = stage.function().await;
    let inner = batch([("x", state_change(THERE, &ami(1), "available").to_string())])["Records"][0].clone();
    let answer = function
        .invoke(&json!([
            batch([("m1", inner.to_string())])["Records"][0],
            batch([("m2", "?".to_owned())])["Records"][0]
        ]))
        .await;
    assert_eq!(failures(&answer.expect("all are done")), Vec::<String>::new());
    assert_eq!(stage.copied(), [ami(1)].into());
    assert_eq!(stage.dead().len(), 1);
}

#[tokio::test]
async fn an_ami_further_down_the_list_that_is_still_pending_holds_up_nothing() {
    let stage = stage().await.with(|world| {
        world.add_image(THERE, of(ami(2), TRUSTED));
        world.add_image(ALSO_THERE, of(ami(3), TRUSTED).state(ImageState::Pending));
    });
    assert!(is_done(&stage, &notification(&[(THERE, ami(2), TRUSTED), (ALSO_THERE, ami(3), TRUSTED)])).await);
    assert_eq!(stage.copied(), [ami(2)].into());
}

#[tokio::test]
async fn a_failed_copy_of_an_ami_that_is_gone_is_no_answer_to_a_list() {
    let stage = stage().await.with(|world| {
        world.add_image(ALSO_THERE, of(ami(3), TRUSTED));
        world.add_image(HERE, Image::new(ami(9), "golden").copy_of(&ami(2), THERE).state(ImageState::Failed));
        world.advance(20 * MINUTE);
    });
    let function = stage.function().await;
    crate::life::learns_the_time(&function).await;
    let list = notification(&[(THERE, ami(2), TRUSTED), (ALSO_THERE, ami(3), TRUSTED)]);
    assert_eq!(failures(&function.invoke(&in_queue(&list)).await.expect("an answer")), Vec::<String>::new());
    assert!(stage.copied().contains(&ami(3)));
}
