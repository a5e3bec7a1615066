//! A model of what stands between the queue and the function: SQS as Lambda's poller (the event source mapping) reads it,
//! the rules and the schedule of the stack that fill it, and time.
//!
//! The poller receives, hands batches to the real binary, deletes what was not reported as failed, and leaves the rest to
//! whatever visibility the function gave it. It delivers at least once: some messages twice at the same time, some again
//! although they were done, none in order. An invocation that fails, or an answer that Lambda would not understand,
//! deletes nothing. Now and then it kills the function, with SIGKILL, in the middle of a call.
//!
//! Time is the world's: the tests never wait. While a function works the clock stands still; when none does, it jumps to
//! the next happening.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use local::aws::{ACCOUNT, Aws, Effect, Message};
use local::host::{Ending, Host, InvokeError};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::stage::HERE;

/// How the world outside treats the messages. The default: everything arrives, once, and nobody is killed.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Whether EC2's events are put on the queue, as the rules of the stack do.
    pub hears_events: bool,
    /// Whether the rules let changes of tags and disabled AMIs through as well.
    pub hears_changes: bool,
    /// The share of those events that are lost.
    pub lost_events: f64,
    /// The share of messages that are delivered a second time at once, to another execution.
    pub delivered_twice: f64,
    /// The share of deletions that do not hold: the message is delivered again although it was done.
    pub lost_deletions: f64,
    /// The share of invocations that are killed at some call.
    pub kills: f64,
    /// The share of calls that hang at which the function is killed; else it has to see to it itself, in real time.
    pub kills_at_hang: f64,
    /// How often a sweep is put on the queue.
    pub sweep_every: Option<Duration>,
    /// The records of a batch, at most.
    pub batch_size: usize,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            hears_events: true,
            hears_changes: false,
            lost_events: 0.0,
            delivered_twice: 0.0,
            lost_deletions: 0.0,
            kills: 0.0,
            kills_at_hang: 0.0,
            sweep_every: None,
            batch_size: 10,
        }
    }
}

/// What the poller did.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Records handed over, repetitions included.
    pub deliveries: u64,
    pub invocations: u64,
    /// Invocations that failed as a whole.
    pub failed_invocations: u64,
    pub kills: u64,
    /// Invocations that Lambda refused, as the next round of a loop.
    pub loops: u64,
    pub sweeps: u64,
    pub lost_events: u64,
    pub delivered_twice: u64,
    pub lost_deletions: u64,
    /// Calls of `CopyImage` that EC2 refused because their token stands for other parameters.
    pub mismatches: u64,
    /// Calls to AWS, by action.
    pub calls: BTreeMap<String, u64>,
    /// Calls that were hit, by what hit them.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.invocations += other.invocations;
        self.failed_invocations += other.failed_invocations;
        self.kills += other.kills;
        self.loops += other.loops;
        self.sweeps += other.sweeps;
        self.lost_events += other.lost_events;
        self.delivered_twice += other.delivered_twice;
        self.lost_deletions += other.lost_deletions;
        self.mismatches += other.mismatches;
        for (action, count) in &other.calls {
            *self.calls.entry(action.clone()).or_default() += count;
        }
        for (fault, count) in &other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
    }
}

/// The poller of one queue, and the executions of the function that it feeds.
pub struct Poller {
    pub aws: Aws,
    pub habits: Habits,
    pub tally: Tally,
    queue: String,
    /// As many as run at the same time.
    executions: Vec<Arc<Host>>,
    random: Rng,
    next_sweep: OffsetDateTime,
    calls_counted: u64,
}

/// Batches under way: the execution, the messages, the answer.
type UnderWay = FuturesUnordered<BoxFuture<'static, Handled>>;
type Handled = (usize, Vec<Message>, Result<Value, InvokeError>);

impl Poller {
    /// `executions` take turns. The same seed makes the same choices.
    pub fn new(aws: &Aws, queue: &str, executions: Vec<Arc<Host>>, seed: u64) -> Self {
        Self {
            aws: aws.clone(),
            habits: Habits::default(),
            tally: Tally::default(),
            queue: queue.to_owned(),
            executions,
            random: Rng::with_seed(seed),
            next_sweep: aws.world().now(),
            calls_counted: 0,
        }
    }

