//! Safety, with any number of workers and messages: never two live copies for one order.
//!
//! Every message is delivered any number of times: an announcement or a request at any moment, a second look at any
//! moment after its delay, a dead letter at any moment after the copy failed. Every worker crashes, or pauses as long as
//! an invocation may last, between any two calls.
//!
//! # The reduction
//!
//! A state does not list workers. It lists what *may* happen next: the calls that a worker may be about to make, the
//! second looks and the dead letters that may arrive. A step that changes nothing in EC2 (a message is taken up, a look,
//! an answer with an old AMI, a second look is sent) can only add to these lists, and takes nothing away: another worker
//! may still be where this one was, and the message may arrive again. So [`State::settle`] takes all such steps at once.
//! What is left as a step of the model is what changes EC2: a new copy, a failure, a user, a forgotten token, time.
//!
//! This is exact: for every state found there are enough workers that do just that, and no run of workers leads anywhere
//! else. For the same reason a call and the look at its answer are one step: a worker that pauses in between finds what
//! another worker finds that makes the same call later.
//!
//! Of two entries that differ only in time, the one that can do more counts: the call that has more time left, the second
//! look that arrives earlier.
//!
//! The epochs after the first are all alike. When the second epoch ends, the model begins it again, and renumbers.

use courier_core::protocol::{End, Look, Next, Resume, Try};
use stateright::{Model, Property};

use crate::courier::{Chain, Taken, Work, looks};
use crate::ec2::{Answer, Ec2, LiveCopy, Token, Visible};
use crate::mutations::Mutation;
use crate::rules::{Kind, Rules};

/// Chains of messages have no end here: the end of one sends less, and the message that an operator then sends back is one that may
/// arrive again anyway.
const ENDLESS: Chain = Chain { hops: 0, is_swept: false };

/// A call that a worker may be about to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Call {
    pub(crate) work: Work,
    ticks_left: u64,
}

/// A second look that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct SecondLook {
    resume: Try,
    delay: u64,
}

/// What there is of one order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct OrderState {
    kind: Kind,
    parameter_sets: u8,
    ec2: Ec2,
    calls: Vec<Call>,
    second_looks: Vec<SecondLook>,
    letters: Vec<Try>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The source's age; less than two epochs.
    age: u64,
    orders: Vec<OrderState>,
    /// The member of a family that late messages are about now.
    turn: Option<Kind>,
}

/// What changed EC2, or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Tick,
    /// From now on, late messages are about this member of a family, or about none.
    Turn {
        of: Option<Kind>,
    },
    NewCopy {
        kind: Kind,
        call: Call,
    },
    Fails {
        kind: Kind,
    },
    Deregistered {
        kind: Kind,
    },
    Disabled {
        kind: Kind,
    },
    Forgotten {
        kind: Kind,
        token: Token,
    },
}

/// Why a worker may be about to make a call, for traces.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Because {
    /// It took up this message, and saw no live copy.
    Took(Resume),
    /// It takes the AMI of this try for dead.
    Dead(Try),
}

type Log<'a> = dyn FnMut(Kind, Try, Because) + 'a;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) change: Change,
    pub(crate) next: State,
}

/// The model: `rules` say what is assumed.
#[derive(Clone)]
pub(crate) struct AnyNumber {
    pub(crate) rules: Rules,
}

impl Model for AnyNumber {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut first = self.nothing_happened();
        first.settle(&self.rules, &mut |_, _, _| {});
        vec![first]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (change, mut next) in state.changes(&self.rules) {
            next.settle(&self.rules, &mut |_, _, _| {});
            steps.push(Step { change, next });
        }
    }

    fn next_state(&self, _: &State, step: Step) -> Option<State> {
        Some(step.next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(
            "never two live copies for one order, nor for one family",
            |model: &Self, state: &State| {
                let copies = state.orders.iter().map(|order| order.ec2.copies.len());
                if model.rules.family.is_some() { copies.sum::<usize>() < 2 } else { copies.max() < Some(2) }
            },
        )]
    }

    fn within_boundary(&self, state: &State) -> bool {
        self.rules.family.is_none_or(|family| state.age <= family.until)
    }
}

