//! The block devices of an AMI: those with a snapshot, then the blank ones.

use super::image::Image;
use super::snapshot::Snapshot;

/// One block device mapping.
pub(super) struct BlockDevice<'i> {
    pub(super) name: String,
    /// `None`: a blank volume.
    pub(super) snapshot: Option<&'i Snapshot>,
    pub(super) size_gib: u32,
    /// The flag of the mapping, if it has one.
    pub(super) encrypted: Option<bool>,
}

/// The root device first.
pub(super) fn block_devices(image: &Image) -> Vec<BlockDevice<'_>> {
    let with_snapshot =
        image.snapshots.iter().map(|snapshot| (Some(snapshot), snapshot.size_gib, Some(snapshot.encrypted)));
    let blank = image.blank_volumes.iter().map(|volume| (None, volume.size_gib, volume.encrypted));
    with_snapshot
        .chain(blank)
        .enumerate()
        .map(|(at, (snapshot, size_gib, encrypted))| BlockDevice {
            name: device_name(image, at),
            snapshot,
            size_gib,
            encrypted,
        })
        .collect()
}

/// The root device's own name, then `/dev/sdb`, `/dev/sdc`, ...
fn device_name(image: &Image, at: usize) -> String {
    match u8::try_from(at) {
        Ok(0) => image.root_device_name.clone(),
        Ok(at @ 1..=25) => format!("/dev/sd{}", char::from(b'a' + at)),
        _ => format!("/dev/sd{at}"),
    }
}
