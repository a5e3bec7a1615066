//! Each protocol as it is on the wire.

use http_body_util::Full;
use hyper::{Request, StatusCode};
use local::aws::{Aws, Image, account_of};
use serde_json::{Value, json};

use super::http::{post, send};
use super::{REGION, SOURCE, SOURCE_REGION};

async fn aws() -> Aws {
    let aws = Aws::start().await.expect("a free port");
    aws.world().add_image(SOURCE_REGION, Image::new(SOURCE, "golden"));
    aws
}

const COPY: &str =
    "Action=CopyImage&Version=2016-11-15&Name=My+server&SourceImageId=ami-0123456789abcdef0&SourceRegion=us-east-1";

#[tokio::test]
async fn ec2_takes_a_form_and_answers_xml_in_its_namespace() {
    let aws = aws().await;
    let answer = post(&aws, "eu-west-1/ec2", None, COPY).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "text/xml;charset=UTF-8");
    let id = aws.world().images(REGION)[0].id.clone();
    let (head, rest) = answer.body.split_once("<requestId>").expect("a request id");
    assert_eq!(
        head,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <CopyImageResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><imageId>{id}</imageId>"
        )
    );
    assert!(rest.ends_with("</requestId></CopyImageResponse>"));
}

#[tokio::test]
async fn ec2_lists_items_and_escapes_their_text() {
    let aws = aws().await;
    aws.world().add_image(REGION, Image::new("ami-00000001", "one").tag("a&b", "<c>"));
    let answer =
        post(&aws, "eu-west-1/ec2", None, "Action=DescribeImages&ImageId.1=ami-00000001").await.expect("an answer");
    assert!(answer.body.contains("<tagSet><item><key>a&amp;b</key><value>&lt;c&gt;</value></item></tagSet>"));
    assert!(answer.body.contains("<imagesSet><item><imageId>ami-00000001</imageId>"));
    assert!(!answer.body.contains("stateReason"), "a missing value has no element");
}

#[tokio::test]
async fn an_error_of_ec2_has_its_shape_and_status() {
    let aws = aws().await;
    let answer = post(&aws, "eu-west-1/ec2", None, "Action=DescribeVpcs").await.expect("an answer");
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let expected = "<Response><Errors><Error><Code>InvalidAction</Code>\
                    <Message>The action DescribeVpcs is not valid for this web service.</Message></Error></Errors><RequestID>";
    assert!(answer.body.contains(expected), "{}", answer.body);
    let dry_run = post(&aws, "eu-west-1/ec2", None, &format!("{COPY}&DryRun=true")).await.expect("an answer");
    assert_eq!(dry_run.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn a_get_with_a_query_string_does_as_well() {
    let aws = aws().await;
    let credential = "X-Amz-Credential=AKIAEXAMPLE%2F20260101%2Feu-west-1%2Fec2%2Faws4_request";
    let request = Request::get(format!("/?{COPY}&{credential}")).body(Full::default()).expect("a request");
    let answer = send(&aws, request).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(aws.world().images(REGION).len(), 1);
}

#[tokio::test]
async fn an_unsigned_request_is_refused() {
    let request = Request::post("/").body(Full::from(COPY)).expect("a request");
    let answer = send(&aws().await, request).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.body.contains("<Code>MissingAuthenticationToken</Code>"));
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test]
async fn ssm_speaks_json_1_1_and_names_its_errors_twice() {
    let aws = aws().await;
    let put = json!({ "Name": "p", "Value": "1", "Type": "String" }).to_string();
    let answer = post(&aws, "eu-west-1/ssm", Some("AmazonSSM.PutParameter"), &put).await.expect("an answer");
    assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
    assert_eq!(json_of(&answer.body)["Version"], 1);
    let answer = post(&aws, "eu-west-1/ssm", Some("AmazonSSM.PutParameter"), &put).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers["x-amzn-errortype"], "ParameterAlreadyExists");
    assert_eq!(json_of(&answer.body)["__type"], "ParameterAlreadyExists");
}

#[tokio::test]
async fn eventbridge_speaks_json_1_1() {
    let aws = aws().await;
    let put = json!({ "Entries": [{ "Source": "a", "DetailType": "b", "Detail": "{}", "EventBusName": "bus" }] });
    let answer =
        post(&aws, "eu-west-1/events", Some("AWSEvents.PutEvents"), &put.to_string()).await.expect("an answer");
    assert_eq!(json_of(&answer.body)["FailedEntryCount"], 0);
    let put = aws.world().put_events();
    assert_eq!((put[0].region.as_str(), put[0].bus.as_str()), (REGION, "bus"));
}

#[tokio::test]
async fn sqs_speaks_json_1_0_and_knows_the_older_error_codes() {
    let aws = aws().await;
    let get = json!({ "QueueName": "nobody" }).to_string();
    let answer = post(&aws, "eu-west-1/sqs", Some("AmazonSQS.GetQueueUrl"), &get).await.expect("an answer");
    assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.0");
    assert_eq!(answer.headers["x-amzn-query-error"], "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert_eq!(json_of(&answer.body)["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
}

#[tokio::test]
async fn every_call_is_recorded_with_its_parameters_targets_and_outcome() {
    let aws = aws().await;
    aws.world().add_image(REGION, Image::new("ami-00000001", "one").tag("a", "1"));
    post(&aws, "eu-west-1/ec2", None, "Action=DeregisterImage&ImageId=ami-00000001").await.expect("an answer");
    post(&aws, "us-east-1/ec2", None, "Action=DeregisterImage&ImageId=ami-00000001").await.expect("an answer");
    let calls = aws.world().calls();
    assert_eq!(calls[0].parameters, json!({ "ImageId": "ami-00000001" }));
    assert_eq!(calls[0].target_tags["ami-00000001"]["a"], "1");
    assert_eq!((calls[0].status, calls[0].code.as_deref()), (200, None));
    assert_eq!((calls[1].region.as_str(), calls[1].status), ("us-east-1", 400));
    assert_eq!(calls[1].code.as_deref(), Some("InvalidAMIID.NotFound"));
    aws.world().forget_calls();
    assert!(aws.world().calls().is_empty());
}

#[tokio::test]
async fn the_server_stops_with_its_last_handle() {
    let aws = aws().await;
    let address = aws.endpoint().strip_prefix("http://").expect("plain HTTP").to_owned();
    let other = aws.clone();
    drop(aws);
    assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
    drop(other);
    tokio::task::yield_now().await;
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}

#[test]
fn an_access_key_id_stands_for_the_twelve_digits_in_it() {
    assert_eq!(account_of("AKIA111122223333TEST"), "111122223333");
    assert_eq!(account_of("AKIAIOSFODNN7EXAMPLE"), local::aws::ACCOUNT);
}
