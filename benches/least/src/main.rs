//! The least that makes the same calls: for each event the four calls of EC2 and the one of EventBridge that a new AMI costs,
//! signed, over verified HTTPS. There is no SDK, nothing is tried again, and no answer is parsed.
//!
//! It shows how much of ami-courier's time any function needs that makes these calls.

use std::error::Error as _;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

const REGION: &str = "eu-west-1";
const SOURCE_REGION: &str = "us-east-1";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let aws = &Aws::connect()?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| aws.copy(&event.payload).await)).await
}

struct Aws {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    credentials: Identity,
}

impl Aws {
    fn connect() -> Result<Self, Error> {
        let bundle = openssl_probe::probe().cert_file.ok_or("this host has no bundle of root certificates")?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&std::fs::read(bundle)?).filter_map(Result::ok));
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
        let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
        let (key, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
        let token = std::env::var("AWS_SESSION_TOKEN").ok();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(https),
            credentials: Credentials::new(key, secret, token, None, "environment").into(),
        })
    }

    /// One AMI: look at it, look for its copies, copy it, look at the copy, and tell the event bus.
    async fn copy(&self, event: &Value) -> Result<Value, Error> {
        let source = event["SourceImageId"].as_str().unwrap_or("ami-067cc340229463eba");
        let look_at = |id| [("ImageId.1", id), ("IncludeDisabled", "true"), ("IncludeDeprecated", "true")];
        self.ec2(SOURCE_REGION, "DescribeImages", &look_at(source)).await?;
        let copies = [
            ("Owner.1", "self"),
            ("Filter.1.Name", "source-image-id"),
            ("Filter.1.Value.1", source),
            ("Filter.2.Name", "source-image-region"),
            ("Filter.2.Value.1", SOURCE_REGION),
            ("IncludeDisabled", "true"),
        ];
        self.ec2(REGION, "DescribeImages", &copies).await?;
        let copy = [
            ("Name", "golden-2026-11-20"),
            ("SourceImageId", source),
            ("SourceRegion", SOURCE_REGION),
            ("ClientToken", "0d9ba5b5-0c2f-5f6c-9f4f-2f0a7b1c9d3e"),
            ("TagSpecification.1.ResourceType", "image"),
            ("TagSpecification.1.Tag.1.Key", "team"),
            ("TagSpecification.1.Tag.1.Value", "platform"),
            ("TagSpecification.2.ResourceType", "snapshot"),
            ("TagSpecification.2.Tag.1.Key", "team"),
            ("TagSpecification.2.Tag.1.Value", "platform"),
        ];
        self.ec2(REGION, "CopyImage", &copy).await?;
        self.ec2(REGION, "DescribeImages", &look_at("ami-0c0ffee0000000000")).await?;
        let detail = json!({ "Outcome": "Started", "SourceImageId": source }).to_string();
        let entry = json!({ "Source": "ami-courier", "DetailType": "AMI Copy", "Detail": detail });
        let body = json!({ "Entries": [entry] }).to_string();
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AWSEvents.PutEvents")];
        self.call("events", REGION, &headers, body).await?;
        Ok(json!({ "Outcome": "Started" }))
    }

    async fn ec2(&self, region: &str, action: &str, parameters: &[(&str, &str)]) -> Result<(), Error> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2016-11-15").extend_pairs(parameters);
        self.call("ec2", region, &[("content-type", "application/x-www-form-urlencoded")], form.finish()).await
    }

    async fn call(&self, service: &str, region: &str, headers: &[(&str, &str)], body: String) -> Result<(), Error> {
        let url = format!("https://{service}.{region}.amazonaws.com/");
        let signing = SigningParams::builder()
            .identity(&self.credentials)
            .region(region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?;
        let signable =
            SignableRequest::new("POST", url.as_str(), headers.iter().copied(), SignableBody::Bytes(body.as_bytes()))?;
        let (signature, _) = sign(signable, &signing.into())?.into_parts();
        let request = headers.iter().fold(Request::post(&url), |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(Full::from(body))?;
        signature.apply_to_request_http1x(&mut request);
        let answer = self.client.request(request).await.map_err(|failed| format!("{url}: {:?}", failed.source()))?;
        let status = answer.status();
        answer.into_body().collect().await?;
        if status.is_success() { Ok(()) } else { Err(format!("{url}: {status}").into()) }
    }
}