    pub fn habits(mut self, habits: Habits) -> Self {
        self.habits = habits;
        self
    }

    /// From now on, these execute the function: a deployment has ended.
    pub fn deploy(&mut self, executions: Vec<Arc<Host>>) {
        self.executions = executions;
    }

    pub fn send(&self, body: &str) {
        self.aws.world().send(&self.queue, body);
    }

    /// What the schedule sends.
    pub fn send_sweep(&mut self) {
        self.tally.sweeps += 1;
        self.send(&json!({ "Sweep": {} }).to_string());
    }

    /// Works until the queue is empty and no copy is in progress: nothing more happens, but for sweeps.
    ///
    /// # Errors
    /// After `longest`: the messages that are still in the queue.
    pub async fn run_to_rest(&mut self, longest: Duration) -> Result<(), String> {
        let end = self.aws.world().now() + longest;
        if self.run(Some(end)).await {
            return Ok(());
        }
        let world = self.aws.world();
        let left: Vec<String> = world
            .messages(&self.queue)
            .into_iter()
            .take(5)
            .map(|message| format!("received {} times: {}", message.receive_count, message.body))
            .collect();
        Err(format!(
            "no rest after {longest:?}; the next thing happens at {:?}; in the queue: {left:#?}",
            world.next_happening()
        ))
    }

    /// Works until the world's clock shows `at`, at rest or not.
    pub async fn run_until(&mut self, at: OffsetDateTime) {
        self.run(Some(at)).await;
        let mut world = self.aws.world();
        let now = world.now();
        world.advance((at - now).try_into().unwrap_or_default());
    }

    /// Whether it came to rest.
    async fn run(&mut self, end: Option<OffsetDateTime>) -> bool {
        let mut under_way: UnderWay = FuturesUnordered::new();
        let mut backlog: Vec<Message> = Vec::new();
        let mut idle: Vec<usize> = (0..self.executions.len()).collect();
        loop {
            self.hear();
            self.fetch(&mut backlog, idle.len());
            while !backlog.is_empty()
                && let Some(execution) = idle.pop()
            {
                let size = self.random.usize(1..=self.habits.batch_size).min(backlog.len());
                let batch: Vec<Message> = backlog.split_off(backlog.len() - size);
                under_way.push(self.hand_over(execution, batch));
            }
            if let Some((execution, batch, answer)) = under_way.next().await {
                idle.push(execution);
                self.settle(&batch, answer);
                self.count_calls();
                continue;
            }
            let now = self.aws.world().now();
            if end.is_some_and(|end| now >= end) {
                return false;
            }
            match self.next_moment(now) {
                Some(next) => self
                    .aws
                    .world()
                    .advance((end.map_or(next, |end| next.min(end)) - now).try_into().unwrap_or_default()),
                None => return true,
            }
        }
    }

    /// When something happens next; `None` when nothing more happens.
    fn next_moment(&mut self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let (happening, visible) = {
            let world = self.aws.world();
            (world.next_happening(), world.next_visible(&self.queue))
        };
        let next = happening.into_iter().chain(visible).min()?;
        let Some(every) = self.habits.sweep_every else { return Some(next) };
        if self.next_sweep <= now {
            self.send_sweep();
            self.next_sweep = now + every;
            return Some(now);
        }
        Some(next.min(self.next_sweep))
    }

