//! The certificates of the servers: a throw-away authority, and a root bundle that has it behind all the host's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::Outcome;

/// Where Linux distributions keep the bundle of root certificates.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// What the servers show, and what the peers trust.
pub(crate) struct Certificates {
    pub(crate) server: Arc<ServerConfig>,
    folder: TempDir,
}

impl Certificates {
    /// For servers with these names.
    pub(crate) fn new(names: &[&str]) -> Outcome<Self> {
        let mut authority = CertificateParams::new([])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?
            .signed_by(&key, &authority)?;
        let mut server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let host = BUNDLES.iter().find(|path| Path::new(path).exists()).ok_or("this host has no root bundle")?;
        let certificates = Self { server: Arc::new(server), folder: TempDir::new()? };
        std::fs::write(certificates.bundle(), std::fs::read_to_string(host)? + &authority.pem())?;
        Ok(certificates)
    }

    /// The root bundle, for `SSL_CERT_FILE` and `AWS_CA_BUNDLE`.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle.pem")
    }

    /// How many roots the bundle has.
    pub(crate) fn roots(&self) -> Outcome<usize> {
        Ok(std::fs::read_to_string(self.bundle())?.matches("BEGIN CERTIFICATE").count())
    }
}