impl State {
    /// All that may change in EC2, and time. Nothing is settled yet.
    fn changes(&self, rules: &Rules) -> Vec<(Change, Self)> {
        let mut tick = self.clone();
        tick.tick(rules);
        let mut changes = vec![(Change::Tick, tick)];
        for of in self.turns(rules) {
            changes.push((Change::Turn { of }, Self { turn: of, ..self.clone() }));
        }
        for (number, order) in self.orders.iter().enumerate() {
            let kind = order.kind;
            let mut add = |change, what: &dyn Fn(&mut OrderState)| {
                let mut next = self.clone();
                what(&mut next.orders[number]);
                changes.push((change, next));
            };
            for (at, copy) in order.ec2.copies.iter().enumerate() {
                add(Change::Deregistered { kind }, &|order| {
                    order.ec2.end_copy(at);
                });
                if rules.disables && !copy.disabled && copy.age >= rules.visible_after {
                    add(Change::Disabled { kind }, &|order| order.ec2.copies[at].disabled = true);
                }
            }
            for known in &order.ec2.tokens {
                if rules.forgets_used_tokens(kind) && known.age >= rules.remembered {
                    add(Change::Forgotten { kind, token: known.token }, &|order| order.ec2.forget(known.token));
                }
            }
            for call in &order.calls {
                let token = call.work.token(rules, kind);
                if order.ec2.answer(token, call.work.parameters) == Answer::NewCopy {
                    add(Change::NewCopy { kind, call: *call }, &|order| {
                        order.ec2.start_copy(token, call.work.parameters, call.work.at);
                    });
                }
            }
            for at in 0..order.ec2.copies.len() {
                let mut next = self.clone();
                let failed = next.orders[number].ec2.end_copy(at);
                next.post_mortem(rules, kind, failed.made_at);
                changes.push((Change::Fails { kind }, next));
            }
        }
        changes
    }

    /// Whose turn may be next. The other's late calls have ended by then, and what they started is visible.
    fn turns(&self, rules: &Rules) -> Vec<Option<Kind>> {
        let Some(family) = rules.family else { return Vec::new() };
        let is_apart = family.apart && self.age >= family.in_time_until;
        let is_late = |call: &Call| self.age + call.ticks_left >= family.in_time_until + rules.pause;
        let is_new = |copy: &LiveCopy| {
            copy.age < rules.visible_after && self.age >= family.in_time_until + rules.pause + copy.age
        };
        let is_open = |order: &OrderState| order.calls.iter().any(is_late) || order.ec2.copies.iter().any(is_new);
        match self.turn {
            _ if !is_apart => Vec::new(),
            Some(_) => vec![None],
            None => {
                let others_are_open = |kind: Kind| self.orders.iter().any(|order| order.kind != kind && is_open(order));
                let members = self.orders.iter().map(|order| order.kind);
                members.filter(|kind| !others_are_open(*kind)).map(Some).collect()
            }
        }
    }

    /// The dead letter of a failed copy names the next try.
    fn post_mortem(&mut self, rules: &Rules, kind: Kind, made_at: Option<Try>) {
        let Some(made_at) = made_at else { return };
        for order in &mut self.orders {
            let misled = rules.has(Mutation::RequestsHintForAnnouncements) && kind == Kind::Request;
            if order.kind == kind || misled {
                order.add_letter(made_at.next());
            }
        }
    }

    fn tick(&mut self, rules: &Rules) {
        let epoch = rules.timing.epoch;
        let current = rules.timing.epoch_at(self.age);
        self.age += 1;
        let by = u32::from(self.age == 2 * epoch);
        if by == 1 {
            self.age = epoch;
        }
        let ended = self.age.is_multiple_of(epoch);
        for order in &mut self.orders {
            order.tick(rules);
            if ended {
                order.end_epoch(by, current);
            }
        }
    }

