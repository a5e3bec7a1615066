//! The events of the embedded services, put onto the buses of another `EventBridge`, so that rules of a whole stack hear them.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::aws::{Aws, World};

/// How often it looks whether something has happened. `EventBridge` takes longer than that.
const LOOK: Duration = Duration::from_millis(50);

/// Puts each event, in order, onto the default bus of its Region and account, for ever. AWS lets nobody put an event of a
/// service; `LocalStack` does. An event that cannot be put is lost, as one of EC2 can be, and it is said. So are, on purpose and in
/// silence, the events of AMIs that were registered under a name that begins with `lose`.
pub(super) async fn forward(aws: Aws, endpoint: Endpoint, lose: Option<String>) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        let events = {
            let mut world = aws.world();
            let mut events = world.take_events();
            if let Some(prefix) = &lose {
                events.retain(|event| !is_registered_as(&world, event, prefix));
            }
            events
        };
        for event in events {
            if let Err(reason) = endpoint.put(&event).await {
                eprintln!("{} did not take this event ({reason}): {event}", endpoint.0);
            }
        }
    }
}

/// Whether the event is about an AMI that is no copy, and whose name begins so.
fn is_registered_as(world: &World, event: &Value, prefix: &str) -> bool {
    let (region, id) = (event["region"].as_str(), event["detail"]["ImageId"].as_str());
    let image = region.zip(id).and_then(|(region, id)| world.image(region, id));
    image.is_some_and(|image| image.source_image_id.is_none() && image.name.starts_with(prefix))
}

/// `HOST:PORT` of an `EventBridge` without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(String);

impl Endpoint {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let address = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        match address.filter(|address| address.contains(':') && !address.contains('/')) {
            Some(address) => Ok(Self(address.to_owned())),
            None => Err("expected http://HOST:PORT".to_owned()),
        }
    }

    async fn put(&self, event: &Value) -> Result<(), String> {
        let entry = json!({
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": event["detail"].to_string(),
            "Resources": event["resources"],
        });
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        // The Region and the account of an event are those of the caller. The signature is none: nobody verifies it.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/20260101/{}/events/aws4_request, SignedHeaders=host, Signature=0",
            text("account"),
            text("region")
        );
        let request = Request::post("/")
            .header(header::HOST, &self.0)
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", "AWSEvents.PutEvents")
            .body(Full::from(json!({ "Entries": [entry] }).to_string()))
            .map_err(|error| error.to_string())?;
        let (status, answer) = self.send(request).await.map_err(|error| error.to_string())?;
        let taken = serde_json::from_slice::<Value>(&answer).is_ok_and(|answer| answer["FailedEntryCount"] == 0);
        if status.is_success() && taken {
            return Ok(());
        }
        Err(format!("{status} {}", String::from_utf8_lossy(&answer)))
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(&self.0).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok((status, body))
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn an_endpoint_is_plain_http_with_a_port() {
        assert_eq!(Endpoint::parse("http://127.0.0.1:4566/"), Ok(Endpoint("127.0.0.1:4566".to_owned())));
        for wrong in ["127.0.0.1:4566", "https://127.0.0.1:4566", "http://localhost", "http://127.0.0.1:4566/events"] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
    }
}
