//! The courier between its calls: carries out what `courier_core::election` says. Mutations change this, never the election.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use courier_core::election::{
    self, Election, Holder, LeavesService, Look, Members, Next, Own, Parameter, Step, Timing, may_leave_service,
};
use courier_core::identity::Region;
use courier_core::image::Image;
use courier_core::naming::Template;
use time::Duration;

use super::mutations::Mutation;
use super::rules::Rules;
use super::world::{Ami, Copies, CopyState, FOREIGN, InEc2, Name, STACK, SourceTags, Table, Tags, World, now, ticks};

/// What a worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Task {
    Enable,
    Withdraw,
    Leave(Name),
    Tag(Option<Name>),
    Restore,
    Join(Name),
    Disable,
    /// The message comes again after so many ticks.
    LookAgain(u8),
    /// A message with the name of a parameter.
    Elect(Name),
    /// As the last version of the function does it.
    Publish(Copies),
}

/// How a task that only reads goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Decision {
    Write(Ami),
    Nothing,
    /// The page of a listing failed, or the holder is not visible.
    Retry {
        page_failed: bool,
    },
}

/// An election: what it is for, what the courier has just written, and whether a page fails.
type Ask = (World, Task, Option<(Copies, Tags)>, bool);
/// A look at one copy: itself, the age of its key, and its source.
type LookAt = (Copies, Tags, u8, SourceTags);
type Tasks = (Vec<Task>, Vec<Name>);

pub(crate) struct Courier {
    pub(crate) rules: Rules,
    pub(crate) table: Table,
    template: Template,
    region: Region,
    /// What was asked before: the same is asked in thousands of states.
    elected: Mutex<HashMap<Ask, BTreeSet<Decision>>>,
    looked: Mutex<HashMap<LookAt, Tasks>>,
}

impl Courier {
    pub(crate) fn new(rules: Rules) -> Self {
        let template = Template::parse("/golden/{tag:Channel}").unwrap();
        Self {
            rules,
            table: Table::new(),
            template,
            region: "us-east-1".parse().unwrap(),
            elected: Mutex::default(),
            looked: Mutex::default(),
        }
    }

    fn timing(&self) -> Timing {
        Timing { visible: ticks(self.rules.visible), settled: ticks(self.rules.settled) }
    }

    fn image(&self, copy: Copies, tags: Tags, key_age: u8) -> Image {
        let last = Copies::try_from(self.rules.copies.len()).unwrap() - 1;
        let newness = if self.rules.has(Mutation::NewestByFinishing) { last - copy } else { copy };
        let one_key = self.rules.has(Mutation::OneKey);
        let tags = Tags { withdrawn_source: if one_key { tags.withdrawn } else { tags.withdrawn_source }, ..tags };
        self.table.copy(copy, tags, key_age, newness)
    }

    /// What a look at one copy and its source leads to: its tasks, and the names whose parameter they can write.
    pub(crate) fn tasks(&self, copy: Copies, tags: Tags, key_age: u8, source: SourceTags) -> Tasks {
        let mut looked = self.looked.lock().unwrap();
        let tasks = || self.tasks_after((copy, tags, key_age, source));
        looked.entry((copy, tags, key_age, source)).or_insert_with(tasks).clone()
    }

