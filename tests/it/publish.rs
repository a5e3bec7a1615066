//! The parameter holds the newest copy, by its source's age, and never goes back, even when several functions write it.

use std::time::Duration;

use futures_util::future::join_all;
use local::aws::{Fault, ImageState};
use local::host::Host;

use crate::life::{built, done, ended, finished, is_finished, on_bus, stage, take_dead, told, until};
use crate::stage::{HERE, Stage, THERE, state_change, words};

const OLDER: &str = "ami-0aaaaaaaaaaaaaaa1";
const NEWER: &str = "ami-0aaaaaaaaaaaaaaa2";
const PARAMETER: &str = "/golden/latest";
const IMAGE: &str = "aws:ec2:image";

async fn family() -> Stage {
    stage().await.set("PARAMETER_NAME", PARAMETER).with(|world| {
        world.add_image(THERE, built(OLDER, "golden-1", 300));
        world.add_image(THERE, built(NEWER, "golden-2", 200));
    })
}

fn held(stage: &Stage) -> String {
    stage.aws.world().parameter(HERE, PARAMETER).expect("there is one").value
}

/// A sweep, what it announces, and after a quarter of an hour the names of parameters.
async fn swept(stage: &Stage, function: &Host) {
    stage.sweep(function).await.expect("a sweep");
    stage.aws.world().advance(Duration::from_secs(16 * 60));
    stage.deliver(function).await.expect("elections");
}

fn puts(stage: &Stage) -> usize {
    stage.actions().iter().filter(|action| *action == "PutParameter").count()
}

#[tokio::test]
async fn two_sources_that_finish_in_the_wrong_order_leave_the_newer_in_the_parameter() {
    for order in [[OLDER, NEWER], [NEWER, OLDER]] {
        let stage = family().await;
        let function = stage.function().await;
        let mut newer = String::new();
        for source in order {
            let copy = ended(&stage, &function, source).await;
            finished(&function, &copy).await;
            assert!(is_finished(&stage, &copy));
            if source == NEWER {
                newer = copy;
            }
        }
        assert_eq!(held(&stage), newer);
    }
}

#[tokio::test]
async fn a_late_write_of_an_older_copy_is_put_right_by_the_next_sweep() {
    let stage = family().await;
    let (one, other) = (stage.function().await, stage.function().await);
    let older = ended(&stage, &one, OLDER).await;
    let newer = ended(&stage, &other, NEWER).await;
    stage.aws.world().fault(Fault::on("PutParameter").nth(1).slow(Duration::from_millis(1500)));
    let overtaken = async {
        until(|| puts(&stage) == 1).await;
        finished(&other, &newer).await;
        assert_eq!(held(&stage), newer);
    };
    tokio::join!(finished(&one, &older), overtaken);
    assert_eq!(held(&stage), older, "the older one has overwritten the newer one");
    swept(&stage, &one).await;
    assert_eq!(held(&stage), newer);
}

#[tokio::test]
async fn what_a_hand_writes_is_put_right_by_the_next_sweep_and_the_description_says_how_to_go_back() {
    let stage = family().await;
    let function = stage.function().await;
    let older = ended(&stage, &function, OLDER).await;
    finished(&function, &older).await;
    let newer = ended(&stage, &function, NEWER).await;
    finished(&function, &newer).await;
    let calls = stage.aws.world().calls();
    let put = calls.iter().find(|call| call.action == "PutParameter").expect("it is written");
    assert!(put.parameters["Description"].as_str().unwrap().contains("ami-courier:withdrawn"), "{}", put.parameters);
    for by_hand in [older.as_str(), "ami-00000000000000009", "not-an-ami"] {
        stage.aws.world().set_parameter(HERE, PARAMETER, by_hand, IMAGE);
        // Not visible for long, it is no holder; just written, it may be too young to be visible.
        stage.aws.world().advance(Duration::from_secs(1200));
        swept(&stage, &function).await;
        assert_eq!(held(&stage), newer, "{by_hand}");
    }
}

/// Parameter Store has no conditional write: what a race left is right after the next sweep.
#[tokio::test]
async fn after_a_race_of_many_functions_the_next_sweep_leaves_the_newest() {
    const AGES: [i64; 6] = [40, 10, 60, 20, 50, 30];
    let stage = stage().await.set("PARAMETER_NAME", PARAMETER);
    let mut runs = Vec::new();
    let mut newest = String::new();
    for (n, age) in AGES.into_iter().enumerate() {
        let source = format!("ami-0000000000000000{n}");
        stage.aws.world().add_image(THERE, built(&source, &format!("golden-{n}"), 100 + age));
        let function = stage.function().await;
        let copy = ended(&stage, &function, &source).await;
        if age == 10 {
            newest.clone_from(&copy);
        }
        runs.push((function, copy));
    }
    join_all(runs.iter().map(|(function, copy)| finished(function, copy))).await;
    assert!(runs.iter().all(|(_, copy)| is_finished(&stage, copy)));
    let raced: Vec<&str> = runs.iter().map(|(_, copy)| copy.as_str()).collect();
    assert!(raced.contains(&held(&stage).as_str()));
    swept(&stage, &runs[0].0).await;
    assert_eq!(held(&stage), newest);
}

