//! Late sharing: builders share an AMI, or its snapshots, some time after its `available` event.

use std::time::Duration;

use super::image::{Image, LaunchPermission};
use crate::aws::world::World;

impl World {
    /// Shares an AMI with an account after this time, without its snapshots. Nothing happens if it is gone by then.
    pub fn share_image_later(&mut self, region: &str, image_id: &str, account: &str, after: Duration) {
        let permission = LaunchPermission::UserId(account.to_owned());
        self.change_later(region, image_id, after, move |image| {
            image.launch_permissions.insert(permission);
        });
    }

    /// Shares all snapshots of an AMI with an account after this time. Nothing happens if the AMI is gone by then.
    pub fn share_snapshots_later(&mut self, region: &str, image_id: &str, account: &str, after: Duration) {
        let account = account.to_owned();
        self.change_later(region, image_id, after, move |image| {
            for snapshot in &mut image.snapshots {
                snapshot.shared_with.insert(account.clone());
            }
        });
    }

    fn change_later(
        &mut self,
        region: &str,
        image_id: &str,
        after: Duration,
        change: impl FnOnce(&mut Image) + Send + 'static,
    ) {
        let (region, image_id) = (region.to_owned(), image_id.to_owned());
        self.schedule(self.now() + after, move |world| {
            if let Some(image) = world.image_mut(&region, &image_id) {
                change(image);
            }
        });
    }
}
