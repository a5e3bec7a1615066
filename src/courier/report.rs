//! What steps return, as data: what became of each AMI, and what remains to be done about it. `close` carries it out.

use courier_core::announcement::OwnMessage;
use courier_core::error::Error;
use courier_core::identity::ImageId;
use courier_core::in_step::Finished;
use courier_core::outcome::{Outcome, Route};

/// What became of one AMI; or of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) route: Option<Route>,
    /// `None`: there is nothing to tell but the figures of a sweep.
    pub(super) result: Result<Option<Outcome>, Error>,
    /// For the courier's own queue, in the order in which they are to be sent.
    pub(super) messages: Vec<OwnMessage>,
    /// How many of the courier's own messages led here: those that it sends count on.
    pub(super) hops: u32,
    /// The body of the dead letter, where it is not the message as it came.
    pub(super) letter: Option<String>,
    /// What is done after all reporting.
    pub(super) last: Option<LastStep>,
    pub(super) figures: Option<Figures>,
    /// Whether only a sweep stands behind it: then the next one finds it again.
    pub(super) is_from_sweep: bool,
}

/// What is done after all reporting: not before, since a crash in between would lose the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LastStep {
    /// Deregister a failed copy.
    RemoveFailedCopy(ImageId),
    /// Record on the copy that it is finished, and as which settings it is shared.
    MarkFinished { copy: ImageId, finished: Finished },
}

/// Figures for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Figures {
    /// Of a retirement that something holds: for how many whole days.
    HeldDays(i64),
    Sweep(Tally),
    /// It is ignored because an AMI of another account never came into sight.
    NeverVisible,
}

/// The figures of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Copies that are pending, and since when the oldest of them is.
    pub(super) in_progress: usize,
    pub(super) oldest_in_progress_seconds: i64,
    /// Wanted source AMIs without a copy.
    pub(super) missed: usize,
    /// Available copies that are not finished.
    pub(super) unfinished: usize,
    pub(super) failed: usize,
    /// Finished copies that are not as their source and the settings say.
    pub(super) out_of_step: usize,
    /// What was found and left to the next sweep: the queue is full enough, or time was up.
    pub(super) left: usize,
    /// Whether everything was looked at.
    pub(super) complete: bool,
}

impl Report {
    pub(super) fn new(route: Option<Route>, result: Result<Outcome, Error>) -> Self {
        Self {
            route,
            result: result.map(Some),
            messages: Vec::new(),
            hops: 0,
            letter: None,
            last: None,
            figures: None,
            is_from_sweep: false,
        }
    }

    /// A message that no step could take up.
    pub(super) fn rejected(error: Error) -> Self {
        Self::new(None, Err(error))
    }

    /// What a sweep found.
    pub(super) fn swept(tally: Tally, messages: Vec<OwnMessage>) -> Self {
        let figures = Some(Figures::Sweep(tally));
        Self {
            route: None,
            result: Ok(None),
            messages,
            hops: 0,
            letter: None,
            last: None,
            figures,
            is_from_sweep: true,
        }
    }

    #[must_use]
    pub(super) fn then(self, last: LastStep) -> Self {
        Self { last: Some(last), ..self }
    }

    #[must_use]
    pub(super) fn held(self, days: i64) -> Self {
        Self { figures: Some(Figures::HeldDays(days)), ..self }
    }

    #[must_use]
    pub(super) fn send(self, message: OwnMessage) -> Self {
        Self { messages: vec![message], ..self }
    }

    #[must_use]
    pub(super) fn with_letter(self, body: String) -> Self {
        Self { letter: Some(body), ..self }
    }

    /// The failed copy that this report is about, if it is about one.
    pub(super) fn failed_copy(&self) -> Option<&ImageId> {
        match &self.last {
            Some(LastStep::RemoveFailedCopy(copy)) => Some(copy),
            _ => None,
        }
    }

    /// The reason of a rejection.
    pub(super) fn rejection(&self) -> Option<&Error> {
        self.result.as_ref().err().filter(|error| error.retry_after().is_none())
    }
}
