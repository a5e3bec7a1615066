//! The scene of every test: a world with a source Region and this Region, a queue with its dead letters, and the real
//! function between them. What the function calls is kept for the proof of permissions (see `tests/stack`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use local::aws::{ACCOUNT, Aws, Image, Queue, START, World};
use local::host::{Function, Host, InvokeError};
use serde_json::{Value, json};

/// Where the courier stands.
pub const HERE: &str = "eu-west-1";
/// Where the images are built.
pub const THERE: &str = "us-east-1";

pub struct Stage {
    pub aws: Aws,
    pub queue: String,
    pub dead_letters: String,
    settings: Mutex<BTreeMap<String, String>>,
    timeout: Duration,
    /// Whether the proof of permissions reads its calls.
    is_recorded: bool,
    /// Where functions were started: Region and account.
    stacks: Mutex<BTreeSet<(String, String)>>,
}

impl Stage {
    pub async fn new() -> Self {
        let aws = Aws::start().await.expect("a free port on loopback");
        let (queue, dead_letters) = add_queues(&mut aws.world());
        let stage = Self {
            aws,
            queue,
            dead_letters,
            settings: Mutex::default(),
            timeout: Duration::from_secs(60),
            is_recorded: true,
            stacks: Mutex::default(),
        };
        let (queue, dead_letters) = (stage.queue.clone(), stage.dead_letters.clone());
        stage.set("QUEUE_URL", &queue).set("DEAD_LETTER_QUEUE_URL", &dead_letters)
    }

    /// A new world around the same function.
    pub fn start_afresh(&self) {
        self.keep_calls();
        let mut world = self.aws.world();
        *world = World::default();
        add_queues(&mut world);
    }

    /// A setting of the function. An empty value takes it away.
    pub fn set(self, variable: &str, value: &str) -> Self {
        self.put(variable, value);
        self
    }

    fn put(&self, variable: &str, value: &str) {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if value.is_empty() && variable != "EVENT_BUS_NAME" {
            settings.remove(variable);
        } else {
            settings.insert(variable.to_owned(), value.to_owned());
        }
    }

    /// A deployment: functions that are started from now on have these settings as well. The calls so far are kept, and forgotten.
    pub fn deploy(&self, settings: &[(&str, &str)]) {
        self.keep_calls();
        self.aws.world().forget_calls();
        for (variable, value) in settings {
            self.put(variable, value);
        }
    }

    /// With settings that the template's parameters do not take: its proof of permissions could not set them.
    pub fn beyond_the_template(mut self) -> Self {
        self.is_recorded = false;
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Changes the world before the function starts.
    pub fn with(self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.aws.world());
        self
    }

    /// An available AMI of this account in the source Region.
    pub fn source(self, id: &str, name: &str) -> Self {
        self.with(|world| {
            world.add_image(THERE, Image::new(id, name));
        })
    }

    /// The function, not yet started.
    pub fn function_in(&self, region: &str) -> Function {
        self.function_of(ACCOUNT, region)
    }

