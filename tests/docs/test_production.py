"""Couriers in two Regions of one account: the commands of docs/production.md, then those of docs/recipes.md for one more Region, then the removal.

Moto cannot update the stack of the source Region, so the commands that add a bus to it are not run.
"""

import json
from unittest.mock import patch

import pytest
from aws_on_loopback import started
from moto.core.config import default_user_config
from pages import read, script
from test_courier import ZIP, Deployed, files_of_a_release

# The account of the page. Moto keeps in this process what other tests made in it.
ACCOUNT = "111122223333"
SOURCE, FIRST, LATER = "us-east-1", ["eu-west-1", "ap-southeast-2"], "ap-northeast-1"
PAGE = read("docs/production.md")
((KEY_POLICY,),) = [[block.text for block in PAGE.blocks if block.info == "json"]]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    files_of_a_release(folder)
    (folder / "key-policy.json").write_text(KEY_POLICY)
    with patch.dict(default_user_config["lambda"], use_docker=False), started() as aws:
        deployed = Deployed(aws, folder, ACCOUNT)
        deployed.printed = deployed.run(script("production") + "\n" + script("add-region"))
        yield deployed


def parameters_of(stack):
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}


def topic_of(region):
    return f"arn:aws:sns:{region}:{ACCOUNT}:ami-courier-alarms"


@pytest.mark.parametrize("region", [*FIRST, LATER])
def test_a_courier_stands_in_the_region_and_only_reports(deployed, region):
    stack = deployed.stacks(region)["ami-courier"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert parameters_of(stack)["DryRun"] == "true"
    assert parameters_of(stack)["BackfillDays"] == ("365" if region == LATER else "7")


@pytest.mark.parametrize("region", [*FIRST, LATER])
def test_its_code_is_in_a_bucket_of_the_region(deployed, region):
    s3, bucket = deployed.client("s3", region), f"ami-courier-code-{ACCOUNT}-{region}"
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == region
    # The template goes through the same bucket, under a name made of its content.
    keys = sorted(found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"])
    assert [key for key in keys if not key.endswith(".template")] == [ZIP]
    assert len(keys) == 2


@pytest.mark.parametrize("region", FIRST)
def test_the_key_has_the_alias_and_the_policy_of_the_page(deployed, region):
    kms = deployed.client("kms", region)
    key = kms.describe_key(KeyId="alias/golden")["KeyMetadata"]["KeyId"]
    assert json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]) == json.loads(KEY_POLICY)
    assert parameters_of(deployed.stacks(region)["ami-courier"])["KmsKeyId"] == "alias/golden"


def test_the_key_policy_has_the_statements_of_the_page_about_keys():
    shared = [statement for block in read("docs/kms.md").blocks if block.info == "json" for statement in json.loads(block.text)][6:]
    own, *others = json.loads(KEY_POLICY)["Statement"]
    assert others == shared and len(others) == 4
    assert (own["Principal"], own["Action"]) == ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:*")


@pytest.mark.parametrize(("region", "stack"), [(SOURCE, "ami-courier-source"), *((region, "ami-courier") for region in FIRST)])
def test_the_alarms_of_a_region_go_to_its_own_topic_and_by_mail(deployed, region, stack):
    """Moto makes no alarms of a stack: tests/stack looks at what they do with the parameter."""
    assert parameters_of(deployed.stacks(region)[stack])["AlarmTopicArn"] == topic_of(region)
    (subscription,) = deployed.client("sns", region).list_subscriptions_by_topic(TopicArn=topic_of(region))["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "team@example.com")


@pytest.mark.parametrize("region", FIRST)
def test_the_queue_has_the_request_for_a_real_copy(deployed, region):
    outputs = {output["OutputKey"]: output["OutputValue"] for output in deployed.stacks(region)["ami-courier"]["Outputs"]}
    (message,) = deployed.client("sqs", region).receive_message(QueueUrl=outputs["QueueUrl"], MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"]) == {"SourceImageId": "ami-0abcdef1234567890", "SourceRegion": SOURCE, "Name": "golden-2026-01", "DryRun": False}
    assert (deployed.folder / f"status-{region}.json").exists()


def test_the_source_region_forwards_to_each_bus(deployed):
    stack = deployed.stacks(SOURCE)["ami-courier-source"]
    assert parameters_of(stack)["EventBusArns"] == ",".join(f"arn:aws:events:{region}:{ACCOUNT}:event-bus/default" for region in FIRST)


def test_the_removal_leaves_nothing_of_the_page_but_the_keys(deployed):
    """Moto deletes the queues and the log groups, too, although their DeletionPolicy keeps them."""
    deployed.run(script("production", having="$ output()").split("\n\n")[0] + "\n" + script("production-removal"))
    left = [line.split() for line in (deployed.folder / "left.txt").read_text().splitlines()]
    assert [(line[0], len(line)) for line in left] == [(SOURCE, 2), *((region, 3) for region in FIRST)]
    assert all("DeadLetterQueue" in line[1] for line in left) and all("LogGroup" in line[2] for line in left[1:])
    for region in (SOURCE, *FIRST):
        assert not {"ami-courier", "ami-courier-source"} & set(deployed.stacks(region))
        assert topic_of(region) not in [topic["TopicArn"] for topic in deployed.client("sns", region).list_topics()["Topics"]]
    buckets = {bucket["Name"] for bucket in deployed.client("s3", LATER).list_buckets()["Buckets"]}
    assert [region for region in (*FIRST, LATER) if f"ami-courier-code-{ACCOUNT}-{region}" in buckets] == [LATER]
    assert all(deployed.client("kms", region).describe_key(KeyId="alias/golden")["KeyMetadata"]["Enabled"] for region in FIRST)
