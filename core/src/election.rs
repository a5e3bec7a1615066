//! Election: which copy the parameter of a name holds. Pure, and explored by a model checker as it stands (`tests/model`).
//!
//! A parameter holds the newest *member* of its name, and nothing else decides: neither what was published before, nor which
//! source can be seen now. Members are this stack's available copies with [`tag::PARAMETER`] = that name and with neither
//! [`tag::WITHDRAWN`] nor [`tag::WITHDRAWN_SOURCE`]. "Newest" is by [`tag::SOURCE_CREATED`], then by id.
//!
//! 1. *Tags first.* [`steps`] brings the tags of one copy in step with its source, in an order that survives an end between any
//!    two: a copy is withdrawn before its parameter is touched, and it leaves its old name before it gets its new tags. A
//!    withdrawal is taken back only when the source can no longer look as it was before.
//! 2. *Elect.* [`Election::next`] asks for what it needs (who holds the parameter, who are the members), call by call, until it
//!    says what to write. The own copy counts as the caller has just written it, whatever a listing shows.
//! 3. *Sweep.* EC2 and Parameter Store have no conditional write, so two elections may overtake each other. A sweep collects the
//!    [`Members`] of all names, and sends the name of each parameter that is wrong, or that its messages can touch, to the
//!    courier's own queue: last, and with [`NAME_DELAY`]. By then everything that the sweep found is visible. What its other
//!    messages write a while later is not, so the election waits until the message is as old as [`Timing::settled`].
//! 4. *Leave service.* A copy is disabled or deregistered only after [`may_leave_service`]: the parameter holds another AMI, and
//!    every election that did not see the withdrawal has ended.
//!
//! Nobody removes a copy from its name by absence: not a source that is not visible, not a listing without it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use time::{Duration, OffsetDateTime};

use crate::error::minute;
use crate::finish::never_published;
use crate::identity::{Identity, ImageId, Malformed, ParameterName, Region};
use crate::image::{Image, MadeFor, State, tag};
use crate::naming::{Missing, Template};
use crate::settings::Settings;

/// The delay of a sweep's message with the name of a parameter: the longest that SQS has. It is too young before [`Timing::settled`].
pub const NAME_DELAY: Duration = Duration::minutes(15);

/// The bounds that the rules rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A new AMI, and a change of its tags, are visible after this time at the latest.
    pub visible: Duration,
    /// Longer than that and an invocation together: nobody any longer writes what was elected before a withdrawal.
    pub settled: Duration,
}

impl Timing {
    pub const EC2: Self = Self { visible: Duration::minutes(15), settled: Duration::minutes(30) };
}

/// How new a copy is: by its source's creation. A copy that does not say when that was is older than any other. Of two copies of
/// one source, the announced one is newer than one that was requested.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newness {
    source_created: Option<OffsetDateTime>,
    is_announced: bool,
    pub id: ImageId,
}

impl Newness {
    /// Of a copy of this stack, by its tags.
    #[must_use]
    pub fn of(copy: &Image) -> Self {
        let source_created = copy.tags.get(tag::SOURCE_CREATED).and_then(|time| tag::read_time(time));
        Self { source_created, is_announced: !is_requested(copy), id: copy.id.clone() }
    }

    /// Of any other AMI: by its source's creation, where EC2 names a source and shows it, else by its own.
    fn of_foreign(image: &Image, source_created: Option<OffsetDateTime>) -> Self {
        let whole_seconds = |time: OffsetDateTime| time.replace_nanosecond(0).unwrap_or(time);
        let source_created = source_created.or(image.created).map(whole_seconds);
        Self { source_created, ..Self::of(image) }
    }
}

/// Whether a request asked for this copy, and no announcement.
pub(crate) fn is_requested(copy: &Image) -> bool {
    matches!(copy.made_for(), Some(MadeFor::Request(..)))
}

/// Whether a key of any writer keeps it out of every parameter.
fn is_withdrawn(image: &Image) -> bool {
    [tag::WITHDRAWN, tag::WITHDRAWN_SOURCE].iter().any(|key| image.tags.contains_key(*key))
}

/// Since when the courier keeps it out of every parameter. `None` also for a value that the courier does not write.
fn withdrawn_since(copy: &Image) -> Option<OffsetDateTime> {
    tag::read_time(copy.tags.get(tag::WITHDRAWN_SOURCE)?)
}

