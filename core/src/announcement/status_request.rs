//! What a caller asks for, read strictly: `{"Status": {"Days": 30, "NamePatterns": ["golden-*"], "NextToken": "…"}}`. All
//! fields are optional.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use wildmatch::WildMatch;

use crate::copy_image::AmiName;
use crate::copy_state::CopyState;
use crate::error::{Error, code};
use crate::identity::{Identity, Malformed, shortened};

/// Which AMIs are listed, and which page of the list is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusRequest {
    /// The age up to which source AMIs are listed. `None`: `BACKFILL_DAYS`.
    pub days: Option<u16>,
    /// Globs of names, one of which must match; empty: any name.
    pub name_patterns: Vec<WildMatch>,
    /// A glob that the name must match as well: the filter of the widget.
    pub filter: Option<WildMatch>,
    /// The last row of the page before.
    pub after: Option<Position>,
}

/// A row's place in the answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub(crate) state: CopyState,
    pub(crate) order: i64,
    pub(crate) source: Identity,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, order, source: Identity { region, image } } = self;
        write!(f, "{}/{order}/{region}/{image}", state.name())
    }
}

impl FromStr for Position {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let mut parts = text.split('/');
            let name = parts.next()?;
            let state = CopyState::ALL.into_iter().find(|state| state.name() == name)?;
            let order = parts.next()?.parse().ok()?;
            let source = Identity { region: parts.next()?.parse().ok()?, image: parts.next()?.parse().ok()? };
            parts.next().is_none().then_some(Self { state, order, source })
        };
        read().ok_or_else(|| Malformed { value: text.to_owned(), accepted: "the NextToken of the page before" })
    }
}

/// A glob of AMI names.
pub fn pattern(text: &str) -> Result<WildMatch, Malformed> {
    let is_plain = |c: char| AmiName::may_contain(c) || "*?".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        Ok(WildMatch::new(text))
    } else {
        let accepted = "a glob of AMI names (letters, digits and `()[] ./-'@_`, with `*` and `?`)";
        Err(Malformed { value: text.to_owned(), accepted })
    }
}

impl StatusRequest {
    /// Reads the fields of a request.
    pub fn read(fields: &Map<String, Value>) -> Result<Self, Error> {
        const FIELDS: [&str; 3] = ["Days", "NamePatterns", "NextToken"];
        if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            return Err(Error::rejected(
                code::UNKNOWN_PARAMETER,
                format!("a status has no parameter `{}`", shortened(unknown)),
                format!("the parameters are `{}`", FIELDS.join("`, `")),
            ));
        }
        let value = |field: &str| fields.get(field).filter(|value| !value.is_null());
        Ok(Self {
            days: value("Days").map(read_days).transpose()?,
            name_patterns: value("NamePatterns").map_or(Ok(Vec::new()), read_patterns)?,
            filter: None,
            after: value("NextToken").map(read_position).transpose()?,
        })
    }

    /// The age up to which source AMIs are listed, in days.
    pub fn days_or(&self, backfill_days: u16) -> u16 {
        self.days.unwrap_or(backfill_days)
    }

    /// Whether one of the patterns matches this name.
    pub fn has_name(&self, name: &str) -> bool {
        let is_listed = self.name_patterns.is_empty() || self.name_patterns.iter().any(|pattern| pattern.matches(name));
        is_listed && self.filter.as_ref().is_none_or(|filter| filter.matches(name))
    }
}

fn read_days(value: &Value) -> Result<u16, Error> {
    let days = value.as_u64().and_then(|days| u16::try_from(days).ok()).filter(|days| (1..=3650).contains(days));
    days.ok_or_else(|| wrong("Days", value, "a number of days (1 to 3650)"))
}

fn read_patterns(value: &Value) -> Result<Vec<WildMatch>, Error> {
    const ACCEPTED: &str = "a list of globs of AMI names, such as `[\"golden-*\"]`";
    let one = std::slice::from_ref(value);
    let patterns = if value.is_string() { one } else { value.as_array().map_or(&[][..], Vec::as_slice) };
    if patterns.is_empty() {
        return Err(wrong("NamePatterns", value, ACCEPTED));
    }
    let read = |value: &Value| match value.as_str() {
        Some(text) => pattern(text).map_err(|why| wrong("NamePatterns", value, why.accepted)),
        None => Err(wrong("NamePatterns", value, ACCEPTED)),
    };
    patterns.iter().map(read).collect()
}

fn read_position(value: &Value) -> Result<Position, Error> {
    let accepted = "the NextToken of the page before";
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| wrong("NextToken", value, accepted))
}

fn wrong(field: &str, value: &Value, accepted: &str) -> Error {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Error::rejected(
        code::INVALID_VALUE,
        format!("`{field}` is `{}`; it must be {accepted}", shortened(&value)),
        "correct it and ask again",
    )
}
