//! Parameters that hold AMIs, and those that do not.

use super::{Answer, refused};
use crate::aws::answered;
use crate::lab::{Lab, NO_EVENT};

pub(crate) async fn does_the_event_of_a_parameter_name_its_data_type(lab: &Lab) -> Answer {
    Ok(lab.event_of_parameter().await?.map_or(NO_EVENT.to_owned(), |event| {
        if event["dataType"].is_null() { "an event without dataType" } else { "an event with dataType" }.to_owned()
    }))
}

pub(crate) async fn is_an_ami_in_a_text_parameter_refused(lab: &Lab) -> Answer {
    let image_id = lab.finished_copy().await?.image_id().unwrap_or_default();
    lab.put_parameter(&lab.aws, "-text", "probe", "text").await?;
    let put = lab.put_parameter(&lab.aws, "-text", image_id, "aws:ec2:image").await;
    Ok(answered(put)?.map_or_else(refused, |_| "accepted".to_owned()))
}
