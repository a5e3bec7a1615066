//! Tag changes: copies follow the tags of their source, and with `REQUIRED_TAGS`, a tag can release an AMI for copying.
//! <https://docs.aws.amazon.com/tag-editor/latest/userguide/monitor-tag-changes.html>

use super::announced_by::AnnouncedBy;
use super::arn;
use super::document::{Document, Shape};
use super::meaning::{Announcement, TagChange};
use crate::error::Error;
use crate::identity::{Stack, shortened};

pub(super) const CHANGE: &str = "Tag Change on Resource";
pub(super) const SHAPE: Shape = Shape {
    name: "a Tag Change on Resource",
    page: "https://docs.aws.amazon.com/tag-editor/latest/userguide/monitor-tag-changes.html",
};

pub(super) fn read(event: &Document<'_>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    let service = event.required_text("detail.service")?;
    let kind = event.required_text("detail.resource-type")?;
    if (service, kind) != ("ec2", "image") {
        let (service, kind) = (shortened(service), shortened(kind));
        return Ok(vec![Announcement::nothing(format!(
            "the tags of a resource `{kind}` of `{service}` changed, not the tags of an AMI"
        ))]);
    }
    let amis = arn::images_named_in(event, stack)?;
    if amis.is_empty() {
        return Err(event.lacking("resources", "ARN of an AMI"));
    }
    let announced_by = AnnouncedBy::event(event, stack)?;
    let changed = event.texts("detail.changed-tag-keys")?;
    let changed = changed.into_iter().map(|key| {
        let value = event.text_in("detail.tags", key)?.map(str::to_owned);
        Ok(TagChange { key: key.to_owned(), value })
    });
    let changed = changed.collect::<Result<Vec<_>, Error>>()?;
    let announcement = |ami| Announcement::TagsChanged { ami, changed: changed.clone(), announced_by };
    Ok(amis.into_iter().map(announcement).collect())
}
