//! Copy: start exactly one copy of a source AMI. The rules are in [`courier_core::protocol`]; here they are carried out.

use courier_core::announcement::{AnnouncedBy, CopyRequest, OwnMessage, SecondLook, Why};
use courier_core::copy_image::{ClientToken, Destination};
use courier_core::error::{Error, Rejection, RetryAfter, code};
use courier_core::identity::{Identity, ImageId};
use courier_core::image::{Image, State};
use courier_core::outcome::Outcome;
use courier_core::plan::{self, Plan};
use courier_core::protocol::{End, Look, Next, Order, Resume, TRIES, Timing, Try};
use courier_core::selection;
use courier_core::settings::{Owner, Settings};
use time::{Duration, OffsetDateTime};
use tracing::{info, warn};

use super::report::Report;
use super::source::Found;
use super::step::{Courier, DeliveryAttempt, StepEnd};
use crate::aws::ec2::{CopyImageError, ImageLookup};
use crate::aws::error::{CallError, attempting};

const TIMING: Timing = Timing::EC2;

/// Why an AMI is copied.
#[derive(Clone, Copy)]
pub(super) enum CopyReason<'a> {
    Announced(AnnouncedBy),
    Requested(&'a CopyRequest),
}

/// A copy to be made, and what earlier deliveries know of it.
#[derive(Clone, Copy)]
pub(super) struct CopyOrder<'a> {
    pub(super) source: &'a Identity,
    pub(super) reason: CopyReason<'a>,
    resume: Resume,
}

impl<'a> CopyOrder<'a> {
    pub(super) fn new(source: &'a Identity, reason: CopyReason<'a>, resume: Resume) -> Self {
        Self { source, reason, resume }
    }

    pub(super) fn request(&self) -> Option<&'a CopyRequest> {
        match self.reason {
            CopyReason::Announced(_) => None,
            CopyReason::Requested(request) => Some(request),
        }
    }

    /// Whether the copy is not meant for a Local Zone or an Outpost.
    fn is_into_region(&self) -> bool {
        let destination = self.request().and_then(|request| request.destination.as_ref());
        matches!(destination, None | Some(Destination::Region { .. }))
    }

    /// What is not wanted is ignored when it is announced, and an error when it is requested.
    fn refused(&self, code: &str, reason: String) -> StepEnd {
        match self.reason {
            CopyReason::Announced(_) => StepEnd::Ignored(reason),
            CopyReason::Requested(_) => {
                let advice = "request another AMI, or change what this stack may copy";
                Error::rejected(code, format!("{} is not copied: {reason}", self.source), advice).into()
            }
        }
    }

    fn second_look(&self, resume: Try, accepted: Option<&ImageId>) -> OwnMessage {
        let why = match self.reason {
            CopyReason::Announced(announced_by) => Why::Announced(announced_by),
            CopyReason::Requested(request) => Why::Requested(Box::new(request.clone())),
        };
        OwnMessage::SecondLook(SecondLook { source: self.source.clone(), resume, accepted: accepted.cloned(), why })
    }
}

/// What is known while one copy is being made.
pub(super) struct Work<'a> {
    pub(super) order: CopyOrder<'a>,
    pub(super) plan: Plan,
    pub(super) source_image: Image,
    attempt: DeliveryAttempt,
    /// The copy that the last look showed.
    seen: Option<Image>,
    /// What EC2 accepted, and under which token.
    accepted: Option<(ImageId, ClientToken)>,
    last_failure: Option<String>,
}

impl Courier {
    pub(super) async fn copy(&self, order: CopyOrder<'_>, attempt: DeliveryAttempt) -> Vec<Report> {
        match self.copy_step(order, attempt).await {
            Ok(reports) => reports,
            Err(end) => vec![self.ended(Some(order.source), end)],
        }
    }

