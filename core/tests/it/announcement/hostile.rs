//! Hostile payloads: each is answered, the answer is short, and the work is linear in the size of the payload.
//!
//! `HOSTILE_PAYLOADS=200000 cargo test -p courier-core hostile` reads that many instead of two thousand. That takes minutes.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, slice};

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use courier_core::announcement::{Announcement, Pointer, read_text, request};
use courier_core::error::Error;

use super::corpus::{file, files, stack};

const PAYLOADS: &str = "HOSTILE_PAYLOADS";
const PAYLOADS_BY_DEFAULT: u32 = 2000;
/// In bytes. Some envelopes double their content, and SQS takes 1 MiB at most.
const LARGEST_TO_WRAP: usize = 200_000;

#[test]
fn hostile_payloads_end_in_an_answer_after_linear_work_in_flat_memory() {
    const ALONE: &str = "HOSTILE_ALONE";
    // Peak memory is counted for the whole process, so no other test may run in it.
    if env::var_os(ALONE).is_none() {
        let this = "announcement::hostile::hostile_payloads_end_in_an_answer_after_linear_work_in_flat_memory";
        let binary = env::current_exe().expect("the test binary");
        let alone = Command::new(binary).args(["--exact", this, "--nocapture"]).env(ALONE, "1").status();
        assert!(alone.expect("it runs").success(), "see above");
        return;
    }
    let payloads = env::var(PAYLOADS).map_or(PAYLOADS_BY_DEFAULT, |text| text.parse().expect(PAYLOADS));
    let corpus = Corpus::load();
    let strategy = corpus.payload();
    run(payloads.div_ceil(10), &strategy);
    let at_first = peak_memory();
    run(payloads, &strategy);
    if let (Some(at_first), Some(at_last)) = (at_first, peak_memory()) {
        const LARGEST_PAYLOADS_ROOM: u64 = 48 << 20;
        assert!(at_last <= at_first + LARGEST_PAYLOADS_ROOM, "memory grew from {at_first} to {at_last} bytes");
    }
}

fn run(payloads: u32, strategy: &BoxedStrategy<String>) {
    let config = ProptestConfig { cases: payloads, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng)
        .run(strategy, |payload| holds(&payload))
        .unwrap_or_else(|why| panic!("{why}"));
}

/// The most memory this process ever had, in bytes. `None` if the system does not say.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok().map(|kib: u64| kib << 10)
}

#[test]
fn work_doubles_when_the_payload_does() {
    let arn = "arn:aws:ec2:us-east-1::image/ami-5731123e";
    let event = |resources: Value| {
        let mut event = file("event-with-image-resource");
        event["resources"] = resources;
        event
    };
    let request = |more: (&str, Value)| {
        let mut request = file("copy-image-request");
        request[more.0] = more.1;
        request
    };
    let many_fields = |n| Value::Object((0..n).map(|n| (format!("SourceRegio{n}"), json!(1))).collect());
    let shapes: [(&str, &dyn Fn(usize) -> Value); 9] = [
        ("a long text", &|n| "x".repeat(10 * n).into()),
        ("a long name", &|n| request(("Name", "x".repeat(10 * n).into()))),
        ("a list", &|n| vec![json!({ "": 0 }); n].into()),
        ("fields", &many_fields),
        ("fields of a detail", &|n| json!({ "detail": many_fields(n) })),
        ("AMIs", &|n| event(vec![arn; n].into())),
        ("records", &|n| json!({ "Records": vec![json!({ "eventSource": "aws:sqs", "body": "{\"Sweep\":{}}" }); n] })),
        ("builds", &|n| {
            let mut manifest = file("packer-manifest");
            manifest["builds"] = vec![manifest["builds"][1].clone(); n].into();
            manifest
        }),
        ("tag specifications", &|n| request(("TagSpecifications", vec![json!({ "ResourceType": "image" }); n].into()))),
    ];
    for (name, shape) in shapes {
        let allocated = |n| measured(&shape(n).to_string()).1;
        let (once, twice) = (allocated(2000), allocated(4000));
        assert!(twice <= once * 21 / 10, "{name}: {once} bytes allocated, and {twice} for twice as many");
    }
}

/// A long text in ten layers of JSON strings, with fifteen objects between one and the next.
fn deep_and_long() -> String {
    let wrapped_once_more =
        |message: Value, _| (0..15).fold(message.to_string().into(), |inner: Value, _| json!({ "detail": inner }));
    (0..10).fold("x".repeat(100_000).into(), wrapped_once_more).to_string()
}

#[test]
fn a_long_text_in_many_layers_is_parsed_a_few_times_at_most() {
    let payload = deep_and_long();
    let parsed_once = allocation_counter::measure(|| drop(serde_json::from_str::<Value>(&payload))).bytes_total;
    let (answer, allocated) = measured(&payload);
    assert!(allocated <= 4 * parsed_once, "{allocated} bytes allocated, and {parsed_once} by parsing it once");
    assert_eq!(answer.unwrap_err().code, "NestedTooDeep");
}

