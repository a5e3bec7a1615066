//! Queues by URL, by ARN, by name.

use crate::aws::region::partition_of;
use crate::aws::request::Caller;

/// The Region, account and name of a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) region: String,
    pub(super) account: String,
    pub(super) name: String,
}

impl Address {
    /// The queue of this name that belongs to the caller.
    pub(super) fn of_caller(caller: &Caller, name: &str) -> Self {
        Address { region: caller.region.clone(), account: caller.account.clone(), name: name.to_owned() }
    }

    /// Reads `http://sqs.REGION.localhost/ACCOUNT/NAME`.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let region = url.split_once("://")?.1.strip_prefix("sqs.")?.split(['.', '/']).next()?;
        Address::of_url_in(url, region)
    }

    /// Reads a URL of this Region, with any host.
    pub(super) fn of_url_in(url: &str, region: &str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let mut path = rest.split('/').skip(1);
        let account = path.next()?.to_owned();
        let name = path.next()?.to_owned();
        Some(Address { region: region.to_owned(), account, name })
    }

    /// Reads `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    pub(super) fn of_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.split(':').skip(3);
        let region = parts.next()?.to_owned();
        let account = parts.next()?.to_owned();
        Some(Address { region, account, name: parts.next()?.to_owned() })
    }

    pub(super) fn url(&self) -> String {
        format!("http://sqs.{}.localhost/{}/{}", self.region, self.account, self.name)
    }

    pub(super) fn arn(&self) -> String {
        let Address { region, account, name } = self;
        format!("arn:{}:sqs:{region}:{account}:{name}", partition_of(region))
    }
}