#[tokio::test]
async fn killed_after_it_wrote_and_before_it_looked_a_copy_is_finished_by_the_next_delivery_without_another_write() {
    let stage = family().await;
    let function = stage.function().await;
    let copy = ended(&stage, &function, NEWER).await;
    let reads = || stage.actions().iter().filter(|action| *action == "GetParameter").count();
    stage.aws.world().fault(Fault::on("GetParameter").nth(2).slow(Duration::from_secs(60)));
    let message = told(&copy, "available", 1);
    let killed = async {
        until(|| reads() == 2).await;
        function.kill().await;
    };
    let (died, ()) = tokio::join!(function.invoke(&message), killed);
    assert!(died.is_err());
    finished(&function, &copy).await;
    assert_eq!((held(&stage), puts(&stage)), (copy.clone(), 1));
    assert!(is_finished(&stage, &copy));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_made_twice() {
    let stage = family().await.set("AWS_MAX_ATTEMPTS", "1");
    let function = stage.function().await;
    let copy = ended(&stage, &function, NEWER).await;
    stage.aws.world().fault(Fault::on("PutParameter").nth(1).drop_after_effect());
    finished(&function, &copy).await;
    assert_eq!((held(&stage), puts(&stage)), (copy.clone(), 1));
    assert!(is_finished(&stage, &copy));
}

#[tokio::test]
async fn a_value_that_is_no_ami_or_cannot_be_launched_is_replaced() {
    for holder in ["not-an-ami", "ami-00000000000000009", "ami-0ccccccccccccccc1", "ami-0ccccccccccccccc2"] {
        let stage = family().await.with(|world| {
            world.add_image(HERE, built("ami-0ccccccccccccccc1", "disabled", 1).state(ImageState::Disabled));
            world.add_image(HERE, built("ami-0ccccccccccccccc2", "deregistered", 1));
            world.deregister(HERE, "ami-0ccccccccccccccc2");
            world.set_parameter(HERE, PARAMETER, holder, IMAGE);
        });
        let function = stage.function().await;
        let copy = ended(&stage, &function, OLDER).await;
        finished(&function, &copy).await;
        assert_eq!(held(&stage), copy, "{holder}");
    }
}

#[tokio::test]
async fn an_ami_that_is_no_copy_is_compared_by_its_own_age() {
    for (minutes_ago, stays) in [(10, true), (400, false)] {
        let theirs = "ami-0ccccccccccccccc1";
        let stage = family().await.with(|world| {
            world.add_image(HERE, built(theirs, "made here", minutes_ago));
            world.set_parameter(HERE, PARAMETER, theirs, IMAGE);
        });
        let function = stage.function().await;
        let copy = ended(&stage, &function, OLDER).await;
        finished(&function, &copy).await;
        assert!(is_finished(&stage, &copy));
        assert_eq!(held(&stage), if stays { theirs.to_owned() } else { copy });
    }
}

#[tokio::test]
async fn the_copy_of_an_existing_source_replaces_the_copy_of_a_source_that_is_gone_and_never_the_reverse() {
    for gone in [OLDER, NEWER] {
        for order in [[OLDER, NEWER], [NEWER, OLDER]] {
            let stage = family().await;
            let function = stage.function().await;
            let copies = [ended(&stage, &function, order[0]).await, ended(&stage, &function, order[1]).await];
            stage.aws.world().deregister(THERE, gone);
            stage.aws.world().advance(Duration::from_secs(7200));
            for copy in &copies {
                finished(&function, copy).await;
                assert!(is_finished(&stage, copy));
            }
            let of_gone = order.iter().position(|source| *source == gone).unwrap();
            assert_eq!(held(&stage), copies[1 - of_gone], "{gone} is gone, {order:?}");
        }
    }
}

#[tokio::test]
async fn copies_whose_sources_are_gone_before_their_first_finish_are_finished_and_not_published() {
    let stage = family().await;
    let function = stage.function().await;
    let copies = [ended(&stage, &function, OLDER).await, ended(&stage, &function, NEWER).await];
    stage.aws.world().deregister(THERE, OLDER);
    stage.aws.world().deregister(THERE, NEWER);
    stage.aws.world().advance(Duration::from_secs(7200));
    for copy in copies.iter().rev() {
        finished(&function, copy).await;
        assert!(is_finished(&stage, copy));
    }
    assert!(stage.aws.world().parameter(HERE, PARAMETER).is_none(), "nobody says which parameter they belong to");
}

#[tokio::test]
async fn a_copy_is_finished_only_when_the_parameter_has_really_taken_it() {
    let stage = family().await.with(|world| world.behaviour.parameter_check_duration = Duration::from_secs(600));
    let function = stage.function().await;
    let copy = ended(&stage, &function, OLDER).await;
    assert!(!done(&function, &told(&copy, "available", 1)).await);
    assert!(!is_finished(&stage, &copy) && on_bus(&stage, "Finished").is_empty());
    assert!(function.logs().concat().contains("ec2:DescribeImages"), "the log names the permission");
    stage.aws.world().advance(Duration::from_secs(601));
    assert_eq!(held(&stage), copy);
    assert!(done(&function, &told(&copy, "available", 2)).await);
    assert!(is_finished(&stage, &copy));
    assert_eq!(puts(&stage), 1);
}

#[tokio::test]
async fn the_version_of_an_older_image_does_not_count_as_taken() {
    let stage = family().await;
    let function = stage.function().await;
    let [older, newer] = [ended(&stage, &function, OLDER).await, ended(&stage, &function, NEWER).await];
    assert!(done(&function, &told(&older, "available", 1)).await);
    stage.aws.world().behaviour.parameter_check_duration = Duration::from_secs(600);
    assert!(!done(&function, &told(&newer, "available", 1)).await);
    assert!(held(&stage) == older && !is_finished(&stage, &newer));
    stage.aws.world().advance(Duration::from_secs(601));
    assert!(done(&function, &told(&newer, "available", 2)).await);
    assert!(held(&stage) == newer && is_finished(&stage, &newer));
}

#[tokio::test]
async fn a_parameter_of_another_data_type_is_named_with_what_to_do_and_nothing_is_written() {
    for value in ["hello", "the copy"] {
        let stage = family().await;
        let function = stage.function().await;
        let copy = ended(&stage, &function, OLDER).await;
        let value = if value == "the copy" { &copy } else { value };
        stage.aws.world().set_parameter(HERE, PARAMETER, value, "text");
        assert!(done(&function, &told(&copy, "available", 1)).await);
        assert!(!is_finished(&stage, &copy) && puts(&stage) == 0 && held(&stage) == value);
        let (_, attributes) = take_dead(&stage).remove(0);
        assert_eq!(attributes["Code"], "ValidationException");
        for part in
            [PARAMETER, HERE, "`text`", "cannot change it to `aws:ec2:image`", "delete the parameter", "PARAMETER_NAME"]
        {
            assert!(words(&attributes).contains(part), "{part} is not in {attributes:?}");
        }
        let caller = local::aws::Caller::in_region(HERE);
        let name = serde_json::json!({ "Name": PARAMETER });
        stage.aws.world().call(&caller, "ssm", "DeleteParameter", &name).expect("deleted");
        finished(&function, &copy).await;
        assert_eq!(held(&stage), copy);
        assert!(is_finished(&stage, &copy));
    }
}

#[tokio::test]
async fn a_copy_whose_source_lacks_the_tag_that_the_parameters_name_asks_for_is_finished_and_says_why_it_is_not_published()
 {
    let stage = family().await.set("PARAMETER_NAME", "/golden/{tag:family}");
    let function = stage.function().await;
    let copy = ended(&stage, &function, OLDER).await;
    let answer = function.invoke(&state_change(HERE, &copy, "available")).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Finished", "{answer}");
    let remark = answer[0]["Parameter"].as_str().expect("a reason");
    assert!(remark.contains("tag `family`") && remark.contains("PARAMETER_NAME"), "{remark}");
    assert_eq!((puts(&stage), stage.dead().len()), (0, 0));
}

#[tokio::test]
async fn a_requests_copy_takes_the_parameter_from_no_announced_copy_of_its_source() {
    let stage = family().await;
    let function = stage.function().await;
    let first = ended(&stage, &function, OLDER).await;
    finished(&function, &first).await;
    let request = serde_json::json!({ "Name": "another", "SourceImageId": OLDER, "SourceRegion": THERE });
    let second = function.invoke(&request).await.unwrap()["ImageId"].as_str().unwrap().to_owned();
    stage.aws.world().advance(Duration::from_secs(1200));
    finished(&function, &second).await;
    assert_eq!(held(&stage), first);
}
