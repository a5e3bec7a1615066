//! One build is one copy: an AMI that its builder put into several source Regions is copied once, whatever announces it, in any order.

use std::sync::Arc;
use std::time::Duration;

use local::aws::{ACCOUNT, Image, ImageState, START};
use local::host::Host;
use serde_json::{Value, json};

use crate::poller::Poller;
use crate::stage::{HERE, Stage, THERE, ami, batch, failures, state_change};

const ALSO_THERE: &str = "us-west-2";
const OTHERS: &str = "111122223333";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const ORIGIN: &str = "ami-0000000000000a001";
const SIBLING: &str = "ami-0000000000000a002";

async fn stage() -> Stage {
    Stage::new().await.set("SOURCE_REGIONS", "us-east-1,us-west-2").set("BACKFILL_DAYS", "3650")
}

/// What the builder made, 10 minutes before the world began.
fn origin() -> Image {
    Image::new(ORIGIN, "golden-1").created(START - 10 * MINUTE)
}

/// What the builder copied from it, 5 minutes later.
fn sibling() -> Image {
    Image::new(SIBLING, "golden-1").created(START - 5 * MINUTE).copy_of(ORIGIN, THERE)
}

async fn with_both() -> Stage {
    stage().await.with(|world| {
        world.add_image(THERE, origin());
        world.add_image(ALSO_THERE, sibling());
    })
}

fn announced(region: &str, id: &str) -> Value {
    batch([("m1", state_change(region, id, "available").to_string())])
}

fn swept() -> Value {
    batch([("m1", json!({ "Sweep": {} }).to_string())])
}

async fn is_done(function: &Host, message: &Value) -> bool {
    failures(&function.invoke(message).await.expect("an answer")).is_empty()
}

/// The outcome of a direct call.
async fn outcome(function: &Host, message: &Value) -> Value {
    function.invoke(message).await.expect("an outcome")[0].clone()
}

/// The AMIs that a sweep announces.
fn missed(stage: &Stage) -> Vec<String> {
    let messages = stage.aws.world().messages(&stage.queue).into_iter();
    let bodies = messages.map(|message| serde_json::from_str::<Value>(&message.body).expect("JSON"));
    bodies.filter_map(|body| body["AmiCourier"]["Missed"]["SourceImageId"].as_str().map(str::to_owned)).collect()
}

fn made_by_the_courier(stage: &Stage) -> Vec<Image> {
    stage.copies().into_iter().filter(|image| image.tags.contains_key("ami-courier:source-image")).collect()
}

#[tokio::test]
async fn a_sibling_is_answered_with_the_copy_of_its_origin() {
    let stage = with_both().await;
    let function = stage.function().await;
    assert!(is_done(&function, &announced(THERE, ORIGIN)).await);
    // Its age does not matter once the copy is visible.
    assert!(is_done(&function, &announced(ALSO_THERE, SIBLING)).await);
    let answer = outcome(&function, &state_change(ALSO_THERE, SIBLING, "available")).await;
    assert_eq!((&answer["Outcome"], &answer["ImageId"]), (&json!("AlreadyCopied"), &json!(stage.copies()[0].id)));
    assert_eq!(made_by_the_courier(&stage).len(), 1);
}

#[tokio::test]
async fn a_young_sibling_waits_and_then_has_the_copy_which_records_the_origin() {
    let stage = with_both().await;
    let function = stage.function().await;
    assert!(!is_done(&function, &announced(ALSO_THERE, SIBLING)).await, "it waits");
    assert_eq!(stage.changes(), ["ChangeMessageVisibility"]);
    stage.aws.world().advance(25 * MINUTE);
    assert!(is_done(&function, &announced(ALSO_THERE, SIBLING)).await);
    let copies = made_by_the_courier(&stage);
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].tags["ami-courier:origin"], format!("{ACCOUNT}/{THERE}/{ORIGIN}"));
    assert_eq!(copies[0].source_image_id.as_deref(), Some(SIBLING));
    // A late announcement of the origin finds it by this tag.
    let answer = outcome(&function, &state_change(THERE, ORIGIN, "available")).await;
    assert_eq!((&answer["Outcome"], &answer["ImageId"]), (&json!("AlreadyCopied"), &json!(copies[0].id)));
    assert_eq!(made_by_the_courier(&stage).len(), 1);
}

