//! All the state there is, and time. The rules of each service are in its own files.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::behaviour::Behaviour;
use super::call::{Call, Caller};
use super::clock::Clock;
use super::digest::uuid;
use super::ec2::image::{Image, StateReason};
use super::error::ApiError;
use super::events::PutEvent;
use super::fault::{Chaos, Effect, Fault, Faults};
use super::kms::Key;
use super::region::Region;
use super::wire::{Answer, Request};
use super::{ec2, events, sqs, ssm};

/// AWS, as far as it goes here: every Region and account, one clock.
///
/// It can be used without a server: [`World::call`] is what the server does with a request.
#[derive(Debug, Default)]
pub struct World {
    /// What AWS leaves open. Change it at any time.
    pub behaviour: Behaviour,
    clock: Clock,
    /// The time of what is happening by itself just now.
    moment: Option<OffsetDateTime>,
    pub(super) regions: BTreeMap<String, Region>,
    /// What will happen by itself, in order of time.
    pub(super) agenda: BTreeMap<(OffsetDateTime, u64), Due>,
    /// Counts everything that needs an id.
    serial: u64,
    pub(super) tokens: BTreeMap<ec2::copy_image::TokenKey, ec2::copy_image::Remembered>,
    pub(super) dooms: BTreeMap<String, VecDeque<Fate>>,
    pub(super) events: Vec<Value>,
    pub(super) put_events: Vec<PutEvent>,
    calls: Vec<Call>,
    calls_made: u64,
    faults: Faults,
}

/// Something that happens by itself when its time has come.
#[derive(Clone, Debug)]
pub(super) enum Due {
    CopyEnds { region: String, image_id: String, fate: Option<Fate> },
    ParameterChecked(ssm::PendingCheck),
}

/// How a copy fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The `StateReason` of the AMI; `None`: it fails without one, as happens.
    pub state_reason: Option<StateReason>,
    /// The `StateMessage` of its snapshots, which then end in state `error`.
    pub snapshot_message: Option<String>,
}

impl Fate {
    /// The copy fails with this reason on the AMI, its snapshots in state `error` with this message.
    #[must_use]
    pub fn new(code: &str, message: &str, snapshot_message: &str) -> Self {
        Fate {
            state_reason: Some(StateReason::new(code, message)),
            snapshot_message: Some(snapshot_message.to_owned()),
        }
    }

    /// What becomes of a copy whose KMS key cannot be used.
    #[must_use]
    pub fn key_not_accessible() -> Self {
        Fate::new("Client.InternalError", "Copy image failed with an internal error.", "Given key ID is not accessible")
    }
}

/// Time.
impl World {
    /// The world's time: [`START`](super::START) + all that was advanced + rate × real time.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.moment.unwrap_or_else(|| self.clock.now())
    }

    /// Moves the clock; whatever is due by then happens, in order, each at its time.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.settle();
    }

    /// How many seconds pass here for each real second. 0, the default: the clock stands still.
    pub fn set_rate(&mut self, seconds_per_real_second: f64) {
        self.clock.set_rate(seconds_per_real_second);
    }

    /// Lets everything happen that is due. [`Aws::world`](super::Aws::world) and each call do so first; only who runs a
    /// world at a rate and without a server needs it.
    pub fn settle(&mut self) {
        let now = self.now();
        while let Some(entry) = self.agenda.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                break;
            }
            self.moment = Some(at);
            match entry.remove() {
                Due::CopyEnds { region, image_id, fate } => ec2::copy_image::end(self, &region, &image_id, fate),
                Due::ParameterChecked(check) => ssm::conclude(self, &check),
            }
        }
        self.moment = None;
    }

    /// When the next thing happens by itself, if anything will: a copy ends, a parameter is checked.
    #[must_use]
    pub fn next_happening(&self) -> Option<OffsetDateTime> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn schedule(&mut self, at: OffsetDateTime, due: Due) {
        let serial = self.next_serial();
        self.agenda.insert((at, serial), due);
    }
}

/// AMIs and their snapshots; more is in `ec2`.
impl World {
    /// Puts an AMI into a Region as it is, whatever the rules say, and sends no event. Returns its id.
    pub fn add_image(&mut self, region: &str, image: Image) -> String {
        let id = image.id.clone();
        self.region_mut(region).images.insert(id.clone(), image);
        id
    }

    /// Every AMI that exists in the Region, whatever its state or owner; by id.
    #[must_use]
    pub fn images(&self, region: &str) -> Vec<Image> {
        self.region(region).map_or_else(Vec::new, |region| region.images.values().cloned().collect())
    }

    /// An AMI that exists (was not deregistered).
    #[must_use]
    pub fn image(&self, region: &str, id: &str) -> Option<&Image> {
        self.region(region)?.images.get(id)
    }

    /// An AMI that exists, to change it behind EC2's back.
    pub fn image_mut(&mut self, region: &str, id: &str) -> Option<&mut Image> {
        self.regions.get_mut(region)?.images.get_mut(id)
    }

