//! One event, and what follows from it in simulated time.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::arguments::Goal;
use super::queues::{Queues, batch_of};
use crate::aws::{Aws, Call, Caller, Image, ImageState};
use crate::cli::picture::Moment;
use crate::cli::seeding::Seeding;
use crate::cli::{options, output, report, timeline};
use crate::host::{Host, InvokeError};

/// How far the clock moves when there is no message to deliver.
const STEP: Duration = Duration::from_secs(60);
/// The longest simulated time of a run: longer than any back-off and any time-based copy.
const LONGEST: time::Duration = time::Duration::hours(50);

/// A run of the function, with everything around it.
pub(super) struct Simulation {
    aws: Aws,
    host: Host,
    queues: Queues,
    region: String,
    start: OffsetDateTime,
    until: Goal,
    printed: Printed,
    /// What was printed line by line, for a picture of it.
    moments: Vec<Moment>,
    /// EC2 has reported that a copy failed.
    has_failure: bool,
    /// What became of the last message that had an outcome.
    result: Option<String>,
}

/// How much of the world has been printed.
#[derive(Default)]
struct Printed {
    calls: usize,
    put_events: usize,
    letters: usize,
    pending: BTreeSet<String>,
}

/// Why an invocation has no answer.
struct Failure {
    /// The function answered with an error.
    is_error_of_function: bool,
    explanation: String,
}

impl Simulation {
    pub(super) fn new(aws: Aws, host: Host, queues: Queues, region: &str, until: Goal) -> Self {
        let start = aws.world().now();
        Self {
            aws,
            host,
            queues,
            region: region.to_owned(),
            start,
            until,
            printed: Printed::default(),
            moments: Vec::new(),
            has_failure: false,
            result: None,
        }
    }

