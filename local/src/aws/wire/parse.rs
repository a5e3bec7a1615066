//! Reading a signed request.

use std::borrow::Cow;

use hyper::header;
use hyper::http::request::Parts;
use serde_json::{Map, Value};

use crate::aws::account::account_of;
use crate::aws::error::ApiError;
use crate::aws::lineage;
use crate::aws::request::{Caller, Request};

use super::rest;

/// Reads a signed request: the form (or query string) of EC2 and STS, EBS's paths, or the JSON of the other services.
///
/// # Errors
/// Those of EC2 for a request without a signature or an action.
pub(in crate::aws) fn parse(head: &Parts, body: &[u8]) -> Result<Request, ApiError> {
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
        None if scope.service == "ebs" => rest::call(head, body)?,
        None => query_call(query, body)?,
    };
    Ok(Request {
        service: scope.service,
        action,
        caller: Caller { region: scope.region, account: account_of(&scope.access_key_id) },
        access_key_id: scope.access_key_id,
        trace: head.headers.get(lineage::HEADER).and_then(|trace| trace.to_str().ok()).map(str::to_owned),
        parameters,
    })
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
