//! The digests in SQS's answers. SDKs compare them with their own.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation>

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::queue::Attribute;
use crate::aws::digest::{hex, md5};

pub(super) fn of_body(body: &str) -> String {
    hex(&md5(body.as_bytes()))
}

/// `None` where there are no attributes.
pub(super) fn of_attributes(attributes: &BTreeMap<String, Attribute>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut encoded = Vec::new();
    let put = |bytes: &[u8], encoded: &mut Vec<u8>| {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        encoded.extend(length.to_be_bytes());
        encoded.extend(bytes);
    };
    for (name, attribute) in attributes {
        put(name.as_bytes(), &mut encoded);
        put(attribute.data_type.as_bytes(), &mut encoded);
        if let Some(text) = &attribute.string_value {
            encoded.push(1);
            put(text.as_bytes(), &mut encoded);
        } else if let Some(base64) = &attribute.binary_value {
            encoded.push(2);
            put(&STANDARD.decode(base64).unwrap_or_default(), &mut encoded);
        }
    }
    Some(hex(&md5(&encoded)))
}
