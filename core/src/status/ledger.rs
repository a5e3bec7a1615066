//! The ledger: each listed AMI, and what became of its copy.
//!
//! It uses the sweep's own rules: [`selection`] says what is wanted, [`retirement`] when a copy follows its source, the
//! protocol's [`Timing`] when no copy is started. Of an AMI it keeps little more than what the answer shows.

use std::collections::HashMap;

use time::{Duration, OffsetDateTime};

use super::request::StatusRequest;
use super::row::Row;
use super::state::State;
use crate::announcement::AnnouncedBy;
use crate::error::minute;
use crate::identity::{Identity, ImageId, Region, shortened};
use crate::image::{self, Image, tag};
use crate::protocol::Timing;
use crate::retirement::{self, Look, Next, SourceState, Trigger, Usage};
use crate::selection;
use crate::settings::Settings;

/// Up to this age, an AMI without a copy is not called missing: its builder may still share it, its event may be late, a copy
/// may be invisible for 15 minutes, and the sweep runs once an hour by default.
const YOUNG: Duration = Duration::hours(1);

/// What is listed so far.
pub struct Ledger<'a> {
    request: &'a StatusRequest,
    settings: &'a Settings,
    sources: Vec<Source>,
    copies: HashMap<Identity, Vec<Copy>>,
}

/// A source AMI that is wanted here.
struct Source {
    identity: Identity,
    name: String,
    created: Option<OffsetDateTime>,
    /// Why the sweep does not copy it yet.
    not_yet: Option<String>,
}

/// A copy in this Region.
struct Copy {
    id: ImageId,
    name: String,
    created: Option<OffsetDateTime>,
    is_live: bool,
    /// Whether the courier made it.
    is_own: bool,
    /// Its state, whatever its source's.
    state: State,
    since: Option<OffsetDateTime>,
    explanation: Option<String>,
    /// The copy itself, if it is marked because its source is gone.
    marked: Option<Box<Image>>,
}

impl<'a> Ledger<'a> {
    #[must_use]
    pub fn new(request: &'a StatusRequest, settings: &'a Settings) -> Self {
        Self { request, settings, sources: Vec::new(), copies: HashMap::new() }
    }

    /// Adds an AMI of a source Region, if it is wanted here.
    pub fn add_source(&mut self, image: Image, region: &Region) {
        let wanted = |by| selection::is_wanted(&image, region, by, &self.settings.sources);
        let not_yet = match (wanted(AnnouncedBy::Sweep), wanted(AnnouncedBy::Publisher)) {
            (Ok(()), _) => None,
            // It is wanted as soon as its tests are known to have passed.
            (Err(reason), Ok(())) => Some(reason),
            (Err(_), Err(_)) => return,
        };
        if self.request.has_name(&image.name) {
            let identity = image.identity(region);
            self.sources.push(Source { identity, name: image.name, created: image.created, not_yet });
        }
    }

    /// Adds an AMI of this Region that was made from another one.
    pub fn add_copy(&mut self, image: Image) {
        let own = image.courier_source();
        let is_own = own.is_some();
        let Some(source) = own.or_else(|| image.source.clone()) else { return };
        if let Some(copy) = copy(image, is_own) {
            self.copies.entry(source).or_default().push(copy);
        }
    }

    /// What retirement says of a copy that is marked because its source is gone.
    fn without_source(&self, image: &Image, now: OffsetDateTime) -> Option<(State, String)> {
        if !self.settings.retire_with_source {
            return None;
        }
        let next = retirement::next(&Look {
            source: SourceState::Deregistered,
            copy: image,
            usage: &Usage::NotLookedFor,
            trigger: Trigger::Sweep,
            retire_after_days: self.settings.retire_after_days,
            now,
        });
        match next {
            Next::Stay(reason @ retirement::Reason::Waiting { .. }) => Some((State::Retiring, reason.to_string())),
            Next::Stay(reason) => Some((State::Held, reason.to_string())),
            _ => {
                let explanation = "its source is gone and the waiting time is over: a sweep retires it, unless it is in use; the log of \
                                   the last sweep says what holds it";
                Some((State::Held, explanation.to_owned()))
            }
        }
    }

