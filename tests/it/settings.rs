//! A setting that cannot be right stops the function before its first message, and says which, what and how else.

use futures_util::stream::{self, StreamExt};

use crate::stage::{HERE, Stage};

const KEY: &str = "0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e";

/// A variable, a value that cannot be right, and words of the accepted forms.
const WRONG: &[(&str, &str, &str)] = &[
    ("AWS_REGION", "nowhere", "the Region that the function runs in"),
    ("SOURCE_REGIONS", "Virginia", "Regions other than the function's own"),
    ("SOURCE_REGIONS", "us-east-1;us-west-2", "separated by commas"),
    ("SOURCE_REGIONS", "us-east-1,,us-west-2", "such as `us-east-1,us-west-2`"),
    ("SOURCE_REGIONS", "eu-west-1", "Regions other than the function's own"),
    ("SOURCE_REGIONS", "us-east-1,cn-north-1", "of its partition"),
    ("SOURCE_OWNERS", "me", "`self` and account ids of 12 digits"),
    ("SOURCE_OWNERS", "self,1234", "`self` and account ids of 12 digits"),
    ("SOURCE_OWNERS", "self 123456789012", "separated by commas"),
    ("NAME_PATTERNS", "golden:*", "globs of AMI names"),
    ("NAME_PATTERNS", "golden-*,", "globs of AMI names"),
    ("REQUIRED_TAGS", "=yes", "`Key=Value` or `Key`"),
    ("REQUIRED_TAGS", "approved=true,", "`Key=Value` or `Key`"),
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
    ("KMS_KEY_ID", "arn:aws:kms:us-east-1:123456789012:key/0d9ba5b5-0c2f-4f6c-9f4f-2f0a7b1c9d3e", "of eu-west-1"),
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
    ("DEPRECATE", "never", "`Source`, `Never` or a number of days (1 to 3650)"),
    ("DEPRECATE", "0", "`Source`, `Never` or a number of days (1 to 3650)"),
    ("DEPRECATE", "3651", "`Source`, `Never` or a number of days (1 to 3650)"),
    ("DEREGISTRATION_PROTECTION", "on", "`Off`, `On` or `WithCooldown`"),
    ("PARAMETER_NAME", "/golden/{nmae}", "placeholders"),
    ("PARAMETER_NAME", "/golden images/{name}", "letters, digits and `._/-`"),
    ("EVENT_BUS_NAME", "my bus", "the name or ARN of an event bus, or nothing at all"),
    ("RETIRE_WITH_SOURCE", "no", "`true` or `false`"),
    ("BACKFILL_DAYS", "0", "a number of days (1 to 3650)"),
    ("BACKFILL_DAYS", "3651", "a number of days (1 to 3650)"),
    ("BACKFILL_DAYS", "a week", "a number of days (1 to 3650)"),
    ("QUEUE_URL", "announcements", "the URL of an SQS queue"),
    ("DEAD_LETTER_QUEUE_URL", "arn:aws:sqs:eu-west-1:123456789012:dead", "the URL of an SQS queue"),
];

/// Values that are each wrong only beside another.
const WRONG_TOGETHER: &[(&[(&str, &str)], &str, &str)] = &[
    (&[("KMS_KEY_ID", KEY), ("ENCRYPTED", "false")], "ENCRYPTED is `false`", "with KMS_KEY_ID set, `true` or nothing"),
    (
        &[("KMS_KEY_ID", "alias/aws/ebs"), ("SHARE_WITH", "111122223333")],
        "KMS_KEY_ID is `alias/aws/ebs`",
        "a customer managed key",
    ),
];

/// What the function writes when it is started with these settings: `None` if it starts all the same.
async fn refusal(settings: &[(&str, &str)]) -> Option<String> {
    let stage = Stage::new().await;
    let function = settings.iter().fold(stage.function_in(HERE), |function, (name, value)| function.set(*name, *value));
    function.start().await.err().map(|error| error.logs.join("\n"))
}

