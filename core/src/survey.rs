//! Survey: what each listed AMI is to this stack. The sweep announces it, the status shows it; neither has rules of its own.
//!
//! Pure, and one AMI at a time: who lists fifty thousand keeps of each only what it needs.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use time::OffsetDateTime;

use crate::announcement::AnnouncedBy;
use crate::copy_state::CopyState;
use crate::election::{self, Look, Steps};
use crate::family::{self, recorded_origin};
use crate::identity::{Identity, ImageId, Region, Stack, shortened};
use crate::image::{Image, State, tag};
use crate::in_step::{self, Changes, Shown};
use crate::naming::Template;
use crate::origin::Origin;
use crate::selection;
use crate::settings::{Settings, Sources};

/// An AMI of this Region that was made from another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub source: Identity,
    /// Whether the courier made it.
    pub is_own: bool,
    /// What became of it, whatever became of its source.
    pub state: CopyState,
    /// Since when; or when the copy began, if that is all that EC2 records.
    pub since: Option<OffsetDateTime>,
    pub explanation: Option<String>,
}

impl Copy {
    /// `None` for an AMI that says nothing: it is no copy, or it is dead and somebody else's.
    pub fn of(image: &Image) -> Option<Self> {
        let own = image.courier_source();
        let is_own = own.is_some();
        let source = own.or_else(|| image.source.clone())?;
        let time = |key: &str| tag::read_time(image.tags.get(key)?);
        let (state, since, explanation) = match image.state {
            State::Failed if is_own => {
                let reason = image.state_reason.as_deref().unwrap_or("EC2 gives no reason");
                (CopyState::Failed, image.created, Some(shortened(reason)))
            }
            State::Deregistered if is_own => {
                let explanation = "it is deregistered; EC2 shows it for a short while longer";
                (CopyState::Retired, None, Some(explanation.to_owned()))
            }
            State::Failed | State::Deregistered => return None,
            State::Pending => (CopyState::Pending, image.created, None),
            State::Available if !is_own => (CopyState::AlreadyCopied, image.created, None),
            State::Available if image.tags.contains_key(tag::FINISHED) => {
                (CopyState::Finished, time(tag::FINISHED), None)
            }
            State::Available => (CopyState::Unfinished, image.created, None),
            State::Disabled if is_own && image.is_disabled_with_source() => {
                let explanation = "the courier disabled it, since its source is disabled";
                (CopyState::Retired, time(tag::DISABLED_WITH_SOURCE), Some(explanation.to_owned()))
            }
            State::Disabled => (CopyState::Disabled, None, None),
        };
        Some(Self { source, is_own, state, since, explanation })
    }
}

/// What is kept of a copy of this stack to see whether it is in step: with all their tags, fifty thousand would not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    pub shown: Shown,
    state: State,
    /// Those of its tags that decide which parameter may hold it.
    tags: Box<[(&'static str, Box<str>)]>,
}

impl Followed {
    /// `None`: it is not this stack's, or copies are not kept in step.
    pub fn of(image: &Image, settings: &Settings) -> Option<Box<Self>> {
        const DECIDE: [&str; 4] = [tag::PARAMETER, tag::WITHDRAWN, tag::WITHDRAWN_SOURCE, tag::TRY];
        let stack = settings.copying.stack_name.as_str();
        let tags = DECIDE.into_iter().filter_map(|key| Some((key, image.tags.get(key)?.as_str().into())));
        (image.is_of_stack(stack) && settings.reconcile)
            .then(|| Box::new(Self { shown: Shown::of(image, stack), state: image.state, tags: tags.collect() }))
    }

    /// What brings it into its parameter, or out of it. `None` without `PARAMETER_NAME`. `image`: the source, if it is in sight.
    pub fn steps(
        &self,
        source: &Identity,
        image: Option<&Image>,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Option<Steps> {
        let tags = self.tags.iter().map(|(key, value)| ((*key).to_owned(), value.to_string()));
        let copy = Image { state: self.state, tags: tags.collect(), ..Image::new(self.shown.id.clone()) };
        let look = Look::new(&copy, source, image, settings, now)?;
        Some(election::steps(&look, &election::Timing::EC2))
    }

    /// What differs between it and its source or the settings. `None`: it is left alone.
    pub fn changes(
        &self,
        source: &Identity,
        image: Option<&Image>,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Option<Changes> {
        let source = image.map(|image| in_step::Source { identity: source, image });
        in_step::changes(&self.shown, source.as_ref(), settings, now)
    }

    /// Whether a key of any writer keeps it out of every parameter.
    pub fn is_withdrawn(&self) -> bool {
        self.tags.iter().any(|(key, _)| [tag::WITHDRAWN, tag::WITHDRAWN_SOURCE].contains(key))
    }

    /// The parameter that may hold it.
    pub fn parameter(&self) -> Option<&str> {
        self.tags.iter().find(|(key, _)| *key == tag::PARAMETER).map(|(_, name)| name.as_ref())
    }
}

/// Whether the sweep copies an AMI of a source Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Now,
    /// Once its tests are known to have passed. The text is the rule.
    Later(String),
}

impl Wanted {
    /// `None` for an AMI that is not wanted.
    pub fn of(image: &Image, region: &Region, sources: &Sources) -> Option<Self> {
        let by = |announced_by| selection::is_wanted(image, region, announced_by, sources);
        match by(AnnouncedBy::Sweep) {
            Ok(()) => Some(Self::Now),
            Err(rule) => by(AnnouncedBy::Publisher).is_ok().then_some(Self::Later(rule)),
        }
    }
}

/// An AMI of a source Region, and what it may have been first. Little is kept of it: a sweep lists fifty thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub ami: Identity,
    pub created: Option<OffsetDateTime>,
    name: NameNumber,
    /// Few have one.
    origin: Option<Box<Earlier>>,
}

/// Where an AMI was before, by what EC2 shows of the AMI itself.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Earlier {
    /// What the courier of another account says it was first.
    InAnotherAccount(Identity),
    /// It may be a sibling of this AMI. The name that the copy of that one would have.
    InAnotherRegion { origin: Identity, name_of_copy: Option<NameNumber> },
}

