//! The ledger: each listed AMI, and what became of its copy.
//!
//! The rules are not its own: [`survey`] says what each AMI is, [`retirement`] when a copy follows its source, the
//! protocol's [`Timing`] when no copy is started. Of an AMI it keeps little more than what the answer shows.

use std::collections::HashMap;

use time::{Duration, OffsetDateTime};

use super::row::{Parameter, Row};
use crate::announcement::StatusRequest;
use crate::copy_state::CopyState;
use crate::error::minute;
use crate::identity::{Identity, ImageId, Region, Stack};
use crate::image::Image;
use crate::protocol::Timing;
use crate::retirement::{self, Evidence, SourceState, Trigger, Usage, Verdict};
use crate::settings::Settings;
use crate::survey::{self, Copied, Followed, Wanted};

/// Up to this age, an AMI without a copy is not called missing: its builder may still share it, its event may be late, a copy
/// may be invisible for 15 minutes, and the sweep runs once an hour by default.
const YOUNG: Duration = Duration::hours(1);

/// What is listed so far.
pub struct Ledger<'a> {
    request: &'a StatusRequest,
    settings: &'a Settings,
    sources: Vec<Source>,
    copies: HashMap<Identity, Vec<Copy>>,
    copied: Copied,
}

/// A source AMI that is wanted here.
struct Source {
    survey: survey::Source,
    name: String,
    wanted: Wanted,
}

/// A copy in this Region.
struct Copy {
    id: ImageId,
    name: String,
    created: Option<OffsetDateTime>,
    is_live: bool,
    survey: survey::Copy,
    /// The copy itself, if it is marked because its source is gone.
    marked: Option<Box<Image>>,
    followed: Option<Box<Followed>>,
    is_compared: bool,
}

impl Copy {
    /// Its state, since when, and why; what differs counts for a finished copy only. `image`: the source, if it is listed.
    fn compare(&mut self, image: Option<&Image>, settings: &Settings, now: OffsetDateTime) {
        let source = &self.survey.source;
        self.is_compared = true;
        let Some(followed) = self.followed.as_ref().filter(|_| self.survey.state == CopyState::Finished) else {
            return;
        };
        let changes = followed.changes(source, image, settings, now).map(|changes| changes.described());
        let steps = followed.steps(source, image, settings, now).map(|steps| steps.described());
        let differs = [steps, changes].into_iter().flatten().flatten().collect::<Vec<_>>().join(", ");
        if !differs.is_empty() {
            self.survey.state = CopyState::OutOfStep;
            self.survey.explanation = Some(differs);
        } else if followed.is_withdrawn() {
            self.survey.explanation = Some("it is withdrawn: no parameter is to hold it".to_owned());
        }
    }

    fn parameter(&self) -> Option<Parameter> {
        let followed = self.followed.as_ref()?;
        Some(Parameter { name: followed.parameter()?.to_owned(), value: None, is_withdrawn: followed.is_withdrawn() })
    }
}

impl<'a> Ledger<'a> {
    pub fn new(request: &'a StatusRequest, settings: &'a Settings) -> Self {
        Self { request, settings, sources: Vec::new(), copies: HashMap::new(), copied: Copied::default() }
    }

    /// Adds an AMI of a source Region, if it is wanted here. `now` is by AWS's clock.
    pub fn add_source(&mut self, image: Image, region: &Region, stack: &Stack, now: OffsetDateTime) {
        for copy in self.copies.get_mut(&image.identity(region)).into_iter().flatten() {
            copy.compare(Some(&image), self.settings, now);
        }
        let Some(wanted) = Wanted::of(&image, region, &self.settings.sources) else { return };
        if self.request.has_name(&image.name) {
            let survey = survey::Source::new(&image, region, stack, &self.settings.copying.name);
            self.sources.push(Source { survey, name: image.name, wanted });
        }
    }

    /// Adds an AMI of this Region that was made from another one.
    pub fn add_copy(&mut self, image: Image) {
        self.copied.add(&image);
        let Some(survey) = survey::Copy::of(&image) else { return };
        let is_live = image.state.is_live();
        let is_marked = survey.is_own && is_live && image.source_gone_since().is_some();
        let marked = is_marked.then(|| Box::new(image.clone()));
        let followed = Followed::of(&image, self.settings);
        let Image { id, name, created, .. } = image;
        let source = survey.source.clone();
        let copy = Copy { id, name, created, is_live, survey, marked, followed, is_compared: false };
        self.copies.entry(source).or_default().push(copy);
    }

    /// What retirement says of a copy that is marked because its source is gone.
    fn without_source(&self, image: &Image, now: OffsetDateTime) -> Option<(CopyState, String)> {
        if !self.settings.retire_with_source {
            return None;
        }
        let verdict = retirement::decide(&Evidence {
            source: SourceState::Deregistered,
            copy: image,
            usage: &Usage::NotLookedFor,
            trigger: Trigger::Sweep,
            retire_after_days: self.settings.retire_after_days,
            now,
        });
        match verdict {
            Verdict::Stay(reason @ retirement::Reason::Waiting { .. }) => {
                Some((CopyState::Retiring, reason.to_string()))
            }
            Verdict::Stay(reason) => Some((CopyState::Held, reason.to_string())),
            _ => {
                let explanation = "its source is gone and the waiting time is over: a sweep retires it, unless it is in use; the log of \
                                   the last sweep says what holds it";
                Some((CopyState::Held, explanation.to_owned()))
            }
        }
    }