    async fn copy_step(&self, order: CopyOrder<'_>, attempt: DeliveryAttempt) -> Result<Vec<Report>, StepEnd> {
        let source = order.source;
        let owners = self.owners(&order)?;
        let (found, copies) = tokio::join!(self.find(source, &owners, attempt), self.look_for_copies(source));
        let source_image = self.wanted(&order, found?)?;
        let plan =
            plan::plan(source, &source_image, order.request(), &self.settings.copying, &self.settings.stack_region)?;
        if !plan.left_out.is_empty() {
            warn!(left_out = plan.left_out.join(", "), "no room for these tags on the copy");
        }
        let work = Work { order, plan, source_image, attempt, seen: None, accepted: None, last_failure: None };
        // A dry run asks for permission: a copy that exists is no answer to that.
        if work.plan.is_dry_run() {
            return Ok(vec![self.dry_run(&work).await?]);
        }
        let mut copies = copies?;
        self.source_is_back(source, &copies).await?;
        if let Some(report) = self.been_here(&work, &mut copies).await? {
            return Ok(vec![report]);
        }
        self.make(work, &copies).await
    }

    /// Whose AMIs may be copied for this order.
    fn owners(&self, order: &CopyOrder<'_>) -> Result<Vec<Owner>, StepEnd> {
        let Settings { sources, stack_region, .. } = &*self.settings;
        let region = &order.source.region;
        let allowed = match order.request() {
            Some(request) => selection::request_is_allowed(request, &self.settings),
            None => selection::region_is_allowed(region, &self.settings),
        };
        allowed.map_err(|reason| order.refused(code::SOURCE_NOT_ALLOWED, reason))?;
        // To a Local Zone or an Outpost, this account's own AMIs of this Region are copied as well.
        Ok(if order.is_into_region() { sources.owners_in(region, stack_region) } else { sources.owners.clone() })
    }

    async fn look_for_copies(&self, source: &Identity) -> Result<Vec<Image>, Error> {
        let ec2 = self.local_ec2();
        ec2.copies_of(source).await.map_err(attempting(format!("looking for copies of {source} in {}", ec2.region)))
    }

    /// The source AMI, if it may be copied here.
    fn wanted(&self, order: &CopyOrder<'_>, found: Found) -> Result<Image, StepEnd> {
        let image = match found {
            Found::Ready(image) => *image,
            Found::NotTrusted(reason) => return Err(order.refused(code::SOURCE_NOT_ALLOWED, reason)),
            Found::Gone(reason) => return Err(order.refused(code::IMAGE_UNAVAILABLE, reason)),
        };
        match order.reason {
            CopyReason::Announced(announced_by) => {
                let (region, sources) = (&order.source.region, &self.settings.sources);
                selection::comes_from_elsewhere(&image, region, &self.stack())
                    .and_then(|()| selection::is_wanted(&image, region, announced_by, sources))
                    .map_err(StepEnd::Ignored)?;
            }
            CopyReason::Requested(_) => {
                let is_elsewhere = if order.is_into_region() {
                    selection::is_not_here_already(&image, &order.source.region, &self.stack())
                } else {
                    Ok(())
                };
                is_elsewhere
                    .and_then(|()| selection::may_be_copied(&image))
                    .map_err(|reason| order.refused(code::SOURCE_NOT_ALLOWED, reason))?;
            }
        }
        Ok(image)
    }

    async fn dry_run(&self, work: &Work<'_>) -> Result<Report, StepEnd> {
        let stack_region = &self.settings.stack_region;
        let call = work.plan.attempt(Try::FIRST, stack_region)?;
        let (name, route) = (call.call.name.clone(), self.route(work.order.source));
        match self.local_ec2().copy_image(&call).await {
            Err(CopyImageError::DryRun) => {
                let outcome = Outcome::DryRun { name, route: route.clone(), client_token: call.token };
                Ok(Report::new(Some(route), Ok(outcome)))
            }
            Err(
                CopyImageError::Failed(failed)
                | CopyImageError::NameTaken(failed)
                | CopyImageError::TokenRefused(failed),
            ) => Err(self.not_copied(work, failed).into()),
            Ok(copy) => Err(Error::rejected(
                code::BUG,
                format!("EC2 started the copy {copy} although it was asked for a dry run only"),
                "deregister that copy, and report this as a bug",
            )
            .into()),
        }
    }

