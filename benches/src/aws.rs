//! EC2, EventBridge and SQS on loopback, over HTTPS. They keep no state and answer as fast as they can.
//!
//! EC2 returns every AMI that a call asks for by id. The [`Scene`] sets how many AMIs it lists, whether copies exist, and
//! how long an answer takes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::Outcome;
use crate::certificates::Certificates;

/// The Region of the courier.
pub(crate) const REGION: &str = "eu-west-1";
/// The Region of the source AMIs.
pub(crate) const SOURCE_REGION: &str = "us-east-1";
/// The AWS hosts that the peers call.
pub(crate) const HOSTS: [&str; 4] = [
    "ec2.eu-west-1.amazonaws.com",
    "ec2.us-east-1.amazonaws.com",
    "events.eu-west-1.amazonaws.com",
    "sqs.eu-west-1.amazonaws.com",
];
/// The courier's own queue. It is always empty.
pub(crate) const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/announcements";
/// The account of everything.
pub(crate) const ACCOUNT: &str = "123456789012";

/// How EC2 answers.
#[derive(Clone, Default)]
pub(crate) struct Scene {
    /// How long each answer takes.
    pub(crate) delay: Duration,
    /// Whether each AMI has a copy.
    pub(crate) copied: bool,
    /// How many source AMIs there are, and as many copies.
    pub(crate) images: usize,
    /// The source AMIs are older than what is asked for: they are found by their ids only.
    pub(crate) sources_are_old: bool,
}

/// The state that the servers share.
#[derive(Default)]
struct Shared {
    scene: Scene,
    calls: BTreeMap<String, usize>,
    /// When each copy was accepted.
    accepted: Vec<Instant>,
}

/// AWS on loopback, until the process ends.
pub(crate) struct Aws {
    pub(crate) certificates: Certificates,
    shared: Arc<Mutex<Shared>>,
}

impl Aws {
    pub(crate) async fn start() -> Outcome<Self> {
        let certificates = Certificates::new(&HOSTS)?;
        let shared = Arc::<Mutex<Shared>>::default();
        serve(&certificates, &shared).await?;
        Ok(Self { certificates, shared })
    }

    /// Sets how EC2 answers from now on, and resets the count of calls.
    pub(crate) fn set(&self, scene: Scene) {
        *lock(&self.shared) = Shared { scene, ..Shared::default() };
    }

    /// When each copy was accepted since the last `set`: when EC2's answer was on its way.
    pub(crate) fn accepted(&self) -> Vec<Instant> {
        lock(&self.shared).accepted.clone()
    }

    /// How often each action was called since the last `set`.
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        lock(&self.shared).calls.clone()
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(certificates: &Certificates, shared: &Arc<Mutex<Shared>>) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:443").await?;
    let acceptor = TlsAcceptor::from(Arc::clone(&certificates.server));
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
            tokio::spawn(async move {
                // Small answers must not wait for the client's acknowledgement.
                let _ = stream.set_nodelay(true);
                // A peer may be killed while it works.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(|request| answer(&shared, request));
                let _ = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(())
}

async fn answer(shared: &Mutex<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(Response::default()) };
    let call = Call {
        // `Credential=AKID/20260101/eu-west-1/ec2/aws4_request` names the Region of the call.
        is_in_region: head
            .headers
            .get("authorization")
            .is_some_and(|it| String::from_utf8_lossy(it.as_bytes()).contains(REGION)),
        parameters: form_urlencoded::parse(&body.to_bytes()).into_owned().collect(),
    };
    let target = head.headers.get("x-amz-target").map(|target| String::from_utf8_lossy(target.as_bytes()).into_owned());
    let action = target.unwrap_or_else(|| call.parameter("Action").to_owned());
    let scene = {
        let mut shared = lock(shared);
        *shared.calls.entry(action.clone()).or_default() += 1;
        shared.scene.clone()
    };
    let answer = match action.as_str() {
        "DescribeImages" => call.describe_images(&scene),
        "CopyImage" => {
            format!("{HEAD}<CopyImageResponse {NAMESPACE}><imageId>ami-0c0ffee0000000000</imageId></CopyImageResponse>")
        }
        "AmazonSQS.GetQueueAttributes" => r#"{"Attributes":{"ApproximateNumberOfMessages":"0"}}"#.to_owned(),
        _ => r#"{"FailedEntryCount":0,"Entries":[{"EventId":"11710aed-b79e-4468-a20b-bb3c0c3b4860"}]}"#.to_owned(),
    };
    if !scene.delay.is_zero() {
        tokio::time::sleep(scene.delay).await;
    }
    if action == "CopyImage" {
        lock(shared).accepted.push(Instant::now());
    }
    Ok(Response::new(Full::from(answer)))
}

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
const NAMESPACE: &str = r#"xmlns="http://ec2.amazonaws.com/doc/2016-11-15/""#;

/// A call of EC2.
struct Call {
    is_in_region: bool,
    parameters: BTreeMap<String, String>,
}

impl Call {
    fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    fn list<'a>(&'a self, prefix: &str) -> impl Iterator<Item = &'a str> {
        (1..).map_while(move |n| self.parameters.get(&format!("{prefix}.{n}"))).map(String::as_str)
    }

    fn describe_images(&self, scene: &Scene) -> String {
        /// The page size that the courier asks for.
        const PAGE: usize = 1000;
        let mut images = String::new();
        let mut next = String::new();
        if let Some(id) = self.parameters.get("ImageId.1") {
            let state = if self.is_in_region { "pending" } else { "available" };
            images += &image(id, state, None);
        } else if self.parameter("Filter.1.Name") == "image-id" {
            images.extend(self.list("Filter.1.Value").map(|id| image(id, "available", None)));
        } else if self.parameter("Filter.1.Name") == "source-image-id" && self.parameter("Filter.1.Value.1") != "ami-*"
        {
            let copied = self.list("Filter.1.Value").filter(|_| scene.copied);
            images.extend(copied.map(|source| image(&copy_of(source), "available", Some(source))));
        } else {
            let first: usize = self.parameter("NextToken").parse().unwrap_or(0);
            let listed = if scene.sources_are_old && !self.is_in_region { 0 } else { scene.images };
            let end = listed.min(first + PAGE);
            for number in first..end {
                let source = format!("ami-{number:017x}");
                images += &if self.is_in_region {
                    image(&copy_of(&source), "available", Some(&source))
                } else {
                    image(&source, "available", None)
                };
            }
            if end < listed {
                next = format!("<nextToken>{end}</nextToken>");
            }
        }
        format!(
            "{HEAD}<DescribeImagesResponse {NAMESPACE}><requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId><imagesSet>{images}</imagesSet>{next}</DescribeImagesResponse>"
        )
    }
}

