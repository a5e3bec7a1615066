use std::time::Duration;

use local::aws::{ApiError, Queue, World};
use serde_json::{Value, json};

use super::{REGION, caller, code};

const SECOND: Duration = Duration::from_secs(1);

fn sqs(world: &mut World, action: &str, parameters: &Value) -> Result<Value, ApiError> {
    world.call(&caller(), "sqs", action, parameters)
}

fn world_with_queue(queue: Queue) -> (World, String) {
    let mut world = World::default();
    let url = world.add_queue(REGION, "queue", queue);
    (world, url)
}

#[test]
fn a_received_message_is_invisible_until_its_timeout_and_counts_its_receives() {
    let (mut world, url) = world_with_queue(Queue::default());
    let id = world.send(&url, "hello");
    let first = world.receive(&url, 10);
    assert_eq!((first[0].id.as_str(), first[0].body.as_str(), first[0].receive_count), (id.as_str(), "hello", 1));
    world.advance(29 * SECOND);
    assert!(world.receive(&url, 10).is_empty());
    world.advance(SECOND);
    let second = world.receive(&url, 10);
    assert_eq!(second[0].receive_count, 2);
    assert_ne!(second[0].receipt_handle, first[0].receipt_handle);
}

#[test]
fn only_the_latest_handle_deletes() {
    let (mut world, url) = world_with_queue(Queue::default());
    world.send(&url, "hello");
    let old = world.receive(&url, 1)[0].receipt_handle.clone();
    world.advance(30 * SECOND);
    let new = world.receive(&url, 1)[0].receipt_handle.clone();
    let delete = |handle: &str| json!({ "QueueUrl": url, "ReceiptHandle": handle });
    sqs(&mut world, "DeleteMessage", &delete(&old)).expect("no error, no effect");
    assert_eq!(world.messages(&url).len(), 1);
    sqs(&mut world, "DeleteMessage", &delete(&new)).expect("deleted");
    assert!(world.messages(&url).is_empty());
    assert_eq!(code(sqs(&mut world, "DeleteMessage", &delete("made up"))), "ReceiptHandleIsInvalid");
}

#[test]
fn past_its_receive_count_a_message_goes_to_the_dead_letter_queue_as_it_is() {
    let mut world = World::default();
    let dead = world.add_queue(REGION, "dead", Queue::default());
    let settings = Queue { max_receive_count: Some(2), dead_letter_queue: Some(dead.clone()), ..Queue::default() };
    let url = world.add_queue(REGION, "queue", settings);
    let id = world.send(&url, "hello");
    for _ in 0..2 {
        assert_eq!(world.receive(&url, 1).len(), 1);
        world.advance(30 * SECOND);
    }
    assert!(world.receive(&url, 1).is_empty());
    assert!(world.messages(&url).is_empty());
    assert_eq!(world.receive(&dead, 1)[0].id, id);
}

#[test]
fn visibility_changes_for_up_to_twelve_hours_after_the_receive() {
    let (mut world, url) = world_with_queue(Queue::default());
    world.send(&url, "hello");
    let handle = world.receive(&url, 1)[0].receipt_handle.clone();
    let change = |seconds: u64| json!({ "QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": seconds });
    sqs(&mut world, "ChangeMessageVisibility", &change(43_200)).expect("twelve hours");
    assert_eq!(code(sqs(&mut world, "ChangeMessageVisibility", &change(43_201))), "InvalidParameterValue");
    world.advance(3600 * SECOND);
    assert_eq!(code(sqs(&mut world, "ChangeMessageVisibility", &change(43_200))), "InvalidParameterValue");
    sqs(&mut world, "ChangeMessageVisibility", &change(60)).expect("a minute");
    world.advance(59 * SECOND);
    assert!(world.receive(&url, 1).is_empty());
    world.advance(SECOND);
    assert_eq!(code(sqs(&mut world, "ChangeMessageVisibility", &change(60))), "MessageNotInflight");
    assert_eq!(world.receive(&url, 1).len(), 1);
}

