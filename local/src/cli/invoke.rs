//! The function on one event: what it answers, and what has become of the AMIs. With `--until`, the whole life of a copy.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::options::{self, FunctionOptions};
use super::seeding::Seeding;
use super::{output, report, timeline};
use crate::aws::{ACCOUNT, Aws, Fate, Image, ImageState, Queue, World};
use crate::host::{Host, InvokeError};

/// Run the function on an event, with an AWS on loopback that has the AMIs which the event names.
///
/// Prints the answer, then the AMIs of the Regions involved. With --until the clock is moved on, EC2's own events are
/// handed to the function through a queue, as the stack does, and each step is printed with its simulated time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo run -p local -- invoke events/ec2-ami-state-change.json
  cargo run -p local -- invoke events/ec2-ami-state-change.json --set ENCRYPTED=true --set EXTRA_TAGS=team=platform
  cargo run -p local -- invoke events/ec2-ami-state-change.json --until finished --set PARAMETER_NAME=/golden/ami
  cargo run -p local -- invoke events/ec2-ami-state-change.json --until failed
  echo '{\"Sweep\":{}}' | cargo run -p local -- invoke - --set SOURCE_REGIONS=us-east-1

Exit code: 0 if the function answered (also with failed messages of a batch, which are shown) and --until was reached; else 1.")]
pub(super) struct Arguments {
    /// File with the event, or - for stdin. What is not JSON is sent as it is.
    #[arg(value_name = "EVENT.json")]
    event: PathBuf,

    /// How far to follow the copy. `failed` dooms it with a KMS key that cannot be used.
    #[arg(long, value_enum, default_value_t = Goal::Answer)]
    until: Goal,

    #[command(flatten)]
    function: FunctionOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Goal {
    /// The function has answered.
    Answer,
    /// EC2 has said that the copy is available.
    Available,
    /// The copy bears the tag ami-courier:finished.
    Finished,
    /// EC2 has said that the copy failed, and the function has dealt with it.
    Failed,
}

/// How far the clock moves when nothing is left to do at a time.
const STEP: Duration = Duration::from_secs(60);
/// How much simulated time a run may take: past any back-off and any time-based copy.
const LONGEST: time::Duration = time::Duration::hours(50);
/// How often a message is delivered before it goes to the dead-letter queue.
const MAX_RECEIVE_COUNT: u32 = 10;

/// Runs the command.
pub(super) async fn run(arguments: Arguments) -> ExitCode {
    let payload = match read(&arguments.event) {
        Ok(payload) => payload,
        Err(error) => return output::fail(format!("cannot read {}: {error}", arguments.event.display())),
    };
    let done = match &arguments.function.endpoint_url {
        None => on_embedded_aws(&arguments, &payload).await,
        Some(_) if arguments.until != Goal::Answer => {
            Err("--until needs the AWS of this command, whose clock it moves: leave out --endpoint-url".to_owned())
        }
        Some(url) => on_server(&arguments.function, url, &payload).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => output::fail(reason),
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut payload = Vec::new();
        std::io::stdin().read_to_end(&mut payload)?;
        return Ok(payload);
    }
    std::fs::read(path)
}

/// Against a server that is running already: whatever the event names must be there.
async fn on_server(options: &FunctionOptions, url: &str, payload: &[u8]) -> Result<(), String> {
    let host = start(options.function()?.endpoint_url(url)).await?;
    let answer = host.invoke_raw(payload).await;
    print_logs(options, &host);
    let answer = answer.map_err(|error| options::explain(&error, &host.logs()))?;
    print_answer(&serde_json::from_slice(payload).unwrap_or_default(), &answer);
    eprintln!("The AMIs are on {url}: nothing was put there, and no table is shown.");
    Ok(())
}

async fn on_embedded_aws(arguments: &Arguments, payload: &[u8]) -> Result<(), String> {
    let options = &arguments.function;
    let function = options.function()?;
    let event: Value = serde_json::from_slice(payload).unwrap_or_default();
    let seeding = Seeding::of(&event, options);
    let aws = Aws::start().await.map_err(|error| format!("cannot open a port on loopback: {error}"))?;
    let queues = Queues::add(&mut aws.world(), &options.region);
    seeding.plant(&mut aws.world(), &options.region);
    if arguments.until == Goal::Failed {
        for seed in &seeding.images {
            aws.world().doom(&seed.image_id, Fate::key_not_accessible());
        }
    }
    let host = start(
        function
            .set("QUEUE_URL", &queues.work)
            .set("DEAD_LETTER_QUEUE_URL", &queues.dead_letters)
            .endpoint_url(&aws.endpoint())
            .account(&seeding.account),
    )
    .await?;
    let start = aws.world().now();
    let mut run =
        Run { aws, host, queues, region: options.region.clone(), start, told: Told::default(), until: arguments.until };
    let outcome = run.all(event, payload).await;
    print_logs(options, &run.host);
    run.print_images(&seeding);
    outcome
}

async fn start(function: crate::host::Function) -> Result<Host, String> {
    function.start().await.map_err(|error| options::with_logs(&error, &error.logs))
}

fn print_logs(options: &FunctionOptions, host: &Host) {
    if options.logs {
        host.logs().iter().for_each(|line| eprintln!("{line}"));
    }
}

fn print_answer(event: &Value, answer: &Value) {
    output::say(format_args!("{answer:#}"));
    if let Some(failures) = report::batch_failures(event, answer) {
        eprintln!("{failures}");
    }
}

/// The queues of the stack, by URL.
struct Queues {
    work: String,
    dead_letters: String,
}

impl Queues {
    fn add(world: &mut World, region: &str) -> Self {
        let dead_letters = world.add_queue(region, "ami-courier-dead-letters", Queue::default());
        let settings = Queue {
            max_receive_count: Some(MAX_RECEIVE_COUNT),
            dead_letter_queue: Some(dead_letters.clone()),
            ..Queue::default()
        };
        let work = world.add_queue(region, "ami-courier", settings);
        Self { work, dead_letters }
    }
}

/// What of the world has been printed.
#[derive(Default)]
struct Told {
    calls: usize,
    put_events: usize,
    pending: BTreeSet<String>,
    /// A copy has failed.
    failure: bool,
}

/// Why an invocation has no answer.
struct Failure {
    /// It answered, with an error.
    is_error_of_function: bool,
    explanation: String,
}

/// One event, and what follows from it.
struct Run {
    aws: Aws,
    host: Host,
    queues: Queues,
    region: String,
    start: OffsetDateTime,
    told: Told,
    until: Goal,
}

impl Run {
    async fn all(&mut self, mut event: Value, payload: &[u8]) -> Result<(), String> {
        let handles = self.enqueue_records(&mut event);
        if self.until == Goal::Answer {
            let answer =
                if handles.is_empty() { self.host.invoke_raw(payload).await } else { self.host.invoke(&event).await };
            let answer = answer.map_err(|error| options::explain(&error, &self.host.logs()))?;
            print_answer(&event, &answer);
            self.acknowledge(&handles, &answer);
            return Ok(());
        }
        self.tell("message", &announcement(&event));
        self.told.failure |= is_failure(&event, &self.region);
        let answer =
            if handles.is_empty() { self.host.invoke_raw(payload).await } else { self.host.invoke(&event).await };
        match self.tell_answer(answer) {
            Ok(answer) => self.acknowledge(&handles, &answer),
            // As Lambda does with an event: it comes again. From the queue, which has the stack's patience.
            Err(Failure { is_error_of_function: true, .. }) if event["detail-type"].is_string() => {
                self.aws.world().send(&self.queues.work, &event.to_string());
            }
            Err(failure) => return Err(failure.explanation),
        }
        self.follow().await
    }

