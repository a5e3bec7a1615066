//! The dispatcher: which step a message asks for. All routing is here.

use courier_core::announcement::{AnnouncedBy, Announcement, OwnMessage, Pointer, TagChange, Why};
use courier_core::election::{End, Own};
use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{Identity, ImageId, ParameterName};
use courier_core::image::{Image, State};
use courier_core::list;
use courier_core::protocol::Resume;
use courier_core::selection;
use tokio::time::Instant;
use tracing::{Instrument, info_span};

use super::close::{Close, Closed};
use super::copy::Copy;
use super::finish::Finish;
use super::post_mortem::post_mortem;
use super::publish::{Elected, Publish};
use super::report::Report;
use super::retire;
use super::source::Search;
use super::stack::{Courier, Delivery};
use super::sweep::Sweep;
use crate::aws::error::When;

impl Courier {
    /// Does what one message asks for, and closes it.
    pub async fn handle(&self, message: Result<Vec<Announcement>, Error>, delivery: &Delivery<'_>) -> Closed {
        let started = Instant::now();
        let reports = match message {
            Ok(announcements) => {
                let mut reports = Vec::new();
                for announcement in &announcements {
                    // Boxed: all the steps and the SDK below them are one deep future.
                    let mut of_it = Box::pin(self.dispatch(announcement, delivery)).await;
                    for report in &mut of_it {
                        report.is_from_sweep = announcement.is_from_sweep();
                        report.hops = announcement.hops();
                    }
                    reports.extend(of_it);
                }
                reports
            }
            Err(error) => vec![Report::rejected(error)],
        };
        Box::pin(Close { courier: self, delivery, started }.all(reports)).await
    }

    async fn dispatch(&self, announcement: &Announcement, delivery: &Delivery<'_>) -> Vec<Report> {
        match announcement {
            Announcement::Nothing { ami, reason } => vec![self.ignored(ami.as_ref(), reason.clone())],
            Announcement::Built { ami, announced_by } => self.built(ami, *announced_by, delivery).await,
            Announcement::Request(request) => {
                let why = Why::Requested(request.clone());
                Copy::new(self, delivery, &request.source, &why).run().await
            }
            Announcement::StateChanged { ami, state, error_message, announced_by } => {
                self.state_changed(ami, *state, error_message, *announced_by, delivery).await
            }
            Announcement::TagsChanged { ami, changed, announced_by } => {
                self.tags_changed(ami, changed, *announced_by, delivery).await
            }
            Announcement::Own { message, hops } => self.own(message, *hops, delivery).await,
            Announcement::Sweep => Sweep { courier: self, delivery }.run().await,
            Announcement::Question(_) => vec![self.failed(None, Error::bug("a question is answered, not carried out"))],
        }
    }

    async fn built(&self, ami: &Pointer, announced_by: AnnouncedBy, delivery: &Delivery<'_>) -> Vec<Report> {
        let search = Search { courier: self, delivery };
        let found = match ami {
            Pointer::Images(images) => match list::allowed(images, &self.settings) {
                Ok(images) if images.len() > 1 => match search.one_of(&images).await {
                    Ok(source) => Ok(vec![source]),
                    Err(stop) => return vec![self.stopped(images.first(), stop)],
                },
                Ok(images) => Ok(images),
                Err(reason) => return vec![self.ignored(images.first(), reason)],
            },
            Pointer::ImageBuilder { region, arn } => search.made_by_image_builder(region, arn).await,
            Pointer::Parameter { region, name } => search.held_by_parameter(region, name).await.map(|ami| vec![ami]),
        };
        let sources = match found {
            Ok(sources) => sources,
            Err(stop) => return vec![self.stopped(None, stop)],
        };
        let mut reports = Vec::new();
        for source in sources {
            reports.extend(Copy::new(self, delivery, &source, &Why::Announced(announced_by)).run().await);
        }
        reports
    }

    async fn state_changed(
        &self,
        ami: &Identity,
        state: State,
        error_message: &str,
        announced_by: AnnouncedBy,
        delivery: &Delivery<'_>,
    ) -> Vec<Report> {
        let is_local = ami.region == self.settings.stack_region;
        match state {
            State::Deregistered | State::Disabled if is_local && announced_by == AnnouncedBy::Ec2OfAnotherAccount => {
                retire::copies_of(self, ami).await
            }
            State::Deregistered if is_local => {
                vec![self.ignored(None, format!("{ami} is deregistered; no action needed"))]
            }
            _ if is_local => self.changed_here(&ami.image, &[], delivery).await,
            State::Available | State::Pending => {
                Copy::new(self, delivery, ami, &Why::Announced(announced_by)).run().await
            }
            State::Deregistered | State::Disabled => retire::copies_of(self, ami).await,
            State::Failed => vec![self.ignored(Some(ami), format!("the source AMI failed: {error_message}"))],
        }
    }

