//! The protocol of exactly once, carried out: look, call, look at the answer. Its rules are in [`courier_core::protocol`].

use courier_core::copy_image::ClientToken;
use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::ImageId;
use courier_core::image::{Image, State, best};
use courier_core::outcome::Outcome;
use courier_core::plan::Plan;
use courier_core::protocol::{End, Look, LookById, Next, Order, Timing};
use courier_core::selection;
use time::OffsetDateTime;
use tracing::info;

use super::wanted::Copy;
use crate::aws::error::When;
use crate::courier::report::Report;
use crate::courier::stack::Stop;

const TIMING: Timing = Timing::EC2;

/// What is known while one copy is being made.
pub(super) struct Work<'a> {
    pub(super) copy: Copy<'a>,
    pub(super) plan: Plan,
    pub(super) source_image: Image,
    /// The copy that the last look showed.
    pub(super) seen: Option<Image>,
    /// What EC2 accepted, and under which token.
    pub(super) accepted: Option<(ImageId, ClientToken)>,
    pub(super) last_failure: Option<String>,
}

impl<'a> Work<'a> {
    pub(super) fn new(copy: Copy<'a>, plan: Plan, source_image: Image) -> Self {
        Self { copy, plan, source_image, seen: None, accepted: None, last_failure: None }
    }

    /// Follows the protocol from the first look to its end.
    pub(super) async fn make(mut self, copies: &[Image]) -> Result<Vec<Report>, Stop> {
        let courier = self.copy.courier;
        let order = Order {
            resume: self.copy.resume,
            age: age(&self.source_image, courier.aws.now()),
            has_queue: courier.settings.queue_url.is_some(),
            has_own_token: self.plan.own_token().is_some(),
            hops: self.copy.hops,
            is_swept: self.is_swept(),
        };
        let mut next = order.after_look(&TIMING, self.look(copies));
        loop {
            let at = match next {
                Next::Copy(at) => at,
                Next::End(end) => return Ok(vec![self.conclude(end)?]),
            };
            let call = self.plan.call_of(at, &courier.settings.stack_region)?;
            next = match courier.local_ec2().copy_image(&call).await {
                Ok(accepted) => {
                    let seen = self.look_at(&accepted).await?;
                    self.accept(accepted, call.client_token, seen.as_ref());
                    order.after_answer(&TIMING, at, proof(seen.as_ref()))
                }
                Err(refused) if refused.refuses_token() => {
                    info!(code = refused.code, message = refused.message, "EC2 refuses the token: looking again");
                    if order.has_own_token {
                        self.last_failure = Some(refused.message);
                    }
                    let copies = self.copy.look_for_copies().await?;
                    order.after_refusal(&TIMING, at, self.look(&copies))
                }
                Err(taken) if taken.is(code::NAME_TAKEN) => return self.name_is_taken(taken).await,
                Err(failed) if failed.is("DryRunOperation") => {
                    let message = format!("{}: DryRunOperation, but DryRun was not set", self.doing());
                    return Err(Error::retry(RetryAfter::Minutes, code::BUG, message).into());
                }
                Err(failed) => return Err(self.not_copied(failed).into()),
            };
        }
    }

    /// Whether a sweep announces the source as long as it has no live copy. It never makes a request.
    fn is_swept(&self) -> bool {
        let Copy { courier, delivery, source, .. } = self.copy;
        let now = courier.aws.now();
        self.copy.request().is_none()
            && selection::is_swept(&self.source_image, &source.region, now, delivery.stack, &courier.settings)
    }

    /// Whether one of these copies is the answer: for a request, the name must fit as well.
    fn fits(&self, copy: &Image) -> bool {
        self.copy.request().is_none() || copy.name == self.plan.call.name.as_str()
    }

    pub(super) fn has_copy(&self, copies: &[Image]) -> bool {
        copies.iter().any(|copy| copy.state.is_live() && self.fits(copy))
    }

    /// Looks at copies of the source, and remembers the one that counts.
    fn look(&mut self, copies: &[Image]) -> Look {
        let fits = |copy: &&Image| self.fits(copy);
        let is_somebody_elses = |copy: &Image| copy.state == State::Pending && copy.courier_source().is_none();
        let (uncertain, certain): (Vec<&Image>, Vec<&Image>) =
            copies.iter().filter(fits).partition(|copy| is_somebody_elses(copy));
        let (look, copy) = match (best(certain.into_iter()), best(uncertain.into_iter())) {
            (Some(copy), _) => (Look::Live, Some(copy)),
            (None, Some(copy)) => (Look::PendingOfSomebodyElse, Some(copy)),
            (None, None) => (Look::Nothing, None),
        };
        self.seen = copy.cloned();
        look
    }

    async fn look_at(&self, accepted: &ImageId) -> Result<Option<Image>, Error> {
        let ec2 = self.copy.courier.local_ec2();
        let seen = ec2.image(accepted, None).await;
        seen.when(format_args!("looking at the new copy {accepted} in {}", ec2.region))
    }