    /// Follows the protocol from the first look to its end.
    async fn make(&self, mut work: Work<'_>, copies: &[Image]) -> Result<Vec<Report>, StepEnd> {
        let order = Order {
            resume: work.order.resume,
            age: age(&work.source_image, self.aws.now()),
            has_queue: self.settings.queue_url.is_some(),
            has_own_token: matches!(work.plan.token, plan::TokenRule::Own(_)),
        };
        let mut next = order.after_look(&TIMING, work.look(copies));
        loop {
            let at = match next {
                Next::Copy(at) => at,
                Next::End(end) => return Ok(vec![self.conclude(&work, end)?]),
            };
            let call = work.plan.attempt(at, &self.settings.stack_region)?;
            next = match self.local_ec2().copy_image(&call).await {
                Ok(accepted) => {
                    let lookup = self.look_at(&accepted).await?;
                    work.accept(accepted, call.token, &lookup);
                    order.after_answer(&TIMING, at, lookup.proves())
                }
                Err(CopyImageError::TokenRefused(refused)) => {
                    info!(code = refused.code, message = refused.message, "EC2 refuses the token: looking again");
                    if order.has_own_token {
                        work.last_failure = Some(refused.message);
                    }
                    let copies = self.look_for_copies(work.order.source).await?;
                    order.after_refusal(at, work.look(&copies))
                }
                Err(CopyImageError::NameTaken(taken)) => return self.name_is_taken(&work, taken).await,
                Err(CopyImageError::Failed(failed)) => return Err(self.not_copied(&work, failed).into()),
                Err(CopyImageError::DryRun) => {
                    let message = format!("{}: EC2 answered a dry run that nobody asked for", self.attempt(&work));
                    return Err(Error::retry(RetryAfter::Minutes, code::BUG, message).into());
                }
            };
        }
    }

    async fn look_at(&self, accepted: &ImageId) -> Result<ImageLookup, Error> {
        let ec2 = self.local_ec2();
        let looking = attempting(format!("looking at the new copy {accepted} in {}", ec2.region));
        ec2.image(accepted, None).await.map_err(looking)
    }

    /// What is reported, and what is sent, at the end of the protocol.
    fn conclude(&self, work: &Work<'_>, end: End) -> Result<Report, StepEnd> {
        let route = self.route(work.order.source);
        let report = |outcome: Outcome| Report::new(Some(self.route(work.order.source)), Ok(outcome));
        Ok(match end {
            End::AlreadyCopied => report(self.adopt(work, work.seen()?)?),
            End::Started | End::StartedForOwnToken => report(self.started(work)?),
            End::StartedUnseen { resume } => {
                let accepted = work.accepted.as_ref().map(|(accepted, _)| accepted);
                report(self.started(work)?).send(work.order.second_look(resume, accepted))
            }
            End::SecondLook { resume } => {
                let outcome = match &work.seen {
                    Some(copy) => self.adopt(work, copy)?,
                    None => Outcome::Ignored {
                        reason: "EC2 has accepted this copy before, and does not show it yet; the courier looks again in 15 \
                                 minutes"
                            .to_owned(),
                        route: Some(route),
                    },
                };
                report(outcome).send(work.order.second_look(resume, None))
            }
            End::QuietUntil { age } => return Err(self.quiet(work, age).into()),
            End::Undecided => {
                let message = format!(
                    "{}: EC2 has accepted the copy, and does not show it yet (without QUEUE_URL, there is no second look)",
                    self.attempt(work)
                );
                return Err(Error::retry(RetryAfter::Minutes, code::NOT_VISIBLE_YET, message).into());
            }
            End::Spent { resume } => self.spent(work, resume),
            End::OwnTokenIsDead => {
                let why = work.last_failure.as_deref().unwrap_or("it is gone");
                return Err(self.own_token(work, code::COPY_FAILED, why).into());
            }
            End::OwnTokenIsRefused => {
                let why = work.last_failure.as_deref().unwrap_or("EC2 refuses it");
                return Err(self.own_token(work, "IdempotentParameterMismatch", why).into());
            }
        })
    }

