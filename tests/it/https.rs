//! Over HTTPS the function speaks only with servers that the host's root certificates vouch for.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::stage::{HERE, Stage, request};

const AMI: &str = "ami-0abcdef1234567890";

/// AWS on loopback behind HTTPS, and a bundle with the root certificate that vouches for it.
struct Secured {
    stage: Stage,
    endpoint: String,
    root: String,
    folder: TempDir,
}

impl Secured {
    /// With a certificate for a server of that name, valid until that year.
    async fn as_(name: &str, until: i32) -> Self {
        let stage = Stage::new().await.source(AMI, "golden");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut server = CertificateParams::new([name.to_owned()]).unwrap();
        server.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = server.signed_by(&key, &root).unwrap();
        let server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let plain = stage.aws.endpoint().trim_start_matches("http://").to_owned();
        tokio::spawn(forward(listener, TlsAcceptor::from(Arc::new(server.unwrap())), plain));
        Self { stage, endpoint, root: root.pem(), folder: TempDir::new().unwrap() }
    }

    fn bundle(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("bundle.pem");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What comes of a request, with that bundle.
    async fn answer(&self, bundle: &str) -> Result<serde_json::Value, String> {
        let function = self
            .stage
            .function_in(HERE)
            .endpoint_url(&self.endpoint)
            .set("AWS_MAX_ATTEMPTS", "1")
            .set("SSL_CERT_FILE", self.bundle(bundle).display().to_string())
            .start()
            .await
            .map_err(|error| error.logs.join("\n"))?;
        function.invoke(&request(AMI, "golden")).await.map_err(|error| error.to_string())
    }
}

async fn forward(listener: TcpListener, tls: TlsAcceptor, plain: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, plain) = (tls.clone(), plain.clone());
        tokio::spawn(async move {
            let mut encrypted = tls.accept(stream).await?;
            let mut decrypted = TcpStream::connect(plain).await?;
            tokio::io::copy_bidirectional(&mut encrypted, &mut decrypted).await
        });
    }
}

fn of_another_root() -> String {
    let mut root = CertificateParams::new(["other".to_owned()]).unwrap();
    root.distinguished_name.push(DnType::CommonName, "another root");
    root.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

#[tokio::test]
async fn a_server_with_a_certificate_from_a_root_of_the_bundle_is_trusted() {
    let secured = Secured::as_("localhost", 2100).await;
    let answer = secured.answer(&secured.root).await.unwrap();
    assert_eq!(answer["Outcome"], "Started", "{answer}");
    assert_eq!(secured.stage.copies().len(), 1);
}

#[tokio::test]
async fn an_unreadable_certificate_of_a_bundle_does_not_affect_the_others() {
    let secured = Secured::as_("localhost", 2100).await;
    let bundle = format!(
        "# A comment\n-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n{}{}",
        of_another_root(),
        secured.root.replace('\n', "\r\n")
    );
    assert_eq!(secured.answer(&bundle).await.unwrap()["Outcome"], "Started");
}

#[tokio::test]
async fn a_server_without_a_valid_certificate_from_a_known_root_gets_no_request() {
    for (name, until, knows_root, why) in [
        ("localhost", 2100, false, "UnknownIssuer"),
        ("elsewhere.example", 2100, true, "not valid for name"),
        ("localhost", 2020, true, "expired"),
    ] {
        let secured = Secured::as_(name, until).await;
        let bundle = if knows_root { secured.root.clone() } else { of_another_root() };
        let error = secured.answer(&bundle).await.unwrap_err();
        assert!(error.contains("NoAnswer") && error.contains("certificate") && error.contains(why), "{error}");
        assert_eq!(secured.stage.actions(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_function_without_root_certificates_does_not_start_and_says_so() {
    let secured = Secured::as_("localhost", 2100).await;
    let error = secured.answer("no certificate\n").await.unwrap_err();
    assert!(error.contains("root certificates of") && error.contains("there are none"), "{error}");
}

#[tokio::test]
async fn a_function_with_a_proxy_in_its_environment_does_not_start_and_names_the_variable() {
    let stage = Stage::new().await;
    let refused = stage.function_in(HERE).set("HTTPS_PROXY", "http://proxy.example:3128").start().await;
    let Err(refused) = refused else { panic!("it starts") };
    let error = refused.logs.join("\n");
    assert!(error.contains("HTTPS_PROXY is set") && error.contains("no support for a proxy"), "{error}");
}
