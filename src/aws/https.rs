//! HTTPS to AWS: one pool of HTTP/1.1 connections for all services, verified against the host's root certificates.
//!
//! The SDK has a client of its own. This one starts in less time and is smaller (README, Figures): it leaves out HTTP/2,
//! which EC2 does not speak, and reads one bundle of roots, once. All else is hyper and rustls, as in the SDK's.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_ec2::config::SharedHttpClient;
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector as TcpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::{CONNECT, variable};

/// The client of all services.
///
/// # Errors
/// A root bundle that is not there, or has no certificate in it.
pub(super) fn client() -> io::Result<SharedHttpClient> {
    let bundle =
        bundle().ok_or_else(|| io::Error::other("this host has no bundle of root certificates: set SSL_CERT_FILE"))?;
    let mut tcp = TcpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots(&bundle)?)
        .with_no_client_auth();
    // `http` is for AWS on loopback: AWS_ENDPOINT_URL.
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    let pool = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(https);
    let connections = SharedHttpConnector::new(Connections(pool));
    Ok(http_client_fn(move |_, _| connections.clone()))
}

/// Where the root certificates are: where the environment says, as for all SDKs of AWS and for OpenSSL, else where the
/// operating system keeps them.
fn bundle() -> Option<PathBuf> {
    variable("AWS_CA_BUNDLE").map(PathBuf::from).or_else(|| openssl_probe::probe().cert_file)
}

/// What cannot be read of a bundle is passed over, as OpenSSL does: one broken root must not take the others with it.
fn roots(bundle: &Path) -> io::Result<RootCertStore> {
    let wrong = |why: &str| io::Error::other(format!("the root certificates of {}: {why}", bundle.display()));
    let text = std::fs::read(bundle).map_err(|why| wrong(&why.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok));
    if roots.is_empty() { Err(wrong("there are none")) } else { Ok(roots) }
}

/// The pool, as the SDK's clients use it.
#[derive(Debug)]
struct Connections(Client<HttpsConnector<TcpConnector>, SdkBody>);

impl HttpConnector for Connections {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(wrong) => return HttpConnectorFuture::ready(Err(ConnectorError::user(wrong.into()))),
        };
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata(&connection));
        }
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|failed| sorted(failed.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|wrong| ConnectorError::other(wrong.into(), None))
        })
    }
}

/// So that the SDK can keep a connection on which a call failed from being used again.
fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let connection = connection.clone();
    let poison = move || {
        if let Some(connected) = connection.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
}

/// What failed, as the SDK must know it to try again or not.
fn sorted(failed: Box<dyn Error + Send + Sync>) -> ConnectorError {
    let (mut is_timeout, mut is_io, mut is_cut_short) = (false, false, false);
    let mut cause: Option<&(dyn Error + 'static)> = Some(failed.as_ref());
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            is_io |= error.is_connect();
        } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
            is_timeout |= error.is_timeout();
            is_io |= error.is_closed() || error.is_canceled();
            is_cut_short |= error.is_incomplete_message();
        } else if error.is::<io::Error>() {
            is_io = true;
        }
        cause = error.source();
    }
    if is_timeout {
        ConnectorError::timeout(failed)
    } else if is_io {
        ConnectorError::io(failed)
    } else {
        ConnectorError::other(failed, is_cut_short.then_some(ErrorKind::TransientError))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_certificates_is_an_error_that_names_it() {
        let error = roots(Path::new("Cargo.toml")).unwrap_err().to_string();
        assert!(error.contains("Cargo.toml") && error.contains("none"), "{error}");
        let error = roots(Path::new("nowhere.pem")).unwrap_err().to_string();
        assert!(error.contains("nowhere.pem"), "{error}");
    }
}
