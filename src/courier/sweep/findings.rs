//! Findings: what a sweep has found, and what it announces first.

use std::collections::BTreeSet;

use courier_core::announcement::OwnMessage;
use courier_core::copy_state::CopyState;
use courier_core::election::{Members, Own, Steps};
use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{AccountId, Identity, ImageId, ParameterName};
use courier_core::image::{Image, State, tag};
use courier_core::in_step::PermissionsBecause;
use courier_core::settings::Settings;
use courier_core::survey::{Copied, Copy, Followed, Source, one_of_each_build};
use time::OffsetDateTime;
use tokio::time::error::Elapsed;

use crate::courier::report::Tally;

type Created = Option<OffsetDateTime>;

/// What looking has found so far. When it is cut short, that much is announced.
pub(super) struct Findings<'a> {
    settings: &'a Settings,
    now: OffsetDateTime,
    tally: Tally,
    /// Unfinished and failed copies, those that are to join a parameter or leave one, and those whose source is in service while they
    /// are marked as if it was not.
    first: Vec<(Created, OwnMessage)>,
    /// The sources of failed copies: their next copy needs the post-mortem first.
    failed_sources: BTreeSet<Identity>,
    /// AMIs that are wanted here.
    pub(super) wanted: Vec<Source>,
    /// `None` until all copies are listed.
    pub(super) copied: Option<Copied>,
    /// Copies that stay in service, and in step, as long as their source is.
    pub(super) followers: Vec<Follower>,
    pub(super) members: Members,
    /// The names of parameters that may hold the wrong copy, or that what is announced can touch.
    pub(super) names: BTreeSet<ParameterName>,
    /// Copies that are out of step.
    out_of_step: Vec<ImageId>,
    /// Copies whose permissions are to be looked at, and when that was done last.
    to_look_at: Vec<(Created, ImageId)>,
    /// Copies whose source is not in service, as far as can be seen.
    gone: Vec<(Created, ImageId)>,
    /// Why something could not be looked at.
    pub(super) errors: Vec<Error>,
}

/// A copy that follows its source.
pub(super) struct Follower {
    created: Created,
    copy: ImageId,
    pub(super) source: Identity,
    pub(super) source_owner: Option<AccountId>,
    pub(super) is_marked: bool,
    /// Of a copy that is kept in step.
    followed: Option<Box<Followed>>,
}

/// What a sweep sees of the source of a copy.
#[derive(Clone, Copy)]
pub(super) enum Sight<'a> {
    Shown(&'a Image),
    /// It was asked for, and EC2 does not show it.
    Absent,
    /// It was not asked for.
    NotLooked,
}

/// Begins at another place.
pub(super) fn turned<T>(list: &mut [T], place: usize) {
    if !list.is_empty() {
        list.rotate_left(place % list.len());
    }
}