    fn started(&self, work: &Work<'_>) -> Result<Outcome, Rejection> {
        match &work.accepted {
            Some((accepted, token)) => Ok(Outcome::Started {
                image_id: accepted.clone(),
                name: work.plan.call.name.clone(),
                route: self.route(work.order.source),
                client_token: token.clone(),
            }),
            None => Err(Rejection::new(code::BUG, "a copy is started without an AMI", "report this as a bug")),
        }
    }

    /// A live copy of this source is the answer, unless a request asks for encryption and the copy is not encrypted.
    pub(super) fn adopt(&self, work: &Work<'_>, copy: &Image) -> Result<Outcome, Rejection> {
        let call = &work.plan.call;
        let is_requested = work.order.request().is_some();
        if is_requested && call.encryption.encrypted() == Some(true) && copy.encrypted() == Some(false) {
            return Err(Rejection::new(
                code::NAME_TAKEN,
                format!(
                    "{} in {} is a copy of {} with the name `{}`, but it is not encrypted, as requested",
                    copy.id, self.settings.stack_region, call.source, copy.name
                ),
                "deregister that copy, or request another name",
            ));
        }
        let (image_id, name) = (copy.id.clone(), copy.name.clone());
        Ok(Outcome::AlreadyCopied { image_id, name, route: self.route(&call.source) })
    }

    fn attempt(&self, work: &Work<'_>) -> String {
        let call = &work.plan.call;
        format!("copying {} to {} as `{}`", call.source, self.settings.stack_region, call.name)
    }

    fn quiet(&self, work: &Work<'_>, age: u64) -> Error {
        let created = work.source_image.created.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let until = created + Duration::seconds(i64::try_from(age).unwrap_or(i64::MAX));
        let message = format!(
            "{}: once in 23 hours, no copy of an AMI is started for 30 minutes, so that a copy started just before becomes visible",
            self.attempt(work)
        );
        Error::retry(RetryAfter::Until(until), code::QUIET_TIME, message)
    }

    fn spent(&self, work: &Work<'_>, resume: Try) -> Report {
        let last = work.last_failure.as_deref().unwrap_or("reported when it failed");
        let error = Error::rejected(
            code::TRIES_SPENT,
            format!("{}: {TRIES} copies failed; the last failure: {last}", self.attempt(work)),
            "read why each copy failed (log, event bus, dead-letter queue) and remove the cause; then send the dead letter back for \
             one more try, or wait: within 23 hours, the next announcement or sweep tries again",
        );
        let report = Report::new(Some(self.route(work.order.source)), Err(error));
        let request = work.order.request().map(|request| Box::new(request.clone()));
        let next = OwnMessage::NextTry { source: work.order.source.clone(), next: resume, request };
        report.with_letter(next.body())
    }

    fn own_token(&self, work: &Work<'_>, code: &str, why: &str) -> Error {
        let token = match &work.plan.token {
            plan::TokenRule::Own(token) => token.as_str(),
            _ => "",
        };
        Error::rejected(
            code,
            format!("{}: the request's ClientToken `{token}` stands for another copy: {why}", self.attempt(work)),
            "send the request with a new ClientToken, or without one",
        )
    }

