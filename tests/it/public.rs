//! `SHARE_WITH=all`: copies and their snapshots are public, as far as EC2 lets them be.

use std::time::Duration;

use local::aws::{Image, LaunchPermission, START, Snapshot};
use local::host::Host;
use serde_json::Value;

use crate::stage::{HERE, Stage, THERE, batch, failures, state_change, words};

const AMI: &str = "ami-0abcdef1234567890";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: time::Duration = time::Duration::days(1);

async fn stage(source: Image) -> Stage {
    Stage::new().await.set("SHARE_WITH", "all").with(|world| {
        world.add_image(THERE, source);
    })
}

fn source() -> Image {
    Image::new(AMI, "golden-1")
}

/// Starts the copy and lets it end; EC2's event about it.
async fn ended(stage: &Stage, function: &Host) -> Value {
    let answer = function.invoke(&state_change(THERE, AMI, "available")).await.expect("started");
    stage.aws.world().advance(20 * MINUTE);
    state_change(HERE, answer[0]["ImageId"].as_str().expect("a copy"), "available")
}

fn copy(stage: &Stage) -> Image {
    stage.copies().remove(0)
}

fn is_private(copy: &Image) -> bool {
    copy.launch_permissions.is_empty() && copy.snapshots.iter().all(|snapshot| snapshot.shared_with.is_empty())
}

#[tokio::test]
async fn a_copy_is_public_with_its_snapshots_and_deprecated_within_two_years() {
    let stage = stage(source()).await.set("DEPRECATE", "3000");
    let function = stage.function().await;
    let available = ended(&stage, &function).await;
    for outcome in ["Finished", "Ignored"] {
        let answer = function.invoke(&available).await.expect("finished, and in step the second time");
        assert_eq!(answer[0]["Outcome"], outcome, "{answer}");
        assert!(answer[0].get("NotShared").is_none(), "{answer}");
    }
    let copy = copy(&stage);
    assert_eq!(copy.launch_permissions, [LaunchPermission::Everyone].into());
    assert!(copy.snapshots.iter().all(|snapshot| snapshot.shared_with.contains("all")));
    let deprecated = copy.deprecation_time.expect("deprecated") - copy.creation_date;
    assert!(deprecated > 729 * DAY && deprecated <= 731 * DAY, "{deprecated}");
}

#[tokio::test]
async fn an_encrypted_copy_and_one_with_watermarks_are_finished_without_being_shared() {
    let key = "arn:aws:kms:us-east-1:123456789012:key/mine";
    let encrypted = source().snapshots([Snapshot::new("snap-0aaaaaaaaaaaaaaa1").encrypted_with(key)]);
    let by_default = source();
    for (image, reason) in [
        (encrypted, "encrypted"),
        (by_default, "encrypted"),
        (source().watermark("123456789012:scanned"), "watermarks"),
    ] {
        let is_by_default = image.watermarks.is_empty() && image.snapshots.iter().all(|snapshot| !snapshot.encrypted);
        let stage = stage(image).await.with(|world| {
            world.add_key(THERE, local::aws::Key::new("mine"));
            if is_by_default {
                world.behaviour.encryption_by_default.insert(HERE.to_owned());
            }
        });
        let function = stage.function().await;
        let available = ended(&stage, &function).await;
        let answer = function.invoke(&available).await.expect("finished");
        assert_eq!(answer[0]["Outcome"], "Finished", "{answer}");
        assert!(answer[0]["NotShared"].as_str().unwrap_or_default().contains(reason), "{answer}");
        assert!(is_private(&copy(&stage)));
        assert_eq!(stage.dead(), Vec::new());
    }
}

#[tokio::test]
async fn block_public_access_is_explained_and_once_it_is_off_the_dead_letter_finishes_the_copy() {
    let stage = stage(source()).await.with(|world| {
        world.behaviour.public_access_blocked.insert(HERE.to_owned());
    });
    let function = stage.function().await;
    let available = ended(&stage, &function).await;
    let answer = function.invoke(&batch([("m1", available.to_string())])).await.expect("an answer");
    assert_eq!(failures(&answer), Vec::<String>::new());
    let (letter, why) = stage.dead().remove(0);
    for part in ["block public access", "disable-image-block-public-access", "disable-snapshot-block-public-access"] {
        assert!(words(&why).contains(part), "{why:?}");
    }
    assert!(is_private(&copy(&stage)));
    stage.aws.world().behaviour.public_access_blocked.clear();
    let answer = function.invoke(&batch([("m1", letter)])).await.expect("an answer");
    assert_eq!(failures(&answer), Vec::<String>::new());
    assert_eq!(copy(&stage).launch_permissions, [LaunchPermission::Everyone].into());
}

#[tokio::test]
async fn a_deprecation_time_of_the_source_beyond_two_years_becomes_the_latest_that_ec2_takes() {
    let mut late = source();
    late.deprecation_time = Some(START + 2500 * DAY);
    let stage = stage(late).await;
    let function = stage.function().await;
    let available = ended(&stage, &function).await;
    assert_eq!(function.invoke(&available).await.expect("finished")[0]["Outcome"], "Finished");
    let copy = copy(&stage);
    assert!(copy.deprecation_time.expect("deprecated") <= copy.creation_date + 731 * DAY);
}
