//! The torture test: announcements of every kind, through a queue that repeats and reorders, to a function that is killed,
//! on an AWS that fails at random; and an exact check of the world in the end.
//!
//! A round follows from its seed: who appears, what is announced when, which calls fail and how, when the function is
//! killed. (Only the jitter of the function's own back-off does not.) A round that fails prints its seed.
//!
//! - `cargo test`: some small rounds; `TORTURE_ROUNDS=300` for more.
//! - `TORTURE_STACK=9 TORTURE_ROUNDS=3000 cargo test --test it torture`: of these, the rounds of one stack in `setting`.
//! - `TORTURE_SEED=17 cargo test --test it torture -- --nocapture`: that round again.
//! - `TORTURE_ANNOUNCEMENTS=10000 TORTURE_FAULTS=0.3 cargo test --test it torture -- --nocapture`: a long run.

#![allow(clippy::match_same_arms, reason = "shares of a hundred, in the order in which they count")]
#![allow(clippy::struct_excessive_bools, reason = "what may go wrong in a setting, each for itself")]
#![allow(clippy::unused_self, reason = "a setting makes its world, whatever it needs of itself for it")]

mod cast;
mod in_step;
mod setting;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use courier_core::settings::Settings;
use fastrand::Rng;
use local::aws::{Aws, Caller, Image, ImageState, Reference, START, World};
use local::host::Host;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use crate::poller::{Poller, Tally};
use crate::stage::HERE;
use cast::{Act, Case, End, cast};
use in_step::not_in_step;
use setting::{DEAD_LETTERS, FRIEND, QUEUE, Roles, SETTINGS, Setting, chaos};
use verdict::verdict;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// More than an AMI needs whose copies fail at first, and more than a day of them.
const MOST_SWEEPS: usize = 100;
/// More than copies that fail at first need.
const PATIENCE_OF_AN_OPERATOR: usize = 7;

/// How a run is made.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The first round's seed; the others count on from it.
    seed: u64,
    rounds: u64,
    /// Only the rounds of this stack, by its place in [`SETTINGS`].
    stack: Option<u64>,
    /// Of a round; with `None` a few, as the seed says.
    announcements: Option<u64>,
    /// The share of calls that fail; with `None` as the seed says.
    faults: Option<f64>,
    /// Rounds at the same time, each with its own AWS.
    lanes: usize,
    /// Executions of the function at the same time, in each round.
    executions: usize,
    /// How often the function makes a call before it takes it for failed. One shows the most, three are the SDK's default.
    attempts: u8,
}

impl Plan {
    fn is_of_stack(&self, seed: u64) -> bool {
        self.stack.is_none_or(|stack| seed % SETTINGS.len() as u64 == stack)
    }
}

/// What a run was made of.
#[derive(Default)]
struct Sum {
    rounds: u64,
    announcements: u64,
    copies: u64,
    dead_letters: u64,
    simulated: Duration,
    ends: BTreeMap<&'static str, u64>,
    tally: Tally,
    failures: Vec<String>,
}

#[test]
fn nothing_is_lost_and_nothing_doubled_whatever_fails() {
    let number = |variable: &str| std::env::var(variable).ok().map(|text| text.parse::<f64>().expect("a number"));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let count = |variable: &str| number(variable).map(|number| number as u64);
    let few = Plan {
        seed: 1,
        rounds: 200,
        stack: count("TORTURE_STACK"),
        announcements: None,
        faults: number("TORTURE_FAULTS"),
        lanes: 20,
        executions: 2,
        attempts: 1,
    };
    let plan = match (count("TORTURE_SEED"), count("TORTURE_ANNOUNCEMENTS")) {
        (Some(seed), None) => Plan { seed, rounds: 1, ..few },
        (seed, Some(announcements)) => {
            let of_a_round = announcements.min(100);
            Plan {
                seed: seed.unwrap_or(1),
                rounds: announcements.div_ceil(of_a_round),
                announcements: Some(of_a_round),
                // Time-outs and the SDK's own pauses take real time, not work.
                lanes: 104,
                executions: 2,
                attempts: 3,
                ..few
            }
        }
        (None, None) => Plan { rounds: count("TORTURE_ROUNDS").unwrap_or(few.rounds), ..few },
    };
    let began = Instant::now();
    let sum = run(plan);
    println!("{}", told(&sum, began.elapsed()));
    assert!(sum.failures.is_empty(), "{}", sum.failures.join("\n"));
    let seeds = plan.seed..plan.seed + plan.rounds;
    assert_eq!(sum.rounds, seeds.filter(|seed| plan.is_of_stack(*seed)).count() as u64);
}

