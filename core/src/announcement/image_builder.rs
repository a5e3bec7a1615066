//! EC2 Image Builder, which knows what EC2 does not: that the AMI's tests have passed.
//!
//! It tells by an event, which has no AMI id, and by a notification through SNS, which has one for every Region and
//! account that it distributed to.

use serde_json::{Map, Value};

use super::announced_by::AnnouncedBy;
use super::arn::{self, Kind};
use super::document::{Document, Shape};
use super::kinds::{Announcement, Pointer};
use crate::error::Rejection;
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

pub(super) fn read_event(event: &Document<'_>, stack: &Stack) -> Result<Vec<Announcement>, Rejection> {
    let status = event.required_text("detail.state.status")?;
    let reason = event.text("detail.state.reason")?;
    let images = arn::named_in(event, IMAGE, stack)?;
    if images.is_empty() {
        return Err(event.lacking("resources", "ARN of an Image Builder image"));
    }
    let told = |image: arn::Arn<'_>| match status {
        "AVAILABLE" => Announcement::Built {
            ami: Pointer::ImageBuilder { region: image.region, arn: image.text.to_owned() },
            announced_by: AnnouncedBy::ImageBuilder,
        },
        _ => Announcement::nothing(not_available(image.text, status, reason)),
    };
    Ok(images.into_iter().map(told).collect())
}

/// Whether a message is Image Builder's notification: nothing in it says so outright.
pub(super) fn is_notification(message: &Map<String, Value>) -> bool {
    message.contains_key("state")
        && ["versionlessArn", "outputResources", "imageRecipe"].iter().any(|field| message.contains_key(*field))
}

/// Of this message only what is used is looked at: it has a number that fits no integer type, and dates of its own kind.
pub(super) fn read_notification(message: &Map<String, Value>, stack: &Stack) -> Result<Vec<Announcement>, Rejection> {
    let image = Document::new(NOTIFICATION, message);
    let arn = image.text("arn")?.unwrap_or("without an ARN");
    let status = image.required_text("state.status")?;
    if let Some(kind) = image.text("type")?.filter(|kind| *kind != "AMI") {
        let (arn, kind) = (shortened(arn), shortened(kind));
        return Ok(vec![Announcement::nothing(format!(
            "the Image Builder image {arn} is of type `{kind}`, which is no AMI"
        ))]);
    }
    if status != "AVAILABLE" {
        return Ok(vec![Announcement::nothing(not_available(arn, status, image.text("state.reason")?))]);
    }
    let (here_already, elsewhere) = distributed(&image, stack)?;
    if let Some(copy) = here_already {
        let reason = format!("Image Builder has put it here itself, as {}", copy.image);
        return Ok(vec![Announcement::Nothing { ami: elsewhere.into_iter().next(), reason }]);
    }
    if elsewhere.is_empty() {
        let reason =
            format!("the Image Builder image {} has AMIs of other accounts in {} only", shortened(arn), stack.region);
        return Ok(vec![Announcement::nothing(reason)]);
    }
    Ok(vec![Announcement::Built { ami: Pointer::Images(elsewhere), announced_by: AnnouncedBy::ImageBuilder }])
}

/// This account's AMI in this Region, and all those of other Regions, this account's first.
fn distributed(image: &Document<'_>, stack: &Stack) -> Result<(Option<Identity>, Vec<Identity>), Rejection> {
    const AMIS: &str = "outputResources.amis";
    let outputs = image.required_objects(AMIS)?;
    if outputs.is_empty() {
        return Err(image.lacking(AMIS, "AMI"));
    }
    let (mut here_already, mut own, mut others) = (None, Vec::new(), Vec::new());
    for output in outputs {
        let ami = Identity { region: output.required("region")?, image: output.required("image")? };
        let owned = output.parsed::<AccountId>("accountId")?.is_some_and(|owner| stack.account == Some(owner));
        match (ami.region == stack.region, owned) {
            (true, true) => here_already = here_already.or(Some(ami)),
            (true, false) => {}
            (false, true) => own.push(ami),
            (false, false) => others.push(ami),
        }
    }
    own.append(&mut others);
    Ok((here_already, own))
}

fn not_available(arn: &str, status: &str, reason: Option<&str>) -> String {
    let arn = shortened(arn);
    match (status, reason) {
        ("FAILED" | "CANCELLED", Some(reason)) => {
            format!("the Image Builder image {arn} is `{status}`: {}", shortened(reason))
        }
        ("FAILED" | "CANCELLED", None) => format!("the Image Builder image {arn} is `{status}`"),
        _ => format!("the Image Builder image {arn} is `{}`, and is copied once it is `AVAILABLE`", shortened(status)),
    }
}
