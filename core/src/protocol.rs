//! Exactly once: what was seen decides what to do next. Pure, and explored by a model checker as it stands (`tests/model`).
//!
//! Assumed of AWS, and nothing more:
//! - `CopyImage` with a remembered client token starts no second copy; with other parameters it is refused.
//! - A token is remembered for 24 hours at least.
//! - A new AMI is visible, by id and by filter, 15 minutes after the call at the latest.
//! - An invocation, and the calls still on their way, end within 7 minutes. Clocks agree to a minute.
//!
//! Not assumed: unique names; that an AMI is visible any sooner, or stays visible once seen; what a token is answered
//! with once its AMI is dead; how a dead or a young AMI looks by id; that events come, come once, or come in order.
//!
//! Promised: for each announced source AMI that is wanted, never two live copies of the courier's; and exactly one in the
//! end, as long as copies succeed at all. The rules:
//!
//! 1. *Look* for a live copy first. There is one: done.
//! 2. *Token*: of the source, this Region, and the [`Try`]: nothing of settings or tags. So the first caller holds the lock,
//!    whatever the parameters. An *epoch* is shorter than EC2's memory of tokens. In the *quiet time* at the beginning of
//!    each epoch but the first, no copy is started: by its end, whatever the epoch before began is visible.
//! 3. *Answer*: only an AMI that is seen dead makes the next try follow. One that is not visible may be seconds old: the
//!    courier looks once more when the bound of visibility has passed. So it does when EC2 refuses the token.
//! 4. *Second look*: still no live copy? Then the AMI of that try is dead, and the next try follows.
//! 5. [`Timing::tries`] tries an epoch; the next epoch begins again, so what failed heals within a day once its cause is gone.
//! 6. *Hops*: a second look may lead to another one. After [`Timing::hops`] messages of its own in a row, the courier sends no
//!    further one: a sweep goes on where one finds the source, and an operator where none does.

use std::fmt;
use std::str::FromStr;

use crate::identity::Malformed;

/// The bounds that the rules rest on. The durations have one unit: seconds in the function, ticks in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Shorter than EC2's memory of a token, by more than an invocation lasts.
    pub epoch: u64,
    /// Longer than the bound of visibility and an invocation together.
    pub quiet: u64,
    /// The bound of visibility.
    pub second_look: u64,
    /// How many copies may fail in an epoch before an operator has to look.
    pub tries: u32,
    /// How many messages of the courier to itself may follow each other.
    pub hops: u32,
}

impl Timing {
    /// In seconds: 23 hours, 30 minutes, 15 minutes. The last is also the longest delay that SQS has.
    ///
    /// The hops are enough for the tries of two epochs, and for three hours of somebody else's pending copy. With the message that
    /// begins a chain, they are fewer than the 16 invocations after which Lambda ends a loop.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
    pub const EC2: Self = Self { epoch: 23 * 60 * 60, quiet: 30 * 60, second_look: 15 * 60, tries: 5, hops: 12 };

    /// The epoch of a source of this age.
    pub fn epoch_at(&self, age: u64) -> u32 {
        u32::try_from(age / self.epoch).unwrap_or(u32::MAX)
    }

    /// The age at which the quiet time ends, for a source that is in one.
    pub fn quiet_until(&self, age: u64) -> Option<u64> {
        let begun = age - age % self.epoch;
        (begun > 0 && age < begun + self.quiet).then_some(begun + self.quiet)
    }
}

/// One attempt at a copy: the epoch, and the number of the try within it. Written `0.0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Try {
    pub epoch: u32,
    pub number: u32,
}

impl Try {
    /// The very first one.
    pub const FIRST: Self = Self { epoch: 0, number: 0 };

    /// No try has this number: it would need so many failed copies, and so many dead letters sent back, within 23 hours. Each try has a
    /// token of its own, so a sender that writes messages in the courier's name must not choose among any number of them.
    pub const MOST: u32 = 100;

    /// The one after this, in the same epoch.
    pub fn next(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

impl FromStr for Try {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parsed = text
            .split_once('.')
            .and_then(|(epoch, number)| Some(Self { epoch: epoch.parse().ok()?, number: number.parse().ok()? }));
        // In one form only: `+1.02` is no try.
        parsed
            .filter(|parsed| parsed.to_string() == text)
            .ok_or_else(|| Malformed { value: text.to_owned(), accepted: "a try (`EPOCH.TRY`, such as `0.1`)" })
    }
}

/// What a message says about earlier tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resume {
    /// Nothing: it announces or requests an AMI.
    FromStart,
    /// The courier's own second look: this is the try to make if there is still no live copy.
    SecondLook(Try),
    /// The dead letter of a failed copy, sent back by an operator: this is the try to make next. It gets at least this one.
    DeadLetter(Try),
}

/// One message that asks for a copy, as it is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    pub resume: Resume,
    /// The source's age when the message was taken up, in the unit of [`Timing`].
    pub age: u64,
    /// Whether the courier has a queue of its own, for second looks.
    pub has_queue: bool,
    /// Whether the request brings a client token of its own: it is used as it is, and knows neither tries nor quiet time.
    pub has_own_token: bool,
    /// How many of the courier's own messages led to this one, itself included. None for a message of somebody else's.
    pub hops: u32,
    /// Whether a sweep announces the source for as long as it has no live copy.
    pub is_swept: bool,
}