/// Each lane has a stack of its own, and takes the next seed of that stack until there is none.
fn run(plan: Plan) -> Sum {
    let stacks = SETTINGS.len() as u64;
    let first = (plan.seed..plan.seed + stacks).filter(|seed| plan.is_of_stack(*seed));
    let next: Vec<AtomicU64> = first.map(AtomicU64::new).collect();
    let lane = &|lane: usize| {
        let next = &next[lane % next.len()];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let aws = Aws::start().await.expect("a free port on loopback");
            let mut executions: Vec<Arc<Host>> = Vec::new();
            let mut sum = Sum::default();
            loop {
                let seed = next.fetch_add(stacks, Ordering::Relaxed);
                if seed >= plan.seed + plan.rounds {
                    return sum;
                }
                if executions.is_empty() {
                    executions = setting_of(seed).start(&aws, plan.executions, plan.attempts).await;
                }
                round(seed, plan, &aws, executions.clone(), &mut sum).await;
            }
        })
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..plan.lanes).map(|number| scope.spawn(move || lane(number))).collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane does not panic")).fold(Sum::default(), Sum::with)
    })
}

fn setting_of(seed: u64) -> &'static Setting {
    let stacks = SETTINGS.len() as u64;
    &SETTINGS[usize::try_from(seed % stacks).expect("a few")]
}

/// One round: from an empty world to the verdict.
async fn round(seed: u64, plan: Plan, aws: &Aws, executions: Vec<Arc<Host>>, sum: &mut Sum) {
    let mut random = Rng::with_seed(seed);
    let setting = setting_of(seed);
    let count = plan.announcements.unwrap_or_else(|| random.u64(2..=6));
    let faults = plan.faults.unwrap_or_else(|| *random.choice(&[0.0, 0.1, 0.2, 0.3]).expect("a choice"));
    let (cases, bystanders) = {
        let mut world = setting.world(&mut random);
        if plan.announcements.is_some() {
            world.behaviour.copies_in_progress_limit = 20;
            world.behaviour.page_size = 20;
            // With so many AMIs, sweeps need more room to come to an end.
            world.behaviour.messages_counted_too_many = world.behaviour.messages_counted_too_many.min(900);
        }
        let cases: Vec<Case> = (1..=count).map(|number| cast(number, setting, &mut random, &mut world)).collect();
        let bystanders: BTreeSet<String> = world.images(HERE).into_iter().map(|image| image.id).collect();
        // A call is made once here. Where every third one fails, a look of ten pages would hardly ever succeed, and a message has 200
        // deliveries.
        if faults > 0.25 {
            world.behaviour.page_size = world.behaviour.page_size.max(4);
        }
        world.chaos(chaos(setting, seed, faults));
        *aws.world() = world;
        (cases, bystanders)
    };
    let mut poller = Poller::new(aws, QUEUE, executions.clone(), seed).habits(setting.habits(&mut random));
    // Lambda counts a batch as its longest chain, so the stack allows loops. With a message at a time, the courier's own bound is enough.
    if poller.habits.batch_size == 1 {
        aws.world().behaviour.invocations_in_a_chain = Some(16);
    }
    let is_deployed = !setting.deploying.is_empty() && random.bool();
    let settings = setting.settings(is_deployed);
    let deployed: Vec<Arc<Host>> = executions.iter().skip(usize::from(is_deployed)).step_by(2).cloned().collect();
    let peace =
        Peace { executions: if setting.deploying.is_empty() { executions } else { deployed }, settings: &settings };
    let played = play(&mut poller, &cases, setting, &peace).await;
    let world = aws.world();
    let mut wrong = verdict(&cases, setting, &settings, &bystanders, &world);
    match played {
        Ok(out_of_step) => wrong.extend(out_of_step),
        Err(unrest) => wrong.push(unrest),
    }
    if setting.deploying.is_empty() && poller.tally.mismatches > 0 {
        wrong.push(format!("{} calls have the token of a call with other parameters", poller.tally.mismatches));
    }
    if poller.tally.loops > 0 {
        wrong.push(format!("Lambda took messages of the courier for a loop {} times", poller.tally.loops));
    }
    sum.rounds += 1;
    sum.announcements += count;
    sum.copies += world.images(HERE).len() as u64 - bystanders.len() as u64;
    sum.dead_letters += world.messages(DEAD_LETTERS).len() as u64;
    sum.simulated += Duration::try_from(world.now() - START).unwrap_or_default();
    for case in &cases {
        *sum.ends.entry(case.what).or_default() += 1;
    }
    sum.tally.add(&poller.tally);
    if plan.announcements.is_some() {
        eprintln!(
            "seed {seed}: {count} announcements, {} calls of AWS, {} faults in the promise",
            poller.tally.calls.values().sum::<u64>(),
            wrong.len()
        );
    }
    if !wrong.is_empty() {
        let wrong = wrong.join("\n  ");
        sum.failures.push(format!(
            "TORTURE_SEED={seed} ({count} announcements, {faults} faults) broke the promise:\n  {wrong}"
        ));
    }
}