    fn accept(&mut self, accepted: ImageId, token: Option<ClientToken>, seen: Option<&Image>) {
        if let Some(dead) = seen.filter(|image| !image.state.is_live()) {
            let reason = dead.state_reason.as_deref().unwrap_or("EC2 does not say why");
            let how = if dead.state == State::Failed { reason } else { "it was deregistered" };
            info!(dead = %accepted, how, "EC2 answers with a dead copy: the next try follows");
            self.last_failure = Some(format!("{accepted}: {how}"));
        }
        self.accepted = token.map(|token| (accepted, token));
    }

    /// What is reported, and what is sent, at the end of the protocol.
    fn conclude(&self, end: End) -> Result<Report, Stop> {
        let route = self.copy.courier.route(self.copy.source);
        let report = |outcome: Outcome| Report::new(Some(route.clone()), Ok(outcome));
        Ok(match end {
            End::AlreadyCopied => report(self.adopt(self.seen()?)?),
            End::Started | End::StartedForOwnToken => report(self.started()?),
            End::StartedUnseen { resume } => {
                let accepted = self.accepted.as_ref().map(|(accepted, _)| accepted);
                report(self.started()?).send(self.copy.second_look(resume, accepted))
            }
            End::SecondLook { resume } => {
                let outcome = match &self.seen {
                    Some(copy) => self.adopt(copy)?,
                    None => Outcome::Ignored {
                        reason: "EC2 has accepted this copy before, and does not show it yet; the courier looks again in 15 \
                                 minutes"
                            .to_owned(),
                        route: Some(route.clone()),
                    },
                };
                report(outcome).send(self.copy.second_look(resume, None))
            }
            End::LeftToSweep => report(match (&self.accepted, &self.seen) {
                (Some(_), _) => self.started()?,
                (None, Some(copy)) => self.adopt(copy)?,
                (None, None) => Outcome::Ignored {
                    reason: format!(
                        "EC2 has accepted this copy before, and does not show it after {} looks; the next sweep continues",
                        TIMING.hops
                    ),
                    route: Some(route.clone()),
                },
            }),
            End::TooManyHops => self.looks_spent(),
            End::QuietUntil { age } => return Err(self.quiet(age).into()),
            End::Undecided => {
                let message = format!(
                    "{}: EC2 has accepted the copy, and does not show it yet (without QUEUE_URL, there is no second look)",
                    self.doing()
                );
                return Err(Error::retry(RetryAfter::Minutes, code::NOT_VISIBLE_YET, message).into());
            }
            End::Spent { resume } => self.spent(resume),
            End::OwnTokenIsDead => return Err(self.own_token(code::COPY_FAILED, "it is gone").into()),
            End::OwnTokenIsRefused => {
                return Err(self.own_token("IdempotentParameterMismatch", "EC2 refuses it").into());
            }
        })
    }

    fn started(&self) -> Result<Outcome, Error> {
        let (accepted, token) = self.accepted.as_ref().ok_or_else(|| Error::bug("EC2 gave no id for the copy"))?;
        Ok(Outcome::Started {
            image_id: accepted.clone(),
            name: self.plan.call.name.clone(),
            route: self.copy.courier.route(self.copy.source),
            client_token: token.clone(),
        })
    }

    fn seen(&self) -> Result<&Image, Error> {
        self.seen.as_ref().ok_or_else(|| Error::bug("the copy that was found is missing"))
    }

    /// A live copy of this source is the answer, unless a request asks for encryption and the copy is not encrypted.
    pub(super) fn adopt(&self, copy: &Image) -> Result<Outcome, Error> {
        let (call, courier) = (&self.plan.call, self.copy.courier);
        let is_requested = self.copy.request().is_some();
        if is_requested && call.encryption.encrypted() == Some(true) && copy.encrypted() == Some(false) {
            return Err(Error::rejected(
                code::NAME_TAKEN,
                format!(
                    "{} in {} is a copy of {} with the name `{}`, but it is not encrypted, as requested",
                    copy.id, courier.settings.stack_region, call.source, copy.name
                ),
                "deregister that copy, or request another name",
            ));
        }
        let (image_id, name) = (copy.id.clone(), copy.name.clone());
        Ok(Outcome::AlreadyCopied { image_id, name, route: courier.route(&call.source) })
    }
}

/// What a look proves of an AMI that EC2 answered with.
fn proof(seen: Option<&Image>) -> LookById {
    match seen {
        Some(image) if image.state.is_live() => LookById::Live,
        Some(_) => LookById::Dead,
        None => LookById::NotVisible,
    }
}

/// In seconds. EC2 shows the time of creation of every AMI; without one, any fixed time serves the protocol.
fn age(source: &Image, now: OffsetDateTime) -> u64 {
    let created = source.created.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    u64::try_from((now - created).whole_seconds()).unwrap_or(0)
}
