//! Finish: brings a copy in step with its source and the settings, at first and for as long as it lives.
//!
//! [`in_step::changes`] says what differs, [`courier_core::election`] which parameter the copy belongs to. Each part is tried, and
//! errors are gathered: one that is refused stops no other. EC2's own events start this step, or the sweep; nothing waited for them.
//! At the first finish, the courier's event and the tag `ami-courier:finished` come last, in this order: the tag says that everything
//! else holds. A new part of the finish goes into [`Finish::bring_in_step`].

use courier_core::copy_image::Tag;
use courier_core::election::{Step, Steps};
use courier_core::error::{Error, Remedy, RetryAfter, code};
use courier_core::finish::{self, Share};
use courier_core::identity::Identity;
use courier_core::image::{Image, State, tag};
use courier_core::in_step::{self, Changes, Finished, Hint, Part, Shown, may_be_on_snapshots};
use courier_core::outcome::Outcome;
use courier_core::selection;
use courier_core::settings::{Principal, Protection};
use time::OffsetDateTime;
use tracing::info;

use super::membership::Membership;
use super::report::{LastStep, Report};
use super::stack::{Courier, Stop};
use crate::aws::error::{CallError, When};

/// One copy that is to be in step.
pub(super) struct Finish<'a> {
    pub(super) courier: &'a Courier,
    pub(super) copy: &'a Image,
    pub(super) source: &'a Identity,
    /// As it was just seen, if it was.
    pub(super) source_image: Option<Image>,
}

/// What was done, and what could not be.
#[derive(Default)]
struct Done {
    changed: Vec<Part>,
    errors: Vec<Error>,
    /// Its permissions are as `SHARE_WITH` says now.
    is_shared: bool,
    not_shared: Option<String>,
    /// What there is to say of its parameter.
    parameter: Option<String>,
}

impl Done {
    fn note(&mut self, part: Part, done: Result<(), Error>) {
        match done {
            Ok(()) if self.changed.contains(&part) => {}
            Ok(()) => self.changed.push(part),
            Err(error) => self.errors.push(error),
        }
    }
}

