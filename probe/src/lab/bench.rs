//! The laboratory: the connection, the plan, and the ledger of what the run made.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::things::{Copies, Copy, DeadCopy, Events, Image, Role, Source};
use crate::aws::{CallError, Connection, Element, Parameters};

/// The key of the tag on everything that a run makes; its value is the run's id.
pub const RUN_TAG: &str = "ami-courier-probe";
/// Keeps a courier in the same account away from the probe's AMIs.
const SKIP_TAG: &str = "ami-courier:skip";

/// The design's bound: a new AMI is visible after this time at the latest.
pub const VISIBLE_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The Region that is asked: copies are made here.
    pub region: String,
    /// The Region of the source AMI.
    pub source_region: String,
    /// How many copies the time until a copy is visible is taken from.
    pub copies: usize,
    /// The id of the run.
    pub run: String,
    /// Whether to print each step to stderr.
    pub verbose: bool,
}

/// What a run can make beside AMIs and snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Parameter,
    Role,
    RuleOrQueue,
    UsageReport,
}

/// What the run made and did not remove yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// (Region, id), with the time at which AWS answered.
    pub images: Vec<(String, String, Duration)>,
    /// (Region, id).
    pub snapshots: BTreeSet<(String, String)>,
    /// The AMIs that the run has removed: a token may name one of them again.
    pub removed_images: BTreeSet<String>,
    /// (Region, URL).
    pub queues: BTreeSet<(String, String)>,
    /// The queues that the run has removed, by URL: SQS can list one for a minute more.
    pub removed_queues: BTreeSet<String>,
    /// What else may exist.
    pub kinds: BTreeSet<Kind>,
    /// Whether a call that makes something had no answer: there may be more than is listed here.
    pub is_uncertain: bool,
}

impl Made {
    /// What runs that nobody remembers may have made.
    #[must_use]
    pub fn unknown() -> Self {
        let kinds = [Kind::Parameter, Kind::Role, Kind::RuleOrQueue, Kind::UsageReport].into();
        Made { kinds, is_uncertain: true, ..Made::default() }
    }
}

/// The AWS that is asked, with what this run has there.
#[derive(Debug)]
pub struct Lab {
    pub(crate) aws: Connection,
    pub(crate) plan: Plan,
    made: Mutex<Made>,
    pub(super) source: OnceCell<Result<Source, CallError>>,
    pub(super) copies: OnceCell<Result<Copies, CallError>>,
    pub(super) finished: OnceCell<Result<Image, CallError>>,
    pub(super) dead: OnceCell<Result<DeadCopy, CallError>>,
    pub(super) failed: OnceCell<Result<Copy, CallError>>,
    pub(super) events: OnceCell<Result<Events, CallError>>,
    pub(super) role: OnceCell<Result<Role, CallError>>,
}

impl Lab {
    #[must_use]
    pub fn new(aws: Connection, plan: Plan) -> Self {
        Lab {
            aws,
            plan,
            made: Mutex::default(),
            source: OnceCell::new(),
            copies: OnceCell::new(),
            finished: OnceCell::new(),
            dead: OnceCell::new(),
            failed: OnceCell::new(),
            events: OnceCell::new(),
            role: OnceCell::new(),
        }
    }

    /// What the run made and did not remove yet.
    #[must_use]
    pub fn made(&self) -> Made {
        self.ledger().clone()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.aws.clock().elapsed()
    }

    /// Waits until a time on the clock.
    pub(crate) async fn sleep_until(&self, time: Duration) -> Result<(), CallError> {
        match time.checked_sub(self.elapsed()) {
            None => Ok(()),
            Some(rest) => self.aws.sleep(rest).await,
        }
    }

    pub(super) fn say(&self, step: impl fmt::Display) {
        if self.plan.verbose {
            eprintln!("{:>5} s  {step}", self.elapsed().as_secs());
        }
    }

    /// The tags on everything that this run makes.
    pub(crate) fn tags(&self) -> [(&str, &str); 2] {
        [(RUN_TAG, &self.plan.run), (SKIP_TAG, "probe")]
    }

    pub(crate) fn name(&self, what: impl fmt::Display) -> String {
        format!("ami-courier-probe {} {what}", self.plan.run)
    }

    /// A client token that is this run's own.
    pub(crate) fn token(&self, what: impl fmt::Display) -> String {
        format!("{}-{what}", self.plan.run)
    }

    /// `CreateImageUsageReport`; noted.
    pub(crate) async fn order_report(&self, aws: &Connection, report: &Parameters) -> Result<Element, CallError> {
        let answer = aws.ec2(&self.plan.region, "CreateImageUsageReport", report).await;
        self.note_made(Kind::UsageReport, answer)
    }

    /// Remembers that a call may have made something of this kind.
    pub(super) fn note_made<T>(&self, kind: Kind, answer: Result<T, CallError>) -> Result<T, CallError> {
        if !matches!(answer, Err(CallError::Refused(_) | CallError::Stopped)) {
            self.ledger().kinds.insert(kind);
        }
        self.note_lost(answer)
    }

    /// Remembers when a call that makes something had no answer.
    pub(crate) fn note_lost<T>(&self, answer: Result<T, CallError>) -> Result<T, CallError> {
        if let Err(CallError::Lost(_)) = &answer {
            self.ledger().is_uncertain = true;
        }
        answer
    }
}