    /// The rules of the stack: AMIs of the source Regions that became available or were deregistered, and AMIs of this
    /// Region that became available or failed. With `hears_changes`, also AMIs of the source Regions that were disabled or tagged.
    fn hear(&mut self) {
        let mut world = self.aws.world();
        for event in world.take_events() {
            let states: &[&str] =
                if event["region"] == HERE { &["available", "failed"] } else { &["available", "deregistered"] };
            let is_of_state = event["detail-type"] == "EC2 AMI State Change"
                && states.iter().any(|state| event["detail"]["State"] == *state);
            let is_change = event["region"] != HERE
                && (event["detail"]["State"] == "disabled" || event["detail"]["resource-type"] == "image");
            let is_heard = self.habits.hears_events && (is_of_state || (self.habits.hears_changes && is_change));
            if !is_heard {
                continue;
            }
            if self.random.f64() < self.habits.lost_events {
                self.tally.lost_events += 1;
            } else {
                world.send(&self.queue, &event.to_string());
            }
        }
    }

    /// Receives enough for the idle executions, and mixes it up.
    fn fetch(&mut self, backlog: &mut Vec<Message>, idle: usize) {
        let wanted = (idle * self.habits.batch_size).saturating_sub(backlog.len());
        if wanted == 0 {
            return;
        }
        let received = self.aws.world().receive(&self.queue, wanted);
        for message in received {
            if self.random.f64() < self.habits.delivered_twice {
                self.tally.delivered_twice += 1;
                backlog.push(message.clone());
            }
            backlog.push(message);
        }
        self.random.shuffle(backlog);
    }

    fn hand_over(&mut self, execution: usize, mut batch: Vec<Message>) -> BoxFuture<'static, Handled> {
        // A message that is delivered twice comes in two batches.
        batch.sort_by(|a, b| a.id.cmp(&b.id));
        batch.dedup_by(|a, b| a.id == b.id);
        self.random.shuffle(&mut batch);
        self.tally.invocations += 1;
        self.tally.deliveries += batch.len() as u64;
        let event = json!({ "Records": batch.iter().map(|message| record(&self.queue, message)).collect::<Vec<_>>() });
        let host = Arc::clone(&self.executions[execution]);
        let kill_at = (self.random.f64() < self.habits.kills).then(|| self.random.u64(1..=30));
        let at_hang = self.random.f64() < self.habits.kills_at_hang;
        let aws = self.aws.clone();
        if aws.world().is_loop(&batch) {
            self.tally.loops += 1;
            return std::future::ready((execution, batch, Err(InvokeError::RecursiveLoop))).boxed();
        }
        async move {
            let answer = tokio::select! {
                answer = host.invoke(&event) => answer,
                // A dropped invocation kills its process.
                () = moment_to_kill(&aws, kill_at, at_hang) => Err(InvokeError::Died(Ending { status: None })),
            };
            (execution, batch, answer)
        }
        .boxed()
    }

    /// What Lambda does with an answer.
    fn settle(&mut self, batch: &[Message], answer: Result<Value, InvokeError>) {
        self.tally.kills += u64::from(matches!(answer, Err(InvokeError::Died(_))));
        let Some(failed) = answer.ok().and_then(|answer| failures(&answer, batch)) else {
            self.tally.failed_invocations += 1;
            return;
        };
        let mut world = self.aws.world();
        for message in batch.iter().filter(|message| !failed.contains(&message.id)) {
            if self.random.f64() < self.habits.lost_deletions {
                self.tally.lost_deletions += 1;
            } else {
                world.delete(&self.queue, &message.receipt_handle);
            }
        }
    }

    fn count_calls(&mut self) {
        let mut world = self.aws.world();
        for call in world.calls_since(self.calls_counted) {
            *self.tally.calls.entry(call.action.clone()).or_default() += 1;
            self.tally.mismatches += u64::from(call.code.as_deref() == Some("IdempotentParameterMismatch"));
            if let Some(fault) = &call.fault {
                *self.tally.faults.entry(name_of(fault)).or_default() += 1;
            }
        }
        self.calls_counted = world.calls_made();
        // A long run makes a million calls.
        if world.calls().len() > 5_000 {
            world.forget_calls();
        }
    }
}