/// What a look for copies of the source shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// A pending, available or disabled copy.
    Live,
    /// Only a pending copy that somebody else made. It may fail, and nobody would hear of it.
    PendingOfSomebodyElse,
    Nothing,
}

/// What the AMI that EC2 answered with looks like by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookById {
    Live,
    /// Seen with the state `failed` or `deregistered`. Nothing else proves that an AMI is dead.
    Dead,
    /// Not found, an empty answer, or not available: it may be dead, or seconds old.
    NotVisible,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// Call `CopyImage` with the token of this try.
    Copy(Try),
    End(End),
}

/// How the work on one message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// A live copy exists.
    AlreadyCopied,
    /// EC2 accepted the copy, and it is visible.
    Started,
    /// EC2 accepted the copy, and it is not visible. Look again after [`Timing::second_look`], with this to resume.
    StartedUnseen { resume: Try },
    /// EC2 accepted the copy of a request's own token, and it is not visible. There is no next try to prepare.
    StartedForOwnToken,
    /// Nothing is decided yet. Look again after [`Timing::second_look`], with this to resume.
    SecondLook { resume: Try },
    /// A quiet time: retry once the source has this age.
    QuietUntil { age: u64 },
    /// The last message of a chain. Nothing is decided; a sweep finds the source if it still has no live copy.
    LeftToSweep,
    /// The last message of a chain, and no sweep finds the source. An operator may begin a new chain with the same message. Not
    /// with the next try: sent back at once, that could come too early.
    TooManyHops,
    /// Nothing is decided, and there is no queue for a second look: retry.
    Undecided,
    /// All tries of this epoch failed. An operator may allow this one more.
    Spent { resume: Try },
    /// The request's own token stands for a copy that is dead.
    OwnTokenIsDead,
    /// EC2 refused the request's own token.
    OwnTokenIsRefused,
}

impl Order {
    /// After the first look.
    pub fn after_look(&self, timing: &Timing, seen: Look) -> Next {
        let first = self.first_try(timing);
        match seen {
            Look::PendingOfSomebodyElse if self.has_queue && !self.has_own_token => {
                Next::End(self.hop(timing, End::SecondLook { resume: first }))
            }
            Look::Live | Look::PendingOfSomebodyElse => Next::End(End::AlreadyCopied),
            Look::Nothing if self.has_own_token => Next::Copy(first),
            Look::Nothing => match timing.quiet_until(self.age) {
                Some(age) => Next::End(End::QuietUntil { age }),
                None => self.try_next(timing, first),
            },
        }
    }

    /// After EC2 answered the call of `at` with an AMI.
    pub fn after_answer(&self, timing: &Timing, at: Try, seen: LookById) -> Next {
        match seen {
            LookById::Live => Next::End(End::Started),
            LookById::Dead if self.has_own_token => Next::End(End::OwnTokenIsDead),
            LookById::Dead => self.try_next(timing, at.next()),
            LookById::NotVisible if self.has_own_token => Next::End(End::StartedForOwnToken),
            LookById::NotVisible if self.has_queue => {
                Next::End(self.hop(timing, End::StartedUnseen { resume: at.next() }))
            }
            LookById::NotVisible => Next::End(End::Undecided),
        }
    }

    /// After EC2 refused the token of `at`, for other parameters or because its AMI is gone; and another look.
    pub fn after_refusal(&self, timing: &Timing, at: Try, seen: Look) -> Next {
        Next::End(match seen {
            _ if self.has_own_token => End::OwnTokenIsRefused,
            Look::Live => End::AlreadyCopied,
            _ if self.has_queue => self.hop(timing, End::SecondLook { resume: at.next() }),
            _ => End::Undecided,
        })
    }

    /// An end that sends one more message, if there may be one more.
    fn hop(&self, timing: &Timing, end: End) -> End {
        if self.hops < timing.hops {
            end
        } else if self.is_swept {
            End::LeftToSweep
        } else {
            End::TooManyHops
        }
    }

    /// What another epoch has tried means nothing in this one.
    fn first_try(&self, timing: &Timing) -> Try {
        let epoch = timing.epoch_at(self.age);
        match self.resume {
            _ if self.has_own_token => Try::FIRST,
            Resume::SecondLook(resume) | Resume::DeadLetter(resume) if resume.epoch == epoch => resume,
            _ => Try { epoch, number: 0 },
        }
    }

    fn try_next(&self, timing: &Timing, next: Try) -> Next {
        let tries = match self.resume {
            Resume::DeadLetter(resume) if resume.epoch == timing.epoch_at(self.age) => {
                timing.tries.max(resume.number.saturating_add(1))
            }
            _ => timing.tries,
        };
        if next.number < tries.min(Try::MOST) { Next::Copy(next) } else { Next::End(End::Spent { resume: next }) }
    }
}
