//! A list: one build, announced by the ids of several AMIs, one for each Region or account that its builder put it into. One of them
//! is copied.
//!
//! The first that is visible and trusted is taken. One before it that is not visible may be late: it is passed over only once the
//! message is old enough. Otherwise two deliveries of one message, of which each sees another AMI, would make two copies.

use time::Duration;

use crate::identity::Identity;
use crate::image::Image;
use crate::selection::region_is_allowed;
use crate::settings::Settings;

/// How long an AMI that is not visible keeps those after it waiting, from when the message was sent: the bound of visibility.
pub const PASSED_OVER_AFTER: Duration = Duration::minutes(15);

/// One AMI of a list, as EC2 shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// It is visible, and belongs to an owner that is trusted.
    Visible(Box<Image>),
    /// It is visible, and not to be copied, for this reason.
    Refused(String),
    NotVisible(String),
}

/// What a list leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Copy this one, by its place.
    Take(usize),
    /// An AMI may still become visible.
    Wait(String),
    /// None can be copied, each for its reason.
    Nothing(String),
}

/// The AMIs of a list that are in Regions from which AMIs may come.
pub fn allowed(images: &[Identity], settings: &Settings) -> Result<Vec<Identity>, String> {
    let mut allowed = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    for image in images {
        match region_is_allowed(&image.region, settings) {
            Ok(()) => allowed.push(image.clone()),
            Err(reason) if reasons.contains(&reason) => {}
            Err(reason) => reasons.push(reason),
        }
    }
    if allowed.is_empty() { Err(reasons.join("; ")) } else { Ok(allowed) }
}

/// Which AMI of a list is taken. `may_come`: the message is young, so what is not visible may be late.
pub fn choose(list: &[(Identity, Seen)], may_come: bool) -> Choice {
    let reasons = |of: &[(Identity, Seen)]| {
        let reason = |(ami, seen): &(Identity, Seen)| match seen {
            Seen::Visible(_) => None,
            Seen::Refused(reason) | Seen::NotVisible(reason) => Some(format!("{ami}: {reason}")),
        };
        of.iter().filter_map(reason).collect::<Vec<_>>().join("; ")
    };
    let is_late = |seen: &Seen| may_come && matches!(seen, Seen::NotVisible(_));
    let first = list.iter().enumerate().find_map(|(place, (_, seen))| match seen {
        Seen::Visible(image) => Some((place, image)),
        _ => None,
    });
    match first {
        Some((place, _)) if list[..place].iter().any(|(_, seen)| is_late(seen)) => {
            Choice::Wait(reasons(&list[..place]))
        }
        Some((place, image)) => {
            // A sibling would wait for its origin, which is in the list as well.
            let origin = list.iter().position(|(ami, _)| image.source.as_ref() == Some(ami));
            match origin.map(|origin| (origin, &list[origin].1)) {
                Some((origin, Seen::Visible(_))) => Choice::Take(origin),
                Some((origin, late)) if is_late(late) => Choice::Wait(reasons(&list[origin..=origin])),
                _ => Choice::Take(place),
            }
        }
        None if list.iter().any(|(_, seen)| matches!(seen, Seen::NotVisible(_))) => Choice::Wait(reasons(list)),
        None => Choice::Nothing(reasons(list)),
    }
}
