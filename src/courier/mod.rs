//! The steps: copy, finish, post-mortem, retire, and the sweep that calls the same steps for what events missed.
//!
//! Each step is idempotent and looks at EC2 itself before it acts: an event only says where to look. Nothing is waited
//! for (but a few seconds for EC2 to see its own new AMI), nothing is remembered between invocations.

use std::time::Duration;

use tokio::time::Instant;

use courier_core::announcement::{Announcement, ImageState, Pointer, AnnouncedBy};
use crate::aws::{Aws, Ec2};
use courier_core::identity::{Here, Identity, ImageId};
use courier_core::outcome::{CallFailed, Error, Outcome, Route};
use courier_core::selection;
use courier_core::settings::Settings;

mod copy;
mod finish;
mod post_mortem;
mod publish;
mod retire;
mod source;
mod sweep;
mod tell;

pub use sweep::Tally;

/// How long EC2 may need to see an AMI that it has just made.
const PATIENCE: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// What is absent on this many deliveries in a row, seconds and more apart, is not merely late.
const DELIVERIES_TO_BE_SURE: u32 = 3;

/// The courier of one Region.
pub struct Courier {
    pub settings: Settings,
    pub aws: Aws,
}

/// What became of one AMI.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub route: Option<Route>,
    pub result: Result<Outcome, Error>,
    /// A failed copy that is to be deregistered once its failure has been told: not before, or a crash in between
    /// would lose the reason.
    pub remains: Option<ImageId>,
}

impl Report {
    fn new(route: Option<Route>, result: Result<Outcome, Error>) -> Self {
        Self { route, result, remains: None }
    }
}

/// How an announcement came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// How often it was delivered, this time included.
    delivery: u32,
    /// When Lambda ends the function, less the time it takes to answer.
    deadline: Instant,
}

impl Occasion {
    /// A queue that delivers again what is not done.
    #[must_use]
    pub fn delivered(times: u32, deadline: Instant) -> Self {
        Self { delivery: times, deadline }
    }

    /// Somebody waits for the answer: what cannot be seen now is told now.
    #[must_use]
    pub fn asked(deadline: Instant) -> Self {
        Self { delivery: DELIVERIES_TO_BE_SURE, deadline }
    }

    fn is_sure(self) -> bool {
        self.delivery >= DELIVERIES_TO_BE_SURE
    }
}

/// Why an AMI is copied.
#[derive(Clone, Copy, Debug)]
enum Wish<'a> {
    Announced(AnnouncedBy),
    Requested(&'a courier_core::announcement::CopyRequest),
}

impl Courier {
    /// Does what one announcement asks for: one report for each AMI that it concerns.
    pub async fn handle(&self, announcement: &Announcement, here: &Here, occasion: Occasion) -> Vec<Report> {
        match announcement {
            Announcement::Nothing { ami, reason } => vec![self.ignored(ami.as_ref(), reason.clone())],
            Announcement::Built { ami, announced_by } => self.built(ami, *announced_by, occasion).await,
            Announcement::Request(request) => {
                vec![self.copy(&request.source, Wish::Requested(request), occasion).await]
            }
            Announcement::StateChanged { ami, state: ImageState::Deregistered, .. } if ami.region == here.region => {
                vec![self.ignored(None, format!("{ami} is deregistered: nothing is left to be done for it"))]
            }
            Announcement::StateChanged { ami, .. } if ami.region == here.region => {
                vec![self.copy_changed_state(&ami.image, occasion).await]
            }
            Announcement::StateChanged { ami, state, error_message } => match state {
                ImageState::Available => vec![self.copy(ami, Wish::Announced(AnnouncedBy::Ec2), occasion).await],
                ImageState::Deregistered | ImageState::Disabled => self.retire_copies_of(ami).await,
                ImageState::Failed => vec![self.ignored(Some(ami), format!("the source AMI failed: {error_message}"))],
            },
            Announcement::Sweep => self.sweep(occasion).await,
        }
    }

    async fn built(&self, ami: &Pointer, announced_by: AnnouncedBy, occasion: Occasion) -> Vec<Report> {
        match ami {
            Pointer::Images(images) => match selection::first_allowed(images, &self.settings) {
                Ok(source) => vec![self.copy(source, Wish::Announced(announced_by), occasion).await],
                Err(reason) => vec![self.ignored(images.first(), reason)],
            },
            Pointer::ImageBuilder { region, arn } => match self.made_by_image_builder(region, arn, occasion).await {
                Ok(found) if found.is_empty() => {
                    vec![self.ignored(
                        None,
                        format!("no AMI of SOURCE_OWNERS in {region} bears the tag Ec2ImageBuilderArn={arn}"),
                    )]
                }
                Ok(found) => {
                    let mut reports = Vec::new();
                    for source in found {
                        reports.push(self.copy(&source, Wish::Announced(announced_by), occasion).await);
                    }
                    reports
                }
                Err(result) => vec![self.settled(None, result)],
            },
            Pointer::Parameter { region, name } => match self.held_by_parameter(region, name).await {
                Ok(source) => vec![self.copy(&source, Wish::Announced(announced_by), occasion).await],
                Err(result) => vec![self.settled(None, result)],
            },
        }
    }

    fn here(&self) -> Ec2 {
        self.aws.ec2(&self.settings.here)
    }

    fn route(&self, source: &Identity) -> Route {
        Route::new(source, &self.settings.here)
    }

    fn ignored(&self, source: Option<&Identity>, reason: String) -> Report {
        let route = source.map(|source| self.route(source));
        Report::new(route.clone(), Ok(Outcome::Ignored { reason, route }))
    }

    fn settled(&self, source: Option<&Identity>, stop: Stop) -> Report {
        match stop {
            Stop::Ignored(reason) => self.ignored(source, reason),
            Stop::Error(error) => Report::new(source.map(|source| self.route(source)), Err(error)),
        }
    }
}

/// Why a step ended early.
enum Stop {
    Ignored(String),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<courier_core::outcome::Rejection> for Stop {
    fn from(rejection: courier_core::outcome::Rejection) -> Self {
        Self::Error(rejection.into())
    }
}

/// Turns a failed AWS call into an error that says what was attempted.
fn attempting(attempt: String) -> impl FnOnce(CallFailed) -> Error {
    move |failed| Error::from_aws(&attempt, &failed)
}
