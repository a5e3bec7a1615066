//! Over HTTPS the function speaks only with servers that the host's root certificates vouch for.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use local::host::{Function, Host};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::stage::{HERE, Stage, THERE, request, state_change};

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
        Self::as_all(&[name], until).await
    }

    async fn as_all(names: &[&str], until: i32) -> Self {
        let stage = Stage::new().await.source(AMI, "golden");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut server =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
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

    /// A function that trusts the roots of that bundle, and tries each call once.
    fn function(&self, bundle: &str) -> Function {
        self.stage
            .function_in(HERE)
            .endpoint_url(&self.endpoint)
            .set("AWS_MAX_ATTEMPTS", "1")
            .set("SSL_CERT_FILE", self.bundle(bundle).display().to_string())
    }

    /// What comes of a request, with that bundle.
    async fn answer(&self, bundle: &str) -> Result<serde_json::Value, String> {
        answer(self.function(bundle)).await
    }
}

/// What comes of a request; why the function does not start, as its log has it.
async fn answer(function: Function) -> Result<serde_json::Value, String> {
    let function = function.start().await.map_err(|error| error.logs.join("\n"))?;
    function.invoke(&request(AMI, "golden")).await.map_err(|error| error.to_string())
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
    for variable in ["SSL_CERT_FILE", "AWS_CA_BUNDLE"] {
        let error = answer(secured.function(&secured.root).set(variable, "/nowhere/roots.pem")).await.unwrap_err();
        assert!(error.contains("root certificates of /nowhere/roots.pem"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_two_seconds_an_attempt_so_that_three_fit() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", silent.local_addr().unwrap());
    let accepted = Arc::<Mutex<Vec<TcpStream>>>::default();
    let kept = accepted.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = silent.accept().await {
            kept.lock().unwrap().push(stream);
        }
    });
    let stage = Stage::new().await.source(AMI, "golden");
    let function = stage.function_in(HERE).endpoint_url(&endpoint).start().await.unwrap();
    let start = Instant::now();
    let error = function.invoke(&request(AMI, "golden")).await.unwrap_err().to_string();
    assert!(error.contains("no connection within 2 seconds"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(16), "{:?}", start.elapsed());
    assert!(accepted.lock().unwrap().len() >= 3);
}

/// A proxy on loopback. Whatever the host, its tunnels lead to one server: only the proxy knows the way.
struct Proxy {
    address: String,
    /// What it was asked, each up to the empty line.
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
enum Answer {
    /// A tunnel to that port, for who has that authorization.
    Tunnel {
        port: String,
        authorization: &'static str,
    },
    Refusal(&'static str),
    Silence,
}

impl Proxy {
    async fn that_answers(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let kept = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), kept.clone()));
            }
        });
        Self { address, asked }
    }

    /// A proxy that leads to the secured AWS.
    async fn to(secured: &Secured, authorization: &'static str) -> Self {
        let port = secured.endpoint.rsplit(':').next().unwrap().to_owned();
        Self::that_answers(Answer::Tunnel { port, authorization }).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut client: TcpStream, answer: Answer, asked: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(client.read_u8().await?));
    }
    asked.lock().unwrap().push(head.clone());
    match answer {
        Answer::Silence => std::future::pending().await,
        Answer::Refusal(status) => client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await,
        Answer::Tunnel { port, authorization } if head.contains(authorization) => {
            let mut server = TcpStream::connect(format!("127.0.0.1:{port}")).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
        Answer::Tunnel { .. } => client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await,
    }
}

/// AWS's own host names, which the proxy alone resolves.
#[tokio::test]
async fn a_function_behind_a_proxy_starts_and_copies_an_announced_ami() {
    let secured = Secured::as_all(&["*.us-east-1.amazonaws.com", "*.eu-west-1.amazonaws.com"], 2100).await;
    let proxy = Proxy::to(&secured, "").await;
    let function = secured
        .function(&secured.root)
        .set("AWS_ENDPOINT_URL", "")
        .set("HTTPS_PROXY", format!("http://{}", proxy.address));
    let function = function.start().await.unwrap();
    let answer = function.invoke(&state_change(THERE, AMI, "available")).await.unwrap();
    assert_eq!(answer[0]["Outcome"], "Started", "{answer}");
    assert_eq!(secured.stage.copies().len(), 1);
    let asked = proxy.asked();
    for host in ["ec2.us-east-1", "ec2.eu-west-1", "events.eu-west-1"] {
        let line = format!("CONNECT {host}.amazonaws.com:443 HTTP/1.1\r\n");
        assert_eq!(asked.iter().filter(|asked| asked.starts_with(&line)).count(), 1, "{line}{asked:?}");
    }
}

