//! What a copy and its source show, and when.

use std::time::Duration;

use super::{Answer, refused};
use crate::aws::{CallError, answered};
use crate::lab::{By, Lab, Look, SHARED_TAG, Sighting, VISIBLE_WITHIN, snapshot_ids, tag, volumes};

pub(crate) async fn does_ec2_accept_a_shared_tag_on_an_image(lab: &Lab) -> Answer {
    Ok(answered(lab.source().await?.shared_tag.clone())?.map_or_else(refused, |()| "accepted".to_owned()))
}

pub(crate) async fn is_a_shared_tag_on_a_snapshot_refused(lab: &Lab) -> Answer {
    let snapshot = &lab.source().await?.snapshot_id;
    let call = lab.aws.ec2(&lab.plan.source_region).create_tags().resources(snapshot).tags(tag(SHARED_TAG, "probe"));
    Ok(answered(call.send().await)?.map_or_else(refused, |_| "accepted".to_owned()))
}

pub(crate) async fn does_copy_image_copy_shared_tags_unasked(lab: &Lab) -> Answer {
    lab.source().await?.shared_tag.clone()?;
    let is_copied = lab.finished_copy().await?.tags().iter().any(|tag| tag.key() == Some(SHARED_TAG));
    Ok(if is_copied { "yes" } else { "no" }.to_owned())
}

pub(crate) async fn does_a_registered_ami_name_no_source(lab: &Lab) -> Answer {
    let source = &lab.source().await?.image_id;
    let Look::Shown(image) = lab.look_in(&lab.plan.source_region, source, false).await? else {
        return Err(CallError::Lost("the source AMI is not visible".to_owned()));
    };
    let seen = if image.source_image_id().is_none() { "yes: it has no SourceImageId" } else { "no: it has one" };
    Ok(seen.to_owned())
}

pub(crate) async fn does_a_copy_name_its_source(lab: &Lab) -> Answer {
    let source = &lab.source().await?.image_id;
    let image = lab.finished_copy().await?;
    let seen = match (image.source_image_id(), image.source_image_region()) {
        (Some(id), Some(region)) if id == source && region == lab.plan.source_region => {
            "yes: SourceImageId and SourceImageRegion"
        }
        (None, None) => "no",
        (Some(_), None) => "only SourceImageId",
        (None, Some(_)) => "only SourceImageRegion",
        (Some(_), Some(_)) => "another source",
    };
    Ok(seen.to_owned())
}

pub(crate) async fn does_copy_image_accept_a_taken_name(lab: &Lab) -> Answer {
    let taken = &lab.first_copy().await?.name;
    match lab.copy(lab.copy_of_source(taken, &lab.token("taken-name")).await?).await {
        Ok(_) => Ok("accepted: two AMIs have the same name".to_owned()),
        Err(error) if error.code() == Some("InvalidAMIName.Duplicate") => Ok(refused("InvalidAMIName.Duplicate")),
        Err(error) => Err(error),
    }
}

pub(crate) async fn does_a_pending_copy_show_its_snapshot_ids(lab: &Lab) -> Answer {
    let pending: Vec<_> = lab.copies().await?.all.iter().filter_map(|copy| copy.pending.as_ref()).collect();
    let with_ids = pending.iter().filter(|image| !snapshot_ids(image).is_empty()).count();
    Ok(match (pending.len(), with_ids) {
        (0, _) => "no copy was seen pending".to_owned(),
        (_, 0) => "no".to_owned(),
        (all, some) => format!("yes: {some} of {all} do"),
    })
}

pub(crate) async fn does_an_available_copy_show_its_snapshot_ids_and_encryption(lab: &Lab) -> Answer {
    let image = lab.finished_copy().await?;
    let has_encryption = volumes(image).filter(|ebs| ebs.snapshot_id().is_some()).all(|ebs| ebs.encrypted().is_some());
    let seen = match (snapshot_ids(image).is_empty(), has_encryption) {
        (false, true) => "yes",
        (false, false) => "snapshot ids, but not whether they are encrypted",
        (true, _) => "no snapshot ids",
    };
    Ok(seen.to_owned())
}

pub(crate) async fn does_a_copy_keep_blank_volumes(lab: &Lab) -> Answer {
    let image = lab.finished_copy().await?;
    Ok(match (volumes(image).count(), snapshot_ids(image).len()) {
        (2, 1) => "yes: a volume without a snapshot".to_owned(),
        (2, 2) => "the blank volume has a snapshot".to_owned(),
        (1, _) => "the blank volume is missing".to_owned(),
        (volumes, with_snapshot) => format!("{volumes} volumes, {with_snapshot} with a snapshot"),
    })
}

pub(crate) async fn how_long_until_a_copy_is_visible_by_id(lab: &Lab) -> Answer {
    visible(lab, By::Id).await
}

pub(crate) async fn how_long_until_a_copy_is_visible_by_its_source(lab: &Lab) -> Answer {
    visible(lab, By::Source).await
}

pub(crate) async fn how_long_until_a_copy_is_visible_by_its_name(lab: &Lab) -> Answer {
    visible(lab, By::Name).await
}

async fn visible(lab: &Lab, by: By) -> Answer {
    let copies = lab.copies().await?;
    copies.works[by as usize].clone()?;
    Ok(times(&copies.all.iter().map(|copy| copy.sightings[by as usize]).collect::<Vec<_>>()))
}

/// Later only if a look at the bound or after it did not show a copy.
fn times(sightings: &[Sighting]) -> String {
    let is_late = sightings.iter().any(|it| it.last_hidden.is_some_and(|at| at >= VISIBLE_WITHIN));
    let mut times: Vec<Duration> = sightings.iter().filter_map(|it| it.first_shown).collect();
    times.sort_unstable();
    let seconds: Vec<String> = times.iter().map(|time| format!("{:.1}", time.as_secs_f64())).collect();
    let hidden = match sightings.len() - times.len() {
        0 => String::new(),
        count => format!("; {count} not visible at all"),
    };
    let bound = if is_late { "later than" } else { "within" };
    format!("{bound} 15 minutes: {} copies after {} s{hidden}", sightings.len(), seconds.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(last_hidden: u64, first_shown: Option<u64>) -> Sighting {
        let last_hidden = Some(Duration::from_secs(last_hidden));
        Sighting { last_hidden, first_shown: first_shown.map(Duration::from_secs) }
    }

    #[test]
    fn a_copy_is_late_only_if_a_look_after_the_bound_did_not_show_it() {
        assert_eq!(times(&[sighting(890, Some(960))]), "within 15 minutes: 1 copies after 960.0 s");
        assert!(times(&[sighting(3, Some(4)), sighting(900, Some(960))]).starts_with("later than 15 minutes"));
        assert!(times(&[sighting(1200, None)]).ends_with("1 not visible at all"));
    }
}
