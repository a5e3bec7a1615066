//! Liveness, with counted messages and workers: every message ends, and exactly one live copy is made in the end.
//!
//! Here a message that is acknowledged is gone. A message that is taken up stays in the queue until it is acknowledged,
//! so it is delivered again after a crash, or twice.
//!
//! Each step is *fair* or not. In a fair step EC2 is as unhelpful as it may be: nothing is visible before the bound,
//! and every dead AMI is not found. But no worker crashes, no message is delivered twice or lost on the way, no copy
//! fails, no user interferes, and settings no longer change. The property: from *every* state, however bad the past was,
//! fair steps alone can lead to a good state. `properties.rs` searches for it.
//!
//! This model also checks that there are never two live copies: with fewer workers, but without the reduction of
//! `any_number.rs`.
//!
//! Reduced: equal messages are one. A letter in the dead-letter queue is a message that a worker may take, since an
//! operator sends it back sooner or later. EC2 forgets no token that is in use (what happens if it does is a matter of
//! safety). The number of messages at once has a bound.

use std::collections::BTreeSet;

use courier_core::protocol::{End, Look, Next, Resume, Try};
use stateright::{Model, Property};

use crate::courier::{Chain, Taken, Work, looks};
use crate::ec2::{Answer, ById, Ec2, Visible};
use crate::mutations::Mutation;
use crate::properties::Fair;
use crate::rules::{Kind, Rules};

/// How the world of one run is.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub(crate) struct World {
    pub(crate) kind: Kind,
    pub(crate) parameter_sets: u8,
    pub(crate) workers: usize,
    /// How many messages there are at once, at most. With so many, no message is delivered twice, and the sweep and
    /// the look at a failed copy wait.
    pub(crate) messages: usize,
    pub(crate) sweep: Sweep,
    /// An operator sends every dead letter back, sooner or later.
    pub(crate) operator: bool,
    /// Somebody else copies the source once; that copy may fail.
    pub(crate) foreign: bool,
    /// Users deregister copies: at any time if there is a sweep, else while a message is in the queue. Without a sweep,
    /// nobody would hear of it later.
    pub(crate) deregistered_by_hand: bool,
    /// The first epoch never ends, and only so many copies die.
    pub(crate) one_epoch: Option<u8>,
    pub(crate) has_queue: bool,
    /// EC2 answers the token of a dead AMI with an error in fair steps; else with its id.
    pub(crate) dead_token_is_error: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    Never,
    /// One sweep, and no event.
    Once,
    /// A sweep finds what was missed, again and again.
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Message {
    /// Of an order: the announcement or the request.
    Order,
    SecondLook {
        resume: Try,
        delay: u64,
        hops: u32,
    },
    /// A dead letter that an operator sends back.
    Letter {
        next: Try,
    },
    /// The scheduled sweep, if it comes once only.
    Sweep,
}

/// What a worker is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    Call,
    LookById,
    LookAgain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Worker {
    message: Message,
    phase: Phase,
    work: Work,
    ticks_left: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Foreign {
    pending: bool,
    age: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The source's age; less than two epochs.
    age: u64,
    ec2: Ec2,
    messages: BTreeSet<Message>,
    workers: Vec<Worker>,
    /// Failed copies that nobody looked at yet, by their try.
    failed: BTreeSet<Option<Try>>,
    foreign: Option<Foreign>,
    foreign_may_come: bool,
    deaths_left: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Tick,
    Taken { message: Message, seen: Look, then: Next },
    Called { at: Try, parameters: u8, answer: Answer, refused: bool },
    LookedById { at: Try, shown: ById, then: Next },
    LookedAgain { at: Try, seen: Look, then: Next },
    Crashed { at: Try },
    Fails,
    Deregistered,
    PostMortem { next: Option<Try> },
    SweepAnnounces,
    ForeignStarts,
    ForeignFails,
    ForeignAvailable,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) change: Change,
    /// A queue did not take a message, or a message is delivered again though its work ended.
    pub(crate) lost: Option<Lost>,
    pub(crate) fair: bool,
    pub(crate) next: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    NotSent,
    NotAcknowledged,
}