#[tokio::test]
async fn a_sibling_waits_as_long_as_the_copy_of_its_origin_may_be_invisible() {
    let stage = with_both().await.with(|world| world.behaviour.hide_new_images_for(15 * MINUTE));
    let function = stage.function().await;
    assert!(is_done(&function, &announced(THERE, ORIGIN)).await);
    for _ in 0..5 {
        is_done(&function, &announced(ALSO_THERE, SIBLING)).await;
        stage.aws.world().advance(5 * MINUTE);
    }
    assert!(is_done(&function, &announced(ALSO_THERE, SIBLING)).await);
    assert_eq!(made_by_the_courier(&stage).len(), 1);
}

#[tokio::test]
async fn a_request_is_not_answered_with_the_copy_of_a_sibling_even_if_that_has_the_name() {
    let stage = with_both().await;
    let function = stage.function().await;
    stage.aws.world().advance(HOUR);
    assert!(is_done(&function, &announced(ALSO_THERE, SIBLING)).await);
    let request = json!({ "Name": "golden-1", "SourceImageId": ORIGIN, "SourceRegion": THERE });
    let answer = function.invoke(&request).await.expect("an outcome");
    assert_eq!((&answer["Outcome"], &answer["SourceImageId"]), (&json!("Started"), &json!(ORIGIN)), "{answer}");
    assert_eq!(made_by_the_courier(&stage).len(), 2);
}

/// The limit that the documents name. With the first copy visible, there would be one.
#[tokio::test]
async fn two_amis_of_a_build_that_are_both_late_and_close_together_may_have_a_copy_each() {
    for (invisible_for, expected) in [(15 * MINUTE, 2), (Duration::ZERO, 1)] {
        let stage = with_both().await.with(|world| world.behaviour.hide_new_images_for(invisible_for));
        let function = stage.function().await;
        stage.aws.world().advance(HOUR);
        assert!(is_done(&function, &announced(THERE, ORIGIN)).await);
        assert!(is_done(&function, &announced(ALSO_THERE, SIBLING)).await);
        assert_eq!(made_by_the_courier(&stage).len(), expected);
    }
}

#[tokio::test]
async fn the_sweep_announces_one_ami_of_a_build_the_origin_first_and_none_that_has_a_copy() {
    let stage = with_both().await.with(|world| {
        world.add_image(ALSO_THERE, Image::new(ami(9), "golden-1").created(START - HOUR).copy_of(ORIGIN, THERE));
    });
    let function = stage.function().await;
    assert!(is_done(&function, &swept()).await);
    assert_eq!(missed(&stage), [ORIGIN]);
    assert!(is_done(&function, &announced(THERE, ORIGIN)).await);
    assert!(is_done(&function, &swept()).await);
    assert_eq!(missed(&stage), [ORIGIN], "nothing new");
    let answer = function.invoke(&json!({ "Status": { "Days": 3650 } })).await.expect("a status");
    let states: Vec<&Value> = answer["Images"].as_array().unwrap().iter().map(|row| &row["State"]).collect();
    assert_eq!(states.iter().filter(|state| **state == "AlreadyCopied").count(), 2, "{answer}");
}

#[tokio::test]
async fn with_the_origin_gone_the_sweep_announces_the_oldest_sibling_and_an_equal_name_answers_the_others() {
    let third = ami(9);
    let stage = stage().await.with(|world| {
        world.add_image(ALSO_THERE, sibling());
        world.add_image(ALSO_THERE, Image::new(&third, "golden-1").created(START - HOUR).copy_of(ORIGIN, THERE));
    });
    let function = stage.function().await;
    assert!(is_done(&function, &swept()).await);
    assert_eq!(missed(&stage), std::slice::from_ref(&third));
    assert!(is_done(&function, &announced(ALSO_THERE, &third)).await);
    let answer = outcome(&function, &state_change(ALSO_THERE, SIBLING, "available")).await;
    assert_eq!(answer["Outcome"], "AlreadyCopied", "{answer}");
    assert_eq!(made_by_the_courier(&stage).len(), 1);
}

