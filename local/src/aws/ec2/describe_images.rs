//! `DescribeImages`.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>

use std::borrow::Cow;

use serde_json::{Value, json};

use super::filter::Filter;
use super::id::check_image_id;
use super::image::{Image, ImageState, LaunchPermission};
use super::image_filter::{IMAGE_FILTERS, values_of};
use super::image_view::view;
use super::lookup::{Found, Phase, not_found, unavailable};
use super::page::page;
use super::parameters::{IDS_IN_A_CALL, Parameters};
use super::visibility::Look;
use crate::aws::behaviour::HiddenAs;
use crate::aws::error::ApiError;
use crate::aws::request::{Answer, Caller};
use crate::aws::world::World;

pub(super) fn describe_images(world: &mut World, caller: &Caller, parameters: &Parameters<'_>) -> Answer {
    let ids = parameters.ids("ImageId", IDS_IN_A_CALL)?;
    for id in &ids {
        check_image_id(id)?;
    }
    if !ids.is_empty() && parameters.text("MaxResults").is_some() {
        return Err(ApiError::client(
            "InvalidParameterCombination",
            "The parameter imageIds cannot be used with the parameter maxResults",
        ));
    }
    let wanted = Wanted {
        caller,
        owners: parameters.list("Owner"),
        executable_by: parameters.list("ExecutableBy"),
        filters: Filter::read(parameters, &IMAGE_FILTERS)?,
        // A deprecated AMI is shown to those who ask for it by id, and to its owner.
        deprecated: !ids.is_empty() || parameters.flag("IncludeDeprecated")? == Some(true),
        disabled: parameters.flag("IncludeDisabled")? == Some(true)
            && world.behaviour.disabled_images_are_shown_if_asked_for,
    };
    parameters.stop_if_dry_run()?;

    let world = &*world;
    let found = if ids.is_empty() { all(world, caller) } else { by_ids(world, caller, &ids)? };
    let look = if ids.is_empty() { Look::ByFilter } else { Look::ById };
    let mut matching: Vec<Cow<'_, Image>> = found
        .into_iter()
        .map(|image| world.as_shown(image, look))
        .filter(|image| wanted.has(world, image))
        .filter(|image| look == Look::ById || world.shows(image, look))
        .collect();
    matching.sort_by(|a, b| a.id.cmp(&b.id));
    matching.dedup_by(|a, b| a.id == b.id);
    let page_size = if ids.is_empty() { world.behaviour.page_size } else { usize::MAX };
    let (images, next_token) = page(matching, |image| &image.id, parameters, page_size)?;
    let images: Vec<Value> = images.iter().map(|image| view(world, caller, image)).collect();
    Ok(json!({ "imagesSet": images, "nextToken": next_token }))
}

/// The AMIs of the Region, including those that were just deregistered.
fn all<'w>(world: &'w World, caller: &Caller) -> Vec<&'w Image> {
    let Some(store) = world.store(&caller.region) else {
        return Vec::new();
    };
    let fading =
        store.deregistered.values().filter(|gone| world.phase_of(gone) == Phase::StillReturned).map(|gone| &gone.image);
    store.images.values().chain(fading).collect()
}

/// The AMIs with these ids. A hidden AMI is an error or is missing, as the world says.
fn by_ids<'w>(world: &'w World, caller: &Caller, ids: &[&str]) -> Result<Vec<&'w Image>, ApiError> {
    let mut images = Vec::new();
    for id in ids {
        let hidden_as = match world.find_image(&caller.region, &caller.account, id) {
            Found::Image(image) | Found::Deregistered(Phase::StillReturned, image) => {
                images.push(image);
                continue;
            }
            Found::Deregistered(Phase::Empty, _) => HiddenAs::Empty,
            Found::Deregistered(Phase::Forgotten, _) => world.behaviour.forgotten_as,
            Found::Hidden(hidden_as) => hidden_as,
        };
        match hidden_as {
            HiddenAs::Empty => {}
            HiddenAs::NotFound => return Err(not_found(id)),
            HiddenAs::Unavailable => return Err(unavailable(id)),
        }
    }
    Ok(images)
}

/// What a request asks for, besides ids.
struct Wanted<'a> {
    caller: &'a Caller,
    owners: Vec<&'a str>,
    executable_by: Vec<&'a str>,
    filters: Vec<Filter<'a>>,
    deprecated: bool,
    disabled: bool,
}

impl Wanted<'_> {
    /// Filters come first: they exclude the most.
    fn has(&self, world: &World, image: &Image) -> bool {
        let is_own = image.owner == self.caller.account;
        let tags = || super::tags::seen_by(world, self.caller, image);
        let is_deprecated = || image.deprecation_time.is_some_and(|at| at <= world.now());
        self.filters.iter().all(|filter| filter.passes(tags, |name| values_of(image, name)))
            && (self.disabled || image.state != ImageState::Disabled)
            && (self.deprecated || is_own || !is_deprecated())
            && self.has_owner(image)
            && self.has_executor(image)
            && image.is_visible_to(&self.caller.account)
    }

    fn has_owner(&self, image: &Image) -> bool {
        self.owners.is_empty()
            || self.owners.iter().any(|owner| {
                let account = if *owner == "self" { &self.caller.account } else { *owner };
                image.owner == account || image.owner_alias.as_deref() == Some(owner)
            })
    }

    fn has_executor(&self, image: &Image) -> bool {
        self.executable_by.is_empty()
            || self.executable_by.iter().any(|who| {
                let permission = match *who {
                    "all" => LaunchPermission::Everyone,
                    "self" => LaunchPermission::UserId(self.caller.account.clone()),
                    account => LaunchPermission::UserId(account.to_owned()),
                };
                image.launch_permissions.contains(&permission)
            })
    }
}
