//! The courier's messages to itself: written and read again, and read strictly.

use proptest::prelude::*;
use serde_json::{Value, json};

use courier_core::announcement::{AnnouncedBy, Announcement, OwnMessage, read_text};

use super::corpus::{file, stack};
use crate::any;

proptest! {
    #[test]
    fn what_the_courier_writes_to_itself_it_reads_as_it_was_meant(message in any::own_message(), hops: u32) {
        let read = read_text(&message.body(hops), &stack()).map_err(|why| TestCaseError::fail(why.to_string()))?;
        prop_assert_eq!(read, [Announcement::Own { message: Box::new(message), hops }]);
    }
}

/// A sample, as the courier reads it.
fn sample(name: &str) -> OwnMessage {
    let announcements = read_text(&file(name).to_string(), &stack()).unwrap();
    let [Announcement::Own { message, .. }] = announcements.as_slice() else { panic!("{announcements:?}") };
    (**message).clone()
}

const SAMPLES: [&str; 7] = [
    "courier-missed",
    "courier-unfinished",
    "courier-source-gone",
    "courier-source-back",
    "courier-next-try",
    "courier-second-look",
    "courier-elect",
];

#[test]
fn each_sample_is_written_as_the_courier_writes_it() {
    for name in SAMPLES {
        let announcements = read_text(&file(name).to_string(), &stack()).unwrap();
        let written = sample(name).body(announcements[0].hops());
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), file(name), "{name}");
    }
}

/// A queue can hold messages of the courier before it counted, and letters begin a new chain.
#[test]
fn a_message_without_a_count_is_read_as_the_first_of_its_chain() {
    for name in SAMPLES {
        let message = Box::new(sample(name));
        let without = message.body(0);
        assert!(!without.contains("Hops"), "{without}");
        assert_eq!(read_text(&without, &stack()).unwrap(), [Announcement::Own { message, hops: 0 }]);
    }
    assert_eq!(Announcement::Sweep.hops(), 0);
}

#[test]
fn only_what_a_sweep_announced_counts_as_from_the_sweep() {
    let from_sweep = |name| Announcement::Own { message: Box::new(sample(name)), hops: 1 }.is_from_sweep();
    assert_eq!(SAMPLES.map(from_sweep), [true, true, true, true, false, false, true]);
    let mut second_look = sample("courier-second-look");
    let OwnMessage::SecondLook { why, .. } = &mut second_look else { panic!("another kind") };
    *why = courier_core::announcement::Why::Announced(AnnouncedBy::Sweep);
    assert!(second_look.is_from_sweep());
    assert!(Announcement::Sweep.is_from_sweep());
}

#[test]
fn only_a_message_about_a_source_names_it() {
    let named = SAMPLES.map(|name| sample(name).source().is_some());
    assert_eq!(named, [true, false, false, false, true, true, false]);
}

