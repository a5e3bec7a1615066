//! In step: a copy follows its source and the settings, for as long as it lives.
//!
//! [`changes`] compares what EC2 shows of a copy with what it should be. Nothing is remembered: a record of what was done is wrong
//! as soon as two functions write, or one ends between two calls. Finish, sweep and status ask this one function.
//!
//! - Nothing is taken back: no tag is removed, no deprecation cancelled, nothing switched off. Only `SHARE_EXACTLY` takes
//!   permissions away.
//! - EC2 shows no permissions in a listing. So the time in [`tag::FINISHED`] is followed by a hint, which settings they were written with.
//! - What EC2 would refuse for ever is no difference: a tag that has no place or no valid form, a time that cannot be set.
//! - A copy without [`tag::STACK`] is left alone once it is finished: an upgrade of the function changes no copy.
//!
//! A source that is out of sight changes nothing of what comes from it. The parameter is not decided here: see [`crate::election`].

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;

use serde::Serialize;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::copy_image::{Description, Tag};
use crate::election::is_requested;
use crate::finish;
use crate::identity::{Identity, ImageId, Malformed};
use crate::image::{Image, State, tag};
use crate::origin::Origin;
use crate::plan::{description_of, is_shared_tag, own_tags};
use crate::settings::{Copying, Deprecate, Finishing, Principal, Protection, Settings};

/// With `SHARE_EXACTLY`, permissions are compared once in this time: that takes calls for each copy.
const BETWEEN_LOOKS_AT_PERMISSIONS: Duration = Duration::DAY;

/// A hint of the settings with which permissions were written last, in 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint(u64);

impl Hint {
    /// The same for the same principals in any order. In a tag for years, so it must not depend on a version of Rust.
    #[must_use]
    pub fn with(principals: &[Principal]) -> Self {
        let texts: BTreeSet<&str> = principals.iter().map(Principal::as_str).collect();
        let text = texts.into_iter().collect::<Vec<_>>().join(",");
        Self(Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes()).as_u64_pair().0)
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Hint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let read = u64::from_str_radix(text, 16).ok().map(Self);
        // In one form only.
        read.filter(|read| read.to_string() == text)
            .ok_or_else(|| Malformed { value: text.to_owned(), accepted: "16 hexadecimal digits" })
    }
}

/// The value of [`tag::FINISHED`]: `2026-01-31T09:30:00Z share=8d2c6ff1e3f0a7b4`, and, where it could not be shared, the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// When it was finished, or its permissions were looked at last. `None` for a value that the courier does not write.
    pub at: Option<OffsetDateTime>,
    /// `None`: its permissions are not known. It was finished by an older version, or disabled since.
    pub share: Option<Hint>,
    /// Why it is not shared, although `SHARE_WITH` asks for it.
    pub not_shared: Option<String>,
}

impl Finished {
    /// `None`: it is not finished.
    pub fn of(copy: &Image) -> Option<Self> {
        let value = copy.tags.get(tag::FINISHED)?;
        let mut parts = value.splitn(3, ' ');
        let at = parts.next().and_then(tag::read_time);
        let share = parts.next().and_then(|hint| hint.strip_prefix("share=")?.parse().ok());
        Some(Self { at, share, not_shared: parts.next().map(str::to_owned) })
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at.map(tag::time).unwrap_or_default())?;
        if let Some(share) = &self.share {
            write!(f, " share={share}")?;
        }
        // A tag's value has 256 characters at most.
        if let Some(why) = &self.not_shared {
            write!(f, " {}", why.chars().take(200).collect::<String>())?;
        }
        Ok(())
    }
}

/// Whose copy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    ThisStacks,
    AnotherStacks,
    /// It has no tag [`tag::STACK`]: a version of the function made it that put none on.
    NobodysYet,
}

/// A copy as EC2 shows it, as far as [`changes`] looks at it. A sweep keeps one of each copy, so of tags and description it has
/// hashes only.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub id: ImageId,
    state: State,
    whose: Whose,
    is_announced: bool,
    may_be_shared: bool,
    /// Somebody wants it to be left alone.
    has_skip: bool,
    is_protected: bool,
    requires_imds_v2: bool,
    is_public: bool,
    /// It is encrypted, or has watermarks.
    refuses_to_be_public: bool,
    created: Option<OffsetDateTime>,
    deprecated_from: Option<OffsetDateTime>,
    finished: Option<(Option<OffsetDateTime>, Option<Hint>)>,
    description: u64,
    /// Sorted.
    keys: Box<[u32]>,
    /// Sorted.
    pairs: Box<[u64]>,
    /// How many tags are not the courier's, without those of AWS, which take no place.
    users_tags: u8,
    all_tags: u8,
}

