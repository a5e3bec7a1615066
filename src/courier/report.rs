//! What steps return, as data: what became of each AMI, what remains to be done about it, and what a sweep found. Delivery
//! carries it out.

use courier_core::announcement::OwnMessage;
use courier_core::error::Error;
use courier_core::identity::ImageId;
use courier_core::outcome::{Outcome, Route};
use time::OffsetDateTime;

/// What came of one announcement.
#[derive(Debug, Default)]
pub struct Handled {
    /// One for each AMI that it concerns.
    pub reports: Vec<Report>,
    /// What a sweep found.
    pub sweep: Option<Sweep>,
}

impl From<Vec<Report>> for Handled {
    fn from(reports: Vec<Report>) -> Self {
        Self { reports, sweep: None }
    }
}

/// What a sweep announces, and the figures for its metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sweep {
    pub tally: Tally,
    /// For the courier's own queue, in the order in which they are to be sent.
    pub announcements: Vec<OwnMessage>,
}

/// The figures of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Copies that are pending, and since when the oldest of them is.
    pub in_progress: usize,
    pub oldest_in_progress_seconds: i64,
    /// Wanted source AMIs without a copy.
    pub missed: usize,
    /// Available copies that are not finished.
    pub unfinished: usize,
    pub failed: usize,
    /// What was found and left to the next sweep: the queue is full enough, or time was up.
    pub left: usize,
    /// Whether everything was looked at.
    pub complete: bool,
}

/// What became of one AMI.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub route: Option<Route>,
    pub result: Result<Outcome, Error>,
    /// For the courier's own queue.
    pub messages: Vec<OwnMessage>,
    /// The body of the dead letter, where it is not the message as it came.
    pub letter: Option<String>,
    /// What is done after all reporting.
    pub last: Option<LastStep>,
    /// Of a retirement that something holds: for how many whole days.
    pub held_days: Option<i64>,
}

/// What is done after all reporting: not before, since a crash in between would lose the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastStep {
    /// Deregister a failed copy.
    DeregisterFailedCopy(ImageId),
    /// Record on the copy that it is finished.
    MarkFinished { copy: ImageId, at: OffsetDateTime },
}

impl Report {
    #[must_use]
    pub fn new(route: Option<Route>, result: Result<Outcome, Error>) -> Self {
        Self { route, result, messages: Vec::new(), letter: None, last: None, held_days: None }
    }

    #[must_use]
    pub fn rejected(error: impl Into<Error>) -> Self {
        Self::new(None, Err(error.into()))
    }

    #[must_use]
    pub fn then(self, last: LastStep) -> Self {
        Self { last: Some(last), ..self }
    }

    #[must_use]
    pub fn held(self, days: i64) -> Self {
        Self { held_days: Some(days), ..self }
    }

    #[must_use]
    pub fn send(self, message: OwnMessage) -> Self {
        Self { messages: vec![message], ..self }
    }

    #[must_use]
    pub fn with_letter(self, body: String) -> Self {
        Self { letter: Some(body), ..self }
    }

    /// The failed copy that this report is about, if it is about one.
    #[must_use]
    pub fn failed_copy(&self) -> Option<&ImageId> {
        match &self.last {
            Some(LastStep::DeregisterFailedCopy(copy)) => Some(copy),
            _ => None,
        }
    }
}
