//! Signs and sends one call.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use tokio::sync::watch;

use super::credentials::{Caller, Options};
use super::endpoint;
use super::error::{CallError, Refusal, causes};
use super::https::Https;
use crate::clock::Clock;

/// AWS answers most calls within a second.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a throttled call is sent.
const ATTEMPTS: u32 = 7;

/// Stops a run: no call begins after it. Clones share it.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Stop(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Stops the run.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether the run was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the run is stopped.
    async fn stopped(&self) {
        let mut stopped = self.0.subscribe();
        // The sender lives in `self`, so it cannot be gone.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// AWS, as one principal.
#[derive(Clone, Debug)]
pub struct Connection {
    https: Https,
    caller: Caller,
    clock: Arc<dyn Clock>,
    stop: Stop,
}

/// An HTTP request before its signature.
pub(super) struct Call<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

/// An answer before it is read.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Connection {
    /// Finds the caller's Region and credentials, without a call to the services that are asked.
    ///
    /// # Errors
    /// No Region, no credentials, or no root certificates; with advice.
    pub async fn open(options: &Options, clock: Arc<dyn Clock>, stop: Stop) -> Result<Self, String> {
        let https = Https::new().map_err(|error| error.to_string())?;
        let caller = Caller::find(options, &https).await?;
        caller.credentials().await?;
        Ok(Connection { https, caller, clock, stop })
    }

    /// A connection to an AWS on loopback, which accepts any keys.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn on_loopback(endpoint_url: &str, region: &str, clock: Arc<dyn Clock>, stop: Stop) -> Result<Self, String> {
        let https = Https::on_loopback().map_err(|error| error.to_string())?;
        Ok(Connection { https, caller: Caller::on_loopback(endpoint_url, region), clock, stop })
    }

    /// The Region of the caller.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.caller.region
    }

    /// The endpoint, if it is not AWS's own.
    #[must_use]
    pub fn endpoint_url(&self) -> Option<&str> {
        self.caller.endpoint_url.as_deref()
    }

    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The same connection for what must be done after a stop.
    #[must_use]
    pub fn unstoppable(&self) -> Self {
        Connection { stop: Stop::default(), ..self.clone() }
    }

    /// Waits, unless the run is stopped.
    ///
    /// # Errors
    /// [`CallError::Stopped`]
    pub async fn sleep(&self, duration: Duration) -> Result<(), CallError> {
        tokio::select! {
            () = self.stop.stopped() => Err(CallError::Stopped),
            () = self.clock.sleep(duration) => Ok(()),
        }
    }

    pub(super) fn as_principal(&self, credentials: aws_credential_types::Credentials) -> Self {
        Connection { caller: self.caller.with_credentials(credentials), ..self.clone() }
    }

    /// Sends a call until it is not throttled. `refusal` reads an error from the body of an answer.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        refusal: impl Fn(&Reply) -> Option<Refusal>,
    ) -> Result<Reply, CallError> {
        let mut pause = Duration::from_secs(1);
        let mut attempt = 1;
        loop {
            if self.stop.is_stopped() {
                return Err(CallError::Stopped);
            }
            let reply = self.send_once(call).await.map_err(CallError::Lost)?;
            if (200..300).contains(&reply.status) {
                return Ok(reply);
            }
            let refused = refusal(&reply)
                .ok_or_else(|| CallError::Lost(format!("HTTP {} without an error code", reply.status)))?;
            if attempt == ATTEMPTS || !is_throttling(&refused.code) {
                return Err(if refused.status < 500 || is_throttling(&refused.code) {
                    CallError::Refused(refused)
                } else {
                    CallError::Lost(format!("{}: {}", refused.code, refused.message))
                });
            }
            self.sleep(pause).await?;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn send_once(&self, call: &Call<'_>) -> Result<Reply, String> {
        let request = self.signed(call).await?;
        let answer = async {
            let answer = self.https.send(request).await.map_err(|error| causes(&error))?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| causes(&error))?.to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            Ok(Reply { status: head.status.as_u16(), body })
        };
        tokio::time::timeout(TIMEOUT, answer).await.map_err(|_| format!("no answer within {} s", TIMEOUT.as_secs()))?
    }

    async fn signed(&self, call: &Call<'_>) -> Result<hyper::Request<SdkBody>, String> {
        let (default_endpoint, signing_region) = endpoint::of(call.service, call.region);
        let endpoint = self.caller.endpoint_url.as_deref().unwrap_or(&default_endpoint).trim_end_matches('/');
        let url = format!("{endpoint}{}", call.path);
        let identity = self.caller.credentials().await?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&signing_region)
            .name(call.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let signable =
            SignableRequest::new(call.method, &url, call.headers.iter().copied(), SignableBody::Bytes(call.body))
                .map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
        let mut request = hyper::Request::builder().method(call.method).uri(&url);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(SdkBody::from(call.body)).map_err(|error| error.to_string())?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// Whether AWS says that the call came too early, and did nothing.
fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "EC2ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
    )
}