impl Shown {
    #[must_use]
    pub fn of(copy: &Image, stack: &str) -> Self {
        let takes_place = |key: &&String| !key.to_ascii_lowercase().starts_with("aws:");
        let count = |some: &dyn Fn(&&String) -> bool| {
            u8::try_from(copy.tags.keys().filter(takes_place).filter(some).count()).unwrap_or(u8::MAX)
        };
        let mut keys: Vec<u32> = copy.tags.keys().map(|key| hash_of_key(key)).collect();
        let mut pairs: Vec<u64> = copy.tags.iter().map(|(key, value)| hash_of((key, value))).collect();
        keys.sort_unstable();
        pairs.sort_unstable();
        Self {
            id: copy.id.clone(),
            state: copy.state,
            whose: match copy.tags.get(tag::STACK) {
                Some(of) if of == stack => Whose::ThisStacks,
                Some(_) => Whose::AnotherStacks,
                None => Whose::NobodysYet,
            },
            is_announced: !is_requested(copy),
            may_be_shared: finish::may_be_shared(copy),
            has_skip: copy.tags.contains_key(tag::SKIP),
            is_protected: copy.protected,
            requires_imds_v2: copy.requires_imds_v2,
            is_public: copy.is_public,
            refuses_to_be_public: finish::why_not_public(copy).is_some(),
            created: copy.created,
            deprecated_from: copy.deprecated_from,
            finished: Finished::of(copy).map(|finished| (finished.at, finished.share)),
            description: hash_of(copy.description.as_deref().unwrap_or_default()),
            keys: keys.into(),
            pairs: pairs.into(),
            users_tags: count(&|key| !key.starts_with(tag::PREFIX)),
            all_tags: count(&|_| true),
        }
    }

    fn has_key(&self, key: &str) -> bool {
        self.keys.binary_search(&hash_of_key(key)).is_ok()
    }

    fn has(&self, tag: &Tag) -> bool {
        self.pairs.binary_search(&hash_of((&tag.key, &tag.value))).is_ok()
    }

    /// Whether its finish is the first.
    pub fn is_unfinished(&self) -> bool {
        self.finished.is_none()
    }

    /// When its permissions were looked at last: with `SHARE_EXACTLY`, the oldest look comes first.
    pub fn finished_at(&self) -> Option<OffsetDateTime> {
        self.finished.and_then(|(at, _)| at)
    }
}

fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The upper half is enough: keys are few.
fn hash_of_key(key: &str) -> u32 {
    (hash_of(key) >> 32) as u32
}

/// A source AMI in sight.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub identity: &'a Identity,
    pub image: &'a Image,
}

/// Whether the tag goes to the snapshots as well. They refuse shared tags, and the name of a parameter is the image's alone.
pub fn may_be_on_snapshots(tag: &Tag) -> bool {
    !is_shared_tag(tag) && tag.key != tag::PARAMETER
}

/// Why a tag should be on a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TagOf {
    Courier,
    ExtraTags,
    Source,
}

/// Why permissions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionsBecause {
    /// It was not shared yet, or enabled after it had been disabled.
    NotSharedYet,
    ShareWithHasChanged,
    /// With `SHARE_EXACTLY`: a day has passed since the last look.
    TimeToLook,
}

/// What differs, by part, with the values to set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Put these on the snapshots first (see [`may_be_on_snapshots`]), then on the image, whose tags are looked at.
    pub tags: Vec<(TagOf, Tag)>,
    pub description: Option<Description>,
    pub require_imds_v2: bool,
    /// In whole minutes, as EC2 counts.
    pub deprecate_from: Option<OffsetDateTime>,
    pub protect: Option<Protection>,
    /// Share with `SHARE_WITH`, or, with `SHARE_EXACTLY`, with nobody else. Then write [`tag::FINISHED`] with [`Hint::with`].
    pub permissions: Option<PermissionsBecause>,
    /// It is disabled, so EC2 has dropped its permissions: write [`tag::FINISHED`] without a hint.
    pub forget_permissions: bool,
    /// The keys of tags for which it has no place, for the log. They are no difference.
    pub left_out: Vec<String>,
}

/// A part of a copy, as an outcome names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Part {
    Tags,
    Description,
    ImdsSupport,
    Deprecation,
    DeregistrationProtection,
    LaunchPermission,
    /// Not in [`Changes`]: see [`crate::election`].
    Parameter,
}

impl Changes {
    /// Whether the copy is in step.
    pub fn are_none(&self) -> bool {
        self.parts().is_empty() && !self.forget_permissions
    }

    /// The parts that differ.
    pub fn parts(&self) -> Vec<Part> {
        let parts = [
            (!self.tags.is_empty(), Part::Tags),
            (self.description.is_some(), Part::Description),
            (self.require_imds_v2, Part::ImdsSupport),
            (self.deprecate_from.is_some(), Part::Deprecation),
            (self.protect.is_some(), Part::DeregistrationProtection),
            (self.permissions.is_some(), Part::LaunchPermission),
        ];
        parts.into_iter().filter(|(differs, _)| *differs).map(|(_, part)| part).collect()
    }

