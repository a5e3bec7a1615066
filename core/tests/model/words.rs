//! Traces in plain words, one line a step.

use std::collections::HashMap;
use std::fmt::Write as _;

use courier_core::protocol::{End, Look, Next, Resume, Try};

use crate::any_number::{self, AnyNumber, Because};
use crate::counted::{self, Counted, Lost, Message};
use crate::ec2::{Answer, ById};
use crate::properties::Trace;
use crate::rules::Kind;

pub(crate) fn of_any_number(model: &AnyNumber, trace: &Trace<AnyNumber>) -> Vec<String> {
    use any_number::Change;
    let mut reasons: HashMap<(Kind, Try), Because> = HashMap::new();
    let mut lines = Vec::new();
    let mut now = 0;
    let note = |reasons: &mut HashMap<_, _>, state, change| {
        for (kind, at, because) in model.reasons(state, change) {
            reasons.entry((kind, at)).or_insert(because);
        }
    };
    for (number, (state, step)) in trace.iter().enumerate() {
        if number == 0 {
            note(&mut reasons, state, None);
        }
        let Some(step) = step else { break };
        let what = match step.change {
            Change::Tick => {
                now += 1;
                note(&mut reasons, state, Some(step.change));
                continue;
            }
            Change::Turn { of } => {
                let of = of.map_or("nothing", order);
                note(&mut reasons, state, Some(step.change));
                lines.push(format!("t={now}: late messages are about {of} now"));
                continue;
            }
            Change::NewCopy { kind, call } => {
                let at = call.work.at;
                let because =
                    reasons.get(&(kind, at)).map_or_else(String::new, |because| format!("; {}", why(*because)));
                format!("CopyImage({}, {}) starts a copy{because}", token(kind, at), parameters(call.work.parameters))
            }
            Change::Fails { kind } => format!("the copy of {} fails", order(kind)),
            Change::Deregistered { kind } => format!("a user deregisters the copy of {}", order(kind)),
            Change::Disabled { kind } => format!("a user disables the copy of {}", order(kind)),
            Change::Forgotten { kind, token } => {
                format!(
                    "EC2 forgets token {} of {}",
                    token.number.map_or("?".to_owned(), |n| n.to_string()),
                    order(kind)
                )
            }
        };
        lines.push(format!("t={now}: {what}"));
        note(&mut reasons, state, Some(step.change));
    }
    lines
}

pub(crate) fn of_counted(trace: &Trace<Counted>) -> Vec<String> {
    use counted::Change;
    let mut lines = Vec::new();
    let mut now = 0;
    for (_, step) in trace {
        let Some(step) = step else { break };
        let mut what = match step.change {
            Change::Tick => {
                now += 1;
                continue;
            }
            Change::Taken { message, seen, then } => {
                format!("a worker takes {} and sees {}: {}", named(message), look(seen), next(then))
            }
            Change::Called { at, parameters: set, answer, refused } => {
                let answer = match answer {
                    Answer::NewCopy => "starts a copy",
                    Answer::Copy { .. } => "answers the copy",
                    Answer::OtherParameters => "is refused, for other parameters",
                    Answer::DeadAmi if refused => "is refused: its AMI is gone",
                    Answer::DeadAmi => "answers a dead AMI",
                };
                format!("CopyImage({at}, {}) {answer}", parameters(set))
            }
            Change::LookedById { at, shown, then } => {
                format!("the worker looks by id at the AMI of {at}: {}: {}", by_id(shown), next(then))
            }
            Change::LookedAgain { at, seen, then } => {
                format!("the worker of {at} looks again and sees {}: {}", look(seen), next(then))
            }
            Change::Crashed { at } => format!("the worker of {at} crashes"),
            Change::Fails => "the copy fails".to_owned(),
            Change::Deregistered => "a user deregisters the copy".to_owned(),
            Change::PostMortem { next } => match next {
                Some(next) => format!("the failed copy becomes a dead letter: {next}"),
                None => "the failed copy is cleared away".to_owned(),
            },
            Change::SweepAnnounces => "a sweep sees no copy, and announces the source".to_owned(),
            Change::ForeignStarts => "somebody else starts a copy".to_owned(),
            Change::ForeignFails => "somebody else's copy fails".to_owned(),
            Change::ForeignAvailable => "somebody else's copy becomes available".to_owned(),
        };
        let _ = match step.lost {
            Some(Lost::NotSent) => write!(what, " (the message could not be sent)"),
            Some(Lost::NotAcknowledged) => write!(what, " (the message will be delivered again)"),
            None => Ok(()),
        };
        lines.push(format!("t={now}: {what}"));
    }
    lines
}

fn token(kind: Kind, at: Try) -> String {
    match kind {
        Kind::Announcement => at.to_string(),
        Kind::Request => format!("{at} of the request"),
        Kind::Sibling => format!("{at} of the sibling"),
        Kind::RequestWithOwnToken => "its own token".to_owned(),
    }
}

fn order(kind: Kind) -> &'static str {
    match kind {
        Kind::Announcement => "the announcement",
        Kind::Sibling => "the sibling",
        Kind::Request | Kind::RequestWithOwnToken => "the request",
    }
}

fn parameters(set: u8) -> &'static str {
    if set == 0 { "parameters A" } else { "parameters B" }
}

fn why(because: Because) -> String {
    match because {
        Because::Took(Resume::FromStart) => "a worker took the message and saw no copy".to_owned(),
        Because::Took(Resume::SecondLook(at)) => format!("a worker took the second look {at} and saw no copy"),
        Because::Took(Resume::DeadLetter(at)) => format!("a worker took the dead letter {at} and saw no copy"),
        Because::Dead(at) => format!("a worker takes the AMI of {at} for dead"),
    }
}

fn named(message: Message) -> String {
    match message {
        Message::Order => "the message".to_owned(),
        Message::SecondLook { resume, hops, .. } => format!("the second look {resume} (hop {hops})"),
        Message::Letter { next } => format!("the dead letter {next}"),
        Message::Sweep => "the sweep".to_owned(),
    }
}

fn look(seen: Look) -> &'static str {
    match seen {
        Look::Live => "a live copy",
        Look::PendingOfSomebodyElse => "somebody else's pending copy",
        Look::Nothing => "no copy",
    }
}

fn by_id(shown: ById) -> &'static str {
    match shown {
        ById::Live => "live",
        ById::Failed => "failed",
        ById::Deregistered => "deregistered",
        ById::Unavailable => "Unavailable",
        ById::Empty => "an empty answer",
        ById::NotFound => "NotFound",
    }
}

fn next(then: Next) -> String {
    match then {
        Next::Copy(at) => format!("it is about to call {at}"),
        Next::End(End::AlreadyCopied) => "AlreadyCopied".to_owned(),
        Next::End(End::Started | End::StartedForOwnToken) => "Started".to_owned(),
        Next::End(End::StartedUnseen { resume }) => format!("Started; it sends the second look {resume}"),
        Next::End(End::SecondLook { resume }) => format!("it sends the second look {resume}"),
        Next::End(End::LeftToSweep) => "the chain ends; a sweep goes on".to_owned(),
        Next::End(End::TooManyHops) => "the chain ends; dead letter".to_owned(),
        Next::End(End::QuietUntil { age }) => format!("Retry at the age {age}"),
        Next::End(End::Undecided) => "Retry".to_owned(),
        Next::End(End::Spent { resume }) => format!("all tries are spent; dead letter {resume}"),
        Next::End(End::OwnTokenIsDead | End::OwnTokenIsRefused) => "rejected".to_owned(),
    }
}
