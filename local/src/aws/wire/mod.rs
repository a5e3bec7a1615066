//! From HTTP to a [`Request`], and from an [`Answer`] to HTTP, for each protocol that the services speak.

mod json;
mod xml;

use std::borrow::Cow;

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::ACCOUNT;
use super::call::Caller;
use super::error::ApiError;

/// What an action answers: EC2's as the tree that becomes XML, the others' as their JSON.
pub(super) type Answer = Result<Value, ApiError>;

/// A call, whatever protocol it came in.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) service: String,
    pub(super) action: String,
    pub(super) caller: Caller,
    pub(super) parameters: Value,
}

impl Request {
    /// The same text for the same call.
    pub(super) fn identity(&self) -> String {
        let Caller { region, account } = &self.caller;
        let Request { service, action, parameters, .. } = self;
        format!("{service} {action} {region} {account} {parameters}")
    }

    /// Reads a signed request: EC2's form (or query string), or the JSON of the other services.
    ///
    /// # Errors
    /// A request without a signature or an action, with EC2's words.
    pub(super) fn parse(head: &Parts, body: &[u8]) -> Result<Request, ApiError> {
        let query = head.uri.query().unwrap_or_default();
        let scope = Scope::of(head, query).ok_or_else(|| {
            ApiError::new(
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token: sign it (any key will do), so that service and Region are known",
            )
        })?;
        let (action, parameters) = match head.headers.get("x-amz-target") {
            Some(target) => json_call(target.to_str().unwrap_or_default(), body)?,
            None => query_call(query, body)?,
        };
        Ok(Request {
            service: scope.service,
            action,
            caller: Caller { region: scope.region, account: account_of(&scope.access_key_id) },
            parameters,
        })
    }
}

fn json_call(target: &str, body: &[u8]) -> Result<(String, Value), ApiError> {
    let action = target.rsplit('.').next().unwrap_or_default().to_owned();
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    let parameters =
        serde_json::from_slice(body).map_err(|error| ApiError::client("SerializationException", error.to_string()))?;
    Ok((action, parameters))
}

fn query_call(query: &str, body: &[u8]) -> Result<(String, Value), ApiError> {
    let mut parameters = Map::new();
    let pairs = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(body));
    for (name, value) in pairs.filter(|(name, _)| !name.starts_with("X-Amz-")) {
        parameters.insert(name.into_owned(), Value::from(value.into_owned()));
    }
    parameters.remove("Version");
    match parameters.remove("Action") {
        Some(Value::String(action)) => Ok((action, Value::Object(parameters))),
        _ => Err(ApiError::client("MissingAction", "The request is missing an action or a required parameter.")),
    }
}

/// `AKID/DATE/REGION/SERVICE/aws4_request`, from the header or, presigned, from the query string.
struct Scope {
    access_key_id: String,
    region: String,
    service: String,
}

impl Scope {
    fn of(head: &Parts, query: &str) -> Option<Scope> {
        let credential = match head.headers.get(header::AUTHORIZATION) {
            Some(value) => {
                let (_, rest) = value.to_str().ok()?.split_once("Credential=")?;
                Cow::from(rest.split([',', ' ']).next()?)
            }
            None => form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "X-Amz-Credential")?.1,
        };
        let mut parts = credential.rsplit('/').skip(1);
        let service = parts.next()?.to_owned();
        let region = parts.next()?.to_owned();
        let _date = parts.next()?;
        let access_key_id = parts.next()?.to_owned();
        Some(Scope { access_key_id, region, service })
    }
}

/// The account an access key id stands for: twelve digits in a row in it, else the default [`ACCOUNT`].
#[must_use]
pub fn account_of(access_key_id: &str) -> String {
    access_key_id
        .split(|c: char| !c.is_ascii_digit())
        .find(|digits| digits.len() >= 12)
        .map_or(ACCOUNT, |digits| &digits[..12])
        .to_owned()
}

/// The parameters of a JSON call as a type of their own.
pub(super) fn typed<T: DeserializeOwned>(parameters: &Value) -> Result<T, ApiError> {
    T::deserialize(parameters).map_err(|error| ApiError::client("ValidationException", error.to_string()))
}

/// The HTTP answer, in the protocol that the service speaks.
pub(super) fn respond(service: &str, action: &str, request_id: &str, answer: &Answer) -> Response<Bytes> {
    match service {
        "ssm" | "events" => json::respond("application/x-amz-json-1.1", service, request_id, answer),
        "sqs" => json::respond("application/x-amz-json-1.0", service, request_id, answer),
        _ => xml::respond(action, request_id, answer),
    }
}

fn status(answer: &Answer) -> StatusCode {
    answer.as_ref().map_or_else(
        |error| StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        |_| StatusCode::OK,
    )
}