/// What a round ends with, when nobody changes anything any more.
struct Peace<'a> {
    /// All with the same settings.
    executions: Vec<Arc<Host>>,
    settings: &'a Settings,
}

/// Lets everything happen at its time, first among faults, then without, until nothing changes any more. Returns what was not in step
/// after one sweep in peace.
async fn play(
    poller: &mut Poller,
    cases: &[Case],
    setting: &Setting,
    peace: &Peace<'_>,
) -> Result<Vec<String>, String> {
    let mut out_of_step = Vec::new();
    let mut story: Vec<(Duration, &Case, &Act)> =
        cases.iter().flat_map(|case| case.story.iter().map(move |(at, act)| (*at, case, act))).collect();
    story.sort_by_key(|(at, _, _)| *at);
    for (at, case, act) in story {
        poller.run_until(START + at).await;
        perform(case, act, &mut poller.aws.world());
    }
    if setting.sweeps_once {
        poller.send_sweep();
    }
    if setting.roles != Roles::Changing {
        let now = poller.aws.world().now();
        poller.run_until(now + 3 * HOUR).await;
    }
    // From here on, sweeps come one at a time: an AMI whose copies always fail would keep them busy for ever.
    poller.habits.sweep_every = None;
    poller.run_to_rest(30 * DAY).await?;
    poller.aws.world().clear_faults();
    poller.habits.kills = 0.0;
    poller.deploy(peace.executions.clone());
    if setting.roles == Roles::Changing {
        poller.habits.lost_events = 0.0;
        // By then, everybody sees the last change.
        poller.aws.world().advance(22 * MINUTE);
        poller.send_sweep();
        poller.run_to_rest(2 * DAY).await?;
        let told = |what| format!("after one sweep in peace, {what}");
        out_of_step = not_in_step(peace.settings, &poller.aws.world()).into_iter().map(told).collect();
    }
    if setting.retires {
        // One sweep marks a copy. A day later, another one orders a report on its use, and one more reads it. What a report
        // shows is a day old.
        for _ in 0..3 {
            for pause in [DAY, HOUR] {
                poller.send_sweep();
                poller.run_to_rest(2 * DAY).await?;
                poller.aws.world().advance(pause);
            }
        }
    }
    if setting.sweeps {
        // What was left for the sweep. One with little room may announce only what is refused for good, and change nothing: where the next
        // ones begin, all have their turn within a day.
        let enough = if setting.room.is_some() { 25 } else { 1 };
        let mut in_vain = 0;
        for _ in 0..MOST_SWEEPS {
            let before = picture(cases, &poller.aws.world());
            poller.aws.world().advance(HOUR);
            poller.send_sweep();
            poller.run_to_rest(2 * DAY).await?;
            in_vain = if picture(cases, &poller.aws.world()) == before { in_vain + 1 } else { 0 };
            if in_vain == enough {
                return Ok(out_of_step);
            }
        }
        return Err("every sweep still changes something".to_owned());
    }
    // What was left for an operator, who sends back what failed.
    for _ in 0..PATIENCE_OF_AN_OPERATOR {
        poller.aws.world().advance(HOUR);
        send_back(&mut poller.aws.world());
        poller.run_to_rest(2 * DAY).await?;
    }
    Ok(out_of_step)
}