    fn tasks_after(&self, (copy, tags, key_age, source): LookAt) -> Tasks {
        let is_back = source.state == InEc2::Available;
        let (enables, tags) = match tags.state {
            InEc2::Deregistered => return (Vec::new(), Vec::new()),
            InEc2::Disabled if !is_back => return (Vec::new(), Vec::new()),
            InEc2::Disabled => (true, Tags { state: InEc2::Available, ..tags }),
            InEc2::Available => (false, tags),
        };
        let seen = (self.image(copy, tags, key_age), self.table.source(copy, source));
        let look = Look {
            copy: &seen.0,
            source: seen.1.as_ref(),
            source_region: &self.region,
            parameter_name: &self.template,
            retire_with_source: self.rules.retire_with_source,
            is_due: false,
            now: now(),
        };
        let mut timing = self.timing();
        if self.rules.has(Mutation::RestoreAtOnce) {
            timing.visible = Duration::ZERO;
        }
        let steps = election::steps(&look, &timing);
        let names = steps.names().map(|name| self.table.number(name)).collect();
        let mut tasks: Vec<Task> = steps.steps.iter().map(|step| self.task(step)).collect();
        if self.rules.has(Mutation::WithdrawnAfterParameter) && tasks.first() == Some(&Task::Withdraw) {
            tasks.rotate_left(1);
        }
        if self.rules.has(Mutation::LeaveAfterTags)
            && let Some(at) = tasks.windows(2).position(|two| matches!(two, [Task::Leave(_), Task::Tag(_)]))
        {
            tasks.swap(at, at + 1);
        }
        if enables {
            tasks.insert(0, Task::Enable);
        }
        if source.state == InEc2::Disabled && self.rules.retire_with_source {
            tasks.push(Task::Disable);
        }
        if let Some(at) = steps.look_again_at {
            tasks.push(Task::LookAgain(u8::try_from((at - now()).whole_minutes()).unwrap()));
        }
        (tasks, names)
    }

    fn task(&self, step: &Step) -> Task {
        match step {
            Step::Withdraw => Task::Withdraw,
            Step::Leave(name) => Task::Leave(self.table.number(name)),
            Step::Tag(name) => Task::Tag(Some(self.table.number(name))),
            Step::Untag => Task::Tag(None),
            Step::Restore => Task::Restore,
            Step::Join(name) => Task::Join(self.table.number(name)),
        }
    }

    /// All that an election may decide, whatever EC2 shows. `own`: the worker's copy, as it has just written it.
    pub(crate) fn elect(
        &self,
        world: &World,
        task: Task,
        own: Option<(Copies, Tags)>,
        page_fails: bool,
    ) -> BTreeSet<Decision> {
        let ask = (world.clone(), task, own, page_fails);
        let mut elected = self.elected.lock().unwrap();
        elected.entry(ask).or_insert_with(|| self.elect_in(world, task, own, page_fails)).clone()
    }

    fn elect_in(&self, world: &World, task: Task, own: Option<(Copies, Tags)>, page_fails: bool) -> BTreeSet<Decision> {
        let (name, own_image) = match (task, own) {
            (Task::Leave(name) | Task::Elect(name), _) => (name, None),
            (Task::Join(name), Some((copy, tags))) => (name, Some(self.image(copy, tags, 0))),
            _ => unreachable!("{task:?} is no election"),
        };
        let own = match (&own_image, own) {
            (Some(image), _) => Own::Joining(image),
            (None, Some((copy, _))) => Own::Leaving(self.table.id(copy)),
            (None, None) => Own::Nobody,
        };
        let value = world.parameters[usize::from(name)];
        let parameter =
            value.map(|ami| Parameter { value: Some(self.table.id(ami).clone()), written: now() - Duration::days(1) });
        let mut decisions = BTreeSet::new();
        for holder in self.holder_views(world, value) {
            for listing in self.listings(world, page_fails) {
                let mut members = Members::new(STACK, own);
                for copy in &listing {
                    members.add(copy);
                }
                let mut election = Election {
                    name: self.table.name(name),
                    stack: STACK,
                    own,
                    parameter: parameter.as_ref(),
                    holder: None,
                    members: None,
                    now: now(),
                };
                let decision = loop {
                    match election.next(&self.timing()) {
                        Next::LookAtHolder => {
                            election.holder = Some(Holder { image: holder.as_ref(), source_created: None });
                        }
                        Next::List if page_fails && !self.rules.has(Mutation::HalfListing) => {
                            break Decision::Retry { page_failed: true };
                        }
                        Next::List => election.members = Some(&members),
                        Next::Write(id) => break Decision::Write(self.table.ami(&id)),
                        Next::Retry => break Decision::Retry { page_failed: false },
                        Next::End(_) => break Decision::Nothing,
                    }
                };
                decisions.insert(decision);
            }
        }
        decisions
    }