#[tokio::test]
async fn each_variable_of_a_proxy_is_followed_and_the_first_that_has_a_value_wins() {
    let secured = Secured::as_("localhost", 2100).await;
    let variables = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    for (position, variable) in variables.into_iter().enumerate() {
        let proxy = Proxy::to(&secured, "").await;
        let mut function = secured.function(&secured.root).set(variable, &proxy.address);
        for before in &variables[..position] {
            function = function.set(*before, "");
        }
        for after in &variables[position + 1..] {
            function = function.set(*after, "http://127.0.0.1:1");
        }
        assert!(answer(function).await.is_ok(), "{variable}");
        assert!(proxy.asked()[0].starts_with("CONNECT localhost:"), "{variable}");
    }
}

#[tokio::test]
async fn a_proxy_gets_the_user_and_the_password_of_its_url_and_no_log_line_has_them() {
    let secured = Secured::as_("localhost", 2100).await;
    // courier:p@ss
    let authorization = "\r\nProxy-Authorization: Basic Y291cmllcjpwQHNz\r\n";
    let proxy = Proxy::to(&secured, authorization).await;
    let with = |user: &str| {
        let url = format!("http://{user}{}", proxy.address);
        secured.function(&secured.root).set("HTTPS_PROXY", url).set("AWS_LAMBDA_LOG_LEVEL", "DEBUG")
    };
    let function: Host = with("courier:p%40ss@").start().await.unwrap();
    assert_eq!(function.invoke(&request(AMI, "golden")).await.unwrap()["Outcome"], "Started");
    let logs = function.logs().concat();
    assert!(logs.contains("DEBUG") && !logs.contains("Y291cmllcjpwQHNz") && !logs.contains("p%40ss"), "{logs}");
    for user in ["", "courier:other@", "courier@"] {
        let error = answer(with(user)).await.unwrap_err();
        assert!(error.contains("proxy authorization required"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_named_in_the_error_without_its_password() {
    let secured = Secured::as_("localhost", 2100).await;
    for (answers, why) in [
        (Answer::Refusal("407 Proxy Authentication Required"), "proxy authorization required"),
        (Answer::Refusal("503 Service Unavailable"), "tunnel error: unsuccessful"),
        (Answer::Silence, "no connection within 2 seconds"),
    ] {
        let proxy = Proxy::that_answers(answers).await;
        let function =
            secured.function(&secured.root).set("HTTPS_PROXY", format!("http://me:secret@{}", proxy.address));
        let error = answer(function).await.unwrap_err();
        let through = format!("through the proxy http://{}/, which must answer CONNECT with 200: ", proxy.address);
        assert!(error.contains("NoAnswer") && error.contains(&through) && error.contains(why), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dead = secured.function(&secured.root).set("HTTPS_PROXY", format!("http://{unused}"));
    let error = answer(dead).await.unwrap_err();
    assert!(error.contains(&format!("through the proxy http://{unused}/")) && error.contains("refused"), "{error}");
    assert_eq!(secured.stage.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn servers_of_no_proxy_and_plain_http_are_reached_without_the_proxy() {
    let secured = Secured::as_("localhost", 2100).await;
    let proxy = Proxy::that_answers(Answer::Refusal("503 Service Unavailable")).await;
    let behind = |function: Function| function.set("ALL_PROXY", format!("http://{}", proxy.address));
    for direct in ["localhost", "*", "example.com, localhost"] {
        for variable in ["NO_PROXY", "no_proxy"] {
            let function = behind(secured.function(&secured.root)).set(variable, direct);
            assert!(answer(function).await.is_ok(), "{variable}={direct}");
        }
    }
    assert!(answer(behind(secured.stage.function_in(HERE))).await.is_ok());
    assert_eq!(proxy.asked(), Vec::<String>::new());
    let error = answer(behind(secured.function(&secured.root)).set("NO_PROXY", "example.com")).await.unwrap_err();
    assert!(error.contains("through the proxy"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_is_no_url_stops_the_start_with_an_error_that_names_its_variable_and_not_its_password() {
    for (variable, value, shown) in [
        ("HTTPS_PROXY", "proxy.example.com", "proxy.example.com"),
        ("https_proxy", "http//proxy.example.com:3128", "http//proxy.example.com:3128"),
        ("ALL_PROXY", "https://proxy.example.com:3128", "https://proxy.example.com:3128"),
        ("all_proxy", "http://me:se/cr@et@proxy.example.com:3128", "http://me:***@proxy.example.com:3128"),
    ] {
        let refused = Stage::new().await.function_in(HERE).set(variable, value).start().await;
        let Err(refused) = refused else { panic!("it starts with {variable}={value}") };
        let error = refused.logs.join("\n");
        assert!(error.contains(&format!("{variable} is `{shown}`, which is not valid")), "{error}");
        assert!(error.contains("accepted: `http://HOST:PORT`") && !error.contains("cr@et"), "{error}");
    }
}
