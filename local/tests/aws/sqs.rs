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
fn after_its_last_receive_a_message_goes_to_the_dead_letter_queue_unchanged() {
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
fn a_delayed_message_is_received_after_its_delay_of_up_to_15_minutes() {
    let (mut world, url) = world_with_queue(Queue::default());
    let delayed = |seconds: i64| json!({ "QueueUrl": url, "MessageBody": "hello", "DelaySeconds": seconds });
    for refused in [-1, 901] {
        assert_eq!(code(sqs(&mut world, "SendMessage", &delayed(refused))), "InvalidParameterValue", "{refused}");
    }
    sqs(&mut world, "SendMessage", &delayed(900)).expect("sent");
    world.advance(899 * SECOND);
    assert!(world.receive(&url, 1).is_empty());
    world.advance(SECOND);
    assert_eq!(world.receive(&url, 1).len(), 1);
}

fn batch(url: &str, ids: &[&str]) -> Value {
    let entries: Vec<Value> =
        ids.iter().map(|id| json!({ "Id": id, "MessageBody": format!("body of {id}") })).collect();
    json!({ "QueueUrl": url, "Entries": entries })
}

#[test]
fn the_messages_of_a_batch_are_sent_each_with_its_own_delay() {
    let (mut world, url) = world_with_queue(Queue::default());
    let mut two = batch(&url, &["now", "later"]);
    two["Entries"][1]["DelaySeconds"] = json!(900);
    let answer = sqs(&mut world, "SendMessageBatch", &two).expect("sent");
    assert_eq!(answer["Failed"], json!([]));
    let ids: Vec<_> = world.messages(&url).into_iter().map(|message| message.id).collect();
    for (at, id) in ["now", "later"].into_iter().enumerate() {
        assert_eq!(answer["Successful"][at]["Id"], id);
        assert_eq!(answer["Successful"][at]["MessageId"], ids[at].as_str());
    }
    // The MD5 of "body of now", by md5sum.
    assert_eq!(answer["Successful"][0]["MD5OfMessageBody"], "d991efdf7d4861ef37b10432a702134f");
    let received = |world: &mut World| world.receive(&url, 10).into_iter().map(|it| it.body).collect::<Vec<_>>();
    assert_eq!(received(&mut world), ["body of now"]);
    world.advance(900 * SECOND);
    assert!(received(&mut world).contains(&"body of later".to_owned()));
}

#[test]
fn a_batch_has_one_to_ten_entries_with_distinct_well_formed_ids_and_at_most_one_mebibyte() {
    let (mut world, url) = world_with_queue(Queue::default());
    let eleven: Vec<String> = (0..11).map(|number| number.to_string()).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    let mut too_long = batch(&url, &["a", "b"]);
    for at in 0..2 {
        too_long["Entries"][at]["MessageBody"] = json!("x".repeat(600_000));
    }
    for (refused, expected) in [
        (batch(&url, &[]), "EmptyBatchRequest"),
        (batch(&url, &eleven), "TooManyEntriesInBatchRequest"),
        (batch(&url, &["a", "a"]), "BatchEntryIdsNotDistinct"),
        (batch(&url, &["a b"]), "InvalidBatchEntryId"),
        (too_long, "BatchRequestTooLong"),
    ] {
        assert_eq!(code(sqs(&mut world, "SendMessageBatch", &refused)), expected);
    }
    assert!(world.messages(&url).is_empty());
    sqs(&mut world, "SendMessageBatch", &batch(&url, &eleven[..10])).expect("ten fit");
    assert_eq!(world.messages(&url).len(), 10);
}

#[test]
fn an_entry_that_cannot_be_sent_fails_alone() {
    let (mut world, url) = world_with_queue(Queue::default());
    let mut three = batch(&url, &["a", "b", "c"]);
    three["Entries"][1]["DelaySeconds"] = json!(901);
    let answer = sqs(&mut world, "SendMessageBatch", &three).expect("the batch itself is right");
    let failed = &answer["Failed"][0];
    assert_eq!((&failed["Id"], &failed["Code"]), (&json!("b"), &json!("InvalidParameterValue")));
    assert_eq!(failed["SenderFault"], true);
    let bodies: Vec<_> = world.messages(&url).into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, ["body of a", "body of c"]);
}

#[test]
fn a_queue_counts_its_messages_as_visible_received_or_delayed() {
    let (mut world, url) = world_with_queue(Queue::default());
    let mut sent = batch(&url, &["received", "visible", "also-visible", "delayed"]);
    sent["Entries"][3]["DelaySeconds"] = json!(60);
    sqs(&mut world, "SendMessageBatch", &sent).expect("sent");
    world.receive(&url, 1);
    let all = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
    let answer = sqs(&mut world, "GetQueueAttributes", &all).expect("attributes");
    let attributes = &answer["Attributes"];
    for (name, expected) in [
        ("ApproximateNumberOfMessages", "2"),
        ("ApproximateNumberOfMessagesNotVisible", "1"),
        ("ApproximateNumberOfMessagesDelayed", "1"),
        ("QueueArn", "arn:aws:sqs:eu-west-1:123456789012:queue"),
    ] {
        assert_eq!(attributes[name], expected, "{name}");
    }
    let one = json!({ "QueueUrl": url, "AttributeNames": ["QueueArn"] });
    let answer = sqs(&mut world, "GetQueueAttributes", &one).expect("attributes");
    assert_eq!(answer["Attributes"].as_object().expect("an object").len(), 1);
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
