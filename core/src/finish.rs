//! Finish: who may use a copy, and what is never published. Pure: the settings and what is seen of the copy decide.

use crate::image::{Image, MadeFor, Terms};
use crate::settings::{Finishing, Principal};

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
    if settings.share_with.is_empty() {
        Share::With(&[])
    } else if !may_be_shared(copy) {
        Share::Not("a request asked for it past the selection (REQUESTS=Any)".to_owned())
    } else if let Some(why) = why_not_public(copy).filter(|_| settings.is_public()) {
        Share::Not(format!("{why} (SHARE_WITH=all)"))
    } else {
        Share::With(&settings.share_with)
    }
}

/// Why EC2 lets nobody make it public.
pub(crate) fn why_not_public(copy: &Image) -> Option<&'static str> {
    if copy.volumes.iter().any(|volume| volume.encrypted == Some(true)) {
        Some("it is encrypted, and an encrypted AMI cannot be public")
    } else if copy.watermarks.is_empty() {
        None
    } else {
        Some("it has watermarks, and an AMI with watermarks cannot be public")
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

/// Whether the selection did not keep it from being shared when it was copied.
pub(crate) fn may_be_shared(copy: &Image) -> bool {
    !matches!(copy.made_for(), Some(MadeFor::Request(_, Terms { unselected: true, .. })))
}