    /// EC2 documents this for `CreateImage` and `RegisterImage` only. Should it refuse a copy's name, the name's holder decides.
    async fn name_is_taken(&self, work: &Work<'_>, taken: CallError) -> Result<Vec<Report>, StepEnd> {
        let ec2 = self.local_ec2();
        let (source, name) = (work.order.source, &work.plan.call.name);
        let looking = attempting(format!("looking in {} for the AMI with the name `{name}`", ec2.region));
        let holders = ec2.named(name.as_str()).await.map_err(looking)?;
        if let Some(copy) = best(holders.iter().filter(|holder| holder.is_copy_of(source))) {
            let outcome = self.adopt(work, copy)?;
            return Ok(vec![Report::new(Some(self.route(source)), Ok(outcome))]);
        }
        let retry = taken.retry(RetryAfter::Seconds, &self.attempt(work));
        let mut holders = holders.into_iter().filter(|holder| holder.state != State::Deregistered);
        match holders.next() {
            // EC2 does not show it yet, or the name of a deregistered AMI is not free yet.
            None => Err(retry.into()),
            Some(failed) if failed.state == State::Failed && failed.courier_source().is_some() => {
                let of = failed.courier_source().unwrap_or_else(|| source.clone());
                let post_mortem = self.post_mortem(&failed, &of).await;
                Ok(vec![post_mortem, Report::new(Some(self.route(source)), Err(retry))])
            }
            Some(other) => Err(Error::rejected(
                code::NAME_TAKEN,
                format!(
                    "{}: the AMI {} has this name, and it is not a live copy of {source}",
                    self.attempt(work),
                    other.id
                ),
                "rename or deregister that AMI, or change COPY_NAME, then send the message again",
            )
            .into()),
        }
    }

    fn not_copied(&self, work: &Work<'_>, failed: CallError) -> Error {
        let attempt = self.attempt(work);
        let may_wait = work.attempt.may_wait(self.aws.now());
        // The source was seen a moment ago: EC2 in this Region does not know it yet.
        if failed.is(code::IMAGE_NOT_FOUND) && may_wait {
            return failed.retry(RetryAfter::Seconds, &attempt);
        }
        let is_refused = failed.is("InvalidRequest") || failed.is("AuthFailure");
        if !is_refused || !is_about_sharing(&failed.message) {
            return attempting(attempt)(failed);
        }
        // Builders share an AMI first and its snapshots later.
        if may_wait {
            return failed.retry(RetryAfter::Minutes, &attempt);
        }
        let owner = work.source_image.owner.as_ref();
        let owner = owner.map_or_else(|| "its owner".to_owned(), |owner| format!("its owner, account {owner},"));
        failed.reject(
            &attempt,
            format!(
                "{owner} must share with this account not only the AMI but also its snapshots (create volume permission) and, where \
                 they are encrypted, the KMS key (Decrypt, DescribeKey, CreateGrant, ReEncrypt*)"
            ),
        )
    }
}

impl Work<'_> {
    /// Looks at copies of the source, and remembers the one that counts.
    fn look(&mut self, copies: &[Image]) -> Look {
        let fits = |copy: &&Image| self.order.request().is_none() || copy.name == self.plan.call.name.as_str();
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

    fn seen(&self) -> Result<&Image, Rejection> {
        let bug = || Rejection::new(code::BUG, "a copy exists that no look has shown", "report this as a bug");
        self.seen.as_ref().ok_or_else(bug)
    }

    fn accept(&mut self, accepted: ImageId, token: Option<ClientToken>, lookup: &ImageLookup) {
        if let ImageLookup::Image(image) = lookup
            && !image.state.is_live()
        {
            let reason = image.state_reason.as_deref().unwrap_or("EC2 does not say why");
            let how = if image.state == State::Failed { reason } else { "it was deregistered" };
            info!(dead = %accepted, how, "EC2 answers with a dead copy: the next try follows");
            self.last_failure = Some(format!("{accepted}: {how}"));
        }
        self.accepted = token.map(|token| (accepted, token));
    }
}

/// The live copy to answer with: an available one before a pending one before a disabled one, the oldest of them.
pub(super) fn best<'a>(copies: impl Iterator<Item = &'a Image>) -> Option<&'a Image> {
    copies.filter(|copy| copy.state.is_live()).min_by_key(|copy| {
        let rank = match copy.state {
            State::Available => 0,
            State::Pending => 1,
            _ => 2,
        };
        (rank, copy.created, copy.id.clone())
    })
}

/// In seconds. EC2 shows the time of creation of every AMI; without one, any fixed time serves the protocol.
fn age(source: &Image, now: OffsetDateTime) -> u64 {
    let created = source.created.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    u64::try_from((now - created).whole_seconds()).unwrap_or(0)
}

fn is_about_sharing(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["permission", "not authorized", "access the storage", "key"].iter().any(|sign| message.contains(sign))
}
