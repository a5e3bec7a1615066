//! What one run assumes: the bounds of EC2, what else happens in the world, and which rule of the protocol is broken.

use courier_core::protocol::Timing;

use crate::mutations::Mutation;

/// Whose copies are asked for. Each order has client tokens of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// All announcements of one source AMI, from any sender. Settings may change in between.
    Announcement,
    /// An explicit request, delivered again and again. Its token is made of its call.
    Request,
    /// An explicit request that brings a client token.
    RequestWithOwnToken,
    /// All announcements of a sibling of the announced AMI. See [`Family`].
    Sibling,
}

/// A builder copies the announced AMI to another source Region: it becomes the origin of a sibling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// The age of the origin at that time.
    pub(crate) made_at: u64,
    /// How long the sibling waits from then on.
    pub(crate) wait: u64,
    /// Up to this age of the origin, a message about it is in time: what it starts is visible when the sibling has waited.
    pub(crate) in_time_until: u64,
    /// Whether *late* messages about the two come apart: what the one started is visible before the other is taken up. That is the
    /// limit of the rule.
    pub(crate) apart: bool,
    /// How far the run goes: a member is announced again and again, but nothing new comes up.
    pub(crate) until: u64,
}

impl Family {
    /// Whether a message about this member may be taken up at this age of the origin, if `turn` is the one that late messages are
    /// about.
    pub(crate) fn may_take(&self, kind: Kind, age: u64, turn: Option<Kind>) -> bool {
        let in_turn = !self.apart || turn == Some(kind);
        match kind {
            Kind::Sibling => age >= self.made_at + self.wait && (in_turn || age < self.in_time_until),
            _ => age < self.in_time_until || in_turn,
        }
    }
}

/// The durations are in ticks of about five minutes, and scaled down: only their order matters. See `main.rs`.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) timing: Timing,
    /// A new AMI is visible after this time at the latest.
    pub(crate) visible_after: u64,
    /// EC2 remembers a token for this time at least. Then it forgets it at any time, or never.
    pub(crate) remembered: u64,
    /// An invocation, and its calls still on their way, end within this time. The difference of clocks is in it.
    pub(crate) pause: u64,
    /// The orders of the run, and how many different parameters their callers send.
    pub(crate) orders: Vec<(Kind, u8)>,
    /// Users disable copies.
    pub(crate) disables: bool,
    pub(crate) family: Option<Family>,
    pub(crate) mutation: Option<Mutation>,
}

impl Rules {
    /// The tightest numbers for which the protocol holds.
    pub(crate) fn tightest() -> Self {
        let (visible_after, pause, epoch) = (3, 1, 6);
        Self {
            timing: Timing { epoch, quiet: visible_after + pause - 1, second_look: visible_after, tries: 3, hops: 4 },
            visible_after,
            remembered: epoch + pause,
            pause,
            orders: vec![(Kind::Announcement, 2)],
            disables: false,
            family: None,
            mutation: None,
        }
    }

    pub(crate) fn with(mut self, mutation: Mutation) -> Self {
        match mutation {
            Mutation::NoQuietTime => self.timing.quiet = 0,
            Mutation::QuietTimeTooShort => self.timing.quiet = self.visible_after + self.pause - 2,
            Mutation::DelayShorterThanVisibility => self.timing.second_look = self.visible_after - 1,
            Mutation::ChainTooShort => self.timing.hops = self.timing.tries - 1,
            Mutation::MemoryShorterThanEpoch => self.remembered = self.timing.epoch - 2,
            Mutation::SiblingDoesNotWait => self.family = self.family.map(|family| Family { wait: 0, ..family }),
            _ => {}
        }
        self.mutation = Some(mutation);
        self
    }

    pub(crate) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Whether EC2 may forget a token that somebody still uses. A token of an epoch is used until the epoch ends and the
    /// last invocation that began in it ends. A token without an epoch is used for ever.
    pub(crate) fn forgets_used_tokens(&self, kind: Kind) -> bool {
        self.remembered < self.timing.epoch + self.pause
            || self.has(Mutation::TokenWithoutEpoch)
            || kind == Kind::RequestWithOwnToken
    }

    /// How many tries the model follows in one epoch: all that the protocol allows, and one more that an operator allows.
    pub(crate) fn tries_followed(&self) -> u32 {
        self.timing.tries + 1
    }
}
