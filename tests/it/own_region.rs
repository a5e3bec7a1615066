//! The stack's own Region as a source: AMIs of other trusted accounts there are copied into this account, and never one of its
//! own. To a Local Zone or an Outpost, EC2 copies from the own Region only.

use std::time::Duration;

use local::aws::{ACCOUNT, Caller, Image, ImageState, Key, LaunchPermission};
use serde_json::{Value, json};

use crate::selection::{AMI, OTHERS, error};
use crate::stage::{HERE, Stage, THERE, ami, batch, failures, state_change};

const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const FRIEND: &str = "444455556666";
const PARAMETER: &str = "/golden";
const PUBLIC: &str = "/aws/service/golden/latest";
const OUTPOST: &str = "arn:aws:outposts:eu-west-1:123456789012:outpost/op-0e32a5b7c9d1f2468";

/// An AMI of another account in the own Region.
fn of_others() -> Image {
    Image::new(AMI, "golden-1").owner(OTHERS).shared_with(ACCOUNT)
}

/// A stack that names its own Region, with a key of its own.
async fn stage() -> Stage {
    let stage = Stage::new().await.set("SOURCE_REGIONS", HERE).set("SOURCE_OWNERS", &format!("self,{OTHERS}"));
    stage.set("KMS_KEY_ID", KEY).set("BACKFILL_DAYS", "3650").with(|world| {
        world.add_key(HERE, Key::new(KEY));
        world.add_image(HERE, of_others());
        for name in [PARAMETER, PUBLIC] {
            world.set_parameter(HERE, name, AMI, "aws:ec2:image");
        }
    })
}

/// EC2's own event, as the other account forwards it.
fn forwarded(state: &str) -> Value {
    let mut event = state_change(HERE, AMI, state);
    event["account"] = json!(OTHERS);
    event
}

fn requested(source: &str, region: &str) -> Value {
    json!({ "Name": "requested", "SourceImageId": source, "SourceRegion": region })
}

fn parameter_changed(name: &str, account: &str) -> Value {
    json!({ "version": "0", "source": "aws.ssm", "detail-type": "Parameter Store Change", "account": ACCOUNT, "region": HERE,
            "resources": [format!("arn:aws:ssm:{HERE}:{account}:parameter{name}")],
            "detail": { "operation": "Update", "name": name, "type": "String", "dataType": "aws:ec2:image" } })
}

/// The AMIs of this account in the own Region.
fn own(stage: &Stage) -> Vec<Image> {
    stage.copies().into_iter().filter(|image| image.owner == ACCOUNT).collect()
}

#[tokio::test]
async fn another_accounts_ami_is_copied_with_a_key_of_ones_own_announced_in_each_way() {
    let ways = [
        ("event", Some(forwarded("available"))),
        ("request", Some(requested(AMI, HERE))),
        ("sweep", None),
        ("parameter", Some(parameter_changed(PARAMETER, ACCOUNT))),
        ("public parameter", Some(parameter_changed(PUBLIC, ""))),
    ];
    for (way, message) in ways {
        let stage = stage().await;
        let function = stage.function().await;
        let answer = match message {
            Some(message) => function.invoke(&message).await.unwrap(),
            None => json!(stage.sweep(&function).await.unwrap()),
        };
        let copies = own(&stage);
        assert_eq!(copies.len(), 1, "{way}: {answer}");
        assert_eq!(copies[0].source_image_id.as_deref(), Some(AMI), "{way}");
        assert_eq!(copies[0].source_image_region.as_deref(), Some(HERE), "{way}");
        let is_under_key = |key: &Option<String>| key.as_ref().is_some_and(|key| key.ends_with(KEY));
        assert!(copies[0].snapshots.iter().all(|snapshot| is_under_key(&snapshot.kms_key)), "{way}");

        stage.aws.world().advance(Duration::from_secs(3600));
        let again = function.invoke(&batch([("m1", forwarded("available").to_string())])).await.unwrap();
        assert_eq!(failures(&again), Vec::<String>::new(), "{way}");
        let finished = function.invoke(&state_change(HERE, &copies[0].id, "available")).await.unwrap();
        assert_eq!(finished[0]["Outcome"], "Finished", "{way}: {finished}");
        stage.sweep(&function).await.unwrap();
        assert_eq!(own(&stage).len(), 1, "{way}: nothing is copied twice");
    }
}