/// Returns at the n-th call from now on, or (`at_hang`) at one that hangs, before it took effect or after; perhaps never.
async fn moment_to_kill(aws: &Aws, nth_call: Option<u64>, at_hang: bool) {
    if nth_call.is_none() && !at_hang {
        return std::future::pending().await;
    }
    let before = aws.world().calls_made();
    loop {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let world = aws.world();
        let is_nth = nth_call.is_some_and(|nth| world.calls_made() >= before + nth);
        if is_nth || (at_hang && world.calls_since(before).iter().any(hangs)) {
            return;
        }
    }
}

/// Whether a call is under way that a fault makes slow.
pub fn hangs(call: &local::aws::Call) -> bool {
    call.status == 0 && matches!(call.fault, Some(Effect::Slow(_) | Effect::SlowAfterEffect(_)))
}

fn name_of(fault: &Effect) -> &'static str {
    match fault {
        Effect::Error(_) => "5xx before the effect",
        Effect::ErrorAfterEffect(_) => "5xx after the effect",
        Effect::Throttle => "throttled",
        Effect::DropConnection => "reset before the effect",
        Effect::DropAfterEffect => "reset after the effect",
        Effect::Slow(_) => "no answer in time, no effect",
        Effect::SlowAfterEffect(_) => "no answer in time, after the effect",
        Effect::FailEntries { .. } | Effect::FailEntry { .. } => "entries failed",
    }
}

/// A message as the poller writes it into the event.
pub fn record(queue: &str, message: &Message) -> Value {
    let name = queue.rsplit('/').next().unwrap_or_default();
    let milliseconds = |at: OffsetDateTime| (at.unix_timestamp() * 1000).to_string();
    let mut record = json!({
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": message.receive_count.to_string(),
            "SentTimestamp": milliseconds(message.sent_at),
            "SenderId": "AIDAEXAMPLE",
            "ApproximateFirstReceiveTimestamp": milliseconds(message.first_received_at.unwrap_or(message.sent_at)),
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{HERE}:{ACCOUNT}:{name}"),
        "awsRegion": HERE,
    });
    if let Some(trace) = &message.trace {
        record["attributes"]["AWSTraceHeader"] = trace.as_str().into();
    }
    record
}

/// The message ids that an answer reports as failed; `None` where Lambda takes the whole batch for failed.
pub fn failures(answer: &Value, batch: &[Message]) -> Option<Vec<String>> {
    let fields = match answer {
        Value::Null => return Some(Vec::new()),
        answer => answer.as_object()?,
    };
    let failures = match fields.get("batchItemFailures") {
        None if fields.is_empty() => return Some(Vec::new()),
        None => return None,
        Some(Value::Null) => return Some(Vec::new()),
        Some(failures) => failures.as_array()?,
    };
    let known = |failure: &Value| {
        let id = failure.as_object()?.get("itemIdentifier")?.as_str()?;
        batch.iter().any(|message| message.id == id).then(|| id.to_owned())
    };
    failures.iter().map(known).collect()
}

#[test]
fn an_answer_that_lambda_does_not_understand_deletes_nothing() {
    let mut world = local::aws::World::default();
    let queue = world.add_queue(HERE, "announcements", local::aws::Queue::default());
    let ids = [world.send(&queue, "1"), world.send(&queue, "2")];
    let batch = world.receive(&queue, 10);
    let item = |id: &str| json!({ "itemIdentifier": id });
    for all_done in [json!(null), json!({}), json!({ "batchItemFailures": null }), json!({ "batchItemFailures": [] })] {
        assert_eq!(failures(&all_done, &batch), Some(Vec::new()), "{all_done}");
    }
    assert_eq!(failures(&json!({ "batchItemFailures": [item(&ids[1])] }), &batch), Some(vec![ids[1].clone()]));
    for all_failed in [
        json!([]),
        json!("done"),
        json!({ "failures": [] }),
        json!({ "batchItemFailures": [{ "itemIdentifer": ids[0] }] }),
        json!({ "batchItemFailures": [item("")] }),
        json!({ "batchItemFailures": [item("of another batch")] }),
        json!({ "batchItemFailures": [{ "itemIdentifier": null }] }),
    ] {
        assert_eq!(failures(&all_failed, &batch), None, "{all_failed}");
    }
}
