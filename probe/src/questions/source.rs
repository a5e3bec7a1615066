//! What an AMI says about where it comes from.

use crate::aws::{CallError, Parameters};
use crate::finding::{Answer, Finding};
use crate::lab::{Lab, Look};

pub(crate) async fn does_a_copy_name_its_source(lab: &Lab) -> Answer {
    let source = lab.source().await?;
    let image = lab.finished_copy().await?;
    let named = (image.text_of("sourceImageId"), image.text_of("sourceImageRegion"));
    Ok(match named {
        (Some(id), Some(region)) if id == source.image_id && region == lab.plan.source_region => {
            Finding::expected("yes: SourceImageId and SourceImageRegion")
        }
        (None, None) => Finding::different("no"),
        (Some(_), None) => Finding::different("only SourceImageId"),
        (None, Some(_)) => Finding::different("only SourceImageRegion"),
        (Some(_), Some(_)) => Finding::different("another source"),
    })
}

pub(crate) async fn does_a_registered_ami_name_no_source(lab: &Lab) -> Answer {
    let source = lab.source().await?;
    let parameters = Parameters::default().with("ImageId.1", &source.image_id);
    let Look::Shown(image) = lab.look_in(&lab.plan.source_region, parameters).await? else {
        return Err(CallError::Lost("the source AMI is not visible".to_owned()));
    };
    Ok(match image.text_of("sourceImageId") {
        None => Finding::expected("yes: it has no SourceImageId"),
        Some(_) => Finding::different("it has a SourceImageId"),
    })
}
