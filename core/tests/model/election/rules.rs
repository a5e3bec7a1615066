//! What one run of the election assumes: who does what, how often, and which rule is broken.

use super::mutations::Mutation;
use super::world::{Ami, Name};

/// What can change from outside. Each change of a source is an event, which may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// The tags of a source give another name.
    Promoted,
    /// People withdraw a source, or take that back.
    SourceWithdrawn,
    /// People withdraw one copy, or take that back.
    CopyWithdrawn,
    SourceDisabled,
    SourceEnabled,
    /// The source is deregistered, and so out of sight.
    SourceGone,
    CopyDeregistered,
    /// A hand writes any copy, or an AMI of somebody else's, to a parameter.
    HandWrites,
    /// The last version of the function publishes a copy: it knows no tags.
    LastVersion,
}

/// When the sweep begins after which everything must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peace {
    /// Once the last change is visible and the calls before have ended. What they left undone is lost.
    Settled,
    /// Right after the last change.
    AtOnce,
    /// There is no sweep, and no message is lost.
    NoSweep,
}

#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// By each copy: the name that it has, and the one that its source gives it. Where they differ, a message waits.
    pub(crate) copies: Vec<(Option<Name>, Option<Name>)>,
    pub(crate) parameters: Vec<Option<Ami>>,
    pub(crate) retire_with_source: bool,
    pub(crate) workers: usize,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) changes: u8,
    pub(crate) crashes: u8,
    /// How many calls arrive late.
    pub(crate) late: u8,
    pub(crate) failed_pages: u8,
    /// Sweeps before the last one.
    pub(crate) sweeps: u8,
    pub(crate) events_are_lost: bool,
    pub(crate) peace: Peace,
    /// The durations, in ticks. Only their order matters: see `tests/model/main.rs`.
    pub(crate) visible: u8,
    pub(crate) pause: u8,
    pub(crate) settled: u8,
    pub(crate) name_delay: u8,
    pub(crate) mutation: Option<Mutation>,
}

impl Rules {
    /// Copies that are finished and in step, in one name; the parameter holds the newest.
    pub(crate) fn published(copies: u8) -> Self {
        let (visible, pause) = (2, 1);
        Self {
            copies: (0..copies).map(|_| (Some(0), Some(0))).collect(),
            parameters: vec![Some(copies - 1), None],
            retire_with_source: true,
            workers: 2,
            kinds: Vec::new(),
            changes: 0,
            crashes: 0,
            late: 0,
            failed_pages: 0,
            sweeps: 0,
            events_are_lost: true,
            peace: Peace::Settled,
            visible,
            pause,
            settled: visible + pause,
            name_delay: visible,
            mutation: None,
        }
    }

    /// Copies that are just available, each with its message.
    pub(crate) fn fresh(copies: u8) -> Self {
        let copies = (0..copies).map(|_| (None, Some(0))).collect();
        Self { copies, parameters: vec![None, None], ..Self::published(1) }
    }

    pub(crate) fn changing(self, changes: u8, kinds: &[Kind]) -> Self {
        Self { changes, kinds: kinds.to_vec(), ..self }
    }

    pub(crate) fn with(mut self, mutation: Mutation) -> Self {
        match mutation {
            Mutation::DisableWithoutWaiting => self.settled = 0,
            Mutation::DisableOnceVisible => self.settled = self.visible,
            Mutation::NoNameDelay => self.name_delay = 0,
            Mutation::NoSweep => self.peace = Peace::NoSweep,
            _ => {}
        }
        self.mutation = Some(mutation);
        self
    }

    pub(crate) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}