#[derive(Clone)]
pub(crate) struct Counted {
    pub(crate) rules: Rules,
    pub(crate) world: World,
}

/// How the work on a message ends.
#[derive(Clone, Copy)]
enum Ending {
    Acknowledge,
    /// Send this, then acknowledge.
    Send(Message),
    /// Move the message to the dead-letter queue, with this try to make next.
    DeadLetter(Option<Try>),
    /// Move the message to the dead-letter queue; sent back, it begins a new chain.
    LastLetter,
    /// Leave it in the queue.
    Retry,
}

impl Model for Counted {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let first = if self.world.sweep == Sweep::Once { Message::Sweep } else { Message::Order };
        vec![State {
            age: 0,
            ec2: Ec2::default(),
            messages: BTreeSet::from([first]),
            workers: Vec::new(),
            failed: BTreeSet::new(),
            foreign: None,
            foreign_may_come: self.world.foreign,
            deaths_left: self.world.one_epoch.unwrap_or(0),
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let mut steps = Steps { model: self, state, found: steps };
        steps.time();
        steps.copies();
        steps.foreign();
        steps.sweep();
        steps.messages();
        steps.workers();
    }

    fn next_state(&self, _: &State, step: Step) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("never two live copies for one order", |_, state: &State| state.ec2.copies.len() < 2)]
    }
}

impl Fair for Counted {
    fn is_fair(step: &Step) -> bool {
        step.fair
    }

    /// A live copy, and nothing is under way. That there are not two is safety. The copy of somebody else counts.
    fn is_good(&self, state: &State) -> bool {
        let has_copy = !state.ec2.copies.is_empty() || state.foreign.is_some();
        let is_enough = has_copy || self.world.kind == Kind::RequestWithOwnToken;
        is_enough && state.messages.is_empty() && state.workers.is_empty() && state.failed.is_empty()
    }
}

struct Steps<'a> {
    model: &'a Counted,
    state: &'a State,
    found: &'a mut Vec<Step>,
}

