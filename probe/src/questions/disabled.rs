//! `DisableImage` and `EnableImage`.

use crate::aws::Parameters;
use crate::finding::{Answer, Finding};
use crate::lab::{Lab, Look};

pub(crate) async fn is_a_disabled_ami_hidden_unless_asked_for(lab: &Lab) -> Answer {
    let image_id = lab.finished_copy().await?.id();
    change(lab, "DisableImage", image_id).await?;
    let (unasked, asked) = (lab.look(image_id).await?, lab.look_for_disabled(image_id).await?);
    let is_disabled = matches!(&asked, Look::Shown(image) if image.state() == "disabled");
    let is_hidden = !matches!(unasked, Look::Shown(_));
    Ok(Finding::of(is_disabled && is_hidden, format!("{unasked}; with IncludeDisabled {asked}")))
}

pub(crate) async fn is_an_enabled_ami_available_again(lab: &Lab) -> Answer {
    let image_id = lab.finished_copy().await?.id();
    change(lab, "EnableImage", image_id).await?;
    let look = lab.look(image_id).await?;
    Ok(Finding::of(matches!(&look, Look::Shown(image) if image.state() == "available"), look.to_string()))
}

async fn change(lab: &Lab, action: &str, image_id: &str) -> Result<(), crate::aws::CallError> {
    lab.aws.ec2(&lab.plan.region, action, &Parameters::default().with("ImageId", image_id)).await.map(drop)
}