#[tokio::test]
async fn a_wrong_setting_stops_init_with_the_variable_the_value_and_the_accepted_forms() {
    let too_many = (0..41).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    let wrong = WRONG.iter().copied().chain([("EXTRA_TAGS", too_many.as_str(), "at most 40")]);
    let failures: Vec<String> = stream::iter(wrong)
        .map(async |(variable, value, accepted)| {
            let shown = format!("{variable} is `{}", &value[..value.len().min(150)]);
            match refusal(&[(variable, value)]).await {
                None => Some(format!("{variable}={value} is taken")),
                Some(told) if told.contains(&shown) && told.contains(accepted) => None,
                Some(told) => Some(format!("{variable}={value}: {told}")),
            }
        })
        .buffer_unordered(4)
        .filter_map(async |failure| failure)
        .collect()
        .await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test]
async fn settings_that_cannot_be_right_together_stop_init_too() {
    for (settings, shown, accepted) in WRONG_TOGETHER {
        let told = refusal(settings).await.unwrap_or_else(|| panic!("{settings:?} are taken"));
        assert!(told.contains(shown) && told.contains(accepted), "{told}");
    }
}

#[tokio::test]
async fn every_variable_has_a_wrong_value_in_the_table_unless_everything_is_right_for_it() {
    for variable in VARIABLES {
        assert!(WRONG.iter().any(|(wrong, ..)| wrong == variable), "{variable}");
    }
}

/// The settings of the design.
const VARIABLES: &[&str] = &[
    "SOURCE_REGIONS",
    "SOURCE_OWNERS",
    "NAME_PATTERNS",
    "REQUIRED_TAGS",
    "IMAGE_BUILDER",
    "COPY_NAME",
    "COPY_DESCRIPTION",
    "ENCRYPTED",
    "KMS_KEY_ID",
    "COPY_TAGS",
    "EXTRA_TAGS",
    "SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES",
    "DRY_RUN",
    "SHARE_WITH",
    "DEPRECATE",
    "DEREGISTRATION_PROTECTION",
    "PARAMETER_NAME",
    "EVENT_BUS_NAME",
    "RETIRE_WITH_SOURCE",
    "BACKFILL_DAYS",
    "QUEUE_URL",
    "DEAD_LETTER_QUEUE_URL",
];

#[tokio::test]
async fn every_accepted_form_of_every_setting_lets_the_function_start() {
    let longest = "p".repeat(128);
    let forms: &[(&str, &[&str])] = &[
        ("SOURCE_REGIONS", &["us-east-1", "us-east-1, us-west-2", "us-east-1,eu-west-1", "il-central-1"]),
        ("SOURCE_OWNERS", &["self", "123456789012", "self, 111122223333"]),
        ("NAME_PATTERNS", &["*", "golden-*", "golden-*,base-????,(a) [b] ./-'@_"]),
        ("REQUIRED_TAGS", &["approved", "approved=true", "approved=true,stage,url=https://x/?a=b", "empty="]),
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
        ("BACKFILL_DAYS", &["1", "3650"]),
        ("QUEUE_URL", &["https://sqs.eu-west-1.amazonaws.com/123456789012/announcements"]),
        ("DEAD_LETTER_QUEUE_URL", &["https://sqs.eu-west-1.amazonaws.com/123456789012/dead"]),
    ];
    let tried: Vec<&str> = forms.iter().map(|(variable, _)| *variable).collect();
    assert_eq!(tried, VARIABLES);
    let refused: Vec<String> = stream::iter(forms.iter().flat_map(|(variable, values)| {
        // Empty is as good as not set: so CloudFormation passes a parameter that is left out.
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
async fn a_long_wrong_value_is_cut_in_the_message() {
    let told = refusal(&[("NAME_PATTERNS", &"!".repeat(3000))]).await.unwrap();
    assert!(told.contains("NAME_PATTERNS is `!!!") && told.contains("(3000 bytes)"), "{told}");
    assert!(told.len() < 2000, "{told}");
}