#[tokio::test]
async fn an_ami_of_this_account_in_the_own_region_is_never_copied() {
    let owners = format!("self,{OTHERS},{ACCOUNT}");
    for owners in [owners.as_str(), &format!("self,{OTHERS}")] {
        let stage = stage().await.set("SOURCE_OWNERS", owners).with(|world| {
            world.forget_image(HERE, AMI);
            world.add_image(HERE, Image::new(AMI, "golden-1"));
        });
        let function = stage.function().await;
        for message in [state_change(HERE, AMI, "available"), parameter_changed(PARAMETER, ACCOUNT)] {
            let answer = function.invoke(&message).await.unwrap();
            assert_eq!(answer[0]["Outcome"], "Ignored", "{answer}");
        }
        let mut in_time = requested(AMI, HERE);
        in_time["SnapshotCopyCompletionDurationMinutes"] = json!(30);
        for request in [requested(AMI, HERE), in_time] {
            let (kind, message) = error(function.invoke(&request).await);
            assert_eq!(kind, "Rejected");
            assert!(message.contains("it is in eu-west-1 already, and belongs to this account"), "{message}");
        }
        stage.sweep(&function).await.unwrap();
        assert_eq!(stage.copy_image_calls().len(), 0);
    }
}

#[tokio::test]
async fn an_ami_made_from_an_instance_of_the_source_is_not_taken_for_its_copy_and_a_copy_by_hand_is() {
    let from_instance = || Image::new(ami(5), "snapshot of a server").made_from_instance_of(AMI, HERE);
    let by_hand = || Image::new(ami(5), "by hand").copy_of(AMI, HERE);
    for (other, copies) in [(from_instance(), 1), (by_hand(), 0)] {
        for is_announced in [true, false] {
            let other = other.clone();
            let stage = stage().await.with(|world| {
                world.add_image(HERE, other);
            });
            let function = stage.function().await;
            if is_announced {
                let answer = function.invoke(&forwarded("available")).await.unwrap();
                let outcome = if copies == 1 { "Started" } else { "AlreadyCopied" };
                assert_eq!(answer[0]["Outcome"], outcome, "{answer}");
            } else {
                stage.sweep(&function).await.unwrap();
            }
            assert_eq!(stage.copy_image_calls().len(), copies);
        }
    }
}

#[tokio::test]
async fn without_its_name_in_source_regions_the_own_region_is_no_source() {
    let stage = stage().await.set("SOURCE_REGIONS", "");
    let function = stage.function().await;
    let answer = function.invoke(&forwarded("available")).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Ignored", "{answer}");
    let (kind, message) = error(function.invoke(&requested(AMI, HERE)).await);
    assert_eq!(kind, "Rejected");
    assert!(message.contains("eu-west-1 is this stack's own Region"), "{message}");
    assert_eq!(stage.copy_image_calls().len(), 0);
}

#[tokio::test]
async fn the_own_region_alone_without_other_accounts_stops_the_function_with_the_accepted_form() {
    let stage = Stage::new().await.set("SOURCE_REGIONS", HERE);
    let wrong = stage.function_in(HERE).start().await.expect_err("it does not start").logs.concat();
    assert!(wrong.contains("SOURCE_REGIONS") && wrong.contains("name other accounts in SOURCE_OWNERS"), "{wrong}");
}

#[tokio::test]
async fn an_untrusted_accounts_ami_in_the_own_region_is_not_copied() {
    let stage = stage().await.set("SOURCE_OWNERS", "self,999988887777");
    let function = stage.function().await;
    let answer = function.invoke(&forwarded("available")).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Ignored", "{answer}");
    let (_, message) = error(function.invoke(&requested(AMI, HERE)).await);
    assert!(message.contains(&format!("its owner {OTHERS} is not one of SOURCE_OWNERS")), "{message}");
    assert_eq!(stage.copy_image_calls().len(), 0);
}

#[tokio::test]
async fn a_copy_within_the_region_follows_its_source_out_of_service() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true");
    let function = stage.function().await;
    function.invoke(&forwarded("available")).await.unwrap();
    stage.aws.world().advance(Duration::from_secs(3600));
    let copy = own(&stage)[0].id.clone();
    function.invoke(&state_change(HERE, &copy, "available")).await.unwrap();
    stage.aws.world().deregister(HERE, AMI);
    function.invoke(&forwarded("deregistered")).await.unwrap();
    let copy = own(&stage).remove(0);
    assert!(
        copy.tags.contains_key("ami-courier:source-gone-since"),
        "EC2 still shows it as deregistered: {:?}",
        copy.tags
    );
}

