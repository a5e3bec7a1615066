//! No loops: stacks that are each other's sources copy every AMI once into each Region, and then there is silence.
//!
//! All that AWS sends in every Region is fed to every stack, as rules that forward everything would: EC2's own events,
//! the courier's, and for each new AMI CloudTrail's record of the call and the change of its tags.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use local::aws::{Image, ImageState};
use local::host::Host;
use serde_json::{Value, json};

use crate::stage::{Stage, ami, batch, failures, state_change};

const RING: [&str; 3] = ["us-east-1", "eu-west-1", "ap-northeast-1"];

/// More rounds of events than any honest way of copying takes: a copy's start, its end, its finish.
const ROUNDS: usize = 12;

struct Stacks {
    stage: Stage,
    by_region: BTreeMap<String, Host>,
    known: BTreeSet<(String, String)>,
    put_events_seen: usize,
}

impl Stacks {
    /// A stack in each of these Regions, with the Regions that it copies from.
    async fn new(sources: &[(&str, String)]) -> Self {
        let mut stage = Stage::new().await;
        let mut by_region = BTreeMap::new();
        for (region, sources) in sources {
            stage = stage.set("SOURCE_REGIONS", sources);
            let function = stage.function_in(region).start().await.unwrap();
            by_region.insert((*region).to_owned(), function);
        }
        Self { stage, by_region, known: BTreeSet::new(), put_events_seen: 0 }
    }

    /// Each Region's sources are all the others: the same list for all, as a `StackSet` has it.
    async fn all_to_all(regions: &[&'static str]) -> Self {
        Self::new(&regions.iter().map(|region| (*region, regions.join(","))).collect::<Vec<_>>()).await
    }

    fn build(&self, region: &str, n: usize) {
        self.stage.aws.world().add_image(region, Image::new(ami(n), format!("golden-{n}")));
    }

    /// All that was sent since this was last asked.
    fn events(&mut self) -> Vec<Value> {
        let mut world = self.stage.aws.world();
        let mut events = world.take_events();
        let ours = world.put_events();
        events.extend(ours[self.put_events_seen..].iter().map(|event| {
            json!({ "source": event.source, "detail-type": event.detail_type, "region": event.region,
                    "resources": event.resources, "detail": event.detail })
        }));
        self.put_events_seen = ours.len();
        for region in self.by_region.keys() {
            for image in world.images(region) {
                if self.known.insert((region.clone(), image.id.clone())) {
                    events.extend(events_of_others(region, &image));
                }
            }
        }
        events
    }

    /// Feeds every event to every stack until there is none, and nothing is pending either.
    async fn until_silence(&mut self) {
        for round in 0.. {
            let events = self.events();
            if events.is_empty() {
                let pending = |image: &Image| image.state == ImageState::Pending;
                if !self.by_region.keys().any(|region| self.stage.aws.world().images(region).iter().any(pending)) {
                    return;
                }
                self.stage.aws.world().advance(Duration::from_secs(3600));
            }
            assert!(round < ROUNDS, "still not silent: {events:#?}");
            for event in events {
                for (region, stack) in &self.by_region {
                    let answer = stack.invoke(&batch([("m1", event.to_string())])).await.unwrap();
                    // The message about a pending AMI comes back; the AMI's own event follows when it is available.
                    if !failures(&answer).is_empty() {
                        let is_pending = |line: &String| line.contains("is still pending");
                        assert!(stack.logs().iter().any(is_pending), "{region}: {event}");
                    }
                }
            }
        }
    }

    /// By Region: the sources of its copies.
    fn copies(&self) -> BTreeMap<String, Vec<String>> {
        let world = self.stage.aws.world();
        let sources = |region: &String| {
            let mut sources: Vec<String> =
                world.images(region).into_iter().filter_map(|image| image.source_image_id).collect();
            sources.sort();
            (region.clone(), sources)
        };
        self.by_region.keys().map(sources).collect()
    }

    fn all_finished(&self) -> bool {
        let world = self.stage.aws.world();
        let mut copies = self.by_region.keys().flat_map(|region| world.images(region));
        copies.all(|image| image.source_image_id.is_none() || image.tags.contains_key("ami-courier:finished"))
    }
}

/// The events of CloudTrail and of the tag service about a new AMI.
fn events_of_others(region: &str, image: &Image) -> Vec<Value> {
    let call = if image.source_image_id.is_some() { "CopyImage" } else { "CreateImage" };
    let resource = format!("arn:aws:ec2:{region}::image/{}", image.id);
    vec![
        state_change(region, &image.id, "available"),
        json!({ "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "region": region, "detail": {
                "eventName": call, "awsRegion": region, "responseElements": { "imageId": image.id } } }),
        json!({ "source": "aws.tag", "detail-type": "Tag Change on Resource", "region": region, "resources": [resource],
                "detail": { "changed-tag-keys": [], "service": "ec2", "resource-type": "image", "tags": image.tags } }),
    ]
}

fn sorted(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(ami).collect()
}

#[tokio::test]
async fn two_stacks_that_are_each_others_source_copy_each_ami_once_and_fall_silent() {
    let mut stacks = Stacks::all_to_all(&RING[..2]).await;
    for n in 0..4 {
        stacks.build(RING[n % 2], n);
    }
    stacks.until_silence().await;
    let expected = [(RING[0], sorted([1, 3])), (RING[1], sorted([0, 2]))];
    assert_eq!(stacks.copies(), expected.map(|(region, copies)| (region.to_owned(), copies)).into());
    assert!(stacks.all_finished());
}

#[tokio::test]
async fn three_stacks_that_are_each_others_sources_end_with_a_copy_in_each_other_region_and_silence() {
    let mut stacks = Stacks::all_to_all(&RING).await;
    for n in 0..5 {
        stacks.build(RING[n % 3], n);
    }
    stacks.until_silence().await;
    let expected = [(RING[0], sorted([1, 2, 4])), (RING[1], sorted([0, 2, 3])), (RING[2], sorted([0, 1, 3, 4]))];
    assert_eq!(stacks.copies(), expected.map(|(region, copies)| (region.to_owned(), copies)).into());
    assert!(stacks.all_finished());
}

#[tokio::test]
async fn in_a_ring_where_each_copies_from_its_neighbour_a_copy_goes_no_further_than_the_neighbour() {
    let neighbours = [(RING[0], RING[2]), (RING[1], RING[0]), (RING[2], RING[1])];
    let mut stacks = Stacks::new(&neighbours.map(|(here, source)| (here, source.to_owned()))).await;
    stacks.build(RING[0], 0);
    stacks.build(RING[1], 1);
    stacks.until_silence().await;
    let expected = [(RING[0], sorted([])), (RING[1], sorted([0])), (RING[2], sorted([1]))];
    assert_eq!(stacks.copies(), expected.map(|(region, copies)| (region.to_owned(), copies)).into());
}

#[tokio::test]
async fn a_copy_made_without_the_couriers_tags_by_a_person_is_an_ami_like_any_other_and_ends_in_silence_too() {
    let mut stacks = Stacks::all_to_all(&RING[..2]).await;
    let by_hand = Image::new(ami(9), "golden-0 by hand").copy_of(&ami(0), RING[0]);
    stacks.build(RING[0], 0);
    stacks.stage.aws.world().add_image(RING[1], by_hand);
    stacks.until_silence().await;
    let copies = stacks.copies();
    assert_eq!(copies[RING[1]], [ami(0)], "the one by hand is adopted");
    assert_eq!(copies[RING[0]], Vec::<String>::new(), "EC2 records that it comes from there");
}
