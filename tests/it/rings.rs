//! No rounds between accounts: two or three accounts that trust each other and share with each other copy each AMI once into
//! each account, and then there is silence.
//!
//! Every event of every account is fed to every stack, as forwarding rules do, and again until it is done, as a queue does.

use std::collections::BTreeMap;
use std::time::Duration;

use local::aws::{ACCOUNT, Image, ImageState, World};
use local::host::Host;
use serde_json::{Value, json};

use crate::selection::{AMI, OTHERS, announced};
use crate::stage::{HERE, Stage, THERE, ami, failures, request, state_change};

const ACCOUNTS: [&str; 3] = [ACCOUNT, "111122223333", "444455556666"];
/// More rounds of events than any honest way of copying takes.
const ROUNDS: usize = 40;

/// Where the accounts' stacks stand: each in a Region of its own, or all in one.
const APART: [&str; 3] = [THERE, HERE, "ap-northeast-1"];
const TOGETHER: [&str; 3] = [HERE; 3];

const KEEPS_NAME: &str = "{name}";
/// Each makes another name of its own result.
const CHANGE_NAME: [&str; 2] = ["{name}-{account}", "of {image_id} in {region}"];

struct Ring {
    stage: Stage,
    /// By account: the Region of its stack, and the stack.
    stacks: BTreeMap<&'static str, (&'static str, Host)>,
    /// Events that some stack has not dealt with, and that stack's account.
    left: Vec<(&'static str, Value)>,
}

impl Ring {
    /// A stack in each of these Regions, of as many accounts. Each builds an AMI and shares it with the others.
    async fn new(regions: &[&'static str], copy_name: &str, change: impl FnOnce(&mut World)) -> Self {
        let accounts = &ACCOUNTS[..regions.len()];
        let mut stage = Stage::new().await.set("SOURCE_REGIONS", &regions.join(",")).set("BACKFILL_DAYS", "3650");
        stage = stage.set("QUEUE_URL", "").set("COPY_NAME", copy_name).with(change);
        let mut stacks = BTreeMap::new();
        for (account, region) in accounts.iter().zip(regions) {
            let others: Vec<&str> = accounts.iter().filter(|other| *other != account).copied().collect();
            stage =
                stage.set("SHARE_WITH", &others.join(",")).set("SOURCE_OWNERS", &format!("self,{}", others.join(",")));
            let function = stage.function_of(account, region).start().await.unwrap();
            stacks.insert(*account, (*region, function));
        }
        let mut ring = Self { stage, stacks, left: Vec::new() };
        for (n, (account, region)) in accounts.iter().zip(regions).enumerate() {
            let image = Image::new(ami(n), format!("golden-{n}")).owner(account);
            let image =
                accounts.iter().filter(|other| *other != account).fold(image, |image, other| image.shared_with(other));
            ring.stage.aws.world().add_image(region, image);
            let mut event = state_change(region, &ami(n), "available");
            event["account"] = json!(account);
            ring.announce(&event);
        }
        ring
    }

    fn announce(&mut self, event: &Value) {
        self.left.extend(self.stacks.keys().map(|account| (*account, event.clone())));
    }

    /// Delivers until every event is dealt with, and nothing is pending any more.
    async fn until_silence(&mut self) {
        for _ in 0..ROUNDS {
            let events = self.stage.aws.world().take_events();
            for event in &events {
                self.announce(event);
            }
            if self.left.is_empty() && !self.is_anything_pending() {
                return;
            }
            for (account, event) in std::mem::take(&mut self.left) {
                let message = record(&self.stage.aws.world(), &event);
                let answer = self.stacks[account].1.invoke(&message).await.unwrap();
                if !failures(&answer).is_empty() {
                    self.left.push((account, event));
                }
            }
            self.stage.aws.world().advance(Duration::from_secs(600));
        }
        panic!("still not silent: {:#?}", self.names());
    }

    fn is_anything_pending(&self) -> bool {
        let world = self.stage.aws.world();
        let mut images = self.stacks.values().flat_map(|(region, _)| world.images(region));
        images.any(|image| image.state == ImageState::Pending)
    }

    async fn sweep_everywhere(&self) {
        for (_, stack) in self.stacks.values() {
            let message = record(&self.stage.aws.world(), &json!({ "Sweep": {} }));
            let answer = stack.invoke(&message).await.unwrap();
            assert_eq!(failures(&answer), Vec::<String>::new(), "{:#?}", stack.logs());
        }
    }

    /// By account: the names of its AMIs.
    fn names(&self) -> BTreeMap<String, Vec<String>> {
        let world = self.stage.aws.world();
        let mut regions: Vec<&str> = self.stacks.values().map(|(region, _)| *region).collect();
        regions.sort_unstable();
        regions.dedup();
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for image in regions.iter().flat_map(|region| world.images(region)) {
            names.entry(image.owner).or_default().push(image.name);
        }
        names
    }

    /// Each account has its own AMI and one copy of each other account's, for good.
    async fn comes_to_rest(mut self, case: &str) {
        let accounts = self.stacks.len();
        for time in ["by events", "after a sweep", "after another"] {
            self.until_silence().await;
            let names = self.names();
            assert_eq!(names.len(), accounts, "{case}, {time}: {names:#?}");
            assert!(names.values().all(|of_one| of_one.len() == accounts), "{case}, {time}: {names:#?}");
            self.sweep_everywhere().await;
        }
        assert_eq!(self.stage.dead(), [], "{case}");
    }
}

/// An SQS batch with this one message, sent now.
fn record(world: &World, body: &Value) -> Value {
    let sent = world.now().unix_timestamp() * 1000;
    json!({ "Records": [{
        "messageId": "m1", "receiptHandle": "handle", "body": body.to_string(), "messageAttributes": {}, "md5OfBody": "",
        "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": sent.to_string() },
        "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:{HERE}:{ACCOUNT}:announcements"), "awsRegion": HERE,
    }] })
}

