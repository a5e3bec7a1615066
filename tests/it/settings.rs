//! An invalid setting stops the function before its first message; the error names the variable, the value and the accepted
//! forms.

use courier_core::settings::VARIABLES;
use futures_util::stream::{self, StreamExt};

use crate::stage::{HERE, Stage};

const KEY: &str = "0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e";

/// A variable, an invalid value, and a part of the accepted forms.
const WRONG: &[(&str, &str, &str)] = &[
    ("AWS_REGION", "nowhere", "the Region that the function runs in"),
    ("SOURCE_REGIONS", "Virginia", "to use only the function's own Region, name other accounts in SOURCE_OWNERS"),
    ("SOURCE_REGIONS", "us-east-1;us-west-2", "separated by commas"),
    ("SOURCE_REGIONS", "us-east-1,,us-west-2", "such as `us-east-1,us-west-2`"),
    ("SOURCE_REGIONS", "eu-west-1", "to use only the function's own Region, name other accounts in SOURCE_OWNERS"),
    ("SOURCE_REGIONS", "us-east-1,cn-north-1", "Regions of the function's partition"),
    ("SOURCE_REGIONS", "us-esat-1", "Regions that exist; there is no `us-esat-1`, did you mean `us-east-1`?"),
    ("SOURCE_REGIONS", "us-east-1,eu-wset-2", "did you mean `eu-west-2`?"),
    ("SOURCE_OWNERS", "me", "`self` and account ids of 12 digits"),
    ("SOURCE_OWNERS", "self,1234", "`self` and account ids of 12 digits"),
    ("SOURCE_OWNERS", "self 123456789012", "separated by commas"),
    ("NAME_PATTERNS", "golden:*", "globs of AMI names"),
    ("NAME_PATTERNS", "golden-*,", "globs of AMI names"),
    ("REQUIRED_TAGS", "=yes", "`Key=Value` or `Key`"),
    ("REQUIRED_TAGS", "approved=true,", "`Key=Value` or `Key`"),
    ("REQUIRED_WATERMARKS", "scanned", "watermarks as `account:name`"),
    ("REQUIRED_WATERMARKS", "self:scanned", "such as `123456789012:scanned`"),
    ("NAME_PATTERNS", "!", "one that begins with `!` excludes"),
    ("REQUIRED_TAGS", "!=yes", "one that begins with `!` excludes"),
    ("REQUESTS", "selected", "`Selected`, `Any` or `Off`"),
    ("IMAGE_BUILDER", "tested", "`Tested` or `Any`"),
    ("COPY_NAME", "{nmae}", "`{name}`, `{image_id}`, `{region}`, `{account}`, `{created}` and `{tag:KEY}`"),
    ("COPY_NAME", "{name", "placeholders"),
    ("COPY_NAME", "name}", "placeholders"),
    ("COPY_NAME", "{}", "placeholders"),
    ("COPY_NAME", "{tag:}", "`{tag:KEY}`"),
    ("COPY_NAME", "eu:{name}", "3 to 128 of letters, digits and `()[] ./-'@_`"),
    ("COPY_DESCRIPTION", "{Name}", "`{name}`"),
    ("ENCRYPTED", "yes", "`true` or `false`"),
    ("ENCRYPTED", "1", "`true` or `false`"),
    ("KMS_KEY_ID", "golden", "a key id, a key ARN, `alias/NAME` or an alias ARN"),
    ("KMS_KEY_ID", "alias/", "`alias/NAME`"),
    ("KMS_KEY_ID", "arn:aws:kms:eu-west-1:1234:key/0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e", "a key ARN"),
    (
        "KMS_KEY_ID",
        "arn:aws:kms:us-east-1:123456789012:key/0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e",
        "this key is in us-east-1",
    ),
    ("COPY_TAGS", "some", "`true` or `false`"),
    ("EXTRA_TAGS", "team", "`Key=Value`"),
    ("EXTRA_TAGS", "=sre", "`Key=Value`"),
    ("EXTRA_TAGS", "aws:team=sre", "not of `aws:` or `ami-courier:`"),
    ("EXTRA_TAGS", "ami-courier:finished=now", "not of `aws:` or `ami-courier:`"),
    ("EXTRA_TAGS", "team=sre,team=web", "keys distinct"),
    ("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "10", "15 to 2880, in steps of 15"),
    ("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "20", "15 to 2880, in steps of 15"),
    ("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "2895", "15 to 2880, in steps of 15"),
    ("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "1h", "a number of minutes"),
    ("DRY_RUN", "on", "`true` or `false`"),
    ("SHARE_WITH", "1234", "account ids of 12 digits"),
    ("SHARE_WITH", "o-abcdefghij", "organization ARNs"),
    ("SHARE_WITH", "arn:aws:organizations::123456789012:account/o-abcdefghij/123456789012", "OU ARNs"),
    ("SHARE_WITH", "all,111122223333", "or `all` alone"),
    ("DEPRECATE", "never", "`Source`, `Never` or a number of days (1 to 3650)"),
    ("DEPRECATE", "0", "`Source`, `Never` or a number of days (1 to 3650)"),
    ("DEPRECATE", "3651", "`Source`, `Never` or a number of days (1 to 3650)"),
    ("DEREGISTRATION_PROTECTION", "on", "`Off`, `On` or `WithCooldown`"),
    ("PARAMETER_NAME", "/golden/{nmae}", "placeholders"),
    ("PARAMETER_NAME", "/golden images/{name}", "letters, digits and `._/-`"),
    ("PARAMETER_NAME", "/{tag:team}/latest", "whose first part is literal"),
    ("PARAMETER_NAME", "golden-{name}", "whose first part is literal"),
    ("EVENT_BUS_NAME", "my bus", "the name or ARN of an event bus, or an empty value for no events"),
    ("RETIRE_WITH_SOURCE", "no", "`true` or `false`"),
    ("RETIRE_AFTER_DAYS", "0", "a number of days (1 to 365)"),
    ("RETIRE_AFTER_DAYS", "366", "a number of days (1 to 365)"),
    ("RETIRE_AFTER_DAYS", "a week", "a number of days (1 to 365)"),
    ("BACKFILL_DAYS", "0", "a number of days (1 to 3650)"),
    ("BACKFILL_DAYS", "3651", "a number of days (1 to 3650)"),
    ("BACKFILL_DAYS", "a week", "a number of days (1 to 3650)"),
    ("SWEEPS", "hourly", "`true` or `false`"),
    ("RECONCILE", "always", "`true` or `false`"),
    ("SHARE_EXACTLY", "yes", "`true` or `false`"),
    ("STACK_NAME", "my stack", "letters, digits and hyphens"),
    ("QUEUE_URL", "announcements", "the URL of an SQS queue"),
    ("DEAD_LETTER_QUEUE_URL", "arn:aws:sqs:eu-west-1:123456789012:dead", "the URL of an SQS queue"),
];

/// Values that are each invalid only together with another.
const WRONG_TOGETHER: &[(&[(&str, &str)], &str, &str)] = &[
    (
        &[("KMS_KEY_ID", KEY), ("ENCRYPTED", "false")],
        "ENCRYPTED is `false`",
        "with KMS_KEY_ID set, `true` or not set, since a key encrypts every copy",
    ),
    (
        &[("KMS_KEY_ID", "alias/aws/ebs"), ("SHARE_WITH", "111122223333")],
        "KMS_KEY_ID is `alias/aws/ebs`",
        "a customer managed key",
    ),
];

/// The log of a function that these settings stop; `None` if it starts.
async fn refusal(settings: &[(&str, &str)]) -> Option<String> {
    let stage = Stage::new().await;
    let function = settings.iter().fold(stage.function_in(HERE), |function, (name, value)| function.set(*name, *value));
    function.start().await.err().map(|error| error.logs.join("\n"))
}

#[tokio::test]
async fn an_invalid_setting_stops_init_with_the_variable_the_value_and_the_accepted_forms() {
    let too_many = (0..39).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    let wrong = WRONG.iter().copied().chain([("EXTRA_TAGS", too_many.as_str(), "at most 38")]);
    let failures: Vec<String> = stream::iter(wrong)
        .map(async |(variable, value, accepted)| {
            let shown = format!("{variable} is `{}", &value[..value.len().min(150)]);
            match refusal(&[(variable, value)]).await {
                None => Some(format!("{variable}={value} is accepted")),
                Some(log) if log.contains(&shown) && log.contains(accepted) => None,
                Some(log) => Some(format!("{variable}={value}: {log}")),
            }
        })
        .buffer_unordered(4)
        .filter_map(async |failure| failure)
        .collect()
        .await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test]
async fn settings_that_exclude_each_other_stop_init_too() {
    for (settings, shown, accepted) in WRONG_TOGETHER {
        let log = refusal(settings).await.unwrap_or_else(|| panic!("{settings:?} are accepted"));
        assert!(log.contains(shown) && log.contains(accepted), "{log}");
    }
}

#[tokio::test]
async fn every_variable_has_an_invalid_value_in_the_table() {
    for variable in VARIABLES {
        assert!(WRONG.iter().any(|(wrong, ..)| *wrong == variable), "{variable}");
    }
}

#[tokio::test]
async fn every_accepted_form_of_every_setting_lets_the_function_start() {
    let longest = "p".repeat(128);
    let forms: &[(&str, &[&str])] = &[
        (
            "SOURCE_REGIONS",
            &["any", "us-east-1", "us-east-1, us-west-2", "us-east-1,eu-west-1", "il-central-1", "eu-north-9"],
        ),
        ("SOURCE_OWNERS", &["self", "123456789012", "self, 111122223333"]),
        ("NAME_PATTERNS", &["*", "golden-*", "golden-*,base-????,(a) [b] ./-'@_", "golden-*,!*-debug", "!*-debug"]),
        (
            "REQUIRED_TAGS",
            &[
                "approved",
                "approved=true",
                "approved=true,stage,url=https://x/?a=b",
                "empty=",
                "!temporary,!a=b",
                "aws:x",
            ],
        ),
        ("REQUIRED_WATERMARKS", &["111122223333:scanned", "111122223333:scanned, 123456789012:approved by security"]),
        ("REQUESTS", &["Selected", "Any", "Off"]),
        ("RECONCILE", &["true", "false"]),
        ("SHARE_EXACTLY", &["true", "false"]),
        ("STACK_NAME", &["ami-courier", "StackSet-golden-0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e"]),
        ("IMAGE_BUILDER", &["Tested", "Any"]),
        (
            "COPY_NAME",
            &["{name}", "eu/{name}-{image_id}-{region}-{account}-{created}-{tag:Build Id}", "golden", &longest],
        ),
        ("COPY_DESCRIPTION", &["anything at all: <ü>", "{name} of {tag:team}"]),
        ("ENCRYPTED", &["true", "false"]),
        (
            "KMS_KEY_ID",
            &[
                KEY,
                "mrk-0d9ba5b50c2f4f6c9f4f2f0a7b1c9d3e",
                "alias/golden/eu",
                "arn:aws:kms:eu-west-1:123456789012:key/0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e",
                "arn:aws:kms:eu-west-1:123456789012:key/mrk-0d9ba5b50c2f4f6c9f4f2f0a7b1c9d3e",
                "arn:aws:kms:eu-west-1:123456789012:alias/golden",
            ],
        ),
        ("COPY_TAGS", &["true", "false"]),
        ("EXTRA_TAGS", &["team=sre", "team=sre,empty=,url=https://x/?a=b"]),
        ("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", &["15", "30", "2880"]),
        ("DRY_RUN", &["true", "false"]),
        (
            "SHARE_WITH",
            &[
                "all",
                "111122223333",
                "111122223333,444455556666",
                "arn:aws:organizations::123456789012:organization/o-abcdefghij",
                "arn:aws:organizations::123456789012:ou/o-abcdefghij/ou-abcd-efghijkl,111122223333",
            ],
        ),
        ("DEPRECATE", &["Source", "Never", "1", "3650"]),
        ("DEREGISTRATION_PROTECTION", &["Off", "On", "WithCooldown"]),
        ("PARAMETER_NAME", &["golden", "/golden/{name}/latest", "/golden/{tag:release}"]),
        ("EVENT_BUS_NAME", &["default", "my.bus/x-1_2", "arn:aws:events:eu-west-1:123456789012:event-bus/ops"]),
        ("RETIRE_WITH_SOURCE", &["true", "false"]),
        ("RETIRE_AFTER_DAYS", &["1", "365"]),
        ("BACKFILL_DAYS", &["1", "3650"]),
        ("SWEEPS", &["true", "false"]),
        ("QUEUE_URL", &["https://sqs.eu-west-1.amazonaws.com/123456789012/announcements"]),
        ("DEAD_LETTER_QUEUE_URL", &["https://sqs.eu-west-1.amazonaws.com/123456789012/dead"]),
    ];
    let tried: Vec<&str> = forms.iter().map(|(variable, _)| *variable).collect();
    assert_eq!(tried, VARIABLES);
    let refused: Vec<String> = stream::iter(forms.iter().flat_map(|(variable, values)| {
        // An empty value counts as not set: CloudFormation passes one for a parameter that is left out.
        values.iter().copied().chain(["", "  "]).map(|value| (*variable, value))
    }))
    .map(async |(variable, value)| refusal(&[(variable, value)]).await)
    .buffer_unordered(4)
    .filter_map(async |refusal| refusal)
    .collect()
    .await;
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn a_long_invalid_value_is_cut_in_the_message() {
    let log = refusal(&[("NAME_PATTERNS", &"!".repeat(3000))]).await.unwrap();
    assert!(log.contains("NAME_PATTERNS is `!!!") && log.contains("(3000 bytes)"), "{log}");
    assert!(log.len() < 2000, "{log}");
}

#[tokio::test]
async fn a_function_whose_sweeps_look_nowhere_warns_at_its_start() {
    for (regions, warns) in [("any", true), ("us-east-1", false)] {
        let stage = Stage::new().await;
        let host = stage.function_in(HERE).set("SOURCE_REGIONS", regions).start().await.unwrap();
        let log = host.logs().join("\n");
        assert_eq!(log.contains("sweeps look for missed AMIs nowhere"), warns, "{log}");
    }
}
