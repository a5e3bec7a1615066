//! XML answers: EC2's in the namespace of its API version, and those of STS, which are one level deeper.
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-response.html>,
//! <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>

use std::io;

use hyper::body::Bytes;
use hyper::{Response, header};
use quick_xml::Writer;
use quick_xml::events::BytesText;
use serde_json::{Value, json};

use super::status::status;
use crate::aws::request::Answer;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

pub(super) fn respond(action: &str, request_id: &str, answer: &Answer) -> Response<Bytes> {
    let body = match answer {
        Ok(tree) => {
            let mut tree = tree.clone();
            tree["requestId"] = Value::from(request_id);
            document(&format!("{action}Response"), Some(NAMESPACE), &tree, "item")
        }
        Err(error) => {
            let tree = json!({
                "Errors": { "Error": { "Code": error.code, "Message": error.message } },
                "RequestID": request_id,
            });
            document("Response", None, &tree, "item")
        }
    };
    http_response(request_id, answer, body)
}

/// The answer in an element `ACTIONResult`.
pub(super) fn respond_with_result(namespace: &str, action: &str, request_id: &str, answer: &Answer) -> Response<Bytes> {
    let body = match answer {
        Ok(result) => {
            let metadata = json!({ "RequestId": request_id });
            let mut tree = json!({});
            tree[format!("{action}Result")] = result.clone();
            tree["ResponseMetadata"] = metadata;
            document(&format!("{action}Response"), Some(namespace), &tree, "member")
        }
        Err(error) => {
            let fault = json!({ "Type": "Sender", "Code": error.code, "Message": error.message });
            document("ErrorResponse", Some(namespace), &json!({ "Error": fault, "RequestId": request_id }), "member")
        }
    };
    http_response(request_id, answer, body)
}

fn http_response(request_id: &str, answer: &Answer, body: Vec<u8>) -> Response<Bytes> {
    Response::builder()
        .status(status(answer))
        .header(header::CONTENT_TYPE, "text/xml;charset=UTF-8")
        .header("x-amzn-requestid", request_id)
        .body(Bytes::from(body))
        .expect("the parts of the answer are valid")
}

fn document(name: &str, namespace: Option<&str>, tree: &Value, item: &str) -> Vec<u8> {
    let mut writer = Writer::new(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_vec());
    writer
        .create_element(name)
        .with_attributes(namespace.map(|uri| ("xmlns", uri)))
        .write_inner_content(|writer| write_members(writer, tree, item))
        .expect("writing to memory does not fail");
    writer.into_inner()
}

fn write_members(writer: &mut Writer<Vec<u8>>, tree: &Value, item: &str) -> io::Result<()> {
    for (name, value) in tree.as_object().into_iter().flatten() {
        write(writer, name, value, item)?;
    }
    Ok(())
}

/// A list becomes one element with an element `item` for each member: its name is `item` in all of EC2, `member` in IAM and
/// STS. Null is left out.
fn write(writer: &mut Writer<Vec<u8>>, name: &str, value: &Value, item: &str) -> io::Result<()> {
    let text = match value {
        Value::Null => return Ok(()),
        Value::Object(_) => {
            writer.create_element(name).write_inner_content(|writer| write_members(writer, value, item))?;
            return Ok(());
        }
        Value::Array(items) => {
            writer
                .create_element(name)
                .write_inner_content(|writer| items.iter().try_for_each(|member| write(writer, item, member, item)))?;
            return Ok(());
        }
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    writer.create_element(name).write_text_content(BytesText::new(&text))?;
    Ok(())
}
