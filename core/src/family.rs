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
    FromHere {
        origin: Identity,
        /// Whether the origin was seen to be this account's. One that is not visible may be another account's, as long as the AMI is
        /// young.
        is_seen: bool,
    },
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
pub fn recorded_origin<'a>(image: &'a Image, region: &Region, account: Option<&AccountId>) -> Option<&'a Identity> {
    let is_own = image.owner.is_some() && image.owner.as_ref() == account;
    let is_couriers = image.tags.contains_key(tag::SOURCE_IMAGE);
    image.source.as_ref().filter(|origin| is_own && !is_couriers && origin.region != *region)
}

/// What `image` of `region` is. `origin` is what its [`recorded_origin`] looks like now; `None` if EC2 does not show it.
pub fn kin(image: &Image, region: &Region, origin: Option<&Image>, stack: &Stack) -> Kin {
    let account = stack.account.as_ref();
    let Some((recorded, account)) = recorded_origin(image, region, account).zip(account) else { return Kin::Alone };
    match origin {
        Some(seen) if seen.owner.as_ref() != Some(account) => Kin::Alone,
        seen if recorded.region == stack.region => Kin::FromHere { origin: recorded.clone(), is_seen: seen.is_some() },
        Some(seen) if seen.name != image.name => Kin::Alone,
        seen => Kin::Sibling {
            origin: Origin { account: account.clone(), ami: recorded.clone() },
            name_of_origin: if seen.is_some() { NameOfOrigin::Equal } else { NameOfOrigin::NotVisible },
        },
    }
}

/// Until when an AMI that may be a sibling waits. `None` if it is old enough.
pub fn waits_until(image: &Image, now: OffsetDateTime) -> Option<OffsetDateTime> {
    image.created.map(|created| created + WAIT).filter(|until| now < *until)
}

impl Kin {
    /// Whether this copy of the origin, or of another sibling, is a copy of `image`'s build as well.
    pub fn is_answered_by(&self, copy: &Image, image: &Image, names: &Template) -> bool {
        match self {
            Self::Sibling { name_of_origin: NameOfOrigin::Equal, .. } => copy.state.is_live(),
            Self::Sibling { origin, name_of_origin: NameOfOrigin::NotVisible } => {
                copy.state.is_live() && is_named_as(copy, image, &origin.ami, names)
            }
            Self::Alone | Self::FromHere { .. } => false,
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
pub(crate) fn name_of_copy(image: &Image, source: &Identity, names: &Template) -> Option<String> {
    names.fill(&Image { id: source.image.clone(), ..image.clone() }, &source.region).ok()
}

/// The origin of the build that a copy of the courier's is of: a sibling's, as its tag says, else its source.
pub fn origin_of_copy(copy: &Image) -> Option<Identity> {
    let tagged = copy.tags.get(tag::FAMILY).and_then(|origin| origin.parse::<Origin>().ok());
    tagged.map(|origin| origin.ami).or_else(|| copy.courier_source())
}

/// Whether an AMI in a source Region is of the same build as a copy whose own source is gone, and in service. Then the copy stays.
/// `origin` is the build's origin, as far as EC2 shows it.
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
