//! CloudTrail events: somebody called EC2 to make an AMI. At that time the AMI is still pending.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use super::announced_by::AnnouncedBy;
use super::document::{Document, Shape};
use super::meaning::{Announcement, Pointer};
use crate::error::Error;
use crate::identity::{Identity, Region, Stack, shortened};

pub(super) const API_CALL: &str = "AWS API Call via CloudTrail";
pub(super) const SHAPE: Shape = Shape {
    name: "an AWS API Call via CloudTrail",
    page: "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html",
};

pub(super) fn read(event: &Document<'_>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    let call = event.required_text("detail.eventName")?;
    match call {
        "CreateImage" | "RegisterImage" | "CopyImage" | "CreateRestoreImageTask" => {}
        "ImportImage" => {
            let reason = "a call of ImportImage names no AMI yet: EC2's own event or a sweep announces it later";
            return Ok(vec![Announcement::nothing(reason)]);
        }
        _ => return Ok(vec![Announcement::nothing(format!("a call of {} makes no AMI", shortened(call)))]),
    }
    let region: Region = event.required("detail.awsRegion")?;
    if let Some(code) = event.text("detail.errorCode")? {
        let message = event.text("detail.errorMessage")?.unwrap_or_default();
        let (code, message) = (shortened(code), shortened(message));
        return Ok(vec![Announcement::nothing(
            format!("the call of {call} in {region} made no AMI: {code} {message}").trim_end(),
        )]);
    }
    // Of some actions, CloudTrail records the answer with its name around it.
    let image = match event.parsed("detail.responseElements.CreateRestoreImageTaskResponse.imageId")? {
        Some(image) => image,
        None => event.required("detail.responseElements.imageId")?,
    };
    let ami = Identity { region, image };
    let announced_by = AnnouncedBy::event(event, stack)?;
    if call == "CopyImage" && ami.region == stack.region && announced_by == AnnouncedBy::Ec2 {
        return Ok(vec![Announcement::nothing(format!("{} is itself a copy into this Region", ami.image))]);
    }
    Ok(vec![Announcement::Built { ami: Pointer::Images(vec![ami]), announced_by }])
}