    /// Takes all steps that change nothing in EC2.
    fn settle(&mut self, rules: &Rules, log: &mut Log) {
        let epoch = rules.timing.epoch_at(self.age);
        for number in 0..self.orders.len() {
            let seen = looks(self.visible_to(number, rules), Visible::Maybe);
            let (age, turn) = (self.age, self.turn);
            let order = &mut self.orders[number];
            let may_take = rules.family.is_none_or(|family| family.may_take(order.kind, age, turn));
            while (may_take && order.take_messages(rules, age, &seen, log)) | order.make_calls(rules, age, &seen, log) {
            }
            order.forget_other_epochs(epoch);
            order.in_one_order(rules);
        }
    }

    /// What a look for this order may show of the courier's own copies. An announcement sees every copy of the source, and of its
    /// siblings; a sibling those of its origin; a request only those that have its name, which nobody else's copy has here.
    fn visible_to(&self, number: usize, rules: &Rules) -> Visible {
        let includes_disabled = !rules.has(Mutation::DisabledCopiesNotSeen);
        let shows = |of: Kind| match (self.orders[number].kind, of) {
            (Kind::Announcement, Kind::Sibling) => !rules.has(Mutation::OriginNotRecorded),
            (Kind::Sibling, Kind::Announcement) => !rules.has(Mutation::SiblingLooksAlone),
            (Kind::Announcement, _) => true,
            _ => false,
        };
        let seen = self.orders.iter().enumerate().filter(|(of, order)| *of == number || shows(order.kind));
        seen.map(|(_, order)| order.ec2.by_filter(rules, includes_disabled)).max().unwrap_or(Visible::No)
    }
}

impl OrderState {
    fn tick(&mut self, rules: &Rules) {
        self.ec2.tick(rules, rules.forgets_used_tokens(self.kind));
        self.calls.retain(|call| call.ticks_left > 0);
        self.calls.iter_mut().for_each(|call| call.ticks_left -= 1);
        self.second_looks.iter_mut().for_each(|look| look.delay = look.delay.saturating_sub(1));
    }

    /// `current` is the epoch that ended.
    fn end_epoch(&mut self, by: u32, current: u32) {
        // A second look or a letter of another epoch says nothing: it is an announcement, and those arrive all the time.
        self.second_looks.clear();
        self.letters.clear();
        self.ec2.renumber(by, current + 1);
        self.calls.iter_mut().for_each(|call| call.work.renumber(self.kind, by));
    }

    /// Every message that may arrive, taken up by a worker.
    fn take_messages(&mut self, rules: &Rules, age: u64, seen: &[Look], log: &mut Log) -> bool {
        let arrived =
            self.second_looks.iter().filter(|look| look.delay == 0).map(|look| Resume::SecondLook(look.resume));
        let letters = self.letters.iter().map(|next| Resume::DeadLetter(*next));
        let messages: Vec<Resume> = [Resume::FromStart].into_iter().chain(arrived).chain(letters).collect();
        let mut grows = false;
        for resume in messages {
            let taken = Taken { kind: self.kind, resume, age, has_queue: true, chain: ENDLESS };
            for seen in seen {
                match taken.after_look(rules, *seen) {
                    Next::Copy(at) => {
                        for parameters in 0..self.parameter_sets {
                            let call = Call { work: taken.work(rules, at, parameters), ticks_left: rules.pause };
                            if self.add_call(rules, call) {
                                log(self.kind, at, Because::Took(resume));
                                grows = true;
                            }
                        }
                    }
                    Next::End(end) => grows |= self.end(rules, end, age),
                }
            }
        }
        grows
    }

    /// Every call that may be made and starts no copy, with every answer and every look at it.
    fn make_calls(&mut self, rules: &Rules, age: u64, seen: &[Look], log: &mut Log) -> bool {
        let mut grows = false;
        for call in self.calls.clone() {
            let answer = self.ec2.answer(call.work.token(rules, self.kind), call.work.parameters);
            let answered = matches!(answer, Answer::Copy { .. } | Answer::DeadAmi);
            let refused = matches!(answer, Answer::OtherParameters | Answer::DeadAmi);
            if answered {
                for shown in Ec2::by_id(answer, rules) {
                    match call.work.after_answer(rules, self.kind, true, *shown) {
                        Next::Copy(at) => {
                            let next = Call { work: call.work.at(at), ..call };
                            if self.add_call(rules, next) {
                                log(self.kind, at, Because::Dead(call.work.at));
                                grows = true;
                            }
                        }
                        Next::End(end) => grows |= self.end(rules, end, age),
                    }
                }
            }
            if refused {
                for seen in seen {
                    match call.work.after_refusal(rules, self.kind, true, *seen) {
                        Next::Copy(at) => panic!("a refusal proves nothing, and {at} follows"),
                        Next::End(end) => grows |= self.end(rules, end, age),
                    }
                }
            }
        }
        grows
    }

