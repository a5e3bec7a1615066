//! The protocol awsJson, of SQS, `EventBridge` and Parameter Store.
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>

use serde_json::{Value, json};

use super::connection::{Call, Connection, Reply};
use super::error::{CallError, Refusal};

/// A service, as the protocol names it.
pub(super) struct JsonService {
    pub(super) name: &'static str,
    /// Before the action in `X-Amz-Target`.
    pub(super) target: &'static str,
    pub(super) content_type: &'static str,
}

impl Connection {
    pub(super) async fn json(
        &self,
        service: &JsonService,
        region: &str,
        action: &str,
        parameters: &Value,
    ) -> Result<Value, CallError> {
        let body = parameters.to_string();
        let target = format!("{}.{action}", service.target);
        let call = Call {
            service: service.name,
            region,
            method: "POST",
            path: "/",
            headers: &[("content-type", service.content_type), ("x-amz-target", &target)],
            body: body.as_bytes(),
        };
        let reply = self.send(&call, refusal).await?;
        if reply.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&reply.body)
            .map_err(|error| CallError::Lost(format!("the answer cannot be read: {error}")))
    }

    /// The names in a list, page by page.
    pub(super) async fn names(
        &self,
        service: &JsonService,
        region: &str,
        action: &str,
        mut page: Value,
        list: &str,
    ) -> Result<Vec<String>, CallError> {
        let mut names = Vec::new();
        loop {
            let answer = self.json(service, region, action, &page).await?;
            let listed = answer[list].as_array().into_iter().flatten();
            names.extend(listed.filter_map(|one| one["Name"].as_str()).map(str::to_owned));
            match answer["NextToken"].as_str() {
                None | Some("") => return Ok(names),
                Some(token) => page["NextToken"] = json!(token),
            }
        }
    }
}

/// A field that every answer of the action has.
pub(super) fn text(answer: &Value, field: &str) -> Result<String, CallError> {
    let text = answer[field].as_str().map(str::to_owned);
    text.ok_or_else(|| CallError::Lost(format!("the answer has no {field}")))
}

/// The code is in `__type` or `code`, with or without a namespace.
pub(super) fn refusal(reply: &Reply) -> Option<Refusal> {
    let error: Value = serde_json::from_str(&reply.body).ok()?;
    let text = |names: [&str; 2]| names.iter().find_map(|name| error[name].as_str()).map(str::to_owned);
    let code = text(["__type", "code"]).unwrap_or_else(|| format!("HTTP {}", reply.status));
    Some(Refusal {
        status: reply.status,
        code: code.rsplit('#').next().unwrap_or_default().to_owned(),
        message: text(["Message", "message"]).unwrap_or_default(),
    })
}
