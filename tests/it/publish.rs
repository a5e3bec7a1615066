//! The parameter holds the newest copy, by its source's age, and never goes back, even when several functions write it.

use std::time::Duration;

use futures_util::future::join_all;
use local::aws::{Fault, ImageState};

use crate::life::{built, done, ended, finished, is_finished, on_bus, stage, take_dead, told, until};
use crate::stage::{HERE, Stage, THERE};

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
async fn a_late_write_is_corrected_by_its_own_writer() {
    for (late, quick) in [(OLDER, NEWER), (NEWER, OLDER)] {
        let stage = family().await;
        let (one, other) = (stage.function().await, stage.function().await);
        let late_copy = ended(&stage, &one, late).await;
        let quick_copy = ended(&stage, &other, quick).await;
        stage.aws.world().fault(Fault::on("PutParameter").nth(1).slow(Duration::from_millis(1500)));
        let overtaken = async {
            until(|| puts(&stage) == 1).await;
            finished(&other, &quick_copy).await;
            assert_eq!(held(&stage), quick_copy);
        };
        tokio::join!(finished(&one, &late_copy), overtaken);
        assert_eq!(held(&stage), if late == NEWER { late_copy } else { quick_copy });
    }
}

#[tokio::test]
async fn many_functions_that_race_leave_the_newest() {
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
    assert_eq!(held(&stage), newest);
}

#[tokio::test]
async fn a_write_of_another_between_our_read_and_our_write_is_not_lost_even_when_we_are_killed_before_we_look() {
    let stage = family().await;
    let function = stage.function().await;
    let newer = ended(&stage, &function, NEWER).await;
    let older = ended(&stage, &function, OLDER).await;
    stage.aws.world().set_parameter(HERE, PARAMETER, "ami-00000000000000009", IMAGE);
    stage.aws.world().fault(Fault::on("PutParameter").nth(1).slow(Duration::from_millis(500)));
    let reads = || stage.actions().iter().filter(|action| *action == "GetParameter").count();
    stage.aws.world().fault(Fault::on("GetParameter").nth(2).slow(Duration::from_secs(60)));
    let message = told(&older, "available", 1);
    let meanwhile = async {
        until(|| puts(&stage) == 1).await;
        stage.aws.world().set_parameter(HERE, PARAMETER, &newer, IMAGE);
        until(|| reads() == 2).await;
        assert_eq!(held(&stage), older, "the older one has overwritten the newer one");
        function.kill().await;
    };
    let (died, ()) = tokio::join!(function.invoke(&message), meanwhile);
    assert!(died.is_err());
    finished(&function, &older).await;
    assert_eq!(held(&stage), newer);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_does_not_hide_the_write_of_another_before_it() {
    let stage = family().await;
    let function = stage.function().await;
    let newer = ended(&stage, &function, NEWER).await;
    let older = ended(&stage, &function, OLDER).await;
    stage.aws.world().set_parameter(HERE, PARAMETER, "ami-00000000000000009", IMAGE);
    stage.aws.world().fault(Fault::on("PutParameter").nth(1).slow(Duration::from_millis(500)));
    stage.aws.world().fault(Fault::on("PutParameter").nth(2).drop_after_effect());
    stage.aws.world().fault(Fault::on("GetParameter").nth(2).throttle());
    let meanwhile = async {
        until(|| puts(&stage) == 1).await;
        stage.aws.world().set_parameter(HERE, PARAMETER, &newer, IMAGE);
    };
    tokio::join!(finished(&function, &older), meanwhile);
    assert_eq!(held(&stage), newer);
}

#[tokio::test]
async fn a_parameter_that_others_write_each_time_between_our_read_and_our_write_ends_with_the_newest() {
    let stage = family().await;
    let function = stage.function().await;
    let newer = ended(&stage, &function, NEWER).await;
    let copies = ["ami-0bbbbbbbbbbbbbbb1", "ami-0bbbbbbbbbbbbbbb2", "ami-0bbbbbbbbbbbbbbb3", "ami-0bbbbbbbbbbbbbbb4"];
    {
        let mut world = stage.aws.world();
        for (n, id) in (0..).zip(copies) {
            // Each newer than the one before.
            world.add_image(HERE, built(id, id, 100 - n));
            world.fault(Fault::on("PutParameter").nth(n.unsigned_abs() + 1).slow(Duration::from_millis(300)));
        }
    }
    let others = async {
        for (n, id) in copies.into_iter().enumerate() {
            until(|| puts(&stage) == n + 1).await;
            stage.aws.world().set_parameter(HERE, PARAMETER, id, IMAGE);
        }
    };
    tokio::join!(finished(&function, &newer), others);
    assert_eq!(held(&stage), copies[3]);
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
async fn of_two_whose_sources_are_gone_the_later_copy_holds_the_parameter() {
    let stage = family().await;
    let function = stage.function().await;
    let copies = [ended(&stage, &function, OLDER).await, ended(&stage, &function, NEWER).await];
    stage.aws.world().deregister(THERE, OLDER);
    stage.aws.world().deregister(THERE, NEWER);
    stage.aws.world().advance(Duration::from_secs(7200));
    for copy in copies.iter().rev() {
        finished(&function, copy).await;
    }
    assert_eq!(held(&stage), copies[1]);
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
        for part in [
            PARAMETER,
            HERE,
            &copy,
            "`text`",
            "cannot change it to `aws:ec2:image`",
            "delete the parameter",
            "PARAMETER_NAME",
        ] {
            assert!(attributes["Explanation"].contains(part), "{part} is not in {}", attributes["Explanation"]);
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
async fn a_source_without_the_tag_that_the_parameters_name_asks_for_is_rejected_with_the_tags_name() {
    let stage = family().await.set("PARAMETER_NAME", "/golden/{tag:family}");
    let function = stage.function().await;
    let copy = ended(&stage, &function, OLDER).await;
    assert!(done(&function, &told(&copy, "available", 1)).await);
    assert!(!is_finished(&stage, &copy));
    let (_, attributes) = take_dead(&stage).remove(0);
    assert!(attributes["Explanation"].contains("tag `family`") && attributes["Explanation"].contains("PARAMETER_NAME"));
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