impl Steps<'_> {
    fn add(&mut self, change: Change, fair: bool, next: State) {
        self.add_lost(change, None, fair, next);
    }

    fn add_lost(&mut self, change: Change, lost: Option<Lost>, fair: bool, mut next: State) {
        next.in_one_order(self.model);
        self.found.push(Step { change, lost, fair, next });
    }

    fn time(&mut self) {
        if self.state.workers.iter().all(|worker| worker.ticks_left > 0) {
            let mut next = self.state.clone();
            next.tick(self.model);
            self.add(Change::Tick, true, next);
        }
    }

    fn copies(&mut self) {
        let Counted { rules, world } = self.model;
        for at in 0..self.state.ec2.copies.len() {
            let mut next = self.state.clone();
            match world.one_epoch {
                Some(_) if next.deaths_left == 0 => continue,
                Some(_) => next.deaths_left -= 1,
                None => {}
            }
            let dead = next.ec2.end_copy(at);
            if world.deregistered_by_hand && (world.sweep == Sweep::Always || !self.state.messages.is_empty()) {
                self.add(Change::Deregistered, false, next.clone());
            }
            next.failed.insert(dead.made_at);
            self.add(Change::Fails, false, next);
        }
        for failed in &self.state.failed {
            if self.state.messages.len() == world.messages {
                break;
            }
            let mut next = self.state.clone();
            next.failed.remove(failed);
            let without_letter = next.clone();
            next.dead_letter(self.model, failed.map(Try::next));
            self.add(Change::PostMortem { next: failed.map(Try::next) }, true, next);
            if rules.has(Mutation::NoLetterWhenSwept) {
                self.add_lost(Change::PostMortem { next: None }, Some(Lost::NotSent), false, without_letter);
            }
        }
    }

    fn foreign(&mut self) {
        if self.state.foreign_may_come {
            let mut next = self.state.clone();
            next.foreign_may_come = false;
            next.foreign = Some(Foreign { pending: true, age: 0 });
            self.add(Change::ForeignStarts, false, next);
        }
        if self.state.foreign.is_some_and(|foreign| foreign.pending) {
            let mut next = self.state.clone();
            next.foreign = None;
            self.add(Change::ForeignFails, false, next.clone());
            next.foreign = self.state.foreign.map(|foreign| Foreign { pending: false, ..foreign });
            self.add(Change::ForeignAvailable, true, next);
        }
    }

    /// What a look by filter may show, the least helpful first.
    fn looks(&self) -> Vec<Look> {
        let rules = &self.model.rules;
        let by_age =
            |foreign: Foreign| if foreign.age >= rules.visible_after { Visible::Surely } else { Visible::Maybe };
        let mut own = self.state.ec2.by_filter(rules, true);
        let mut pending = Visible::No;
        if let Some(foreign) = self.state.foreign {
            let counts =
                if foreign.pending && !rules.has(Mutation::ForeignPendingIsAnswer) { &mut pending } else { &mut own };
            *counts = by_age(foreign).max(*counts);
        }
        looks(own, pending)
    }

    /// The sweep that comes again and again announces what it does not see.
    fn sweep(&mut self) {
        let room = self.state.messages.len() < self.model.world.messages;
        if self.model.world.sweep == Sweep::Always && room && !self.state.messages.contains(&Message::Order) {
            for (number, seen) in self.looks().into_iter().enumerate() {
                if seen == Look::Nothing {
                    let mut next = self.state.clone();
                    next.messages.insert(Message::Order);
                    self.add(Change::SweepAnnounces, number == 0, next);
                }
            }
        }
    }

    /// A worker takes a message up, and looks.
    fn messages(&mut self) {
        let Counted { rules, world } = self.model;
        if self.state.workers.len() == world.workers {
            return;
        }
        for message in self.state.messages.clone() {
            let resume = match message {
                Message::Order => Resume::FromStart,
                Message::SecondLook { resume, delay: 0, .. } => Resume::SecondLook(resume),
                Message::SecondLook { .. } => continue,
                Message::Letter { next } => Resume::DeadLetter(next),
                Message::Sweep => {
                    self.only_sweep();
                    continue;
                }
            };
            let chain = Chain { hops: message.hops(world), is_swept: world.sweep == Sweep::Always };
            let taken = Taken { kind: world.kind, resume, age: self.state.age, has_queue: world.has_queue, chain };
            for (number, seen) in self.looks().into_iter().enumerate() {
                let then = taken.after_look(rules, seen);
                let change = Change::Taken { message, seen, then };
                match then {
                    Next::Copy(at) if at.number >= rules.tries_followed() => {}
                    Next::Copy(at) => {
                        for parameters in 0..world.parameter_sets {
                            let mut next = self.state.clone();
                            next.workers.push(Worker {
                                message,
                                phase: Phase::Call,
                                work: taken.work(rules, at, parameters),
                                ticks_left: rules.pause,
                            });
                            self.add(change, number == 0 && parameters + 1 == world.parameter_sets, next);
                        }
                    }
                    Next::End(end) => {
                        let next = self.state.clone();
                        self.end(change, number == 0, next, message, self.ending(end, message));
                    }
                }
            }
        }
    }

    /// The sweep that comes once: it looks, and announces.
    fn only_sweep(&mut self) {
        for (number, seen) in self.looks().into_iter().enumerate() {
            let ending = if seen == Look::Nothing { Ending::Send(Message::Order) } else { Ending::Acknowledge };
            self.end(Change::SweepAnnounces, number == 0, self.state.clone(), Message::Sweep, ending);
        }
    }

    fn workers(&mut self) {
        for number in 0..self.state.workers.len() {
            let worker = self.state.workers[number];
            let mut idle = self.state.clone();
            idle.workers.remove(number);
            self.add(Change::Crashed { at: worker.work.at }, false, idle.clone());
            match worker.phase {
                Phase::Call => self.call(worker, &idle),
                Phase::LookById => self.look_by_id(worker, &idle),
                Phase::LookAgain => self.look_again(worker, &idle),
            }
        }
    }

    fn call(&mut self, worker: Worker, idle: &State) {
        let Counted { rules, world } = self.model;
        let Work { at, parameters, .. } = worker.work;
        let token = worker.work.token(rules, world.kind);
        let answer = self.state.ec2.answer(token, parameters);
        let error = world.dead_token_is_error;
        let change = |refused| Change::Called { at, parameters, answer, refused };
        if answer != Answer::OtherParameters {
            let mut next = idle.clone();
            next.workers.push(Worker { phase: Phase::LookById, ..worker });
            if answer == Answer::NewCopy {
                next.ec2.start_copy(token, parameters, at);
            }
            self.add(change(false), answer != Answer::DeadAmi || !error, next);
        }
        if matches!(answer, Answer::OtherParameters | Answer::DeadAmi) {
            let mut next = idle.clone();
            next.workers.push(Worker { phase: Phase::LookAgain, ..worker });
            self.add(change(true), answer == Answer::OtherParameters || error, next);
        }
    }

    fn look_by_id(&mut self, worker: Worker, idle: &State) {
        let Counted { rules, world } = self.model;
        let at = worker.work.at;
        let answer = self.state.ec2.answer(worker.work.token(rules, world.kind), worker.work.parameters);
        let may_be_shown = Ec2::by_id(answer, rules);
        for (number, shown) in may_be_shown.iter().enumerate() {
            let fair = number + 1 == may_be_shown.len();
            let then = worker.work.after_answer(rules, world.kind, world.has_queue, *shown);
            let change = Change::LookedById { at, shown: *shown, then };
            match then {
                Next::Copy(at) if at.number >= rules.tries_followed() => {}
                Next::Copy(at) => {
                    let mut next = idle.clone();
                    next.workers.push(Worker { phase: Phase::Call, work: worker.work.at(at), ..worker });
                    self.add(change, fair, next);
                }
                Next::End(end) => {
                    self.end(change, fair, idle.clone(), worker.message, self.ending(end, worker.message));
                }
            }
        }
    }

    fn look_again(&mut self, worker: Worker, idle: &State) {
        let Counted { rules, world } = self.model;
        for (number, seen) in self.looks().into_iter().enumerate() {
            let then = worker.work.after_refusal(rules, world.kind, world.has_queue, seen);
            let Next::End(end) = then else { panic!("a refusal proves nothing: {then:?}") };
            let change = Change::LookedAgain { at: worker.work.at, seen, then };
            self.end(change, number == 0, idle.clone(), worker.message, self.ending(end, worker.message));
        }
    }

    /// What is done with a message in the end.
    fn ending(&self, end: End, message: Message) -> Ending {
        let Counted { rules, world } = self.model;
        match end {
            End::AlreadyCopied | End::Started | End::StartedForOwnToken | End::LeftToSweep => Ending::Acknowledge,
            End::StartedUnseen { resume } | End::SecondLook { resume } => {
                let hops = message.hops(world) + 1;
                Ending::Send(Message::SecondLook { resume, delay: rules.timing.second_look, hops })
            }
            End::TooManyHops if rules.has(Mutation::EndOfChainIsSuccess) => Ending::Acknowledge,
            End::TooManyHops => Ending::LastLetter,
            End::QuietUntil { age: until } => {
                let age = self.state.age;
                assert!(until > age && rules.timing.quiet_until(until).is_none(), "retried at {until}, too early");
                Ending::Retry
            }
            End::Undecided => Ending::Retry,
            End::Spent { .. } if rules.has(Mutation::SpentLetterWithoutTry) => Ending::DeadLetter(None),
            End::Spent { resume } => Ending::DeadLetter(Some(resume)),
            End::OwnTokenIsDead | End::OwnTokenIsRefused => Ending::DeadLetter(None),
        }
    }

    /// The work on a message ends.
    fn end(&mut self, change: Change, fair: bool, state: State, message: Message, ending: Ending) {
        let mut acknowledged = state.clone();
        acknowledged.messages.remove(&message);
        match ending {
            Ending::Retry => return self.add(change, fair, state),
            Ending::Acknowledge => {}
            Ending::DeadLetter(next) => acknowledged.dead_letter(self.model, next),
            Ending::LastLetter => acknowledged.last_letter(self.model, message),
            Ending::Send(sent) => {
                let loses = self.model.rules.has(match sent {
                    Message::Order => Mutation::SweepsAnnouncementNotSent,
                    _ => Mutation::SecondLookNotSent,
                });
                let not_sent = if loses { acknowledged.clone() } else { state.clone() };
                self.add_lost(change, Some(Lost::NotSent), false, not_sent);
                acknowledged.messages.insert(sent.in_epoch(self.model.rules.timing.epoch_at(state.age)));
            }
        }
        let mut again = acknowledged.clone();
        again.messages.insert(message);
        if again.messages.len() <= self.model.world.messages {
            self.add_lost(change, Some(Lost::NotAcknowledged), false, again);
        }
        self.add(change, fair, acknowledged);
    }
}