/// The name of the parameter that may hold the copy, by its tag.
pub fn name_of(copy: &Image) -> Option<ParameterName> {
    copy.tags.get(tag::PARAMETER)?.parse().ok()
}

/// The name for which it is a member, if it is one.
fn membership(copy: &Image, stack: &str) -> Option<ParameterName> {
    let may_be_held = copy.state == State::Available && !is_withdrawn(copy) && never_published(copy).is_none();
    name_of(copy).filter(|_| copy.is_of_stack(stack) && may_be_held)
}

/// The newest member of each name, collected copy by copy.
///
/// Add *all* copies of the stack that have the name, or all copies of the stack. Half of a listing is none: if a page fails, the
/// election is retried.
#[derive(Clone, Debug)]
pub struct Members {
    stack: String,
    own: Option<ImageId>,
    newest: BTreeMap<ParameterName, Newness>,
    /// The sources of announced copies, as hashes: a sweep adds tens of thousands.
    announced: HashSet<u64>,
    /// Few: the copies of requests. Each with the hash of its source.
    requested: Vec<(ParameterName, Newness, u64)>,
}

impl Members {
    /// The own copy counts as the caller has just written it, whatever a listing shows of it.
    #[must_use]
    pub fn new(stack: &str, own: Own<'_>) -> Self {
        let mut members = Self {
            stack: stack.to_owned(),
            own: None,
            newest: BTreeMap::new(),
            announced: HashSet::new(),
            requested: Vec::new(),
        };
        match own {
            Own::Nobody => {}
            Own::Leaving(id) => members.own = Some(id.clone()),
            Own::Joining(copy) => {
                members.add(copy);
                members.own = Some(copy.id.clone());
            }
        }
        members
    }

    pub fn add(&mut self, copy: &Image) {
        if self.own.as_ref() == Some(&copy.id) {
            return;
        }
        let source = hash_of_source(copy);
        if !is_requested(copy) && copy.state.is_live() && copy.is_of_stack(&self.stack) {
            self.announced.extend(source);
        }
        let Some(name) = membership(copy, &self.stack) else { return };
        let newness = Newness::of(copy);
        match source {
            Some(source) if is_requested(copy) => self.requested.push((name, newness, source)),
            _ => match self.newest.get_mut(&name) {
                Some(newest) if *newest >= newness => {}
                Some(newest) => *newest = newness,
                None => drop(self.newest.insert(name, newness)),
            },
        }
    }

    /// The newest member of a name. A request's copy is none if its source has an announced copy.
    pub fn newest(&self, name: &ParameterName) -> Option<&Newness> {
        let requested = self.requested.iter().filter(|(of, _, source)| of == name && !self.announced.contains(source));
        self.newest.get(name).into_iter().chain(requested.map(|(_, newness, _)| newness)).max()
    }

    /// The names that have members, each once.
    pub fn names(&self) -> impl Iterator<Item = &ParameterName> {
        let others = self.requested.iter().map(|(name, ..)| name).filter(|name| !self.newest.contains_key(*name));
        let others: std::collections::BTreeSet<&ParameterName> = others.collect();
        self.newest.keys().chain(others)
    }
}

fn hash_of_source(copy: &Image) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    copy.courier_source()?.hash(&mut hasher);
    Some(hasher.finish())
}

/// What Parameter Store shows of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `None`: its value is no AMI's id.
    pub value: Option<ImageId>,
    pub written: OffsetDateTime,
}

/// What EC2 shows of the AMI that a parameter holds.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// `None`: not visible.
    pub image: Option<&'a Image>,
    /// When its source was created, where EC2 names one and shows it. Needed only of an AMI that is no copy of this stack.
    pub source_created: Option<OffsetDateTime>,
}

/// The copy for which a step elects.
#[derive(Clone, Copy, Debug)]
pub enum Own<'a> {
    /// A member of the name, as just written.
    Joining(&'a Image),
    /// No member of the name, whatever its tags are.
    Leaving(&'a ImageId),
    /// None: a message with the name of a parameter, or a sweep.
    Nobody,
}

/// One election, as far as the caller has looked. It asks [`Election::next`], does what it says, and asks again.
#[derive(Clone, Copy, Debug)]
pub struct Election<'a> {
    pub name: &'a ParameterName,
    pub stack: &'a str,
    pub own: Own<'a>,
    /// As Parameter Store shows it; `None`: no such parameter.
    pub parameter: Option<&'a Parameter>,
    /// `None`: not looked at yet.
    pub holder: Option<Holder<'a>>,
    /// `None`: not listed yet.
    pub members: Option<&'a Members>,
    pub now: OffsetDateTime,
}

