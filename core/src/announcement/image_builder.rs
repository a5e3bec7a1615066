//! EC2 Image Builder, which knows what EC2 does not: that the AMI's tests have passed.
//!
//! It sends an event, which has no AMI id, and a notification through SNS, which has an AMI id for each Region and account
//! that it distributed to.

use serde_json::{Map, Value};

use super::announced_by::AnnouncedBy;
use super::arn::{self, Kind};
use super::document::{Document, Shape};
use super::meaning::{Announcement, Pointer};
use crate::error::Error;
use crate::identity::{AccountId, Identity, Stack, shortened};

pub(super) const STATE_CHANGE: &str = "EC2 Image Builder Image State Change";
pub(super) const EVENT: Shape = Shape {
    name: "an EC2 Image Builder Image State Change",
    page: "https://docs.aws.amazon.com/imagebuilder/latest/userguide/integ-eventbridge.html",
};
const NOTIFICATION: Shape = Shape {
    name: "an Image Builder notification",
    page: "https://docs.aws.amazon.com/imagebuilder/latest/userguide/integ-sns.html",
};
const IMAGE: Kind = Kind { service: "imagebuilder", prefix: "image/" };

pub(super) fn read_event(event: &Document<'_>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    let status = event.required_text("detail.state.status")?;
    let reason = event.text("detail.state.reason")?;
    let images = arn::named_in(event, IMAGE, stack)?;
    if images.is_empty() {
        return Err(event.lacking("resources", "ARN of an Image Builder image"));
    }
    let announcement = |image: arn::Arn<'_>| match status {
        "AVAILABLE" => Announcement::Built {
            ami: Pointer::ImageBuilder { region: image.region, arn: image.text.to_owned() },
            announced_by: AnnouncedBy::ImageBuilder,
        },
        _ => Announcement::nothing(not_available(image.text, status, reason)),
    };
    Ok(images.into_iter().map(announcement).collect())
}

/// Whether a message is Image Builder's notification. It has no field that names its kind.
pub(super) fn is_notification(message: &Map<String, Value>) -> bool {
    message.contains_key("state")
        && ["versionlessArn", "outputResources", "imageRecipe"].iter().any(|field| message.contains_key(*field))
}

/// Reads only the fields that it needs: others have numbers too large for any integer type, and dates in an unusual form.
pub(super) fn read_notification(message: &Map<String, Value>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    let image = Document::new(NOTIFICATION, message);
    let arn = image.text("arn")?.unwrap_or("without an ARN");
    let status = image.required_text("state.status")?;
    if let Some(kind) = image.text("type")?.filter(|kind| *kind != "AMI") {
        let (arn, kind) = (shortened(arn), shortened(kind));
        return Ok(vec![Announcement::nothing(format!(
            "the Image Builder image {arn} is of type `{kind}`, not an AMI"
        ))]);
    }
    if status != "AVAILABLE" {
        return Ok(vec![Announcement::nothing(not_available(arn, status, image.text("state.reason")?))]);
    }
    let (in_this_region, elsewhere) = distributed(&image, stack)?;
    if let Some(copy) = in_this_region {
        let reason = format!("Image Builder itself distributed it to {}, as {}", stack.region, copy.image);
        return Ok(vec![Announcement::Nothing { ami: elsewhere.into_iter().next(), reason }]);
    }
    Ok(vec![Announcement::Built { ami: Pointer::Images(elsewhere), announced_by: AnnouncedBy::ImageBuilder }])
}

/// This account's AMI in this Region; and the AMIs in other Regions or of other accounts, this account's first.
fn distributed(image: &Document<'_>, stack: &Stack) -> Result<(Option<Identity>, Vec<Identity>), Error> {
    const AMIS: &str = "outputResources.amis";
    let outputs = image.required_objects(AMIS)?;
    if outputs.is_empty() {
        return Err(image.lacking(AMIS, "AMI"));
    }
    let (mut in_this_region, mut own, mut others) = (None, Vec::new(), Vec::new());
    for output in outputs {
        let ami = Identity { region: output.required("region")?, image: output.required("image")? };
        let owned = output.parsed::<AccountId>("accountId")?.is_some_and(|owner| stack.account == Some(owner));
        match (ami.region == stack.region, owned) {
            (true, true) => in_this_region = in_this_region.or(Some(ami)),
            (false, true) => own.push(ami),
            (_, false) => others.push(ami),
        }
    }
    own.append(&mut others);
    Ok((in_this_region, own))
}

/// An image is built, tested and distributed, then ends as available, failed or cancelled. Only later is it deprecated, disabled
/// or deleted. <https://docs.aws.amazon.com/imagebuilder/latest/APIReference/API_ImageState.html>
fn not_available(arn: &str, status: &str, reason: Option<&str>) -> String {
    let image = format!("the Image Builder image {} is `{}`", shortened(arn), shortened(status));
    let because = reason.map(|reason| format!(": {}", shortened(reason))).unwrap_or_default();
    match status {
        "PENDING" | "CREATING" | "BUILDING" | "TESTING" | "DISTRIBUTING" | "INTEGRATING" => {
            format!("{image}, and will be copied once it is `AVAILABLE`")
        }
        "DEPRECATED" | "DISABLED" | "DELETED" => {
            format!(
                "{image}, which announces no new AMI{because}; copies of its AMIs follow EC2's own events about these AMIs"
            )
        }
        _ => format!("{image}{because}"),
    }
}
