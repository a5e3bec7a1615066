//! Each shape in each envelope, and messages that are not as documented.

use serde_json::{Map, Value, json};

use courier_core::announcement::{Announcement, Question, TagChange, read, read_text};
use courier_core::error::Error;
use courier_core::image::Image;

use super::corpus::{expected, file, files, lines, stack};

type Answer = Result<Vec<Announcement>, Error>;

fn is_sqs_batch(payload: &Value) -> bool {
    payload.pointer("/Records/0/eventSource").is_some_and(|source| source == "aws:sqs")
}

/// As the function reads a payload: each SQS record by itself.
fn read_as_delivered(payload: &Value) -> Vec<Answer> {
    if is_sqs_batch(payload) {
        let records = payload["Records"].as_array().unwrap();
        records.iter().map(|record| read_text(record["body"].as_str().unwrap(), &stack())).collect()
    } else {
        vec![read(payload, &stack())]
    }
}

#[test]
fn each_file_in_events_is_read_as_the_table_says() {
    let (files, expected) = (files(), expected());
    assert!(files.keys().eq(expected.keys()), "{:?} and {:?} differ", files.keys(), expected.keys());
    let read_otherwise = files.iter().filter_map(|(name, payload)| {
        let seen: Vec<String> = read_as_delivered(payload).iter().flat_map(lines).collect();
        let expected = &expected[name].reads;
        (&seen != expected).then(|| format!("{name} is read as {seen:#?}, not as {expected:#?}"))
    });
    let wrong: Vec<String> = read_otherwise.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The ways in which one message can travel.
fn envelopes(message: &Value) -> Vec<(&'static str, Value)> {
    let text = message.to_string();
    let with = |name: &str, path: &str, inner: Value| {
        let mut envelope = file(name);
        *envelope.pointer_mut(path).unwrap() = inner;
        envelope
    };
    let sns = |message: String| with("sns-subscription-confirmation", "/Message", message.into());
    let notification = |message: String| {
        let mut notification = sns(message);
        notification["Type"] = "Notification".into();
        notification
    };
    let sqs = |body: String| with("sqs-batch", "/Records/0/body", body.into());
    let custom = |detail: Value| with("custom-event-not-understood", "/detail", detail);
    vec![
        ("as it is", message.clone()),
        ("as a string", text.clone().into()),
        ("as a string in a string", Value::from(text.clone()).to_string().into()),
        ("in SQS", sqs(text.clone())),
        ("twice a string in SQS", sqs(Value::from(text.clone()).to_string())),
        ("in SNS over HTTP", notification(text.clone())),
        ("in SNS to Lambda", with("sns-to-lambda", "/Records/0/Sns/Message", text.clone().into())),
        ("in SNS in SQS", sqs(notification(text.clone()).to_string())),
        ("in SNS in SNS in SQS", sqs(notification(notification(text.clone()).to_string()).to_string())),
        ("in an event of one's own", custom(message.clone())),
        ("as a string in an event of one's own", custom(text.clone().into())),
        ("in what an input transformer left of an event", json!({ "detail": message })),
        ("in an event in SNS in SQS", sqs(notification(custom(message.clone()).to_string()).to_string())),
        ("in SQS in SNS in an event", custom(notification(sqs(text).to_string()))),
    ]
}

#[test]
fn every_message_says_the_same_in_every_envelope() {
    // One is at its limit already, and an SQS batch is an envelope itself.
    let composed = |name: &str, payload: &Value| name != "nested-too-deep" && !is_sqs_batch(payload);
    let messages: Vec<_> = files().into_iter().filter(|(name, payload)| composed(name, payload)).collect();
    assert!(messages.len() > 50);
    for (name, message) in messages {
        let by_itself = lines(&read(&message, &stack()));
        for (way, payload) in envelopes(&message) {
            let is_question = name.starts_with("status") || name.starts_with("dashboard-widget");
            let nobody_waits = "NoCaller: the message asks for a status, and nobody would read the answer".to_owned();
            let enveloped = if is_question { vec![nobody_waits] } else { by_itself.clone() };
            let expected = if payload == message { &by_itself } else { &enveloped };
            assert_eq!(lines(&read(&payload, &stack())), *expected, "{name} {way}");
            assert_eq!(lines(&read_text(&payload.to_string(), &stack())), enveloped, "{name} {way}, as a text");
        }
    }
}

#[test]
fn a_batch_inside_of_another_message_announces_all_its_records() {
    let answer = lines(&read_text(&file("sqs-batch-of-three").to_string(), &stack()));
    assert_eq!(answer.len(), 3);
    let bad = lines(&read(&file("sqs-batch-of-ten-with-bad-ones"), &stack()));
    assert!(bad[0].starts_with("NotUnderstood: the message is not JSON"), "{bad:?}");
}

/// A file with one value in it changed.
fn changed(name: &str, path: &str, value: Value) -> Value {
    let mut message = file(name);
    let (parent, field) = path.rsplit_once('/').unwrap();
    match message.pointer_mut(parent).unwrap() {
        Value::Object(fields) => {
            fields.insert(field.to_owned(), value);
        }
        other => *other.get_mut(field.parse::<usize>().unwrap()).unwrap() = value,
    }
    message
}

/// Reads a file with one value changed, for each of these: file, path, value, and how each line of the answer begins.
fn answers_begin(cases: &[(&str, &str, Value, &[&str])]) {
    for (file, path, value, expected) in cases {
        let seen = lines(&read(&changed(file, path, value.clone()), &stack()));
        let shown: String = value.to_string().chars().take(200).collect();
        assert_eq!(seen.len(), expected.len(), "{file} {path} = {shown}: {seen:#?}");
        for (seen, expected) in seen.iter().zip(*expected) {
            assert!(seen.starts_with(expected), "{file} {path} = {shown}:\n{seen}\n{expected}");
            assert!(seen.len() < 1000, "{file} {path}: {seen}");
        }
    }
}

const IMAGE: &str = "arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0";

/// `resources` with two AMIs, one with its account, among others.
fn two_amis() -> Value {
    json!([IMAGE, "arn:aws:ec2:us-west-2:123456789012:image/ami-5731123e", "arn:aws:s3:::bucket", "text"])
}

#[test]
fn an_ec2_ami_state_change_is_read_by_its_arns_and_by_its_state() {
    answers_begin(&[
        (
            "ec2-ami-state-change",
            "/detail/State",
            json!("pending"),
            &[
                "Nothing of ami-00a507daa7823f412 in us-east-1: EC2 reports that ami-00a507daa7823f412 in us-east-1 is now `pending`; no action needed",
            ],
        ),
        (
            "ec2-ami-state-change",
            "/resources",
            two_amis(),
            &["Available ami-0123456789abcdef0 in us-east-1", "Available ami-5731123e in us-west-2"],
        ),
        (
            "ec2-ami-state-change",
            "/detail/State",
            Value::Null,
            &["NotUnderstood: an EC2 AMI State Change has no `detail.State`"],
        ),
        (
            "ec2-ami-state-change",
            "/detail",
            json!("text"),
            &["NotUnderstood: `detail` of an EC2 AMI State Change is `text`; it must be an object"],
        ),
        ("ec2-ami-state-change", "/detail/ErrorMessage", Value::Null, &["Available ami-00a507daa7823f412"]),
        (
            "ec2-ami-state-change",
            "/resources",
            json!(["arn:aws:ec2:us-east-1::image/ami-0"]),
            &[
                "NotUnderstood: `resources` of an EC2 AMI State Change is `arn:aws:ec2:us-east-1::image/ami-0`; it must be",
            ],
        ),
        (
            "ec2-ami-state-change",
            "/resources",
            json!(["arn:aws:ec2:nowhere::image/ami-0123456789abcdef0"]),
            &[
                "NotUnderstood: `resources` of an EC2 AMI State Change is `arn:aws:ec2:nowhere::image/ami-0123456789abcdef0`; it must be",
            ],
        ),
        (
            "ec2-ami-state-change",
            "/resources",
            json!(["arn:aws-cn:ec2:cn-north-1::image/ami-0123456789abcdef0"]),
            &["OtherPartition: `arn:aws-cn:ec2:cn-north-1::image/ami-0123456789abcdef0` is in the partition `aws-cn`"],
        ),
        (
            "ec2-ami-state-change",
            "/resources",
            json!(["arn:aws:ec2:us-gov-east-1::image/ami-0123456789abcdef0"]),
            &["OtherPartition: `us-gov-east-1` is in the partition `aws-us-gov`"],
        ),
        (
            "ec2-ami-state-change",
            "/resources",
            json!(["arn:aws:ec2:us-esat-1::image/ami-0123456789abcdef0"]),
            &["NoSuchRegion: AWS has no Region `us-esat-1`: did you mean `us-east-1`?"],
        ),
        (
            "ec2-ami-state-change",
            "/resources",
            json!(["arn:aws:ec2:us-east-3::image/ami-0123456789abcdef0"]),
            &["Available ami-0123456789abcdef0 in us-east-3"],
        ),
        (
            "ec2-ami-state-change",
            "/resources",
            json!({}),
            &["NotUnderstood: `resources` of an EC2 AMI State Change is an empty object; it must be a list of strings"],
        ),
        (
            "ec2-ami-state-change-without-arn",
            "/region",
            json!(1),
            &["NotUnderstood: `region` of an EC2 AMI State Change is `1`; it must be a string"],
        ),
        (
            "ec2-ami-state-change-without-arn",
            "/detail/ImageId",
            json!("ami-1"),
            &["NotUnderstood: `detail.ImageId` of an EC2 AMI State Change is `ami-1`; it must be an AMI id"],
        ),
    ]);
}

#[test]
fn any_event_is_read_by_its_source_its_detail_and_the_amis_it_names() {
    answers_begin(&[
        (
            "ec2-ami-state-change",
            "/source",
            json!(["aws.ec2"]),
            &["NotUnderstood: `source` of an EventBridge event is a list"],
        ),
        (
            "ec2-ami-state-change",
            "/detail-type",
            Value::Null,
            &["NotUnderstood: an EventBridge event has no `detail-type`"],
        ),
        (
            "event-with-image-resource",
            "/detail",
            file("copy-image-request"),
            &["Request ami-067cc340229463eba in us-east-1"],
        ),
        (
            "event-with-image-resource",
            "/source",
            json!("aws.partner/example.com/1"),
            &["Publisher: ami-0a0041fb5c9554787 in us-east-1", "Publisher: ami-0ed9b95a4ccac2c69 in us-west-2"],
        ),
        (
            "custom-event-not-understood",
            "/detail",
            Value::Null,
            &["NotUnderstood: an EventBridge event has no `detail`"],
        ),
        ("custom-event-not-understood", "/detail", json!([1]), &["NotUnderstood: the message is `1`"]),
        ("other-ec2-event", "/detail-type", json!("x".repeat(100_000)), &["Nothing: the event `xxx"]),
    ]);
}

#[test]
fn image_builder_is_read_by_its_status_and_by_where_it_put_the_ami() {
    answers_begin(&[
        (
            "image-builder-state-change",
            "/resources",
            json!([IMAGE]),
            &[
                "NotUnderstood: `resources` of an EC2 Image Builder Image State Change has no ARN of an Image Builder image",
            ],
        ),
        (
            "image-builder-state-change",
            "/resources",
            json!(["arn:aws-cn:imagebuilder:cn-north-1:123456789012:image/a/1.0.0/1"]),
            &["OtherPartition: `arn:aws-cn:imagebuilder:"],
        ),
        (
            "image-builder-state-change",
            "/detail/state",
            json!({}),
            &["NotUnderstood: an EC2 Image Builder Image State Change has no `detail.state.status`"],
        ),
        (
            "image-builder-state-change",
            "/detail/state",
            json!("AVAILABLE"),
            &[
                "NotUnderstood: `detail.state` of an EC2 Image Builder Image State Change is `AVAILABLE`; it must be an object",
            ],
        ),
        (
            "image-builder-state-change",
            "/detail/state/status",
            json!("CANCELLED"),
            &["Nothing: the Image Builder image arn:aws"],
        ),
        (
            "image-builder-sns",
            "/outputResources/amis",
            json!([]),
            &["NotUnderstood: `outputResources.amis` of an Image Builder notification has no AMI"],
        ),
        (
            "image-builder-sns",
            "/outputResources",
            json!(0),
            &["NotUnderstood: `outputResources` of an Image Builder notification is `0`; it must be an object"],
        ),
        (
            "image-builder-sns",
            "/outputResources/amis/1",
            json!("ami-1"),
            &[
                "NotUnderstood: `outputResources.amis[1]` of an Image Builder notification is `ami-1`; it must be an object",
            ],
        ),
        (
            "image-builder-sns",
            "/outputResources/amis/1/image",
            json!("ami-1"),
            &[
                "NotUnderstood: `outputResources.amis[1].image` of an Image Builder notification is `ami-1`; it must be an AMI id",
            ],
        ),
        ("image-builder-sns", "/outputResources/amis/1/region", json!("cn-north-1"), &["OtherPartition: `cn-north-1`"]),
        (
            "image-builder-sns",
            "/outputResources/amis/0/region",
            json!("eu-west-1"),
            &[
                "ImageBuilder: ami-0f4176bba17180f40 in us-east-1, ami-0301ee1ff2763485c in us-west-2, ami-0d5492147c80fedc2 in eu-west-1",
            ],
        ),
        (
            "image-builder-sns",
            "/outputResources/amis",
            json!([{ "region": "eu-west-1", "image": "ami-5731123e", "accountId": "111122223333" }]),
            &["ImageBuilder: ami-5731123e in eu-west-1"],
        ),
    ]);
}

#[test]
fn an_image_of_image_builder_that_is_not_available_is_named_with_what_comes_next() {
    let said = |status: &str, reason: Option<&str>| {
        let mut event = changed("image-builder-state-change", "/detail/state/status", json!(status));
        if let Some(reason) = reason {
            event["detail"]["state"]["reason"] = json!(reason);
        }
        let lines = lines(&read(&event, &stack()));
        let image = "the Image Builder image arn:aws:imagebuilder:us-east-1:123456789012:image/golden-linux/1.4.0/3";
        lines[0]
            .strip_prefix(&format!("Nothing: {image} is `{status}`"))
            .unwrap_or_else(|| panic!("{lines:?}"))
            .to_owned()
    };
    for status in ["PENDING", "CREATING", "BUILDING", "TESTING", "DISTRIBUTING", "INTEGRATING"] {
        assert_eq!(said(status, Some("a reason")), ", and will be copied once it is `AVAILABLE`");
    }
    for status in ["DEPRECATED", "DISABLED", "DELETED"] {
        let follow = "; copies of its AMIs follow EC2's own events about these AMIs";
        assert_eq!(said(status, None), format!(", which announces no new AMI{follow}"));
        assert_eq!(said(status, Some("a policy")), format!(", which announces no new AMI: a policy{follow}"));
    }
    for status in ["FAILED", "CANCELLED", "A_STATE_THAT_AWS_MAY_ADD"] {
        assert_eq!((said(status, None), said(status, Some("no disk"))), (String::new(), ": no disk".to_owned()));
    }
}

/// It has no field that names its kind: two of its fields together do.
#[test]
fn image_builders_notification_is_known_by_its_state_and_one_field_more() {
    let code = |message: Value| read(&message, &stack()).map_or_else(|error| error.message, |_| "read".to_owned());
    let state = json!({ "status": "TESTING" });
    for field in ["versionlessArn", "outputResources", "imageRecipe"] {
        assert_eq!(code(json!({ "state": state, field: {} })), "read", "{field}");
        assert_eq!(code(json!({ field: {} })), format!("the message is an object with `{field}`"));
    }
    assert_eq!(code(json!({ "state": state })), "the message is an object with `state`");
    assert_eq!(code(json!({ "state": state, "arn": "a" })), "the message is an object with `arn`, `state`");
}

#[test]
fn a_call_in_cloudtrail_is_read_by_its_answer() {
    answers_begin(&[
        (
            "cloudtrail-create-image",
            "/detail/responseElements",
            Value::Null,
            &["NotUnderstood: an AWS API Call via CloudTrail has no `detail.responseElements.imageId`"],
        ),
        ("cloudtrail-create-image", "/detail/awsRegion", json!("us-iso-east-1"), &["OtherPartition: `us-iso-east-1`"]),
        (
            "cloudtrail-create-image",
            "/source",
            json!("aws.s3"),
            &["Nothing: the event `AWS API Call via CloudTrail` of `aws.s3`"],
        ),
        (
            "cloudtrail-copy-image-into-this-region",
            "/account",
            json!("999988887777"),
            &["Ec2OfAnotherAccount: ami-08714156a8f9470b9 in eu-west-1"],
        ),
        (
            "cloudtrail-copy-image-into-this-region",
            "/account",
            Value::Null,
            &["Nothing: ami-08714156a8f9470b9 is itself a copy into this Region"],
        ),
    ]);
}

#[test]
fn packers_manifest_is_read_by_the_artifacts_of_its_last_run() {
    answers_begin(&[
        (
            "packer-manifest",
            "/last_run_uuid",
            json!("none"),
            &["Nothing: Packer's manifest has no build of its last run, none"],
        ),
        (
            "packer-manifest",
            "/last_run_uuid",
            json!(7),
            &["NotUnderstood: `last_run_uuid` of Packer's manifest is `7`"],
        ),
        (
            "packer-manifest",
            "/builds",
            json!("all"),
            &["NotUnderstood: `builds` of Packer's manifest is `all`; it must be a list of objects"],
        ),
        (
            "packer-manifest",
            "/builds/1/artifact_id",
            json!(",,,"),
            &["NotUnderstood: `builds[1].artifact_id` of Packer's manifest is `,,,`"],
        ),
        (
            "packer-manifest",
            "/builds/1/artifact_id",
            Value::Null,
            &["NotUnderstood: `builds[1].artifact_id` of Packer's manifest is empty"],
        ),
        (
            "packer-manifest",
            "/builds/2/builder_type",
            json!("amazon-ebsvolume"),
            &["Publisher: ami-0fa5", "Publisher: ami-006f", "Nothing: Packer's builder `virtualbox-iso`"],
        ),
        // The post-processor amazon-import made an AMI of it.
        (
            "packer-manifest",
            "/builds/3/artifact_id",
            json!("us-east-1:ami-5731123e"),
            &["Publisher: ami-0fa5", "Publisher: ami-006f", "Publisher: ami-5731123e in us-east-1"],
        ),
    ]);
}

#[test]
fn a_parameter_is_named_as_get_parameter_takes_it() {
    answers_begin(&[
        (
            "parameter-store-change",
            "/detail/name",
            Value::Null,
            &["Publisher: in parameter /golden/linux/latest in us-east-1"],
        ),
        (
            "parameter-store-change",
            "/resources",
            json!([]),
            &["Publisher: in parameter /golden/linux/latest in us-east-1"],
        ),
        (
            "parameter-store-change",
            "/resources",
            json!(["arn:aws:ssm:us-east-1:111122223333:parameter/golden/linux/latest"]),
            &["Publisher: in parameter arn:aws:ssm:us-east-1:111122223333:parameter/golden/linux/latest in us-east-1"],
        ),
        (
            "parameter-store-change-of-public-parameter",
            "/region",
            json!("us-east-1"),
            &[
                "Publisher: in parameter /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64 in eu-west-1",
            ],
        ),
        (
            "parameter-store-change",
            "/detail/operation",
            json!("LabelParameterVersion"),
            &["Nothing: the parameter /golden/linux/latest: the operation"],
        ),
        (
            "parameter-store-change",
            "/detail/dataType",
            Value::Null,
            &["Publisher: in parameter /golden/linux/latest in us-east-1"],
        ),
        (
            "parameter-store-change",
            "/detail/dataType",
            json!("text"),
            &["Nothing: the parameter /golden/linux/latest: its data type is `text`"],
        ),
        (
            "parameter-store-change",
            "/detail/operation",
            Value::Null,
            &["NotUnderstood: a Parameter Store Change has no `detail.operation`"],
        ),
    ]);
}

#[test]
fn a_tag_change_is_read_by_the_amis_it_names() {
    answers_begin(&[
        (
            "tag-change",
            "/resources",
            two_amis(),
            &[
                "Ec2: tags of ami-0123456789abcdef0 in us-east-1: approved=true",
                "Ec2: tags of ami-5731123e in us-west-2: approved=true",
            ],
        ),
        (
            "tag-change",
            "/resources",
            json!([]),
            &["NotUnderstood: `resources` of a Tag Change on Resource has no ARN of an AMI"],
        ),
        (
            "tag-change",
            "/detail/service",
            json!(1),
            &["NotUnderstood: `detail.service` of a Tag Change on Resource is `1`"],
        ),
        (
            "tag-change",
            "/detail/tags",
            json!({ "Name": "golden" }),
            &["Ec2: tags of ami-0e8ab60d49ca4ce60 in us-east-1: approved removed"],
        ),
        (
            "tag-change",
            "/detail/tags/approved",
            json!(1),
            &["NotUnderstood: `detail.tags` of a Tag Change on Resource is `1`; it must be an object of strings"],
        ),
    ]);
}

#[test]
fn what_is_meant_for_others_is_recognised() {
    answers_begin(&[
        (
            "sweep",
            "/Sweep",
            json!({ "Region": "us-east-1" }),
            &["NotUnderstood: the message is an object with `Sweep`; a sweep is exactly"],
        ),
        (
            "sweep",
            "/SourceRegion",
            json!("us-east-1"),
            &["NotUnderstood: the message is an object with `SourceRegion`, `Sweep`; a sweep is exactly"],
        ),
        (
            "sns-subscription-confirmation",
            "/Type",
            json!("UnsubscribeConfirmation"),
            &[
                "UnsubscribeConfirmation: the subscription to arn:aws:sns:us-east-1:123456789012:golden-images has ended",
            ],
        ),
        (
            "sns-subscription-confirmation",
            "/Type",
            json!("Other"),
            &["NotUnderstood: the message is an object with `Message`, `"],
        ),
        (
            "s3-notification",
            "/Records/0/eventSource",
            json!("aws:kinesis"),
            &["NotUnderstood: the message is an object with `Records`"],
        ),
        (
            "sqs-batch-of-three",
            "/Records/1/eventSource",
            json!("aws:kinesis"),
            &["NotUnderstood: the message is a batch whose record 2 is an object with `attributes`"],
        ),
    ]);
}

#[test]
fn what_is_no_object_is_rejected_with_what_was_seen() {
    for (text, expected) in [
        ("", "the message is not JSON (EOF while parsing a value at line 1 column 0): ``"),
        ("ami-5731123e", "the message is not JSON (expected value at line 1 column 1): `ami-5731123e`"),
        ("null", "the message is `null`"),
        ("17", "the message is `17`"),
        ("{}", "the message is an empty object"),
        (r#""""#, "the message is not JSON (EOF while parsing a value at line 1 column 0): ``"),
        (r#""\ud800""#, "the message is not JSON (unexpected end of hex escape at line 1 column 8): `\"\\ud800\"`"),
        (r#"{"Records":17}"#, "the message is an object with `Records`"),
        (r#"{"builds":[]}"#, "the message is an object with `builds`"),
    ] {
        let Err(rejection) = read_text(text, &stack()) else { panic!("{text} is understood") };
        assert_eq!((rejection.code.as_str(), rejection.message.as_str()), ("NotUnderstood", expected));
        assert!(
            rejection.advice().unwrap().contains("EventBridge")
                && rejection.advice().unwrap().contains("CopyImage request")
        );
    }
}

#[test]
fn a_list_is_a_batch_and_each_message_in_it_is_read_as_deep_as_ever() {
    let request = file("copy-image-request");
    let one = lines(&read(&request, &stack()));
    let record = |body: &Value| json!({ "messageId": "m1", "eventSource": "aws:sqs", "body": body.to_string() });
    for list in [
        json!([request]),
        json!([request.to_string()]),
        json!([[request]]),
        json!([record(&request)]),
        json!([record(&record(&request))]),
        json!([file("sqs-batch"), request]),
    ] {
        let read = lines(&read(&list, &stack()));
        assert_eq!(read.last(), one.first(), "{list}");
    }
    assert_eq!(lines(&read(&json!([request, { "Sweep": {} }]), &stack())).len(), 2);
    assert_eq!(lines(&read(&json!([]), &stack())), ["Nothing: the batch is empty"]);
    assert_eq!(lines(&read(&json!([request, 17]), &stack())), ["NotUnderstood: the message is `17`"]);
}

#[test]
fn a_record_of_sqs_is_unwrapped_wherever_it_stands() {
    let request = file("copy-image-request");
    let record = json!({ "messageId": "m1", "eventSource": "aws:sqs", "body": request.to_string() });
    assert_eq!(lines(&read_text(&record.to_string(), &stack())), lines(&read(&request, &stack())));
    let lists = json!({ "eventSource": "aws:s3", "body": request.to_string() });
    assert!(read(&lists, &stack()).is_err(), "only SQS has such records");
}

#[test]
fn a_file_written_on_windows_is_read_in_spite_of_its_byte_order_mark() {
    let text = format!("\u{feff}{}", file("packer-manifest"));
    assert_eq!(lines(&read_text(&text, &stack())).len(), 3);
}

#[test]
fn a_message_in_too_many_envelopes_is_rejected_and_one_in_fewer_is_read() {
    let wrapped = |times| (0..times).fold(file("copy-image-request"), |message, _| json!({ "detail": message }));
    assert!(read(&wrapped(32), &stack()).is_ok());
    assert_eq!(read(&wrapped(33), &stack()).unwrap_err().code, "NestedTooDeep");
    let strings = |times| (0..times).fold("{\"Sweep\":{}}".to_owned(), |text, _| Value::from(text).to_string());
    assert!(read_text(&strings(6), &stack()).is_ok());
}

#[test]
fn of_an_object_twelve_fields_are_shown() {
    let message = |fields: usize| {
        let fields = (10..10 + fields).map(|n| (format!("f{n}"), Value::Null)).collect();
        read(&Value::Object(fields), &stack()).unwrap_err().message
    };
    let twelve = "the message is an object with `f10`, `f11`, `f12`, `f13`, `f14`, `f15`, `f16`, `f17`, `f18`, `f19`, `f20`, `f21`";
    assert_eq!(message(12), twelve);
    assert_eq!(message(13), format!("{twelve}, …"));
}

#[test]
fn an_object_with_many_fields_is_shown_in_a_line() {
    let wide: Map<String, Value> = (0..10_000).map(|n| (format!("field{n}"), Value::Null)).collect();
    let message = read(&Value::Object(wide), &stack()).unwrap_err().message;
    assert!(message.ends_with("`, …"), "{message}");
    assert!(message.len() < 400);
}

#[test]
fn a_message_is_an_event_by_its_detail_type_or_by_its_source_and_detail() {
    let code = |message: Value| read(&message, &stack()).err().map(|error| error.code);
    assert_eq!(code(json!({ "detail-type": "Something", "source": "aws.s3" })), None);
    let request = json!({ "Name": "golden", "SourceImageId": "ami-5731123e", "SourceRegion": "us-east-1" });
    assert_eq!(code(json!({ "source": "my.pipeline", "detail": request })), None);
    for neither in [json!({ "source": "aws.s3" }), json!({ "detail": {} })] {
        assert_eq!(code(neither.clone()).as_deref(), Some("NotUnderstood"), "{neither}");
    }
}

#[test]
fn a_widget_is_asked_for_its_documentation_by_one_field() {
    let read = read(&json!({ "describe": true }), &stack());
    assert!(matches!(read.as_deref(), Ok([Announcement::Question(Question::Documentation)])), "{read:?}");
}

#[test]
fn a_change_of_a_tag_is_visible_once_the_ami_has_it() {
    let image = Image {
        tags: [("Channel".to_owned(), "prod".to_owned())].into(),
        ..Image::new("ami-5731123e".parse().unwrap())
    };
    let is_visible = |key: &str, value: Option<&str>| {
        TagChange { key: key.to_owned(), value: value.map(str::to_owned) }.is_visible(&image)
    };
    assert!(is_visible("Channel", Some("prod")) && is_visible("Removed", None));
    assert!(!is_visible("Channel", Some("beta")) && !is_visible("Channel", None) && !is_visible("New", Some("")));
}
