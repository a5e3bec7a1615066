//! "Tag Change on Resource", the event of a change of tags.
//! <https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-tag.html>
//!
//! Not here: the event for tags that a resource has from its beginning.

use std::collections::BTreeMap;

use serde_json::json;

use super::tags::Tags;
use crate::aws::events::ServiceEvent;
use crate::aws::region::partition_of;
use crate::aws::request::Caller;
use crate::aws::world::World;

/// How often the tags of each resource have changed, by Region and id.
#[derive(Default)]
struct Versions(BTreeMap<(String, String), u64>);

impl World {
    /// Sends the event to the account that owns the image or snapshot, if its tags differ from those before.
    pub(super) fn emit_tag_change(&mut self, caller: &Caller, id: &str, before: &Tags, after: &Tags) {
        let differs = |key: &&String| before.get(*key) != after.get(*key);
        let mut changed: Vec<&String> = before.keys().chain(after.keys()).filter(differs).collect();
        changed.sort();
        changed.dedup();
        if changed.is_empty() {
            return;
        }
        let Caller { region, account } = caller;
        let version = self.state_mut::<Versions>().0.entry((region.clone(), id.to_owned())).or_default();
        *version += 1;
        let version = *version;
        let kind = if id.starts_with("ami-") { "image" } else { "snapshot" };
        for _ in 0..self.behaviour.tag_events {
            self.emit(&ServiceEvent {
                region,
                account,
                source: "aws.tag",
                detail_type: "Tag Change on Resource",
                resource: format!("arn:{}:ec2:{region}:{account}:{kind}/{id}", partition_of(region)),
                detail: json!({
                    "changed-tag-keys": changed,
                    "service": "ec2",
                    "resource-type": kind,
                    "version": version,
                    "tags": after,
                }),
            });
        }
    }
}
