//! Status: which AMIs are wanted here, and what became of the copy of each. It only looks, as the sweep does.

use std::cell::RefCell;
use std::collections::BTreeSet;

use courier_core::announcement::{Question, StatusRequest, WidgetRequest};
use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::{ParameterName, Region};
use courier_core::status::{Ledger, NotListed, Row, Status};
use courier_core::widget::{DOCUMENTATION, Widget};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::stack::{Courier, Delivery};
use crate::aws::error::When;
use crate::aws::parameter_store::NAMES_IN_A_CALL;

impl Courier {
    /// Answers a question: a status as JSON, the widget as a string of HTML, its documentation as a string of Markdown.
    ///
    /// # Errors
    /// The status is not known. A viewer of the widget reads the reason in the widget instead.
    pub async fn answer(
        &self,
        question: &Question,
        function_arn: &str,
        delivery: &Delivery<'_>,
    ) -> Result<Value, Error> {
        Ok(match question {
            Question::Documentation => json!(DOCUMENTATION),
            Question::Status(request) => json!(self.status(request.as_ref().map_err(Clone::clone)?, delivery).await?),
            Question::Widget(request) => json!(self.widget(request, function_arn, delivery).await),
        })
    }

    async fn widget(&self, request: &WidgetRequest, function_arn: &str, delivery: &Delivery<'_>) -> String {
        let status = match &request.status {
            Ok(asked) => self.status(asked, delivery).await,
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = &status {
            warn!(%error, "the widget shows why there is no status");
        }
        Widget { request, function_arn, status: status.as_ref().map_err(ToString::to_string) }.html().into_string()
    }

    /// Looks at this Region, then at all source Regions at the same time, and answers one page.
    ///
    /// # Errors
    /// The copies could not be listed in time: without them, nothing is known of any AMI. A source Region that could not be
    /// listed is named in the answer.
    async fn status(&self, request: &StatusRequest, delivery: &Delivery<'_>) -> Result<Status, Error> {
        let started = Instant::now();
        let deadline = delivery.deadline;
        let days = request.days_or(self.settings.backfill_days);
        let mut listed = self.settings.sources.clone();
        if !request.name_patterns.is_empty() {
            // What EC2 looks for. The selection's own patterns are asked afterwards.
            listed.name_patterns.clone_from(&request.name_patterns);
        }
        let mut ledger = Ledger::new(request, &self.settings);
        // First, so that the age of all that is found is counted by AWS's clock.
        in_time(deadline, self.list_copies(|image| ledger.add_copy(image))).await?;
        let as_of = self.aws.now();
        let ledger = RefCell::new(ledger);
        let sources = join_all(self.settings.sources.regions.iter().map(async |region| {
            let add = |image| ledger.borrow_mut().add_source(image, region, delivery.stack, as_of);
            let listing = in_time(deadline, self.list_sources(region, &listed, days, delivery, add)).await;
            (region, listing.err().map(|error| error.to_string()))
        }))
        .await;
        let mut regions: (Vec<Region>, Vec<NotListed>) = Default::default();
        for (region, failure) in sources {
            match failure {
                None => regions.0.push(region.clone()),
                Some(reason) => regions.1.push(NotListed { region: region.clone(), reason }),
            }
        }
        let rows = ledger.into_inner().rows(as_of);
        let mut status = Status::page(request, rows, &self.settings, as_of, regions);
        if let Err(error) = in_time(deadline, self.read_parameters(&mut status.images)).await {
            warn!(%error, "the status does not show what the parameters hold");
        }
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(images = status.total, milliseconds, "status");
        Ok(status)
    }
}

impl Courier {
    /// What the parameters of these rows hold.
    async fn read_parameters(&self, rows: &mut [Row]) -> Result<(), Error> {
        let store = self.aws.parameter_store(&self.settings.stack_region);
        let shown = rows.iter().filter_map(|row| row.parameter.as_ref()?.name.parse().ok());
        let names: BTreeSet<ParameterName> =
            shown.filter(|_| self.settings.finishing.parameter_name.is_some()).collect();
        let names: Vec<&ParameterName> = names.iter().collect();
        for some in names.chunks(NAMES_IN_A_CALL) {
            let found = store.get_all(some).await.when(format_args!("reading parameters in {}", store.region))?;
            for row in rows.iter_mut() {
                let is_its = |name: &ParameterName| row.parameter.as_ref().is_some_and(|its| its.name == name.as_str());
                if let Some((_, held)) = found.iter().find(|(name, _)| is_its(name)) {
                    row.set_held(&held.value);
                }
            }
        }
        Ok(())
    }
}

async fn in_time(deadline: Instant, listing: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    timeout_at(deadline, listing).await.unwrap_or_else(|_| {
        let message = "the list of AMIs takes longer than the function's timeout; ask for fewer days or names";
        Err(Error::retry(RetryAfter::Minutes, code::OUT_OF_TIME, message))
    })
}
