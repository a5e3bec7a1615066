//! Status: which AMIs are wanted here, and what became of the copy of each. It only looks, as the sweep does.

use std::cell::RefCell;

use courier_core::error::{Error, RetryAfter, code};
use courier_core::identity::Region;
use courier_core::status::{Ledger, NotListed, Status, StatusRequest};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::step::Courier;

impl Courier {
    /// Looks at this Region, then at all source Regions at the same time, and answers one page.
    ///
    /// # Errors
    /// The copies could not be listed in time: without them, nothing is known of any AMI. A source Region that could not be
    /// listed is named in the answer.
    pub async fn status(&self, request: &StatusRequest, deadline: Instant) -> Result<Status, Error> {
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
            let add = |image| ledger.borrow_mut().add_source(image, region);
            let listing = in_time(deadline, self.list_sources(region, &listed, request.days, add)).await;
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
        Ok(Status::page(request, rows, &self.settings.stack_region, as_of, regions))
    }
}

async fn in_time(deadline: Instant, listing: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    timeout_at(deadline, listing).await.unwrap_or_else(|_| {
        let message = "the list of AMIs takes longer than the function's timeout; ask for fewer days or names";
        Err(Error::retry(RetryAfter::Minutes, code::OUT_OF_TIME, message))
    })
}
