//! One run: ask every question, then remove everything.

use crate::assumption::Assumption;
use crate::aws::CallError;
use crate::clean::{Cleaned, Leftovers, clean};
use crate::lab::{Kind, Lab};
use crate::questions::Answer;

/// How an answer compares with what we assume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    AsExpected,
    Different,
    /// The question has no answer.
    Unanswered,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::AsExpected => "as expected",
            Verdict::Different => "DIFFERENT",
            Verdict::Unanswered => "no answer",
        }
    }
}

/// A question with its answer.
#[derive(Clone, Debug)]
pub struct Answered {
    pub assumption: Assumption,
    pub answer: Answer,
}

impl Answered {
    pub fn verdict(&self) -> Verdict {
        match &self.answer {
            Ok(seen) if self.assumption.expects(seen) => Verdict::AsExpected,
            Ok(_) => Verdict::Different,
            Err(_) => Verdict::Unanswered,
        }
    }

    /// What AWS did, or why there is no answer. Without AWS's message: it can contain ids and accounts.
    pub fn seen(&self) -> String {
        match &self.answer {
            Ok(seen) => seen.clone(),
            Err(CallError::Refused { code, .. }) => format!("refused: {code}"),
            Err(error) => error.to_string(),
        }
    }
}

/// Asks each question. `report` gets each answer as it comes.
pub async fn ask(lab: &Lab, assumptions: &[Assumption], mut report: impl FnMut(&Answered)) -> Vec<Answered> {
    let mut all = Vec::new();
    for assumption in assumptions {
        let answered = Answered { assumption: *assumption, answer: (assumption.ask)(lab).await };
        report(&answered);
        let is_stopped = answered.answer == Err(CallError::Stopped);
        all.push(answered);
        if is_stopped {
            break;
        }
    }
    all
}

/// Removes everything that the run made.
pub async fn clean_up(lab: &Lab) -> Cleaned {
    let mut made = lab.made();
    made.kinds.extend([Kind::Image, Kind::Snapshot]);
    let regions = [lab.plan.region.clone(), lab.plan.source_region.clone()].into();
    clean(&lab.aws.unstoppable(), &Leftovers { regions, run: Some(lab.plan.run.clone()), made }).await
}
