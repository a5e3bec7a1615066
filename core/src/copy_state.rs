//! The states of a copy, as survey and status name them.

use serde::Serialize;

/// What became of the copy of an AMI. The order is that of the answer: first what an operator should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum CopyState {
    Failed,
    Missing,
    Held,
    Unfinished,
    OutOfStep,
    Awaited,
    Pending,
    Retiring,
    Disabled,
    AlreadyCopied,
    Finished,
    Retired,
}

impl CopyState {
    pub const ALL: [Self; 12] = [
        Self::Failed,
        Self::Missing,
        Self::Held,
        Self::Unfinished,
        Self::OutOfStep,
        Self::Awaited,
        Self::Pending,
        Self::Retiring,
        Self::Disabled,
        Self::AlreadyCopied,
        Self::Finished,
        Self::Retired,
    ];

    /// The state's name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "Failed",
            Self::Missing => "Missing",
            Self::Held => "Held",
            Self::Unfinished => "Unfinished",
            Self::OutOfStep => "OutOfStep",
            Self::Awaited => "Awaited",
            Self::Pending => "Pending",
            Self::Retiring => "Retiring",
            Self::Disabled => "Disabled",
            Self::AlreadyCopied => "AlreadyCopied",
            Self::Finished => "Finished",
            Self::Retired => "Retired",
        }
    }

    /// What the state says, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Failed => "EC2 could not make the copy, and no other copy exists.",
            Self::Missing => {
                "No copy is visible. Whether it was announced is not known here: the next sweep announces it, and a dead letter or the log says \
                 what went wrong."
            }
            Self::Held => "The source is gone and the waiting time is over, but the copy still exists.",
            Self::Unfinished => {
                "The copy is available, but not finished yet: shared, deprecated, protected, published."
            }
            Self::OutOfStep => {
                "The copy is finished, but not as its source and the settings are by now. The next sweep changes that."
            }
            Self::Awaited => "No copy is visible, and it is too early to call it missing.",
            Self::Pending => "EC2 is making the copy.",
            Self::Retiring => "The source is gone. The copy is retired after the waiting time.",
            Self::Disabled => "The copy is disabled, and it was not the courier that disabled it.",
            Self::AlreadyCopied => {
                "A copy that the courier did not make is available. The courier makes no other and does not finish this one."
            }
            Self::Finished => "The copy is available, and all finishing steps are done.",
            Self::Retired => "The copy is out of service, as its source is.",
        }
    }

    /// Whether nothing has to happen any more. Of these, the newest comes first; of the others, the oldest.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Disabled | Self::AlreadyCopied | Self::Finished | Self::Retired)
    }
}