    /// Puts the records of an SQS batch into the queue, for their messages to be acknowledged, delayed and
    /// delivered again as on AWS. The records get the receipt handles that belong to them; returned are (message id, handle).
    fn enqueue_records(&self, event: &mut Value) -> Vec<(String, String)> {
        let mut world = self.aws.world();
        let records = event.get_mut("Records").and_then(Value::as_array_mut).into_iter().flatten();
        let mut handles = Vec::new();
        for record in records.filter(|record| record["eventSource"] == "aws:sqs") {
            let (Some(id), Some(body)) = (record["messageId"].as_str(), record["body"].as_str()) else { continue };
            world.send(&self.queues.work, body);
            if let Some(message) = world.receive(&self.queues.work, 1).pop() {
                handles.push((id.to_owned(), message.receipt_handle.clone()));
                record["receiptHandle"] = message.receipt_handle.into();
            }
        }
        handles
    }

    /// Deletes the messages that the answer does not report as failed, as Lambda's poller does.
    fn acknowledge(&self, handles: &[(String, String)], answer: &Value) {
        let failed = report::failed_messages(answer);
        let mut world = self.aws.world();
        for (_, handle) in handles.iter().filter(|(id, _)| !failed.contains(&id.as_str())) {
            world.delete(&self.queues.work, handle);
        }
    }

    /// Moves on until the goal is reached, or nothing more can happen.
    async fn follow(&mut self) -> Result<(), String> {
        loop {
            self.hand_on_events();
            if self.reached() {
                return Ok(());
            }
            if self.deliver().await? {
                continue;
            }
            let elapsed = self.aws.world().now() - self.start;
            if elapsed > LONGEST {
                return Err(format!("gave up: {} hours have passed in simulation", LONGEST.whole_hours()));
            }
            if !self.something_is_under_way() {
                return Err(format!("nothing more happens here: the copy did not become {}", self.until.words()));
            }
            self.aws.world().advance(STEP);
        }
    }

    /// EC2's events go into the queue, by the rules of the stack: of this Region, what became of a copy; of others, everything.
    fn hand_on_events(&mut self) {
        let events = self.aws.world().take_events();
        for event in events.iter().filter(|event| event["detail-type"] == "EC2 AMI State Change") {
            let here = event["region"] == self.region.as_str();
            self.tell("EC2", &timeline::state_change(event));
            self.told.failure |= is_failure(event, &self.region);
            if !here || event["detail"]["State"] == "available" || event["detail"]["State"] == "failed" {
                self.aws.world().send(&self.queues.work, &event.to_string());
            }
        }
    }