impl Finish<'_> {
    pub(super) async fn run(self) -> Report {
        let (courier, copy, source) = (self.courier, self.copy, self.source);
        self.step().await.unwrap_or_else(|stop| match stop {
            Stop::Ignored(reason) => courier.ignored(Some(source), format!("the copy {}: {reason}", copy.id)),
            stop => courier.stopped(Some(source), stop),
        })
    }

    async fn step(mut self) -> Result<Report, Stop> {
        let (courier, copy) = (self.courier, self.copy);
        let (settings, now) = (&courier.settings, courier.aws.now());
        let shown = Shown::of(copy, &settings.copying.stack_name);
        self.is_followed(shown.is_unfinished())?;
        if self.source_image.is_none() {
            self.source_image = self.source_in_sight().await?;
        }
        let source = self.source_image.as_ref().map(|image| in_step::Source { identity: self.source, image });
        let changes = in_step::changes(&shown, source.as_ref(), settings, now);
        let hint = changes.as_ref().map(|_| Hint::with(&settings.finishing.share_with));
        let changes = changes.unwrap_or_default();
        // It counts as if it had the tags that it will get.
        let mut member = Membership { courier, copy: copy.clone() };
        member.copy.tags.extend(changes.image_tags().map(|tag| (tag.key.clone(), tag.value.clone())));
        let steps = member.steps(self.source, self.source_image.as_ref(), false);
        // A copy that is not finished was made in spite of DRY_RUN: for a request that asks for a real one.
        if settings.copying.dry_run && !shown.is_unfinished() {
            return Err(Stop::Ignored(would_be_done(&changes, steps.as_ref())));
        }
        let mut done = self.bring_in_step(&changes, steps.as_ref(), &mut member).await;
        let finished = Finished { at: Some(now), share: hint, not_shared: done.not_shared.clone() };
        let error = Error::all(std::mem::take(&mut done.errors));
        let (outcome, mark) = match (Finished::of(copy), error) {
            (None, Some(error)) => (Err(error), None),
            (None, None) => (Ok(self.finished(done, now)), Some(finished)),
            (Some(before), error) => {
                let forgotten = Finished { share: None, not_shared: None, ..before };
                let mark = changes.forget_permissions.then_some(forgotten).or(done.is_shared.then_some(finished));
                (error.map_or_else(|| Ok(self.updated(done, &changes)), Err), mark)
            }
        };
        let report = Report::new(Some(courier.route(self.source)), outcome);
        Ok(match mark {
            Some(finished) => report.then(LastStep::MarkFinished { copy: copy.id.clone(), finished }),
            None => report,
        })
    }

    /// Whether the copy is this stack's to look after.
    fn is_followed(&self, is_first: bool) -> Result<(), Stop> {
        let (copy, settings) = (self.copy, &self.courier.settings);
        let stack = settings.copying.stack_name.as_str();
        Err(Stop::Ignored(match copy.other_stack(stack) {
            Some(other) => format!("it is a copy of the stack `{other}` (tag `{}`)", tag::STACK),
            _ if !is_first && !copy.is_of_stack(stack) => {
                format!("it is finished, and not kept in step: it has no tag `{}`", tag::STACK)
            }
            _ if !is_first && !settings.reconcile => {
                "it is finished, and not kept in step (RECONCILE=false)".to_owned()
            }
            _ if is_first && copy.state == State::Disabled => "it is disabled".to_owned(),
            _ => return Ok(()),
        }))
    }

    /// The source AMI; `None` if it is gone, not visible, or in a Region that is not copied from.
    async fn source_in_sight(&self) -> Result<Option<Image>, Error> {
        let source = self.source;
        if selection::region_is_allowed(&source.region, &self.courier.settings).is_err() {
            return Ok(None);
        }
        let found = self.courier.aws.ec2(&source.region).image(&source.image, None).await;
        found.when(format_args!("describing the source AMI {source}"))
    }

    /// Does what differs, part by part.
    async fn bring_in_step(&self, changes: &Changes, steps: Option<&Steps>, member: &mut Membership<'_>) -> Done {
        let mut done = Done::default();
        if let Some(reason) = finish::never_published(self.copy).filter(|_| steps.is_some()) {
            info!(copy = %self.copy.id, reason, "the copy is not published");
        }
        done.parameter = steps.and_then(|steps| steps.unpublished.as_ref()).map(ToString::to_string);
        // It leaves its old name before it gets the new one with its tags, and joins that once it can be used.
        let all = steps.map_or(&[][..], |steps| &steps.steps);
        let (leave, join) = all.split_at(all.iter().position(|step| matches!(step, Step::Tag(_))).unwrap_or(0));
        let has_left = self.follow(leave, member, &mut done).await;
        let [mut of_courier, of_users] = changes.tags_by_writer();
        let join = match join {
            [Step::Tag(name), join @ ..] if has_left => {
                of_courier.push(Tag { key: tag::PARAMETER.to_owned(), value: name.to_string() });
                join
            }
            join => join,
        };
        let is_tagged = self.tag(&of_courier, &mut done).await;
        self.tag(&of_users, &mut done).await;
        if is_tagged {
            member.copy.tags.extend(of_courier.into_iter().map(|tag| (tag.key, tag.value)));
        }

        let (id, ec2) = (&self.copy.id, self.courier.local_ec2());
        let of_copy = format!("the copy {id} in {}", ec2.region);
        if let Some(description) = &changes.description {
            let described = ec2.describe_as(id, description).await;
            done.note(Part::Description, described.when_seen(format_args!("setting the description of {of_copy}")));
        }
        if changes.require_imds_v2 {
            let required = ec2.require_imds_v2(id).await;
            done.note(Part::ImdsSupport, required.when_seen(format_args!("requiring IMDSv2 of {of_copy}")));
        }
        if let Some(at) = changes.deprecate_from {
            let deprecated = ec2.deprecate(id, at).await;
            let doing = format_args!("setting the deprecation time of {of_copy} to {at}");
            done.note(Part::Deprecation, deprecated.when_seen(doing));
        }
        if let Some(protection) = changes.protect {
            let protected = ec2.protect(id, protection == Protection::WithCooldown).await;
            let doing = format_args!("protecting {of_copy} from deregistration");
            done.note(Part::DeregistrationProtection, protected.when_seen(doing));
        }
        self.share(changes, &mut done).await;
        if has_left && is_tagged {
            self.follow(join, member, &mut done).await;
        }
        if let Some(at) = steps.and_then(|steps| steps.look_again_at) {
            let message = format!(
                "{of_copy} becomes a member of its parameter again once its source cannot look withdrawn any more"
            );
            done.errors.push(Error::retry(RetryAfter::Until(at), code::NOT_VISIBLE_YET, message));
        }
        done
    }

    /// Follows the steps of the membership as far as they go. Returns whether all are done.
    async fn follow(&self, steps: &[Step], member: &mut Membership<'_>, done: &mut Done) -> bool {
        for step in steps {
            match member.follow(step).await {
                Ok(followed) => {
                    done.parameter = followed.remark.or(done.parameter.take());
                    if followed.has_changed {
                        done.note(Part::Parameter, Ok(()));
                    }
                }
                Err(error) => {
                    done.errors.push(error);
                    return false;
                }
            }
        }
        true
    }

    /// Snapshots first: the tags of the image show whether all have them. Returns whether all are on.
    async fn tag(&self, tags: &[Tag], done: &mut Done) -> bool {
        let (copy, ec2) = (self.copy, self.courier.local_ec2());
        let of_snapshots: Vec<Tag> = tags.iter().filter(|tag| may_be_on_snapshots(tag)).cloned().collect();
        let mut are_on = Ok(());
        for (resources, tags) in [(copy.snapshots(), of_snapshots.as_slice()), (vec![copy.id.to_string()], tags)] {
            if are_on.is_ok() && !resources.is_empty() && !tags.is_empty() {
                let doing = format!("tagging {} of the copy {} in {}", resources.join(", "), copy.id, ec2.region);
                are_on = ec2.tag_all(resources, tags).await.when_seen(format_args!("{doing}"));
            }
        }
        if let Err(error) = are_on {
            done.errors.push(error);
            return false;
        }
        for tag in tags {
            // The name of its parameter is a part of its own.
            done.note(if tag.key == tag::PARAMETER { Part::Parameter } else { Part::Tags }, Ok(()));
        }
        true
    }

    /// Snapshots first, so that an account that can launch the AMI can copy it as well. A blank volume has no snapshot.
    async fn share(&self, changes: &Changes, done: &mut Done) {
        let settings = &self.courier.settings;
        let with = match finish::share(self.copy, &settings.finishing) {
            Share::With(with) => with,
            Share::Not(reason) => {
                info!(copy = %self.copy.id, reason, "the copy is not shared");
                done.not_shared = Some(reason);
                &[]
            }
        };
        if changes.permissions.is_none() {
            return;
        }
        match self.share_with(with, settings.share_exactly).await {
            Ok(has_changed) => {
                done.is_shared = true;
                if has_changed {
                    done.note(Part::LaunchPermission, Ok(()));
                }
            }
            Err(error) => done.errors.push(error),
        }
    }

    /// `exactly`: with nobody else. Returns whether that changed anything, as far as the courier looked.
    async fn share_with(&self, with: &[Principal], exactly: bool) -> Result<bool, Error> {
        let (copy, ec2) = (self.copy, self.courier.local_ec2());
        let mut has_changed = false;
        for snapshot in copy.snapshots() {
            let doing = format!("sharing the snapshot {snapshot} of the copy {} in {}", copy.id, ec2.region);
            let has = if exactly {
                ec2.volume_permissions(&snapshot).await.when_seen(format_args!("{doing}"))?
            } else {
                Vec::new()
            };
            // Snapshots are shared with accounts only.
            let with: Vec<Principal> = with.iter().filter(|with| with.is_for_snapshots()).cloned().collect();
            let (add, remove) = difference(&with, &has);
            if !(add.is_empty() && remove.is_empty()) {
                explained(ec2.share_snapshot(&snapshot, &add, &remove).await, format_args!("{doing}"))?;
                has_changed = true;
            }
        }
        let doing = format!("sharing the copy {} in {}", copy.id, ec2.region);
        let has = if exactly {
            ec2.launch_permissions(&copy.id).await.when_seen(format_args!("{doing}"))?
        } else {
            Vec::new()
        };
        let (add, remove) = difference(with, &has);
        if !(add.is_empty() && remove.is_empty()) {
            explained(ec2.share_image(&copy.id, &add, &remove).await, format_args!("{doing}"))?;
            has_changed = true;
        }
        Ok(has_changed)
    }

    fn finished(&self, done: Done, at: OffsetDateTime) -> Outcome {
        let since = |created: OffsetDateTime| (at - created).whole_seconds().max(0);
        Outcome::Finished {
            image_id: self.copy.id.clone(),
            name: self.copy.name.clone(),
            route: self.courier.route(self.source),
            duration_seconds: self.copy.created.map(since),
            lag_seconds: self.source_image.as_ref().and_then(|source| source.created).map(since),
            size_gib: self.copy.size_gib(),
            not_shared: done.not_shared,
            parameter: done.parameter,
        }
    }

    fn updated(&self, done: Done, changes: &Changes) -> Outcome {
        let (copy, route) = (self.copy, self.courier.route(self.source));
        if done.changed.is_empty() {
            let what = if changes.forget_permissions {
                "it is disabled, so nobody may use it any more"
            } else {
                "it is in step"
            };
            let of_parameter = done.parameter.map_or_else(String::new, |remark| format!("; {remark}"));
            return Outcome::Ignored {
                reason: format!("the copy {}: {what}{of_parameter}", copy.id),
                route: Some(route),
            };
        }
        let (image_id, name) = (copy.id.clone(), copy.name.clone());
        Outcome::Updated { image_id, name, route, changed: done.changed, parameter: done.parameter }
    }
}

