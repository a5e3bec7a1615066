//! Traces in plain words, one line a step.

use super::courier::Decision;
use super::model::{Change, Elections, Message};
use super::rules::Kind;
use super::world::{CHANNELS, Copies, FOREIGN, InEc2, Name, Tags, Write};
use crate::properties::Trace;

pub(crate) fn of(trace: &Trace<Elections>) -> Vec<String> {
    let mut time = 0;
    let mut lines = Vec::new();
    for (_, action) in trace {
        let Some(action) = action else { break };
        if action.change == Change::Tick {
            time += 1;
        } else {
            lines.push(format!("t={time}: {}", change(&action.change)));
        }
    }
    if let Some((last, _)) = trace.last() {
        let held = last.world.parameters.iter().map(|held| held.map_or("nothing".to_owned(), ami));
        let held: Vec<String> = (0..).zip(held).map(|(at, held)| format!("{} holds {held}", name(at))).collect();
        lines.push(format!("in the end {}", held.join(", ")));
    }
    lines
}

fn change(change: &Change) -> String {
    match change {
        Change::Tick => String::new(),
        Change::Outside { kind, copy, name: to, lost } => {
            let lost = if *lost { " (the event is lost)" } else { "" };
            format!("{}{lost}", outside(*kind, *copy, *to))
        }
        Change::HandWrites { name: at, ami: to } => format!("a hand writes {} to {}", ami(*to), name(*at)),
        Change::Taken { message, seen, tasks } => {
            let seen = seen.map_or(String::new(), |(tags, source)| {
                format!(
                    ", sees it {} and its source {}",
                    shown(tags),
                    shown(Tags {
                        name: source.name,
                        withdrawn: source.withdrawn,
                        withdrawn_source: false,
                        state: source.state,
                    })
                )
            });
            format!("a worker takes {}{seen}: {tasks:?}", named(*message))
        }
        Change::Elected { task, decision } => format!("{task:?} decides: {}", decided(*decision)),
        Change::Decided { task, waits } => format!("{task:?} {}", if *waits { "waits" } else { "is decided" }),
        Change::Wrote(write) => written(*write),
        Change::TakesEffectLater(write) => format!("{}, which takes effect later", written(*write)),
        Change::Crashed { before, arrives_later: true } => {
            format!("a worker crashes; its call is under way: {}", written(*before))
        }
        Change::Crashed { before, .. } => format!("a worker crashes before this call: {}", written(*before)),
        Change::Arrives(write) => format!("late: {}", written(*write)),
        Change::Swept { messages } => format!("a sweep sends {}", list(messages)),
        Change::Peace { messages } => format!("peace; the last sweep sends {}", list(messages)),
    }
}

fn outside(kind: Kind, copy: Copies, to: Option<Name>) -> String {
    match kind {
        Kind::Promoted => format!("source {copy} now gives {}", to.map_or("no name", name)),
        Kind::SourceWithdrawn => format!("people withdraw source {copy}, or take that back"),
        Kind::CopyWithdrawn => format!("people withdraw copy {copy}, or take that back"),
        Kind::SourceDisabled => format!("source {copy} is disabled"),
        Kind::SourceEnabled => format!("source {copy} is enabled"),
        Kind::SourceGone => format!("source {copy} is deregistered"),
        Kind::CopyDeregistered => format!("a user deregisters copy {copy}"),
        Kind::LastVersion => format!("the last version of the function finishes copy {copy}"),
        Kind::HandWrites => String::new(),
    }
}

fn written(write: Write) -> String {
    match write {
        Write::Put { name: at, ami: to } => format!("{} is written to {}", ami(to), name(at)),
        Write::Tag(copy, to) => format!("copy {copy} is tagged {}", to.map_or("with no name", name)),
        Write::Withdraw(copy) => format!("the courier's key is put on copy {copy}"),
        Write::Restore(copy) => format!("the courier's key is taken off copy {copy}"),
        Write::Disable(copy) => format!("copy {copy} is disabled"),
        Write::Enable(copy) => format!("copy {copy} is enabled"),
    }
}

fn decided(decision: Decision) -> String {
    match decision {
        Decision::Write(to) => format!("write {}", ami(to)),
        Decision::Nothing => "nothing to write".to_owned(),
        Decision::Retry { .. } => "retry".to_owned(),
    }
}

fn shown(tags: Tags) -> String {
    let state = match tags.state {
        InEc2::Available => "available",
        InEc2::Disabled => "disabled",
        InEc2::Deregistered => "deregistered",
    };
    let withdrawn = if tags.withdrawn { ", withdrawn by people" } else { "" };
    let source = if tags.withdrawn_source { ", withdrawn by the courier" } else { "" };
    format!("{state} ({}{withdrawn}{source})", tags.name.map_or("no name", name))
}

fn list(messages: &[Message]) -> String {
    let list: Vec<String> = messages.iter().map(|message| named(*message)).collect();
    if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
}

fn named(message: Message) -> String {
    match message {
        Message::Copy { copy, .. } => format!("copy {copy}"),
        Message::Name { name: of, .. } => format!("the name {}", name(of)),
        Message::LastVersion { copy } => format!("copy {copy}, with the last version"),
    }
}

fn ami(ami: u8) -> String {
    if ami == FOREIGN { "somebody else's AMI".to_owned() } else { format!("copy {ami}") }
}

fn name(name: Name) -> &'static str {
    CHANNELS[usize::from(name)]
}
