//! Copy: start exactly one copy of a source AMI.
//!
//! First it looks for copies that are there. Then it makes the call, with a token derived from the call itself. Then it looks
//! at what EC2 answered: a token it knows is answered with the first AMI, even when that one is dead; then the next token
//! follows from (token, dead AMI), so EC2's own memory is the list of tries. A name that is taken stops whatever slipped
//! past all this; then it looks who has the name.

use tokio::time::sleep;
use tracing::{info, warn};

use super::source::Found;
use super::{Courier, Occasion, PATIENCE, Report, Stop, Wish, attempting};
use courier_core::announcement::AnnouncedBy;
use crate::aws::ec2::{CopyImageFailed, Sight};
use courier_core::copy_image::ClientToken;
use courier_core::identity::{Identity, ImageId};
use courier_core::image::{Image, State};
use courier_core::outcome::{CallFailed, Error, Outcome, Pace, Rejection, Route};
use courier_core::plan::{self, Plan};
use courier_core::selection;

/// How often a copy that fails is tried anew, before somebody has to look at why.
const TRIES: usize = 5;
/// How often when somebody names the AMI: who sends a dead letter back has looked. All tries together, each with an AMI that
/// may be forgotten by EC2, fit into the function's time-out.
const TRIES_OF_A_PUBLISHER: usize = 10;

/// What stands where a copy should be.
enum Answered {
    Alive,
    Dead(String),
}

impl Courier {
    pub(super) async fn copy(&self, source: &Identity, wish: Wish<'_>, occasion: Occasion) -> Report {
        match self.copy_once(source, wish, occasion).await {
            Ok(outcome) => Report::new(Some(self.route(source)), Ok(outcome)),
            Err(stop) => self.settled(Some(source), stop),
        }
    }

    async fn copy_once(&self, source: &Identity, wish: Wish<'_>, occasion: Occasion) -> Result<Outcome, Stop> {
        selection::region_is_allowed(&source.region, &self.settings)
            .map_err(|reason| refused(source, wish, "SourceNotAllowed", reason))?;
        let here = self.here();
        let (found, copies) = tokio::join!(self.find(source, occasion), here.copies_of(source));
        let image = match found? {
            Found::Ready(image) => image,
            Found::NotTrusted(reason) => return Err(refused(source, wish, "SourceNotAllowed", reason)),
            Found::Gone(reason) => return Err(refused(source, wish, "InvalidAMIID.Unavailable", reason)),
        };
        let request = match wish {
            Wish::Announced(announced_by) => {
                selection::is_wanted(&image, announced_by, &self.settings.sources).map_err(Stop::Ignored)?;
                None
            }
            Wish::Requested(request) => {
                selection::may_be_copied(&image).map_err(|reason| refused(source, wish, "SourceNotAllowed", reason))?;
                Some(request)
            }
        };
        let plan = plan::plan(source, &image, request, &self.settings.copying, &self.settings.here)?;
        if !plan.left_out.is_empty() {
            warn!(source_image = %source.image, left_out = plan.left_out.join(", "), "no room for these tags on the copy");
        }
        let copies = copies.map_err(attempting(format!("looking for copies of {source} in {}", here.region)))?;
        // A dry run asks for permission: that a copy is there already is no answer to it.
        if !plan.dry_run
            && let Some(copy) = best(&copies, |copy| request.is_none() || copy.name == plan.call.name.as_str())
        {
            return Ok(self.adopt(copy, &plan)?);
        }
        let tries = match wish {
            Wish::Announced(AnnouncedBy::Publisher) => TRIES_OF_A_PUBLISHER,
            Wish::Announced(_) | Wish::Requested(_) => TRIES,
        };
        Ok(self.make(&plan, &image, tries).await?)
    }