    /// The ids of all snapshots of the Region, those included whose AMI is gone.
    #[must_use]
    pub fn snapshots(&self, region: &str) -> Vec<String> {
        let snapshots = self.region(region).into_iter().flat_map(Region::snapshots);
        snapshots.map(|(_, snapshot)| snapshot.id.clone()).collect()
    }

    /// Makes a KMS key known in a Region. `alias/aws/ebs` is known everywhere.
    pub fn add_key(&mut self, region: &str, key: Key) {
        self.region_mut(region).keys.push(key);
    }

    /// The next copy of this source AMI, in whatever Region, ends `failed` like this.
    pub fn doom(&mut self, source_image_id: &str, fate: Fate) {
        self.dooms.entry(source_image_id.to_owned()).or_default().push_back(fate);
    }
}

/// Events and calls.
impl World {
    /// The events that AWS itself has sent since this was last asked ("EC2 AMI State Change", "Parameter Store
    /// Change"), oldest first, in `EventBridge`'s JSON.
    pub fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    /// What `PutEvents` received.
    #[must_use]
    pub fn put_events(&self) -> Vec<PutEvent> {
        self.put_events.clone()
    }

    /// Every call that came over the wire, in order of arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.clone()
    }

    /// How many calls have come over the wire since the world began.
    #[must_use]
    pub fn calls_made(&self) -> u64 {
        self.calls_made
    }

    /// The recorded calls after the first `number` of them.
    #[must_use]
    pub fn calls_since(&self, number: u64) -> &[Call] {
        let first = self.calls.partition_point(|call| call.number <= number);
        &self.calls[first..]
    }

    /// Empties the record of calls. Nothing else is forgotten.
    pub fn forget_calls(&mut self) {
        self.calls.clear();
    }

    /// Makes one call, as if it came over the wire, but unrecorded and untouched by faults. EC2's parameters are a flat
    /// object (`{"Filter.1.Name": "name", ...}`) and its answer the tree of its XML; the others' are their JSON.
    ///
    /// # Errors
    /// As the service answers them.
    pub fn call(
        &mut self,
        caller: &Caller,
        service: &str,
        action: &str,
        parameters: &Value,
    ) -> Result<Value, ApiError> {
        self.carry_out(&Request {
            service: service.to_owned(),
            action: action.to_owned(),
            caller: caller.clone(),
            parameters: parameters.clone(),
        })
    }

    /// Records a call; its number, and the fault that hits it.
    pub(super) fn arrive(&mut self, request: &Request) -> (u64, Option<Effect>) {
        self.calls_made += 1;
        let fault = self.faults.strike(request);
        let call = Call {
            number: self.calls_made,
            at: self.now(),
            service: request.service.clone(),
            action: request.action.clone(),
            region: request.caller.region.clone(),
            account: request.caller.account.clone(),
            parameters: request.parameters.clone(),
            status: 0,
            code: None,
            target_tags: ec2::tags::of_targets(self, &request.caller.region, &request.parameters),
            fault: fault.clone(),
        };
        self.calls.push(call);
        (self.calls_made, fault)
    }

    pub(super) fn carry_out(&mut self, request: &Request) -> Answer {
        self.settle();
        let Request { service, action, caller, parameters } = request;
        let answer = match service.as_str() {
            "ec2" => ec2::dispatch(self, caller, action, parameters),
            "ssm" => ssm::dispatch(self, caller, action, parameters),
            "events" => events::dispatch(self, caller, action, parameters),
            "sqs" => sqs::dispatch(self, caller, action, parameters),
            _ => Err(ApiError::client(
                "UnknownService",
                format!("The embedded AWS has EC2, SSM, EventBridge and SQS, but no '{service}'"),
            )),
        };
        self.settle();
        answer
    }

    pub(super) fn answered(&mut self, number: u64, answer: &Answer) {
        if let Some(call) = self.calls.iter_mut().rfind(|call| call.number == number) {
            call.status = answer.as_ref().map_or_else(|error| error.status, |_| 200);
            call.code = answer.as_ref().err().map(|error| error.code.clone());
        }
    }
}

/// Faults.
impl World {
    /// Breaks calls over the wire from now on.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.script(fault);
    }

    /// Breaks calls over the wire at random from now on; replaces earlier chaos.
    pub fn chaos(&mut self, chaos: Chaos) {
        self.faults.set_chaos(Some(chaos));
    }

    /// No more faults, scripted or random.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }
}

impl World {
    pub(super) fn region(&self, name: &str) -> Option<&Region> {
        self.regions.get(name)
    }

    pub(super) fn region_mut(&mut self, name: &str) -> &mut Region {
        self.regions.entry(name.to_owned()).or_default()
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn new_uuid(&mut self) -> String {
        let serial = self.next_serial();
        uuid(&format!("uuid {serial}"))
    }
}
