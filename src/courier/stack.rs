//! The courier of one stack, a delivery of a message to it, and the ways in which a step ends early.

use std::sync::Arc;

use courier_core::election;
use courier_core::error::Error;
use courier_core::identity::{Identity, Stack};
use courier_core::image::Image;
use courier_core::outcome::{Outcome, Route};
use courier_core::settings::Settings;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::report::{Figures, Report};
use crate::aws::Aws;
use crate::aws::ec2::Ec2;

/// How long an AMI that is announced may stay invisible, or its snapshots not shared: builders share after the event.
const BUILDERS_MAY_TAKE: time::Duration = time::Duration::hours(1);

/// The courier of one Region.
pub struct Courier {
    pub(super) settings: Settings,
    pub(super) aws: Arc<Aws>,
}

/// One delivery of a message.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// This stack, and its account as the invocation names it.
    pub stack: &'a Stack,
    /// When Lambda ends the function, less the time that it takes to answer.
    pub deadline: Instant,
    /// By a queue, which delivers again what is not done. `None` where a synchronous caller gets every error at once.
    pub queued: Option<Queued<'a>>,
}

/// What a queue says of a message.
#[derive(Clone, Copy)]
pub struct Queued<'a> {
    /// When it was first sent.
    pub sent_at: OffsetDateTime,
    /// Its body as it came: that of its dead letter.
    pub body: &'a str,
}

impl Delivery<'_> {
    /// Whether something that is missing now may still come.
    pub(super) fn may_wait(&self, now: OffsetDateTime) -> bool {
        self.queued.is_some_and(|queued| now - queued.sent_at < BUILDERS_MAY_TAKE)
    }

    /// Whether what the message reports may still be invisible.
    pub(super) fn is_young(&self, now: OffsetDateTime) -> bool {
        self.queued.is_some_and(|queued| now - queued.sent_at < election::Timing::EC2.visible)
    }

    /// Until when what was written by messages that were sent with this one, and are handled within a quarter of an hour, may be
    /// invisible.
    pub(super) fn until_settled(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let settled = self.queued?.sent_at + election::Timing::EC2.settled;
        (now < settled).then_some(settled)
    }

    /// Whether an AMI belongs to another account. Not known where the invocation does not name this one.
    pub(super) fn is_of_another_account(&self, image: &Image) -> bool {
        let (mine, owner) = (self.stack.account.as_ref(), image.owner.as_ref());
        mine.zip(owner).is_some_and(|(mine, owner)| mine != owner)
    }
}

/// Why a step ended early.
pub(super) enum Stop {
    Ignored(String),
    /// EC2 knows the AMI, and it is not the source of a copy: a code, and the reason. Announced, it is ignored; requested, rejected.
    Unfit(&'static str, String),
    /// Ignored, since an AMI of another account never came into sight.
    NeverVisible(String),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Courier {
    pub fn new(settings: Settings, aws: Arc<Aws>) -> Self {
        Self { settings, aws }
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

    pub(super) fn failed(&self, source: Option<&Identity>, error: Error) -> Report {
        Report::new(source.map(|source| self.route(source)), Err(error))
    }

    pub(super) fn stopped(&self, source: Option<&Identity>, stop: Stop) -> Report {
        match stop {
            Stop::Ignored(reason) | Stop::Unfit(_, reason) => self.ignored(source, reason),
            Stop::NeverVisible(reason) => {
                Report { figures: Some(Figures::NeverVisible), ..self.ignored(source, reason) }
            }
            Stop::Error(error) => self.failed(source, error),
        }
    }
}