fn perform(case: &Case, act: &Act, world: &mut World) {
    let (region, id) = case.source.as_ref().map(|(region, id)| (region.as_str(), id.as_str())).unwrap_or_default();
    match act {
        Act::Announce(body) => {
            world.send(QUEUE, body);
        }
        Act::Complete => {
            if let Some(image) = world.image_mut(region, id) {
                image.state = ImageState::Available;
            }
        }
        Act::Deregister => {
            world.deregister(region, id);
        }
        Act::Restore => {
            world.restore_image(region, id);
        }
        Act::Disable => change(world, region, "DisableImage", id),
        Act::Enable => change(world, region, "EnableImage", id),
        Act::DeregisterCopy => {
            for copy in copies_of(id, world) {
                let caller = Caller::in_region(HERE);
                let parameters = json!({ "ImageId": copy, "DeleteAssociatedSnapshots": "true" });
                // One that EC2 does not show yet cannot be deregistered.
                let _ = world.call(&caller, "ec2", "DeregisterImage", &parameters);
            }
        }
        Act::CompleteByHand(copy) => {
            if let Some(copy) = world.image_mut(HERE, copy) {
                copy.state = ImageState::Available;
            }
        }
        Act::GiveUpByHand(copy) => {
            let parameters = json!({ "ImageId": copy, "DeleteAssociatedSnapshots": "true" });
            world.call(&Caller::in_region(HERE), "ec2", "DeregisterImage", &parameters).expect("it is there");
        }
        Act::TagSource(key, value) => tag(world, region, id, key, value.as_deref()),
        Act::TagCopy(key, value) => {
            for copy in copies_of(id, world) {
                tag(world, HERE, &copy, key, value.as_deref());
            }
        }
        Act::Describe(text) => modify(world, region, id, "Description.Value", text),
        Act::RequireImdsV2 => modify(world, region, id, "ImdsSupport.Value", "v2.0"),
        Act::Deprecate(after) => {
            let at = (world.now() + *after).format(&Rfc3339).expect("a time");
            let parameters = json!({ "ImageId": id, "DeprecateAt": at });
            let _ = world.call(&Caller::in_region(region), "ec2", "EnableImageDeprecation", &parameters);
        }
        Act::HoldByHand(name) => {
            for copy in copies_of(id, world) {
                world.set_parameter(HERE, name, &copy, "aws:ec2:image");
            }
        }
        Act::BuildIn(region, image) => {
            world.add_image(region, (**image).clone());
        }
        Act::Build(image) => {
            world.add_image(region, (**image).clone());
        }
        Act::FriendUsesCopy => {
            for copy in copies_of(id, world) {
                world.use_image(HERE, &copy, FRIEND, "ec2:Instance", 2);
            }
        }
        Act::FriendStops => {
            for copy in copies_of(id, world) {
                world.stop_using_image(HERE, &copy, FRIEND);
            }
        }
        Act::UseCopy => {
            for copy in copies_of(id, world) {
                let arn = "arn:aws:ec2:eu-west-1:123456789012:instance/i-1".to_owned();
                let instance = Reference { resource_type: "ec2:Instance".to_owned(), arn, newer_versions: 0 };
                if let Some(copy) = world.image_mut(HERE, &copy) {
                    copy.referenced_by.push(instance);
                }
            }
        }
    }
}

fn copies_of(source: &str, world: &World) -> Vec<String> {
    let is_copy = |image: &Image| image.source_image_id.as_deref() == Some(source);
    world.images(HERE).into_iter().filter(is_copy).map(|copy| copy.id).collect()
}

/// Sets a tag, or removes it.
fn tag(world: &mut World, region: &str, id: &str, key: &str, value: Option<&str>) {
    let caller = Caller::in_region(region);
    let _ = match value {
        // An AMI that EC2 does not show yet cannot be tagged.
        Some(value) => world.call(
            &caller,
            "ec2",
            "CreateTags",
            &json!({ "ResourceId.1": id, "Tag.1.Key": key, "Tag.1.Value": value }),
        ),
        None => world.call(&caller, "ec2", "DeleteTags", &json!({ "ResourceId.1": id, "Tag.1.Key": key })),
    };
}

