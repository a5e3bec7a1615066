//! Family: the AMIs of one build. One of them is copied.
//!
//! Builders put a build into several Regions with `CopyImage`, and EC2 records where each AMI came from. So an AMI of this account that
//! was copied from another Region, and still has the name of its *origin*, is the same build: a *sibling*. Rules that rest on more
//! than this record were broken by search: what can be seen of the origin changes, the record does not.
//!
//! - Another name makes another image. So does a copy within a Region: that is how an image is encrypted, or made in two steps.
//! - Only this account's AMIs: EC2 may show other accounts the base image of an instance as if it was the source of a copy.
//! - A copy of the courier's is no sibling. It is never copied on.
//! - A sibling waits for [`WAIT`]. What was started for its origin meanwhile is then visible, and answers it.
//! - A copy of a sibling records the origin ([`tag::FAMILY`]), so that looks for the origin and for other siblings find it.
//!
//! A chain of copies is followed one step. Two AMIs of one build that are *both* announced late, within 15 minutes of each other, may
//! have a copy each: neither look shows the other copy yet.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use time::{Duration, OffsetDateTime};

use crate::identity::{AccountId, Identity, Region, Stack};
use crate::image::{Image, State, tag};
use crate::naming::Template;
use crate::origin::Origin;

/// How long a sibling waits, from its creation: twice the bound of visibility.
pub const WAIT: Duration = Duration::minutes(30);

/// What an announced AMI is to the builds of this account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kin {
    /// It is an image of its own.
    Alone,
    /// It was copied from this AMI of the stack's own Region, in service or not.
    FromHere(Identity),
    /// It may be a sibling, or come from here. Until this time, it is not known which.
    Waits { until: OffsetDateTime, origin: Identity },
    /// It is a sibling of this origin.
    Sibling { origin: Origin, name_of_origin: NameOfOrigin },
}

/// Whether the name of the origin was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOfOrigin {
    /// It is the sibling's.
    Equal,
    /// The origin is gone: now the names of copies decide.
    NotVisible,
}

/// The AMI of another Region that this account's AMI was copied from, as EC2 records it.
#[must_use]
pub fn recorded_origin<'a>(image: &'a Image, region: &Region, account: Option<&AccountId>) -> Option<&'a Identity> {
    let is_own = image.owner.is_some() && image.owner.as_ref() == account;
    let is_couriers = image.tags.contains_key(tag::SOURCE_IMAGE);
    image.source.as_ref().filter(|origin| is_own && !is_couriers && origin.region != *region)
}

/// What `image` of `region` is. `origin` is what its [`recorded_origin`] looks like now; `None` if EC2 does not show it.
#[must_use]
pub fn kin(image: &Image, region: &Region, origin: Option<&Image>, stack: &Stack, now: OffsetDateTime) -> Kin {
    let Some((recorded, account)) = recorded_origin(image, region, stack.account.as_ref()).zip(stack.account.as_ref())
    else {
        return Kin::Alone;
    };
    if origin.is_some_and(|origin| origin.owner.as_ref() != Some(account)) {
        return Kin::Alone;
    }
    let waits = image.created.map(|created| created + WAIT).filter(|until| now < *until);
    let waits = |kin: Kin| waits.map_or(kin, |until| Kin::Waits { until, origin: recorded.clone() });
    let is_from_here = recorded.region == stack.region;
    match origin {
        Some(_) if is_from_here => Kin::FromHere(recorded.clone()),
        // It may be another account's, which is not visible yet.
        None if is_from_here => waits(Kin::FromHere(recorded.clone())),
        Some(origin) if origin.name != image.name => Kin::Alone,
        seen => {
            let name_of_origin = if seen.is_some() { NameOfOrigin::Equal } else { NameOfOrigin::NotVisible };
            let origin = Origin { account: account.clone(), ami: recorded.clone() };
            waits(Kin::Sibling { origin, name_of_origin })
        }
    }
}

impl Kin {
    /// Whether this copy of the origin, or of another sibling, is a copy of `image`'s build as well.
    #[must_use]
    pub fn is_answered_by(&self, copy: &Image, image: &Image, names: &Template) -> bool {
        match self {
            Self::Sibling { name_of_origin: NameOfOrigin::Equal, .. } => copy.state.is_live(),
            Self::Sibling { origin, name_of_origin: NameOfOrigin::NotVisible } => {
                copy.state.is_live() && is_named_as(copy, image, &origin.ami, names)
            }
            Self::Alone | Self::FromHere(_) | Self::Waits { .. } => false,
        }
    }
}

