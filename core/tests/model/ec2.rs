//! EC2 at its weakest: the copies of one source AMI in one Region, and the client tokens that EC2 remembers.
//!
//! - A token that is not remembered starts a copy. A remembered one answers with its AMI, if the parameters are the
//!   same; once that AMI is dead, with its id or with an error. With other parameters the call is refused.
//! - A live AMI is visible or not, look by look, by id and by filter independently, until the bound. Then it is visible.
//! - By id, a dead AMI looks like anything but a live one; a young AMI like anything but `failed` and `deregistered`.
//! - A token is forgotten at any time after the bound of memory, or never.
//!
//! Reduced: an AMI has no identity. A live one is the copy that a token stands for; a dead one is a token that stands for
//! no live copy.

use courier_core::protocol::Try;

use crate::rules::Rules;

/// The name of a client token. `None`: the token does not depend on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token {
    pub(crate) epoch: Option<u32>,
    pub(crate) number: Option<u32>,
    pub(crate) parameters: Option<u8>,
}

/// What EC2 remembers of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Remembered {
    pub(crate) token: Token,
    pub(crate) parameters: u8,
    /// Ticks since the call, if that matters ([`Rules::forgets_used_tokens`]).
    pub(crate) age: u64,
}

/// A copy that is pending, available or disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LiveCopy {
    /// The token that stands for it, as long as EC2 remembers it.
    pub(crate) token: Option<Token>,
    /// What its tag says, as long as that means something: a try of another epoch means nothing.
    pub(crate) made_at: Option<Try>,
    /// Ticks since the call, at most the bound of visibility.
    pub(crate) age: u64,
    pub(crate) disabled: bool,
}

/// What `CopyImage` would answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The token is new: a copy starts.
    NewCopy,
    /// The id of a live copy of this age.
    Copy { age: u64 },
    /// The id of a dead AMI, or an error that says that the AMI is gone.
    DeadAmi,
    /// `IdempotentParameterMismatch`
    OtherParameters,
}

/// What `DescribeImages` by id shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ById {
    Live,
    Failed,
    Deregistered,
    Unavailable,
    Empty,
    NotFound,
}

/// What a look by filter may show of some copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Visible {
    No,
    Maybe,
    Surely,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ec2 {
    pub(crate) tokens: Vec<Remembered>,
    /// One, but for a forbidden state.
    pub(crate) copies: Vec<LiveCopy>,
}

impl Ec2 {
    pub(crate) fn answer(&self, token: Token, parameters: u8) -> Answer {
        let Some(known) = self.tokens.iter().find(|known| known.token == token) else { return Answer::NewCopy };
        if known.parameters != parameters {
            return Answer::OtherParameters;
        }
        match self.copies.iter().find(|copy| copy.token == Some(token)) {
            Some(copy) => Answer::Copy { age: copy.age },
            None => Answer::DeadAmi,
        }
    }

    pub(crate) fn start_copy(&mut self, token: Token, parameters: u8, made_at: Try) {
        self.tokens.push(Remembered { token, parameters, age: 0 });
        self.tokens.sort_unstable();
        self.copies.push(LiveCopy { token: Some(token), made_at: Some(made_at), age: 0, disabled: false });
    }

    /// The copy fails, or somebody deregisters it.
    pub(crate) fn end_copy(&mut self, at: usize) -> LiveCopy {
        self.copies.remove(at)
    }

    pub(crate) fn forget(&mut self, token: Token) {
        self.tokens.retain(|known| known.token != token);
        self.copies.iter_mut().filter(|copy| copy.token == Some(token)).for_each(|copy| copy.token = None);
    }

    pub(crate) fn tick(&mut self, rules: &Rules, ages_tokens: bool) {
        self.copies.iter_mut().for_each(|copy| copy.age = (copy.age + 1).min(rules.visible_after));
        if ages_tokens {
            self.tokens.iter_mut().for_each(|known| known.age = (known.age + 1).min(rules.remembered));
        }
    }

    /// What a look by filter may show.
    pub(crate) fn by_filter(&self, rules: &Rules, includes_disabled: bool) -> Visible {
        let counted = self.copies.iter().filter(|copy| includes_disabled || !copy.disabled);
        let visible = |copy: &LiveCopy| if copy.age >= rules.visible_after { Visible::Surely } else { Visible::Maybe };
        counted.map(visible).max().unwrap_or(Visible::No)
    }

    /// How the AMI of an answer may look by id, the least helpful last.
    pub(crate) fn by_id(answer: Answer, rules: &Rules) -> &'static [ById] {
        match answer {
            Answer::Copy { age } if age >= rules.visible_after => &[ById::Live],
            Answer::Copy { .. } | Answer::NewCopy => &[ById::Live, ById::Unavailable, ById::Empty, ById::NotFound],
            Answer::DeadAmi | Answer::OtherParameters => {
                &[ById::Failed, ById::Deregistered, ById::Unavailable, ById::Empty, ById::NotFound]
            }
        }
    }

    /// The end of an epoch: what has a number of an epoch is renumbered. What was made in another epoch has a try that
    /// means nothing any more.
    pub(crate) fn renumber(&mut self, by: u32, current: u32) {
        let token = |token: Token| Token { epoch: token.epoch.map(|epoch| epoch.saturating_sub(by)), ..token };
        self.tokens.retain(|known| known.token.epoch.is_none_or(|epoch| epoch >= by));
        self.tokens.iter_mut().for_each(|known| known.token = token(known.token));
        for copy in &mut self.copies {
            copy.token = copy.token.filter(|old| old.epoch.is_none_or(|epoch| epoch >= by)).map(token);
            copy.made_at = copy
                .made_at
                .filter(|at| at.epoch == current)
                .map(|at| Try { epoch: at.epoch.saturating_sub(by), ..at });
        }
    }

    /// Nobody uses the tokens of earlier epochs any more.
    pub(crate) fn drop_tokens_before(&mut self, epoch: u32) {
        let is_old = |token: &Token| token.epoch.is_some_and(|of| of < epoch);
        self.tokens.retain(|known| !is_old(&known.token));
        self.copies.iter_mut().for_each(|copy| copy.token = copy.token.filter(|token| !is_old(token)));
    }

    /// Which of two sets of parameters is which does not matter: the first token has the first.
    pub(crate) fn swap_parameters(&mut self) {
        self.tokens.iter_mut().for_each(|known| known.parameters ^= 1);
    }
}
