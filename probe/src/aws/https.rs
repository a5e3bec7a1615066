//! One pool of HTTPS connections, for the calls and for the credentials: hyper and rustls with ring, as in the function.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Clones share the connections.
#[derive(Clone)]
pub(super) struct Https(Client<HttpsConnector<TcpConnector>, SdkBody>);

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Https")
    }
}

impl Https {
    /// # Errors
    /// This machine has no bundle of root certificates, or one without any.
    pub(super) fn new() -> io::Result<Self> {
        let bundle = std::env::var_os("AWS_CA_BUNDLE")
            .map(Into::into)
            .or_else(|| openssl_probe::probe().cert_file)
            .ok_or_else(|| io::Error::other("no bundle of root certificates found: set AWS_CA_BUNDLE to its path"))?;
        Https::trusting(roots(&bundle)?)
    }

    /// For an AWS on loopback, which speaks plain HTTP: it reads no certificates.
    pub(super) fn on_loopback() -> io::Result<Self> {
        Https::trusting(RootCertStore::empty())
    }

    fn trusting(roots: RootCertStore) -> io::Result<Self> {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // `http` is for an AWS on loopback.
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        Ok(Https(Client::builder(TokioExecutor::new()).build(https)))
    }

    pub(super) async fn send(
        &self,
        request: hyper::Request<SdkBody>,
    ) -> Result<hyper::Response<hyper::body::Incoming>, hyper_util::client::legacy::Error> {
        self.0.request(request).await
    }

    /// The same connections for aws-config, which asks for credentials over HTTP.
    pub(super) fn for_credentials(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }
}

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(wrong) => return HttpConnectorFuture::ready(Err(ConnectorError::user(wrong.into()))),
        };
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|failed| ConnectorError::io(failed.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|wrong| ConnectorError::other(wrong.into(), None))
        })
    }
}

fn roots(bundle: &Path) -> io::Result<RootCertStore> {
    let wrong = |why: String| io::Error::other(format!("the root certificates of {}: {why}", bundle.display()));
    let text = std::fs::read(bundle).map_err(|why| wrong(why.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok));
    if roots.is_empty() { Err(wrong("the file contains none".to_owned())) } else { Ok(roots) }
}
