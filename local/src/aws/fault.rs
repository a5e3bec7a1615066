//! Breaking calls on purpose: by script ([`Fault`]) or at random, reproducibly ([`Chaos`]).

use std::collections::HashMap;
use std::time::Duration;

use super::digest::md5;
use super::error::ApiError;
use super::request::Request;
use super::world::World;

/// What happens to a call that is hit.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The answer is this error; the call has no effect.
    Error(ApiError),
    /// The answer is this error; the call has its effect.
    ErrorAfterEffect(ApiError),
    /// The answer is the service's throttling error; the call has no effect.
    Throttle,
    /// The connection is closed without an answer; the call has no effect.
    DropConnection,
    /// The connection is closed without an answer; the call has its effect.
    DropAfterEffect,
    /// The call has its effect and its answer only after this (real) time. If the client closes the connection before, it has
    /// no effect.
    Slow(Duration),
    /// The call has its effect at once, and its answer after this (real) time.
    SlowAfterEffect(Duration),
    /// `PutEvents` and `SendMessageBatch` only: HTTP 200, but each entry failed with this code and message.
    FailEntries { code: String, message: String },
    /// `PutEvents` and `SendMessageBatch` only: HTTP 200, but the entry at this place (from 0) failed. The others are
    /// carried out.
    FailEntry { at: usize, code: String, message: String },
}

/// One scripted fault: `Fault::on("CopyImage").in_region("eu-west-1").nth(2).throttle()`.
///
/// By default it hits every call of the action, with HTTP 500 `InternalError`. If several faults match a call, the one
/// added first hits; each of them counts the call.
#[derive(Clone, Debug)]
pub struct Fault {
    action: Option<String>,
    region: Option<String>,
    naming: Option<String>,
    turns: Turns,
    effect: Effect,
    matched: u64,
}

#[derive(Clone, Copy, Debug)]
enum Turns {
    Every,
    Nth(u64),
    First(u64),
}

impl Fault {
    /// For calls of this action, in any Region.
    pub fn on(action: &str) -> Self {
        Fault { action: Some(action.to_owned()), ..Fault::on_any() }
    }

    /// For calls of any action of any service.
    pub fn on_any() -> Self {
        let effect = Effect::Error(internal_error());
        Fault { action: None, region: None, naming: None, turns: Turns::Every, effect, matched: 0 }
    }

    /// Only calls in this Region.
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only calls with this text in their parameters.
    pub fn naming(mut self, text: &str) -> Self {
        self.naming = Some(text.to_owned());
        self
    }

    /// Only the n-th matching call from now on, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.turns = Turns::Nth(n);
        self
    }

    /// Only the first n matching calls from now on.
    pub fn first(mut self, n: u64) -> Self {
        self.turns = Turns::First(n);
        self
    }

    /// Every matching call (the default).
    pub fn every(mut self) -> Self {
        self.turns = Turns::Every;
        self
    }

    /// With this effect.
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// See [`Effect::Error`].
    pub fn error(self, status: u16, code: &str, message: &str) -> Self {
        self.effect(Effect::Error(ApiError::new(status, code, message)))
    }

    /// See [`Effect::ErrorAfterEffect`].
    pub fn error_after_effect(self, status: u16, code: &str, message: &str) -> Self {
        self.effect(Effect::ErrorAfterEffect(ApiError::new(status, code, message)))
    }

    /// See [`Effect::Throttle`].
    pub fn throttle(self) -> Self {
        self.effect(Effect::Throttle)
    }

    /// See [`Effect::DropConnection`].
    pub fn drop_connection(self) -> Self {
        self.effect(Effect::DropConnection)
    }

    /// See [`Effect::DropAfterEffect`].
    pub fn drop_after_effect(self) -> Self {
        self.effect(Effect::DropAfterEffect)
    }

    /// See [`Effect::Slow`].
    pub fn slow(self, by: Duration) -> Self {
        self.effect(Effect::Slow(by))
    }

    /// See [`Effect::SlowAfterEffect`].
    pub fn slow_after_effect(self, by: Duration) -> Self {
        self.effect(Effect::SlowAfterEffect(by))
    }

    /// See [`Effect::FailEntries`].
    pub fn fail_entries(self, code: &str, message: &str) -> Self {
        self.effect(Effect::FailEntries { code: code.to_owned(), message: message.to_owned() })
    }

    /// See [`Effect::FailEntry`].
    pub fn fail_entry(self, at: usize, code: &str, message: &str) -> Self {
        self.effect(Effect::FailEntry { at, code: code.to_owned(), message: message.to_owned() })
    }

    fn matches(&self, request: &Request) -> bool {
        self.action.as_ref().is_none_or(|action| *action == request.action)
            && self.region.as_ref().is_none_or(|region| *region == request.caller.region)
            && self.naming.as_ref().is_none_or(|text| request.parameters.to_string().contains(text))
    }

    /// Counts the call if it matches. Returns whether it is hit.
    fn hits(&mut self, request: &Request) -> bool {
        if !self.matches(request) {
            return false;
        }
        self.matched += 1;
        match self.turns {
            Turns::Every => true,
            Turns::Nth(n) => self.matched == n,
            Turns::First(n) => self.matched <= n,
        }
    }
}

