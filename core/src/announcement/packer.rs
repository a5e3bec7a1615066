//! Packer's manifest: its post-processor `manifest` writes it, and a pipeline sends it.
//! <https://developer.hashicorp.com/packer/docs/post-processors/manifest>

use serde_json::{Map, Value};

use super::announced_by::AnnouncedBy;
use super::document::{Document, Shape};
use super::meaning::{Announcement, Pointer};
use crate::error::Error;
use crate::identity::{Identity, Malformed, Stack, shortened};

const MANIFEST: Shape =
    Shape { name: "Packer's manifest", page: "https://developer.hashicorp.com/packer/docs/post-processors/manifest" };

pub(super) fn is_manifest(message: &Map<String, Value>) -> bool {
    message.contains_key("builds") && message.contains_key("last_run_uuid")
}

/// One announcement for each build of the last run. The file has all runs; earlier ones were announced before.
pub(super) fn read(message: &Map<String, Value>, stack: &Stack) -> Result<Vec<Announcement>, Error> {
    let manifest = Document::new(MANIFEST, message);
    let last_run = manifest.required_text("last_run_uuid")?;
    let mut announcements = Vec::new();
    for build in manifest.required_objects("builds")? {
        if build.text("packer_run_uuid")? == Some(last_run) {
            announcements.push(read_build(&build, stack)?);
        }
    }
    if announcements.is_empty() {
        announcements.push(Announcement::nothing(format!(
            "Packer's manifest has no build of its last run, {}",
            shortened(last_run)
        )));
    }
    Ok(announcements)
}

fn read_build(build: &Document<'_>, stack: &Stack) -> Result<Announcement, Error> {
    let builder = build.required_text("builder_type")?;
    let artifact = build.text("artifact_id")?.unwrap_or_default();
    let amis = match read_artifact(artifact) {
        Ok(amis) => amis,
        // A post-processor can make an AMI of any build, so the artifact decides, not the builder.
        Err(_) if !builder.starts_with("amazon-") || builder == "amazon-ebsvolume" => {
            let (builder, artifact) = (shortened(builder), shortened(artifact));
            return Ok(Announcement::nothing(format!("Packer's builder `{builder}` made `{artifact}`, not an AMI")));
        }
        Err(_) => {
            return Err(build.wrong("artifact_id", &artifact.into(), "a list of `REGION:AMI`, separated by commas"));
        }
    };
    if let Some(copy) = amis.iter().find(|ami| ami.region == stack.region) {
        let reason = format!("Packer itself put it into {}, as {}", stack.region, copy.image);
        let ami = amis.iter().find(|ami| ami.region != stack.region).cloned();
        return Ok(Announcement::Nothing { ami, reason });
    }
    Ok(Announcement::Built { ami: Pointer::Images(amis), announced_by: AnnouncedBy::Publisher })
}

/// `eu-central-1:ami-0b…,us-east-1:ami-00…`: one build, in each Region that Packer put it in.
fn read_artifact(id: &str) -> Result<Vec<Identity>, Malformed> {
    let read_one = |one: &str| {
        let (region, image) = one.split_once(':').unwrap_or((one, ""));
        Ok(Identity { region: region.parse()?, image: image.parse()? })
    };
    id.split(',').map(read_one).collect()
}
