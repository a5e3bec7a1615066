//! The EBS direct API: a snapshot without a volume. <https://docs.aws.amazon.com/ebs/latest/APIReference/>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::connection::{Call, Connection};
use super::error::CallError;
use super::json::refusal;

/// The size of a block: 512 KiB.
const BLOCK: usize = 512 * 1024;
/// After this many minutes an unfinished snapshot is given up by EBS itself: the least that it accepts.
const TIMEOUT_MINUTES: u32 = 10;

impl Connection {
    /// `StartSnapshot`: an empty, pending snapshot of 1 GiB. Returns its id.
    ///
    /// # Errors
    /// EBS's own, or that there is no answer.
    pub async fn start_snapshot(&self, region: &str, tags: &[(&str, &str)]) -> Result<String, CallError> {
        let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        let body = json!({ "VolumeSize": 1, "Timeout": TIMEOUT_MINUTES, "Tags": tags }).to_string();
        let headers = [("content-type", "application/json")];
        let answer = self.ebs(region, "POST", "/snapshots", &headers, body.as_bytes()).await?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| CallError::Lost(error.to_string()))?;
        let id = answer["SnapshotId"].as_str();
        id.map(str::to_owned).ok_or_else(|| CallError::Lost("the answer has no SnapshotId".to_owned()))
    }

    /// `PutSnapshotBlock`: writes zeros into the first block.
    ///
    /// # Errors
    /// EBS's own, or that there is no answer.
    pub async fn put_first_block(&self, region: &str, snapshot_id: &str) -> Result<(), CallError> {
        let block = vec![0_u8; BLOCK];
        let checksum = STANDARD.encode(digest(&SHA256, &block));
        let length = BLOCK.to_string();
        let headers = [
            ("content-type", "application/octet-stream"),
            ("x-amz-data-length", length.as_str()),
            ("x-amz-checksum", checksum.as_str()),
            ("x-amz-checksum-algorithm", "SHA256"),
        ];
        self.ebs(region, "PUT", &format!("/snapshots/{snapshot_id}/blocks/0"), &headers, &block).await.map(drop)
    }

    /// `CompleteSnapshot`, of one block.
    ///
    /// # Errors
    /// EBS's own, or that there is no answer.
    pub async fn complete_snapshot(&self, region: &str, snapshot_id: &str) -> Result<(), CallError> {
        let headers = [("x-amz-changedblockscount", "1")];
        self.ebs(region, "POST", &format!("/snapshots/completion/{snapshot_id}"), &headers, b"").await.map(drop)
    }

    async fn ebs(
        &self,
        region: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<String, CallError> {
        let call = Call { service: "ebs", region, method, path, headers, body };
        Ok(self.send(&call, refusal).await?.body)
    }
}
