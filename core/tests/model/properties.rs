//! What is checked, and how.
//!
//! *Safety* ("never two live copies for one order") is an `always` property of stateright, searched breadth first: its
//! counterexample is the shortest.
//!
//! *Liveness* ("from every state a good one can be reached by fair steps") cannot be an `eventually` property of
//! stateright: that only judges runs that end, and says so itself; in this model time never ends. So
//! [`explore`] goes through the same `Model`, breadth first, keeps the fair steps, and goes back from the good states.
//! Under strong fairness, that a good state can always be reached is the same as that it is reached in the end.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::{Checker, HasDiscoveries, Model};

/// A model whose steps are fair or not, and whose states are good or not.
pub(crate) trait Fair: Model {
    fn is_fair(action: &Self::Action) -> bool;
    fn is_good(&self, state: &Self::State) -> bool;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    TwoCopies,
    /// From some state no good one can be reached.
    Stuck,
    /// A parameter holds the wrong AMI when everything has ended.
    WrongHolder,
}

/// Each state of a way, with the step taken from it.
pub(crate) type Trace<M> = Vec<(<M as Model>::State, Option<<M as Model>::Action>)>;

/// What came out of one run.
pub(crate) struct Explored<M: Model> {
    pub(crate) verdict: Verdict,
    pub(crate) states: usize,
    /// The shortest way to the first state that is wrong. Empty if there is none.
    pub(crate) trace: Trace<M>,
}

/// The safety of one model, which is `broken` where its property does not hold.
pub(crate) fn check<M>(model: M, broken: Verdict) -> Explored<M>
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + PartialEq,
{
    let name = model.properties()[0].name;
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let states = checker.unique_state_count();
    match checker.discovery(name) {
        Some(path) => Explored { verdict: broken, states, trace: path.into_vec() },
        None => Explored { verdict: Verdict::Holds, states, trace: Vec::new() },
    }
}

/// Safety and liveness of one model.
pub(crate) fn explore<M>(model: &M) -> Explored<M>
where
    M: Fair,
    M::State: Clone + Hash,
    M::Action: Clone,
{
    let safe = model.properties();
    let mut graph = Graph::default();
    let mut open = VecDeque::new();
    for first in model.init_states() {
        graph.add(&first, None);
        open.push_back(first);
    }
    let mut good = Vec::new();
    let mut at = 0;
    while let Some(state) = open.pop_front() {
        if !safe.iter().all(|property| (property.condition)(model, &state)) {
            return Explored {
                verdict: Verdict::TwoCopies,
                states: graph.parents.len(),
                trace: graph.trace(model, at),
            };
        }
        if model.is_good(&state) {
            good.push(at);
        }
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        for (number, action) in actions.into_iter().enumerate() {
            let fair = M::is_fair(&action);
            let Some(next) = model.next_state(&state, action) else { continue };
            let (to, is_new) = graph.add(&next, Some((at, number)));
            if fair && to != at {
                graph.fair.push((to, at));
            }
            if is_new {
                open.push_back(next);
            }
        }
        at += 1;
    }
    let states = graph.parents.len();
    match graph.first_without_way_to(good) {
        Some(stuck) => Explored { verdict: Verdict::Stuck, states, trace: graph.trace(model, stuck) },
        None => Explored { verdict: Verdict::Holds, states, trace: Vec::new() },
    }
}

/// The states found, numbered in the order of their distance from the first, by their 64-bit hash (as stateright does).
#[derive(Default)]
struct Graph {
    numbers: HashMap<u64, u32>,
    /// From which state, and by which of its actions, each was found first.
    parents: Vec<Option<(u32, usize)>>,
    /// Fair steps: to, from.
    fair: Vec<(u32, u32)>,
}

impl Graph {
    fn add(&mut self, state: &impl Hash, parent: Option<(u32, usize)>) -> (u32, bool) {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let next = u32::try_from(self.parents.len()).unwrap();
        let number = *self.numbers.entry(hasher.finish()).or_insert(next);
        if number == next {
            self.parents.push(parent);
        }
        (number, number == next)
    }

    /// The first state from which fair steps lead to no good one.
    fn first_without_way_to(&mut self, good: Vec<u32>) -> Option<u32> {
        self.fair.sort_unstable();
        let mut has_way = vec![false; self.parents.len()];
        let mut open = good;
        for state in &open {
            has_way[*state as usize] = true;
        }
        while let Some(to) = open.pop() {
            let first = self.fair.partition_point(|(end, _)| *end < to);
            for (_, from) in self.fair[first..].iter().take_while(|(end, _)| *end == to) {
                if !std::mem::replace(&mut has_way[*from as usize], true) {
                    open.push(*from);
                }
            }
        }
        has_way.iter().position(|has_way| !has_way).map(|state| u32::try_from(state).unwrap())
    }

    fn trace<M: Model>(&self, model: &M, to: u32) -> Trace<M>
    where
        M::State: Clone,
        M::Action: Clone,
    {
        let mut actions = VecDeque::new();
        let mut at = to;
        while let Some((parent, action)) = self.parents[at as usize] {
            actions.push_front(action);
            at = parent;
        }
        let mut state = model.init_states().remove(0);
        let mut trace = Vec::new();
        for number in actions {
            let mut possible = Vec::new();
            model.actions(&state, &mut possible);
            let action = possible.remove(number);
            let next = model.next_state(&state, action.clone()).unwrap();
            trace.push((std::mem::replace(&mut state, next), Some(action)));
        }
        trace.push((state, None));
        trace
    }
}
