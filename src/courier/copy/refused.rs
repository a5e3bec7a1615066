//! Why no copy is started, in words: what EC2 refused, and what the protocol does not do.

use courier_core::error::{Error, RetryAfter, code};
use courier_core::image::{State, best};
use courier_core::protocol::{Timing, Try};
use courier_core::refusal;
use time::{Duration, OffsetDateTime};

use super::work::Work;
use crate::aws::error::{CallError, When};
use crate::courier::post_mortem::post_mortem;
use crate::courier::report::Report;
use crate::courier::stack::Stop;

impl Work<'_> {
    /// What is done, as errors name it.
    pub(super) fn doing(&self) -> String {
        let call = &self.plan.call;
        format!("copying {} to {} as `{}`", call.source, self.copy.courier.settings.stack_region, call.name)
    }

    pub(super) fn quiet(&self, age: u64) -> Error {
        let created = self.source_image.created.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let until = created + Duration::seconds(i64::try_from(age).unwrap_or(i64::MAX));
        let message = format!(
            "{}: every 23 hours the courier starts no copy of this AMI for 30 minutes, so that an earlier one can become visible",
            self.doing()
        );
        Error::retry(RetryAfter::Until(until), code::QUIET_TIME, message)
    }

    pub(super) fn spent(&self, resume: Try) -> Report {
        let last = self.last_failure.as_deref().unwrap_or("reported when it failed");
        let error = Error::rejected(
            code::TRIES_SPENT,
            format!("{}: {} copies failed; the last failure: {last}", self.doing(), Timing::EC2.tries),
            "read why each copy failed (log, event bus, dead-letter queue) and remove the cause; then send the dead letter back for \
             one more try, or wait: within 23 hours, the next announcement or sweep tries again",
        );
        self.copy.courier.failed(Some(self.copy.source), error).with_letter(self.copy.next_try(resume).body(0))
    }

    /// The letter begins a new chain.
    pub(super) fn looks_spent(&self) -> Report {
        let seen = match (&self.accepted, &self.seen) {
            (Some((accepted, _)), _) => format!("EC2 accepted the copy {accepted}, and does not show it"),
            (None, Some(copy)) => format!("the copy {} that somebody else made is still pending", copy.id),
            (None, None) => "EC2 accepted a copy before, and does not show it".to_owned(),
        };
        let error = Error::rejected(
            code::LOOKS_SPENT,
            format!("{}: after {} looks, {seen}, and no sweep looks after this AMI", self.doing(), Timing::EC2.hops),
            "wait until that copy is available or failed, then send the dead letter back: the courier looks again, and copies the AMI if \
             there is no live copy",
        );
        let report = self.copy.courier.failed(Some(self.copy.source), error);
        match self.copy.message() {
            Some(message) => report.with_letter(message.body(0)),
            None => report,
        }
    }

    /// The request's own token stands for another copy. `why`, unless EC2 said more.
    pub(super) fn own_token(&self, code: &str, why: &str) -> Error {
        let token = self.plan.own_token().map_or("", |token| token.as_str());
        let why = self.last_failure.as_deref().unwrap_or(why);
        Error::rejected(
            code,
            format!("{}: the request's ClientToken `{token}` stands for another copy: {why}", self.doing()),
            "send the request with a new ClientToken, or without one",
        )
    }

    /// EC2 documents this for `CreateImage` and `RegisterImage` only. Should it refuse a copy's name, the name's holder decides.
    pub(super) async fn name_is_taken(&self, taken: CallError) -> Result<Vec<Report>, Stop> {
        let courier = self.copy.courier;
        let ec2 = courier.local_ec2();
        let (source, name) = (self.copy.source, &self.plan.call.name);
        let holders = ec2.named(name.as_str()).await;
        let holders = holders.when(format_args!("looking in {} for the AMI with the name `{name}`", ec2.region))?;
        if let Some(copy) = best(holders.iter().filter(|holder| holder.is_copy_of(source))) {
            return Ok(vec![Report::new(Some(courier.route(source)), Ok(self.adopt(copy)?))]);
        }
        let retry = taken.retry(RetryAfter::Seconds, self.doing());
        let mut holders = holders.into_iter().filter(|holder| holder.state != State::Deregistered);
        match holders.next() {
            // EC2 does not show it yet, or the name of a deregistered AMI is not free yet.
            None => Err(retry.into()),
            Some(failed) if failed.state == State::Failed && failed.courier_source().is_some() => {
                let of = failed.courier_source().unwrap_or_else(|| source.clone());
                Ok(vec![post_mortem(courier, &failed, &of).await, courier.failed(Some(source), retry)])
            }
            Some(other) => Err(Error::rejected(
                code::NAME_TAKEN,
                format!("{}: the AMI {} has this name, and it is not a live copy of {source}", self.doing(), other.id),
                "rename or deregister that AMI, or change COPY_NAME, then send the message again",
            )
            .into()),
        }
    }

    pub(super) fn not_copied(&self, failed: CallError) -> Error {
        // The source was seen a moment ago: EC2 in this Region does not know it yet.
        if failed.is(code::IMAGE_NOT_FOUND) && self.copy.delivery.may_wait(self.copy.courier.aws.now()) {
            return failed.retry(RetryAfter::Seconds, self.doing());
        }
        let is_refused = failed.is(refusal::CATCH_ALL) || failed.is("AuthFailure");
        if !is_refused || !is_about_sharing(&failed.message) {
            return failed.sorted(self.doing());
        }
        // Builders share an AMI first and its snapshots later.
        let owner = self.source_image.owner.as_ref();
        let owner = owner.map_or_else(|| "its owner".to_owned(), |owner| format!("its owner, account {owner},"));
        failed.reject_if_it_stays(
            self.doing(),
            format!(
                "{owner} must share with this account not only the AMI but also its snapshots (create volume permission) and, where \
                 they are encrypted, the KMS key (Decrypt, DescribeKey, CreateGrant, ReEncrypt*)"
            ),
        )
    }
}

fn is_about_sharing(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["permission", "not authorized", "access the storage", "key"].iter().any(|sign| message.contains(sign))
}
