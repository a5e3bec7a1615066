//! What became of one AMI, in the field names of the EC2 API.

use serde::Serialize;

use crate::copy_image::{AmiName, ClientToken};
use crate::identity::{Identity, ImageId, Region};
use crate::in_step::Part;

/// From which source AMI to which Region. In JSON: `SourceImageId`, `SourceRegion`, `Region`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Route {
    pub source_image_id: ImageId,
    pub source_region: Region,
    pub region: Region,
}

impl Route {
    pub fn new(source: &Identity, region: &Region) -> Self {
        Self { source_image_id: source.image.clone(), source_region: source.region.clone(), region: region.clone() }
    }
}

/// What became of one AMI.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "Outcome", rename_all_fields = "PascalCase")]
pub enum Outcome {
    /// EC2 accepted the copy; `ImageId` is the copy.
    Started {
        image_id: ImageId,
        name: AmiName,
        #[serde(flatten)]
        route: Route,
        client_token: ClientToken,
    },
    /// A pending, available or disabled copy exists. Not only the courier may have made it.
    AlreadyCopied {
        image_id: ImageId,
        name: String,
        #[serde(flatten)]
        route: Route,
    },
    /// EC2 answered `DryRunOperation`: it would have allowed the copy.
    DryRun {
        name: AmiName,
        #[serde(flatten)]
        route: Route,
        /// Only the request's own: a dry run must not use a token that a copy needs.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_token: Option<ClientToken>,
    },
    /// The AMI is not wanted here, or no action is needed.
    Ignored {
        reason: String,
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        route: Option<Route>,
    },
    /// The copy is available and all finishing steps are done.
    Finished {
        image_id: ImageId,
        name: String,
        #[serde(flatten)]
        route: Route,
        /// From the creation of the copy to its finish.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_seconds: Option<i64>,
        /// From the creation of the source AMI to the finish of its copy, if the courier looked at the source.
        #[serde(skip_serializing_if = "Option::is_none")]
        lag_seconds: Option<i64>,
        /// The sum of the sizes of its volumes.
        #[serde(rename = "SizeGiB")]
        size_gib: i64,
        /// Why it is not shared, although `SHARE_WITH` names somebody.
        #[serde(skip_serializing_if = "Option::is_none")]
        not_shared: Option<String>,
        /// What there is to say of its parameter: why it has none, or that one holds it which should not.
        #[serde(skip_serializing_if = "Option::is_none")]
        parameter: Option<String>,
    },
    /// A finished copy was brought in step.
    Updated {
        image_id: ImageId,
        name: String,
        #[serde(flatten)]
        route: Route,
        /// The parts that were changed.
        changed: Vec<Part>,
        /// As of `Finished`.
        #[serde(skip_serializing_if = "Option::is_none")]
        parameter: Option<String>,
    },
    /// The copy was deregistered, or disabled like its source.
    Retired {
        image_id: ImageId,
        name: String,
        #[serde(flatten)]
        route: Route,
        reason: String,
    },
}

impl Outcome {
    /// The outcome's name, as in its JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "Started",
            Self::AlreadyCopied { .. } => "AlreadyCopied",
            Self::DryRun { .. } => "DryRun",
            Self::Ignored { .. } => "Ignored",
            Self::Finished { .. } => "Finished",
            Self::Updated { .. } => "Updated",
            Self::Retired { .. } => "Retired",
        }
    }

    /// The copy, where there is one.
    pub fn copy(&self) -> Option<&ImageId> {
        match self {
            Self::Started { image_id, .. }
            | Self::AlreadyCopied { image_id, .. }
            | Self::Finished { image_id, .. }
            | Self::Updated { image_id, .. }
            | Self::Retired { image_id, .. } => Some(image_id),
            Self::DryRun { .. } | Self::Ignored { .. } => None,
        }
    }

    /// The source AMI and the Region, if they are known.
    pub fn route(&self) -> Option<&Route> {
        match self {
            Self::Started { route, .. }
            | Self::AlreadyCopied { route, .. }
            | Self::DryRun { route, .. }
            | Self::Finished { route, .. }
            | Self::Updated { route, .. }
            | Self::Retired { route, .. } => Some(route),
            Self::Ignored { route, .. } => route.as_ref(),
        }
    }
}
