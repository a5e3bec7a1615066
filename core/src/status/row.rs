//! A row: one AMI, in the field names of the EC2 API.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::announcement::Position;
use crate::copy_state::CopyState;
use crate::identity::{Identity, ImageId, Region};
use crate::image::tag;

/// An AMI and the state of its copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Row {
    pub state: CopyState,
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
    /// The parameter that may hold the copy, and what it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<Parameter>,
    /// Other live copies of the same AMI. A request and an announcement may make one each.
    #[serde(rename = "OtherImageIds", skip_serializing_if = "Vec::is_empty")]
    pub other_copies: Vec<ImageId>,
}

/// A parameter, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parameter {
    pub name: String,
    /// `None`: it does not exist, or could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether the copy is withdrawn: the parameter is to hold another one.
    #[serde(skip)]
    pub is_withdrawn: bool,
}

impl Row {
    /// What its parameter holds, as it was read.
    pub fn set_held(&mut self, value: &str) {
        let Some(parameter) = &mut self.parameter else { return };
        parameter.value = Some(value.to_owned());
        if parameter.is_withdrawn && self.copy.as_ref().is_some_and(|copy| copy.as_str() == value) {
            let explanation =
                "it is withdrawn, and its parameter still holds it, until another copy can take its place";
            self.explanation = Some(explanation.to_owned());
        }
    }

    /// Where the row is in the whole answer.
    pub(super) fn position(&self) -> Position {
        let created = self.created.or(self.since).map_or(0, OffsetDateTime::unix_timestamp);
        let order = if self.state.is_settled() { -created } else { created };
        Position { state: self.state, order, source: self.source.clone() }
    }
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

#[expect(clippy::ref_option, reason = "the form that serde asks for")]
fn as_time<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(tag::time).serialize(serializer)
}