/// Random faults. Whether and how a call is hit follows from the seed, the call itself (service, Region, account,
/// action, parameters) and how often the same call was made: the same in every run, in any order of calls.
#[derive(Clone, Debug)]
pub struct Chaos {
    pub seed: u64,
    /// The share of calls that are hit, from 0 to 1.
    pub rate: f64,
    /// The effects, each with its weight.
    pub kinds: Vec<(u32, Effect)>,
    /// Only calls of these actions; empty: any.
    pub actions: Vec<String>,
}

impl Chaos {
    /// Throttling, internal errors and dropped connections, before and after the effect; nothing slow.
    pub fn new(seed: u64, rate: f64) -> Self {
        Chaos {
            seed,
            rate,
            kinds: vec![
                (4, Effect::Throttle),
                (2, Effect::Error(internal_error())),
                (1, Effect::ErrorAfterEffect(internal_error())),
                (1, Effect::DropConnection),
                (2, Effect::DropAfterEffect),
            ],
            actions: Vec::new(),
        }
    }

    fn decide(&self, request: &Request, times_made: u64) -> Option<Effect> {
        if !self.actions.is_empty() && !self.actions.contains(&request.action) {
            return None;
        }
        let dice = md5(format!("{} {times_made} {}", self.seed, request.identity()).as_bytes());
        let (whether, which) = dice.split_at(8);
        if fraction(whether) >= self.rate {
            return None;
        }
        let total: u32 = self.kinds.iter().map(|(weight, _)| weight).sum();
        let mut rest = fraction(which) * f64::from(total);
        self.kinds
            .iter()
            .find(|(weight, _)| {
                rest -= f64::from(*weight);
                rest < 0.0
            })
            .map(|(_, effect)| effect.clone())
    }
}

/// The first six bytes as a number from 0 up to, not including, 1.
fn fraction(bytes: &[u8]) -> f64 {
    bytes.iter().take(6).rev().fold(0.0, |fraction, byte| (fraction + f64::from(*byte)) / 256.0)
}

fn internal_error() -> ApiError {
    ApiError::new(500, "InternalError", "An internal error has occurred")
}

/// The faults in force.
#[derive(Default)]
struct Faults {
    scripted: Vec<Fault>,
    chaos: Option<Chaos>,
    times_made: HashMap<String, u64>,
}

impl World {
    /// Breaks calls over the wire from now on.
    pub fn fault(&mut self, fault: Fault) {
        self.state_mut::<Faults>().scripted.push(fault);
    }

    /// Breaks calls over the wire at random from now on; replaces earlier chaos.
    pub fn chaos(&mut self, chaos: Chaos) {
        let faults = self.state_mut::<Faults>();
        faults.chaos = Some(chaos);
        faults.times_made.clear();
    }

    /// Removes all faults, scripted and random.
    pub fn clear_faults(&mut self) {
        *self.state_mut::<Faults>() = Faults::default();
    }

    /// The fault that hits this call, if one does.
    pub(super) fn fault_for(&mut self, request: &Request) -> Option<Effect> {
        let faults = self.state_mut::<Faults>();
        let mut scripted = None;
        for fault in &mut faults.scripted {
            if fault.hits(request) && scripted.is_none() {
                scripted = Some(fault.effect.clone());
            }
        }
        let random = faults.chaos.as_ref().and_then(|chaos| {
            let times = faults.times_made.entry(request.identity()).or_default();
            *times += 1;
            chaos.decide(request, *times)
        });
        scripted.or(random)
    }
}

/// The throttling error of a service, as the SDKs know it.
pub(super) fn throttling(service: &str) -> ApiError {
    match service {
        "ec2" => ApiError::new(503, "RequestLimitExceeded", "Request limit exceeded."),
        "sqs" => ApiError::new(400, "RequestThrottled", "Request was throttled."),
        _ => ApiError::new(400, "ThrottlingException", "Rate exceeded"),
    }
}