impl Message {
    /// A try of another epoch means nothing.
    fn in_epoch(self, epoch: u32) -> Self {
        match self {
            Self::SecondLook { resume, hops, .. } if resume.epoch != epoch => {
                Self::SecondLook { resume: Try { epoch, number: 0 }, delay: 0, hops }
            }
            Self::Letter { next } if next.epoch != epoch => Self::Order,
            _ => self,
        }
    }

    /// A sweep's announcement is the first of the courier's own messages.
    fn hops(self, world: &World) -> u32 {
        match self {
            Self::SecondLook { hops, .. } => hops,
            Self::Order => u32::from(world.sweep != Sweep::Never),
            Self::Letter { .. } | Self::Sweep => 0,
        }
    }
}

impl State {
    /// Without an operator nobody reads it.
    fn dead_letter(&mut self, model: &Counted, next: Option<Try>) {
        if model.world.operator {
            let epoch = model.rules.timing.epoch_at(self.age);
            let letter = next.map_or(Message::Order, |next| Message::Letter { next });
            self.messages.insert(letter.in_epoch(epoch));
        }
    }

    /// The message itself, at the beginning of a new chain.
    fn last_letter(&mut self, model: &Counted, message: Message) {
        let letter = match message {
            Message::SecondLook { resume, .. } if model.rules.has(Mutation::LastLetterHasNextTry) => {
                Message::Letter { next: resume.next() }
            }
            Message::SecondLook { resume, hops, .. } => {
                let hops = if model.rules.has(Mutation::LastLetterKeepsHops) { hops } else { 0 };
                Message::SecondLook { resume, delay: 0, hops }
            }
            _ => message,
        };
        if model.world.operator {
            self.messages.insert(letter.in_epoch(model.rules.timing.epoch_at(self.age)));
        }
    }