/// What to do next in an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Describe the AMI that the parameter holds.
    LookAtHolder,
    /// List all copies with the tag [`tag::PARAMETER`] = the name.
    List,
    /// Write this AMI's id to the parameter.
    Write(ImageId),
    /// The holder is not visible, and was written a short time ago: retry.
    Retry,
    End(End),
}

/// How an election ends without a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The parameter holds the newest member.
    Holds,
    /// It holds an AMI that is newer, or that is not the one which leaves.
    HoldsAnother,
    /// There is no member: the parameter stays as it is.
    NoMember,
}

/// What the holder of a parameter counts for.
enum Standing {
    /// Nothing: dead, withdrawn, of another name, or no AMI at all.
    NoHolder,
    /// It is replaced by a newer one only.
    Counts(Newness),
    /// It is not visible, and may be so young that it will be.
    NotVisibleYet,
}

impl Election<'_> {
    /// What to do next, of one look after the other.
    pub fn next(&self, timing: &Timing) -> Next {
        let held = self.parameter.and_then(|parameter| parameter.value.as_ref());
        match self.own {
            Own::Leaving(own) if held != Some(own) => Next::End(End::HoldsAnother),
            Own::Leaving(_) => match self.members {
                None => Next::List,
                Some(members) => match members.newest(self.name) {
                    Some(newest) => Next::Write(newest.id.clone()),
                    None => Next::End(End::NoMember),
                },
            },
            Own::Joining(own) if held == Some(&own.id) => Next::End(End::Holds),
            // A holder that counts decides alone: a listing at each finish would be thousands of calls.
            Own::Joining(own) => match self.standing(timing) {
                Err(next) => next,
                Ok(Standing::Counts(holder)) => write_if_newer(&Newness::of(own), &holder),
                Ok(standing) => self.elect(standing),
            },
            Own::Nobody if self.members.is_none() => Next::List,
            Own::Nobody => match self.members.and_then(|members| members.newest(self.name)) {
                None => Next::End(End::NoMember),
                Some(newest) if held == Some(&newest.id) => Next::End(End::Holds),
                Some(_) => match self.standing(timing) {
                    Err(next) => next,
                    Ok(standing) => self.elect(standing),
                },
            },
        }
    }

    fn elect(&self, standing: Standing) -> Next {
        let Some(members) = self.members else { return Next::List };
        match (members.newest(self.name), standing) {
            (_, Standing::NotVisibleYet) => Next::Retry,
            (None, _) => Next::End(End::NoMember),
            (Some(newest), Standing::NoHolder) => Next::Write(newest.id.clone()),
            (Some(newest), Standing::Counts(holder)) => write_if_newer(newest, &holder),
        }
    }

    /// What the holder counts for, or what to look at first.
    fn standing(&self, timing: &Timing) -> Result<Standing, Next> {
        let Some(parameter) = self.parameter.filter(|parameter| parameter.value.is_some()) else {
            return Ok(Standing::NoHolder);
        };
        let Some(holder) = &self.holder else { return Err(Next::LookAtHolder) };
        let Some(image) = holder.image else {
            let is_young = self.now - parameter.written < timing.visible;
            return Ok(if is_young { Standing::NotVisibleYet } else { Standing::NoHolder });
        };
        let is_dead = matches!(image.state, State::Disabled | State::Failed | State::Deregistered);
        Ok(match membership(image, self.stack) {
            _ if is_dead || is_withdrawn(image) => Standing::NoHolder,
            Some(name) if name == *self.name && !self.has_announced_copy(image) => Standing::Counts(Newness::of(image)),
            _ if image.is_of_stack(self.stack) => Standing::NoHolder,
            _ => Standing::Counts(Newness::of_foreign(image, holder.source_created)),
        })
    }

    /// Whether it is a request's copy, and its source has an announced one.
    fn has_announced_copy(&self, image: &Image) -> bool {
        let source = hash_of_source(image).filter(|_| is_requested(image));
        source.zip(self.members).is_some_and(|(source, members)| members.announced.contains(&source))
    }
}

