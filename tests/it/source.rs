//! Finding the source AMI: it may be young, pending, out of service, another account's, or in a Region that does not exist.

use std::time::Duration;

use local::aws::{ACCOUNT, Fault, HiddenAs, Image, ImageState, START, Snapshot, StateReason, default_key_arn};
use serde_json::{Value, json};

use crate::selection::{AMI, OTHERS, announced, error, is_copied, is_ignored, stage_with};
use crate::stage::{HERE, Stage, THERE, batch, failures, request, state_change, words};

const MINUTE: Duration = Duration::from_secs(60);
/// How EC2 may answer for an AMI that it does not show.
const HIDDEN: [HiddenAs; 3] = [HiddenAs::NotFound, HiddenAs::Empty, HiddenAs::Unavailable];

/// The announcement, sent when the world began.
fn message() -> Value {
    batch([("m1", announced().to_string())])
}

/// Lets time pass until so many minutes after the world began.
fn wait_until(stage: &Stage, minutes: u32) {
    let mut world = stage.aws.world();
    let left = START + minutes * MINUTE - world.now();
    world.advance(left.unsigned_abs());
}

#[tokio::test]
async fn a_source_that_is_still_pending_is_retried_in_minutes_until_it_is_available() {
    let by_cloud_trail = json!({ "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "region": THERE,
        "detail": { "eventName": "CreateImage", "awsRegion": THERE, "responseElements": { "imageId": AMI } } });
    let stage = stage_with(Image::new(AMI, "golden-1").state(ImageState::Pending)).await;
    let function = stage.function().await;
    for announcement in [&by_cloud_trail, &announced(), &request(AMI, "golden-1")] {
        let (kind, message) = error(function.invoke(announcement).await);
        assert_eq!(kind, "Retry");
        assert!(message.contains(&format!("the source AMI {AMI} in {THERE} is still pending")), "{message}");
        assert!(message.ends_with("Temporary: will be retried in minutes."), "{message}");
    }
    stage.aws.world().image_mut(THERE, AMI).unwrap().state = ImageState::Available;
    assert_eq!(function.invoke(&by_cloud_trail).await.unwrap()[0]["Outcome"], "Started");
}

#[tokio::test]
async fn a_source_that_failed_or_is_out_of_service_is_ignored_with_the_reason_and_rejected_for_a_request() {
    let failed = || {
        let mut image = Image::new(AMI, "golden-1").state(ImageState::Failed);
        image.state_reason = Some(StateReason::new("Client.InternalError", "no volume"));
        image
    };
    let disabled = || Image::new(AMI, "golden-1").state(ImageState::Disabled);
    let deregistered = || async {
        stage_with(Image::new(AMI, "golden-1")).await.with(|world| {
            world.deregister(THERE, AMI);
        })
    };
    is_ignored(stage_with(failed()).await, &announced(), "the source AMI failed: no volume").await;
    is_ignored(stage_with(disabled()).await, &announced(), "the source AMI is disabled").await;
    is_ignored(deregistered().await, &announced(), "the source AMI is deregistered").await;
    let (kind, message) = error(deregistered().await.function().await.invoke(&request(AMI, "golden-1")).await);
    assert_eq!(kind, "Rejected");
    assert!(message.contains(&format!("{AMI} in {THERE} is not copied: the source AMI is deregistered")), "{message}");
    let failed_event = {
        let mut event = state_change(THERE, AMI, "failed");
        event["detail"]["ErrorMessage"] = json!("no volume");
        event
    };
    is_ignored(stage_with(failed()).await, &failed_event, "the source AMI failed: no volume").await;
}