    pub(super) fn moments(&self) -> &[Moment] {
        &self.moments
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// Invokes the function on the event, and continues until the goal is reached.
    ///
    /// # Errors
    /// Why the function did not answer, or the goal was not reached.
    pub(super) async fn run(&mut self, mut event: Value, payload: &[u8]) -> Result<(), String> {
        let received = self.queues.receive_records(&self.aws, &mut event);
        if self.until == Goal::Answer {
            let answer = self.invoke(&event, payload, received.is_empty()).await;
            let answer = answer.map_err(|error| options::explain(&error, &self.host.logs()))?;
            print_answer(&event, &answer);
            self.queues.acknowledge(&self.aws, &received, &answer);
            return Ok(());
        }
        output::say(timeline::LEGEND);
        self.print("message", &announcement(&event));
        self.has_failure |= is_failure(&event, &self.region);
        let answer = self.invoke(&event, payload, received.is_empty()).await;
        match self.print_answer(answer) {
            Ok(answer) => self.queues.acknowledge(&self.aws, &received, &answer),
            // As on Lambda, a failed event is delivered again; here from the queue, with the stack's limits.
            Err(Failure { is_error_of_function: true, .. }) if event["detail-type"].is_string() => {
                self.aws.world().send(&self.queues.work, &event.to_string());
            }
            Err(failure) => return Err(failure.explanation),
        }
        self.follow().await
    }

    /// Hands over the payload as it is, unless records in it have got new receipt handles.
    async fn invoke(&self, event: &Value, payload: &[u8], is_unchanged: bool) -> Result<Value, InvokeError> {
        if is_unchanged { self.host.invoke_raw(payload).await } else { self.host.invoke(event).await }
    }

    /// Moves on until the goal is reached, or nothing more can happen.
    async fn follow(&mut self) -> Result<(), String> {
        loop {
            self.forward_events();
            if self.is_goal_reached() {
                if let Some(result) = self.result.clone() {
                    self.print("result", &result);
                }
                return Ok(());
            }
            if self.deliver().await? {
                continue;
            }
            let elapsed = self.aws.world().now() - self.start;
            if elapsed > LONGEST {
                return Err(format!("gave up after {} simulated hours", LONGEST.whole_hours()));
            }
            if !self.is_something_under_way() {
                let why = match &self.result {
                    Some(result) => format!("the function's last word is `{result}`"),
                    None => "the event led to no copy".to_owned(),
                };
                return Err(format!(
                    "the copy did not become {}: {why}. Change the event or the settings (--set), or leave out --until",
                    self.until.as_str()
                ));
            }
            self.aws.world().advance(STEP);
        }
    }

    /// Puts EC2's events into the queue by the rules of the stack: from this Region, `available` and `failed`; from other
    /// Regions, all.
    fn forward_events(&mut self) {
        let events = self.aws.world().take_events();
        // The rules leave out the tags of copies.
        let of_sources =
            |event: &&Value| event["region"] != self.region.as_str() && event["detail"]["resource-type"] == "image";
        for event in events.iter().filter(|event| event["detail-type"] == "Tag Change on Resource").filter(of_sources) {
            self.aws.world().send(&self.queues.work, &event.to_string());
        }
        for event in events.iter().filter(|event| event["detail-type"] == "EC2 AMI State Change") {
            let is_from_stack_region = event["region"] == self.region.as_str();
            let state = &event["detail"]["State"];
            self.print("EC2", &timeline::state_change(event));
            self.has_failure |= is_failure(event, &self.region);
            if !is_from_stack_region || state == "available" || state == "failed" {
                self.aws.world().send(&self.queues.work, &event.to_string());
            }
        }
    }

    /// Tags the source AMIs, as their owner does, and moves on until the function has handled what follows.
    pub(super) async fn tag_sources(&mut self, seeding: &Seeding, key: &str, value: &str) -> Result<(), String> {
        for source in &seeding.images {
            let parameters = json!({ "ResourceId.1": source.image_id, "Tag.1.Key": key, "Tag.1.Value": value });
            let caller = Caller { region: source.region.clone(), account: seeding.account.clone() };
            let tagged = self.aws.world().call(&caller, "ec2", "CreateTags", &parameters);
            tagged.map_err(|why| format!("the source AMI {} cannot be tagged: {}", source.image_id, why.message))?;
            self.print("owner", &format!("tags {} in {}: {key}={value}", source.image_id, source.region));
        }
        let calls_before = self.printed.calls;
        self.forward_events();
        while self.deliver().await? {
            self.forward_events();
        }
        let calls = self.aws.world().calls();
        let is_written = |call: &&Call| call.action == "PutParameter";
        if !calls.iter().skip(calls_before).any(|call| is_written(&call)) {
            self.print(
                "result",
                &format!("no parameter has changed (the log says why): PARAMETER_NAME does not ask for `{key}`, no other copy can take the place, or DRY_RUN is on"),
            );
        }
        let names: BTreeSet<&str> =
            calls.iter().filter(is_written).filter_map(|call| call.parameters["Name"].as_str()).collect();
        for name in names {
            let held = self.aws.world().parameter(&self.region, name).map(|parameter| parameter.value);
            self.print("result", &format!("the parameter {name} holds {}", held.as_deref().unwrap_or("nothing")));
        }
        Ok(())
    }

    fn is_goal_reached(&self) -> bool {
        match self.until {
            Goal::Answer => true,
            Goal::Available => {
                self.has_image(|image| image.source_image_id.is_some() && image.state == ImageState::Available)
            }
            Goal::Finished => self.has_image(|image| image.tags.contains_key(report::FINISHED)),
            Goal::Failed => self.has_failure && self.queues.is_empty(&self.aws),
        }
    }

    fn is_something_under_way(&self) -> bool {
        !self.queues.is_empty(&self.aws) || self.has_image(|image| image.state == ImageState::Pending)
    }

    /// Whether the function's Region has such an AMI.
    fn has_image(&self, wanted: fn(&Image) -> bool) -> bool {
        self.aws.world().images(&self.region).iter().any(wanted)
    }

    /// Delivers the next visible message of the queue, in a batch of one. Returns whether there was one.
    async fn deliver(&mut self) -> Result<bool, String> {
        let Some(message) = self.aws.world().receive(&self.queues.work, 1).pop() else {
            return Ok(false);
        };
        let event = serde_json::from_str(&message.body).unwrap_or_default();
        self.print("queue", &format!("delivers, attempt {}: {}", message.receive_count, announcement(&event)));
        let is_loop = self.aws.world().is_loop(std::slice::from_ref(&message));
        let answer = if is_loop {
            Err(InvokeError::RecursiveLoop)
        } else {
            self.host.invoke(&batch_of(&message, &self.region)).await
        };
        let answer = self.print_answer(answer).map_err(|failure| failure.explanation)?;
        self.queues.acknowledge(&self.aws, &[(message.id, message.receipt_handle)], &answer);
        Ok(true)
    }

    /// Prints the calls that the function made, its events, its answer, and the copies that are new.
    fn print_answer(&mut self, answer: Result<Value, InvokeError>) -> Result<Value, Failure> {
        let before = self.printed.put_events;
        self.print_calls_and_events();
        let answer = answer.map_err(|error| Failure {
            is_error_of_function: matches!(error, InvokeError::Function { .. }),
            explanation: options::explain(&error, &self.host.logs()),
        });
        match &answer {
            Ok(answer) => {
                let became = self.became(answer, before);
                self.print("answer", &became);
            }
            Err(failure) => self.print("error", &failure.explanation),
        }
        self.print_new_copies();
        answer
    }

    /// What became of the message. A batch's answer says only whether it is done: the events that the function put meanwhile, and its
    /// dead letters, say more.
    fn became(&mut self, answer: &Value, put_before: usize) -> String {
        let summary = timeline::summary(answer);
        if answer["batchItemFailures"].is_null() {
            self.result = Some(summary.clone());
            return summary;
        }
        let world = self.aws.world();
        let put = world.put_events();
        let mut results: Vec<String> =
            put.iter().skip(put_before).map(|event| timeline::summary(&event.detail)).collect();
        let letters = world.messages(&self.queues.dead_letters);
        if results.is_empty() && letters.len() > self.printed.letters {
            let codes = letters.iter().skip(self.printed.letters).filter_map(|letter| letter.attributes.get("Code"));
            results.extend(codes.map(|code| format!("Rejected {}", code.string_value.as_deref().unwrap_or_default())));
        }
        self.printed.letters = letters.len();
        if results.is_empty() {
            return summary;
        }
        self.result = Some(results.join("; "));
        format!("{}; {summary}", results.join("; "))
    }

    fn print_calls_and_events(&mut self) {
        let (calls, put_events) = {
            let world = self.aws.world();
            (world.calls(), world.put_events())
        };
        for call in calls.iter().skip(self.printed.calls) {
            self.print("call", &timeline::call(call));
        }
        for event in put_events.iter().skip(self.printed.put_events) {
            self.print("event", &timeline::put_event(event));
        }
        self.printed.calls = calls.len();
        self.printed.put_events = put_events.len();
    }

    fn print_new_copies(&mut self) {
        let images = self.aws.world().images(&self.region);
        for image in images.into_iter().filter(|image| image.state == ImageState::Pending) {
            if self.printed.pending.insert(image.id.clone()) {
                self.print("EC2", &format!("{} in {} is pending", image.id, self.region));
            }
        }
    }

    fn print(&mut self, who: &str, what: &str) {
        let since_start = self.aws.world().now() - self.start;
        let outcome = if who == "error" { who } else { what };
        let line = timeline::line(since_start, who, what);
        output::say(if matches!(who, "answer" | "error" | "result") { output::coloured(line, outcome) } else { line });
        self.moments.push(Moment { since_start, who: who.to_owned(), what: what.to_owned() });
    }

    /// Prints the AMIs of the Regions that the event names and of the function's Region, and the rejected messages. An event that
    /// failed and changed nothing has no AMIs to show.
    pub(super) fn print_images(&self, seeding: &Seeding, is_done: bool) {
        let world = self.aws.world();
        let others: BTreeSet<&str> = seeding.regions().filter(|region| *region != self.region).collect();
        let rows: Vec<_> = others
            .into_iter()
            .chain([self.region.as_str()])
            .flat_map(|region| world.images(region).into_iter().map(|image| (region.to_owned(), image)))
            .collect();
        let is_new = |image: &Image| seeding.images.iter().all(|seed| seed.image_id != image.id);
        if rows.iter().any(|(_, image)| is_done || is_new(image)) {
            output::say(format_args!("\n{}", report::images(&rows, output::width())));
        }
        for message in world.messages(&self.queues.dead_letters) {
            output::say(report::dead_letter(&message));
        }
    }
}

/// Prints an answer as it is; failed messages of a batch go to stderr.
pub(super) fn print_answer(event: &Value, answer: &Value) {
    output::say(format_args!("{answer:#}"));
    if let Some(failures) = report::batch_failures(event, answer) {
        eprintln!("{failures}");
    }
}

/// Whether EC2 reports that an AMI of this Region failed.
fn is_failure(event: &Value, region: &str) -> bool {
    event["detail-type"] == "EC2 AMI State Change" && event["region"] == region && event["detail"]["State"] == "failed"
}

/// The event in a few words.
fn announcement(event: &Value) -> String {
    match (event["detail-type"].as_str(), event["Records"].as_array()) {
        (Some("EC2 AMI State Change"), _) => timeline::state_change(event),
        (Some(detail_type), _) => format!("{detail_type} from {}", event["region"].as_str().unwrap_or("?")),
        (None, Some(records)) => format!("a batch of {}", records.len()),
        (None, None) => match event["AmiCourier"].as_object().and_then(|own| own.keys().next()) {
            Some(kind) => format!("the courier's own: {kind}"),
            None if event.get("SourceImageId").is_some() => "a direct request".to_owned(),
            None => "a message".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeline_names_what_is_delivered() {
        let own = json!({ "AmiCourier": { "Missed": { "SourceImageId": "ami-0a3d7e9164bc52f08", "SourceRegion": "us-east-1" } } });
        assert_eq!(announcement(&own), "the courier's own: Missed");
        assert_eq!(announcement(&json!({ "SourceImageId": "ami-0a3d7e9164bc52f08" })), "a direct request");
        assert_eq!(announcement(&json!({ "Sweep": {} })), "a message");
    }
}