    /// A live copy of this source is the answer, unless it lacks the encryption that is asked for by name.
    fn adopt(&self, copy: &Image, plan: &Plan) -> Result<Outcome, Rejection> {
        let explicit = copy.name == plan.call.name.as_str();
        if explicit && plan.call.encryption.encrypted() == Some(true) && copy.encrypted() == Some(false) {
            return Err(Rejection::new(
                "InvalidAMIName.Duplicate",
                format!(
                    "a copy of {} with the name `{}` is there, {} in {}, but it is not encrypted, as is asked for",
                    plan.call.source, copy.name, copy.id, self.settings.here
                ),
                "deregister that copy, or ask for another name",
            ));
        }
        Ok(Outcome::AlreadyCopied {
            image_id: copy.id.clone(),
            name: copy.name.clone(),
            route: self.route(&plan.call.source),
        })
    }

    async fn make(&self, plan: &Plan, source_image: &Image, most_tries: usize) -> Result<Outcome, Error> {
        let here = self.here();
        let route: Route = self.route(&plan.call.source);
        let name = plan.call.name.clone();
        let attempt = format!("copying {} to {} as `{name}`", plan.call.source, here.region);
        let mut token = plan.token.clone();
        let mut last_failure = String::new();
        let mut names_cleared = 0;
        let mut tries = 0;
        while tries < most_tries {
            match here.copy_image(&plan.call, &token, plan.dry_run).await {
                Ok(image_id) => match self.look_at(&image_id).await? {
                    Answered::Alive => return Ok(Outcome::Started { image_id, name, route, client_token: token }),
                    Answered::Dead(reason) => {
                        info!(dead = %image_id, reason, "EC2 answered with a copy that is dead: the next token follows");
                        token = plan::next_token(&token, &image_id);
                        last_failure = format!("{image_id}: {reason}");
                        tries += 1;
                    }
                },
                Err(CopyImageFailed::DryRun) => return Ok(Outcome::DryRun { name, route, client_token: token }),
                Err(CopyImageFailed::NameTaken(words)) => match self.who_has_the_name(plan).await? {
                    NameHeldBy::Copy(copy) => return Ok(self.adopt(&copy, plan)?),
                    // The copy would be made, once that one is cleared away: a dry run clears nothing.
                    NameHeldBy::FailedCopy(_) if plan.dry_run => {
                        return Ok(Outcome::DryRun { name, route, client_token: token });
                    }
                    NameHeldBy::FailedCopy(failed) if names_cleared < TRIES => {
                        names_cleared += 1;
                        last_failure = self.make_way(&failed, &plan.call.source).await?;
                    }
                    NameHeldBy::FailedCopy(_) | NameHeldBy::NobodyYet => {
                        return Err(Error::retry(
                            Pace::Seconds,
                            "InvalidAMIName.Duplicate",
                            format!("{attempt}: {words}"),
                        ));
                    }
                    NameHeldBy::Other(other) => {
                        let is = if other.is_copy_of(&plan.call.source) {
                            "a copy of it that has failed and that the courier did not make".to_owned()
                        } else {
                            format!("which is no copy of {}", plan.call.source)
                        };
                        return Err(Error::rejected(
                            "InvalidAMIName.Duplicate",
                            format!("{attempt}: the name is taken by {}, {is}", other.id),
                            "rename or deregister that AMI, or change COPY_NAME, then send the message again",
                        ));
                    }
                },
                Err(CopyImageFailed::Failed(failed)) => {
                    return Err(not_copied(&attempt, &failed, &token, source_image));
                }
            }
        }
        Err(Error::rejected(
            "CopyFailed",
            format!("{attempt}: {most_tries} copies failed; the last was {last_failure}"),
            "why each failed was told when it did (log, event bus, dead-letter queue): mend the cause, then send the dead letter of \
             a failed copy back (it has more tries), or change the name or a tag of the copy (a new call has new tries) and announce \
             the AMI again",
        ))
    }

    /// Whether the AMI that EC2 answered with is a copy, or what is left of an earlier try.
    async fn look_at(&self, id: &ImageId) -> Result<Answered, Error> {
        let here = self.here();
        let mut pauses = PATIENCE.iter();
        loop {
            let sight = here
                .image(id, None)
                .await
                .map_err(attempting(format!("looking at the new copy {id} in {}", here.region)))?;
            let dead = match sight {
                Sight::Image(image) if image.state.is_live() => return Ok(Answered::Alive),
                Sight::Image(image) if image.state == State::Failed => {
                    image.state_reason.unwrap_or_else(|| "it failed, EC2 does not say why".to_owned())
                }
                Sight::Image(_) | Sight::Empty | Sight::Unavailable => "it was deregistered".to_owned(),
                Sight::NotFound => match pauses.next() {
                    Some(pause) => {
                        sleep(*pause).await;
                        continue;
                    }
                    None => "it is gone".to_owned(),
                },
            };
            return Ok(Answered::Dead(dead));
        }
    }

