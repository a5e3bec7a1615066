//! A call and its answer, without their protocol.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::account::ACCOUNT;
use super::error::ApiError;

/// Who calls, and where: read from the request's signature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    pub region: String,
    pub account: String,
}

impl Caller {
    /// The default [`ACCOUNT`] in this Region.
    pub fn in_region(region: impl Into<String>) -> Self {
        Caller { region: region.into(), account: ACCOUNT.to_owned() }
    }
}

/// A call, of any protocol.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) service: String,
    pub(super) action: String,
    pub(super) caller: Caller,
    /// The access key id of the signature; empty for a call that did not come over the wire.
    pub(super) access_key_id: String,
    /// The trace header, which the SDK takes from the invocation.
    pub(super) trace: Option<String>,
    pub(super) parameters: Value,
}

impl Request {
    /// The same text for the same call.
    pub(super) fn identity(&self) -> String {
        let Caller { region, account } = &self.caller;
        let Request { service, action, parameters, .. } = self;
        format!("{service} {action} {region} {account} {parameters}")
    }
}

/// The answer of an action: for EC2 the tree that becomes XML, for the other services their JSON.
pub(super) type Answer = Result<Value, ApiError>;

/// The parameters of a JSON call as a type of their own.
///
/// # Errors
/// `ValidationException`, if they do not fit the type.
pub(super) fn typed<T: DeserializeOwned>(parameters: &Value) -> Result<T, ApiError> {
    T::deserialize(parameters).map_err(|error| ApiError::client("ValidationException", error.to_string()))
}