    /// The copies of the AMI follow its tags. One that has no copy is announced, if the change can make it wanted.
    async fn tags_changed(
        &self,
        ami: &Identity,
        changed: &[TagChange],
        announced_by: AnnouncedBy,
        delivery: &Delivery<'_>,
    ) -> Vec<Report> {
        if ami.region == self.settings.stack_region {
            return self.changed_here(&ami.image, changed, delivery).await;
        }
        let copies = match self.copies_to_follow(ami, changed, announced_by, delivery).await {
            Ok(copies) => copies,
            Err(error) => return vec![self.failed(Some(ami), error)],
        };
        if !copies.is_empty() {
            let mut reports = Vec::new();
            for (copy, source_image) in copies {
                let finish = Finish { courier: self, copy: &copy, source: ami, source_image };
                reports.push(finish.run().await);
            }
            return reports;
        }
        if changed.is_empty() || changed.iter().any(|change| selection::depends_on(&change.key, &self.settings.sources))
        {
            return Copy::new(self, delivery, ami, &Why::Announced(announced_by)).run().await;
        }
        let keys = changed.iter().map(|change| format!("`{}`", change.key)).collect::<Vec<_>>().join(", ");
        vec![self.ignored(
            Some(ami),
            format!("its tags {keys} changed: it has no copy here, and REQUIRED_TAGS names none of them"),
        )]
    }

    /// The courier's copies of the AMI, with the AMI as it is now.
    async fn copies_to_follow(
        &self,
        ami: &Identity,
        changed: &[TagChange],
        announced_by: AnnouncedBy,
        delivery: &Delivery<'_>,
    ) -> Result<Vec<(Image, Option<Image>)>, Error> {
        if selection::region_is_allowed(&ami.region, &self.settings).is_err() {
            return Ok(Vec::new());
        }
        let ec2 = self.local_ec2();
        let copies = ec2.copies_of(ami).await.when(format_args!("looking for copies of {ami} in {}", ec2.region))?;
        let is_to_follow = |copy: &Image| {
            copy.courier_source().as_ref() == Some(ami) && matches!(copy.state, State::Available | State::Disabled)
        };
        let copies: Vec<Image> = copies.into_iter().filter(is_to_follow).collect();
        if copies.is_empty() {
            return Ok(Vec::new());
        }
        let source = self.aws.ec2(&ami.region).image(&ami.image, None).await;
        let source = source.when(format_args!("describing the source AMI {ami}"))?;
        // Of another account's AMI, only shared tags are visible.
        if announced_by == AnnouncedBy::Ec2 {
            self.shows(changed, ami, source.as_ref(), delivery)?;
        }
        Ok(copies.into_iter().map(|copy| (copy, source.clone())).collect())
    }

    /// What an event says of tags may not be visible yet: comparing too early would miss it.
    fn shows(
        &self,
        changed: &[TagChange],
        ami: &Identity,
        image: Option<&Image>,
        delivery: &Delivery<'_>,
    ) -> Result<(), Error> {
        let is_visible = |change: &TagChange| image.is_some_and(|image| change.is_visible(image));
        if changed.iter().all(is_visible) || !delivery.is_young(self.aws.now()) {
            return Ok(());
        }
        let message = format!("the new tags of {ami} are not visible yet");
        Err(Error::retry(RetryAfter::Seconds, code::NOT_VISIBLE_YET, message))
    }

