//! HTTPS to AWS: one pool of HTTP/1.1 connections for all services, verified against the host's root certificates.
//!
//! The SDK has a client of its own. This one starts in less time and is smaller (docs/figures.md): it leaves out HTTP/2,
//! which EC2 does not speak, and reads one bundle of roots, once. All else is hyper and rustls, as in the SDK's.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::config::SharedHttpClient;
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use hyper::header::DATE;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector as TcpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use super::clock::Clock;
use super::environment::variable;

/// An endpoint that exists accepts a connection within milliseconds.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// The client of all services. `clock` follows the dates of their answers.
///
/// # Errors
/// A root bundle that does not exist or has no certificate in it, or a proxy that is configured.
pub(super) fn client(clock: Clock) -> io::Result<SharedHttpClient> {
    refuse_proxy(variable)?;
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
    let connections = SharedHttpConnector::new(Connections { pool, clock });
    Ok(http_client_fn(move |_, _| connections.clone()))
}

/// This client has no proxy. To go around one that is configured could break the network's rules.
fn refuse_proxy(variable: impl Fn(&str) -> Option<String>) -> io::Result<()> {
    let configured =
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find(|name| variable(name).is_some());
    match configured {
        None => Ok(()),
        Some(name) => Err(io::Error::other(format!(
            "{name} is set, but ami-courier has no support for a proxy: remove the variable, and give the function a route or \
             VPC endpoints to the AWS services"
        ))),
    }
}

/// Where the root certificates are: where the environment says, as for all SDKs of AWS and for OpenSSL, else where the
/// operating system keeps them.
fn bundle() -> Option<PathBuf> {
    variable("AWS_CA_BUNDLE").map(PathBuf::from).or_else(|| openssl_probe::probe().cert_file)
}

/// Certificates that cannot be read are skipped, as OpenSSL does: one broken root must not make the others unusable.
fn roots(bundle: &Path) -> io::Result<RootCertStore> {
    let wrong = |why: &str| io::Error::other(format!("the root certificates of {}: {why}", bundle.display()));
    let text = std::fs::read(bundle).map_err(|why| wrong(&why.to_string()))?;
    // Names of authorities may be in any encoding; the certificates themselves are ASCII.
    let text = String::from_utf8(text).unwrap_or_else(|other| String::from_utf8_lossy(other.as_bytes()).into_owned());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&text));
    if roots.is_empty() { Err(wrong("there are none")) } else { Ok(roots) }
}

/// The certificates of a PEM text (RFC 7468). rustls reads PEM in constant time, as private keys need it: that was two fifths
/// of a cold start (docs/figures.md). Roots are no secret.
fn certificates(text: &str) -> impl Iterator<Item = CertificateDer<'static>> {
    text.split("-----BEGIN CERTIFICATE-----").skip(1).filter_map(|after| {
        let (encoded, _) = after.split_once("-----END CERTIFICATE-----")?;
        let encoded: String = encoded.lines().map(str::trim).collect();
        Some(CertificateDer::from(base64::decode(encoded).ok()?))
    })
}

/// The pool, as the SDK's clients use it.
#[derive(Debug)]
struct Connections {
    pool: Client<HttpsConnector<TcpConnector>, SdkBody>,
    clock: Clock,
}

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
        let answer = self.pool.request(request);
        let clock = self.clock.clone();
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|failed| sorted(failed.into()))?;
            if let Some(date) = answer.headers().get(DATE).and_then(|date| date.to_str().ok()) {
                clock.set(date);
            }
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
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn a_configured_proxy_is_an_error_that_names_its_variable() {
        let with =
            |name: &'static str| move |variable: &str| (variable == name).then(|| "http://proxy:3128".to_owned());
        let error = refuse_proxy(with("https_proxy")).unwrap_err().to_string();
        assert!(error.starts_with("https_proxy is set"), "{error}");
        assert!(refuse_proxy(with("NO_PROXY")).is_ok());
    }

    #[test]
    fn a_bundle_has_the_certificates_that_rustls_itself_reads_in_it() {
        let text = std::fs::read(bundle().unwrap()).unwrap();
        let expected: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
        assert!(expected.len() > 100, "{}", expected.len());
        assert_eq!(certificates(&String::from_utf8_lossy(&text)).collect::<Vec<_>>(), expected);
        let windows = String::from_utf8_lossy(&text).replace('\n', "\r\n");
        assert_eq!(certificates(&windows).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_broken_certificate_is_left_out_and_the_others_are_read() {
        let text = "about a root\n-----BEGIN CERTIFICATE-----\nAQID\nBA==\n-----END CERTIFICATE-----\n\
                    -----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n\
                    -----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n\
                    -----BEGIN CERTIFICATE-----\nBQ==\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nBg==";
        let read: Vec<_> = certificates(text).collect();
        assert_eq!(read, [CertificateDer::from(vec![1, 2, 3, 4]), CertificateDer::from(vec![5])]);
    }

    #[test]
    fn a_bundle_without_certificates_is_an_error_that_names_it() {
        let error = roots(Path::new("Cargo.toml")).unwrap_err().to_string();
        assert!(error.contains("Cargo.toml") && error.contains("none"), "{error}");
        let error = roots(Path::new("nowhere.pem")).unwrap_err().to_string();
        assert!(error.contains("nowhere.pem"), "{error}");
    }
}