fn ordinary(_: &mut World) {}

fn without_shared_tags(world: &mut World) {
    world.behaviour.shared_tags_visible = false;
}

fn without_any_sign_but_the_name(world: &mut World) {
    world.behaviour.shared_tags_visible = false;
    world.behaviour.source_fields_visible = false;
}

#[tokio::test]
async fn two_accounts_come_to_rest_by_the_shared_tag_with_any_name_template() {
    for regions in [&APART[..2], &TOGETHER[..2]] {
        for copy_name in [KEEPS_NAME, CHANGE_NAME[0], CHANGE_NAME[1]] {
            let case = format!("{regions:?} {copy_name}");
            Ring::new(regions, copy_name, ordinary).await.comes_to_rest(&case).await;
        }
    }
}

#[tokio::test]
async fn three_accounts_come_to_rest_by_the_shared_tag_with_any_name_template() {
    for regions in [&APART[..], &TOGETHER[..]] {
        for copy_name in [KEEPS_NAME, CHANGE_NAME[0], CHANGE_NAME[1]] {
            let case = format!("{regions:?} {copy_name}");
            Ring::new(regions, copy_name, ordinary).await.comes_to_rest(&case).await;
        }
    }
}

#[tokio::test]
async fn where_no_shared_tag_is_visible_two_and_three_accounts_come_to_rest_by_the_source_that_ec2_records() {
    for regions in [&APART[..2], &TOGETHER[..2], &APART[..], &TOGETHER[..]] {
        for copy_name in [KEEPS_NAME, CHANGE_NAME[0], CHANGE_NAME[1]] {
            let case = format!("{regions:?} {copy_name}");
            Ring::new(regions, copy_name, without_shared_tags).await.comes_to_rest(&case).await;
        }
    }
}

#[tokio::test]
async fn where_the_name_is_all_that_is_visible_two_and_three_accounts_come_to_rest_by_it() {
    for regions in [&APART[..2], &TOGETHER[..2], &APART[..], &TOGETHER[..]] {
        let case = format!("{regions:?}");
        Ring::new(regions, KEEPS_NAME, without_any_sign_but_the_name).await.comes_to_rest(&case).await;
    }
}

/// What `account` made of the AMI ami(0) and of AMIs of its origin.
fn copies_of_the_first(ring: &Ring, account: &str, region: &str) -> Vec<String> {
    let images = ring.stage.aws.world().images(region).into_iter();
    let own = images.filter(|image| image.owner == account && image.tags.contains_key("ami-courier:source-image"));
    own.filter(|image| image.tags["ec2:SharedTag/ami-courier:origin"].ends_with(&ami(0)))
        .map(|image| image.id)
        .collect()
}