    /// A row for each wanted AMI, and for each other copy of the courier's that is new or not settled. `now` is by AWS's clock.
    pub fn rows(mut self, now: OffsetDateTime) -> Vec<Row> {
        // What differs from the settings shows without the source.
        for copy in self.copies.values_mut().flatten().filter(|copy| !copy.is_compared) {
            copy.compare(None, self.settings, now);
        }
        let mut rows = Vec::with_capacity(self.sources.len());
        for source in std::mem::take(&mut self.sources) {
            let (copy, others) = self.copies.remove(&source.survey.ami).map_or((None, Vec::new()), best);
            rows.push(match copy.filter(|copy| copy.survey.state != CopyState::Retired || copy.is_live) {
                Some(copy) => copied(source, copy, others, now),
                None => match self.copied.of_build(&source.survey).cloned() {
                    // As for the sweep, no further copy is needed.
                    Some(copy) => with_copy_of_origin(source, copy, now),
                    None => self.not_copied(source, now),
                },
            });
        }
        let since = now - Duration::days(self.request.days_or(self.settings.backfill_days).into());
        for (source, mut copies) in std::mem::take(&mut self.copies) {
            copies.retain(|copy| copy.survey.is_own);
            let (Some(copy), other_copies) = best(copies) else { continue };
            let parameter = copy.parameter();
            let without_source = copy.marked.as_ref().and_then(|image| self.without_source(image, now));
            let (state, since_then, explanation) = match without_source {
                Some((state, explanation)) => {
                    (state, copy.marked.and_then(|image| image.source_gone_since()), Some(explanation))
                }
                None => (copy.survey.state, copy.survey.since, copy.survey.explanation),
            };
            let is_new = copy.created.is_none_or(|created| created >= since);
            if (is_new || !state.is_settled()) && self.request.has_name(&copy.name) {
                rows.push(Row {
                    parameter,
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
        let created = source.survey.created;
        let age = created.map(|created| now - created);
        let quiet_until = age.and_then(|age| Timing::EC2.quiet_until(age.whole_seconds().try_into().ok()?));
        let quiet_until = quiet_until
            .zip(created)
            .and_then(|(age, created)| created.checked_add(Duration::seconds(age.try_into().ok()?)));
        let (state, explanation) = match (source.wanted, quiet_until) {
            (Wanted::Later(reason), _) => (CopyState::Awaited, Some(reason)),
            (Wanted::Now, _) if self.settings.copying.dry_run => {
                (CopyState::Missing, Some("DRY_RUN is set: the courier copies nothing".to_owned()))
            }
            (Wanted::Now, _) if age.is_some_and(|age| age < YOUNG) => {
                let explanation = "it is younger than an hour: its event may be on the way, its copy not visible yet, or its copy failed, and \
                     a dead letter says why";
                (CopyState::Awaited, Some(explanation.to_owned()))
            }
            (Wanted::Now, Some(until)) => {
                (CopyState::Missing, Some(format!("quiet time: no copy starts before {}", minute(until))))
            }
            (Wanted::Now, None) => {
                let explanation = "EC2 records no reason: see the dead-letter queue and the function's log";
                (CopyState::Missing, Some(explanation.to_owned()))
            }
        };
        Row {
            state,
            name: source.name,
            source: source.survey.ami,
            created,
            age_seconds: age.map(Duration::whole_seconds),
            copy: None,
            since: None,
            explanation,
            parameter: None,
            other_copies: Vec::new(),
        }
    }
}

/// The copy that counts, and the other live ones: a live copy before a dead one, the courier's before others', the newest first.
fn best(mut copies: Vec<Copy>) -> (Option<Copy>, Vec<ImageId>) {
    copies.sort_by_key(|copy| (copy.is_live, copy.survey.is_own, copy.created));
    let best = copies.pop();
    let others = copies.into_iter().filter(|copy| copy.is_live).map(|copy| copy.id).collect();
    (best, others)
}

fn copied(source: Source, copy: Copy, other_copies: Vec<ImageId>, now: OffsetDateTime) -> Row {
    Row {
        parameter: copy.parameter(),
        state: copy.survey.state,
        name: source.name,
        created: source.survey.created,
        age_seconds: source.survey.created.map(|created| (now - created).whole_seconds()),
        source: source.survey.ami,
        copy: Some(copy.id),
        since: copy.survey.since,
        explanation: copy.survey.explanation,
        other_copies,
    }
}

/// The row of an AMI whose origin has a copy here.
fn with_copy_of_origin(source: Source, copy: ImageId, now: OffsetDateTime) -> Row {
    let explanation = source.survey.origin().map(|origin| format!("its origin {origin} has a copy here"));
    Row {
        state: CopyState::AlreadyCopied,
        name: source.name,
        created: source.survey.created,
        age_seconds: source.survey.created.map(|created| (now - created).whole_seconds()),
        source: source.survey.ami,
        copy: Some(copy),
        since: None,
        explanation,
        parameter: None,
        other_copies: Vec::new(),
    }
}
