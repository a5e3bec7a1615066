//! HTTPS to AWS: one pool of HTTP/1.1 connections for all services, verified against the host's root certificates.
//!
//! The SDK has a client of its own. This one starts in less time and is smaller (docs/decisions/0003): it leaves out HTTP/2,
//! which EC2 does not speak, and reads one bundle of roots, once. All else is hyper and rustls, as in the SDK's.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_ec2::config::SharedHttpClient;
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use courier_core::settings::WrongSetting;
use hyper::Uri;
use hyper::header::DATE;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector as TcpConnector, capture_connection};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use super::clock::Clock;
use super::environment::variable;
use super::error::with_sources;

/// An endpoint that exists accepts a connection within milliseconds, also through a proxy and with TLS.
const CONNECT: Duration = Duration::from_secs(2);

/// The client of all services. `clock` follows the dates of their answers.
/// There is none with a root bundle that does not exist or has no certificate in it, or with a proxy that is no URL.
pub fn client(clock: Clock) -> io::Result<SharedHttpClient> {
    let proxies = proxies(variable).map_err(io::Error::other)?;
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
    let connector = Connector { tcp, tls: Arc::new(tls), proxies: Arc::new(proxies) };
    let pool = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
    let connections = SharedHttpConnector::new(Connections { pool, clock });
    Ok(http_client_fn(move |_, _| connections.clone()))
}

const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The proxy that the environment names, and the servers that are reached without it.
fn proxies(variable: impl Fn(&str) -> Option<String>) -> Result<Matcher, WrongSetting> {
    let proxy = PROXY_VARIABLES.into_iter().find_map(|name| Some((name, variable(name)?)));
    let Some((name, value)) = proxy else { return Ok(Matcher::builder().build()) };
    if !is_proxy(&value) {
        // The matcher would leave it out, and all calls would go around the proxy.
        let accepted = "`http://HOST:PORT`, or `http://USER:PASSWORD@HOST:PORT` with special characters as `%40`";
        return Err(WrongSetting::new(name, without_password(&value), accepted));
    }
    let direct = variable("NO_PROXY").or_else(|| variable("no_proxy")).unwrap_or_default();
    Ok(Matcher::builder().https(value).no(direct).build())
}

/// Whether it names a proxy that [`Tunnel`] can speak to. `HOST:PORT` alone means HTTP, as for curl.
fn is_proxy(value: &str) -> bool {
    let Ok(uri) = value.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    // Of two `@`, one belongs to a password: the matcher would take its end for a part of the host.
    let (_, host) = authority.as_str().split_once('@').unwrap_or_default();
    let is_host = !authority.host().is_empty() && !host.contains('@');
    let has_port = authority.port_u16().is_some();
    match uri.scheme_str() {
        Some("http") => is_host && (has_port || authority.as_str().ends_with(authority.host())),
        None => is_host && has_port,
        Some(_) => false,
    }
}

/// The value of a proxy variable, for a log line. What is no URL can have its password anywhere before the last `@`.
fn without_password(value: &str) -> String {
    let Some((before, host)) = value.rsplit_once('@') else { return value.to_owned() };
    let (scheme, user) = before.split_once("://").map_or(("", before), |(scheme, user)| (scheme, user));
    let user = user.split(':').next().unwrap_or_default();
    if scheme.is_empty() { format!("{user}:***@{host}") } else { format!("{scheme}://{user}:***@{host}") }
}

/// Where the root certificates are: where the environment says, as for all SDKs of AWS and for OpenSSL, else where the
/// operating system keeps them. The variables are read here: the probe would skip one that names a missing file.
fn bundle() -> Option<PathBuf> {
    let named = variable("AWS_CA_BUNDLE").or_else(|| variable("SSL_CERT_FILE"));
    named.map(PathBuf::from).or_else(|| openssl_probe::probe().cert_file)
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

/// A connection for the pool: TCP, the proxy's tunnel if there is one, and TLS, in one time for all.
#[derive(Clone)]
struct Connector {
    tcp: TcpConnector,
    tls: Arc<ClientConfig>,
    proxies: Arc<Matcher>,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_ready(context).map_err(io::Error::other)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        // Plain HTTP is for AWS on loopback (AWS_ENDPOINT_URL), and never goes through a proxy.
        let Some(proxy) = self.proxies.intercept(&server) else {
            let connecting = HttpsConnector::from((self.tcp.clone(), self.tls.clone())).call(server);
            return Box::pin(async move { in_time(connecting).await.map_err(io::Error::other) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(user_and_password) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(user_and_password.clone());
        }
        let connecting = HttpsConnector::from((tunnel, self.tls.clone())).call(server);
        Box::pin(async move {
            in_time(connecting).await.map_err(|failed| {
                let (proxy, failed) = (proxy.uri(), with_sources(&*failed));
                io::Error::other(format!("through the proxy {proxy}, which must answer CONNECT with 200: {failed}"))
            })
        })
    }
}

async fn in_time<C, E: From<String>>(connecting: impl Future<Output = Result<C, E>>) -> Result<C, E> {
    let too_late = |_| E::from(format!("no connection within {} seconds", CONNECT.as_secs()));
    tokio::time::timeout(CONNECT, connecting).await.map_err(too_late)?
}

/// The pool, as the SDK's clients use it.
#[derive(Debug)]
struct Connections {
    pool: Client<Connector, SdkBody>,
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
    fn a_proxy_is_an_http_url_or_a_host_with_a_port() {
        for proxy in [
            "http://proxy:3128",
            "http://proxy",
            "http://proxy:3128/",
            "HTTP://me:p%40ss@proxy",
            "proxy:3128",
            "me:p@10.0.0.1:80",
            "http://[::1]:3128",
        ] {
            assert!(is_proxy(proxy), "{proxy}");
            assert!(
                Matcher::builder().https(proxy).build().intercept(&Uri::from_static("https://aws")).is_some(),
                "{proxy}"
            );
        }
        for other in [
            "proxy",
            "true",
            "http//proxy:3128",
            "http://",
            "http://:3128",
            "http://proxy:port",
            "http://proxy:70000",
            "http://a b:3128",
            "https://proxy:3128",
            "socks5://proxy:1080",
            "/proxy",
            "http://me:p@ss@proxy:3128",
        ] {
            assert!(!is_proxy(other), "{other}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        for (value, shown) in [
            ("http//proxy:3128", "http//proxy:3128"),
            ("http://me:secret@proxy:3128", "http://me:***@proxy:3128"),
            ("me:secret@proxy", "me:***@proxy"),
            ("ftp://me:se@c:/ret@proxy", "ftp://me:***@proxy"),
            ("http:/me:secret@proxy", "http:***@proxy"),
        ] {
            assert_eq!(without_password(value), shown);
        }
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