#[tokio::test]
async fn an_ami_and_its_copy_in_another_account_lead_to_one_copy_even_while_ec2_does_not_show_it_yet() {
    let [first, second, third] = ACCOUNTS;
    for turned in [false, true] {
        // Without a queue, a look that shows nothing is a retry.
        let mut ring =
            Ring::new(&TOGETHER, KEEPS_NAME, |world| world.behaviour.copy_duration = Duration::from_secs(60)).await;
        ring.left.clear();
        let announced = |account: &str, id: &str| {
            let mut event = state_change(HERE, id, "available");
            event["account"] = json!(account);
            event
        };
        // The second account has copied it, and shared its copy.
        let deliver = async |ring: &Ring, account: &str, event: &Value| {
            let message = record(&ring.stage.aws.world(), event);
            failures(&ring.stacks[account].1.invoke(&message).await.unwrap()).is_empty()
        };
        assert!(deliver(&ring, second, &announced(first, &ami(0))).await);
        ring.stage.aws.world().advance(Duration::from_secs(120));
        let copy = copies_of_the_first(&ring, second, HERE).remove(0);
        assert!(deliver(&ring, second, &announced(second, &copy)).await);

        ring.stage.aws.world().behaviour.hide_new_images_for(Duration::from_secs(900));
        let mut announcements = [announced(first, &ami(0)), announced(second, &copy)];
        if turned {
            announcements.reverse();
        }
        for event in &announcements {
            deliver(&ring, third, event).await;
        }
        assert_eq!(copies_of_the_first(&ring, third, HERE).len(), 1, "EC2 refuses the second: they have one token");
        ring.stage.aws.world().advance(Duration::from_secs(900));
        for event in &announcements {
            assert!(deliver(&ring, third, event).await, "{:#?}", ring.stacks[third].1.logs());
        }
        assert_eq!(copies_of_the_first(&ring, third, HERE).len(), 1);
    }
}

/// EC2 shows of another account's AMI what it was copied from. Only an AMI of this account has been here before.
#[tokio::test]
async fn an_ami_that_was_copied_from_an_ami_of_this_region_comes_from_here_only_if_that_belongs_to_this_account() {
    const HERE_FIRST: &str = "ami-0000000000000b001";
    for (owner, outcome) in [(ACCOUNT, "Ignored"), ("999988887777", "Started"), ("amazon", "Started")] {
        let stage = Stage::new().await.set("SOURCE_OWNERS", &format!("self,{OTHERS}")).with(|world| {
            world.behaviour.source_fields_visible = true;
            world.add_image(HERE, Image::new(HERE_FIRST, "base").owner(owner).public());
            let hardened = Image::new(AMI, "golden-1").owner(OTHERS).shared_with(ACCOUNT);
            world.add_image(THERE, hardened.copy_of(HERE_FIRST, HERE));
        });
        let answer = stage.function().await.invoke(&announced()).await.unwrap();
        assert_eq!(answer[0]["Outcome"], outcome, "{owner}: {answer}");
        let reason = answer[0]["Reason"].as_str().unwrap_or_default();
        assert_eq!(reason.contains("which belongs to this account"), owner == ACCOUNT, "{answer}");
    }
}

/// The name decides only where nothing else does.
#[tokio::test]
async fn an_ami_of_the_same_name_is_an_answer_only_to_an_announced_ami_without_an_origin_and_only_while_it_lives() {
    const ORIGIN: (&str, &str) = ("ec2:SharedTag/ami-courier:origin", "999988887777/us-west-2/ami-0fedcba9876543210");
    for (is_requested, has_origin, state, outcome) in [
        (false, false, ImageState::Available, "Ignored"),
        (true, false, ImageState::Available, "Started"),
        (false, true, ImageState::Available, "Started"),
        (false, false, ImageState::Failed, "Started"),
    ] {
        let stage = Stage::new().await.set("SOURCE_OWNERS", &format!("self,{OTHERS}")).with(|world| {
            world.add_image(HERE, Image::new("ami-0000000000000b001", "golden-1").state(state));
            let source = Image::new(AMI, "golden-1").owner(OTHERS).shared_with(ACCOUNT);
            world.add_image(THERE, if has_origin { source.tag(ORIGIN.0, ORIGIN.1) } else { source });
        });
        let function = stage.function().await;
        let answer = if is_requested {
            json!([function.invoke(&request(AMI, "golden-1")).await.unwrap()])
        } else {
            function.invoke(&announced()).await.unwrap()
        };
        assert_eq!(answer[0]["Outcome"], outcome, "{is_requested} {has_origin} {state}: {answer}");
    }
}
