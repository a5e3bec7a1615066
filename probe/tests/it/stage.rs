//! The scene of every test: an embedded AWS, whose time passes when the probe waits.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::OpenOptions;
use std::future::ready;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use local::aws::{ACCOUNT, Aws, START, World};
use probe::assumption::{ASSUMPTIONS, Assumption};
use probe::aws::{Aws as Asked, BoxFuture, Clock, Stop};
use probe::lab::{Lab, Plan};
use probe::run::{Answered, ask, clean_up};
use serde_json::{Value, json};

pub const REGION: &str = "eu-west-1";
pub const SOURCE_REGION: &str = "us-east-1";

/// Changes the world behind EC2's back, whenever the probe looks at the clock.
pub type Trick = fn(&mut World);

/// The world's clock: waiting advances it.
pub struct WorldClock {
    aws: Aws,
    trick: Mutex<Option<Trick>>,
}

impl fmt::Debug for WorldClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorldClock")
    }
}

impl WorldClock {
    fn play_trick(&self, world: &mut World) {
        if let Some(trick) = *self.trick.lock().unwrap_or_else(PoisonError::into_inner) {
            trick(world);
        }
    }
}

impl Clock for WorldClock {
    fn elapsed(&self) -> Duration {
        let mut world = self.aws.world();
        self.play_trick(&mut world);
        (world.now() - START).try_into().expect("the clock runs forwards")
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        let mut world = self.aws.world();
        world.advance(duration);
        self.play_trick(&mut world);
        Box::pin(ready(()))
    }
}

pub struct Stage {
    pub aws: Aws,
    pub stop: Stop,
    clock: Arc<WorldClock>,
}

impl Stage {
    pub async fn new() -> Self {
        let aws = Aws::start().await.expect("a free port on loopback");
        let clock = Arc::new(WorldClock { aws: aws.clone(), trick: Mutex::default() });
        Stage { aws, clock, stop: Stop::default() }
    }

    /// Changes the world before the run.
    pub fn with(self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.aws.world());
        self
    }

    pub fn trick(self, trick: Option<Trick>) -> Self {
        *self.clock.trick.lock().unwrap_or_else(PoisonError::into_inner) = trick;
        self
    }

    /// AWS as the probe sees it.
    pub fn asked(&self) -> Asked {
        Asked::on_loopback(&self.aws.endpoint(), REGION, self.clock.clone(), self.stop.clone())
            .expect("root certificates")
    }

    /// A laboratory with so many equal copies.
    pub fn lab(&self, copies: usize) -> Lab {
        let plan = Plan {
            region: REGION.to_owned(),
            source_region: SOURCE_REGION.to_owned(),
            copies,
            run: "0123456789ab".to_owned(),
            verbose: false,
        };
        Lab::new(self.asked(), plan)
    }

    /// Asks these questions, and removes everything.
    pub async fn ask(&self, copies: usize, assumptions: &[Assumption]) -> Vec<Answered> {
        let lab = self.lab(copies);
        let answers = ask(&lab, assumptions, |_| {}).await;
        let cleaned = clean_up(&lab).await;
        assert!(cleaned.left.is_empty(), "{cleaned}");
        self.keep_calls();
        answers
    }

    /// Keeps the calls, one JSON line each, for the proof that the printed policy allows them all and no more: `tests/stack`.
    fn keep_calls(&self) {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("probe-calls.jsonl");
        let mut lines = BTreeSet::new();
        for call in self.aws.world().calls() {
            let targets: Vec<Value> =
                call.target_tags.iter().map(|(id, tags)| json!({ "id": id, "owner": ACCOUNT, "tags": tags })).collect();
            lines.insert(
                json!({
                    "service": call.service, "action": call.action, "region": call.region, "account": call.account,
                    "by_role": call.access_key_id.starts_with("ASIA"), "parameters": call.parameters, "targets": targets,
                })
                .to_string(),
            );
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the target directory");
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        file.write_all(text.as_bytes()).expect("the record is written");
    }

    /// Every AMI, snapshot and usage report in both Regions, by id; every role, rule, queue and parameter.
    pub fn inventory(&self) -> Vec<String> {
        let world = self.aws.world();
        [REGION, SOURCE_REGION]
            .into_iter()
            .flat_map(|region| {
                let images = world.images(region).into_iter().map(|image| image.id);
                images.chain(world.snapshots(region)).chain(world.usage_report_ids(region)).collect::<Vec<_>>()
            })
            .chain(world.role_policies().into_iter().map(|(name, _)| name))
            .chain(world.rule_names())
            .chain(world.queue_urls())
            .chain(world.parameter_names().into_iter().map(|(_, name)| name))
            .collect()
    }
}

/// The question of this name.
pub fn question(name: &str) -> Assumption {
    *ASSUMPTIONS.iter().find(|assumption| assumption.name == name).unwrap_or_else(|| panic!("no question {name}"))
}
