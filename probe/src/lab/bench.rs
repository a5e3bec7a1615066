//! The laboratory: the AWS that is asked, the plan, what lies on the bench, and the ledger of what the run made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::types::{Image, ResourceType, Tag, TagSpecification};
use courier_core::identity::Region;
use courier_core::image::tag::SKIP;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::aws::{Aws, BoxFuture, CallError};

/// The key of the tag on everything that a run makes; its value is the run's id.
pub const RUN_TAG: &str = "ami-courier-probe";
/// What every rule and queue of a run begins with; the run's id follows.
pub const NAME_PREFIX: &str = "ami-courier-probe-";
/// The path of the role of `--permissions`, and of the parameter that it publishes; the run's id follows. It is `ParameterName` and
/// `SourceParameterPath` of the template.
pub const PATH: &str = "/ami-courier-probe/";
/// The name of the role's policy.
pub const ROLE_POLICY: &str = "ami-courier";
/// A tag that other accounts can see.
pub(crate) const SHARED_TAG: &str = "ec2:SharedTag/ami-courier-probe";
/// The design's bound: a new AMI is visible after this time at the latest.
pub const VISIBLE_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The Region that is asked: copies are made here.
    pub region: String,
    /// The Region of the source AMI.
    pub source_region: String,
    /// How many copies the time until a copy is visible is taken from.
    pub copies: usize,
    /// The id of the run.
    pub run: String,
    /// Whether to print each step to stderr.
    pub verbose: bool,
}

impl Plan {
    /// The partition of the Regions, for ARNs.
    pub fn partition(&self) -> &'static str {
        self.region.parse::<Region>().map_or("aws", |region| region.partition())
    }
}

/// What a run makes, in the order in which it is removed: a snapshot that an AMI uses cannot be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Role,
    Parameter,
    Rule,
    Queue,
    UsageReport,
    Image,
    Snapshot,
}

/// What the run made and did not remove yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Kind, Region, and id, name or URL; with the time at which AWS answered.
    pub known: BTreeMap<(Kind, String, String), Duration>,
    /// The ids of what was removed: a token may name an AMI again, and SQS can list a queue for a minute more.
    pub removed: BTreeSet<String>,
    /// Of which kinds there may be something.
    pub kinds: BTreeSet<Kind>,
    /// Whether a call that makes something had no answer: there may be more than is known.
    pub is_uncertain: bool,
}

impl Made {
    /// What runs that nobody remembers may have made.
    pub fn unknown() -> Self {
        use Kind::{Image, Parameter, Queue, Role, Rule, Snapshot, UsageReport};
        let kinds = [Role, Parameter, Rule, Queue, UsageReport, Image, Snapshot].into();
        Made { kinds, is_uncertain: true, ..Made::default() }
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.known.retain(|(_, _, known), _| known != id);
        self.removed.insert(id.to_owned());
    }
}

/// The source AMI.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) image_id: String,
    pub(crate) snapshot_id: String,
    /// EC2's answer when the AMI was tagged with the shared tag.
    pub(crate) shared_tag: Result<(), CallError>,
}

/// A way to look for a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Id,
    Source,
    Name,
}

/// When a kind of look showed a copy for the first time, counted from when EC2 had accepted it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sighting {
    pub(crate) last_hidden: Option<Duration>,
    pub(crate) first_shown: Option<Duration>,
}

/// A copy that EC2 accepted.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) image_id: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) accepted_at: Duration,
    /// For each way to look.
    pub(crate) sightings: [Sighting; 3],
    /// The copy as it was shown for the first time, if it was pending then.
    pub(crate) pending: Option<Image>,
}

impl Copy {
    pub(super) fn is_seen(&self, by: By) -> bool {
        self.sightings[by as usize].first_shown.is_some()
    }

    pub(super) fn note(&mut self, by: By, is_shown: bool, now: Duration) {
        let sighting = &mut self.sightings[by as usize];
        let at = if is_shown { &mut sighting.first_shown } else { &mut sighting.last_hidden };
        *at = Some(now.saturating_sub(self.accepted_at));
    }
}

/// The equal copies, with whether each way to look for them works.
#[derive(Clone, Debug)]
pub(crate) struct Copies {
    pub(crate) all: Vec<Copy>,
    pub(crate) works: [Result<(), CallError>; 3],
}

impl Copies {
    pub(super) fn are_seen(&self, by: By) -> bool {
        self.works[by as usize].is_err() || self.all.iter().all(|copy| copy.is_seen(by))
    }
}

/// A copy that was deregistered with its snapshots.
#[derive(Clone, Debug)]
pub(crate) struct DeadCopy {
    pub(crate) copy: Copy,
    pub(crate) at: Duration,
    /// EC2's `ReturnCode` for each snapshot.
    pub(crate) snapshot_codes: Vec<String>,
}