    fn end(&mut self, rules: &Rules, end: End, age: u64) -> bool {
        match end {
            End::StartedUnseen { resume } | End::SecondLook { resume } => {
                let second_look = SecondLook { resume, delay: rules.timing.second_look };
                let too_early = rules.has(Mutation::LastLetterHasNextTry) && self.add_letter(resume);
                self.add_second_look(second_look) || too_early
            }
            End::Spent { resume } => self.add_letter(resume),
            End::QuietUntil { age: until } => {
                assert!(until > age && rules.timing.quiet_until(until).is_none(), "retried at {until}, too early");
                false
            }
            _ => false,
        }
    }

    fn add_call(&mut self, rules: &Rules, call: Call) -> bool {
        if call.work.at.number >= rules.tries_followed() {
            return false;
        }
        if let Some(known) = self.calls.iter_mut().find(|known| known.work == call.work) {
            let longer = call.ticks_left > known.ticks_left;
            known.ticks_left = known.ticks_left.max(call.ticks_left);
            return longer;
        }
        self.calls.push(call);
        true
    }

    fn add_second_look(&mut self, look: SecondLook) -> bool {
        if let Some(known) = self.second_looks.iter_mut().find(|known| known.resume == look.resume) {
            let earlier = look.delay < known.delay;
            known.delay = known.delay.min(look.delay);
            return earlier;
        }
        self.second_looks.push(look);
        true
    }

    fn add_letter(&mut self, next: Try) -> bool {
        let new = !self.letters.contains(&next);
        if new {
            self.letters.push(next);
        }
        new
    }

    /// What another epoch tried means nothing in this one; a token that nobody uses any more plays no role.
    fn forget_other_epochs(&mut self, epoch: u32) {
        self.second_looks.retain(|look| look.resume.epoch == epoch);
        self.letters.retain(|next| next.epoch == epoch);
        if self.kind != Kind::RequestWithOwnToken && self.calls.iter().all(|call| call.work.epoch == epoch) {
            self.ec2.drop_tokens_before(epoch);
        }
    }

    /// Equal states look equal.
    fn in_one_order(&mut self, rules: &Rules) {
        let first = self.ec2.tokens.first();
        let interchangeable = self.parameter_sets == 2
            && !rules.has(Mutation::TokenOfWholeCall)
            && !rules.has(Mutation::TagsUnsortedInToken);
        if interchangeable && first.is_some_and(|known| known.parameters == 1) {
            self.ec2.swap_parameters();
            self.calls.iter_mut().for_each(|call| call.work.parameters ^= 1);
        }
        self.calls.sort_unstable();
        self.second_looks.sort_unstable();
        self.letters.sort_unstable();
        self.ec2.copies.sort_unstable();
    }
}

impl AnyNumber {
    /// Why each call may be made that is new after `change`; without a change: at the very beginning.
    pub(crate) fn reasons(&self, state: &State, change: Option<Change>) -> Vec<(Kind, Try, Because)> {
        let mut reasons = Vec::new();
        let mut next = match change {
            None => self.nothing_happened(),
            Some(change) => match state.changes(&self.rules).into_iter().find(|(of, _)| *of == change) {
                Some((_, next)) => next,
                None => return reasons,
            },
        };
        next.settle(&self.rules, &mut |kind, at, because| reasons.push((kind, at, because)));
        reasons
    }

    fn nothing_happened(&self) -> State {
        let order = |&(kind, parameter_sets): &(Kind, u8)| OrderState {
            kind,
            parameter_sets,
            ec2: Ec2::default(),
            calls: Vec::new(),
            second_looks: Vec::new(),
            letters: Vec::new(),
        };
        State { age: 0, turn: None, orders: self.rules.orders.iter().map(order).collect() }
    }
}
