//! Survey: what each listed AMI is to this stack. The sweep announces it, the status shows it; neither has rules of its own.
//!
//! Pure, and one AMI at a time: who lists fifty thousand keeps of each only what it needs.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::announcement::AnnouncedBy;
use crate::copy_state::CopyState;
use crate::identity::{Identity, ImageId, Region, shortened};
use crate::image::{Image, State, tag};
use crate::origin::Origin;
use crate::selection;
use crate::settings::Sources;

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
    #[must_use]
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

/// Whether the sweep copies an AMI of a source Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Now,
    /// Once its tests are known to have passed. The text is the rule.
    Later(String),
}

impl Wanted {
    /// `None` for an AMI that is not wanted.
    #[must_use]
    pub fn of(image: &Image, region: &Region, sources: &Sources) -> Option<Self> {
        let by = |announced_by| selection::is_wanted(image, region, announced_by, sources);
        match by(AnnouncedBy::Sweep) {
            Ok(()) => Some(Self::Now),
            Err(rule) => by(AnnouncedBy::Publisher).is_ok().then_some(Self::Later(rule)),
        }
    }
}

/// Which AMIs have a live copy here, made by anyone: by the source of the copy, and by its origin.
#[derive(Clone, Debug, Default)]
pub struct Copied(HashMap<Identity, ImageId>);

impl Copied {
    /// Adds an AMI of this Region that was made from another one.
    pub fn add(&mut self, image: &Image) {
        if image.state.is_live() {
            let origin = Origin::handed_on(image).map(|origin| origin.ami);
            let sources = [image.courier_source().or_else(|| image.source.clone()), origin];
            self.0.extend(sources.into_iter().flatten().map(|source| (source, image.id.clone())));
        }
    }

    /// A live copy of this AMI.
    #[must_use]
    pub fn of(&self, source: &Identity) -> Option<&ImageId> {
        self.0.get(source)
    }
}
