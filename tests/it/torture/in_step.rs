//! What is not in step at the end: of each copy of this stack, and of each parameter.

use std::collections::{BTreeMap, BTreeSet};

use courier_core::election::{self, Look, Members, Own, Timing};
use courier_core::identity::Identity;
use courier_core::image::{self, State, Volume, tag};
use courier_core::in_step::{Shown, Source, changes};
use courier_core::settings::Settings;
use local::aws::{ACCOUNT, Image, ImageState, LaunchPermission, Protection, World};

use crate::stage::HERE;

/// Everything that differs, as the world has it: without delays.
pub fn not_in_step(settings: &Settings, world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for copy in world.images(HERE) {
        let is_ours = copy.tags.get(tag::STACK) == Some(&settings.copying.stack_name);
        if is_ours && copy.state == ImageState::Available {
            let told = |fault: String| format!("the copy {} is not in step: {fault}", copy.id);
            wrong.extend(differences(&copy, settings, world).into_iter().map(told));
        }
    }
    wrong.extend(wrong_parameters(settings, world));
    wrong
}

fn differences(copy: &Image, settings: &Settings, world: &World) -> Vec<String> {
    let shown = seen(copy);
    let Some(identity) = shown.courier_source() else { return vec!["it has no source".to_owned()] };
    let source = world.image(identity.region.as_str(), identity.image.as_str()).map(seen);
    let in_sight = source.as_ref().map(|image| Source { identity: &identity, image });
    let now = world.now();
    let changes = changes(&Shown::of(&shown, &settings.copying.stack_name), in_sight.as_ref(), settings, now);
    let Some(changes) = changes else { return Vec::new() };
    let mut wrong = changes.described();
    wrong.extend(steps(&shown, source.as_ref(), &identity, settings, world));
    wrong.extend(not_shared(copy, settings));
    let is_requested = copy.tags.get(tag::TRY).is_some_and(|made_for| made_for.starts_with("request"));
    if let Some(source) = source.filter(|_| !is_requested) {
        wrong.extend(unlike(copy, &source, settings));
    }
    wrong
}

/// What its membership lacks.
fn steps(
    copy: &image::Image,
    source: Option<&image::Image>,
    identity: &Identity,
    settings: &Settings,
    world: &World,
) -> Vec<String> {
    let Some(parameter_name) = &settings.finishing.parameter_name else { return Vec::new() };
    let look = Look {
        copy,
        source,
        source_region: &identity.region,
        parameter_name,
        retire_with_source: settings.retire_with_source,
        is_due: false,
        now: world.now(),
    };
    election::steps(&look, &Timing::EC2).described()
}

/// Who it is not shared with, whatever its hint says.
fn not_shared(copy: &Image, settings: &Settings) -> Vec<String> {
    let accounts = settings.finishing.share_with.iter().map(|principal| principal.as_str().to_owned());
    let lacks = |account: &String| {
        !copy.launch_permissions.contains(&LaunchPermission::UserId(account.clone()))
            || copy.snapshots.iter().any(|snapshot| !snapshot.shared_with.contains(account))
    };
    accounts.filter(lacks).map(|account| format!("it is not shared with {account}")).collect()
}

/// What its snapshots have not of the tags, and what it lacks that its source has, compared here, without the courier's rules.
fn unlike(copy: &Image, source: &image::Image, settings: &Settings) -> Vec<String> {
    let extra = settings.copying.extra_tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str()));
    let extra: Vec<(&str, &str)> = extra.collect();
    let own =
        source.tags.iter().filter(|_| settings.copying.copy_tags).map(|(key, value)| (key.as_str(), value.as_str()));
    let own = own.filter(|(key, _)| !key.starts_with(tag::PREFIX) && !extra.iter().any(|(other, _)| other == key));
    let mut wrong = Vec::new();
    for (key, value) in extra.iter().copied().chain(own) {
        let has = |tags: &BTreeMap<String, String>| tags.get(key).is_some_and(|has| has == value);
        if !has(&copy.tags) {
            wrong.push(format!("its tag {key} is {:?}, not {value}", copy.tags.get(key)));
        }
        // Two functions with different settings that tag at the same time may leave the value of the other one on the snapshots,
        // which no sweep looks at.
        for snapshot in copy.snapshots.iter().filter(|snapshot| !snapshot.tags.contains_key(key)) {
            wrong.push(format!("the snapshot {} has no tag {key}", snapshot.id));
        }
    }
    if source.requires_imds_v2 && copy.imds_support.as_deref() != Some("v2.0") {
        wrong.push("its instances need not use IMDSv2".to_owned());
    }
    wrong
}

/// Every name that has members holds the newest of them.
fn wrong_parameters(settings: &Settings, world: &World) -> Vec<String> {
    let Some(template) = &settings.finishing.parameter_name else { return Vec::new() };
    let copies = world.images(HERE);
    let members = members(settings, world);
    let mut wrong = Vec::new();
    for name in members.names().filter(|name| template.can_make(name.as_str())) {
        let newest = members.newest(name).map(|newest| newest.id.as_str()).unwrap_or_default();
        let held = world.parameter(HERE, name.as_str()).map(|parameter| parameter.value).unwrap_or_default();
        if held != newest {
            let state = copies.iter().find(|copy| copy.id == held).map(|copy| (copy.state, copy.tags.clone()));
            wrong.push(format!("{name} holds `{held}` ({state:?}), its newest member is {newest}"));
        }
    }
    wrong
}

fn members(settings: &Settings, world: &World) -> Members {
    let mut members = Members::new(&settings.copying.stack_name, Own::Nobody);
    for copy in world.images(HERE) {
        members.add(&seen(&copy));
    }
    members
}

/// Whether a parameter still holds a copy that is to leave service.
pub fn is_held(copy: &Image, settings: &Settings, world: &World) -> bool {
    let names: BTreeSet<String> = world.parameter_names().into_iter().map(|(_, name)| name).collect();
    let holds = |name: &&String| world.parameter(HERE, name).is_some_and(|parameter| parameter.value == copy.id);
    let members = members(settings, world);
    names.iter().any(|name| holds(&name) && !members.names().any(|other| other.as_str() == name))
}

/// An AMI as EC2 would show it at once. Another account's tags are not visible.
fn seen(image: &Image) -> image::Image {
    let identity =
        |id: &String, region: &String| Some(Identity { region: region.parse().ok()?, image: id.parse().ok()? });
    let volumes = image.snapshots.iter().map(|snapshot| Volume {
        snapshot: Some(snapshot.id.clone()),
        encrypted: Some(snapshot.encrypted),
        size_gib: snapshot.size_gib.into(),
    });
    image::Image {
        name: image.name.clone(),
        description: image.description.clone(),
        owner: image.owner.parse().ok(),
        state: State::from_ec2(image.state.as_str()),
        created: Some(image.creation_date),
        deprecated_from: image.deprecation_time,
        protected: image.deregistration_protection != Protection::Disabled,
        requires_imds_v2: image.imds_support.as_deref() == Some("v2.0"),
        is_public: image.is_public(),
        tags: if image.owner == ACCOUNT { image.tags.clone() } else { BTreeMap::new() },
        volumes: volumes.collect(),
        source: image
            .source_image_id
            .as_ref()
            .zip(image.source_image_region.as_ref())
            .and_then(|(id, region)| identity(id, region)),
        ..image::Image::new(image.id.parse().expect("the id of an AMI"))
    }
}