#[test]
fn a_message_that_the_courier_would_not_write_is_rejected() {
    const AMI: &str = "ami-5731123e";
    let source = json!({ "SourceImageId": AMI, "SourceRegion": "us-east-1" });
    let with = |fields: &Value, more: Value| {
        let mut fields = fields.clone();
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let copy = json!({ "ImageId": AMI });
    let next = with(&source, json!({ "Epoch": 0, "Try": 1 }));
    let second = with(&next, json!({ "AnnouncedBy": "Ec2" }));
    let request = with(&source, json!({ "Name": "golden" }));
    let requested = with(&next, json!({ "Request": request }));
    let name = json!({ "ParameterName": "/golden/prod" });
    for (kind, fields) in [
        ("Missed", &source),
        ("Unfinished", &copy),
        ("SourceGone", &copy),
        ("SourceBack", &copy),
        ("NextTry", &next),
        ("NextTry", &requested),
        ("SecondLook", &second),
        ("SecondLook", &requested),
        ("Elect", &name),
    ] {
        let body = json!({ "AmiCourier": { kind: fields } }).to_string();
        assert!(matches!(read_text(&body, &stack()).as_deref(), Ok([Announcement::Own { .. }])), "{body} is refused");
    }
    let other_source = with(&request, json!({ "SourceImageId": "ami-0abcdef1234567890" }));
    for wrong in [
        json!(null),
        json!("Missed"),
        json!([]),
        json!({}),
        json!({ "Missed": source, "SourceGone": copy }),
        json!({ "Missed": null }),
        json!({ "Missed": AMI }),
        json!({ "Missed": {} }),
        json!({ "missed": source }),
        json!({ "Sweep": {} }),
        json!({ "Missed": copy }),
        json!({ "Missed": { "SourceImageId": AMI } }),
        json!({ "Missed": { "SourceRegion": "us-east-1" } }),
        json!({ "Missed": with(&source, json!({ "SourceImageId": "ami-1" })) }),
        json!({ "Missed": with(&source, json!({ "SourceImageId": 1 })) }),
        json!({ "Missed": with(&source, json!({ "SourceRegion": "us east" })) }),
        json!({ "Missed": with(&source, json!({ "Name": "golden" })) }),
        json!({ "Missed": with(&source, json!({ "ImageId": AMI })) }),
        json!({ "Missed": next }),
        json!({ "Missed": with(&source, json!({ "Hops": -1 })) }),
        json!({ "Missed": with(&source, json!({ "Hops": "1" })) }),
        json!({ "Missed": second }),
        json!({ "Unfinished": source }),
        json!({ "Unfinished": with(&copy, source.clone()) }),
        json!({ "SourceGone": with(&copy, json!({ "Epoch": 0, "Try": 1 })) }),
        json!({ "SourceGone": { "ImageId": "i-5731123e" } }),
        json!({ "SourceBack": source }),
        json!({ "Elect": copy }),
        json!({ "Elect": with(&name, copy.clone()) }),
        json!({ "Elect": { "ParameterName": "" } }),
        json!({ "NextTry": source }),
        json!({ "NextTry": with(&source, json!({ "Epoch": 0 })) }),
        json!({ "NextTry": with(&source, json!({ "Try": 0 })) }),
        json!({ "NextTry": with(&next, json!({ "Try": -1 })) }),
        json!({ "NextTry": with(&next, json!({ "Try": 1.5 })) }),
        json!({ "NextTry": with(&next, json!({ "Epoch": u64::MAX })) }),
        json!({ "NextTry": with(&next, json!({ "Epoch": "0" })) }),
        json!({ "NextTry": second }),
        json!({ "NextTry": with(&next, json!({ "AcceptedImageId": AMI })) }),
        // A letter about one AMI with a request for another one.
        json!({ "NextTry": with(&next, json!({ "Request": other_source })) }),
        json!({ "NextTry": with(&next, json!({ "Request": with(&request, json!({ "SourceRegion": "us-west-2" })) })) }),
        json!({ "NextTry": with(&next, json!({ "Request": "golden" })) }),
        json!({ "SecondLook": next }),
        json!({ "SecondLook": with(&source, json!({ "AnnouncedBy": "Ec2" })) }),
        json!({ "SecondLook": with(&second, json!({ "AcceptedImageId": "" })) }),
        json!({ "SecondLook": with(&second, json!({ "AnnouncedBy": "Somebody" })) }),
        json!({ "SecondLook": with(&second, json!({ "Request": request })) }),
        json!({ "SecondLook": with(&next, json!({ "Request": other_source })) }),
        json!({ "SecondLook": with(&next, json!({ "Request": "golden" })) }),
        json!({ "SecondLook": with(&second, json!({ "ImageId": AMI })) }),
        json!({ "SecondLook": with(&second, json!({ "x".repeat(10_000): AMI })) }),
        json!({ "SecondLook": with(&second, json!({ "AnnouncedBy": "x".repeat(10_000) })) }),
        json!({ "x".repeat(10_000): source }),
    ] {
        let body = json!({ "AmiCourier": wrong }).to_string();
        let shown: String = body.chars().take(200).collect();
        let Err(rejection) = read_text(&body, &stack()) else { panic!("{shown} is taken") };
        assert_eq!(rejection.code, "NotUnderstood", "{shown}: {rejection}");
        let says = ["not one that the courier writes to itself", "of the courier to itself is of another version"];
        assert!(says.iter().any(|words| rejection.message.contains(words)), "{shown}: {rejection}");
        assert!(rejection.message.len() < 1000, "{shown}: {rejection}");
    }
    let beside = json!({ "AmiCourier": { "Missed": source }, "Name": "golden" }).to_string();
    assert_eq!(read_text(&beside, &stack()).unwrap_err().code, "NotUnderstood");
    // A wrong request inside is reported like any other.
    let bad_request = with(&next, json!({ "Request": with(&request, json!({ "Name": "a?" })) }));
    let body = json!({ "AmiCourier": { "SecondLook": bad_request } }).to_string();
    assert_eq!(read_text(&body, &stack()).unwrap_err().code, "InvalidAMIName.Malformed");
}

#[test]
fn a_source_out_of_reach_is_rejected_here_too() {
    for (region, code) in [("cn-north-1", "OtherPartition"), ("us-esat-1", "NoSuchRegion")] {
        let body = json!({ "AmiCourier": { "Missed": { "SourceImageId": "ami-5731123e", "SourceRegion": region } } });
        assert_eq!(read_text(&body.to_string(), &stack()).unwrap_err().code, code);
    }
}

#[test]
fn a_kind_and_a_field_that_this_version_does_not_know_are_of_another_version() {
    for body in [
        r#"{"AmiCourier":{"Renamed":{"ImageId":"ami-5731123e"}}}"#,
        r#"{"AmiCourier":{"Unfinished":{"ImageId":"ami-5731123e","Since":1}}}"#,
        r#"{"AmiCourier":{"Unfinished":{}}}"#,
    ] {
        let rejection = read_text(body, &stack()).unwrap_err();
        assert!(rejection.message.contains("is of another version: "), "{rejection}");
        assert!(rejection.advice().is_some_and(|advice| advice.starts_with("deploy the version that wrote it")));
    }
}

#[test]
fn a_message_that_is_nearly_a_known_one_is_answered_with_the_known_name() {
    for (body, meant) in [
        (r#"{"sweep":{}}"#, "did you mean `Sweep`?"),
        (r#"{"Swep":{}}"#, "did you mean `Sweep`?"),
        (r#"{"amicourier":{}}"#, "did you mean `AmiCourier`?"),
        (r#"{"records":[]}"#, "did you mean `Records`?"),
        (r#"{"detail_type":"EC2 AMI State Change"}"#, "did you mean `detail-type`?"),
    ] {
        let rejection = read_text(body, &stack()).unwrap_err();
        assert!(rejection.message.ends_with(meant), "{rejection}");
    }
    let rejection = read_text(r#"{"weather":"fine"}"#, &stack()).unwrap_err();
    assert!(!rejection.message.contains("did you mean"), "{rejection}");
}

#[test]
fn only_a_kind_or_a_field_that_is_not_known_or_missing_is_of_another_version() {
    let why = |body: Value| read_text(&json!({ "AmiCourier": body }).to_string(), &stack()).unwrap_err().to_string();
    let other = why(json!({ "Sorted": { "ImageId": "ami-5731123e" } }));
    let malformed = why(json!({ "Unfinished": { "ImageId": 1 } }));
    assert!(other.contains("version"), "{other}");
    assert!(!malformed.contains("version"), "{malformed}");
}