/// The id of the copy of an AMI.
fn copy_of(source: &str) -> String {
    source.replacen("ami-0", "ami-c", 1)
}

/// An AMI as EC2 describes it.
fn image(id: &str, state: &str, source: Option<&str>) -> String {
    let mut tags =
        "<item><key>Name</key><value>golden</value></item><item><key>team</key><value>platform</value></item>\
                    <item><key>os</key><value>al2023</value></item>"
            .to_owned();
    // New: an older AMI could be in a quiet time, in which no copy is started.
    let created = (OffsetDateTime::now_utc() - time::Duration::hours(1)).format(&Rfc3339).unwrap_or_default();
    let mut origin = String::new();
    if let Some(source) = source {
        let _ = write!(
            tags,
            "<item><key>ami-courier:source-image</key><value>{source}</value></item>\
             <item><key>ami-courier:source-region</key><value>{SOURCE_REGION}</value></item>\
             <item><key>ami-courier:source-created</key><value>2026-11-20T07:00:00Z</value></item>\
             <item><key>ami-courier:stack</key><value>ami-courier</value></item>\
             <item><key>ami-courier:finished</key><value>2026-11-20T08:00:00Z</value></item>"
        );
        let _ = write!(
            origin,
            "<sourceImageId>{source}</sourceImageId><sourceImageRegion>{SOURCE_REGION}</sourceImageRegion>"
        );
    }
    format!(
        "<item><imageId>{id}</imageId><imageLocation>{ACCOUNT}/golden-{id}</imageLocation><imageState>{state}</imageState>\
         <imageOwnerId>{ACCOUNT}</imageOwnerId><creationDate>{created}</creationDate><isPublic>false</isPublic>\
         <architecture>x86_64</architecture><imageType>machine</imageType><name>golden-{id}</name>\
         <description>The golden image</description><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>\
         <blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><snapshotId>snap-{suffix}</snapshotId>\
         <volumeSize>8</volumeSize><deleteOnTermination>true</deleteOnTermination><volumeType>gp3</volumeType><iops>3000</iops>\
         <encrypted>false</encrypted><throughput>125</throughput></ebs></item></blockDeviceMapping>\
         <virtualizationType>hvm</virtualizationType><tagSet>{tags}</tagSet><hypervisor>xen</hypervisor><enaSupport>true</enaSupport>\
         <sriovNetSupport>simple</sriovNetSupport><bootMode>uefi-preferred</bootMode><imdsSupport>v2.0</imdsSupport>\
         <platformDetails>Linux/UNIX</platformDetails><usageOperation>RunInstances</usageOperation>\
         <deprecationTime>2028-11-20T06:00:00.000Z</deprecationTime>{origin}</item>",
        suffix = id.trim_start_matches("ami-"),
    )
}