/// What holds for each payload.
fn holds(payload: &str) -> Result<(), TestCaseError> {
    const SHORTEST_AMI: usize = "ami-5731123e".len();
    let (answer, allocated) = measured(payload);
    prop_assert!(allocated <= most_allocated(payload), "{allocated} bytes allocated for {}", payload.len());
    prop_assert!(is_quick(payload), "an answer is late");
    if let Ok(Value::Object(document)) = serde_json::from_str(payload) {
        match request::read(&document) {
            Ok(request) => {
                let again = request.document();
                prop_assert_eq!(again.as_object().map(request::read), Some(Ok(request)));
            }
            Err(rejection) => prop_assert!(is_short(&rejection), "{rejection}"),
        }
    }
    match answer {
        Ok(announcements) => {
            prop_assert!(!announcements.is_empty());
            prop_assert!(announcements.len() <= 1 + payload.len() / SHORTEST_AMI);
            for announcement in &announcements {
                prop_assert!(is_sound(announcement, payload), "{announcement:?}");
            }
        }
        Err(rejection) => prop_assert!(is_short(&rejection), "{rejection}"),
    }
    Ok(())
}

/// The answer to a payload, and the sum of all bytes that reading it allocated. This measures work, since parsing and copying
/// allocate, and it does not depend on how busy the machine is.
fn measured(payload: &str) -> (Result<Vec<Announcement>, Error>, u64) {
    let mut answer = None;
    let allocations = allocation_counter::measure(|| answer = Some(read_text(payload, &stack())));
    (answer.expect("it was read"), allocations.bytes_total)
}

/// A list of objects with one short field is the worst case: about 100 bytes of memory for each byte of text.
fn most_allocated(payload: &str) -> u64 {
    const FOR_AN_ANSWER: u64 = 20_000;
    const FOR_EACH_BYTE: u64 = 110;
    FOR_AN_ANSWER + FOR_EACH_BYTE * payload.len() as u64
}

/// Whether the answer comes within a time that is linear in size, at least once in five attempts: the machine may be busy.
fn is_quick(payload: &str) -> bool {
    let most = Duration::from_millis(20) + Duration::from_micros(5) * u32::try_from(payload.len()).unwrap_or(u32::MAX);
    (0..5).any(|_| {
        let start = Instant::now();
        let _ = read_text(payload, &stack());
        start.elapsed() <= most
    })
}

fn is_sound(announcement: &Announcement, payload: &str) -> bool {
    match announcement {
        Announcement::Built { ami: Pointer::Images(amis), .. } => !amis.is_empty(),
        Announcement::Own { message, hops } => {
            read_text(&message.body(*hops), &stack()).as_deref() == Ok(slice::from_ref(announcement))
        }
        // Only what is in no envelope can be a question.
        Announcement::Question(_) => false,
        Announcement::Built { .. } | Announcement::Request(_) | Announcement::Sweep => true,
        Announcement::StateChanged { error_message, .. } => error_message.len() <= payload.len(),
        Announcement::TagsChanged { changed, .. } => changed.len() <= payload.len(),
        Announcement::Nothing { reason, .. } => reason.len() < 4000,
    }
}

fn is_short(rejection: &Error) -> bool {
    let Error { code, message, .. } = rejection;
    let has_advice = rejection.advice().is_some_and(|advice| !advice.is_empty());
    !code.is_empty() && !message.is_empty() && has_advice && rejection.to_string().len() < 4000
}

/// The material of payloads: the files in `events/`, and all names of fields and texts in them.
struct Corpus {
    files: Vec<Value>,
    vocabulary: Vec<String>,
}

impl Corpus {
    fn load() -> Self {
        let files: Vec<Value> = files().into_values().collect();
        let mut vocabulary: BTreeSet<String> = request::FIELDS.into_iter().map(str::to_owned).collect();
        for file in &files {
            collect_texts(file, &mut vocabulary);
        }
        Self { files, vocabulary: vocabulary.into_iter().collect() }
    }

    fn payload(&self) -> BoxedStrategy<String> {
        prop_oneof![
            1 => any::<String>(),
            2 => self.json().prop_map(|value| value.to_string()),
            9 => self.mutated(),
        ]
        .boxed()
    }

