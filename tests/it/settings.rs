//! A setting that cannot be right stops the function before its first message, and says which, what and how else.

use crate::stage::Stage;

/// The variable, a value that cannot be right, and a part of the accepted forms.
const WRONG: &[(&str, &str, &str)] = &[
    ("SOURCE_REGIONS", "us-east", "Regions other than the function's own"),
    ("SOURCE_REGIONS", "us-east-1,,us-west-2", "Regions other than the function's own"),
    ("SOURCE_REGIONS", "eu-west-1", "Regions other than the function's own"),
    ("SOURCE_OWNERS", "myself", "`self` and account ids of 12 digits"),
    ("SOURCE_OWNERS", "12345678901", "`self` and account ids of 12 digits"),
    ("NAME_PATTERNS", "golden-{a,b}", "globs of AMI names"),
    ("REQUIRED_TAGS", "=true", "`Key=Value` or `Key`"),
    ("REQUIRED_TAGS", "aws:owner=me", "`Key=Value` or `Key`"),
    ("IMAGE_BUILDER", "tested", "`Tested` or `Any`"),
    ("COPY_NAME", "{nmae}", "`{name}`, `{image_id}`"),
    ("COPY_NAME", "{name", "`{name}`, `{image_id}`"),
    ("COPY_NAME", "{tag:}", "`{tag:KEY}`"),
    ("COPY_DESCRIPTION", "made } here", "`{name}`, `{image_id}`"),
    ("ENCRYPTED", "yes", "`true` or `false`"),
    ("KMS_KEY_ID", "my-key", "`alias/NAME`"),
    ("KMS_KEY_ID", "arn:aws:kms:eu-west-1:123456789012:secret/x", "a key ARN"),
    ("COPY_TAGS", "all", "`true` or `false`"),
    ("EXTRA_TAGS", "team", "`Key=Value`"),
    ("EXTRA_TAGS", "a=1,a=2", "keys distinct"),
    ("EXTRA_TAGS", "ami-courier:finished=now", "not of `aws:` or `ami-courier:`"),
    ("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "20", "15 to 2880, in steps of 15"),
    ("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "2895", "15 to 2880, in steps of 15"),
    ("DRY_RUN", "1", "`true` or `false`"),
    ("SHARE_WITH", "everybody", "organization ARNs"),
    ("SHARE_WITH", "arn:aws:organizations::123456789012:account/o-abc/123456789012", "OU ARNs"),
    ("DEPRECATE", "Tomorrow", "`Source`, `Never` or a number of days"),
    ("DEPRECATE", "0", "1 to 3650"),
    ("DEREGISTRATION_PROTECTION", "true", "`Off`, `On` or `WithCooldown`"),
    ("PARAMETER_NAME", "/golden/{family}", "`{tag:KEY}`"),
    ("EVENT_BUS_NAME", "my bus", "the name or ARN of an event bus"),
    ("RETIRE_WITH_SOURCE", "on", "`true` or `false`"),
    ("BACKFILL_DAYS", "0", "1 to 3650"),
    ("BACKFILL_DAYS", "a week", "a number of days"),
    ("QUEUE_URL", "announcements", "the URL of an SQS queue"),
    ("DEAD_LETTER_QUEUE_URL", "arn:aws:sqs:eu-west-1:123456789012:dead", "the URL of an SQS queue"),
];

/// Every form that the README promises.
const GOOD: &[(&str, &str)] = &[
    ("SOURCE_REGIONS", "us-east-1, us-gov-west-1,eu-west-1"),
    ("SOURCE_OWNERS", "self,111122223333"),
    ("NAME_PATTERNS", "golden-*,base image (????)"),
    ("REQUIRED_TAGS", "approved=true,team,empty="),
    ("IMAGE_BUILDER", "Any"),
    ("COPY_NAME", "{name} {image_id} {region} {account} {created} {tag:Role Name}"),
    ("COPY_DESCRIPTION", "from {region}"),
    ("ENCRYPTED", "true"),
    ("ENCRYPTED", "false"),
    ("KMS_KEY_ID", "1234abcd-12ab-34cd-56ef-1234567890ab"),
    ("KMS_KEY_ID", "mrk-1234abcd12ab34cd56ef1234567890ab"),
    ("KMS_KEY_ID", "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
    ("KMS_KEY_ID", "alias/images"),
    ("KMS_KEY_ID", "arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/images"),
    ("COPY_TAGS", "false"),
    ("EXTRA_TAGS", "CostCenter=42,Copied By=ami-courier"),
    ("SNAPSHOT_COPY_COMPLETION_DURATION_MINUTES", "2880"),
    ("DRY_RUN", "true"),
    ("SHARE_WITH", "111122223333,arn:aws:organizations::123456789012:organization/o-abcdefghij"),
    ("SHARE_WITH", "arn:aws:organizations::123456789012:ou/o-abcdefghij/ou-abcd-12345678"),
    ("DEPRECATE", "Never"),
    ("DEPRECATE", "365"),
    ("DEREGISTRATION_PROTECTION", "WithCooldown"),
    ("PARAMETER_NAME", "/golden/{tag:Role}/latest"),
    ("EVENT_BUS_NAME", ""),
    ("EVENT_BUS_NAME", "arn:aws:events:eu-west-1:123456789012:event-bus/images"),
    ("RETIRE_WITH_SOURCE", "true"),
    ("BACKFILL_DAYS", "3650"),
];

#[tokio::test]
async fn a_wrong_setting_stops_init_with_the_variable_the_value_and_the_accepted_forms() {
    for (variable, value, accepted) in WRONG {
        let error = refused(&[(variable, value)]).await;
        for part in [variable, &format!("`{value}`").as_str(), accepted] {
            assert!(error.contains(*part), "{variable}={value}: no {part} in: {error}");
        }
    }
}

#[tokio::test]
async fn settings_that_exclude_each_other_stop_init() {
    let error = refused(&[("KMS_KEY_ID", "alias/images"), ("ENCRYPTED", "false")]).await;
    assert!(error.contains("ENCRYPTED is `false`") && error.contains("KMS_KEY_ID"), "{error}");
    let error = refused(&[("KMS_KEY_ID", "alias/aws/ebs"), ("SHARE_WITH", "111122223333")]).await;
    assert!(error.contains("KMS_KEY_ID is `alias/aws/ebs`") && error.contains("cannot be shared"), "{error}");
}

#[tokio::test]
async fn every_documented_form_of_every_setting_is_accepted() {
    for (variable, value) in GOOD {
        let started = Stage::new().await.set(variable, value).function_in(crate::stage::HERE).start().await;
        assert!(started.is_ok(), "{variable}={value}: {:?}", started.err());
    }
}

/// What the log says of why the function does not start.
async fn refused(settings: &[(&str, &str)]) -> String {
    let stage = settings.iter().fold(Stage::new().await, |stage, (variable, value)| stage.set(variable, value));
    match stage.function_in(crate::stage::HERE).start().await {
        Err(error) => error.logs.join("\n"),
        Ok(_) => panic!("{settings:?} is accepted"),
    }
}