/// What `DRY_RUN` leaves undone.
fn would_be_done(changes: &Changes, steps: Option<&Steps>) -> String {
    let mut would = changes.described();
    would.extend(steps.map(Steps::described).unwrap_or_default());
    if would.is_empty() {
        return "it is in step".to_owned();
    }
    format!("DRY_RUN is on, so it stays as it is: {}", would.join(", "))
}

/// Who is to be added, and who to be removed.
fn difference(wanted: &[Principal], has: &[Principal]) -> (Vec<Principal>, Vec<Principal>) {
    let without = |some: &[Principal], others: &[Principal]| -> Vec<Principal> {
        some.iter().filter(|one| !others.contains(one)).cloned().collect()
    };
    (without(wanted, has), without(has, wanted))
}

/// EC2's message about a copy under `aws/ebs` does not say what to do, nor does the one about block public access.
fn explained(shared: Result<(), CallError>, doing: std::fmt::Arguments<'_>) -> Result<(), Error> {
    const ADVICE: [(&str, &str); 3] = [
        ("default key", AWS_MANAGED_KEY),
        ("aws managed", AWS_MANAGED_KEY),
        (
            "block public access",
            "SHARE_WITH=all makes copies and their snapshots public: turn off block public access for both in this Region (`aws ec2 \
             disable-image-block-public-access`, `aws ec2 disable-snapshot-block-public-access`), or change SHARE_WITH; then send the \
             message again",
        ),
    ];
    const AWS_MANAGED_KEY: &str = "a copy that is encrypted under the AWS managed key `aws/ebs` cannot be shared: set KMS_KEY_ID to a customer managed \
                                   key that those accounts may use, deregister this copy and announce the AMI again";
    let message = shared.as_ref().err().map(|failed| failed.message.to_ascii_lowercase()).unwrap_or_default();
    let advice = ADVICE.iter().find(|(sign, _)| message.contains(sign));
    shared.when_seen(doing).map_err(|error| match advice {
        Some((_, advice)) if error.retry_after().is_none() => {
            Error { remedy: Remedy::Advice((*advice).to_owned()), ..error }
        }
        _ => error,
    })
}
