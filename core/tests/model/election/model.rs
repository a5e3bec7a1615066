//! Everything that can happen: changes from outside, workers, crashes, late calls, time; then peace, one sweep, and the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use stateright::{Model, Property};

use super::courier::{Courier, Decision, Task};
use super::mutations::Mutation;
use super::rules::{Kind, Peace, Rules};
use super::world::{Ami, Copies, CopyState, FOREIGN, InEc2, Name, Seen, SourceTags, Tags, World, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Message {
    /// Look at this copy: an event of its source, or from a sweep.
    Copy { copy: Copies, delay: u8 },
    /// Elect this name, from a sweep.
    Name { name: Name, delay: u8 },
    /// For the last version of the function.
    LastVersion { copy: Copies },
}

impl Message {
    fn is_ready(self) -> bool {
        !matches!(self, Self::Copy { delay: 1.., .. } | Self::Name { delay: 1.., .. })
    }

    fn tick(self) -> Self {
        match self {
            Self::Copy { copy, delay } => Self::Copy { copy, delay: delay.saturating_sub(1) },
            Self::Name { name, delay } => Self::Name { name, delay: delay.saturating_sub(1) },
            other @ Self::LastVersion { .. } => other,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Worker {
    message: Message,
    /// Its copy, as it saw and then wrote it.
    own: Option<(Copies, Tags)>,
    tasks: Vec<Task>,
    /// What an election decided to write.
    write: Option<Write>,
    /// Whether its source takes the copy out of its parameter.
    goes_back: bool,
    ticks_left: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) world: World,
    messages: BTreeSet<Message>,
    workers: Vec<Worker>,
    /// Calls under way, with the ticks until they arrive at the latest.
    late: Vec<(Write, u8)>,
    changes_left: u8,
    crashes_left: u8,
    late_left: u8,
    pages_left: u8,
    sweeps_left: u8,
    is_peace: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Tick,
    Outside { kind: Kind, copy: Copies, name: Option<Name>, lost: bool },
    HandWrites { name: Name, ami: Ami },
    Taken { message: Message, seen: Option<(Tags, SourceTags)>, tasks: Vec<Task> },
    Elected { task: Task, decision: Decision },
    Decided { task: Task, waits: bool },
    Wrote(Write),
    TakesEffectLater(Write),
    Crashed { before: Write, arrives_later: bool },
    Arrives(Write),
    Swept { messages: Vec<Message> },
    Peace { messages: Vec<Message> },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Action {
    pub(crate) change: Change,
    next: State,
}

#[derive(Clone)]
pub(crate) struct Elections {
    courier: Arc<Courier>,
}

impl Elections {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { courier: Arc::new(Courier::new(rules)) }
    }

    fn rules(&self) -> &Rules {
        &self.courier.rules
    }
}

impl Model for Elections {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let rules = self.rules();
        let copy = |(has, given): &(Option<Name>, Option<Name>)| CopyState {
            ec2: Seen::new(Tags { name: *has, withdrawn: false, withdrawn_source: false, state: InEc2::Available }),
            source: Seen::new(SourceTags { name: *given, withdrawn: false, state: InEc2::Available }),
            key_age: rules.settled,
            people_withdrew: false,
            gone_back: false,
        };
        let waits = (0..).zip(&rules.copies).filter(|(_, (has, given))| has != given);
        vec![State {
            world: World { copies: rules.copies.iter().map(copy).collect(), parameters: rules.parameters.clone() },
            messages: waits.map(|(copy, _)| Message::Copy { copy, delay: 0 }).collect(),
            workers: Vec::new(),
            late: Vec::new(),
            changes_left: rules.changes,
            crashes_left: rules.crashes,
            late_left: rules.late,
            pages_left: rules.failed_pages,
            sweeps_left: rules.sweeps,
            is_peace: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !state.is_peace {
            self.changes(state, actions);
            self.sweeps(state, actions);
            self.peace(state, actions);
        }
        self.takes(state, actions);
        for at in 0..state.workers.len() {
            self.works(state, at, actions);
        }
        for (at, (write, _)) in state.late.iter().enumerate() {
            let mut next = state.clone();
            next.late.remove(at);
            self.write(&mut next, *write);
            actions.push(Action { change: Change::Arrives(*write), next });
        }
        self.tick(state, actions);
    }

    fn next_state(&self, _: &State, action: Action) -> Option<State> {
        let mut next = action.next;
        if self.rules().visible == 0 {
            next.world.settle();
        }
        next.workers.sort_unstable();
        next.late.sort_unstable();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every name holds its newest member in the end", |model: &Self, state: &State| {
            !state.is_end() || model.is_right(&state.world)
        })]
    }
}

impl Elections {
    /// Every copy is as its source says, every name holds its newest member, and no parameter holds an AMI that the courier
    /// disabled, or that it has gone back from.
    fn is_right(&self, world: &World) -> bool {
        let in_step = world.copies.iter().all(|copy| {
            let (has, source) = (copy.ec2.now, copy.source.now);
            let withdrawn = source.withdrawn || (source.state == InEc2::Disabled && self.rules().retire_with_source);
            let has_key = if self.rules().has(Mutation::OneKey) { withdrawn } else { has.withdrawn_source };
            match (has.state, source.state) {
                (InEc2::Deregistered, _) | (_, InEc2::Deregistered) => true,
                (InEc2::Disabled, state) => state == InEc2::Disabled,
                (InEc2::Available, InEc2::Available) => has.name == source.name && has_key == withdrawn,
                // A disabled source takes no key off.
                (InEc2::Available, _) => has.name == source.name && (has_key || !withdrawn),
            }
        });
        in_step && (0..).zip(&world.parameters).all(|(name, held)| is_held_rightly(world, name, *held))
    }

    fn write(&self, state: &mut State, write: Write) {
        state.world.write(write, self.rules().has(Mutation::OneKey));
        if let Write::Restore(copy) = write {
            state.is_back(copy);
        }
    }

    fn changes(&self, state: &State, actions: &mut Vec<Action>) {
        if state.changes_left == 0 {
            return;
        }
        for kind in &self.rules().kinds {
            for copy in (0..).take(state.world.copies.len()) {
                match kind {
                    Kind::HandWrites => {}
                    Kind::Promoted => {
                        for name in [None, Some(0), Some(1)] {
                            self.change(state, *kind, copy, name, actions);
                        }
                    }
                    _ => self.change(state, *kind, copy, None, actions),
                }
            }
            if *kind == Kind::HandWrites {
                let copies = Ami::try_from(state.world.copies.len()).unwrap();
                let held = (0..).zip(&state.world.parameters).filter(|(_, held)| held.is_some());
                for (name, before) in held {
                    for ami in (0..copies).chain([FOREIGN]).filter(|ami| Some(*ami) != *before) {
                        let dead = |copy: &CopyState| copy.ec2.now.state != InEc2::Available;
                        if state.world.copies.get(usize::from(ami)).is_some_and(dead) {
                            continue;
                        }
                        let mut next = state.clone();
                        next.changes_left -= 1;
                        next.world.parameters[usize::from(name)] = Some(ami);
                        actions.push(Action { change: Change::HandWrites { name, ami }, next });
                    }
                }
            }
        }
    }

    /// One change of a copy or its source, if it changes anything.
    fn change(&self, state: &State, kind: Kind, at: Copies, name: Option<Name>, actions: &mut Vec<Action>) {
        let mut next = state.clone();
        next.changes_left -= 1;
        let copy = &mut next.world.copies[usize::from(at)];
        let source_is = |state: InEc2| copy.source.now.state == state;
        let applies = match kind {
            Kind::Promoted => !source_is(InEc2::Deregistered) && copy.source.now.name != name,
            Kind::SourceWithdrawn | Kind::SourceGone => !source_is(InEc2::Deregistered),
            Kind::SourceDisabled => source_is(InEc2::Available),
            Kind::SourceEnabled => source_is(InEc2::Disabled),
            Kind::CopyWithdrawn | Kind::CopyDeregistered => copy.ec2.now.state != InEc2::Deregistered,
            Kind::LastVersion => true,
            Kind::HandWrites => false,
        };
        if !applies {
            return;
        }
        let mut is_event = true;
        match kind {
            Kind::Promoted => copy.source.change(|source| source.name = name),
            Kind::SourceWithdrawn => copy.source.change(|source| source.withdrawn = !source.withdrawn),
            Kind::SourceDisabled => copy.source.change(|source| source.state = InEc2::Disabled),
            Kind::SourceEnabled => copy.source.change(|source| source.state = InEc2::Available),
            Kind::SourceGone => copy.source.change(|source| source.state = InEc2::Deregistered),
            Kind::CopyWithdrawn => {
                copy.people_withdrew = !copy.people_withdrew;
                let withdrawn = copy.people_withdrew;
                copy.ec2.change(|tags| tags.withdrawn = withdrawn);
            }
            Kind::CopyDeregistered => copy.ec2.change(|tags| tags.state = InEc2::Deregistered),
            Kind::LastVersion => {
                is_event = false;
                next.messages.insert(Message::LastVersion { copy: at });
            }
            Kind::HandWrites => {}
        }
        let outside = |lost| Change::Outside { kind, copy: at, name, lost };
        if is_event {
            if self.rules().events_are_lost {
                actions.push(Action { change: outside(true), next: next.clone() });
            }
            next.messages.insert(Message::Copy { copy: at, delay: 0 });
        }
        actions.push(Action { change: outside(false), next });
    }

    fn sweeps(&self, state: &State, actions: &mut Vec<Action>) {
        if state.sweeps_left == 0 {
            return;
        }
        for messages in self.swept(&state.world) {
            let mut next = state.clone();
            next.sweeps_left -= 1;
            next.messages.extend(&messages);
            actions.push(Action { change: Change::Swept { messages }, next });
        }
    }

    fn peace(&self, state: &State, actions: &mut Vec<Action>) {
        let mut next = state.clone();
        next.is_peace = true;
        let is_quiet = state.workers.is_empty() && state.late.is_empty();
        let messages = match self.rules().peace {
            Peace::NoSweep => {
                actions.push(Action { change: Change::Peace { messages: Vec::new() }, next });
                return;
            }
            Peace::Settled if !is_quiet => return,
            Peace::Settled => {
                next.messages.clear();
                next.world.settle();
                next.world.copies.iter_mut().for_each(|copy| copy.key_age = self.rules().settled);
                self.swept(&next.world)
            }
            Peace::AtOnce => self.swept(&next.world),
        };
        for messages in messages {
            let mut next = next.clone();
            next.messages.extend(&messages);
            actions.push(Action { change: Change::Peace { messages }, next });
        }
    }

    /// What a sweep sends, however the copies and their sources may look.
    fn swept(&self, world: &World) -> Vec<Vec<Message>> {
        let mut looks: Vec<Vec<(Tags, SourceTags)>> = vec![Vec::new()];
        for copy in &world.copies {
            let sources = copy.source.views();
            let views: Vec<(Tags, SourceTags)> = copy
                .ec2
                .views()
                .into_iter()
                .flat_map(|tags| sources.iter().map(move |source| (tags, *source)))
                .collect();
            let with = |look: &Vec<(Tags, SourceTags)>| {
                let look = look.clone();
                views.iter().map(move |view| [look.as_slice(), &[*view]].concat()).collect::<Vec<_>>()
            };
            looks = looks.iter().flat_map(with).collect();
        }
        let messages: BTreeSet<Vec<Message>> = looks.iter().map(|look| self.announced(world, look)).collect();
        messages.into_iter().collect()
    }

    fn announced(&self, world: &World, look: &[(Tags, SourceTags)]) -> Vec<Message> {
        let tags: Vec<Tags> = look.iter().map(|(tags, _)| *tags).collect();
        let mut names = self.courier.wrong_names(world, &tags);
        let mut messages = Vec::new();
        for (copy, (tags, source)) in (0..).zip(look) {
            let key_age = world.copies[usize::from(copy)].key_age;
            let (tasks, touched) = self.courier.tasks(copy, *tags, key_age, *source);
            let only_elects = tasks.iter().all(|task| matches!(task, Task::Leave(_) | Task::Join(_)));
            if !only_elects {
                messages.push(Message::Copy { copy, delay: 0 });
                names.extend(touched);
            }
        }
        let delay = self.rules().name_delay;
        messages.extend(names.into_iter().map(|name| Message::Name { name, delay }));
        messages
    }

    fn takes(&self, state: &State, actions: &mut Vec<Action>) {
        if state.workers.len() == self.rules().workers {
            return;
        }
        for message in state.messages.iter().copied().filter(|message| message.is_ready()) {
            let mut taken = state.clone();
            taken.messages.remove(&message);
            let worker = |own: Option<(Copies, Tags)>, tasks: &[Task], goes_back| Worker {
                message,
                own,
                tasks: tasks.to_vec(),
                write: None,
                goes_back,
                ticks_left: self.rules().pause,
            };
            match message {
                Message::Name { name, .. } => {
                    let mut next = taken;
                    next.workers.push(worker(None, &[Task::Elect(name)], false));
                    actions.push(Action { change: Change::Taken { message, seen: None, tasks: Vec::new() }, next });
                }
                Message::LastVersion { copy } => {
                    let mut next = taken;
                    next.workers.push(worker(None, &[Task::Publish(copy)], false));
                    actions.push(Action { change: Change::Taken { message, seen: None, tasks: Vec::new() }, next });
                }
                Message::Copy { copy, .. } => {
                    let seen = &state.world.copies[usize::from(copy)];
                    for tags in seen.ec2.views() {
                        for source in seen.source.views() {
                            let (tasks, _) = self.courier.tasks(copy, tags, seen.key_age, source);
                            let disabled = source.state == InEc2::Disabled && self.rules().retire_with_source;
                            let goes_back = source.withdrawn || disabled;
                            let mut next = taken.clone();
                            if source.state == InEc2::Available && !goes_back {
                                next.is_back(copy);
                            }
                            if !tasks.is_empty() {
                                next.workers.push(worker(Some((copy, tags)), &tasks, goes_back));
                            }
                            actions.push(Action {
                                change: Change::Taken { message, seen: Some((tags, source)), tasks },
                                next,
                            });
                        }
                    }
                }
            }
        }
    }

    /// The next step of a worker.
    fn works(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let worker = &state.workers[at];
        if let Some(write) = worker.write {
            self.writes(state, at, write, actions);
            return;
        }
        let task = worker.tasks[0];
        let own = worker.own;
        let copy = own.map_or(0, |(copy, _)| copy);
        match task {
            Task::Enable => self.writes(state, at, Write::Enable(copy), actions),
            Task::Withdraw => self.writes(state, at, Write::Withdraw(copy), actions),
            Task::Tag(name) => self.writes(state, at, Write::Tag(copy, name), actions),
            Task::Restore => self.writes(state, at, Write::Restore(copy), actions),
            Task::Leave(name) | Task::Join(name) | Task::Elect(name) => {
                let mut decisions = self.courier.elect(&state.world, task, own, false);
                if state.pages_left > 0 {
                    decisions.extend(self.courier.elect(&state.world, task, own, true));
                }
                for decision in decisions {
                    let mut next = state.clone();
                    match decision {
                        Decision::Write(ami) => {
                            let held = state.world.parameters[usize::from(name)];
                            let is_left = worker.goes_back && matches!(task, Task::Leave(_)) && held == Some(copy);
                            if is_left {
                                next.world.copies[usize::from(copy)].gone_back = true;
                            }
                            next.workers[at].write = Some(Write::Put { name, ami });
                        }
                        Decision::Nothing => next.finish_task(at),
                        Decision::Retry { page_failed } => {
                            next.pages_left -= u8::from(page_failed);
                            next.retry(at, 0);
                        }
                    }
                    actions.push(Action { change: Change::Elected { task, decision }, next });
                }
            }
            Task::LookAgain(delay) => {
                let mut next = state.clone();
                next.retry(at, delay);
                actions.push(Action { change: Change::Decided { task, waits: true }, next });
            }
            Task::Disable => {
                let (copy, tags) = own.unwrap();
                let mut next = state.clone();
                let decided = self.courier.may_disable(&state.world, copy, tags);
                match decided {
                    Ok(()) => next.workers[at].write = Some(Write::Disable(copy)),
                    Err(Some(delay)) => next.retry(at, delay),
                    Err(None) => next.finish_task(at),
                }
                actions.push(Action { change: Change::Decided { task, waits: decided.is_err() }, next });
            }
            Task::Publish(copy) => {
                // By its source's creation. What is dead counts as older than any.
                let mut next = state.clone();
                let held = state.world.parameters[0];
                let is_older = match held {
                    None => true,
                    Some(FOREIGN) => copy > 0,
                    Some(ami) => ami < copy || state.world.copies[usize::from(ami)].ec2.now.state != InEc2::Available,
                };
                if is_older && state.world.copies[usize::from(copy)].ec2.now.state == InEc2::Available {
                    next.workers[at].write = Some(Write::Put { name: 0, ami: copy });
                } else {
                    next.finish_task(at);
                }
                actions.push(Action { change: Change::Decided { task, waits: false }, next });
            }
        }
    }

    /// The call arrives, takes effect later, or its worker crashes before the answer.
    fn writes(&self, state: &State, at: usize, write: Write, actions: &mut Vec<Action>) {
        let mut done = state.clone();
        if let Some((_, tags)) = &mut done.workers[at].own {
            match write {
                Write::Tag(_, name) => tags.name = name,
                Write::Withdraw(_) => tags.withdrawn_source = true,
                Write::Restore(_) => tags.withdrawn_source = false,
                Write::Enable(_) => tags.state = InEc2::Available,
                Write::Disable(_) | Write::Put { .. } => {}
            }
        }
        done.finish_task(at);
        let mut now = done.clone();
        self.write(&mut now, write);
        actions.push(Action { change: Change::Wrote(write), next: now });
        if state.is_peace {
            return;
        }
        let later = (write, state.workers[at].ticks_left);
        if state.late_left > 0 && matches!(write, Write::Put { .. }) {
            let mut next = done;
            next.late_left -= 1;
            next.late.push(later);
            actions.push(Action { change: Change::TakesEffectLater(write), next });
        }
        if state.crashes_left > 0 {
            let mut next = state.clone();
            next.crashes_left -= 1;
            next.retry(at, 0);
            if state.late_left > 0 {
                let mut next = next.clone();
                next.late_left -= 1;
                next.late.push(later);
                actions.push(Action { change: Change::Crashed { before: write, arrives_later: true }, next });
            }
            actions.push(Action { change: Change::Crashed { before: write, arrives_later: false }, next });
        }
    }

    /// Time goes by, unless something must happen before. In peace, what is ready is done at once.
    fn tick(&self, state: &State, actions: &mut Vec<Action>) {
        let is_busy = !state.workers.is_empty() || !state.late.is_empty();
        if state.is_peace && (is_busy || state.messages.is_empty() || state.messages.iter().any(|one| one.is_ready())) {
            return;
        }
        if state.workers.iter().any(|worker| worker.ticks_left == 0) || state.late.iter().any(|(_, left)| *left == 0) {
            return;
        }
        let mut next = state.clone();
        next.messages = next.messages.into_iter().map(Message::tick).collect();
        next.workers.iter_mut().for_each(|worker| worker.ticks_left -= 1);
        next.late.iter_mut().for_each(|(_, left)| *left -= 1);
        for copy in &mut next.world.copies {
            copy.ec2.tick(self.rules().visible);
            copy.source.tick(self.rules().visible);
            copy.key_age = (copy.key_age + 1).min(self.rules().settled);
        }
        if next != *state {
            actions.push(Action { change: Change::Tick, next });
        }
    }
}

fn is_held_rightly(world: &World, name: Name, held: Option<Ami>) -> bool {
    let is_member = |copy: &CopyState| {
        let tags = copy.ec2.now;
        let is_withdrawn = copy.people_withdrew || tags.withdrawn_source || tags.withdrawn;
        tags.state == InEc2::Available && tags.name == Some(name) && !is_withdrawn
    };
    let newest = (0..).zip(&world.copies).filter(|(_, copy)| is_member(copy)).map(|(copy, _): (Copies, _)| copy).max();
    let holds_newest = match (newest, held) {
        (None, _) => true,
        (Some(newest), Some(FOREIGN)) => newest == 0,
        (Some(newest), held) => held == Some(newest),
    };
    let holder = held.and_then(|ami| world.copies.get(usize::from(ami)));
    // Where the source is in sight, it decides. Without any member, the parameter stays as it is.
    let is_withdrawn_for_ever =
        |copy: &CopyState| copy.gone_back && copy.source.now.state == InEc2::Deregistered && newest.is_some();
    let is_bad = |copy: &CopyState| is_withdrawn_for_ever(copy) || copy.ec2.now.state == InEc2::Disabled;
    holds_newest && !holder.is_some_and(is_bad)
}

impl State {
    fn is_end(&self) -> bool {
        self.is_peace && self.messages.is_empty() && self.workers.is_empty() && self.late.is_empty()
    }

    fn finish_task(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        worker.write = None;
        worker.tasks.remove(0);
        if worker.tasks.is_empty() {
            self.workers.remove(at);
        }
    }

    /// The courier saw that the source is in service.
    fn is_back(&mut self, copy: Copies) {
        self.world.copies[usize::from(copy)].gone_back = false;
        let is_own = |worker: &&mut Worker| worker.own.is_some_and(|(own, _)| own == copy);
        self.workers.iter_mut().filter(is_own).for_each(|worker| worker.goes_back = false);
    }

    /// The message comes again.
    fn retry(&mut self, at: usize, delay: u8) {
        let worker = self.workers.remove(at);
        self.messages.insert(match worker.message {
            Message::Copy { copy, .. } => Message::Copy { copy, delay },
            Message::Name { name, .. } => Message::Name { name, delay },
            other @ Message::LastVersion { .. } => other,
        });
    }
}