/// EC2 of another account announces all its AMIs, also those that are meant for nobody here.
#[tokio::test]
async fn an_ami_of_another_account_that_is_never_shared_is_ignored_after_an_hour_and_counted() {
    const OTHER: &str = "999988887777";
    let of = |account: &str, mut event: Value| {
        event["account"] = account.into();
        event.to_string()
    };
    let arn = format!("arn:aws:ec2:{THERE}::image/{AMI}");
    let changed = state_change(THERE, AMI, "available");
    let tagged = json!({
        "version": "0", "id": "1", "detail-type": "Tag Change on Resource", "source": "aws.tag", "time": "2026-01-01T00:00:00Z",
        "region": THERE, "resources": [arn],
        "detail": { "changed-tag-keys": ["team"], "service": "ec2", "resource-type": "image", "version": 1, "tags": { "team": "sre" } },
    });
    let called = json!({
        "version": "0", "id": "1", "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2", "time": "2026-01-01T00:00:00Z",
        "region": THERE, "resources": [],
        "detail": { "eventName": "RegisterImage", "awsRegion": THERE, "responseElements": { "imageId": AMI } },
    });
    let published = json!({
        "version": "0", "id": "1", "detail-type": "AMI released", "source": "com.example.pipeline", "time": "2026-01-01T00:00:00Z",
        "region": THERE, "resources": [arn], "detail": {},
    });
    for (body, is_ignored) in [
        (of(OTHER, changed.clone()), true),
        (of(OTHER, tagged.clone()), true),
        (of(OTHER, called.clone()), true),
        (of(ACCOUNT, changed), false),
        (of(ACCOUNT, tagged), false),
        (of(ACCOUNT, called), false),
        (of(OTHER, published), false),
        (json!({ "SourceImageId": AMI, "SourceRegion": THERE, "Name": "golden" }).to_string(), false),
    ] {
        let stage = Stage::new()
            .await
            .set("SOURCE_OWNERS", "self,999988887777")
            .set("REQUIRED_TAGS", "team")
            .set("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .with(|world| {
                world.add_image(THERE, Image::new(AMI, "golden-1").owner(OTHER));
            });
        let function = stage.function().await;
        let records = batch([("m1", body.clone())]);
        stage.aws.world().advance(Duration::from_secs(59 * 60));
        assert_eq!(failures(&function.invoke(&records).await.unwrap()), ["m1"], "{body}");
        stage.aws.world().advance(Duration::from_secs(60));
        assert_eq!(failures(&function.invoke(&records).await.unwrap()), Vec::<String>::new(), "{body}");
        assert_eq!(stage.dead().len(), usize::from(!is_ignored), "{body}");
        let log = function.logs().join("\n");
        assert_eq!(log.contains("\"NeverVisible\":1"), is_ignored, "{body}: {log}");
        assert_eq!(log.contains("of another account"), is_ignored, "{body}: {log}");
    }
}

#[tokio::test]
async fn a_source_that_is_not_visible_is_retried_for_an_hour_and_then_rejected() {
    for not_visible in HIDDEN {
        // A deregistered AMI looks the same, and so does another account's that is not shared.
        let stage = stage_with(Image::new(AMI, "golden-1")).await.with(|world| {
            world.behaviour.deregistered_returned_for = Duration::ZERO;
            world.behaviour.deregistered_empty_for = Duration::ZERO;
            world.behaviour.forgotten_as = not_visible;
            world.deregister(THERE, AMI);
        });
        let function = stage.function().await;
        for (after, expected) in [(0, vec!["m1"]), (59, vec!["m1"]), (60, vec![])] {
            wait_until(&stage, after);
            assert_eq!(failures(&function.invoke(&message()).await.unwrap()), expected, "after {after} minutes");
        }
        let [(_, why)] = stage.dead().try_into().unwrap();
        assert_eq!(why["Code"], "InvalidAMIID.NotFound");
        assert!(words(&why).contains("its owner shares the AMI with this account"), "{why:?}");
        assert_eq!(stage.copy_image_calls().len(), 0);
    }
}

