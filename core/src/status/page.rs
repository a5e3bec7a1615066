//! One page of the answer.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use super::row::Row;
use crate::announcement::StatusRequest;
use crate::copy_state::CopyState;
use crate::identity::Region;
use crate::image::tag;
use crate::settings::Settings;

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
    pub counts: BTreeMap<CopyState, usize>,
    pub total: usize,
    pub images: Vec<Row>,
    /// For the next page: send the same request with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Status {
    /// The page that `request` asks for, of these rows.
    pub fn page(
        request: &StatusRequest,
        mut rows: Vec<Row>,
        settings: &Settings,
        as_of: OffsetDateTime,
        (source_regions, not_listed): (Vec<Region>, Vec<NotListed>),
    ) -> Self {
        rows.sort_by_cached_key(Row::position);
        let mut counts: BTreeMap<CopyState, usize> = CopyState::ALL.into_iter().map(|state| (state, 0)).collect();
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
            region: settings.stack_region.clone(),
            as_of,
            days: request.days_or(settings.backfill_days),
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

fn as_text<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&tag::time(*time))
}
