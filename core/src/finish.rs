//! Finish: who may use a copy, and when it is deprecated. Pure: the settings and what is seen of the copy decide.

use time::{Duration, OffsetDateTime};

use crate::image::{Image, MadeFor, Terms};
use crate::settings::{Deprecate, Finishing, Principal};

/// Who may use a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share<'a> {
    With(&'a [Principal]),
    /// With nobody, although the settings name somebody.
    Not(String),
}

/// Who may use a copy. What can never be shared is no error: it would be one with each look.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharingamis-intro.html>
pub fn share<'a>(copy: &Image, settings: &'a Finishing) -> Share<'a> {
    let is_encrypted = copy.volumes.iter().any(|volume| volume.encrypted == Some(true));
    if settings.share_with.is_empty() {
        Share::With(&[])
    } else if is_unselected(copy) {
        Share::Not("a request asked for it past the selection (REQUESTS=Any)".to_owned())
    } else if settings.is_public() && is_encrypted {
        Share::Not("it is encrypted, and an encrypted AMI cannot be public (SHARE_WITH=all)".to_owned())
    } else if settings.is_public() && !copy.watermarks.is_empty() {
        Share::Not("it has watermarks, and an AMI with watermarks cannot be public (SHARE_WITH=all)".to_owned())
    } else {
        Share::With(&settings.share_with)
    }
}

/// Why a copy is never published, whatever the settings say.
pub fn never_published(copy: &Image) -> Option<&'static str> {
    match copy.made_for() {
        Some(MadeFor::Request(_, Terms { unselected: true, .. })) => {
            Some("a request asked for it past the selection (REQUESTS=Any)")
        }
        Some(MadeFor::Request(_, Terms { in_zone: true, .. })) => Some("it is in a Local Zone or on an Outpost"),
        _ => None,
    }
}

fn is_unselected(copy: &Image) -> bool {
    matches!(copy.made_for(), Some(MadeFor::Request(_, Terms { unselected: true, .. })))
}

/// When a copy is deprecated, if it is. EC2 refuses a time in the past, one more than ten years ahead, and for a public AMI one more
/// than two years after its creation.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html>
pub fn deprecation(
    copy: &Image,
    source: Option<&Image>,
    settings: &Finishing,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    const SOON: Duration = Duration::minutes(2);
    const LATEST: Duration = Duration::days(3650);
    const LATEST_OF_PUBLIC: Duration = Duration::days(730);
    let created = copy.created.unwrap_or(now);
    let wanted = match settings.deprecate {
        Deprecate::Never => None,
        Deprecate::Source => source.and_then(|source| source.deprecated_from),
        Deprecate::Days(days) => Some(created + Duration::days(days.into())),
    }?;
    let is_public = matches!(share(copy, settings), Share::With(with) if with.contains(&Principal::Everybody));
    let latest = if is_public { (created + LATEST_OF_PUBLIC).min(now + LATEST) } else { now + LATEST };
    let soonest = now + SOON;
    // A public copy of that age takes no time at all.
    (soonest <= latest).then(|| wanted.clamp(soonest, latest))
}