    pub fn image_tags(&self) -> impl Iterator<Item = &Tag> {
        self.tags.iter().map(|(_, tag)| tag)
    }

    /// The courier's tags, and those of people: what a policy of an organization refuses of these must not keep the others off.
    pub fn tags_by_writer(&self) -> [Vec<Tag>; 2] {
        let tags = |is_courier: bool| {
            let tags = self.tags.iter().filter(move |(of, _)| (*of == TagOf::Courier) == is_courier);
            tags.map(|(_, tag)| tag.clone()).collect()
        };
        [tags(true), tags(false)]
    }

    /// What differs, in plain words.
    pub fn described(&self) -> Vec<String> {
        let tags = |of: TagOf| self.tags.iter().filter(|(because, _)| *because == of).count();
        let counted = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        };
        let said = |differs: bool, text: &str| differs.then(|| text.to_owned());
        [
            counted(tags(TagOf::Source), "tag of its source is newer", "tags of its source are newer"),
            counted(tags(TagOf::ExtraTags), "tag of EXTRA_TAGS differs", "tags of EXTRA_TAGS differ"),
            counted(tags(TagOf::Courier), "tag of the courier's is missing", "tags of the courier's are missing"),
            said(self.description.is_some(), "its description differs"),
            said(self.require_imds_v2, "its source requires IMDSv2"),
            said(self.deprecate_from.is_some(), "its deprecation time differs"),
            said(self.protect.is_some(), "it is not protected yet"),
            self.permissions.map(|because| {
                match because {
                    PermissionsBecause::NotSharedYet => "it is not shared yet",
                    PermissionsBecause::ShareWithHasChanged => "SHARE_WITH has changed",
                    PermissionsBecause::TimeToLook => "its permissions are compared with SHARE_WITH once a day",
                }
                .to_owned()
            }),
            said(self.forget_permissions, "it is disabled, so it is shared with nobody"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What differs between a copy and what it should be. `source`: `None` if it is out of sight.
///
/// `None`: the copy is left alone. It is another stack's, or it was finished before copies had a stack, or somebody keeps the
/// courier off it, or it is pending, failed or deregistered.
pub fn changes(copy: &Shown, source: Option<&Source<'_>>, settings: &Settings, now: OffsetDateTime) -> Option<Changes> {
    let is_first = copy.is_unfinished();
    let is_ours = match copy.whose {
        Whose::ThisStacks => is_first || settings.reconcile,
        Whose::NobodysYet => is_first,
        Whose::AnotherStacks => false,
    };
    if !is_ours || copy.has_skip {
        return None;
    }
    match copy.state {
        State::Available => {}
        State::Disabled => {
            let was_shared =
                copy.finished.is_some_and(|(_, share)| share.is_some_and(|share| share != Hint::with(&[])));
            // One that the courier disabled is finished again once it is enabled.
            let forget_permissions = was_shared && !copy.has_key(tag::DISABLED_WITH_SOURCE);
            return Some(Changes { forget_permissions, ..Changes::default() });
        }
        State::Pending | State::Failed | State::Deregistered => return None,
    }
    let source = source.filter(|source| matches!(source.image.state, State::Available | State::Disabled));
    // What a request asked for stays as it was asked for.
    let announced = source.filter(|_| copy.is_announced && settings.reconcile);
    let (tags, left_out) = tags(copy, source, settings);
    Some(Changes {
        tags,
        left_out,
        description: announced.and_then(|source| description(copy, source, &settings.copying)),
        require_imds_v2: announced.is_some_and(|source| source.image.requires_imds_v2) && !copy.requires_imds_v2,
        deprecate_from: deprecation(copy, source, &settings.finishing, now).filter(|_| is_first || copy.is_announced),
        // Protection that somebody lifted, so that the copy can be retired, is not switched on again.
        protect: Some(settings.finishing.protection)
            .filter(|protection| *protection != Protection::Off && is_first && !copy.is_protected),
        permissions: permissions(copy, settings, now),
        forget_permissions: false,
    })
}

/// The tags that are missing or have another value, as far as the copy has places for them; and the keys that have none.
fn tags(copy: &Shown, source: Option<&Source<'_>>, settings: &Settings) -> (Vec<(TagOf, Tag)>, Vec<String>) {
    let couriers = couriers_tags(copy, source, settings).into_iter().map(|tag| (TagOf::Courier, tag));
    // Without RECONCILE a copy keeps what its CopyImage call gave it, and the role allows no more.
    let is_announced = copy.is_announced && settings.reconcile;
    let extra = settings.copying.extra_tags.iter().filter(|_| is_announced);
    let extra = extra.map(|tag| (TagOf::ExtraTags, tag.clone()));
    let own = source.filter(|_| is_announced && settings.copying.copy_tags);
    let own = own.map(|source| own_tags(source.image)).unwrap_or_default();
    let own = own.into_iter().map(|tag| (TagOf::Source, tag));

    let mut all_tags = usize::from(copy.all_tags);
    let mut users_tags = usize::from(copy.users_tags);
    let mut keys = BTreeSet::new();
    let mut changed = Vec::new();
    let mut left_out = Vec::new();
    for (of, tag) in couriers.chain(extra).chain(own) {
        // The first one wins.
        if !keys.insert(tag.key.clone()) || copy.has(&tag) {
            continue;
        }
        if !copy.has_key(&tag.key) {
            let is_users = !tag.key.starts_with(tag::PREFIX);
            if all_tags >= Tag::MOST || (is_users && users_tags >= Tag::MOST_OF_USERS) {
                left_out.push(tag.key);
                continue;
            }
            all_tags += 1;
            users_tags += usize::from(is_users);
        }
        changed.push((of, tag));
    }
    (changed, left_out)
}

/// The courier's own tags that are not decided elsewhere. They are put on where they are missing, and never changed.
fn couriers_tags(copy: &Shown, source: Option<&Source<'_>>, settings: &Settings) -> Vec<Tag> {
    let created = source.and_then(|source| source.image.created).map(tag::time);
    // Before it is shared: an account that sees it must see where it comes from.
    let origin = source.filter(|_| settings.copying.is_shared && copy.may_be_shared);
    let origin = origin.and_then(|source| Origin::of(source.image, source.identity));
    let tags = [
        (tag::STACK, Some(settings.copying.stack_name.clone())),
        (tag::SOURCE_CREATED, created),
        (tag::ORIGIN, origin.map(|origin| origin.to_string())),
    ];
    let missing = tags.into_iter().filter(|(key, _)| !copy.has_key(key));
    missing.filter_map(|(key, value)| Tag::new(key, value?).ok()).collect()
}

/// A placeholder that the source cannot fill leaves the description as it is.
fn description(copy: &Shown, source: &Source<'_>, settings: &Copying) -> Option<Description> {
    let wanted = description_of(source.identity, source.image, settings).ok().flatten()?;
    (hash_of(wanted.as_str()) != copy.description).then_some(wanted)
}

/// The time to set. Compared in whole minutes, as EC2 counts, and with constant limits, so that no look differs from the one
/// before; a time in the past is as good as any other.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html>
fn deprecation(
    copy: &Shown,
    source: Option<&Source<'_>>,
    finishing: &Finishing,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    let wanted = match finishing.deprecate {
        Deprecate::Never => None,
        Deprecate::Source => source.and_then(|source| source.image.deprecated_from),
        Deprecate::Days(days) => copy.created.map(|created| created + Duration::days(days.into())),
    }?;
    // Ten years from now, and two years after its creation for a public one.
    let is_public = copy.is_public || (finishing.is_public() && copy.may_be_shared && !copy.refuses_to_be_public);
    let most = Duration::days(if is_public { 2 * 365 } else { 10 * 365 });
    let latest = copy.created.map_or(now + most, |created| created + most);
    let wanted = whole_minute(wanted.min(latest));
    // EC2 refuses a time in the past. The nearest one may still be ahead when the next look comes.
    let nearest = whole_minute(now + Duration::minutes(3));
    let has = copy.deprecated_from.map(whole_minute);
    let is_past = |time: OffsetDateTime| time <= nearest;
    let is_settled = has.is_some_and(|has| has == wanted || (is_past(has) && is_past(wanted)));
    let set = wanted.max(nearest);
    let is_refused = is_public && set > latest;
    (!is_settled && !is_refused).then_some(set)
}

fn whole_minute(time: OffsetDateTime) -> OffsetDateTime {
    time - Duration::seconds(time.second().into()) - Duration::nanoseconds(time.nanosecond().into())
}

fn permissions(copy: &Shown, settings: &Settings, now: OffsetDateTime) -> Option<PermissionsBecause> {
    let with = settings.finishing.share_with.as_slice();
    if !copy.may_be_shared || (with.is_empty() && !settings.share_exactly) {
        return None;
    }
    let last = copy.finished.unwrap_or_default();
    match last {
        (_, None) => Some(PermissionsBecause::NotSharedYet),
        (_, Some(share)) if share != Hint::with(with) => Some(PermissionsBecause::ShareWithHasChanged),
        (at, _) if settings.share_exactly => {
            at.is_none_or(|at| now - at >= BETWEEN_LOOKS_AT_PERMISSIONS).then_some(PermissionsBecause::TimeToLook)
        }
        _ => None,
    }
}
