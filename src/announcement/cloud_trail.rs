//! CloudTrail, through EventBridge: somebody called EC2 to make an AMI. The AMI itself is still pending then.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use super::document::{Document, Shape};
use super::{Announcement, Pointer, Teller, nothing};
use crate::identity::{Here, Identity, Region, shortened};
use crate::outcome::Rejection;

pub(super) const API_CALL: &str = "AWS API Call via CloudTrail";
pub(super) const SHAPE: Shape = Shape {
    name: "an AWS API Call via CloudTrail",
    page: "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html",
};

pub(super) fn read(event: &Document<'_>, here: &Here) -> Result<Vec<Announcement>, Rejection> {
    let call = event.required_text("detail.eventName")?;
    if !matches!(call, "CreateImage" | "RegisterImage" | "CopyImage") {
        return Ok(vec![nothing(format!("the call of {} makes no AMI", shortened(call)))]);
    }
    let region: Region = event.required("detail.awsRegion")?;
    if let Some(code) = event.text("detail.errorCode")? {
        let words = event.text("detail.errorMessage")?.unwrap_or_default();
        let (code, words) = (shortened(code), shortened(words));
        return Ok(vec![nothing(format!("the call of {call} in {region} made no AMI: {code} {words}").trim_end())]);
    }
    let ami = Identity { region, image: event.required("detail.responseElements.imageId")? };
    if call == "CopyImage" && ami.region == here.region {
        return Ok(vec![nothing(format!("{} is itself a copy into this Region", ami.image))]);
    }
    Ok(vec![Announcement::Built { ami: Pointer::Images(vec![ami]), teller: Teller::Ec2 }])
}
