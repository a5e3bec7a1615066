//! What is visible of another account's AMI: its shared tags and its watermarks. Event and sweep select by them alike.

use std::collections::BTreeMap;

use local::aws::{ACCOUNT, Image};
use serde_json::{Value, json};

use crate::selection::{AMI, OTHERS, announced, is_ignored, stage_with};
use crate::stage::{HERE, Stage, THERE};

const WATERMARK: &str = "999988887777:scanned";
const SHARED: &str = "ec2:SharedTag/approved";

/// The AMI is announced, or a sweep finds it.
async fn hears(stage: &Stage, is_announced: bool) -> Value {
    let function = stage.function().await;
    if is_announced {
        function.invoke(&announced()).await.unwrap()
    } else {
        json!(stage.sweep(&function).await.unwrap())
    }
}

fn of(owner: &str) -> Image {
    let image = Image::new(AMI, "golden-1").owner(owner);
    if owner == ACCOUNT { image } else { image.shared_with(ACCOUNT) }
}

async fn trusting(source: Image) -> Stage {
    let stage = stage_with(source).await.set("SOURCE_OWNERS", &format!("self,{OTHERS}")).set("SOURCE_REGIONS", THERE);
    stage.set("BACKFILL_DAYS", "3650")
}

#[tokio::test]
async fn event_and_sweep_agree_on_every_selection_by_tags_and_watermarks() {
    for owner in [ACCOUNT, OTHERS] {
        for (tag, is_visible) in [(None, false), (Some("approved"), owner == ACCOUNT), (Some(SHARED), true)] {
            for value in ["true", "no"] {
                for watermark in [None, Some("999988887777:other"), Some(WATERMARK)] {
                    let mut source = of(owner);
                    source.tags.extend(tag.map(|key| (key.to_owned(), value.to_owned())));
                    source.watermarks.extend(watermark.map(str::to_owned));
                    let wanted = is_visible && value == "true" && watermark == Some(WATERMARK);
                    for is_announced in [true, false] {
                        let stage = trusting(source.clone()).await;
                        let stage = stage.set("REQUIRED_TAGS", "approved=true").set("REQUIRED_WATERMARKS", WATERMARK);
                        let answer = hears(&stage, is_announced).await;
                        let case = format!("{owner} {tag:?}={value} {watermark:?}: {answer}");
                        assert_eq!(stage.copies().len(), usize::from(wanted), "{case}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let stage = |source| async { trusting(source).await.set("REQUIRED_WATERMARKS", WATERMARK) };
    let reason = format!("it has no watermark `{WATERMARK}`, which REQUIRED_WATERMARKS asks for");
    is_ignored(stage(of(OTHERS)).await, &announced(), &reason).await;
    is_ignored(stage(of(OTHERS).watermark("999988887777:other")).await, &announced(), &reason).await;
    let tagged = of(OTHERS).tag("approved", "true");
    let reason = "it has no tag `approved`, which REQUIRED_TAGS asks for";
    is_ignored(trusting(tagged).await.set("REQUIRED_TAGS", "approved"), &announced(), reason).await;
}

#[tokio::test]
async fn all_required_watermarks_must_be_there() {
    let both = "999988887777:scanned,111122223333:approved by security";
    for (watermarks, copies) in [(1, 0), (2, 1)] {
        let source = both.split(',').take(watermarks).fold(of(ACCOUNT), Image::watermark);
        for is_announced in [true, false] {
            let stage = trusting(source.clone()).await.set("REQUIRED_WATERMARKS", both);
            hears(&stage, is_announced).await;
            assert_eq!(stage.copies().len(), copies);
            assert!(stage.copies().iter().all(|copy| copy.watermarks.len() == 2), "CopyImage keeps them");
        }
    }
}

#[tokio::test]
async fn a_sweep_filters_by_a_watermark() {
    let stage = trusting(of(OTHERS)).await.set("REQUIRED_WATERMARKS", WATERMARK);
    hears(&stage, false).await;
    let listings = stage.aws.world().calls().into_iter().filter(|call| call.region == THERE);
    let filters: Vec<String> = listings.map(|call| call.parameters.to_string()).collect();
    assert!(!filters.is_empty());
    assert!(filters.iter().all(|text| text.contains("image-watermark.watermark-key") && text.contains(WATERMARK)));
}

#[tokio::test]
async fn an_invalid_watermark_stops_the_function_with_the_accepted_form() {
    for wrong in ["scanned", "1234:scanned", "999988887777:", ":scanned"] {
        let stage = Stage::new().await.set("REQUIRED_WATERMARKS", wrong);
        let log = stage.function_in(HERE).start().await.expect_err("it does not start").logs.concat();
        assert!(log.contains("REQUIRED_WATERMARKS") && log.contains("account:name"), "{log}");
    }
}

#[tokio::test]
async fn a_shared_tag_serves_the_name_and_is_carried_to_the_image_and_never_to_a_snapshot() {
    let source = of(OTHERS).tag("ec2:SharedTag/team", "infra").tag("private", "x");
    let stage = trusting(source).await.set("COPY_NAME", "{name}-{tag:team}").set("EXTRA_TAGS", "by=setting");
    let answer = stage.function().await.invoke(&announced()).await.unwrap();
    assert_eq!((&answer[0]["Outcome"], &answer[0]["Name"]), (&json!("Started"), &json!("golden-1-infra")), "{answer}");
    let copy = stage.copies().remove(0);
    let users = |tags: &BTreeMap<String, String>| -> Vec<String> {
        tags.keys().filter(|key| !key.starts_with("ami-courier:")).cloned().collect()
    };
    assert_eq!(users(&copy.tags), ["by", "ec2:SharedTag/team"]);
    assert!(copy.snapshots.iter().all(|snapshot| users(&snapshot.tags) == ["by"]));
}

#[tokio::test]
async fn a_shared_skip_tag_keeps_an_ami_from_being_copied() {
    let source = of(OTHERS).tag("ec2:SharedTag/ami-courier:skip", "");
    is_ignored(trusting(source).await, &announced(), "it has the tag `ami-courier:skip`").await;
}

#[tokio::test]
async fn a_shared_copy_says_its_origin_on_the_image_and_one_that_is_not_shared_only_hands_it_on() {
    let itself = format!("{ACCOUNT}/{THERE}/{AMI}");
    let first = "999988887777/us-west-2/ami-0fedcba9876543210".to_owned();
    let handed_on = || of(ACCOUNT).tag("ec2:SharedTag/ami-courier:origin", &first);
    let cases = [
        (of(ACCOUNT), OTHERS, Some(&itself)),
        (of(ACCOUNT), "", None),
        (handed_on(), OTHERS, Some(&first)),
        (handed_on(), "", Some(&first)),
    ];
    for (mut source, share_with, origin) in cases {
        // As many tags as a resource can have.
        let free = 50 - source.tags.len();
        source.tags.extend((0..free).map(|n| (format!("tag-{n}"), "x".to_owned())));
        for carried_by_ec2 in [false, true] {
            let stage = trusting(source.clone()).await.set("SHARE_WITH", share_with);
            let stage = stage.with(|world| world.behaviour.copies_have_shared_tags = carried_by_ec2);
            let answer = stage.function().await.invoke(&announced()).await.unwrap();
            assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
            let copy = stage.copies().remove(0);
            assert_eq!(copy.tags.get("ec2:SharedTag/ami-courier:origin"), origin);
            assert!(copy.tags.len() <= 50);
            assert!(copy.snapshots.iter().all(|snapshot| snapshot.tags.keys().all(|key| !key.starts_with("ec2:"))));
        }
    }
}
