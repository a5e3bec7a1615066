//! Status: which AMIs are wanted here, and what became of the copy of each.
//!
//! Pure. The courier lists AMIs as its sweep does and hands each one to the [`Ledger`], which says in which [`State`] it is. The
//! caller's [`StatusRequest`] limits the days and the names; a [`Status`] is one page of the answer.

mod ledger;
mod request;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::identity::{Identity, ImageId, Region};
use crate::image::tag;

pub use ledger::Ledger;
pub use request::{Position, StatusRequest, pattern};

/// What became of the copy of an AMI. The order is that of the answer: first what an operator should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum State {
    Failed,
    Missing,
    Held,
    Unfinished,
    Awaited,
    Pending,
    Retiring,
    Disabled,
    AlreadyCopied,
    Finished,
    Retired,
}

impl State {
    pub const ALL: [Self; 11] = [
        Self::Failed,
        Self::Missing,
        Self::Held,
        Self::Unfinished,
        Self::Awaited,
        Self::Pending,
        Self::Retiring,
        Self::Disabled,
        Self::AlreadyCopied,
        Self::Finished,
        Self::Retired,
    ];

    /// The state's name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "Failed",
            Self::Missing => "Missing",
            Self::Held => "Held",
            Self::Unfinished => "Unfinished",
            Self::Awaited => "Awaited",
            Self::Pending => "Pending",
            Self::Retiring => "Retiring",
            Self::Disabled => "Disabled",
            Self::AlreadyCopied => "AlreadyCopied",
            Self::Finished => "Finished",
            Self::Retired => "Retired",
        }
    }

    /// What the state says, in a sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Failed => "EC2 could not make the copy, and no other copy exists.",
            Self::Missing => {
                "No copy is visible. Whether it was announced is not known here: the next sweep announces it, and a dead letter or the log says \
                 what went wrong."
            }
            Self::Held => "The source is gone and the waiting time is over, but the copy still exists.",
            Self::Unfinished => {
                "The copy is available, but not finished yet: shared, deprecated, protected, published."
            }
            Self::Awaited => "No copy is visible, and it is too early to call it missing.",
            Self::Pending => "EC2 is making the copy.",
            Self::Retiring => "The source is gone. The copy is retired after the waiting time.",
            Self::Disabled => "The copy is disabled, and it was not the courier that disabled it.",
            Self::AlreadyCopied => {
                "A copy that the courier did not make is available. The courier makes no other and does not finish this one."
            }
            Self::Finished => "The copy is available, and all finishing steps are done.",
            Self::Retired => "The copy is out of service, as its source is.",
        }
    }

    /// Whether nothing has to happen any more. Of these, the newest comes first; of the others, the oldest.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Disabled | Self::AlreadyCopied | Self::Finished | Self::Retired)
    }
}

/// An AMI and the state of its copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Row {
    pub state: State,
    /// The source's name; the copy's, if the source is not listed.
    pub name: String,
    #[serde(flatten, serialize_with = "as_source")]
    pub source: Identity,
    /// When the source was created, if it is listed.
    #[serde(rename = "SourceCreationDate", serialize_with = "as_time", skip_serializing_if = "Option::is_none")]
    pub created: Option<OffsetDateTime>,
    /// The age of the source, if it is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i64>,
    /// The copy.
    #[serde(rename = "ImageId", skip_serializing_if = "Option::is_none")]
    pub copy: Option<ImageId>,
    /// Since when it is in this state; or when the copy began, if that is all that EC2 records.
    #[serde(serialize_with = "as_time", skip_serializing_if = "Option::is_none")]
    pub since: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Other live copies of the same AMI. A request and an announcement may make one each.
    #[serde(rename = "OtherImageIds", skip_serializing_if = "Vec::is_empty")]
    pub other_copies: Vec<ImageId>,
}

impl Row {
    /// Where the row is in the whole answer.
    fn position(&self) -> Position {
        let created = self.created.or(self.since).map_or(0, OffsetDateTime::unix_timestamp);
        let order = if self.state.is_settled() { -created } else { created };
        Position { state: self.state, order, source: self.source.clone() }
    }
}

/// A source Region that could not be listed, or not completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NotListed {
    pub region: Region,
    pub reason: String,
}

/// One page of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Status {
    /// The Region of the copies.
    pub region: Region,
    /// When EC2 was asked, by AWS's clock.
    #[serde(serialize_with = "as_text")]
    pub as_of: OffsetDateTime,
    /// The age up to which AMIs are listed.
    pub days: u16,
    /// The source Regions that were listed. Without `SOURCE_REGIONS` there are none, and missing AMIs are not known.
    pub source_regions: Vec<Region>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_listed: Vec<NotListed>,
    /// How many AMIs are in each state, on all pages.
    pub counts: BTreeMap<State, usize>,
    pub total: usize,
    pub images: Vec<Row>,
    /// For the next page: send the same request with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Status {
    /// The page that `request` asks for, of these rows.
    #[must_use]
    pub fn page(
        request: &StatusRequest,
        mut rows: Vec<Row>,
        region: &Region,
        as_of: OffsetDateTime,
        (source_regions, not_listed): (Vec<Region>, Vec<NotListed>),
    ) -> Self {
        rows.sort_by_cached_key(Row::position);
        let mut counts: BTreeMap<State, usize> = State::ALL.into_iter().map(|state| (state, 0)).collect();
        for row in &rows {
            *counts.entry(row.state).or_default() += 1;
        }
        let total = rows.len();
        if let Some(after) = &request.after {
            rows.retain(|row| row.position() > *after);
        }
        let fitting = fitting(&rows);
        let is_last = fitting == rows.len();
        rows.truncate(fitting);
        let next_token = rows.last().filter(|_| !is_last).map(|row| row.position().to_string());
        Self {
            region: region.clone(),
            as_of,
            days: request.days,
            source_regions,
            not_listed,
            counts,
            total,
            images: rows,
            next_token,
        }
    }
}

/// How many rows fit into an answer. Lambda's answers have 6 MB at most, so a page has 2.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
fn fitting(rows: &[Row]) -> usize {
    const MOST_BYTES: usize = 2 * 1024 * 1024;
    let mut bytes = 0;
    rows.iter()
        .take_while(|row| {
            // A row is plain data, which always has a JSON form.
            bytes += serde_json::to_string(row).map_or(0, |json| json.len() + 1);
            bytes <= MOST_BYTES
        })
        .count()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Source<'a> {
    source_image_id: &'a ImageId,
    source_region: &'a Region,
}

fn as_source<S: Serializer>(source: &Identity, serializer: S) -> Result<S::Ok, S::Error> {
    Source { source_image_id: &source.image, source_region: &source.region }.serialize(serializer)
}

fn as_text<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&tag::time(*time))
}

#[expect(clippy::ref_option, reason = "the form that serde asks for")]
fn as_time<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(tag::time).serialize(serializer)
}
