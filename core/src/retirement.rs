//! Retirement: a copy follows its source out of service, and back. Pure: what was seen decides what to do next.
//!
//! Nothing that anyone needs is retired:
//!
//! 1. *Mark.* The first look that finds the source deregistered puts the time on the copy. A source that is back removes it.
//! 2. *Wait* for the days that `RETIRE_AFTER_DAYS` sets: a deregistered AMI can come back from the Recycle Bin.
//! 3. *Look again.* Only a sweep retires. The source must still be gone, the copy unprotected, and nobody may use the copy.
//!
//! A disabled source disables its copy, unless the copy is in use. The copy is marked first, so a source that is enabled
//! again enables its copy again. A copy that somebody else disabled has no such mark and stays disabled.
//!
//! The caller asks [`decide`], does what it says, and asks again, until it says that the copy stays, or is out of service.

use std::fmt;

use time::{Date, Duration, OffsetDateTime};

use crate::image::{Image, State, tag};

/// What EC2 in the source Region says about a source AMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    InService,
    Disabled,
    Deregistered,
    /// It is gone, but another AMI of its build is in service.
    SiblingInService,
    /// Not visible. That alone proves nothing.
    NotVisible,
}

impl SourceState {
    pub fn is_in_service(self) -> bool {
        matches!(self, Self::InService | Self::SiblingInService)
    }
}

/// What led to this look. An event can come at any time, and more than once; a sweep looks at everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    Event,
    Sweep,
}

/// Whether anybody uses the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    NotLookedFor,
    Unused,
    /// Used, or not known to be unused. The text names the users, or says why they are not known.
    InUse(String),
}

/// All that the decision depends on.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    pub source: SourceState,
    pub copy: &'a Image,
    pub usage: &'a Usage,
    pub trigger: Trigger,
    /// Days between the mark and the end.
    pub retire_after_days: u16,
    pub now: OffsetDateTime,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the copy stays as it is.
    Stay(Reason),
    /// Put [`tag::SOURCE_GONE_SINCE`] on the copy.
    Mark,
    /// Remove these marks from the copy, as far as it has them.
    Unmark(&'static [&'static str]),
    /// Find out who uses the copy.
    LookForUsage,
    /// Disable the copy; put [`tag::DISABLED_WITH_SOURCE`] on it first.
    Disable,
    /// Enable the copy; remove [`tag::FINISHED`] first, since disabling it has removed its launch permissions.
    Enable,
    Deregister,
}

/// Why a copy stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    SourceInService,
    SiblingInService,
    SourceNotVisible,
    /// The source is in service, and the copy is disabled, but not by the courier.
    DisabledByOthers,
    /// As its source is.
    DisabledAlready,
    /// Only an available AMI can be disabled.
    StillPending,
    /// The source is disabled, and the copy is in use.
    InUse(String),
    Waiting {
        since: OffsetDateTime,
        until: OffsetDateTime,
    },
    /// The waiting time is over, but this is not a sweep.
    LeftToSweep {
        since: OffsetDateTime,
    },
    /// The waiting time is over, and something holds the copy.
    Held(Hold),
}

/// What keeps a copy from being retired although its time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub source_gone_since: OffsetDateTime,
    /// When the waiting time was over.
    pub since: OffsetDateTime,
    pub by: String,
}

impl Hold {
    /// How many whole days it has held the copy.
    pub fn days(&self, now: OffsetDateTime) -> i64 {
        (now - self.since).whole_days()
    }
}

const GONE: &[&str] = &[tag::SOURCE_GONE_SINCE];
const ALL: &[&str] = &[tag::SOURCE_GONE_SINCE, tag::DISABLED_WITH_SOURCE];