/// Whether a copy has the name that the copy of `image` would have, if `image` was the AMI that the copy was made of. A request's copy
/// may have the name of the source instead.
fn is_named_as(copy: &Image, image: &Image, origin: &Identity, names: &Template) -> bool {
    let source = copy.courier_source().or_else(|| copy.source.clone()).unwrap_or_else(|| origin.clone());
    copy.name == image.name || name_of_copy(image, &source, names).is_some_and(|name| name == copy.name)
}

/// The name of a copy of `source`, an AMI of the build of `image`. `None` if `COPY_NAME` cannot be filled in.
fn name_of_copy(image: &Image, source: &Identity, names: &Template) -> Option<String> {
    names.fill(&Image { id: source.image.clone(), ..image.clone() }, &source.region).ok()
}

/// The origin of the build that a copy of the courier's is of: a sibling's, as its tag says, else its source.
#[must_use]
pub fn origin_of_copy(copy: &Image) -> Option<Identity> {
    let tagged = copy.tags.get(tag::FAMILY).and_then(|origin| origin.parse::<Origin>().ok());
    tagged.map(|origin| origin.ami).or_else(|| copy.courier_source())
}

/// Whether an AMI in a source Region is of the same build as a copy whose own source is gone, and in service. Then the copy stays.
/// `origin` is the build's origin, as far as EC2 shows it.
#[must_use]
pub fn keeps(member: &Image, region: &Region, copy: &Image, origin: Option<&Image>, names: &Template) -> bool {
    let Some(of_copy) = origin_of_copy(copy) else { return false };
    let in_service = matches!(member.state, State::Available | State::Pending);
    let is_itself = member.id == of_copy.image && *region == of_copy.region;
    let is_sibling = recorded_origin(member, region, copy.owner.as_ref()) == Some(&of_copy);
    let has_name = match origin {
        _ if is_itself => true,
        Some(origin) => origin.name == member.name,
        None => is_named_as(copy, member, &of_copy, names),
    };
    in_service && (is_itself || is_sibling) && has_name
}

/// The builds that have a live copy here: for the sweep and the status, which see all copies at once and no origin. By the AMI that a
/// copy was made of or that its tag names, with the name of the copy as a number: a Region may have a hundred thousand copies.
#[derive(Clone, Debug, Default)]
pub struct Copied(HashMap<Identity, u64>);

impl Copied {
    /// Notes a live copy.
    pub fn add(&mut self, copy: &Image) {
        let tagged =
            copy.tags.get(tag::FAMILY).and_then(|origin| origin.parse::<Origin>().ok()).map(|origin| origin.ami);
        let shared = Origin::handed_on(copy).map(|origin| origin.ami);
        for ami in [copy.source.clone(), tagged, shared].into_iter().flatten() {
            self.0.insert(ami, number(&copy.name));
        }
    }

    #[must_use]
    pub fn contains(&self, ami: &Identity) -> bool {
        self.0.contains_key(ami)
    }

    /// Whether the build of `image`, a copy of `origin`, has a copy here. `false` if its name leaves that open: a look decides.
    #[must_use]
    pub fn has_build(&self, image: &Image, origin: &Identity, names: &Template) -> bool {
        let Some(copy) = self.0.get(origin) else { return false };
        let same_name = || name_of_copy(image, origin, names).is_some_and(|name| number(&name) == *copy);
        number(&image.name) == *copy || same_name()
    }
}

fn number(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// One AMI of each build, of those that have no copy here.
#[must_use]
pub fn one_of_each(mut members: Vec<Member>) -> Vec<Member> {
    let first = |member: &Member| (member.origin.is_some(), member.created, member.ami.clone());
    members.sort_by_cached_key(first);
    let mut builds = HashSet::new();
    members.retain(|member| {
        let origin = member.origin.as_deref().unwrap_or(&member.ami);
        builds.insert((origin.clone(), member.name))
    });
    members
}

/// An AMI that is wanted and has no copy, as far as a listing shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub ami: Identity,
    pub created: Option<OffsetDateTime>,
    /// Few have one.
    origin: Option<Box<Identity>>,
    name: u64,
}

impl Member {
    #[must_use]
    pub fn new(image: &Image, region: &Region, stack: &Stack) -> Self {
        let origin = recorded_origin(image, region, stack.account.as_ref());
        Self {
            ami: image.identity(region),
            created: image.created,
            origin: origin.cloned().map(Box::new),
            name: number(&image.name),
        }
    }

    #[must_use]
    pub fn origin(&self) -> Option<&Identity> {
        self.origin.as_deref()
    }
}
