//! What became of one AMI, in the field names of the EC2 API.

use serde::Serialize;

use crate::copy_image::{AmiName, ClientToken};
use crate::identity::{Identity, ImageId, Region};

/// From where to where. In JSON: `SourceImageId`, `SourceRegion`, `Region`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Route {
    pub source_image_id: ImageId,
    pub source_region: Region,
    pub region: Region,
}

impl Route {
    #[must_use]
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
    /// A pending, available or disabled copy exists, whoever made it.
    AlreadyCopied {
        image_id: ImageId,
        name: String,
        #[serde(flatten)]
        route: Route,
    },
    /// EC2 answered `DryRunOperation`: the copy would have been allowed.
    DryRun {
        name: AmiName,
        #[serde(flatten)]
        route: Route,
        /// Only a request's own: a dry run must not use a token of the courier's.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_token: Option<ClientToken>,
    },
    /// Not wanted here, or nothing to do.
    Ignored {
        reason: String,
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        route: Option<Route>,
    },
    /// The copy is available and every finishing step holds.
    Finished {
        image_id: ImageId,
        name: String,
        #[serde(flatten)]
        route: Route,
        /// From the copy's creation to its finish.
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_seconds: Option<i64>,
        /// From the source AMI's creation to its copy's finish, where the source was looked at.
        #[serde(skip_serializing_if = "Option::is_none")]
        lag_seconds: Option<i64>,
        /// The sizes of its volumes, added up.
        #[serde(rename = "SizeGiB")]
        size_gib: i64,
    },
    /// The copy is deregistered, or disabled as its source is.
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
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "Started",
            Self::AlreadyCopied { .. } => "AlreadyCopied",
            Self::DryRun { .. } => "DryRun",
            Self::Ignored { .. } => "Ignored",
            Self::Finished { .. } => "Finished",
            Self::Retired { .. } => "Retired",
        }
    }

    /// The copy, where there is one.
    #[must_use]
    pub fn copy(&self) -> Option<&ImageId> {
        match self {
            Self::Started { image_id, .. }
            | Self::AlreadyCopied { image_id, .. }
            | Self::Finished { image_id, .. }
            | Self::Retired { image_id, .. } => Some(image_id),
            Self::DryRun { .. } | Self::Ignored { .. } => None,
        }
    }

    /// From where to where, where that is known.
    #[must_use]
    pub fn route(&self) -> Option<&Route> {
        match self {
            Self::Started { route, .. }
            | Self::AlreadyCopied { route, .. }
            | Self::DryRun { route, .. }
            | Self::Finished { route, .. }
            | Self::Retired { route, .. } => Some(route),
            Self::Ignored { route, .. } => route.as_ref(),
        }
    }
}