    fn tick(&mut self, model: &Counted) {
        let rules = &model.rules;
        self.ec2.tick(rules, false);
        self.foreign.iter_mut().for_each(|foreign| foreign.age = (foreign.age + 1).min(rules.visible_after));
        self.workers.iter_mut().for_each(|worker| worker.ticks_left -= 1);
        self.map_messages(|message| match message {
            Message::SecondLook { resume, delay, hops } => {
                Message::SecondLook { resume, delay: delay.saturating_sub(1), hops }
            }
            other => other,
        });
        if model.world.one_epoch.is_none() {
            let current = rules.timing.epoch_at(self.age);
            self.age += 1;
            if self.age.is_multiple_of(rules.timing.epoch) {
                self.end_epoch(model, current);
            }
        }
    }

    fn end_epoch(&mut self, model: &Counted, current: u32) {
        let by = u32::from(self.age == 2 * model.rules.timing.epoch);
        self.age = model.rules.timing.epoch;
        self.map_messages(|message| message.in_epoch(current + 1));
        self.ec2.renumber(by, current + 1);
        // All of them were made in other epochs.
        self.failed = self.failed.iter().map(|_| None).collect();
        self.workers.iter_mut().for_each(|worker| worker.work.renumber(model.world.kind, by));
    }

    /// The messages in the queue, and those that workers have.
    fn map_messages(&mut self, change: impl Fn(Message) -> Message) {
        self.messages = self.messages.iter().copied().map(&change).collect();
        self.workers.iter_mut().for_each(|worker| worker.message = change(worker.message));
    }

    /// Equal states look equal.
    fn in_one_order(&mut self, model: &Counted) {
        let epoch = model.rules.timing.epoch_at(self.age);
        if self.workers.iter().all(|worker| worker.work.epoch == epoch) {
            self.ec2.drop_tokens_before(epoch);
        }
        self.workers.sort_unstable();
        self.ec2.copies.sort_unstable();
    }
}