fn write_if_newer(newest: &Newness, holder: &Newness) -> Next {
    if newest > holder { Next::Write(newest.id.clone()) } else { Next::End(End::HoldsAnother) }
}

/// Why the source of a copy gives it no parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpublished {
    /// The source lacks what `PARAMETER_NAME` asks for.
    Missing(Missing),
    Malformed(Malformed),
}

impl fmt::Display for Unpublished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(why) => write!(f, "not published, since PARAMETER_NAME cannot be filled in: {why}"),
            Self::Malformed(why) => {
                write!(f, "not published, since PARAMETER_NAME makes a name that cannot be used: {why}")
            }
        }
    }
}

/// All that the membership of one copy depends on.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// A copy of this stack, as EC2 shows it.
    pub copy: &'a Image,
    /// `None`: out of sight, that is not visible, deregistered, or in a Region that is not looked at.
    pub source: Option<&'a Image>,
    pub source_region: &'a Region,
    /// The setting `PARAMETER_NAME`.
    pub parameter_name: &'a Template,
    pub retire_with_source: bool,
    /// The time of the copy to be retired has come.
    pub is_due: bool,
    pub now: OffsetDateTime,
}

impl<'a> Look<'a> {
    /// Of a copy whose time has not come. `None` without `PARAMETER_NAME`. `image`: the source, if it is in sight.
    pub fn new(
        copy: &'a Image,
        source: &'a Identity,
        image: Option<&'a Image>,
        settings: &'a Settings,
        now: OffsetDateTime,
    ) -> Option<Self> {
        Some(Self {
            copy,
            source: image,
            source_region: &source.region,
            parameter_name: settings.finishing.parameter_name.as_ref()?,
            retire_with_source: settings.retire_with_source,
            is_due: false,
            now,
        })
    }
}

/// One call, or one election, that brings the membership of a copy in step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Put [`tag::WITHDRAWN_SOURCE`] on the copy, with the time.
    Withdraw,
    /// Elect this name without the copy.
    Leave(ParameterName),
    /// Put [`tag::PARAMETER`] = this name on the copy, together with its other new tags.
    Tag(ParameterName),
    /// Remove [`tag::PARAMETER`] from the copy.
    Untag,
    /// Remove [`tag::WITHDRAWN_SOURCE`] from the copy.
    Restore,
    /// Elect this name, for which the copy is a member now.
    Join(ParameterName),
}

impl Step {
    /// What the step makes of the copy's tags: what follows counts the copy so, whatever EC2 shows.
    pub fn apply(&self, copy: &mut Image, now: OffsetDateTime) {
        match self {
            Self::Withdraw => drop(copy.tags.insert(tag::WITHDRAWN_SOURCE.to_owned(), tag::time(now))),
            Self::Tag(name) => drop(copy.tags.insert(tag::PARAMETER.to_owned(), name.to_string())),
            Self::Untag => drop(copy.tags.remove(tag::PARAMETER)),
            Self::Restore => drop(copy.tags.remove(tag::WITHDRAWN_SOURCE)),
            Self::Leave(_) | Self::Join(_) => {}
        }
    }

    /// Whether it changes a tag of the copy.
    pub fn is_tag(&self) -> bool {
        !matches!(self, Self::Leave(_) | Self::Join(_))
    }
}

/// What brings the membership of a copy in step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// In their order. Elections are repeated at every look, since the one before may have been cut short.
    pub steps: Vec<Step>,
    pub unpublished: Option<Unpublished>,
    /// Its source is in service, but may look as it was before the withdrawal: look again at this time.
    pub look_again_at: Option<OffsetDateTime>,
}

impl Steps {
    /// Whether the copy's tags are as they should be.
    pub fn are_none(&self) -> bool {
        self.look_again_at.is_none() && !self.steps.iter().any(Step::is_tag)
    }

    /// What differs, in plain words.
    pub fn described(&self) -> Vec<String> {
        let text = |step: &Step| match step {
            Step::Withdraw => Some("its source is withdrawn".to_owned()),
            Step::Restore => Some("its source is not withdrawn any more".to_owned()),
            Step::Tag(name) => Some(format!("it belongs to the parameter `{name}`")),
            Step::Untag => Some("it belongs to no parameter any more".to_owned()),
            Step::Leave(_) | Step::Join(_) => None,
        };
        let soon = self.look_again_at.map(|at| format!("it is a member of its parameter again from {}", minute(at)));
        self.steps.iter().filter_map(text).chain(soon).collect()
    }

