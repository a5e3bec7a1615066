//! Copy: start exactly one copy of a source AMI.
//!
//! `wanted` says which AMI, and whether it is wanted here; `work` follows the protocol of exactly once; `family` knows the other AMIs
//! of a build, and `copied_before` AMIs that went from account to account; `refused` says in words why no copy is started.

mod copied_before;
mod family;
mod refused;
mod wanted;
mod work;

use courier_core::error::{Error, code};
use courier_core::family::Kin;
use courier_core::image::Image;
use courier_core::outcome::Outcome;
use courier_core::plan::{self, Plan};
use courier_core::protocol::{Resume, Try};
use courier_core::selection;
use courier_core::settings::{Requests, Settings};
use tracing::{Instrument, info_span, warn};

use super::report::Report;
use super::retire;
use super::source::Search;
use super::stack::Stop;
pub(super) use wanted::Copy;
use wanted::not_allowed;
use work::Work;

impl Copy<'_> {
    pub(super) async fn run(self) -> Vec<Report> {
        let span = info_span!("source", image = %self.source.image, region = %self.source.region);
        self.step().instrument(span).await.unwrap_or_else(|stop| vec![self.stopped(stop)])
    }

    async fn step(self) -> Result<Vec<Report>, Stop> {
        let Self { courier, delivery, source, .. } = self;
        let owners = self.owners()?;
        let search = Search { courier, delivery };
        let (found, copies) = tokio::join!(search.find(source, &owners), self.look_for_copies());
        let source_image = self.wanted(found)?;
        let kin = self.kin(&source_image).await?;
        let work = Work::new(self, self.plan(&source_image, &kin)?, source_image);
        // A dry run asks for permission: a copy that exists is no answer to that.
        if work.plan.call.dry_run {
            self.pass_gate(&work.source_image)?;
            return Ok(vec![work.dry_run().await?]);
        }
        let mut copies = copies?;
        retire::source_is_back(courier, source, &copies).await?;
        if let Some(report) = work.copied_before(&mut copies).await? {
            return Ok(vec![report]);
        }
        if let Some(report) = work.answered_by_family(&kin, &copies).await? {
            return Ok(vec![report]);
        }
        if !work.has_copy(&copies) {
            self.pass_gate(&work.source_image)?;
        }
        work.make(&copies).await
    }

    fn plan(&self, source_image: &Image, kin: &Kin) -> Result<Plan, Error> {
        let Settings { copying, sources, stack_region, .. } = &self.courier.settings;
        let plan = plan::plan(self.source, source_image, self.request(), copying, stack_region)?;
        if !plan.left_out.is_empty() {
            warn!(left_out = plan.left_out.join(", "), "no room for these tags on the copy");
        }
        let is_unselected = self.request().is_some() && selection::is_selected(source_image, sources).is_err();
        let plan = if is_unselected { plan.unselected() } else { plan };
        Ok(match kin {
            Kin::Sibling { origin, .. } => plan.of_family(origin),
            Kin::Alone | Kin::FromHere { .. } => plan,
        })
    }

    /// `REQUESTS` decides about a new copy alone. A second look and a dead letter go on with one that EC2 accepted before.
    fn pass_gate(&self, source_image: &Image) -> Result<(), Stop> {
        if self.request().is_none() || self.resume != Resume::FromStart {
            return Ok(());
        }
        let settings = &self.courier.settings;
        selection::gate(source_image, settings).map_err(|reason| match settings.requests {
            Requests::Off => {
                let advice = "leave this AMI to the events and the sweep, or change REQUESTS";
                Error::rejected(code::SOURCE_NOT_ALLOWED, format!("{} is not copied: {reason}", self.source), advice)
                    .into()
            }
            Requests::Selected | Requests::Any => not_allowed(reason),
        })
    }
}

impl Work<'_> {
    async fn dry_run(&self) -> Result<Report, Stop> {
        let courier = self.copy.courier;
        let call = self.plan.call_of(Try::FIRST, &courier.settings.stack_region)?;
        let route = courier.route(self.copy.source);
        match courier.local_ec2().copy_image(&call).await {
            Err(allowed) if allowed.is("DryRunOperation") => {
                let (name, client_token) = (call.name, call.client_token);
                let outcome = Outcome::DryRun { name, route: route.clone(), client_token };
                Ok(Report::new(Some(route), Ok(outcome)))
            }
            Err(failed) => Err(self.not_copied(failed).into()),
            Ok(copy) => Err(Error::rejected(
                code::BUG,
                format!("EC2 started the copy {copy} although it was asked for a dry run only"),
                "deregister that copy, and report this as a bug",
            )
            .into()),
        }
    }
}