#[tokio::test]
async fn another_name_and_a_copy_within_a_region_are_images_of_their_own() {
    // What `encrypt_boot` leaves: the final AMI is a copy, within its Region, of one with a random name.
    let (intermediate, renamed) = (ami(8), ami(9));
    let stage = stage().await.with(|world| {
        world.add_image(THERE, Image::new(&intermediate, "abcdefg"));
        world.add_image(THERE, origin().copy_of(&intermediate, THERE));
        world.add_image(ALSO_THERE, Image::new(&renamed, "golden-1-encrypted").copy_of(ORIGIN, THERE));
    });
    let function = stage.function().await;
    for (region, id) in [(THERE, intermediate.as_str()), (THERE, ORIGIN), (ALSO_THERE, renamed.as_str())] {
        let answer = outcome(&function, &state_change(region, id, "available")).await;
        assert_eq!(answer["Outcome"], "Started", "{id}: {answer}");
    }
    assert!(made_by_the_courier(&stage).iter().all(|copy| !copy.tags.contains_key("ami-courier:origin")));
    let only_builds = stage.set("NAME_PATTERNS", "*-*");
    let answer = outcome(&only_builds.function().await, &state_change(THERE, &ami(8), "available")).await;
    assert_eq!(answer["Outcome"], "Ignored", "{answer}");
}

#[tokio::test]
async fn the_base_image_of_an_instance_is_no_origin_and_another_accounts_ami_has_no_siblings() {
    let (base, built) = (ami(8), ami(9));
    let stage = stage().await.set("SOURCE_OWNERS", &format!("self,{OTHERS}")).with(|world| {
        world.add_image(THERE, Image::new(&base, "base"));
        world.add_image(THERE, Image::new(&built, "base").made_from_instance_of(&base, THERE));
        // Other accounts do not see that it was made from an instance.
        world.add_image(ALSO_THERE, sibling().owner(OTHERS).shared_with(ACCOUNT).copy_of(&base, THERE));
    });
    let function = stage.function().await;
    for (region, id) in [(THERE, base.as_str()), (THERE, built.as_str())] {
        let answer = outcome(&function, &state_change(region, id, "available")).await;
        assert_eq!(answer["Outcome"], "Started", "{id}: {answer}");
    }
}

#[tokio::test]
async fn what_comes_from_here_is_not_copied_back_by_event_or_sweep_whether_its_origin_lives_or_not() {
    let here = ami(7);
    for state in [Some(ImageState::Available), Some(ImageState::Deregistered), None] {
        let stage = stage().await.with(|world| {
            world.add_image(THERE, Image::new(SIBLING, "golden-1").copy_of(&here, HERE));
            if let Some(state) = state {
                world.add_image(HERE, Image::new(&here, "golden-1").state(state));
            }
            world.advance(HOUR);
        });
        let function = stage.function().await;
        let answer = outcome(&function, &state_change(THERE, SIBLING, "available")).await;
        assert_eq!(answer["Outcome"], "Ignored", "{answer}");
        assert!(answer["Reason"].as_str().unwrap().starts_with("it comes from here"), "{answer}");
        assert!(is_done(&function, &swept()).await);
        assert_eq!(missed(&stage), Vec::<String>::new());
        let request = json!({ "Name": "back", "SourceImageId": SIBLING, "SourceRegion": THERE });
        let answer = function.invoke(&request).await.expect("a request can copy it");
        assert_eq!(answer["Outcome"], "Started", "{answer}");
    }
}

