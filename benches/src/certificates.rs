//! The certificates of the servers. They have the form of AWS's own: RSA with 2048 bits, a root, an authority below it, and
//! the server. The root bundle has the host's roots first, and this throw-away root last.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::Outcome;

/// Where Linux distributions keep the bundle of root certificates.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The certificates that the servers present, and the roots that the peers trust.
pub(crate) struct Certificates {
    pub(crate) server: Arc<ServerConfig>,
    folder: TempDir,
}

impl Certificates {
    /// Certificates for servers with these names.
    pub(crate) fn new(names: &[&str]) -> Outcome<Self> {
        let root = CertifiedIssuer::self_signed(authority("Root of the benchmark"), rsa_key()?)?;
        let authority = CertifiedIssuer::signed_by(authority("Authority of the benchmark"), rsa_key()?, &root)?;
        let key = rsa_key()?;
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        let mut server = ServerConfig::builder().with_no_client_auth().with_single_cert(
            vec![certificate.der().clone(), authority.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let host = BUNDLES.iter().find(|path| Path::new(path).exists()).ok_or("this host has no root bundle")?;
        let certificates = Self { server: Arc::new(server), folder: TempDir::new()? };
        std::fs::write(certificates.bundle(), std::fs::read_to_string(host)? + &root.pem())?;
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

fn authority(name: &str) -> CertificateParams {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = DistinguishedName::new();
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
}

/// The servers' cryptography can sign with RSA keys but cannot generate them.
fn rsa_key() -> Outcome<KeyPair> {
    let made = Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()?;
    Ok(KeyPair::from_pem(&String::from_utf8(made.stdout)?)?)
}