/// A name, as a number.
type NameNumber = u64;

fn number(name: &str) -> NameNumber {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl Source {
    /// `names` is `COPY_NAME`.
    #[must_use]
    pub fn new(image: &Image, region: &Region, stack: &Stack, names: &Template) -> Self {
        let other_account = || Origin::handed_on(image).map(|origin| Earlier::InAnotherAccount(origin.ami));
        let other_region = recorded_origin(image, region, stack.account.as_ref()).map(|origin| {
            let name_of_copy = family::name_of_copy(image, origin, names).map(|name| number(&name));
            Earlier::InAnotherRegion { origin: origin.clone(), name_of_copy }
        });
        Self {
            ami: image.identity(region),
            created: image.created,
            name: number(&image.name),
            origin: other_region.or_else(other_account).map(Box::new),
        }
    }

    /// What it was first, if it may have been another AMI.
    pub fn origin(&self) -> Option<&Identity> {
        self.origin
            .as_deref()
            .map(|(Earlier::InAnotherAccount(origin) | Earlier::InAnotherRegion { origin, .. })| origin)
    }

    /// The build that it belongs to.
    fn build(&self) -> (Identity, NameNumber) {
        match self.origin.as_deref() {
            Some(Earlier::InAnotherRegion { origin, .. }) => (origin.clone(), self.name),
            _ => (self.ami.clone(), self.name),
        }
    }
}

/// One AMI of each build: the origin, else the oldest.
pub fn one_of_each_build(mut sources: Vec<Source>) -> Vec<Source> {
    sources.sort_by_cached_key(|source| (source.build().0 != source.ami, source.created, source.ami.clone()));
    let mut builds = HashSet::new();
    sources.retain(|source| builds.insert(source.build()));
    sources
}

/// Which AMIs have a live copy here, made by anyone: by the source of the copy, and by what that was first.
#[derive(Clone, Debug, Default)]
pub struct Copied(HashMap<Identity, (ImageId, NameNumber)>);

impl Copied {
    /// Adds an AMI of this Region that was made from another one.
    pub fn add(&mut self, image: &Image) {
        if image.state.is_live() {
            let shared = Origin::handed_on(image).map(|origin| origin.ami);
            let sources =
                [image.courier_source().or_else(|| image.source.clone()), shared, family::origin_of_copy(image)];
            let copy = (image.id.clone(), number(&image.name));
            self.0.extend(sources.into_iter().flatten().map(|source| (source, copy.clone())));
        }
    }

    /// A live copy of this AMI.
    pub fn of(&self, ami: &Identity) -> Option<&ImageId> {
        self.0.get(ami).map(|(copy, _)| copy)
    }

    /// A live copy of this AMI, or of what it was first. For a sibling, the name of the copy decides: a listing does not show the
    /// origin. Where that leaves it open, there is none, and a look of the copy's own decides.
    pub fn of_build(&self, source: &Source) -> Option<&ImageId> {
        let of_origin = || match source.origin.as_deref()? {
            Earlier::InAnotherAccount(origin) => self.of(origin),
            Earlier::InAnotherRegion { origin, name_of_copy } => {
                let (copy, name) = self.0.get(origin)?;
                (*name == source.name || Some(*name) == *name_of_copy).then_some(copy)
            }
        };
        self.of(&source.ami).or_else(of_origin)
    }
}