    /// A row for each wanted AMI, and for each other copy of the courier's that is new or not settled. `now` is by AWS's clock.
    #[must_use]
    pub fn rows(mut self, now: OffsetDateTime) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.sources.len());
        for source in std::mem::take(&mut self.sources) {
            let (copy, others) = self.copies.remove(&source.identity).map_or((None, Vec::new()), best);
            rows.push(match copy.filter(|copy| copy.state != State::Retired || copy.is_live) {
                Some(copy) => copied(source, copy, others, now),
                None => self.not_copied(source, now),
            });
        }
        let since = now - Duration::days(self.request.days.into());
        for (source, mut copies) in std::mem::take(&mut self.copies) {
            copies.retain(|copy| copy.is_own);
            let (Some(copy), other_copies) = best(copies) else { continue };
            let without_source = copy.marked.as_ref().and_then(|image| self.without_source(image, now));
            let (state, since_then, explanation) = match without_source {
                Some((state, explanation)) => {
                    (state, copy.marked.and_then(|image| image.source_gone_since()), Some(explanation))
                }
                None => (copy.state, copy.since, copy.explanation),
            };
            let is_new = copy.created.is_none_or(|created| created >= since);
            if (is_new || !state.is_settled()) && self.request.has_name(&copy.name) {
                rows.push(Row {
                    state,
                    name: copy.name,
                    source,
                    created: None,
                    age_seconds: None,
                    copy: Some(copy.id),
                    since: since_then,
                    explanation,
                    other_copies,
                });
            }
        }
        rows
    }

    fn not_copied(&self, source: Source, now: OffsetDateTime) -> Row {
        let age = source.created.map(|created| now - created);
        let quiet_until = age.and_then(|age| Timing::EC2.quiet_until(age.whole_seconds().try_into().ok()?));
        let quiet_until = quiet_until
            .zip(source.created)
            .and_then(|(age, created)| created.checked_add(Duration::seconds(age.try_into().ok()?)));
        let (state, explanation) = match (source.not_yet, quiet_until) {
            (Some(reason), _) => (State::Awaited, Some(reason)),
            (None, _) if self.settings.copying.dry_run => {
                (State::Missing, Some("DRY_RUN is set: the courier copies nothing".to_owned()))
            }
            (None, _) if age.is_some_and(|age| age < YOUNG) => {
                let explanation =
                    "it is younger than an hour: its event may be on the way, or its copy not visible yet";
                (State::Awaited, Some(explanation.to_owned()))
            }
            (None, Some(until)) => {
                (State::Missing, Some(format!("quiet time: no copy starts before {}", minute(until))))
            }
            (None, None) => {
                let explanation = "EC2 records no reason: see the dead-letter queue and the function's log";
                (State::Missing, Some(explanation.to_owned()))
            }
        };
        Row {
            state,
            name: source.name,
            source: source.identity,
            created: source.created,
            age_seconds: age.map(Duration::whole_seconds),
            copy: None,
            since: None,
            explanation,
            other_copies: Vec::new(),
        }
    }
}

/// The copy that counts, and the other live ones: a live copy before a dead one, the courier's before others', the newest first.
fn best(mut copies: Vec<Copy>) -> (Option<Copy>, Vec<ImageId>) {
    copies.sort_by_key(|copy| (copy.is_live, copy.is_own, copy.created));
    let best = copies.pop();
    let others = copies.into_iter().filter(|copy| copy.is_live).map(|copy| copy.id).collect();
    (best, others)
}

/// `None` if the copy says nothing: it is dead, and somebody else's.
fn copy(image: Image, is_own: bool) -> Option<Copy> {
    let time = |key: &str| tag::read_time(image.tags.get(key)?);
    let (state, since, explanation) = match image.state {
        image::State::Failed if is_own => {
            let reason = image.state_reason.as_deref().unwrap_or("EC2 gives no reason");
            (State::Failed, image.created, Some(shortened(reason)))
        }
        image::State::Deregistered if is_own => {
            let explanation = "it is deregistered; EC2 shows it for a short while longer";
            (State::Retired, None, Some(explanation.to_owned()))
        }
        image::State::Failed | image::State::Deregistered => return None,
        image::State::Pending => (State::Pending, image.created, None),
        image::State::Available if !is_own => (State::AlreadyCopied, image.created, None),
        image::State::Available => match time(tag::FINISHED) {
            Some(finished) => (State::Finished, Some(finished), None),
            None if image.tags.contains_key(tag::FINISHED) => (State::Finished, None, None),
            None => (State::Unfinished, image.created, None),
        },
        image::State::Disabled if is_own && image.is_disabled_with_source() => {
            let explanation = "the courier disabled it, since its source is disabled";
            (State::Retired, time(tag::DISABLED_WITH_SOURCE), Some(explanation.to_owned()))
        }
        image::State::Disabled => (State::Disabled, None, None),
    };
    let is_live = image.state.is_live();
    let is_marked = is_own && is_live && image.source_gone_since().is_some();
    let marked = is_marked.then(|| Box::new(image.clone()));
    let Image { id, name, created, .. } = image;
    Some(Copy { id, name, created, is_live, is_own, state, since, explanation, marked })
}

fn copied(source: Source, copy: Copy, other_copies: Vec<ImageId>, now: OffsetDateTime) -> Row {
    Row {
        state: copy.state,
        name: source.name,
        source: source.identity,
        created: source.created,
        age_seconds: source.created.map(|created| (now - created).whole_seconds()),
        copy: Some(copy.id),
        since: copy.since,
        explanation: copy.explanation,
        other_copies,
    }
}