/// What to do next about a live copy of the courier's.
pub fn decide(evidence: &Evidence<'_>) -> Verdict {
    let copy = evidence.copy;
    let since = copy.source_gone_since();
    match evidence.source {
        SourceState::InService | SourceState::SiblingInService => match copy.state {
            State::Disabled if copy.is_disabled_with_source() => Verdict::Enable,
            _ if has_any(copy, ALL) => Verdict::Unmark(ALL),
            State::Disabled => Verdict::Stay(Reason::DisabledByOthers),
            _ if evidence.source == SourceState::SiblingInService => Verdict::Stay(Reason::SiblingInService),
            _ => Verdict::Stay(Reason::SourceInService),
        },
        SourceState::Disabled if has_any(copy, GONE) => Verdict::Unmark(GONE),
        SourceState::Disabled => match (copy.state, evidence.usage) {
            (State::Disabled, _) => Verdict::Stay(Reason::DisabledAlready),
            (State::Available, Usage::NotLookedFor) => Verdict::LookForUsage,
            (State::Available, Usage::Unused) => Verdict::Disable,
            (State::Available, Usage::InUse(by)) => Verdict::Stay(Reason::InUse(by.clone())),
            (State::Pending | State::Failed | State::Deregistered, _) => Verdict::Stay(Reason::StillPending),
        },
        SourceState::Deregistered => since.map_or(Verdict::Mark, |since| after_mark(evidence, since)),
        // EC2 returns a deregistered AMI of another account only for a short time. The mark says that it was seen so.
        SourceState::NotVisible => {
            since.map_or(Verdict::Stay(Reason::SourceNotVisible), |since| after_mark(evidence, since))
        }
    }
}

/// The source was found gone at `since`, and is still gone.
fn after_mark(evidence: &Evidence<'_>, since: OffsetDateTime) -> Verdict {
    let until = since + Duration::days(evidence.retire_after_days.into());
    if evidence.now < until {
        return Verdict::Stay(Reason::Waiting { since, until });
    }
    let held = |by: String| Verdict::Stay(Reason::Held(Hold { source_gone_since: since, since: until, by }));
    match evidence.usage {
        _ if evidence.trigger == Trigger::Event => Verdict::Stay(Reason::LeftToSweep { since }),
        _ if evidence.copy.protected => held("it is protected from deregistration".to_owned()),
        Usage::NotLookedFor => Verdict::LookForUsage,
        Usage::InUse(by) => held(by.clone()),
        Usage::Unused => Verdict::Deregister,
    }
}

fn has_any(copy: &Image, keys: &[&str]) -> bool {
    keys.iter().any(|key| copy.tags.contains_key(*key))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SourceInService => f.write_str("EC2 still has its source AMI"),
            Self::SiblingInService => f.write_str(
                "its source AMI is gone, but another AMI of the same build is in service in a source Region",
            ),
            Self::SourceNotVisible => {
                f.write_str("its source AMI is not visible, which does not prove that it is deregistered")
            }
            Self::DisabledByOthers => {
                f.write_str("its source AMI is in service, and it was not the courier that disabled the copy")
            }
            Self::DisabledAlready => f.write_str("it is disabled already, as its source AMI is"),
            Self::StillPending => f.write_str("its source AMI is disabled, but only an available copy can be disabled"),
            Self::InUse(by) => write!(f, "its source AMI is disabled, but {by}"),
            Self::Waiting { since, until } => write!(
                f,
                "its source AMI has been gone since {}; a sweep retires the copy on {} or later, unless the source comes back or the copy \
                 is in use",
                day(*since),
                day(*until)
            ),
            Self::LeftToSweep { since } => {
                write!(f, "its source AMI has been gone since {}; the next sweep decides about the copy", day(*since))
            }
            Self::Held(Hold { source_gone_since, since, by }) => {
                write!(
                    f,
                    "its source AMI has been gone since {}; held since {}: {by}",
                    day(*source_gone_since),
                    day(*since)
                )
            }
        }
    }
}

fn day(time: OffsetDateTime) -> Date {
    time.to_offset(time::UtcOffset::UTC).date()
}
