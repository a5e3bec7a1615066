//! The smallest HTTP client: one connection for each request, and no retry of a dropped connection.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use local::aws::Aws;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Posts a body in the name of the default account; `target` is the `X-Amz-Target` of a JSON service.
pub(crate) async fn post(aws: &Aws, scope: &str, target: Option<&str>, body: &str) -> hyper::Result<Answer> {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/{scope}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let mut request = Request::post("/").header(header::AUTHORIZATION, authorization);
    if let Some(target) = target {
        request = request.header("x-amz-target", target);
    }
    send(aws, request.body(Full::from(body.to_owned())).expect("a request")).await
}

pub(crate) async fn send(aws: &Aws, mut request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
    let endpoint = aws.endpoint();
    let address = endpoint.strip_prefix("http://").expect("plain HTTP").to_owned();
    request.headers_mut().insert(header::HOST, address.parse().expect("a host"));
    let stream = TcpStream::connect(&address).await.expect("the server listens");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let body = String::from_utf8(body.to_vec()).expect("text");
    Ok(Answer { status: head.status, headers: head.headers, body })
}