#[test]
fn a_handle_must_be_known() {
    let (mut world, url) = world_with_queue(Queue::default());
    let change = json!({ "QueueUrl": url, "ReceiptHandle": "made up", "VisibilityTimeout": 1 });
    assert_eq!(code(sqs(&mut world, "ChangeMessageVisibility", &change)), "ReceiptHandleIsInvalid");
}

#[test]
fn attributes_are_kept_with_the_digests_that_sdks_compute() {
    let (mut world, url) = world_with_queue(Queue::default());
    let attributes = json!({
        "Code": { "DataType": "String", "StringValue": "InvalidRequest" },
        "Tries": { "DataType": "Number", "StringValue": "3" },
    });
    let message = json!({ "QueueUrl": url, "MessageBody": "hello", "MessageAttributes": attributes });
    let sent = sqs(&mut world, "SendMessage", &message).expect("sent");
    assert_eq!(sent["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
    // Computed with Python's hashlib over the encoding that the developer guide describes.
    assert_eq!(sent["MD5OfMessageAttributes"], "5790dde90a408264bd10ac622bae6b93");
    let receive = json!({ "QueueUrl": url, "MessageAttributeNames": ["All"] });
    let received = &sqs(&mut world, "ReceiveMessage", &receive).expect("received")["Messages"][0];
    assert_eq!(received["MessageAttributes"], attributes);
    assert_eq!(received["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"]);
}

#[test]
fn messages_that_sqs_refuses_are_refused() {
    let (mut world, url) = world_with_queue(Queue::default());
    let with = |attributes: Value| json!({ "QueueUrl": url, "MessageBody": "hello", "MessageAttributes": attributes });
    let text = |value: &str| json!({ "DataType": "String", "StringValue": value });
    let eleven: serde_json::Map<_, _> = (0..11).map(|number| (format!("a{number}"), text("x"))).collect();
    for attributes in
        [json!({ "a": text("") }), json!({ "a b": text("x") }), json!({ "AWS.x": text("x") }), eleven.into()]
    {
        assert_eq!(code(sqs(&mut world, "SendMessage", &with(attributes))), "InvalidParameterValue");
    }
    let body = |body: &str| json!({ "QueueUrl": url, "MessageBody": body });
    assert_eq!(code(sqs(&mut world, "SendMessage", &body(""))), "MissingParameter");
    assert_eq!(code(sqs(&mut world, "SendMessage", &body("\u{1}"))), "InvalidMessageContents");
    assert_eq!(code(sqs(&mut world, "SendMessage", &body(&"x".repeat(1_048_577)))), "InvalidParameterValue");
    assert!(world.messages(&url).is_empty());
}

#[test]
fn a_queue_has_its_redrive_policy_from_its_creation() {
    let mut world = World::default();
    sqs(&mut world, "CreateQueue", &json!({ "QueueName": "dead" })).expect("created");
    let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:dead", "maxReceiveCount": "5" });
    let create = json!({ "QueueName": "queue", "Attributes": { "RedrivePolicy": policy.to_string() } });
    let url = sqs(&mut world, "CreateQueue", &create).expect("created")["QueueUrl"].clone();
    assert_eq!(sqs(&mut world, "GetQueueUrl", &json!({ "QueueName": "queue" })).expect("found")["QueueUrl"], url);
    let all = json!({ "QueueUrl": url, "AttributeNames": ["RedrivePolicy"] });
    let attributes = sqs(&mut world, "GetQueueAttributes", &all).expect("attributes");
    let kept: Value =
        serde_json::from_str(attributes["Attributes"]["RedrivePolicy"].as_str().expect("text")).expect("JSON");
    assert_eq!(kept["maxReceiveCount"], 5);
    let nobody = json!({ "QueueUrl": "http://sqs.eu-west-1.localhost/123456789012/nobody" });
    assert_eq!(code(sqs(&mut world, "ReceiveMessage", &nobody)), "QueueDoesNotExist");
}