/// A copy that has ended.
#[derive(Clone, Debug)]
pub(crate) struct EndOfCopy {
    /// An error if EC2 refused the copy.
    pub(crate) image_id: Result<String, CallError>,
    /// The detail of EC2's first event about its end.
    pub(crate) event: Option<Value>,
}

/// AWS under a role with the template's policy.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) aws: Aws,
    pub(crate) account: String,
    /// The URL of the queue that the courier would have.
    pub(crate) queue: String,
    /// The URL of its dead-letter queue.
    pub(crate) dead_letters: String,
}

/// What is made once, or why it cannot be made.
#[derive(Debug)]
pub(super) struct Once<T>(OnceCell<Result<T, CallError>>);

impl<T> Once<T> {
    pub(super) async fn get(&self, make: BoxFuture<'_, Result<T, CallError>>) -> Result<&T, CallError> {
        self.0.get_or_init(|| make).await.as_ref().map_err(Clone::clone)
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Once(OnceCell::new())
    }
}

/// What lies on the bench.
#[derive(Debug, Default)]
pub(super) struct Bench {
    pub(super) source: Once<Source>,
    pub(super) copies: Once<Copies>,
    pub(super) finished: Once<Image>,
    pub(super) dead: Once<DeadCopy>,
    pub(super) failed: Once<Copy>,
    pub(super) listener: Once<String>,
    heard: Mutex<Vec<Value>>,
    pub(super) ends: Once<[EndOfCopy; 2]>,
    pub(super) role: Once<Role>,
}

impl Bench {
    /// The details of the events so far.
    pub(super) fn heard(&self) -> MutexGuard<'_, Vec<Value>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The AWS that is asked, with what this run has there.
#[derive(Debug)]
pub struct Lab {
    pub(crate) aws: Aws,
    pub(crate) plan: Plan,
    made: Mutex<Made>,
    pub(super) bench: Bench,
}

impl Lab {
    pub fn new(aws: Aws, plan: Plan) -> Self {
        Lab { aws, plan, made: Mutex::default(), bench: Bench::default() }
    }

    /// EC2 in the Region that is asked.
    pub(crate) fn ec2(&self) -> aws_sdk_ec2::Client {
        self.aws.ec2(&self.plan.region)
    }

    /// What the run made and did not remove yet.
    pub fn made(&self) -> Made {
        self.ledger().clone()
    }

    fn ledger(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a call made, by the id in its answer. Without one, there may be something that nobody knows of.
    pub(crate) fn keep(
        &self,
        kind: Kind,
        region: &str,
        answer: Result<Option<String>, impl Into<CallError>>,
    ) -> Result<String, CallError> {
        let lost = || CallError::Lost("the answer has no id".to_owned());
        let answer = answer.map_err(Into::into).and_then(|id| id.ok_or_else(lost));
        let now = self.aws.elapsed();
        let mut made = self.ledger();
        match &answer {
            Ok(id) if made.removed.contains(id) => {}
            Ok(id) => {
                made.kinds.insert(kind);
                made.known.entry((kind, region.to_owned(), id.clone())).or_insert(now);
            }
            Err(CallError::Lost(_)) => {
                made.kinds.insert(kind);
                made.is_uncertain = true;
            }
            Err(_) => {}
        }
        answer
    }

    /// Something of the run was removed.
    pub(crate) fn removed(&self, id: &str) {
        self.ledger().remove(id);
    }

    /// Waits until a time on the clock.
    pub(crate) async fn sleep_until(&self, time: Duration) -> Result<(), CallError> {
        match time.checked_sub(self.aws.elapsed()) {
            None => Ok(()),
            Some(rest) => self.aws.sleep(rest).await,
        }
    }

    pub(super) fn say(&self, step: impl fmt::Display) {
        if self.plan.verbose {
            eprintln!("{:>5} s  {step}", self.aws.elapsed().as_secs());
        }
    }

    /// The tags on everything that this run makes. The second keeps a courier in the same account away from it.
    pub(crate) fn tags(&self) -> [(&str, &str); 2] {
        [(RUN_TAG, &self.plan.run), (SKIP, "probe")]
    }

    pub(crate) fn name(&self, what: impl fmt::Display) -> String {
        format!("ami-courier-probe {} {what}", self.plan.run)
    }

    /// A client token that is this run's own.
    pub(crate) fn token(&self, what: impl fmt::Display) -> String {
        format!("{}-{what}", self.plan.run)
    }
}

pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// Tags, in this order, for what a call makes.
pub(crate) fn tagged(kind: ResourceType, tags: &[(&str, &str)]) -> TagSpecification {
    let tags = tags.iter().map(|(key, value)| tag(key, value)).collect();
    TagSpecification::builder().resource_type(kind).set_tags(Some(tags)).build()
}