#[tokio::test]
async fn a_new_source_that_becomes_visible_within_the_hour_is_copied() {
    for not_visible in HIDDEN {
        let stage = Stage::new().await.with(|world| {
            world.behaviour.hide_new_images_for(15 * MINUTE);
            world.behaviour.invisible_as = not_visible;
            world.behaviour.not_shared_as = not_visible;
        });
        stage.aws.world().add_image(THERE, Image::new(AMI, "golden-1").owner(OTHERS));
        stage.aws.world().share_image_later(THERE, AMI, ACCOUNT, 40 * MINUTE);
        stage.aws.world().share_snapshots_later(THERE, AMI, ACCOUNT, 50 * MINUTE);
        let stage = stage.set("SOURCE_OWNERS", OTHERS);
        let function = stage.function().await;
        for (after, expected) in [(0, vec!["m1"]), (39, vec!["m1"]), (49, vec!["m1"]), (51, vec![])] {
            wait_until(&stage, after);
            assert_eq!(failures(&function.invoke(&message()).await.unwrap()), expected, "after {after} minutes");
        }
        assert_eq!(stage.copied(), [AMI.to_owned()].into());
        assert_eq!(stage.dead(), []);
    }
}

fn theirs() -> Image {
    Image::new(AMI, "golden-1").owner(OTHERS)
}

#[tokio::test]
async fn an_ami_that_another_account_shares_is_copied_if_its_owner_is_trusted() {
    let reason = "its owner 111122223333 is not one of SOURCE_OWNERS (self)";
    is_ignored(stage_with(theirs().shared_with(ACCOUNT)).await, &announced(), reason).await;
    is_ignored(stage_with(theirs().public()).await, &announced(), reason).await;
    is_copied(stage_with(theirs().shared_with(ACCOUNT)).await.set("SOURCE_OWNERS", "self,111122223333"), &announced())
        .await;
}

#[tokio::test]
async fn an_owner_that_a_message_claims_counts_for_nothing() {
    let mut event = announced();
    event["account"] = json!(ACCOUNT);
    event["detail"]["OwnerId"] = json!(ACCOUNT);
    event["resources"] = json!([format!("arn:aws:ec2:{THERE}:{ACCOUNT}:image/{AMI}")]);
    is_ignored(
        stage_with(theirs().shared_with(ACCOUNT)).await,
        &event,
        "its owner 111122223333 is not one of SOURCE_OWNERS (self)",
    )
    .await;
}

#[tokio::test]
async fn when_the_snapshots_of_another_accounts_ami_are_not_shared_the_rejection_tells_the_owner_what_to_do() {
    let mut source = theirs().shared_with(ACCOUNT);
    source.snapshots[0].shared_with.clear();
    let stage = stage_with(source).await.set("SOURCE_OWNERS", OTHERS);
    let (kind, message) = error(stage.function().await.invoke(&announced()).await);
    assert_eq!(kind, "Rejected");
    assert!(message.contains("You do not have permission to access the storage of this ami"), "{message}");
    let advice = "its owner, account 111122223333, must share with this account not only the AMI but also its snapshots (create volume \
                  permission) and, where they are encrypted, the KMS key (Decrypt, DescribeKey, CreateGrant, ReEncrypt*)";
    assert!(message.ends_with(&format!("{advice}.")), "{message}");
}

#[tokio::test]
async fn when_the_key_of_another_accounts_snapshots_is_not_shared_the_failed_copy_says_so() {
    let key = default_key_arn(THERE, OTHERS);
    let snapshots = [Snapshot::new("snap-0123456789abcdef0").encrypted_with(&key)];
    let stage = stage_with(theirs().snapshots(snapshots).shared_with(ACCOUNT)).await.set("SOURCE_OWNERS", OTHERS);
    let function = stage.function().await;
    let started = function.invoke(&announced()).await.unwrap();
    assert_eq!(started[0]["Outcome"], "Started", "EC2 notices only later");
    stage.aws.world().advance(Duration::from_secs(3600));
    let copy = started[0]["ImageId"].as_str().unwrap();
    let (kind, message) = error(function.invoke(&state_change(HERE, copy, "failed")).await);
    assert_eq!(kind, "Rejected");
    assert!(
        message.starts_with("CopyFailed: ")
            && message.contains(AMI)
            && message.contains("Given key ID is not accessible"),
        "{message}"
    );
}

