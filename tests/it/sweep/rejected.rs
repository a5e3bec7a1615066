//! A rejection of what only a sweep announced is no dead letter, since there would be one an hour. The log and the event bus
//! have it, and a metric with an alarm counts it. Only a failed copy is a dead letter.

use local::aws::{CopyFailure, Fault, Image, ImageState};
use serde_json::{Value, json};

use super::{HOUR, announcements, build, counted, deliver, gone_for_long, id_of, stage, swept, unfinished};
use crate::life::is_finished;
use crate::stage::{HERE, Stage, THERE, batch, failures, state_change};

/// Sweeps and delivers: the one announcement is rejected with this code, each time.
async fn is_counted(stage: Stage, code: &str) {
    let function = stage.function().await;
    for sweeps in 1..=2_u32 {
        assert!(swept(&function).await);
        assert_eq!(announcements(&stage).len(), 1);
        deliver(&stage, &function).await;
        let found = counted(&function, "RejectedFound");
        assert!((found - f64::from(sweeps)).abs() < 0.5, "{code}: {found} after {sweeps} sweeps");
        assert!((counted(&function, "Rejected") - found).abs() < 0.5, "{code}");
        let rejected = function.logs().iter().filter(|line| line.contains(&format!("code=\"{code}\""))).count();
        assert_eq!(rejected, usize::try_from(sweeps).unwrap(), "{code}: {:#?}", function.logs());
        let on_bus = stage.aws.world().put_events().into_iter().filter(|event| event.detail["Code"] == code).count();
        assert_eq!(on_bus, usize::try_from(sweeps).unwrap(), "{code}");
        assert_eq!((announcements(&stage).len(), stage.dead()), (0, vec![]), "{code}: done, and no dead letter");
    }
}

#[tokio::test]
async fn a_copy_that_is_rejected_is_counted_by_every_sweep_until_it_can_be_made() {
    let stage = stage().await.with(|world| {
        world.behaviour.events = false;
        world.behaviour.copy_image_refuses_taken_names = true;
        world.add_image(HERE, Image::new("ami-0000000000000beef", "golden-1"));
    });
    build(&stage, 2);
    let function = stage.function().await;
    for sweeps in 1..=2_u32 {
        assert!(swept(&function).await);
        deliver(&stage, &function).await;
        assert!((counted(&function, "RejectedFound") - f64::from(sweeps)).abs() < 0.5);
        assert!(function.logs().iter().any(|line| line.contains("InvalidAMIName.Duplicate")));
    }
    let on_bus = stage.aws.world().put_events();
    assert_eq!(on_bus.iter().filter(|event| event.detail["Code"] == "InvalidAMIName.Duplicate").count(), 2);
    assert_eq!(stage.dead(), []);
    stage.aws.world().deregister(HERE, "ami-0000000000000beef");
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    assert!((counted(&function, "RejectedFound") - 2.0).abs() < 0.5, "no more than before");
    assert_eq!(stage.copies().len(), 2);
}

#[tokio::test]
async fn a_rejected_copy_finish_or_retirement_of_a_sweep_is_counted_and_no_dead_letter() {
    let denied = |action: &str| Fault::on(action).error(403, "UnauthorizedOperation", "you are not authorized");
    let copy = stage().await.with(|world| {
        world.fault(denied("CopyImage"));
        world.add_image(THERE, Image::new(id_of(1), "missed"));
    });
    is_counted(copy, "UnauthorizedOperation").await;
    let finish = stage().await.set("SHARE_WITH", "111122223333").with(|world| {
        world.fault(denied("ModifyImageAttribute"));
        world.add_image(HERE, unfinished(1, THERE));
        world.add_image(THERE, Image::new(id_of(1001), "its source"));
    });
    is_counted(finish, "UnauthorizedOperation").await;
    let retire = stage().await.set("RETIRE_WITH_SOURCE", "true").with(|world| {
        world.fault(denied("DescribeImageReferences"));
        world.add_image(HERE, gone_for_long(1, THERE));
    });
    is_counted(retire, "UnauthorizedOperation").await;
}

#[tokio::test]
async fn a_second_look_at_what_a_sweep_announced_is_counted_too() {
    let stage = stage().await.set("COPY_NAME", "{tag:release}").with(|world| {
        world.add_image(THERE, Image::new(id_of(1), "golden-1").tag("release", "x"));
    });
    let second_look = |announced_by: &str| {
        let look = json!({ "SourceImageId": id_of(1), "SourceRegion": THERE, "Epoch": 0, "Try": 1, "AnnouncedBy": announced_by });
        batch([("m1", json!({ "AmiCourier": { "SecondLook": look } }).to_string())])
    };
    let function = stage.function().await;
    assert_eq!(failures(&function.invoke(&second_look("Sweep")).await.unwrap()), Vec::<String>::new());
    assert!((counted(&function, "RejectedFound") - 1.0).abs() < 0.5);
    assert_eq!(stage.dead(), []);
    assert_eq!(failures(&function.invoke(&second_look("Ec2")).await.unwrap()), Vec::<String>::new());
    assert!((counted(&function, "RejectedFound") - 1.0).abs() < 0.5, "an event announced this one");
    assert_eq!(stage.dead().len(), 1);
}

#[tokio::test]
async fn a_rejection_of_what_an_event_announced_is_a_dead_letter_and_not_counted() {
    let stage = stage().await.set("COPY_NAME", "{tag:release}").with(|world| {
        world.add_image(THERE, Image::new(id_of(1), "golden-1").tag("release", "x"));
    });
    let function = stage.function().await;
    let event: Value = batch([("m1", state_change(THERE, &id_of(1), "available").to_string())]);
    assert_eq!(failures(&function.invoke(&event).await.unwrap()), Vec::<String>::new());
    assert_eq!(stage.dead().len(), 1);
    assert!(counted(&function, "RejectedFound").abs() < 0.5 && (counted(&function, "Rejected") - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn a_failed_copy_that_a_sweep_found_is_a_dead_letter_and_not_counted() {
    let stage = stage().await.with(|world| {
        world.behaviour.events = false;
        world.fail_next_copy(&id_of(1), CopyFailure::key_not_accessible());
        world.add_image(THERE, Image::new(id_of(1), "golden-1"));
    });
    let function = stage.function().await;
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    stage.aws.world().advance(HOUR);
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    let [(_, attributes)] = stage.dead().try_into().expect("one dead letter");
    assert_eq!(attributes["Code"], "CopyFailed");
    assert!(counted(&function, "RejectedFound").abs() < 0.5 && (counted(&function, "Rejected") - 1.0).abs() < 0.5);
    assert!(swept(&function).await);
    deliver(&stage, &function).await;
    stage.aws.world().advance(HOUR);
    let copy = &stage.copies()[0];
    assert!(copy.state == ImageState::Available && !is_finished(&stage, &copy.id));
    assert_eq!(copy.tags["ami-courier:try"], "0.1");
}
