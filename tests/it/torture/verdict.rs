//! The check at the end of a round. It is exact: what must be there is there, once, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use courier_core::settings::Settings;
use local::aws::{Image, ImageState, LaunchPermission, SnapshotState, World};
use serde_json::{Value, json};

use super::cast::{Act, Case, End};
use super::in_step::{is_held, not_in_step};
use super::setting::{DEAD_LETTERS, FRIEND, QUEUE, Setting};
use crate::stage::HERE;

/// Everything that is wrong; empty if the promise was kept.
pub fn verdict(
    cases: &[Case],
    setting: &Setting,
    settings: &Settings,
    bystanders: &BTreeSet<String>,
    world: &World,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let images = world.images(HERE);
    let mut expected: BTreeMap<&str, &Image> = BTreeMap::new();
    for case in cases {
        let copies = copies_of(case, &images);
        match (case.end, copies.as_slice()) {
            (End::Disabled, [copy]) if copy.state == ImageState::Disabled => {
                expected.insert(&copy.id, copy);
            }
            (End::InStep, []) if is_disabled(case, world) => {}
            (End::InStep, [copy]) if copy.state == ImageState::Disabled && is_disabled(case, world) => {
                expected.insert(&copy.id, copy);
            }
            (End::Copied | End::CopiedAtLast | End::InUse | End::InStep, [copy]) => {
                if settings.retire_with_source && is_disabled(case, world) && !is_held(copy, settings, world) {
                    wrong.push(format!("the copy {} is not disabled as its source ({}) is", copy.id, case.name));
                }
                expected.insert(&copy.id, copy);
                let told =
                    |fault: String| format!("the copy {} of an AMI {} ({}): {fault}", copy.id, case.what, case.name);
                wrong.extend(unfinished(copy, case, setting, world).into_iter().map(told));
            }
            (End::Requested, copies) if is_one_of_each_order(copies) => {
                for copy in copies {
                    expected.insert(&copy.id, copy);
                    wrong.extend(unfinished(copy, case, setting, world));
                }
            }
            // The cause lasts, so each epoch has new tries: the latest failures may not be found yet.
            (End::Failed, copies) if copies.iter().all(|copy| copy.state == ImageState::Failed) => {
                expected.extend(copies.iter().map(|copy| (copy.id.as_str(), *copy)));
            }
            (End::CopiedByHand, [copy]) if copy.tags.is_empty() => {}
            (End::CopiedByHand, [copy]) => wrong.push(format!("the copy {} made by hand was changed", copy.id)),
            (
                End::Copied
                | End::CopiedAtLast
                | End::CopiedByHand
                | End::Requested
                | End::InUse
                | End::Disabled
                | End::InStep,
                copies,
            ) => {
                wrong.push(format!("an AMI {} ({}) has {} copies, not one", case.what, case.name, copies.len()));
            }
            (_, []) => {}
            (_, copies) => {
                wrong.push(format!("an AMI {} ({}) has {} copies, not none", case.what, case.name, copies.len()));
            }
        }
    }
    for image in &images {
        if !expected.contains_key(image.id.as_str()) && !bystanders.contains(&image.id) {
            wrong.push(format!("{} is left over: `{}`, {}", image.id, image.name, image.state));
        }
    }
    let of_images: BTreeSet<String> =
        images.iter().flat_map(|image| image.snapshots.iter().map(|snapshot| snapshot.id.clone())).collect();
    for orphan in world.snapshots(HERE).into_iter().filter(|snapshot| !of_images.contains(snapshot)) {
        wrong.push(format!("the snapshot {orphan} is left over"));
    }
    for message in world.messages(QUEUE) {
        wrong.push(format!("still in the queue: {}", message.body));
    }
    wrong.extend(parameters(cases, setting, &images, world));
    wrong.extend(not_in_step(settings, world));
    wrong.extend(dead_letters(cases, world));
    wrong
}

/// At least one copy, and at most one for the request and one for the announcement.
fn is_one_of_each_order(copies: &[&Image]) -> bool {
    let is_requested =
        |copy: &&&Image| copy.tags.get("ami-courier:try").is_some_and(|made_for| made_for.starts_with("request"));
    let requested = copies.iter().filter(is_requested).count();
    !copies.is_empty() && requested <= 1 && copies.len() - requested <= 1
}

fn copies_of<'a>(case: &Case, images: &'a [Image]) -> Vec<&'a Image> {
    images.iter().filter(|image| source_of(case, image).is_some()).collect()
}

/// Whether the source AMI is disabled.
fn is_disabled(case: &Case, world: &World) -> bool {
    let source = case.source.as_ref().and_then(|(region, id)| world.image(region, id));
    source.is_some_and(|source| source.state == ImageState::Disabled)
}

/// Which AMI of the case an AMI is a copy of.
fn source_of<'a>(case: &'a Case, image: &Image) -> Option<&'a (String, String)> {
    [&case.source, &case.sibling].into_iter().flatten().find(|(region, id)| {
        image.source_image_id.as_ref() == Some(id) && image.source_image_region.as_ref() == Some(region)
    })
}

