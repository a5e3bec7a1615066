//! The rules of the election, each broken once. The model must find what goes wrong.

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// A copy whose source is out of sight is no member.
    GoBackOnAbsence,
    /// A page that fails is taken for the end of the listing.
    HalfListing,
    /// The courier's key is put on after the parameter was moved.
    WithdrawnAfterParameter,
    /// The courier's key is taken off as soon as the source looks as if it were in service.
    RestoreAtOnce,
    /// People and the courier write the same key.
    OneKey,
    /// A copy gets its new tags before it leaves its old name.
    LeaveAfterTags,
    /// The newest is the one that was finished last.
    NewestByFinishing,
    /// A copy is disabled although the parameter holds it.
    DisableWhileHeld,
    /// A copy is disabled as soon as the parameter holds another AMI.
    DisableWithoutWaiting,
    /// A copy is disabled once the withdrawal is visible, while a call may still be under way.
    DisableOnceVisible,
    /// A sweep's messages with names are delivered at once.
    NoNameDelay,
    NoSweep,
}
