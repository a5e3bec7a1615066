//! The sweep copies, finishes and retires what no event has announced.
//!
//! A module for each of its sides: what it finds, how it announces that to the courier's own queue, that it
//! needs one, and how long it takes for many AMIs.

pub mod announce;
mod large;
mod look;
mod rejected;
mod without_queue;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use local::aws::{ACCOUNT, Image, ImageState, START};
use local::host::Host;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::life::is_finished;
use crate::poller::{Poller, record};
use crate::stage::{Stage, THERE, batch, failures};

const ALSO_THERE: &str = "us-west-2";
const STRANGER: &str = "999988887777";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn id_of(number: u32) -> String {
    format!("ami-{number:017x}")
}

/// A stack that knows its source Regions.
async fn stage() -> Stage {
    Stage::new().await.set("SOURCE_REGIONS", "us-east-1,us-west-2").set("BACKFILL_DAYS", "3650")
}

fn created(number: u32) -> OffsetDateTime {
    START - number * HOUR - 40 * MINUTE
}

/// So many AMIs in both source Regions; the higher the number, the older. Ids, and with them EC2's pages, are in no order.
/// None is in its quiet time, now or after full hours.
fn build(stage: &Stage, count: u32) -> BTreeSet<String> {
    let mut world = stage.aws.world();
    (1..=count)
        .map(|number| {
            let id = id_of(number * 7919 % 10_007);
            let image = Image::new(&id, format!("golden-{number}")).created(created(number));
            world.add_image(if number % 2 == 0 { THERE } else { ALSO_THERE }, image)
        })
        .collect()
}

fn region_of(stage: &Stage, source: &str) -> &'static str {
    if stage.aws.world().image(THERE, source).is_some() { THERE } else { ALSO_THERE }
}

/// A finished copy of an AMI of `region` that no longer exists, or never did.
fn left_behind(number: u32, region: &str, owner: &str) -> Image {
    let mut copy = Image::new(id_of(number), format!("copy-{number}"))
        .copy_of(&id_of(number + 1000), region)
        .tag("ami-courier:source-image", &id_of(number + 1000))
        .tag("ami-courier:source-region", region)
        .tag("ami-courier:source-owner", owner);
    for snapshot in &mut copy.snapshots {
        snapshot.tags.clone_from(&copy.tags);
    }
    copy.tag("ami-courier:finished", "2026-01-01T00:00:00Z")
}

/// The same, found gone a month ago: its time has come.
fn gone_for_long(number: u32, region: &str) -> Image {
    left_behind(number, region, ACCOUNT).tag("ami-courier:source-gone-since", "2025-12-01T00:00:00Z")
}

/// The same, not finished.
fn unfinished(number: u32, region: &str) -> Image {
    let mut copy = left_behind(number, region, ACCOUNT);
    copy.tags.remove("ami-courier:finished");
    copy
}

async fn poller(stage: &Stage) -> Poller {
    let executions = vec![Arc::new(stage.function().await), Arc::new(stage.function().await)];
    Poller::new(&stage.aws, &stage.queue, executions, 1)
}

/// Sweeps until a sweep changes nothing.
async fn sweep_to_the_end(poller: &mut Poller, stage: &Stage) {
    let picture =
        || stage.copies().iter().map(|copy| format!("{} {} {:?}", copy.id, copy.state, copy.tags)).collect::<Vec<_>>();
    for _ in 0..20 {
        let before = picture();
        poller.send_sweep();
        poller.run_to_rest(24 * HOUR).await.unwrap();
        if before == picture() {
            return;
        }
        poller.aws.world().advance(HOUR);
    }
    panic!("every sweep still changes something");
}

fn assert_each_has_one_finished_copy(stage: &Stage, sources: &BTreeSet<String>) {
    let copies = stage.copies();
    assert_eq!((&stage.copied(), copies.len()), (sources, sources.len()));
    for copy in copies {
        assert!(copy.state == ImageState::Available && is_finished(stage, &copy.id), "{copy:?}");
    }
}

/// One delivery of a sweep; whether it is done.
async fn swept(function: &Host) -> bool {
    let sweep = batch([("sweep", json!({ "Sweep": {} }).to_string())]);
    failures(&function.invoke(&sweep).await.expect("an answer")).is_empty()
}

/// Delivers the visible messages of the queue, ten at a time, until there are no more. No time passes.
async fn deliver(stage: &Stage, function: &Host) {
    loop {
        let messages = stage.aws.world().receive(&stage.queue, 10);
        if messages.is_empty() {
            return;
        }
        let records: Vec<Value> = messages.iter().map(|message| record(&stage.queue, message)).collect();
        let answer = function.invoke(&json!({ "Records": records })).await.expect("an answer");
        let failed = failures(&answer);
        for message in messages.iter().filter(|message| !failed.contains(&message.id)) {
            stage.aws.world().delete(&stage.queue, &message.receipt_handle);
        }
    }
}

/// The sweep's announcements that are in the queue, in the order in which they were sent.
fn announcements(stage: &Stage) -> Vec<Value> {
    let messages = stage.aws.world().messages(&stage.queue).into_iter();
    messages.map(|message| serde_json::from_str::<Value>(&message.body).expect("JSON")["AmiCourier"].clone()).collect()
}

fn missed(number: u32, region: &str) -> Value {
    json!({ "Missed": { "SourceImageId": id_of(number), "SourceRegion": region, "Hops": 1 } })
}

fn to_finish(number: u32) -> Value {
    json!({ "Unfinished": { "ImageId": id_of(number), "Hops": 1 } })
}

fn source_gone(number: u32) -> Value {
    json!({ "SourceGone": { "ImageId": id_of(number), "Hops": 1 } })
}

fn source_back(number: u32) -> Value {
    json!({ "SourceBack": { "ImageId": id_of(number), "Hops": 1 } })
}

/// A figure of the last sweep, from its log line.
pub fn figure(function: &Host, name: &str) -> String {
    let logs = function.logs();
    let line = logs.iter().rev().find(|line| line.contains(": swept ")).expect("a sweep logs what it found");
    let value = line.split_whitespace().find_map(|field| field.strip_prefix(&format!("{name}=")));
    value.unwrap_or_else(|| panic!("no {name} in {line}")).to_owned()
}

/// The documents of metrics in the log.
fn metrics(function: &Host) -> Vec<Value> {
    let documents = function.logs().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    documents.filter(|document| document.get("_aws").is_some()).collect()
}

/// The metrics of the last sweep.
fn gauges(function: &Host) -> Value {
    metrics(function).into_iter().rfind(|document| document.get("MissedFound").is_some()).expect("metrics of the sweep")
}

/// The sum of a counter since the function started.
fn counted(function: &Host, counter: &str) -> f64 {
    // Some counters are there once more for each code.
    let documents = metrics(function).into_iter().filter(|document| document.get("Code").is_none());
    documents.filter_map(|document| document.get(counter)?.as_f64()).sum()
}