/// What the copy lacks of being available and finished.
fn unfinished(copy: &Image, case: &Case, setting: &Setting, world: &World) -> Vec<String> {
    let (region, id) = source_of(case, copy).expect("a copy has a source");
    let mut lacks = Vec::new();
    if copy.state != ImageState::Available {
        lacks.push(format!("is {}", copy.state));
    }
    if copy.name != setting.copy_name(&case.name, region) {
        lacks.push(format!("is called `{}`", copy.name));
    }
    if !copy.tags.contains_key("ami-courier:finished") {
        lacks.push("is not finished".to_owned());
    }
    for tags in std::iter::once(&copy.tags).chain(copy.snapshots.iter().map(|snapshot| &snapshot.tags)) {
        if tags.get("ami-courier:source-image") != Some(id) || tags.get("ami-courier:source-region") != Some(region) {
            lacks.push("does not have the courier's tags".to_owned());
        }
    }
    if copy.snapshots.is_empty() || copy.snapshots.iter().any(|snapshot| snapshot.state != SnapshotState::Completed) {
        lacks.push("has no completed snapshots".to_owned());
    }
    if setting.encrypts && copy.snapshots.iter().any(|snapshot| !snapshot.encrypted) {
        lacks.push("is not encrypted".to_owned());
    }
    let is_shared = copy.launch_permissions.contains(&LaunchPermission::UserId(FRIEND.to_owned()))
        && copy.snapshots.iter().all(|snapshot| snapshot.shared_with.contains(FRIEND));
    if setting.shares != is_shared {
        lacks.push(format!("is shared: {is_shared}"));
    }
    if setting.tells {
        let is_finished = |event: &local::aws::PutEvent| {
            event.detail["Outcome"] == "Finished" && event.detail["ImageId"] == copy.id.as_str()
        };
        if !world.put_events().iter().any(is_finished) {
            lacks.push("has no event on the event bus".to_owned());
        }
    }
    lacks
}

/// Each parameter must hold the copy of the newest source.
fn parameters(cases: &[Case], setting: &Setting, images: &[Image], world: &World) -> Vec<String> {
    if !setting.publishes {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for role in ["web", "db"] {
        let copied = cases
            .iter()
            .filter(|case| case.role == role && matches!(case.end, End::Copied | End::CopiedAtLast | End::Requested));
        let Some(newest) = copied.max_by_key(|case| case.created) else { continue };
        let newest_copies: Vec<String> = copies_of(newest, images).iter().map(|copy| copy.id.clone()).collect();
        let held = world.parameter(HERE, &format!("/golden/{role}")).map(|parameter| parameter.value);
        if !held.as_ref().is_some_and(|held| newest_copies.contains(held)) {
            wrong.push(format!(
                "/golden/{role} holds {held:?}, the newest copy is {newest_copies:?}, of {}",
                newest.name
            ));
        }
    }
    wrong
}

/// All that was rejected is there with its reason, and nothing else. Twice is no harm: queues deliver at least once.
fn dead_letters(cases: &[Case], world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut told: BTreeSet<(String, &str)> = BTreeSet::new();
    let letters = world.messages(DEAD_LETTERS);
    for letter in &letters {
        let text = |name: &str| {
            letter.attributes.get(name).and_then(|attribute| attribute.string_value.clone()).unwrap_or_default()
        };
        let (code, explanation) = (text("Code"), text("Explanation"));
        let is_about = |case: &&Case| {
            let source = case.source.as_ref().map(|(region, id)| (region.as_str(), id.as_str()));
            let announced =
                case.story.iter().any(|(_, act)| matches!(act, Act::Announce(body) if *body == letter.body));
            let names_source = source == Some((text("SourceRegion").as_str(), text("SourceImageId").as_str()));
            match case.end {
                End::Rejected(expected) => announced && code == expected,
                End::Failed | End::CopiedAtLast => {
                    let sent_back = source.is_some_and(|(region, id)| asks_for(&letter.body, region, id));
                    (announced || sent_back)
                        && names_source
                        && text("Region") == HERE
                        && matches!(code.as_str(), "CopyFailed" | "TriesSpent" | "LooksSpent")
                }
                End::CopiedByHand => names_source && code == "LooksSpent",
                // An event of an AMI that was deregistered long ago: EC2 answers as if it had never existed.
                End::Retired => announced && code == "InvalidAMIID.NotFound",
                End::Copied | End::Requested | End::NotCopied | End::InUse | End::Disabled | End::InStep => false,
            }
        };
        match cases.iter().find(is_about) {
            Some(case) if text("Outcome") == "Rejected" && explanation.len() > 20 => {
                told.insert((letter.body.clone(), case.what));
                told.insert((case.name.clone(), case.what));
            }
            _ => wrong.push(format!("this dead letter should not exist: {}: {code}: {explanation}", letter.body)),
        }
    }
    for case in cases {
        let bodies = case.story.iter().filter_map(|(_, act)| match act {
            Act::Announce(body) => Some(body),
            _ => None,
        });
        match case.end {
            End::Rejected(code) => wrong.extend(
                bodies
                    .filter(|body| !told.contains(&((*body).clone(), case.what)))
                    .map(|body| format!("{} ({code}) is not in the dead-letter queue: {body}", case.what)),
            ),
            End::Failed if !told.contains(&(case.name.clone(), case.what)) => {
                wrong.push(format!("no dead letter says that the copies of {} failed", case.name));
            }
            _ => {}
        }
    }
    wrong
}

/// Whether a body, sent back as it is, asks for a copy of this AMI.
fn asks_for(body: &str, region: &str, id: &str) -> bool {
    let Ok(letter) = serde_json::from_str::<Value>(body) else { return false };
    let of_kind = |kind: &str| &letter["AmiCourier"][kind];
    let announces = letter["detail-type"] == "AMI Copy Request"
        && letter["resources"] == json!([format!("arn:aws:ec2:{region}::image/{id}")]);
    let asks = |own: &Value| own["SourceImageId"] == id && own["SourceRegion"] == region;
    announces || asks(of_kind("NextTry")) || asks(of_kind("SecondLook"))
}