    async fn who_has_the_name(&self, plan: &Plan) -> Result<NameHeldBy, Error> {
        let here = self.here();
        let name = plan.call.name.as_str();
        let looking = || attempting(format!("looking in {} for the AMI with the name `{name}`", here.region));
        let holders = here.named(name).await.map_err(looking())?;
        if let Some(copy) = best(&holders, |holder| holder.is_copy_of(&plan.call.source)) {
            return Ok(NameHeldBy::Copy(Box::new(copy.clone())));
        }
        let mut holders = holders.into_iter().filter(|holder| holder.state != State::Deregistered);
        Ok(match holders.next() {
            None => NameHeldBy::NobodyYet,
            Some(ours) if ours.state == State::Failed && ours.courier_source().is_some() => {
                NameHeldBy::FailedCopy(Box::new(ours))
            }
            Some(other) => NameHeldBy::Other(Box::new(other)),
        })
    }
}

enum NameHeldBy {
    /// A live copy of the same source.
    Copy(Box<Image>),
    /// A failed copy that the courier made.
    FailedCopy(Box<Image>),
    /// EC2 knows, but does not show it yet; or the name of a deregistered AMI lingers.
    NobodyYet,
    Other(Box<Image>),
}

/// The live copy to answer with: an available one before a pending one before a disabled one, the oldest of them.
fn best(copies: &[Image], fits: impl Fn(&Image) -> bool) -> Option<&Image> {
    copies.iter().filter(|copy| copy.state.is_live() && fits(copy)).min_by_key(|copy| {
        let rank = match copy.state {
            State::Available => 0,
            State::Pending => 1,
            _ => 2,
        };
        (rank, copy.created, copy.id.clone())
    })
}

/// What is not wanted is ignored when it is announced, and an error when somebody asks for just that AMI.
fn refused(source: &Identity, wish: Wish<'_>, code: &str, reason: String) -> Stop {
    match wish {
        Wish::Announced(_) => Stop::Ignored(reason),
        Wish::Requested(_) => {
            let advice = "ask for another AMI, or change what this stack may copy";
            Error::rejected(code, format!("{source} is not copied: {reason}"), advice).into()
        }
    }
}

fn not_copied(attempt: &str, failed: &CallFailed, token: &ClientToken, source: &Image) -> Error {
    let words = format!("{attempt}: {}", failed.words);
    match failed.code.as_deref() {
        Some(code @ "IdempotentParameterMismatch") => Error::rejected(
            code,
            format!("{words} (token `{token}`)"),
            "this ClientToken stands for an earlier call with other parameters: send the request with a new one, or without",
        ),
        // The source was seen a moment ago: EC2 in this Region does not know of it yet.
        Some(code @ "InvalidAMIID.NotFound") if is_fresh(source) => Error::retry(Pace::Seconds, code, words),
        Some(code @ ("InvalidRequest" | "AuthFailure")) if about_sharing(&failed.words) => {
            let owner = source
                .owner
                .as_ref()
                .map_or_else(|| "its owner".to_owned(), |owner| format!("its owner, account {owner},"));
            Error::rejected(
                code,
                words,
                format!(
                    "{owner} must share with this account not only the AMI but also its snapshots (create volume permission) \
                     and, where they are encrypted, the KMS key (Decrypt, DescribeKey, CreateGrant, ReEncrypt*)"
                ),
            )
        }
        _ => Error::from_aws(attempt, failed),
    }
}

fn about_sharing(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["permission", "not authorized", "access the storage", "key"].iter().any(|sign| words.contains(sign))
}

fn is_fresh(source: &Image) -> bool {
    const FRESH: time::Duration = time::Duration::minutes(10);
    source.created.is_some_and(|created| time::OffsetDateTime::now_utc() - created < FRESH)
}
