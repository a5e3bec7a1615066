"""The probe against moto, an AWS that nobody here wrote: it runs to the end, says what moto does otherwise, and leaves nothing behind."""

import json
import os
import subprocess

import boto3
import pytest
from moto.server import ThreadedMotoServer
from test_probe import PROBE, REGION, SOURCE_REGION

TAGGED = [{"Name": "tag-key", "Values": ["ami-courier-probe"]}]
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def inventory(endpoint):
    """Every AMI, tagged snapshot, role, rule, queue and parameter. Moto does not tag the snapshots of a copy, and does not delete them with their AMI; EC2 does both (documented)."""
    found = []
    for region in [REGION, SOURCE_REGION]:
        ec2 = boto3.client("ec2", region_name=region, endpoint_url=endpoint, **KEYS)
        found += [image["ImageId"] for image in ec2.describe_images(Owners=["self"])["Images"]]
        found += [snapshot["SnapshotId"] for snapshot in ec2.describe_snapshots(OwnerIds=["self"], Filters=TAGGED)["Snapshots"]]
        found += [rule["Name"] for rule in boto3.client("events", region_name=region, endpoint_url=endpoint, **KEYS).list_rules()["Rules"]]
        found += boto3.client("sqs", region_name=region, endpoint_url=endpoint, **KEYS).list_queues().get("QueueUrls", [])
        ssm = boto3.client("ssm", region_name=region, endpoint_url=endpoint, **KEYS)
        found += [parameter["Name"] for parameter in ssm.describe_parameters()["Parameters"]]
    iam = boto3.client("iam", region_name=REGION, endpoint_url=endpoint, **KEYS)
    return found + [role["RoleName"] for role in iam.list_roles()["Roles"]]


@pytest.fixture(scope="module")
def run(endpoint, tmp_path_factory):
    report = tmp_path_factory.mktemp("probe") / "probe.json"
    keys = {name.upper(): value for name, value in KEYS.items()}
    quiet = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    where = ["--endpoint-url", endpoint, "--region", REGION, "--source-region", SOURCE_REGION]
    before = inventory(endpoint)
    # At this rate, the probe's minutes are fractions of a second.
    how = ["--rate", "3600", "--copies", "5", "--permissions", "--yes", "--report", str(report)]
    done = subprocess.run([PROBE, *where, *how], env={**keys, **quiet, "PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=300)
    answers = {answer["Name"]: (answer["Verdict"], answer["Seen"]) for answer in json.loads(report.read_text())["Answers"]}
    return done, answers, before, inventory(endpoint)


def test_the_run_ends_by_itself_and_answers_every_question(run):
    done, answers, *_ = run
    # Moto does not have every call, so some questions have no answer.
    assert done.returncode == 2, done.stderr
    assert len(answers) == 34, done.stderr
    assert "34/34" in done.stderr and "Removed:" in done.stdout


def test_it_leaves_nothing_behind(run):
    _, _, before, after = run
    assert after == before


@pytest.mark.parametrize(
    "name, verdict, seen",
    [
        ("does_ec2_accept_a_shared_tag_on_an_image", "as expected", "accepted"),
        ("how_long_until_a_copy_is_visible_by_id", "as expected", "5 copies"),
        ("does_copy_image_accept_a_taken_name", "as expected", "accepted: two AMIs have the same name"),
        ("does_the_same_token_make_nothing_further", "DIFFERENT", "a new copy: the token is not remembered"),
        ("is_the_same_token_with_other_parameters_refused", "DIFFERENT", "a new copy: the token is not remembered"),
        ("which_state_has_a_failed_copy", "DIFFERENT", "available, without a reason"),
        ("does_ec2_send_an_event_when_a_copy_is_available", "DIFFERENT", "no event within 10 minutes"),
        ("does_ec2_send_an_event_when_a_copy_has_failed", "DIFFERENT", "no event within 10 minutes"),
        ("does_a_copy_name_its_source", "DIFFERENT", "no"),
        ("does_a_copy_keep_blank_volumes", "DIFFERENT", "the blank volume is missing"),
        ("is_a_disabled_ami_hidden_unless_asked_for", "DIFFERENT", "state disabled; with IncludeDisabled state disabled"),
        ("is_each_other_call_refused_to_the_role", "DIFFERENT", "4 of 4 calls allowed"),
        ("does_a_usage_report_become_available", "no answer", "HTTP 500"),
    ],
)
def test_it_says_what_moto_does(run, name, verdict, seen):
    _, answers, *_ = run
    assert answers[name][0] == verdict and seen in answers[name][1], answers[name]