    /// The AMI that a parameter holds, as it may look by id.
    fn holder_views(&self, world: &World, value: Option<Ami>) -> Vec<Option<Image>> {
        match value {
            None => vec![None],
            Some(FOREIGN) => vec![Some(self.table.foreign())],
            Some(ami) => {
                let copy = &world.copies[usize::from(ami)];
                copy.ec2.views().into_iter().map(|tags| Some(self.image(ami, tags, copy.key_age))).collect()
            }
        }
    }

    /// All copies with a name, as they may look. Where a page fails: without one of them.
    fn listings(&self, world: &World, page_fails: bool) -> Vec<Vec<Image>> {
        let mut listings = vec![Vec::new()];
        for (copy, seen) in (0..).zip(&world.copies) {
            if self.rules.has(Mutation::GoBackOnAbsence) && seen.source.now.state == InEc2::Deregistered {
                continue;
            }
            let views: Vec<Image> =
                seen.ec2.views().into_iter().map(|tags| self.image(copy, tags, seen.key_age)).collect();
            let with = |listing: &Vec<Image>| {
                let listing = listing.clone();
                views
                    .iter()
                    .map(move |view| [listing.as_slice(), std::slice::from_ref(view)].concat())
                    .collect::<Vec<_>>()
            };
            listings = listings.iter().flat_map(with).collect();
        }
        if page_fails {
            let without = |listing: &Vec<Image>| {
                (0..listing.len()).map(|at| [&listing[..at], &listing[at + 1..]].concat()).collect::<Vec<_>>()
            };
            listings = listings.iter().flat_map(without).collect();
        }
        listings
    }

    /// Whether the copy may be disabled. `Err`: after so many ticks, or, held, at a later sweep.
    pub(crate) fn may_disable(&self, world: &World, copy: Copies, tags: Tags) -> Result<(), Option<u8>> {
        if self.rules.has(Mutation::DisableWhileHeld) {
            return Ok(());
        }
        let image = self.image(copy, tags, world.copies[usize::from(copy)].key_age);
        let parameter = tags.name.and_then(|name| world.parameters[usize::from(name)]);
        let parameter = parameter.map(|ami| Parameter { value: Some(self.table.id(ami).clone()), written: now() });
        match may_leave_service(&image, parameter.as_ref(), &self.timing(), now()) {
            LeavesService::HeldBy(_) => Err(None),
            LeavesService::NotBefore(until) => Err(Some(u8::try_from((until - now()).whole_minutes()).unwrap())),
            // The references that EC2 knows show a parameter that the copy has left, and that nobody else took over.
            LeavesService::Now if world.parameters.contains(&Some(copy)) => Err(None),
            LeavesService::Now => Ok(()),
        }
    }

    /// The names whose parameter differs from its election, as a sweep sees the copies.
    pub(crate) fn wrong_names(&self, world: &World, seen: &[Tags]) -> BTreeSet<Name> {
        let mut members = Members::new(STACK, Own::Nobody);
        let image = |copy: Copies| self.image(copy, seen[usize::from(copy)], world.copies[usize::from(copy)].key_age);
        (0..).zip(&world.copies).for_each(|(copy, _): (Copies, &CopyState)| {
            let is_absent = world.copies[usize::from(copy)].source.now.state == InEc2::Deregistered;
            if !(self.rules.has(Mutation::GoBackOnAbsence) && is_absent) {
                members.add(&image(copy));
            }
        });
        let is_wrong = |name: &Name| {
            let value = world.parameters[usize::from(*name)];
            let holder = value.map(|ami| if ami == FOREIGN { self.table.foreign() } else { image(ami) });
            let parameter = value
                .map(|ami| Parameter { value: Some(self.table.id(ami).clone()), written: now() - Duration::days(1) });
            let election = Election {
                name: self.table.name(*name),
                stack: STACK,
                own: Own::Nobody,
                parameter: parameter.as_ref(),
                holder: Some(Holder { image: holder.as_ref(), source_created: None }),
                members: Some(&members),
                now: now(),
            };
            !matches!(election.next(&self.timing()), Next::End(_))
        };
        members.names().map(|name| self.table.number(name)).filter(is_wrong).collect()
    }
}