fn modify(world: &mut World, region: &str, id: &str, attribute: &str, value: &str) {
    let parameters = json!({ "ImageId": id, attribute: value });
    // A disabled AMI cannot be changed.
    let _ = world.call(&Caller::in_region(region), "ec2", "ModifyImageAttribute", &parameters);
}

fn change(world: &mut World, region: &str, action: &str, id: &str) {
    let caller = Caller::in_region(region);
    world.call(&caller, "ec2", action, &json!({ "ImageId": id })).expect("the owner may do that");
}

/// What an operator does with dead letters about failed copies: `aws sqs start-message-move-task`.
fn send_back(world: &mut World) {
    for letter in world.receive(DEAD_LETTERS, usize::MAX) {
        let code = letter.attributes.get("Code").and_then(|code| code.string_value.as_deref());
        if matches!(code, Some("CopyFailed" | "TriesSpent" | "LooksSpent")) {
            world.delete(DEAD_LETTERS, &letter.receipt_handle);
            world.send(QUEUE, &letter.body);
        }
    }
}

/// What exists in this Region, to see whether a sweep changed it. Copies that fail for ever are tried in every epoch.
fn picture(cases: &[Case], world: &World) -> BTreeSet<String> {
    let fails: Vec<&str> = cases
        .iter()
        .filter(|case| case.end == End::Failed)
        .filter_map(|case| case.source.as_ref().map(|(_, id)| id.as_str()))
        .collect();
    let images = world.images(HERE).into_iter();
    let images = images.filter(|image| !image.source_image_id.as_deref().is_some_and(|id| fails.contains(&id)));
    let images = images.map(|image| format!("{} {} {:?}", image.id, image.state, image.tags));
    let letters = world
        .messages(DEAD_LETTERS)
        .into_iter()
        .map(|letter| format!("{} {:?}", letter.body, letter.attributes))
        .filter(|letter| !fails.iter().any(|id| letter.contains(id)));
    images.chain(letters).collect()
}

impl Sum {
    fn with(mut self, other: Self) -> Self {
        self.rounds += other.rounds;
        self.announcements += other.announcements;
        self.copies += other.copies;
        self.dead_letters += other.dead_letters;
        self.simulated += other.simulated;
        self.failures.extend(other.failures);
        self.tally.add(&other.tally);
        for (what, count) in other.ends {
            *self.ends.entry(what).or_default() += count;
        }
        self
    }
}

/// The tally, for people.
fn told(sum: &Sum, took: Duration) -> String {
    let Sum { rounds, announcements, copies, dead_letters, simulated, ends, tally, failures } = sum;
    let calls: u64 = tally.calls.values().sum();
    let faults: u64 = tally.faults.values().sum();
    let mut text = String::new();
    let days = simulated.as_secs_f64() / DAY.as_secs_f64();
    let _ = writeln!(
        text,
        "{announcements} AMIs announced in {rounds} rounds: {copies} copies, {dead_letters} dead letters, {} rounds failed",
        failures.len()
    );
    let _ = writeln!(
        text,
        "{} deliveries in {} invocations ({} failed as a whole, {} killed), {} sweeps; {} events lost, {} messages delivered twice, {} deletions lost",
        tally.deliveries,
        tally.invocations,
        tally.failed_invocations,
        tally.kills,
        tally.sweeps,
        tally.lost_events,
        tally.delivered_twice,
        tally.lost_deletions,
    );
    let share = 100 * faults / calls.max(1);
    let _ = writeln!(
        text,
        "{calls} calls to AWS, {faults} of them faulty ({share} %); {days:.1} days simulated in {:.0} seconds",
        took.as_secs_f64()
    );
    for (title, counts) in [("calls", listed(&tally.calls)), ("faults", listed(&tally.faults)), ("AMIs", listed(ends))]
    {
        let _ = writeln!(text, "{title}: {counts}");
    }
    text
}

fn listed<K: std::fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}
