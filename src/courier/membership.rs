//! Membership: whether the parameter of a name may hold a copy. [`courier_core::election`] says what to do, step by step; finish and
//! retirement do it here, so that each step survives an end after the one before.

use courier_core::election::{self, End, LeavesService, Look, Own, Step, Steps, Timing, name_of};
use courier_core::error::Error;
use courier_core::identity::Identity;
use courier_core::image::{Image, MadeFor, tag};

use super::publish::{Elected, Publish};
use super::stack::Courier;
use crate::aws::error::When;

/// The membership of one copy.
pub(super) struct Membership<'a> {
    pub(super) courier: &'a Courier,
    /// As EC2 showed it, with what was done to it since.
    pub(super) copy: Image,
}

/// What became of one step.
#[derive(Default)]
pub(super) struct Followed {
    pub(super) has_changed: bool,
    /// What an operator should know of the parameter.
    pub(super) remark: Option<String>,
}

impl Membership<'_> {
    /// What brings the membership in step with the source. `None` where no parameter is asked for, or the copy is not this stack's.
    pub(super) fn steps(&self, source: &Identity, source_image: Option<&Image>, is_due: bool) -> Option<Steps> {
        let settings = &self.courier.settings;
        let look = Look::new(&self.copy, source, source_image, settings, self.courier.aws.now())?;
        let is_ours = self.copy.is_of_stack(&settings.copying.stack_name);
        is_ours.then(|| election::steps(&Look { is_due, ..look }, &Timing::EC2))
    }

    /// Does one step.
    pub(super) async fn follow(&mut self, step: &Step) -> Result<Followed, Error> {
        let (id, ec2, now) = (self.copy.id.clone(), self.courier.local_ec2(), self.courier.aws.now());
        let (name, own) = match step {
            Step::Leave(name) => (name, Own::Leaving(&id)),
            Step::Join(name) => (name, Own::Joining(&self.copy)),
            Step::Withdraw | Step::Tag(_) => {
                let (key, value) = match step {
                    Step::Tag(name) => (tag::PARAMETER, name.to_string()),
                    _ => (tag::WITHDRAWN_SOURCE, tag::time(now)),
                };
                let tagged = ec2.tag(&id, key, &value).await;
                tagged.when_seen(format_args!("putting the tag {key} on the copy {id} in {}", ec2.region))?;
                step.apply(&mut self.copy, now);
                return Ok(Followed { has_changed: true, remark: None });
            }
            Step::Untag | Step::Restore => {
                let key = if *step == Step::Untag { tag::PARAMETER } else { tag::WITHDRAWN_SOURCE };
                let seen = self.copy.tags.get(key).map(|value| (key, value.as_str()));
                let removed = ec2.untag(&id, seen.as_slice()).await;
                removed.when_seen(format_args!("removing the tag {key} from the copy {id} in {}", ec2.region))?;
                step.apply(&mut self.copy, now);
                return Ok(Followed { has_changed: true, remark: None });
            }
        };
        if matches!(step, Step::Join(_)) && self.has_announced_copy().await? {
            let remark = "not published: it is the copy of a request, and its source has an announced one".to_owned();
            return Ok(Followed { has_changed: false, remark: Some(remark) });
        }
        let elected = Publish { courier: self.courier, name }.elect(own).await?;
        let is_left_alone = matches!((&elected, step), (Elected::Nothing(End::NoMember), Step::Leave(_)));
        Ok(Followed {
            has_changed: matches!(elected, Elected::Wrote(_)),
            remark: is_left_alone
                .then(|| format!("the parameter `{name}` still holds it, since no other copy can take its place")),
        })
    }

    /// Whether it was requested, and its source has an announced copy, which may be too young for its parameter's tag.
    async fn has_announced_copy(&self) -> Result<bool, Error> {
        let copy = &self.copy;
        let Some(source) = copy.courier_source().filter(|_| matches!(copy.made_for(), Some(MadeFor::Request(..))))
        else {
            return Ok(false);
        };
        let ec2 = self.courier.local_ec2();
        let copies = ec2.copies_of(&source).await;
        let copies = copies.when(format_args!("looking for copies of {source} in {}", ec2.region))?;
        let is_announced = |other: &Image| {
            let is_own = other.courier_source().is_some() && matches!(other.made_for(), Some(MadeFor::Announcement(_)));
            other.state.is_live() && is_own
        };
        Ok(copies.iter().any(is_announced))
    }

    /// Whether the copy can be disabled or deregistered, as far as its parameter is concerned.
    pub(super) async fn leaves_service(&self) -> Result<LeavesService, Error> {
        let parameter = match (name_of(&self.copy), &self.courier.settings.finishing.parameter_name) {
            (Some(name), Some(_)) => Publish { courier: self.courier, name: &name }.parameter().await?,
            _ => return Ok(LeavesService::Now),
        };
        let now = self.courier.aws.now();
        Ok(election::may_leave_service(&self.copy, parameter.as_ref(), &Timing::EC2, now))
    }
}
