//! What AWS leaves open, or does differently from day to day: the tests choose.

use std::collections::BTreeSet;
use std::time::Duration;

/// The dials of the world. The defaults are AWS's own ways, at their most ordinary.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// How long a copy is pending. Default: 20 minutes.
    pub copy_duration: Duration,
    /// How many AMI copies may be under way in a destination Region, per account. Default: 300.
    pub copies_in_progress_limit: usize,
    /// How many snapshot copies may be under way in a destination Region, per account. AWS's default is 20 and is raised
    /// on request; here it is unlimited until a test sets it.
    pub snapshot_copies_limit: usize,
    /// How long a new AMI is not found, neither by id nor by filter. Default: not at all.
    pub invisible_for: Duration,
    /// Whether the name of a new AMI is taken even while that is not found. Default: it is.
    pub invisible_hold_names: bool,
    /// How long a deregistered AMI is still returned (in state `deregistered`). Default: 1 minute.
    pub deregistered_returned_for: Duration,
    /// How long, after that, asking for it by id has an empty answer without an error. Default: 1 hour.
    pub deregistered_empty_for: Duration,
    /// What asking for it by id answers from then on. Default: `InvalidAMIID.NotFound`.
    pub forgotten_as: ForgottenAs,
    /// How long the name of a deregistered AMI stays taken. Default: not at all.
    pub name_lingers_for: Duration,
    /// When `DescribeImages` begins to tell the snapshots of a copy. Default: at once.
    pub snapshot_ids_at: SnapshotIdsAt,
    /// Regions where EBS encryption by default is on. Default: none.
    pub encryption_by_default: BTreeSet<String>,
    /// The most results of one page, whatever `MaxResults` says. Default: 1000.
    pub page_size: usize,
    /// Whether the world sends the events of [`World::take_events`](super::World::take_events). Default: it does.
    pub events: bool,
    /// How long the check of an `aws:ec2:image` parameter takes. Default: no time.
    pub parameter_check_duration: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            copy_duration: Duration::from_secs(20 * 60),
            copies_in_progress_limit: 300,
            snapshot_copies_limit: usize::MAX,
            invisible_for: Duration::ZERO,
            invisible_hold_names: true,
            deregistered_returned_for: Duration::from_secs(60),
            deregistered_empty_for: Duration::from_secs(60 * 60),
            forgotten_as: ForgottenAs::NotFound,
            name_lingers_for: Duration::ZERO,
            snapshot_ids_at: SnapshotIdsAt::Start,
            encryption_by_default: BTreeSet::new(),
            page_size: 1000,
            events: true,
            parameter_check_duration: Duration::ZERO,
        }
    }
}

/// How EC2 answers, in the end, for an AMI that was deregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgottenAs {
    /// `InvalidAMIID.NotFound`, as the API reference says.
    NotFound,
    /// `InvalidAMIID.Unavailable`, as some have seen.
    Unavailable,
}

/// From when on `DescribeImages` tells the snapshot ids of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotIdsAt {
    /// From the start.
    Start,
    /// Once the copy is no longer pending.
    End,
    /// Not even then, until a test says otherwise.
    Never,
}
