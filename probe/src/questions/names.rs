//! Names.

use crate::finding::{Answer, Finding};
use crate::lab::Lab;

pub(crate) async fn does_copy_image_accept_a_taken_name(lab: &Lab) -> Answer {
    let taken = &lab.first_copy().await?.name;
    match lab.copy(&lab.copy_of_source(taken, &lab.token("taken-name")).await?).await {
        Ok(_) => Ok(Finding::expected("accepted: two AMIs have the same name")),
        Err(error) if error.code() == Some("InvalidAMIName.Duplicate") => {
            Ok(Finding::different("refused: InvalidAMIName.Duplicate"))
        }
        Err(error) => Err(error),
    }
}