    /// Any JSON, with names and texts of the messages that are understood.
    fn json(&self) -> BoxedStrategy<Value> {
        let text = prop_oneof![5 => select(self.vocabulary.clone()), 1 => any::<String>()].boxed();
        let leaf = prop_oneof![3 => text.clone().prop_map(Value::from), 1 => any::<f64>().prop_map(Value::from), 2 => hostile_value()];
        leaf.prop_recursive(6, 40, 8, move |inner| {
            prop_oneof![
                1 => vec(inner.clone(), 0..6).prop_map(Value::from),
                2 => hash_map(text.clone(), inner, 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
        .boxed()
    }

    /// A file of the corpus, damaged, wrapped, and damaged again.
    fn mutated(&self) -> BoxedStrategy<String> {
        let damage = prop_oneof![
            2 => Just(Damage::Remove),
            4 => hostile_value().prop_map(Damage::Replace),
            2 => select(self.files.clone()).prop_map(Damage::Replace),
            1 => self.json().prop_map(Damage::Replace),
            1 => Just(Damage::WriteAsText),
            1 => (1..30_usize).prop_map(Damage::Repeat),
        ];
        let wrapping = vec(0..5_u8, 0..6);
        let cut = prop_oneof![4 => Just(None), 1 => (any::<Index>(), select(TEXT_DAMAGE)).prop_map(Some)];
        (select(self.files.clone()), vec((any::<Index>(), damage), 0..6), wrapping, cut)
            .prop_map(|(mut file, damages, wrappings, cut)| {
                for (at, damage) in damages {
                    let chosen = at.index(count(&file));
                    damage.apply(nth(&mut file, &mut { chosen }).expect("counted before"), at);
                }
                let mut text = file.to_string();
                for envelope in wrappings {
                    if text.len() < LARGEST_TO_WRAP {
                        file = wrapped(&file, envelope);
                        text = file.to_string();
                    }
                }
                if let Some((at, damage)) = cut {
                    let at = (0..=at.index(text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                    match damage {
                        "" => text.truncate(at),
                        _ => text.insert_str(at, damage),
                    }
                }
                text
            })
            .boxed()
    }
}

/// What is inserted into the text of a message. The empty text means that the message is cut there.
const TEXT_DAMAGE: &[&str] =
    &["", "\"", "\\", "{", "\\ud800", "\\u0000", "1e999", "-", "\u{feff}", "\u{202e}", "]}", "\0"];

#[derive(Clone, Debug)]
enum Damage {
    Remove,
    Replace(Value),
    WriteAsText,
    Repeat(usize),
}

impl Damage {
    fn apply(self, value: &mut Value, at: Index) {
        match (self, value) {
            (Self::Remove, Value::Object(fields)) if !fields.is_empty() => {
                let field = fields.keys().nth(at.index(fields.len())).cloned().expect("there is one");
                fields.remove(&field);
            }
            (Self::Repeat(times), Value::Array(items)) if !items.is_empty() => {
                let item = items[at.index(items.len())].clone();
                items.extend(std::iter::repeat_n(item, times));
            }
            (Self::Repeat(times), Value::String(text)) => *text = text.repeat(times),
            (Self::Replace(other), value) => *value = other,
            (Self::WriteAsText, value) => *value = value.to_string().into(),
            (Self::Remove | Self::Repeat(_), value) => *value = Value::Null,
        }
    }
}

fn hostile_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(vec![
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(u64::MAX),
            json!(1.237_940_039_285_380_3e27),
            json!(f64::MIN_POSITIVE),
            json!(""),
            json!([]),
            json!({}),
            json!("ami-5731123e"),
            json!("arn:aws:ec2:us-east-1::image/ami-5731123e"),
            json!("arn:aws-cn:ec2:cn-north-1::image/ami-5731123e"),
            json!("arn:::::image/"),
            json!("us-gov-west-1"),
            json!("\u{0}\u{feff}\u{10ffff}"),
        ]),
        (1..20_000_usize).prop_map(|length| "x".repeat(length).into()),
        (1..5000_usize).prop_map(|length| ",".repeat(length).into()),
        (1..5000_usize).prop_map(|length| "us-east-1:ami-5731123e,".repeat(length / 20).into()),
        (1..100_usize).prop_map(|depth| (0..depth).fold(Value::Null, |inner, _| json!([inner]))),
        (1..60_usize).prop_map(|depth| (0..depth).fold(json!({}), |inner, _| json!({ "detail": inner }))),
        (1..500_usize).prop_map(|width| {
            Value::Object((0..width).map(|n| (format!("Source{n}"), Value::Null)).collect::<Map<_, _>>())
        }),
        (1..500_usize).prop_map(|width| vec!["arn:aws:ec2:us-east-1::image/ami-5731123e"; width].into()),
    ]
}

fn wrapped(message: &Value, envelope: u8) -> Value {
    let text = || Value::from(message.to_string());
    match envelope {
        0 => text(),
        1 => json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": text() }),
        2 => {
            json!({ "Records": [{ "eventSource": "aws:sqs", "body": text() }, { "eventSource": "aws:sqs", "body": message }] })
        }
        3 => json!({ "Records": [{ "EventSource": "aws:sns", "Sns": { "Message": message } }] }),
        _ => json!({ "source": "com.example", "detail-type": "t", "detail": message }),
    }
}

fn collect_texts(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() < 200 => {
            texts.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(fields) => {
            for (name, value) in fields {
                texts.insert(name.clone());
                collect_texts(value, texts);
            }
        }
        _ => {}
    }
}

/// The number of values in a value, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(fields) => fields.values_mut().find_map(|item| nth(item, left)),
        _ => None,
    }
}
