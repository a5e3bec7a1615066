"""The first deployment, from a clone and with the files of a release; the first request, the commands of the runbook, and the removal: run with the AWS CLI against moto.

Moto does not run the function, so its answers and its log are not tested here.
"""

import json
import shutil
from unittest.mock import patch

import pytest
import release
from aws_on_loopback import for_moto, started
from moto.core.config import default_user_config
from pages import ROOT, blocks, read, script
from stack import ACCOUNT, REGION, template

ZIP = f"ami-courier-{release.version()}-x86_64.zip"
# The tests use version 1 of the AWS CLI: it takes payloads as they are, which version 2 does only with this option.
VERSION_1 = """
aws() {
    local option options=()
    for option; do case "$option" in --cli-binary-format | raw-in-base64-out) ;; *) options+=("$option") ;; esac; done
    command aws --endpoint-url "$AWS_ENDPOINT_URL" "${options[@]}"
}
"""


def files_of_a_release(folder, takes_messages=False):
    """As the workflow of a release makes them; unless asked otherwise, nothing takes messages out of the queue, so that the tests find them."""
    code = folder / "bootstrap"
    code.write_bytes(b"nothing here runs it")
    release.zip_code(code, "x86_64", folder)
    code.unlink()
    template = release.write_template(folder)
    if not takes_messages:
        plain = json.loads(template.read_text())
        plain["Resources"]["FunctionAnnouncements"]["Properties"]["Enabled"] = False
        template.write_text(json.dumps(plain))
    release.write_sums(folder)


class Deployed:
    def __init__(self, aws, folder, account=ACCOUNT):
        self.aws, self.folder, self.account = aws, folder, account

    def run(self, commands):
        return self.aws.shell(VERSION_1 + commands, self.account, REGION, self.folder)

    def client(self, service, region=REGION):
        return self.aws.client(service, self.account, region)

    def stacks(self, region=REGION):
        return {stack["StackName"]: stack for stack in self.client("cloudformation", region).describe_stacks()["Stacks"]}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """The documented commands, run in the order of the pages."""
    folder = tmp_path_factory.mktemp("release")
    files_of_a_release(folder)
    with patch.dict(default_user_config["lambda"], use_docker=False), started() as aws:
        deployed = Deployed(aws, folder)
        deployed.printed = deployed.run("\n".join([script("release"), script("courier"), script("source-region")]))
        yield deployed


# What `sam build` leaves, but for the transform, which moto does not have. And nobody confirms the change set.
SAM = """
sam() { command sam "$@" --no-confirm-changeset; }
"""


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """The steps of README, from a clone, with SAM itself."""
    clone = tmp_path_factory.mktemp("clone")
    built = clone / ".aws-sam" / "build"
    built.mkdir(parents=True)
    (built / "template.yaml").write_text(json.dumps(for_moto(template())))
    for name, folder in (("samconfig.toml", clone), ("LICENSE", built), ("README.md", built)):
        shutil.copy(ROOT / name, folder)
    steps = [block.script for block in read("README.md").blocks if block.mark in ("clone", "courier")]
    with patch.dict(default_user_config["lambda"], use_docker=False), started() as aws:
        trial = Deployed(aws, clone, "333344445555")
        trial.run(SAM + "\n".join(steps))
        yield trial


def test_the_trial_of_readme_only_reports_about_the_amis_that_it_names(trial):
    stack = trial.stacks()["ami-courier"]
    given = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert (given["SourceRegions"], given["NamePatterns"], given["DryRun"]) == ("us-east-1", "golden-*,base-*", "true")
    assert (trial.folder / "status.json").exists()


def test_its_queue_has_the_request_of_readme(trial):
    outputs = {output["OutputKey"]: output["OutputValue"] for output in trial.stacks()["ami-courier"]["Outputs"]}
    (message,) = trial.client("sqs").receive_message(QueueUrl=outputs["QueueUrl"], MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"])["Name"] == "golden-2026-01"


def test_readme_removes_the_trial(trial):
    trial.run(script("trial-removal"))
    assert "ami-courier" not in trial.stacks()


def test_the_steps_of_readme_are_numbered_and_begin_with_a_trial():
    marks = [block.mark for block in read("README.md").blocks if block.is_console][2:]
    assert marks == ["needs-sam", "gate", "clone", "courier", "needs-aws", "courier", "needs-aws", "trial-removal"]
    assert all(f"\n{number}. " in read("README.md").text for number in range(1, 8))
    (first,) = blocks("clone")
    assert "DryRun=true" in first.text and "NamePatterns=" in first.text


def test_the_stack_stands(deployed):
    stack = deployed.stacks()["ami-courier"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert ("SourceRegions", "us-east-1") in [(parameter["ParameterKey"], parameter["ParameterValue"]) for parameter in stack["Parameters"]]


def test_the_queue_has_the_first_request(deployed):
    outputs = {output["OutputKey"]: output["OutputValue"] for output in deployed.stacks()["ami-courier"]["Outputs"]}
    messages = deployed.client("sqs").receive_message(QueueUrl=outputs["QueueUrl"], MaxNumberOfMessages=10)["Messages"]
    bodies = [json.loads(message["Body"]) for message in messages]
    assert {"SourceImageId": "ami-0abcdef1234567890", "SourceRegion": "us-east-1", "Name": "golden-2026-01"} in bodies
    assert {"Sweep": {}} in bodies


def test_a_direct_request_is_answered_in_a_file(deployed):
    assert (deployed.folder / "answer.json").exists()


def test_the_forwarder_stands_in_the_source_region(deployed):
    assert deployed.stacks("us-east-1")["ami-courier-source"]["StackStatus"] == "CREATE_COMPLETE"


def test_a_release_that_was_changed_is_not_deployed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changed")
    files_of_a_release(folder)
    (folder / ZIP).write_bytes(b"another zip")
    with started() as aws:
        changed = Deployed(aws, folder, account="444455556666")
        with pytest.raises(AssertionError, match=f"{ZIP}: FAILED"):
            changed.run(script("release"))
        assert changed.stacks() == {}


def test_the_first_deployment_only_reports_what_it_would_copy(deployed):
    parameters = [(parameter["ParameterKey"], parameter["ParameterValue"]) for parameter in deployed.stacks()["ami-courier"]["Parameters"]]
    assert ("DryRun", "true") in parameters
    assert (deployed.folder / "status.json").exists()


def test_the_stacks_are_removed(deployed):
    """Moto deletes the queue and the log group, too, although their DeletionPolicy keeps them."""
    deployed.run(script("courier", having="$ output()") + "\n" + script("remove-source") + "\n" + script("remove"))
    assert "ami-courier-source" not in deployed.stacks("us-east-1")
    assert "ami-courier" not in deployed.stacks()
