//! Copy: start exactly one copy of a source AMI.
//!
//! `wanted` says which AMI, and whether it is wanted here; `work` follows the protocol of exactly once; `copied_before` knows AMIs
//! that went from account to account; `refused` says in words why no copy is started.

mod copied_before;
mod refused;
mod wanted;
mod work;

use courier_core::error::{Error, code};
use courier_core::outcome::Outcome;
use courier_core::plan;
use courier_core::protocol::Try;
use tracing::warn;

use super::report::Report;
use super::retire::Retirements;
use super::source::Search;
use super::stack::Stop;
pub(super) use wanted::Copy;
use work::Work;

impl Copy<'_> {
    pub(super) async fn run(self) -> Vec<Report> {
        self.step().await.unwrap_or_else(|stop| vec![self.courier.stopped(Some(self.source), stop)])
    }

    async fn step(self) -> Result<Vec<Report>, Stop> {
        let Self { courier, delivery, source, .. } = self;
        let owners = self.owners()?;
        let search = Search { courier, delivery };
        let (found, copies) = tokio::join!(search.find(source, &owners), self.look_for_copies());
        let source_image = self.wanted(found.map_err(|error| self.never_visible(error))?)?;
        let settings = &courier.settings;
        let plan = plan::plan(source, &source_image, self.request(), &settings.copying, &settings.stack_region)?;
        if !plan.left_out.is_empty() {
            warn!(left_out = plan.left_out.join(", "), "no room for these tags on the copy");
        }
        let work = Work::new(self, plan, source_image);
        // A dry run asks for permission: a copy that exists is no answer to that.
        if work.plan.call.dry_run {
            return Ok(vec![work.dry_run().await?]);
        }
        let mut copies = copies?;
        Retirements { courier }.source_is_back(source, &copies).await?;
        if let Some(report) = work.copied_before(&mut copies).await? {
            return Ok(vec![report]);
        }
        work.make(&copies).await
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