/// EC2 hides a disabled AMI from all but its owner, so the event is all that there is.
#[tokio::test]
async fn the_event_of_another_accounts_disabled_ami_is_ignored_at_once() {
    let stage = stage().await.set("RETIRE_WITH_SOURCE", "true");
    stage.aws.world().add_image(HERE, Image::new(AMI, "golden-1").owner(OTHERS).state(ImageState::Disabled));
    let mut message = batch([("m1", forwarded("disabled").to_string())]);
    let sent = stage.aws.world().now().unix_timestamp() * 1000;
    message["Records"][0]["attributes"]["SentTimestamp"] = json!(sent.to_string());
    let answer = stage.function().await.invoke(&message).await.unwrap();
    assert_eq!(failures(&answer), Vec::<String>::new());
    assert!(stage.dead().is_empty(), "{:?}", stage.dead());
}

/// The event of the copy is no event of a source, although this Region has sources.
#[tokio::test]
async fn a_copy_that_was_disabled_by_hand_and_enabled_again_is_shared_again() {
    let stage = stage().await.set("SHARE_WITH", FRIEND);
    let function = stage.function().await;
    function.invoke(&forwarded("available")).await.unwrap();
    stage.aws.world().advance(Duration::from_secs(3600));
    let copy = own(&stage)[0].id.clone();
    let is_shared = || own(&stage)[0].launch_permissions.contains(&LaunchPermission::UserId(FRIEND.to_owned()));
    function.invoke(&state_change(HERE, &copy, "available")).await.unwrap();
    assert!(is_shared());
    for (action, state, is_then_shared) in [("DisableImage", "disabled", false), ("EnableImage", "available", true)] {
        let call = stage.aws.world().call(&Caller::in_region(HERE), "ec2", action, &json!({ "ImageId": copy }));
        call.expect("the owner may do that");
        function.invoke(&state_change(HERE, &copy, state)).await.unwrap();
        assert_eq!(is_shared(), is_then_shared, "{action}");
    }
}

/// The ways to name a destination below the Region.
fn narrower() -> [Value; 3] {
    [
        json!({ "DestinationAvailabilityZone": "eu-west-1-dub-1a" }),
        json!({ "DestinationAvailabilityZoneId": "euw1-dub1-az1" }),
        json!({ "DestinationOutpostArn": OUTPOST }),
    ]
}

fn to(destination: &Value, source: &str, region: &str) -> Value {
    let mut request = requested(source, region);
    request.as_object_mut().unwrap().extend(destination.as_object().unwrap().clone());
    request
}

#[tokio::test]
async fn to_a_local_zone_or_an_outpost_an_ami_of_any_trusted_owner_in_the_own_region_is_copied() {
    for destination in narrower() {
        let trusting = format!("self,{OTHERS}");
        let stage = Stage::new().await.set("SOURCE_OWNERS", &trusting).with(|world| {
            world.add_image(HERE, of_others());
            world.add_image(HERE, Image::new(ami(1), "own"));
        });
        let function = stage.function().await;
        for source in [AMI, &ami(1)] {
            let answer = function.invoke(&to(&destination, source, HERE)).await.unwrap();
            assert_eq!(answer["Outcome"], "Started", "{answer}");
        }
        let (name, value) = destination.as_object().unwrap().iter().next().unwrap();
        for call in stage.copy_image_calls() {
            assert_eq!((&call[name], &call["SourceRegion"]), (value, &json!(HERE)));
        }
    }
}

#[tokio::test]
async fn an_ami_with_the_tag_skip_is_not_copied_to_a_local_zone_or_an_outpost_either() {
    let skip = Image::new(AMI, "golden-1").tag("ami-courier:skip", "");
    for destination in narrower() {
        let stage = Stage::new().await.with(|world| {
            world.add_image(HERE, skip.clone());
        });
        let (_, message) = error(stage.function().await.invoke(&to(&destination, AMI, HERE)).await);
        assert!(message.contains("it has the tag `ami-courier:skip`"), "{message}");
        assert_eq!(stage.copy_image_calls().len(), 0);
    }
}

#[tokio::test]
async fn to_a_local_zone_or_an_outpost_another_region_is_rejected_with_reason_and_advice_and_nothing_is_sent() {
    for destination in narrower() {
        let stage = Stage::new().await.source(AMI, "golden-1");
        let function = stage.function().await;
        let (kind, message) = error(function.invoke(&to(&destination, AMI, THERE)).await);
        assert_eq!(kind, "Rejected");
        assert!(message.starts_with("SourceNotAllowed: "), "{message}");
        assert!(message.contains("from its own Region only, here eu-west-1") && message.contains(THERE), "{message}");
        assert!(message.contains("copy the AMI to eu-west-1 first"), "{message}");
        assert_eq!(stage.actions(), ["PutEvents"], "EC2 is not asked: nothing but the rejection is reported");
    }
}
