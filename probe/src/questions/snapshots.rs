//! What a copy shows of its volumes.

use crate::finding::{Answer, Finding};
use crate::lab::Lab;

pub(crate) async fn does_a_pending_copy_show_its_snapshot_ids(lab: &Lab) -> Answer {
    let copies = &lab.copies().await?.all;
    let pending: Vec<_> = copies.iter().filter_map(|copy| copy.pending.as_ref()).collect();
    let with_ids = pending.iter().filter(|image| image.snapshot_ids().next().is_some()).count();
    Ok(Finding::expected(match (pending.len(), with_ids) {
        (0, _) => "no copy was seen pending".to_owned(),
        (_, 0) => "no".to_owned(),
        (all, some) if all == some => "yes".to_owned(),
        (all, some) => format!("{some} of {all} do"),
    }))
}

pub(crate) async fn does_an_available_copy_show_its_snapshot_ids_and_encryption(lab: &Lab) -> Answer {
    let image = lab.finished_copy().await?;
    let has_encryption = image
        .volumes()
        .filter(|ebs| ebs.text_of("snapshotId").is_some_and(|id| !id.is_empty()))
        .all(|ebs| ebs.text_of("encrypted").is_some());
    Ok(match (image.snapshot_ids().next().is_some(), has_encryption) {
        (true, true) => Finding::expected("yes"),
        (true, false) => Finding::different("snapshot ids, but not whether they are encrypted"),
        (false, _) => Finding::different("no snapshot ids"),
    })
}

pub(crate) async fn does_a_copy_keep_blank_volumes(lab: &Lab) -> Answer {
    let image = lab.finished_copy().await?;
    let volumes = image.volumes().count();
    let with_snapshot = image.snapshot_ids().count();
    Ok(match (volumes, with_snapshot) {
        (2, 1) => Finding::expected("yes: a volume without a snapshot"),
        (2, 2) => Finding::different("the blank volume has a snapshot"),
        (1, _) => Finding::different("the blank volume is missing"),
        (volumes, with_snapshot) => Finding::different(format!("{volumes} volumes, {with_snapshot} with a snapshot")),
    })
}