    /// An AMI of this Region changed its state, or these tags, as EC2 or a sweep reports. That is a hint; the AMI itself decides what to
    /// do.
    async fn changed_here(&self, id: &ImageId, changed: &[TagChange], delivery: &Delivery<'_>) -> Vec<Report> {
        let ec2 = self.local_ec2();
        let nothing = |reason: &str| vec![self.ignored(None, format!("{id} in {}: {reason}", ec2.region))];
        let image = match ec2.image(id, None).await.when(format_args!("describing {id} in {}", ec2.region)) {
            Ok(Some(image)) => image,
            // A failed copy may become visible later than its event.
            Ok(None) if delivery.may_wait(self.aws.now()) => {
                let message = format!("{id} in {} is not visible yet", ec2.region);
                return vec![self.failed(None, Error::retry(RetryAfter::Seconds, code::IMAGE_NOT_FOUND, message))];
            }
            Ok(None) => return nothing("the AMI is gone, or not visible"),
            Err(error) => return vec![self.failed(None, error)],
        };
        if self.copies_within_region() && delivery.is_of_another_account(&image) {
            let why = Why::Announced(AnnouncedBy::Ec2);
            return Copy::new(self, delivery, &image.identity(&ec2.region), &why).run().await;
        }
        let Some(source) = image.courier_source() else { return nothing("not a copy of the courier's") };
        if let Err(error) = self.shows(changed, &image.identity(&ec2.region), Some(&image), delivery) {
            return vec![self.failed(Some(&source), error)];
        }
        let span = info_span!("source", image = %source.image, region = %source.region);
        vec![self.copy_changed(&image, &source).instrument(span).await]
    }

    /// The next step for a copy of the courier's, by the state that it is in.
    async fn copy_changed(&self, copy: &Image, source: &Identity) -> Report {
        let nothing = |reason: &str| self.ignored(Some(source), format!("the copy {}: {reason}", copy.id));
        match copy.state {
            State::Available | State::Disabled => {
                Finish { courier: self, copy, source, source_image: None }.run().await
            }
            State::Failed => post_mortem(self, copy, source).await,
            State::Pending => {
                let message = format!("the copy {} of {source} is still pending", copy.id);
                self.failed(Some(source), Error::retry(RetryAfter::Seconds, code::INCORRECT_STATE, message))
            }
            State::Deregistered => nothing("it is deregistered"),
        }
    }

    /// Does what the courier has asked itself to do.
    async fn own(&self, message: &OwnMessage, hops: u32, delivery: &Delivery<'_>) -> Vec<Report> {
        let (source, why, resume) = match message {
            OwnMessage::Unfinished { copy } => return self.changed_here(copy, &[], delivery).await,
            OwnMessage::SourceGone { copy } | OwnMessage::SourceBack { copy } => {
                return vec![retire::copy(self, copy).await];
            }
            OwnMessage::Elect { name } => return vec![self.elect(name, delivery).await],
            OwnMessage::Missed { source } => (source, Why::Announced(AnnouncedBy::Sweep), Resume::FromStart),
            OwnMessage::NextTry { source, next, request } => {
                let why = request.clone().map_or(Why::Announced(AnnouncedBy::Publisher), Why::Requested);
                (source, why, Resume::DeadLetter(*next))
            }
            OwnMessage::SecondLook { source, resume, why, .. } => (source, why.clone(), Resume::SecondLook(*resume)),
        };
        Copy { resume, hops, ..Copy::new(self, delivery, source, &why) }.run().await
    }

    /// Elects what the parameter of this name holds, as a sweep asks for.
    async fn elect(&self, name: &ParameterName, delivery: &Delivery<'_>) -> Report {
        let finishing = &self.settings.finishing;
        if finishing.parameter_name.as_ref().is_none_or(|template| !template.can_make(name.as_str())) {
            return self.ignored(None, format!("the parameter `{name}` is none of PARAMETER_NAME any more"));
        }
        if self.settings.copying.dry_run {
            return self.ignored(None, format!("DRY_RUN is on, so the parameter `{name}` stays as it is"));
        }
        if let Some(at) = delivery.until_settled(self.aws.now()) {
            let message =
                format!("what the sweep changed of the copies of the parameter `{name}` may not be visible yet");
            return self.failed(None, Error::retry(RetryAfter::Until(at), code::NOT_VISIBLE_YET, message));
        }
        match (Publish { courier: self, name }).elect(Own::Nobody).await {
            Ok(Elected::Wrote(copy)) => self.ignored(None, format!("the parameter `{name}` holds {copy} now")),
            Ok(Elected::Nothing(End::Holds)) => self.ignored(None, format!("the parameter `{name}` is right")),
            Ok(Elected::Nothing(End::HoldsAnother)) => self.ignored(
                None,
                format!("the parameter `{name}` holds an AMI that is newer than any copy, and not the courier's"),
            ),
            Ok(Elected::Nothing(End::NoMember)) => {
                self.ignored(None, format!("the parameter `{name}` stays as it is: no copy can take its place"))
            }
            Err(error) => self.failed(None, error),
        }
    }

    /// Whether AMIs of other accounts in this stack's own Region are copied.
    fn copies_within_region(&self) -> bool {
        self.settings.sources.regions.contains(&self.settings.stack_region)
    }
}