    /// The function of an account, not yet started. Accounts share the world.
    pub fn function_of(&self, account: &str, region: &str) -> Function {
        let stack = (region.to_owned(), account.to_owned());
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner).insert(stack);
        let function = Function::new(env!("CARGO_BIN_EXE_ami-courier"), region)
            .account(account)
            .endpoint_url(&self.aws.endpoint())
            .timeout(self.timeout);
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.iter().fold(function, |function, (variable, value)| function.set(variable, value))
    }

    pub async fn function(&self) -> Host {
        self.function_in(HERE).start().await.expect("the function starts with these settings")
    }

    /// A sweep, and each message that it put into the courier's own queue, handed over one after the other: all their outcomes.
    pub async fn sweep(&self, function: &Host) -> Result<Vec<Value>, InvokeError> {
        let outcomes = |answer: Value| answer.as_array().expect("a list").clone();
        let found = outcomes(function.invoke(&json!({ "Sweep": {} })).await?);
        Ok([found, self.deliver(function).await?].concat())
    }

    /// Each message that is visible in the courier's own queue, handed over one after the other: all their outcomes.
    pub async fn deliver(&self, function: &Host) -> Result<Vec<Value>, InvokeError> {
        let outcomes = |answer: Value| answer.as_array().expect("a list").clone();
        let mut all = Vec::new();
        let mut failed = None;
        loop {
            let messages = self.aws.world().receive(&self.queue, 10);
            if messages.is_empty() {
                return failed.map_or(Ok(all), Err);
            }
            for message in messages {
                self.aws.world().delete(&self.queue, &message.receipt_handle);
                let body: Value = serde_json::from_str(&message.body).expect("JSON");
                match function.invoke(&body).await {
                    Ok(answer) => all.extend(outcomes(answer)),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
    }

    /// The AMIs of this Region, whatever their state.
    pub fn copies(&self) -> Vec<Image> {
        self.aws.world().images(HERE)
    }

    /// The names of the calls so far, in order, without those that only look.
    pub fn changes(&self) -> Vec<String> {
        self.actions()
            .into_iter()
            .filter(|action| !action.starts_with("Describe") && !action.starts_with("Get"))
            .collect()
    }

    /// The parameters of the calls of `CopyImage` so far, in order of arrival.
    pub fn copy_image_calls(&self) -> Vec<Value> {
        let calls = self.aws.world().calls().into_iter();
        calls.filter(|call| call.action == "CopyImage").map(|call| call.parameters).collect()
    }

    /// The source AMIs of the copies of this Region, made by the courier or by somebody else.
    pub fn copied(&self) -> BTreeSet<String> {
        self.copies().into_iter().filter_map(|copy| copy.source_image_id).collect()
    }

    /// The names of the calls so far, in order of arrival.
    pub fn actions(&self) -> Vec<String> {
        self.aws.world().calls().into_iter().map(|call| call.action).collect()
    }

    /// What the dead-letter queue holds: bodies, and attributes as text.
    pub fn dead(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let messages = self.aws.world().messages(&self.dead_letters);
        messages
            .into_iter()
            .map(|message| {
                let text =
                    message.attributes.into_iter().map(|(name, value)| (name, value.string_value.unwrap_or_default()));
                (message.body, text.collect())
            })
            .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.keep_calls();
    }
}

impl Stage {
    /// Keeps the calls, one JSON line each, for the proof that the template allows them all and no more.
    fn keep_calls(&self) {
        if !self.is_recorded {
            return;
        }
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("aws-calls.jsonl");
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let settings: BTreeMap<_, _> = settings.iter().filter(|(variable, _)| !variable.starts_with("AWS_")).collect();
        let stacks = self.stacks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Where several stacks share a world, a call does not say which of them made it.
        let Ok([(here, _)]) = <[(String, String); 1]>::try_from(stacks.into_iter().collect::<Vec<_>>()) else { return };
        let mut lines = BTreeSet::new();
        let world = self.aws.world();
        for call in world.calls() {
            let mut targets: Vec<Value> =
                call.target_tags.iter().map(|(id, tags)| json!({ "id": id, "owner": ACCOUNT, "tags": tags })).collect();
            if call.action == "CopyImage" {
                targets.extend(sources(&world, &call.parameters));
            }
            lines.insert(
                json!({
                    "service": call.service, "action": call.action, "region": call.region, "here": here, "account": call.account,
                    "parameters": call.parameters, "targets": targets, "settings": settings,
                    "test": std::thread::current().name(),
                })
                .to_string(),
            );
        }
        let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) else { return };
        for line in lines {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

/// What is copied: the AMI and its snapshots, with the keys that these are encrypted with.
fn sources(world: &World, parameters: &Value) -> Vec<Value> {
    let text = |name: &str| parameters[name].as_str().unwrap_or_default();
    let Some(image) = world.image(text("SourceRegion"), text("SourceImageId")) else { return Vec::new() };
    let snapshots = image.snapshots.iter().map(|snapshot| {
        json!({ "id": snapshot.id, "owner": image.owner, "tags": snapshot.tags, "kms_key": snapshot.kms_key })
    });
    std::iter::once(json!({ "id": image.id, "owner": image.owner, "tags": image.tags })).chain(snapshots).collect()
}

/// The URLs of the queue and of its dead-letter queue.
fn add_queues(world: &mut World) -> (String, String) {
    let dead_letters = world.add_queue(HERE, "dead-letters", Queue::default());
    let redrive = Queue {
        visibility_timeout: Duration::from_secs(360),
        max_receive_count: Some(200),
        dead_letter_queue: Some(dead_letters.clone()),
    };
    (world.add_queue(HERE, "announcements", redrive), dead_letters)
}

/// The n-th of many AMI ids.
pub fn ami(n: usize) -> String {
    format!("ami-{:017x}", 0xa000 + n)
}

/// EC2's own announcement that an AMI is in this state, such as `available`.
pub fn state_change(region: &str, id: &str, state: &str) -> Value {
    json!({
        "version": "0", "id": "7a5e8f4c-0000-4000-8000-000000000001", "detail-type": "EC2 AMI State Change", "source": "aws.ec2",
        "account": ACCOUNT, "time": "2026-01-01T00:00:00Z", "region": region,
        "resources": [format!("arn:aws:ec2:{region}::image/{id}")],
        "detail": { "RequestId": "b1c7", "ImageId": id, "State": state, "ErrorMessage": "" },
    })
}

/// An SQS batch as Lambda hands it over: (message id, body), sent when the world began, received for the first time.
pub fn batch<'a>(records: impl IntoIterator<Item = (&'a str, String)>) -> Value {
    let records: Vec<Value> = records
        .into_iter()
        .map(|(id, body)| {
            json!({
                "messageId": id, "receiptHandle": format!("handle-of-{id}"), "body": body,
                "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": (START.unix_timestamp() * 1000).to_string() }, "messageAttributes": {},
                "md5OfBody": "", "eventSource": "aws:sqs",
                "eventSourceARN": format!("arn:aws:sqs:{HERE}:{ACCOUNT}:announcements"), "awsRegion": HERE,
            })
        })
        .collect();
    json!({ "Records": records })
}

/// The smallest request.
pub fn request(id: &str, name: &str) -> Value {
    json!({ "Name": name, "SourceImageId": id, "SourceRegion": THERE })
}

/// The message ids that an answer to a batch reports as failed.
pub fn failures(answer: &Value) -> Vec<String> {
    let failures = answer["batchItemFailures"].as_array().expect("a batch answer");
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().expect("an id").to_owned()).collect()
}

/// What a dead letter says: what happened, and what to do.
pub fn words(letter: &BTreeMap<String, String>) -> String {
    format!("{} {}", letter["Explanation"], letter.get("Advice").map_or("", String::as_str))
}
