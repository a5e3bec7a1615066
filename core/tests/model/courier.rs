//! The courier between its calls: carries out what `protocol.rs` says, as `src/courier/` does. Mutations change this, never
//! the protocol.

use courier_core::protocol::{Look, LookById, Next, Order, Resume, Try};

use crate::ec2::{ById, Token, Visible};
use crate::mutations::Mutation;
use crate::rules::{Kind, Rules};

/// What a worker knows after its first look, which showed no live copy: it is about to call `CopyImage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Work {
    /// The epoch in which the message was taken up. Of the age, the rules use nothing else after the first look.
    pub(crate) epoch: u32,
    /// The try that a dead letter allows beyond the usual number. Of the message, the rules use nothing else after the
    /// first look.
    pub(crate) allowed: Option<u32>,
    pub(crate) at: Try,
    pub(crate) parameters: u8,
    pub(crate) chain: Chain,
}

/// What decides whether a chain of the courier's own messages goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Chain {
    pub(crate) hops: u32,
    pub(crate) is_swept: bool,
}

impl Work {
    fn order(&self, rules: &Rules, kind: Kind, has_queue: bool) -> Order {
        Order {
            resume: self
                .allowed
                .map_or(Resume::FromStart, |number| Resume::DeadLetter(Try { epoch: self.epoch, number })),
            age: u64::from(self.epoch) * rules.timing.epoch,
            has_queue,
            has_own_token: kind == Kind::RequestWithOwnToken,
            hops: self.chain.hops,
            is_swept: self.chain.is_swept,
        }
    }

    /// The client token of its call.
    pub(crate) fn token(&self, rules: &Rules, kind: Kind) -> Token {
        let own = kind == Kind::RequestWithOwnToken;
        let of_call = rules.has(Mutation::TokenOfWholeCall) || rules.has(Mutation::TagsUnsortedInToken);
        Token {
            epoch: (!own && !rules.has(Mutation::TokenWithoutEpoch)).then_some(self.at.epoch),
            number: (!own && !rules.has(Mutation::TokenWithoutTry)).then_some(self.at.number),
            parameters: of_call.then_some(self.parameters),
        }
    }

    pub(crate) fn after_answer(&self, rules: &Rules, kind: Kind, has_queue: bool, shown: ById) -> Next {
        self.order(rules, kind, has_queue).after_answer(&rules.timing, self.at, proves(rules, shown))
    }

    pub(crate) fn after_refusal(&self, rules: &Rules, kind: Kind, has_queue: bool, seen: Look) -> Next {
        let seen = if rules.has(Mutation::MismatchIsSuccess) { Look::Live } else { seen };
        self.order(rules, kind, has_queue).after_refusal(&rules.timing, self.at, seen)
    }

    /// The next call of the same worker.
    pub(crate) fn at(self, at: Try) -> Self {
        assert!(at.number > self.at.number && at.epoch == self.at.epoch, "{at} does not follow {}", self.at);
        Self { at, ..self }
    }

    pub(crate) fn renumber(&mut self, kind: Kind, by: u32) {
        self.epoch = self.epoch.saturating_sub(by);
        if kind != Kind::RequestWithOwnToken {
            self.at.epoch = self.at.epoch.saturating_sub(by);
        }
    }
}

/// One message as it is taken up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) kind: Kind,
    pub(crate) resume: Resume,
    pub(crate) age: u64,
    pub(crate) has_queue: bool,
    pub(crate) chain: Chain,
}

impl Taken {
    pub(crate) fn after_look(&self, rules: &Rules, seen: Look) -> Next {
        let blind = rules.has(Mutation::HintWithoutLook) && matches!(self.resume, Resume::DeadLetter(_));
        let order = Order {
            resume: self.resume,
            age: self.age,
            has_queue: self.has_queue,
            has_own_token: self.kind == Kind::RequestWithOwnToken,
            hops: self.chain.hops,
            is_swept: self.chain.is_swept,
        };
        order.after_look(&rules.timing, if blind { Look::Nothing } else { seen })
    }

    /// The work that begins with a call of `at`.
    pub(crate) fn work(&self, rules: &Rules, at: Try, parameters: u8) -> Work {
        let epoch = rules.timing.epoch_at(self.age);
        assert!(self.kind == Kind::RequestWithOwnToken || at.epoch == epoch, "{at} is not of epoch {epoch}");
        let allowed = match self.resume {
            Resume::DeadLetter(next) if next.epoch == epoch && next.number >= rules.timing.tries => Some(next.number),
            _ => None,
        };
        Work { epoch, allowed, at, parameters, chain: self.chain }
    }
}

/// What a look by id proves.
fn proves(rules: &Rules, shown: ById) -> LookById {
    let dead = match shown {
        ById::Live => return LookById::Live,
        ById::Failed | ById::Deregistered => true,
        ById::Unavailable => rules.has(Mutation::UnavailableIsDead),
        ById::Empty => rules.has(Mutation::EmptyIsDead),
        ById::NotFound => rules.has(Mutation::NotFoundIsDead),
    };
    if dead { LookById::Dead } else { LookById::NotVisible }
}

/// What a look by filter may show, the least helpful first. `foreign`: a pending copy of somebody else.
pub(crate) fn looks(own: Visible, foreign: Visible) -> Vec<Look> {
    let mut looks = match (own, foreign) {
        (Visible::Surely, _) => return vec![Look::Live],
        (_, Visible::Surely) => vec![Look::PendingOfSomebodyElse],
        (_, Visible::Maybe) => vec![Look::Nothing, Look::PendingOfSomebodyElse],
        (_, Visible::No) => vec![Look::Nothing],
    };
    if own == Visible::Maybe {
        looks.push(Look::Live);
    }
    looks
}