    fn reached(&self) -> bool {
        let is_here = |wanted: fn(&Image) -> bool| self.aws.world().images(&self.region).iter().any(wanted);
        match self.until {
            Goal::Answer => true,
            Goal::Available => is_here(|image| image.source_image_id.is_some() && image.state == ImageState::Available),
            Goal::Finished => is_here(|image| image.tags.contains_key(report::FINISHED)),
            Goal::Failed => self.told.failure && self.is_queue_empty(),
        }
    }

    fn is_queue_empty(&self) -> bool {
        self.aws.world().messages(&self.queues.work).is_empty()
    }

    fn something_is_under_way(&self) -> bool {
        let pending = |image: &Image| image.state == ImageState::Pending;
        !self.is_queue_empty() || self.aws.world().images(&self.region).iter().any(pending)
    }

    /// Delivers the next message that the queue gives out, as a batch of one; whether there was one.
    async fn deliver(&mut self) -> Result<bool, String> {
        let Some(message) = self.aws.world().receive(&self.queues.work, 1).pop() else {
            return Ok(false);
        };
        let batch = json!({"Records": [{
            "messageId": message.id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": message.receive_count.to_string(),
                "SentTimestamp": (message.sent_at.unix_timestamp_nanos() / 1_000_000).to_string(),
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": format!("arn:aws:sqs:{}:{}:ami-courier", self.region, ACCOUNT),
            "awsRegion": self.region,
        }]});
        let event = serde_json::from_str(&message.body).unwrap_or_default();
        self.tell("queue", &format!("delivers, attempt {}: {}", message.receive_count, announcement(&event)));
        let answer = self.host.invoke(&batch).await;
        let answer = self.tell_answer(answer).map_err(|failure| failure.explanation)?;
        self.acknowledge(&[(message.id, message.receipt_handle)], &answer);
        Ok(true)
    }

    /// Prints the calls that the function made, what it put on the event bus, its answer, and the copies that are new.
    fn tell_answer(&mut self, answer: Result<Value, InvokeError>) -> Result<Value, Failure> {
        let (calls, put_events, images) = {
            let world = self.aws.world();
            (world.calls(), world.put_events(), world.images(&self.region))
        };
        for call in calls.iter().skip(self.told.calls) {
            self.tell("call", &timeline::call(call));
        }
        self.told.calls = calls.len();
        for event in put_events.iter().skip(self.told.put_events) {
            self.tell("event", &timeline::put_event(event));
        }
        self.told.put_events = put_events.len();
        let answer = answer.map_err(|error| Failure {
            is_error_of_function: matches!(error, InvokeError::Function { .. }),
            explanation: options::explain(&error, &self.host.logs()),
        });
        match &answer {
            Ok(answer) => self.tell("answer", &timeline::summary(answer)),
            Err(failure) => self.tell("error", &failure.explanation),
        }
        for image in images.into_iter().filter(|image| image.state == ImageState::Pending) {
            if self.told.pending.insert(image.id.clone()) {
                self.tell("EC2", &format!("{} in {} is pending", image.id, self.region));
            }
        }
        answer
    }

    fn tell(&self, who: &str, what: &str) {
        let now = self.aws.world().now();
        output::say(timeline::line(now - self.start, who, what));
    }

    /// The AMIs of the Regions that the event names and of the function's own, and the rejected messages.
    fn print_images(&self, seeding: &Seeding) {
        let world = self.aws.world();
        let others: BTreeSet<&str> = seeding.regions().filter(|region| *region != self.region).collect();
        let rows: Vec<_> = others
            .into_iter()
            .chain([self.region.as_str()])
            .flat_map(|region| world.images(region).into_iter().map(|image| (region.to_owned(), image)))
            .collect();
        output::say(format_args!("\n{}", report::images(&rows)));
        for message in world.messages(&self.queues.dead_letters) {
            output::say(report::dead_letter(&message));
        }
    }
}

impl Goal {
    fn words(self) -> &'static str {
        match self {
            Goal::Answer => "answered",
            Goal::Available => "available",
            Goal::Finished => "finished",
            Goal::Failed => "failed",
        }
    }
}

/// Whether EC2 says that an AMI of this Region failed.
fn is_failure(event: &Value, region: &str) -> bool {
    event["detail-type"] == "EC2 AMI State Change" && event["region"] == region && event["detail"]["State"] == "failed"
}

/// The event in a few words.
fn announcement(event: &Value) -> String {
    match (event["detail-type"].as_str(), event["Records"].as_array()) {
        (Some("EC2 AMI State Change"), _) => timeline::state_change(event),
        (Some(detail_type), _) => format!("{detail_type} from {}", event["region"].as_str().unwrap_or("?")),
        (None, Some(records)) => format!("a batch of {}", records.len()),
        (None, None) => "a direct request".to_owned(),
    }
}
