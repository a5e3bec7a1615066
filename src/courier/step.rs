//! What all steps share: the courier itself, the delivery attempt they work in, and the ways in which a step ends early.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use courier_core::error::{Error, Rejection};
use courier_core::identity::{AccountId, Identity, Stack};
use courier_core::image::Image;
use courier_core::outcome::{Outcome, Route};
use courier_core::settings::Settings;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::report::Report;
use crate::aws::Aws;
use crate::aws::ec2::Ec2;

/// How long an AMI that is announced may stay invisible, or its snapshots not shared: builders share after the event.
const MAY_TAKE: time::Duration = time::Duration::hours(1);

/// The courier of one Region.
pub struct Courier {
    pub(super) settings: Arc<Settings>,
    pub(super) aws: Arc<Aws>,
    /// This stack's account. Only invocations name it, so the first one tells it.
    account: OnceLock<AccountId>,
}

/// One delivery of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// When the message was first sent; `None` where a synchronous caller gets every error at once.
    sent_at: Option<OffsetDateTime>,
    /// When Lambda ends the function, less the time it takes to answer.
    pub(super) deadline: Instant,
}

impl DeliveryAttempt {
    /// By a queue, which delivers again what is not done.
    #[must_use]
    pub fn queued(sent_at: OffsetDateTime, deadline: Instant) -> Self {
        Self { sent_at: Some(sent_at), deadline }
    }

    /// By somebody who waits for the answer.
    #[must_use]
    pub fn synchronous(deadline: Instant) -> Self {
        Self { sent_at: None, deadline }
    }

    /// Whether something that is missing now may still come.
    pub(super) fn may_wait(self, now: OffsetDateTime) -> bool {
        self.sent_at.is_some_and(|sent_at| now - sent_at < MAY_TAKE)
    }
}

/// Why a step ended early.
pub(super) enum StepEnd {
    Ignored(String),
    Error(Error),
}

impl From<Error> for StepEnd {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Rejection> for StepEnd {
    fn from(rejection: Rejection) -> Self {
        Self::Error(rejection.into())
    }
}

impl Courier {
    #[must_use]
    pub fn new(settings: Arc<Settings>, aws: Arc<Aws>) -> Self {
        Self { settings, aws, account: OnceLock::new() }
    }

    /// The account that invocations name.
    pub fn runs_in(&self, account: Option<&AccountId>) {
        if let Some(account) = account {
            self.account.get_or_init(|| account.clone());
        }
    }

    pub(super) fn stack(&self) -> Stack {
        Stack { region: self.settings.stack_region.clone(), account: self.account.get().cloned() }
    }

    /// Whether an AMI belongs to another account. Not known as long as no invocation has named this one.
    pub(super) fn is_of_another_account(&self, image: &Image) -> bool {
        let (mine, owner) = (self.account.get(), image.owner.as_ref());
        mine.zip(owner).is_some_and(|(mine, owner)| mine != owner)
    }

    pub(super) fn local_ec2(&self) -> Ec2 {
        self.aws.ec2(&self.settings.stack_region)
    }

    pub(super) fn route(&self, source: &Identity) -> Route {
        Route::new(source, &self.settings.stack_region)
    }

    pub(super) fn ignored(&self, source: Option<&Identity>, reason: String) -> Report {
        let route = source.map(|source| self.route(source));
        Report::new(route.clone(), Ok(Outcome::Ignored { reason, route }))
    }

    pub(super) fn ended(&self, source: Option<&Identity>, end: StepEnd) -> Report {
        match end {
            StepEnd::Ignored(reason) => self.ignored(source, reason),
            StepEnd::Error(error) => Report::new(source.map(|source| self.route(source)), Err(error)),
        }
    }

    /// Pauses between looks within one invocation, where AWS usually needs a moment.
    pub(super) const PAUSES: [Duration; 4] =
        [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
}