impl<'a> Findings<'a> {
    pub(super) fn new(settings: &'a Settings, now: OffsetDateTime) -> Self {
        Self {
            settings,
            now,
            tally: Tally::default(),
            first: Vec::new(),
            failed_sources: BTreeSet::new(),
            wanted: Vec::new(),
            copied: None,
            followers: Vec::new(),
            members: Members::new(&settings.copying.stack_name, Own::Nobody),
            names: BTreeSet::new(),
            out_of_step: Vec::new(),
            to_look_at: Vec::new(),
            gone: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Sorts in a copy of the courier's by its state.
    pub(super) fn sort_in(&mut self, image: &Image, copy: Copy) {
        let (tally, created) = (&mut self.tally, image.created);
        let is_of_another_stack = image.other_stack(&self.settings.copying.stack_name).is_some();
        match copy.state {
            CopyState::Pending => {
                tally.in_progress += 1;
                let age = created.map_or(0, |created| (self.now - created).whole_seconds());
                tally.oldest_in_progress_seconds = tally.oldest_in_progress_seconds.max(age);
            }
            CopyState::Failed => {
                tally.failed += 1;
                self.failed_sources.insert(copy.source.clone());
                self.first.push((created, OwnMessage::Unfinished { copy: image.id.clone() }));
            }
            CopyState::Unfinished if !is_of_another_stack => {
                tally.unfinished += 1;
                self.first.push((created, OwnMessage::Unfinished { copy: image.id.clone() }));
            }
            _ => {}
        }
        if matches!(image.state, State::Available | State::Disabled) && !is_of_another_stack {
            self.followers.push(Follower {
                created,
                copy: image.id.clone(),
                source: copy.source,
                source_owner: image.tags.get(tag::SOURCE_OWNER).and_then(|owner| owner.parse().ok()),
                is_marked: image.is_marked(),
                followed: Followed::of(image, self.settings),
            });
        }
    }

    /// Compares a copy with its source, as far as that is seen.
    pub(super) fn compare(&mut self, copy: &Follower, source: Sight<'_>) {
        let is_in_service = |image: &Image| matches!(image.state, State::Available | State::Pending);
        match source {
            Sight::Shown(image) if is_in_service(image) && copy.is_marked && self.settings.brings_back() => {
                self.first.push((copy.created, OwnMessage::SourceBack { copy: copy.copy.clone() }));
            }
            Sight::Shown(image) if is_in_service(image) => {}
            Sight::Shown(_) | Sight::Absent if self.settings.retire_with_source => {
                self.gone.push((copy.created, copy.copy.clone()));
                // It may leave its name.
                let name = copy.followed.as_ref().and_then(|followed| followed.parameter());
                self.names.extend(name.and_then(|name| name.parse().ok()));
            }
            _ => {}
        }
        let Some(kept) = copy.followed.as_ref() else { return };
        let image = if let Sight::Shown(image) = source { Some(image) } else { None };
        let steps = kept.steps(&copy.source, image, self.settings, self.now).filter(|steps| !steps.are_none());
        if kept.shown.is_unfinished() {
            // It is announced already. Its finish, and another one's at the same time, do not see each other in a name.
            self.names.extend(steps.iter().flat_map(Steps::names).cloned());
            return;
        }
        if let Some(steps) = steps {
            self.names.extend(steps.names().cloned());
            self.first.push((copy.created, OwnMessage::Unfinished { copy: copy.copy.clone() }));
            return;
        }
        match kept.changes(&copy.source, image, self.settings, self.now) {
            Some(changes) if !changes.are_none() => {
                self.tally.out_of_step += 1;
                if changes.permissions == Some(PermissionsBecause::TimeToLook) && changes.parts().len() == 1 {
                    self.to_look_at.push((kept.shown.finished_at(), copy.copy.clone()));
                } else {
                    self.out_of_step.push(copy.copy.clone());
                }
            }
            _ => {}
        }
    }

    /// What is announced, for as many messages as there is room for: first what is missed, failed, unfinished or in the wrong
    /// parameter, each oldest first, but for a quarter of the room that others need; then, of what is left, a quarter for retirement,
    /// and the rest for what is out of step; last the names of parameters, which must not be cut off. Where not all fit, each begins
    /// at another place in each sweep, so that what is refused for good starves nobody.
    pub(super) fn in_order(mut self, room: usize, turn: usize) -> (Tally, Vec<Error>, Vec<OwnMessage>) {
        // As long as not all copies are known, an AMI may have one that was not seen.
        let mut missed = self.copied.map_or_else(Vec::new, |copied| {
            self.wanted.retain(|source| copied.of_build(source).is_none());
            one_of_each_build(self.wanted)
        });
        self.tally.missed = missed.len();
        missed.retain(|source| !self.failed_sources.contains(&source.ami));
        let missed = missed.into_iter().map(|it| (it.created, OwnMessage::Missed { source: it.ami }));
        let mut messages: Vec<(Created, OwnMessage)> = missed.chain(self.first).collect();
        messages.sort_by_key(|(created, _)| *created);
        let mut messages: Vec<OwnMessage> = messages.into_iter().map(|(_, message)| message).collect();

        let found = self.gone.len() + self.out_of_step.len() + self.to_look_at.len();
        let all = messages.len() + found + self.names.len();
        let room_for_copies = room.saturating_sub(self.names.len());
        let for_first = room_for_copies - found.min(room_for_copies / 4);
        if messages.len() > for_first {
            turned(&mut messages, turn.wrapping_mul(for_first));
            messages.truncate(for_first);
        }
        let left = room_for_copies - messages.len();
        let for_gone = left.div_ceil(4);
        self.gone.sort();
        turned(&mut self.gone, turn.wrapping_mul(for_gone));
        self.out_of_step.sort();
        turned(&mut self.out_of_step, turn.wrapping_mul(left - for_gone));
        self.to_look_at.sort();
        let to_look_at = self.to_look_at.into_iter().map(|(_, copy)| copy);
        let mut out_of_step: Vec<ImageId> = self.out_of_step.into_iter().chain(to_look_at).collect();
        self.gone.truncate(for_gone.max(left.saturating_sub(out_of_step.len())));
        out_of_step.truncate(left - self.gone.len());
        messages.extend(self.gone.into_iter().map(|(_, copy)| OwnMessage::SourceGone { copy }));
        messages.extend(out_of_step.into_iter().map(|copy| OwnMessage::Unfinished { copy }));
        messages.extend(self.names.into_iter().map(|name| OwnMessage::Elect { name }));
        messages.truncate(room);
        self.tally.left += all - messages.len();
        self.tally.complete = self.errors.is_empty();
        (self.tally, self.errors, messages)
    }

    /// Notes how a look ended.
    pub(super) fn note(&mut self, looking: Result<Result<(), Error>, Elapsed>, at: &str) {
        match looking {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.errors.push(error),
            Err(_) => {
                let message = format!("looking at {at} takes longer than half of the function's timeout");
                self.errors.push(Error::retry(RetryAfter::Minutes, code::OUT_OF_TIME, message));
            }
        }
    }
}
