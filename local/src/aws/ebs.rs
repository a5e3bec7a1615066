//! The EBS direct API: a snapshot that is written block by block, without a volume. The data itself is not kept.
//! <https://docs.aws.amazon.com/ebs/latest/APIReference/>

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::digest::ec2_id;
use super::ec2::snapshot::{Snapshot, SnapshotState};
use super::error::ApiError;
use super::request::{Answer, Caller, typed};
use super::timestamp::ec2_time;
use super::world::World;

/// The size of a block: 512 KiB (documented).
const BLOCK: usize = 512 * 1024;
/// How long a snapshot is pending after its completion. Documented: nothing.
const COMPLETION: Duration = Duration::from_secs(5);

pub(super) fn dispatch(world: &mut World, caller: &Caller, action: &str, parameters: &Value) -> Answer {
    match action {
        "StartSnapshot" => start(world, caller, &typed(parameters)?),
        "PutSnapshotBlock" => put_block(world, caller, parameters),
        "CompleteSnapshot" => complete(world, caller, parameters),
        _ => Err(invalid(format!("The EBS direct API has no action {action} here"))),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("ValidationException", message)
}

/// The snapshots that are not complete, by Region and id, with the blocks that were written.
#[derive(Default)]
struct Unfinished(BTreeMap<(String, String), BTreeSet<String>>);

impl World {
    /// The blocks of an unfinished snapshot that the caller owns.
    fn blocks(&mut self, caller: &Caller, id: &str) -> Result<&mut BTreeSet<String>, ApiError> {
        self.check_owns_snapshot(caller, id).map_err(|_| {
            ApiError::new(404, "ResourceNotFoundException", format!("The snapshot '{id}' does not exist."))
        })?;
        let unfinished = &mut self.state_mut::<Unfinished>().0;
        unfinished
            .get_mut(&(caller.region.clone(), id.to_owned()))
            .ok_or_else(|| invalid(format!("The snapshot '{id}' is not pending.")))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Start {
    volume_size: u32,
    #[serde(default)]
    description: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

fn start(world: &mut World, caller: &Caller, start: &Start) -> Answer {
    if start.volume_size == 0 {
        return Err(invalid("VolumeSize must be at least 1"));
    }
    let id = ec2_id("snap", &world.new_uuid());
    let now = world.now();
    let mut snapshot = Snapshot::new(&id).size_gib(start.volume_size);
    snapshot.state = SnapshotState::Pending;
    snapshot.description.clone_from(&start.description);
    snapshot.start_time = now;
    snapshot.tags = start.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    world.add_snapshot(&caller.region, &caller.account, snapshot);
    world.state_mut::<Unfinished>().0.insert((caller.region.clone(), id.clone()), BTreeSet::new());
    Ok(json!({
        "SnapshotId": id, "OwnerId": caller.account, "Status": "pending", "StartTime": ec2_time(now),
        "VolumeSize": start.volume_size, "BlockSize": BLOCK,
    }))
}

fn put_block(world: &mut World, caller: &Caller, parameters: &Value) -> Answer {
    let text = |name: &str| parameters[name].as_str().unwrap_or_default();
    let blocks = world.blocks(caller, text("SnapshotId"))?;
    let is_whole = parameters["ActualLength"] == json!(BLOCK) && text("DataLength") == BLOCK.to_string();
    if !is_whole {
        return Err(invalid(format!("A block has {BLOCK} bytes, and x-amz-Data-Length says so")));
    }
    if text("ChecksumAlgorithm") != "SHA256" || parameters["Checksum"] != parameters["ActualChecksum"] {
        return Err(invalid("The checksum must be the SHA256 of the block, in Base64"));
    }
    blocks.insert(text("BlockIndex").to_owned());
    Ok(json!({ "Checksum": parameters["Checksum"], "ChecksumAlgorithm": "SHA256" }))
}

fn complete(world: &mut World, caller: &Caller, parameters: &Value) -> Answer {
    let id = parameters["SnapshotId"].as_str().unwrap_or_default().to_owned();
    let written = world.blocks(caller, &id)?.len().to_string();
    if parameters["ChangedBlocksCount"] != json!(written) {
        return Err(invalid(format!("{written} blocks were written")));
    }
    let region = caller.region.clone();
    world.state_mut::<Unfinished>().0.remove(&(region.clone(), id.clone()));
    let at = world.now() + COMPLETION;
    world.schedule(at, move |world| {
        world.change_snapshot(&region, &id, |snapshot| snapshot.state = SnapshotState::Completed);
    });
    Ok(json!({ "Status": "pending" }))
}