#[tokio::test]
async fn a_copy_of_an_ami_that_another_account_shares_here_is_copied_by_event_and_found_by_the_sweep() {
    let theirs = ami(7);
    let stage = stage().await.with(|world| {
        world.add_image(HERE, Image::new(&theirs, "public").owner(OTHERS).public());
        world.add_image(THERE, Image::new(SIBLING, "ours").copy_of(&theirs, HERE));
    });
    let function = stage.function().await;
    assert!(is_done(&function, &swept()).await);
    assert_eq!(missed(&stage), [SIBLING]);
    let answer = outcome(&function, &state_change(THERE, SIBLING, "available")).await;
    assert_eq!(answer["Outcome"], "Started", "{answer}");
}

/// What it was copied from may be another account's, and not visible yet.
#[tokio::test]
async fn a_young_ami_that_was_copied_from_an_invisible_one_of_this_region_waits_and_an_old_one_comes_from_here() {
    let theirs = ami(7);
    for is_shown in [true, false] {
        let stage = stage().await.with(|world| {
            world.add_image(THERE, Image::new(SIBLING, "ours").created(START - 5 * MINUTE).copy_of(&theirs, HERE));
        });
        let function = stage.function().await;
        assert!(!is_done(&function, &announced(THERE, SIBLING)).await, "it waits");
        if is_shown {
            stage.aws.world().add_image(HERE, Image::new(&theirs, "public").owner(OTHERS).public());
        } else {
            stage.aws.world().advance(25 * MINUTE);
        }
        assert!(is_done(&function, &announced(THERE, SIBLING)).await);
        assert_eq!(made_by_the_courier(&stage).len(), usize::from(is_shown));
    }
}

#[tokio::test]
async fn stacks_with_one_list_of_regions_copy_each_build_once_and_nothing_goes_round() {
    // Packer builds in us-east-1 and puts the AMI into us-west-2. Each Region has a stack, with the same list.
    let regions = [THERE, ALSO_THERE, HERE];
    let stage = with_both().await.set("SOURCE_REGIONS", &regions.join(",")).set("QUEUE_URL", "");
    let mut stacks = Vec::new();
    for region in regions {
        stacks.push(stage.function_in(region).start().await.unwrap());
    }
    stage.aws.world().advance(HOUR);
    let mut events = vec![state_change(THERE, ORIGIN, "available"), state_change(ALSO_THERE, SIBLING, "available")];
    for _ in 0..6 {
        for event in std::mem::take(&mut events) {
            for stack in &stacks {
                stack.invoke(&event).await.expect("an outcome");
            }
        }
        stage.aws.world().advance(HOUR);
        let news = stage.aws.world().take_events();
        events.extend(news.iter().map(|event| serde_json::to_value(event).expect("JSON")));
    }
    let copies = |region: &str| {
        let images = stage.aws.world().images(region);
        images.into_iter().filter(|image| image.tags.contains_key("ami-courier:source-image")).count()
    };
    // us-west-2 has the builder's own copy, and nothing comes back to us-east-1.
    assert_eq!(regions.map(copies), [0, 0, 1]);
}

#[tokio::test]
async fn a_copy_is_kept_as_long_as_an_ami_of_its_build_is_in_service() {
    let stage = with_both().await.set("RETIRE_WITH_SOURCE", "true").set("RETIRE_AFTER_DAYS", "1");
    let executions = vec![Arc::new(stage.function().await)];
    let mut poller = Poller::new(&stage.aws, &stage.queue, executions, 1);
    poller.send(&state_change(THERE, ORIGIN, "available").to_string());
    poller.run_to_rest(24 * HOUR).await.unwrap();
    stage.aws.world().deregister(THERE, ORIGIN);
    for _ in 0..4 {
        poller.aws.world().advance(24 * HOUR);
        poller.send_sweep();
        poller.run_to_rest(24 * HOUR).await.unwrap();
    }
    assert_eq!(made_by_the_courier(&stage).len(), 1, "the sibling lives");
    stage.aws.world().deregister(ALSO_THERE, SIBLING);
    for _ in 0..4 {
        poller.aws.world().advance(24 * HOUR);
        poller.send_sweep();
        poller.run_to_rest(24 * HOUR).await.unwrap();
    }
    assert!(made_by_the_courier(&stage).iter().all(|copy| copy.state == ImageState::Deregistered));
}
