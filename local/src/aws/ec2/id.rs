//! The form of EC2's ids.

use crate::aws::error::ApiError;

/// # Errors
/// `InvalidAMIID.Malformed`
pub(super) fn check_image_id(id: &str) -> Result<(), ApiError> {
    if is_well_formed(id, "ami") {
        return Ok(());
    }
    Err(ApiError::client("InvalidAMIID.Malformed", format!("Invalid id: \"{id}\" (expecting \"ami-...\")")))
}

/// # Errors
/// `InvalidSnapshotID.Malformed`
pub(super) fn check_snapshot_id(id: &str) -> Result<(), ApiError> {
    if is_well_formed(id, "snap") {
        return Ok(());
    }
    Err(ApiError::client(
        "InvalidSnapshotID.Malformed",
        format!("Value ({id}) for parameter snapshotId is invalid. Expected: 'snap-...'."),
    ))
}

/// Whether an id has the form EC2 gives: the prefix and 8 or 17 hexadecimal digits.
fn is_well_formed(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}
