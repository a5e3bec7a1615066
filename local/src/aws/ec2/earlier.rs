//! Eventual consistency of changes: what `DescribeImages` may still show of an AMI that a call has changed.
//! <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>
//!
//! The calls themselves work on the AMI as it is. What a test changes directly is visible at once.

use std::borrow::Cow;
use std::time::Duration;

use time::OffsetDateTime;

use super::image::{Earlier, Image};
use super::visibility::Look;
use crate::aws::world::World;

impl Image {
    /// Keeps how it is now, before a call changes it, for as long as it may be shown.
    pub(super) fn keep_as_it_is(&mut self, now: OffsetDateTime, shown_for: Duration) {
        self.earlier.retain(|earlier| earlier.until + shown_for > now);
        if shown_for.is_zero() {
            return;
        }
        self.earlier.push(Earlier {
            until: now,
            tags: self.tags.clone(),
            description: self.description.clone(),
            imds_support: self.imds_support.clone(),
            deprecation_time: self.deprecation_time,
            deregistration_protection: self.deregistration_protection,
            launch_permissions: self.launch_permissions.clone(),
        });
    }
}

impl World {
    /// The AMI as this look shows it: as it was before its changes, or, with a seed, one of its versions.
    pub(super) fn as_shown<'w>(&self, image: &'w Image, look: Look) -> Cow<'w, Image> {
        let lag = match look {
            Look::ById => self.behaviour.changes_invisible_by_id_for,
            Look::ByFilter => self.behaviour.changes_invisible_by_filter_for,
        };
        let now = self.now();
        let mut earlier = image.earlier.iter().filter(|earlier| earlier.until + lag > now);
        let shown = match self.behaviour.flicker_seed {
            None => earlier.next(),
            Some(seed) => earlier.find(|_| image.visibility.flickers(look, &image.id, seed)),
        };
        shown.map_or(Cow::Borrowed(image), |earlier| Cow::Owned(earlier.of(image)))
    }
}

impl Earlier {
    fn of(&self, image: &Image) -> Image {
        Image {
            tags: self.tags.clone(),
            description: self.description.clone(),
            imds_support: self.imds_support.clone(),
            deprecation_time: self.deprecation_time,
            deregistration_protection: self.deregistration_protection,
            launch_permissions: self.launch_permissions.clone(),
            ..image.clone()
        }
    }
}
