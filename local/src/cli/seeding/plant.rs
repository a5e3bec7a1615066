//! Putting what an event needs into a world.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::seeds::{Seed, Seeding};
use crate::aws::{Caller, CopyFailure, Image, ImageState, Key, SnapshotState, World};

impl Seeding {
    /// Puts everything into a new world. `region` is the function's.
    ///
    /// The world's clock is set to the present, as the function's own clock. The AMIs are new.
    pub(in crate::cli) fn plant(&self, world: &mut World, region: &str) {
        if let Ok(past) = (OffsetDateTime::now_utc() - world.now()).try_into() {
            world.advance(past);
        }
        for seed in &self.images {
            let caller =
                Caller { region: seed.region.clone(), account: seed.owner.clone().unwrap_or(self.account.clone()) };
            let now = world.now();
            world.add_image(&seed.region, self.image(seed).created(now));
            if seed.state == ImageState::Deregistered {
                call(world, &caller, "ec2", "DeregisterImage", &json!({ "ImageId": seed.image_id }));
            }
            if let Some(name) = seed.parameter.as_ref().filter(|name| name.starts_with("/aws/")) {
                world.set_parameter(&seed.region, name, &seed.image_id, "aws:ec2:image");
            } else if let Some(name) = &seed.parameter {
                let parameter =
                    json!({"Name": name, "Value": seed.image_id, "Type": "String", "DataType": "aws:ec2:image"});
                call(world, &caller, "ssm", "PutParameter", &parameter);
            }
        }
        for key in &self.keys {
            world.add_key(region, key_meant_by(key, &self.account));
        }
        // Events from before this event are old news: the function is not to get them.
        world.take_events();
    }

    /// Its own name, the name of its source, or a new name.
    fn name(&self, seed: &Seed) -> String {
        let is_named_like = |other: &Seed| match &seed.copy_of {
            Some((region, id)) => other.region == *region && other.image_id == *id,
            None => other == seed,
        };
        let number = self.images.iter().position(is_named_like).unwrap_or_default() + 1;
        seed.name.clone().unwrap_or_else(|| format!("golden-2026-{number:02}"))
    }

    pub(super) fn image(&self, seed: &Seed) -> Image {
        let owner = seed.owner.as_ref().unwrap_or(&self.account);
        let mut image =
            Image::new(&seed.image_id, self.name(seed)).owner(owner).tag("family", "golden").tag("team", "platform");
        image.tags.extend(seed.tags.clone());
        if seed.state != ImageState::Deregistered {
            image = image.state(seed.state);
        }
        if seed.state == ImageState::Failed {
            let fate = CopyFailure::key_not_accessible();
            image.state_reason = fate.state_reason;
            for snapshot in &mut image.snapshots {
                snapshot.state = SnapshotState::Error;
                snapshot.state_message.clone_from(&fate.snapshot_message);
            }
        }
        if *owner != self.account {
            image = image.shared_with(&self.account);
        }
        if let Some((region, image_id)) = &seed.copy_of {
            let tags = [("ami-courier:source-image", image_id), ("ami-courier:source-region", region)];
            image = tags.iter().fold(image, |image, (key, value)| image.tag(key, value)).copy_of(image_id, region);
            for snapshot in &mut image.snapshots {
                snapshot.tags.clone_from(&image.tags);
            }
        }
        image
    }
}

/// A call that AWS refuses only if the event has impossible values. Then the AMI or parameter is missing, and the function has
/// to handle that.
fn call(world: &mut World, caller: &Caller, service: &str, action: &str, parameters: &Value) {
    if let Err(error) = world.call(caller, service, action, parameters) {
        eprintln!("{action} in {} was refused: {error:?}", caller.region);
    }
}

/// The key that a key id, key ARN, alias or alias ARN means.
pub(super) fn key_meant_by(reference: &str, account: &str) -> Key {
    let arn: Vec<&str> = reference.splitn(6, ':').collect();
    let (account, resource) = match arn[..] {
        ["arn", _, _, _, account, resource] => (account, resource),
        _ => (account, reference),
    };
    let mut key = match resource.strip_prefix("alias/") {
        Some(alias) => Key::new("1234abcd-12ab-34cd-56ef-1234567890ab").alias(alias),
        None => Key::new(resource.strip_prefix("key/").unwrap_or(resource)),
    };
    account.clone_into(&mut key.account);
    key
}