    /// The names whose parameter the steps can write.
    pub fn names(&self) -> impl Iterator<Item = &ParameterName> {
        self.steps.iter().filter_map(|step| match step {
            Step::Leave(name) | Step::Tag(name) | Step::Join(name) => Some(name),
            Step::Withdraw | Step::Untag | Step::Restore => None,
        })
    }
}

/// What brings the membership of a copy in step with its source, in an order that survives an end between any two steps.
///
/// A source that is out of sight changes nothing: neither the name nor the withdrawal.
pub fn steps(look: &Look<'_>, timing: &Timing) -> Steps {
    let copy = look.copy;
    let source = look.source.filter(|source| matches!(source.state, State::Available | State::Disabled));
    let has = name_of(copy);
    let (wanted, unpublished) = match source {
        None => (has.clone(), None),
        Some(_) if never_published(copy).is_some() => (None, None),
        Some(source) => match name_given(look.parameter_name, source, look.source_region) {
            Ok(name) => (Some(name), None),
            Err(why) => (None, Some(why)),
        },
    };
    let is_withdrawn_by_source = source.is_some_and(|source| {
        source.tag(tag::WITHDRAWN).is_some() || (source.state == State::Disabled && look.retire_with_source)
    });
    let must_be_withdrawn = is_withdrawn_by_source || look.is_due;
    let may_be_restored = source.is_some_and(|source| source.state == State::Available) && !must_be_withdrawn;
    let has_key = copy.tags.contains_key(tag::WITHDRAWN_SOURCE);
    // By then, a source that was withdrawn and then deregistered can no longer look as if it were in service.
    let restores_at = withdrawn_since(copy).map_or(look.now, |since| since + timing.visible);
    let must_be_restored = may_be_restored && has_key;

    let mut steps = Vec::new();
    let mut after = copy.clone();
    let mut then = |step: Step| {
        step.apply(&mut after, look.now);
        steps.push(step);
    };
    if must_be_withdrawn && withdrawn_since(copy).is_none() {
        then(Step::Withdraw);
    }
    if has != wanted {
        // A name that this setting cannot make is one of a setting before: the copies would leave it one by one, newest first.
        if let Some(old) = has.as_ref().filter(|old| look.parameter_name.can_make(old.as_str())) {
            then(Step::Leave(old.clone()));
        }
        then(wanted.clone().map_or(Step::Untag, Step::Tag));
    }
    if must_be_restored && restores_at <= look.now {
        then(Step::Restore);
    }
    if let Some(name) = wanted.filter(|name| look.parameter_name.can_make(name.as_str())) {
        let is_member = after.state == State::Available && !is_withdrawn(&after);
        steps.push(if is_member { Step::Join(name) } else { Step::Leave(name) });
    }
    let look_again_at = Some(restores_at).filter(|at| must_be_restored && *at > look.now);
    Steps { steps, unpublished, look_again_at }
}

/// The name that the source gives its copy now.
fn name_given(template: &Template, source: &Image, region: &Region) -> Result<ParameterName, Unpublished> {
    let filled = template.fill(source, region).map_err(Unpublished::Missing)?;
    filled.parse().map_err(Unpublished::Malformed)
}

/// Whether a copy can be disabled or deregistered, as far as parameters are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeavesService {
    Now,
    /// Not before this time: an election that did not see the withdrawal may still write the copy.
    NotBefore(OffsetDateTime),
    /// The courier's own parameter holds it, and no other copy can take its place.
    HeldBy(ParameterName),
}

/// Whether a copy that must leave service can do so: after its [`steps`], with what Parameter Store shows of its name.
pub fn may_leave_service(
    copy: &Image,
    parameter: Option<&Parameter>,
    timing: &Timing,
    now: OffsetDateTime,
) -> LeavesService {
    let Some(name) = name_of(copy) else { return LeavesService::Now };
    if parameter.is_some_and(|parameter| parameter.value.as_ref() == Some(&copy.id)) {
        return LeavesService::HeldBy(name);
    }
    let until = withdrawn_since(copy).unwrap_or(now) + timing.settled;
    if now < until { LeavesService::NotBefore(until) } else { LeavesService::Now }
}