#[tokio::test]
async fn an_ami_of_another_partition_is_rejected_since_copy_image_cannot_copy_it() {
    let stage = Stage::new().await;
    let function = stage.function().await;
    for (region, partition) in [
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("eusc-de-east-1", "aws-eusc"),
    ] {
        let mut event = state_change(region, AMI, "available");
        event["resources"] = json!([format!("arn:{partition}:ec2:{region}::image/{AMI}")]);
        let (kind, message) = error(function.invoke(&event).await);
        assert_eq!(kind, "Rejected");
        assert!(
            message.contains(&format!("is in the partition `{partition}`"))
                && message.contains("CopyImage cannot copy from one partition to another"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_region_that_aws_cannot_have_is_rejected_at_once_with_the_nearest_one() {
    let stage = Stage::new().await;
    let function = stage.function().await;
    let event = state_change("us-esat-1", AMI, "available");
    let (kind, message) = error(function.invoke(&event).await);
    assert_eq!(kind, "Rejected");
    assert!(message.starts_with("NoSuchRegion: AWS has no Region `us-esat-1`: did you mean `us-east-1`?"), "{message}");
    assert_eq!(stage.actions(), ["PutEvents"], "no Region is asked");
}

#[tokio::test]
async fn stacks_of_other_partitions_copy_within_their_own() {
    for (here, there) in [("cn-northwest-1", "cn-north-1"), ("us-gov-east-1", "us-gov-west-1")] {
        let stage = Stage::new().await.with(|world| {
            world.add_image(there, Image::new(AMI, "golden-1"));
        });
        let stage = stage.set("QUEUE_URL", "").set("DEAD_LETTER_QUEUE_URL", "");
        let function = stage.function_in(here).start().await.unwrap();
        let partition = if here.starts_with("cn") { "aws-cn" } else { "aws-us-gov" };
        let mut event = state_change(there, AMI, "available");
        event["resources"] = json!([format!("arn:{partition}:ec2:{there}::image/{AMI}")]);
        let answer = function.invoke(&event).await.unwrap();
        assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
        assert_eq!(stage.aws.world().images(here).len(), 1);
    }
}

#[tokio::test]
async fn the_source_and_the_copies_are_looked_for_at_the_same_time() {
    let stage = stage_with(Image::new(AMI, "golden-1")).await.with(|world| {
        world.fault(local::aws::Fault::on("DescribeImages").first(2).slow(Duration::from_secs(2)));
    });
    let function = stage.function().await;
    let event = announced();
    let invocation = function.invoke(&event);
    tokio::pin!(invocation);
    let both_unanswered = async {
        loop {
            let calls = stage.aws.world().calls();
            let regions: Vec<&str> =
                calls.iter().filter(|call| call.status == 0).map(|call| call.region.as_str()).collect();
            if regions.contains(&HERE) && regions.contains(&THERE) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        answer = &mut invocation => panic!("one waited for the other: {answer:?}"),
        () = both_unanswered => {}
    }
    assert_eq!(invocation.await.unwrap()[0]["Outcome"], "Started");
}

/// `local` is kept free of the function's code, so that it is an independent check. Two lists must not drift apart.
#[test]
fn the_function_and_aws_on_loopback_know_the_same_regions() {
    assert_eq!(courier_core::region::KNOWN, local::aws::REGIONS);
}

/// What EC2 shows in one look it need not show in the look before.
#[tokio::test]
async fn an_ami_of_a_trusted_owner_that_only_the_second_look_shows_is_waited_for_and_never_called_untrusted() {
    let stage = Stage::new().await.source(AMI, "golden-1").with(|world| {
        let flickers = Fault::on("DescribeImages").in_region(THERE).nth(1);
        world.fault(flickers.error(400, "InvalidAMIID.NotFound", "The image id does not exist"));
    });
    let function = stage.function().await;
    let message = batch([("m1", state_change(THERE, AMI, "available").to_string())]);
    assert_eq!(failures(&function.invoke(&message).await.unwrap()), ["m1"]);
    assert_eq!(failures(&function.invoke(&message).await.unwrap()), Vec::<String>::new());
    assert_eq!(stage.copied(), [AMI.to_owned()].into());
}
