//! The use of AMIs, which usage reports and `LastLaunchedTime` show later.

use time::OffsetDateTime;

use crate::aws::ec2::image::Launch;
use crate::aws::world::World;

/// What other accounts do with the AMIs of this world.
#[derive(Default)]
struct Uses(Vec<Use>);

/// A use of an AMI by another account.
#[derive(Clone, Debug)]
struct Use {
    region: String,
    image_id: String,
    entry: Entry,
    since: OffsetDateTime,
    /// When it ended.
    until: Option<OffsetDateTime>,
}

impl Use {
    fn is_of(&self, region: &str, image_id: &str) -> bool {
        self.region == region && self.image_id == image_id
    }

    fn is_at(&self, time: OffsetDateTime) -> bool {
        self.since <= time && self.until.is_none_or(|until| until > time)
    }
}

/// How many resources of one account use the AMI.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) account: String,
    pub(super) resource_type: String,
    pub(super) count: u32,
    /// How many newer versions the launch templates have than those that use the AMI.
    pub(super) newer_versions: u32,
}

impl World {
    /// So many resources of another account (such as `ec2:Instance`) use an AMI from now on. A usage report shows it after
    /// [`usage_reports_lag`](crate::aws::Behaviour::usage_reports_lag).
    pub fn use_image(&mut self, region: &str, image_id: &str, account: &str, resource_type: &str, count: u32) {
        let (account, resource_type) = (account.to_owned(), resource_type.to_owned());
        self.begin_use(region, image_id, Entry { account, resource_type, count, newer_versions: 0 });
    }

    /// A launch template of another account uses an AMI from now on, in a version that so many newer ones follow.
    pub fn use_image_in_old_version(&mut self, region: &str, image_id: &str, account: &str, newer_versions: u32) {
        let (account, resource_type) = (account.to_owned(), "ec2:LaunchTemplate".to_owned());
        self.begin_use(region, image_id, Entry { account, resource_type, count: 1, newer_versions });
    }

    fn begin_use(&mut self, region: &str, image_id: &str, entry: Entry) {
        let since = self.now();
        let (region, image_id) = (region.to_owned(), image_id.to_owned());
        self.state_mut::<Uses>().0.push(Use { region, image_id, entry, since, until: None });
    }

    /// Another account uses an AMI no longer.
    pub fn stop_using_image(&mut self, region: &str, image_id: &str, account: &str) {
        let now = self.now();
        let uses = self.state_mut::<Uses>().0.iter_mut();
        for of_account in uses.filter(|it| it.is_of(region, image_id) && it.entry.account == account) {
            of_account.until.get_or_insert(now);
        }
    }

    /// The other accounts that use an AMI now.
    pub fn users_of_image(&self, region: &str, image_id: &str) -> Vec<String> {
        let used = self.uses_of(region, image_id, self.now());
        used.into_iter().map(|entry| entry.account).collect()
    }

    /// The account that owns an AMI launches an instance of it, and terminates the instance at once: nothing refers to the AMI.
    /// `LastLaunchedTime` shows it after [`last_launched_time_lag`](crate::aws::Behaviour::last_launched_time_lag).
    pub fn launch(&mut self, region: &str, image_id: &str) {
        let at = self.now();
        let shown_from = at + self.behaviour.last_launched_time_lag;
        if let Some(image) = self.image_mut(region, image_id) {
            image.launches.push(Launch { at, shown_from });
        }
    }

    pub(super) fn uses_of(&self, region: &str, image_id: &str, time: OffsetDateTime) -> Vec<Entry> {
        let uses = self.state::<Uses>().into_iter().flat_map(|uses| &uses.0);
        uses.filter(|it| it.is_of(region, image_id) && it.is_at(time)).map(|it| it.entry.clone()).collect()
    }
}
